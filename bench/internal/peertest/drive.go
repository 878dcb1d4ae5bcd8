package peertest

import (
	"bytes"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"throng/bench/target"
)

// The load of a benchmark: that of the comparison's reference.
const (
	connections = 50
	chats       = 1000
	textBytes   = 64
	window      = 16
	count       = 20 // messages of a read
)

// Benchmark measures what a target's client costs the generator, beside a real
// server on the same machine: requests a second, and requests for each second of
// processor time that this process, the generator, uses. Reads are of chats that
// hold as much as they ask for.
func Benchmark(b *testing.B, t target.Target, kind target.Kind) {
	b.Helper()
	if err := t.Prepare(b.Context(), target.Plan{Chats: chats, Users: 1, Members: 1}, nil); err != nil {
		b.Fatal(err)
	}
	if kind == target.Read || kind == target.Receive {
		drive(b, t, target.Send, chats*count)
	}
	b.ReportAllocs()
	b.ResetTimer()
	began, used := time.Now(), processor(b)
	drive(b, t, kind, b.N)
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "requests/s")
	b.ReportMetric(float64(b.N)/(processor(b)-used).Seconds(), "requests/cpu-s")
}

// processor is the processor time that this process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// drive asks n times in a closed loop over all connections, the chats in turn.
func drive(b *testing.B, t target.Target, kind target.Kind, n int) {
	b.Helper()
	l := &loop{kind: kind, text: bytes.Repeat([]byte{'m'}, textBytes)}
	l.left.Store(int64(n))
	l.running.Add(n)
	for range connections {
		s := &session{loop: l}
		conn, err := t.Dial(b.Context(), target.Dial{Window: window, Pages: true}, s)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		s.conn = conn
		s.submit(window)
	}
	l.running.Wait()
	if failed := l.failed.Load(); failed > 0 {
		b.Fatalf("%d requests failed", failed)
	}
}

// loop is what the sessions of one drive share.
type loop struct {
	kind    target.Kind
	text    []byte
	left    atomic.Int64
	next    atomic.Int64
	failed  atomic.Int64
	running sync.WaitGroup // requests without an answer
}

// session is one connection's closed loop.
type session struct {
	loop *loop
	conn target.Conn
	ops  []target.Op
}

func (s *session) submit(n int) {
	s.ops = s.ops[:0]
	for range n {
		if s.loop.left.Add(-1) < 0 {
			break
		}
		chat := int(s.loop.next.Add(1) % chats)
		s.ops = append(s.ops, target.Op{Kind: s.loop.kind, Chat: chat, Index: -1, Count: count, Text: s.loop.text})
	}
	if len(s.ops) == 0 {
		return
	}
	if err := s.conn.Submit(s.ops); err != nil {
		s.loop.failed.Add(int64(len(s.ops)))
		s.loop.running.Add(-len(s.ops))
	}
}

// Replies implements target.Sink.
func (s *session) Replies(replies []target.Reply) {
	for i := range replies {
		if replies[i].Status != target.OK {
			s.loop.failed.Add(1)
		}
	}
	s.submit(len(replies))
	s.loop.running.Add(-len(replies))
}

// Lost implements target.Sink. A benchmark whose connection is lost never ends,
// and the test's own time limit says where it hangs.
func (s *session) Lost(error) {}
