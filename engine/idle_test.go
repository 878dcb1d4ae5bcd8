package engine

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"throng/shards"
)

const (
	childDir        = "THRONG_ENGINE_CHILD"     // the data directory of a child server
	idleEnv         = "THRONG_IDLE_CONNECTIONS" // how many, instead of idleConnections
	idleConnections = 5000
	idleRequests    = 8 // that each has sent, in one write
)

// BenchmarkIdleConnections tells what a connection costs a server that has
// served it and then left it alone: a child process, so that nothing of the
// clients is counted. It measures once, however often it is told to.
//
//	go test ./engine -run '^$' -bench Idle -benchtime 1x
func BenchmarkIdleConnections(b *testing.B) {
	n := idleConnections
	if asked, err := strconv.Atoi(os.Getenv(idleEnv)); err == nil {
		n = asked
	}
	server := startChild(b)
	c := dial(b, server.addr)
	p := c.newcomer(b)
	chat := c.newChat(b, p)
	talk := func(c *client) {
		for range idleRequests / 4 {
			c.send(b, p.logsIn(), p.says(chat, "hello"), p.reads(chat, -1, 5), ping)
		}
		for range idleRequests {
			if reply, err := c.read(); err != nil || !strings.HasPrefix(string(reply), `{"state_code":200`) {
				b.Fatalf("reply %s, error %v", reply, err)
			}
		}
	}
	for range n { // what the requests themselves leave behind is not to be counted
		talk(c)
	}
	before := server.measure(b)
	for range n {
		talk(dial(b, server.addr))
	}
	after := server.measure(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(n), "connections")
	b.ReportMetric(float64(after.resident-before.resident)/float64(n), "resident-B/conn")
	b.ReportMetric(float64(after.heap-before.heap)/float64(n), "heap-B/conn")
}

// child is a server in a process of its own.
type child struct {
	addr string
	pid  int
	ask  func() (heap int64)
}

// footprint is the memory of a process, in bytes.
type footprint struct{ resident, heap int64 }

func startChild(b *testing.B) *child {
	b.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childDir+"="+b.TempDir())
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close() // asks it to end
		if err := command.Wait(); err != nil {
			b.Error("the child server ended with ", err)
		}
	})
	lines := bufio.NewScanner(out)
	line := func() string {
		if !lines.Scan() {
			b.Fatal("the child server has ended: ", lines.Err())
		}
		return lines.Text()
	}
	c := &child{addr: line(), pid: command.Process.Pid}
	c.ask = func() int64 {
		if _, err := fmt.Fprintln(in, "rest"); err != nil {
			b.Fatal(err)
		}
		heap, err := strconv.ParseInt(line(), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		return heap
	}
	return c
}

// measure lets the server come to rest and returns its footprint.
func (c *child) measure(b *testing.B) footprint {
	b.Helper()
	heap := c.ask()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
	if err != nil {
		b.Fatal(err)
	}
	var kib int64
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		b.Fatal(err)
	}
	return footprint{resident: kib << 10, heap: heap}
}

// serveAsChild is the child's main: it tells its address, and then, for each
// line that it reads, rests and tells the bytes of its heap.
func serveAsChild(dir string) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	store, err := shards.Open(shards.Config{Dir: dir, Logger: log})
	check(err)
	server, err := New(Config{
		Listen: "127.0.0.1:0",
		Logger: log,
		Ready:  func(addr string) { fmt.Fprintln(os.Stdout, addr) },
	}, store)
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for !server.each((*loop).resting) {
			time.Sleep(100 * time.Millisecond)
		}
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintln(os.Stdout, m.HeapAlloc)
	}
	stop()
	check(<-ended)
	check(store.Close())
}

// resting reports whether the sweep has given the memory of every connection
// back.
func (l *loop) resting() bool {
	for _, c := range l.conns {
		if c.replies.ring != nil || c.parked != nil || c.cutter.Partial() {
			return false
		}
	}
	return true
}
