// A relay between the program and a real server: it can make a server look faulty, and sees who connects.

package main_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"net"
	"sync"
	"testing"
)

// fault is what a relay does to every n-th send, counted over all connections; 0: never.
type fault struct {
	alter   int // another text reaches the server
	refuse  int // it reaches the server as a request for a service that there is none of: 404
	silence int // from this send on, once, no answer passes any more
}

// relay passes everything on but for its faults.
type relay struct {
	server   string
	listener net.Listener
	fault    fault
	running  sync.WaitGroup
	silent   chan struct{} // closed when answers stop

	mu      sync.Mutex // guards what follows
	closed  bool
	conns   []net.Conn
	sources map[string]int // connections, by the address that they came from
	sends   int
}

// startRelay starts a relay to a server. It is closed when the test ends.
func startRelay(t testing.TB, server string, f fault) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	r := &relay{server: server, listener: listener, fault: f, silent: make(chan struct{}), sources: map[string]int{}}
	r.running.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	r.closed = true
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.server)
		if err != nil || !r.admit(client, server) {
			_ = client.Close()
			continue
		}
		r.running.Go(func() { r.passRequests(client, server) })
		r.running.Go(func() { r.passAnswers(client, server) })
	}
}

// admit notes a pair of connections, unless the relay is closed.
func (r *relay) admit(client, server net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return server.Close() != nil
	}
	r.conns = append(r.conns, client, server)
	r.sources[client.RemoteAddr().(*net.TCPAddr).IP.String()]++
	return true
}

// passRequests passes frame by frame.
func (r *relay) passRequests(client, server net.Conn) {
	defer server.Close()
	in := bufio.NewReader(client)
	for {
		head, err := in.Peek(4)
		if err != nil {
			return
		}
		frame := make([]byte, 4+binary.BigEndian.Uint32(head))
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		if _, err := server.Write(r.spoil(frame)); err != nil {
			return
		}
	}
}

// spoil lets the faults strike a frame.
func (r *relay) spoil(frame []byte) []byte {
	service := bytes.Index(frame, []byte(`"service_code":5`))
	if service < 0 {
		return frame
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sends++
	strikes := func(n int) bool { return n > 0 && r.sends%n == 0 }
	if text := []byte(`"msg":"`); strikes(r.fault.alter) {
		frame[bytes.Index(frame, text)+len(text)] = '!'
	}
	if strikes(r.fault.refuse) {
		frame[service+len(`"service_code":`)] = '8'
	}
	if r.sends == r.fault.silence {
		close(r.silent)
	}
	return frame
}

// passAnswers passes until the end, or in silence to the end.
func (r *relay) passAnswers(client, server net.Conn) {
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		select {
		case <-r.silent:
		default:
			_, _ = client.Write(buf[:n]) // the other direction sees the end as well
		}
		if err != nil {
			return
		}
	}
}

// sent is how many sends have come.
func (r *relay) sent() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sends
}

// connections are those that have come, by the address that they came from.
func (r *relay) connections() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.sources)
}
