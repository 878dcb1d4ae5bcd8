package engine

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throng/codec"
	"throng/shards"
)

const (
	benchConnections = 50
	benchChats       = 1000
	benchTextBytes   = 64
)

// BenchmarkSend is the whole path of a message over a real socket: decode,
// shard, commit, reply. Compare its rows with each other, not with a clock.
//
//	go test ./engine -run '^$' -bench Send -benchtime 500000x -count 3
func BenchmarkSend(b *testing.B) {
	for _, sync := range []string{"always", "off"} {
		for _, pipeline := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("sync=%s/pipeline=%d", sync, pipeline), func(b *testing.B) {
				s := start(b, onDisk(b), asShipped, func(_ *Config, c *shards.Config) { c.NoSync = sync == "off" })
				p, chats := makeChats(b, s.addr)
				text := strings.Repeat("m", benchTextBytes)
				load(b, s.addr, pipeline, func(i int) string { return p.says(chats[i%len(chats)], text) })
			})
		}
	}
}

// BenchmarkRead reads the last 20 messages of a chat that is in memory.
func BenchmarkRead(b *testing.B) {
	for _, pipeline := range []int{1, 16} {
		b.Run(fmt.Sprintf("last=20/pipeline=%d", pipeline), func(b *testing.B) {
			s := start(b, onDisk(b), asShipped)
			p, chats := makeChats(b, s.addr)
			c := dial(b, s.addr)
			for _, chat := range chats {
				for range 20 {
					c.call(b, p.says(chat, strings.Repeat("m", benchTextBytes)))
				}
			}
			load(b, s.addr, pipeline, func(i int) string { return p.reads(chats[i%len(chats)], -1, 20) })
		})
	}
}

// asShipped gives the store its own defaults back.
func asShipped(_ *Config, c *shards.Config) { c.Shards, c.Memory = 0, 0 }

// makeChats registers the bench's user and returns it with the ids of its chats.
func makeChats(tb testing.TB, addr string) (person, []int64) {
	tb.Helper()
	c := dial(tb, addr)
	p := c.newcomer(tb)
	chats := make([]int64, benchChats)
	for i := range chats {
		chats[i] = c.newChat(tb, p)
	}
	return p, chats
}

// load keeps pipeline requests in flight on each connection until b.N are
// answered, all with success.
func load(b *testing.B, addr string, pipeline int, request func(i int) string) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	var running sync.WaitGroup
	clients := make([]*client, benchConnections)
	for i := range clients {
		clients[i] = dial(b, addr)
		if err := clients[i].conn.SetDeadline(time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	start := time.Now()
	for n, c := range clients {
		running.Go(func() {
			frames := make([][]byte, 64)
			for i := range frames {
				frames[i] = codec.AppendFrame(nil, []byte(request(n*len(frames)+i)))
			}
			var out []byte
			for {
				first := next.Add(int64(pipeline)) - int64(pipeline)
				count := min(int64(pipeline), int64(b.N)-first)
				if count <= 0 {
					return
				}
				out = out[:0]
				for i := range count {
					out = append(out, frames[(first+i)%int64(len(frames))]...)
				}
				if _, err := c.conn.Write(out); err != nil {
					b.Error(err)
					return
				}
				for range count {
					if reply, err := c.read(); err != nil || !strings.HasPrefix(string(reply), `{"state_code":200`) {
						b.Errorf("reply %s, error %v", reply, err)
						return
					}
				}
			}
		})
	}
	running.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "requests/s")
}
