package throng

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"throng/bench/internal/noop"
	"throng/bench/target"
	"throng/codec"
)

// BenchmarkGenerator measures what the generator itself can do: it sends to a
// responder that does nothing but answer, a process of its own, in a closed loop
// with 64 requests in flight on each connection. What counts is the generator's
// processor time, user and system, and not the time that passed. The last of the
// table tells the limit: with few connections the generator waits for answers now
// and then, and going to sleep and waking up costs more than a request.
//
//	go test ./bench/target/throng -run '^$' -bench Generator -benchtime 10000000x
func BenchmarkGenerator(b *testing.B) {
	for _, conns := range []int{1, 4, 64} {
		b.Run(fmt.Sprintf("connections=%d", conns), func(b *testing.B) {
			tg := open(b, noop.Start(b))
			tg.plan, tg.users, tg.chats = target.Plan{Users: 1, Chats: 1, Members: 1}, []user{newUser()}, []chat{newChat(codec.MaxChat)}
			l := &load{text: codec.Text(strings.Repeat("letters ", 8)), done: make(chan error, 1)}
			l.left.Store(int64(b.N))
			l.unanswered.Store(int64(b.N))
			senders := make([]*sender, conns)
			for i := range senders {
				senders[i] = l.dial(b, tg)
			}
			userBefore, systemBefore := processorTime(b)
			b.ResetTimer()
			for _, s := range senders {
				s.submit(window)
			}
			if err := <-l.done; err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			user, system := processorTime(b)
			user, system = user-userBefore, system-systemBefore
			b.ReportMetric(float64(b.N)/(user+system).Seconds(), "req/cpu-s")
			b.ReportMetric(float64(user.Nanoseconds())/float64(b.N), "user-ns/req")
			b.ReportMetric(float64(system.Nanoseconds())/float64(b.N), "sys-ns/req")
			b.ReportMetric(float64(b.N)/float64(l.batches.Load()), "req/batch")
		})
	}
}

// window is the requests in flight on a connection.
const window = 64

// load is a number of requests to send, on some connections.
type load struct {
	text             codec.Text
	left, unanswered atomic.Int64
	batches          atomic.Int64 // of answers
	done             chan error
}

// sender keeps a window of sends in flight on one connection.
type sender struct {
	load *load
	conn target.Conn
	ops  [window]target.Op
}

func (l *load) dial(b *testing.B, tg *Target) *sender {
	s := &sender{load: l}
	for i := range s.ops {
		s.ops[i] = target.Op{Kind: target.Send, Text: l.text}
	}
	var err error
	if s.conn, err = tg.Dial(b.Context(), target.Dial{Window: window}, s); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.conn.Close() })
	return s
}

// submit sends n requests, or as many as are left.
func (s *sender) submit(n int) {
	if n = min(n, int(s.load.left.Add(-int64(n)))+n); n > 0 {
		_ = s.conn.Submit(s.ops[:n]) // Lost tells
	}
}

func (s *sender) Replies(replies []target.Reply) {
	for i := range replies {
		if r := &replies[i]; r.Status != target.OK || r.Index == 0 {
			s.load.done <- fmt.Errorf("answered %+v", *r)
		}
	}
	s.submit(len(replies))
	s.load.batches.Add(1)
	if s.load.unanswered.Add(-int64(len(replies))) == 0 {
		s.load.done <- nil
	}
}

func (s *sender) Lost(err error) {
	if err != nil {
		s.load.done <- err
	}
}

// processorTime is what this process has used so far, itself and in the kernel.
func processorTime(b *testing.B) (user, system time.Duration) {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano()), time.Duration(used.Stime.Nano())
}
