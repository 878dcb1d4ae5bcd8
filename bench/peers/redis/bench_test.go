package redis_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"throng/bench/peers/start"
	"throng/bench/target"
)

const (
	benchConnections = 50
	benchChats       = 1000
	benchTextBytes   = 64
	benchWindow      = 16
	benchCount       = 20 // messages of a read
)

// BenchmarkClient is what this client costs the generator, beside a real server on
// the same machine: it must not be what a run measures.
//
//	go test ./bench/peers/redis -run '^$' -bench Client -benchtime 500000x -count 3
func BenchmarkClient(b *testing.B) {
	for _, kind := range []target.Kind{target.Send, target.Read, target.Ping} {
		b.Run(fmt.Sprintf("%v/fsync=everysec/pipeline=%d", kind, benchWindow), func(b *testing.B) {
			r := open(b, serve(b, start.RedisOptions{Fsync: "everysec"}).URL)
			defer r.Close()
			if err := r.Prepare(b.Context(), target.Plan{Chats: benchChats, Users: 1, Members: 1}, nil); err != nil {
				b.Fatal(err)
			}
			if kind == target.Read {
				drive(b, r, target.Send, benchChats*benchCount)
			}
			b.ReportAllocs()
			b.ResetTimer()
			start, used := time.Now(), processor(b)
			drive(b, r, kind, b.N)
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "requests/s")
			b.ReportMetric(float64(b.N)/(processor(b)-used).Seconds(), "requests/cpu-s")
		})
	}
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

// drive asks n times in a closed loop over all connections.
func drive(b *testing.B, r target.Target, kind target.Kind, n int) {
	b.Helper()
	l := &loop{kind: kind, text: make([]byte, benchTextBytes)}
	for i := range l.text {
		l.text[i] = 'm'
	}
	l.left.Store(int64(n))
	l.running.Add(n)
	for range benchConnections {
		s := &session{loop: l}
		conn, err := r.Dial(b.Context(), target.Dial{Window: benchWindow}, s)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		s.conn = conn
		s.submit(benchWindow)
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
	failed  atomic.Int64
	next    atomic.Int64
	running sync.WaitGroup
}

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
		chat := int(s.loop.next.Add(1)) % benchChats
		s.ops = append(s.ops, target.Op{Kind: s.loop.kind, Chat: chat, Index: -1, Count: benchCount, Text: s.loop.text})
	}
	if err := s.conn.Submit(s.ops); err != nil {
		s.loop.failed.Add(1)
	}
}

func (s *session) Replies(replies []target.Reply) {
	for i := range replies {
		if replies[i].Status != target.OK {
			s.loop.failed.Add(1)
		}
	}
	s.submit(len(replies))
	s.loop.running.Add(-len(replies))
}

func (s *session) Lost(error) {}
