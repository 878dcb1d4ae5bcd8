// Package noop is a server that does nothing but answer: what is measured against
// it is the generator alone. It is test support; nothing else may import it.
//
// The responder is a process of its own, the test binary started again, so that
// its processor time is not the generator's: a TestMain begins with [Respond].
package noop

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"throng/codec"
)

// variable makes a test binary a responder instead.
const variable = "THRONG_TEST_RESPONDER"

const (
	headerBytes = 4
	bufferBytes = 64 << 10 // no frame of a benchmark is longer
)

// Respond makes this process a responder, where Start has started it, and then
// does not return.
func Respond() {
	if os.Getenv(bareVariable) != "" {
		go endWithParent()
		panic(respondBare(os.Getenv(logVariable)))
	}
	if os.Getenv(variable) == "" {
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, _ = fmt.Fprintln(os.Stdout, listener.Addr())
	go accept(listener)
	endWithParent()
}

func endWithParent() {
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // ends with who started us
	os.Exit(0)                                  //nolint:forbidigo // a process of its own, which no test runs in
}

func accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(conn)
	}
}

// serve answers every frame with success, and whatever its service wants beside.
func serve(conn net.Conn) {
	defer conn.Close()
	in, out, held, index := make([]byte, bufferBytes), []byte(nil), 0, int64(0)
	for {
		n, err := conn.Read(in[held:])
		if err != nil {
			return
		}
		held += n
		var rest []byte
		out, rest = answerAll(out[:0], in[:held], &index)
		held = copy(in, rest)
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// answerAll appends the answers to the whole frames of in, counted on in index, and
// returns what is left of in.
func answerAll(out, in []byte, index *int64) (answers, rest []byte) {
	for len(in) >= headerBytes {
		size := headerBytes + int(binary.BigEndian.Uint32(in))
		if size > len(in) {
			break
		}
		*index++
		out, in = answer(out, in[headerBytes:size], *index), in[size:]
	}
	return out, in
}

func answer(out, body []byte, index int64) []byte {
	begins := func(service codec.Service) bool {
		return bytes.HasPrefix(body, fmt.Appendf(nil, `{"service_code":%d,`, service))
	}
	switch {
	case bytes.HasPrefix(body, send):
		return codec.AppendSent(out, index)
	case begins(codec.Create):
		return codec.AppendCreated(out, index)
	case begins(codec.Ping):
		return codec.AppendPong(out, index)
	}
	return codec.AppendSuccess(out)
}

var send = fmt.Appendf(nil, `{"service_code":%d,`, codec.Send)

// Start starts a responder and returns its address. It ends with the benchmark.
func Start(tb testing.TB) (addr string) {
	tb.Helper()
	return start(tb, variable+"=1")
}

// StartBare starts a bare responder, which appends what it gets to the file log and syncs
// that before it answers; "": neither.
func StartBare(tb testing.TB, log string) (addr string) {
	tb.Helper()
	return start(tb, bareVariable+"=1", logVariable+"="+log)
}

func start(tb testing.TB, env ...string) (addr string) {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = lifeline.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(line)
}
