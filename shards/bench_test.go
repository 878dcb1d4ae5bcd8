package shards

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"throng/codec"
)

// All benchmarks are on the real disk, under b.TempDir.

func openBench(b *testing.B, adjust ...options) *Store {
	b.Helper()
	return openFor(b, vfs.Default, append([]options{func(c *Config) {
		c.Dir, c.Memory, c.segment, c.Logger = b.TempDir(), DefaultMemory, 0, slog.New(slog.DiscardHandler)
	}}, adjust...)...)
}

// chatsOfShard returns chats of one shard, each with one member.
func chatsOfShard(b *testing.B, s *Store, to Target, n int) (ids []int64) {
	b.Helper()
	var ops []Op
	for id := int64(1); len(ids) < n; id++ {
		if s.ShardOf(id) == to {
			ids = append(ids, id)
			ops = append(ops, createOp(id, true, alice))
		}
	}
	for _, op := range newClient(s).do(to, ops...) {
		if op.Answer.Status != OK {
			b.Fatalf("create: %s", op.Answer.Status.said())
		}
	}
	return ids
}

const benchText = "0123456789012345678901234567890123456789012345678901234567890123" // 64 bytes

// BenchmarkSend is what one shard makes of a drain of so many sends: applied,
// committed, published. The drains come in one batch each, one after another.
func BenchmarkSend(b *testing.B) {
	for _, sync := range []bool{true, false} {
		for _, drain := range []int{1, 16, 256, 2048} {
			b.Run(fmt.Sprintf("sync=%v/drain=%d", sync, drain), func(b *testing.B) {
				s := openBench(b, func(c *Config) { c.NoSync = !sync })
				benchSends(b, s, drain, benchText, "")
			})
		}
	}
}

// BenchmarkSendText and BenchmarkSendRef show what a send costs in allocations by
// the length of its text, which should not matter, and with a ref.
func BenchmarkSendText(b *testing.B) {
	for _, bytes := range []int{1, 64, 1024, 16384} {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) {
			s := openBench(b, func(c *Config) { c.NoSync = true })
			benchSends(b, s, 256, string(make([]byte, bytes)), "")
		})
	}
}

func BenchmarkSendRef(b *testing.B) {
	s := openBench(b, func(c *Config) { c.NoSync = true })
	benchSends(b, s, 2048, benchText, "0123456789abcdef")
}

func benchSends(b *testing.B, s *Store, drain int, text, ref string) {
	b.Helper()
	const to = Target(0)
	chats := chatsOfShard(b, s, to, 1000)
	c := newClient(s)
	batch := c.batch(make([]Op, drain))
	batch.Bytes = drain * (len(text) + 100)
	body := codec.Text(text)
	refs := make([]byte, 0, drain*(len(ref)+20))
	n := 0
	b.SetBytes(int64(drain * len(text)))
	b.ReportAllocs()
	for b.Loop() {
		refs = refs[:0]
		for i := range batch.Ops {
			op := Op{Kind: Send, Chat: chats[n%len(chats)], User: alice, Text: body, Time: int64(n)}
			if ref != "" { // each another
				start := len(refs)
				refs = strconv.AppendInt(append(refs, ref...), int64(n), 10)
				op.Ref = refs[start:]
			}
			batch.Ops[i] = op
			n++
		}
		if !s.Submit(to, batch) {
			b.Fatal("the mailbox is full")
		}
		c.wait(1)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
	if last := batch.Ops[drain-1].Answer; last.Status != OK || last.Index != int64((n-1)/len(chats)+1) {
		b.Fatalf("the last send: %s, index %d after %d messages", last.Status.said(), last.Index, n)
	}
}

// BenchmarkSendMany is one shard under load: several callers with several batches
// each under way, as loops have them, so that the writer always finds some.
func BenchmarkSendMany(b *testing.B) {
	for _, sync := range []bool{true, false} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			const to, each, underWay = Target(0), 64, 50
			s := openBench(b, func(c *Config) { c.NoSync = !sync })
			chats := chatsOfShard(b, s, to, 1000)
			c := newClient(s)
			body := codec.Text(benchText)
			n := 0
			submit := func(batch *Batch) {
				for i := range batch.Ops {
					batch.Ops[i] = Op{Kind: Send, Chat: chats[n%len(chats)], User: alice, Text: body, Time: int64(n)}
					n++
				}
				if !s.Submit(to, batch) {
					b.Fatal("the mailbox is full")
				}
			}
			for range underWay {
				submit(c.batch(make([]Op, each)))
			}
			n = 0
			b.ReportAllocs()
			for b.Loop() { // one batch
				submit(<-c.home)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "messages/s")
			c.wait(underWay)
		})
	}
}

// BenchmarkRead reads the last 20 messages of random chats of one shard, with 64
// reads in a batch, from memory or from tables.
func BenchmarkRead(b *testing.B) {
	for _, flushed := range []bool{false, true} {
		for _, kind := range []Kind{GetChat, Receive} {
			b.Run(fmt.Sprintf("flushed=%v/%s", flushed, map[Kind]string{GetChat: "get", Receive: "receive"}[kind]), func(b *testing.B) {
				const to, messages = Target(0), 100
				s := openBench(b, func(c *Config) { c.NoSync = true })
				chats := fillChats(b, s, to, 1000, messages)
				if flushed {
					if err := s.shards[to].db.fileAll(); err != nil {
						b.Fatal(err)
					}
				}
				c := newClient(s)
				batch := c.batch(make([]Op, 64))
				n := 0
				b.ReportAllocs()
				for b.Loop() {
					for i := range batch.Ops {
						batch.Ops[i] = Op{
							Kind: kind, Chat: chats[rand.IntN(len(chats))], User: alice, Index: 21 + rand.Int64N(messages-20), Count: 20,
						}
					}
					batch.Bodies = batch.Bodies[:0]
					batch.Budget.Refund(int(batch.Budget.Used()))
					s.Submit(to, batch)
					c.wait(1)
					n += len(batch.Ops)
				}
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "reads/s")
			})
		}
	}
}

// fillChats sends messages to chats of one shard, in turn.
func fillChats(b *testing.B, s *Store, to Target, chats, messages int) []int64 {
	b.Helper()
	ids := chatsOfShard(b, s, to, chats)
	c := newClient(s)
	for range messages {
		var ops []Op
		for _, id := range ids {
			ops = append(ops, sendOp(id, alice, benchText, ""))
		}
		c.do(to, ops...)
	}
	return ids
}

// BenchmarkLoadChat is the first use of a chat that is not in memory: its record,
// its last message, and a member.
func BenchmarkLoadChat(b *testing.B) {
	for _, flushed := range []bool{false, true} {
		b.Run(fmt.Sprintf("flushed=%v", flushed), func(b *testing.B) {
			s := openBench(b, func(c *Config) { c.NoSync = true })
			ids := fillChats(b, s, 0, 1000, 100)
			if flushed {
				if err := s.shards[0].db.fileAll(); err != nil {
					b.Fatal(err)
				}
			}
			store := s.shards[0].db.view
			b.ReportAllocs()
			for b.Loop() {
				id := ids[rand.IntN(len(ids))]
				c, err := store.chat(id)
				if err != nil || c.last != 100 {
					b.Fatal(c, err)
				}
				if ok, err := store.isMember(id, alice); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// BenchmarkFind lists a user's 20 chats, which lie in all shards.
func BenchmarkFind(b *testing.B) {
	s := openBench(b, withShards(4), func(c *Config) { c.NoSync = true })
	c := newClient(s)
	for id := range int64(20) {
		c.group(id+1, alice, bob)
		c.send(id+1, alice, benchText)
	}
	b.ReportAllocs()
	for b.Loop() {
		if op := c.find(alice, 0, 1000); op.Answer.Status != OK {
			b.Fatal(op.Answer.Status.said())
		}
	}
}

// BenchmarkLookup finds users by their tokens, 64 in a batch, in memory and not.
func BenchmarkLookup(b *testing.B) {
	for _, cached := range []bool{true, false} {
		b.Run(fmt.Sprintf("cached=%v", cached), func(b *testing.B) {
			s := openBench(b, func(c *Config) { c.NoSync = true })
			if !cached {
				shrink(s)
			}
			c := newClient(s)
			const users = 10_000
			var ops []Op
			for i := range int64(users) {
				ops = append(ops, Op{Kind: Register, User: uuid.New(), Token: i + 1})
			}
			c.do(s.Accounts(), ops...)
			batch := c.batch(make([]Op, 64))
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch.Ops {
					batch.Ops[i] = Op{Kind: Lookup, Token: rand.Int64N(users) + 1}
				}
				s.Submit(s.Accounts(), batch)
				c.wait(1)
			}
		})
	}
}

// A send costs no allocation of its own, however long its text and its drain are.
func TestAllocationsOfASend(t *testing.T) {
	if testing.Short() {
		t.Skip("counts allocations, which the race detector adds to")
	}
	perSend := func(drain, bytes int) float64 {
		s := openFor(t, vfs.NewMem(), withSegments(8<<20)) // none is filed meanwhile
		c := newClient(s)
		c.group(7, alice)
		text := make(codec.Text, bytes)
		b := c.batch(make([]Op, drain))
		b.Bytes = drain * bytes
		return testing.AllocsPerRun(20, func() {
			for i := range b.Ops {
				b.Ops[i] = Op{Kind: Send, Chat: 7, User: alice, Text: text}
			}
			s.Submit(s.ShardOf(7), b)
			<-c.home // not wait: its guard allocates
		}) / float64(drain)
	}
	// A drain itself costs a few.
	for _, of := range []struct{ drain, bytes int }{{32, 10}, {64, 10}, {64, 1000}, {2048, 10}} {
		got := perSend(of.drain, of.bytes)
		t.Logf("drain of %d sends, %d bytes each: %.3f allocations a send", of.drain, of.bytes, got)
		if got > 0.3 {
			t.Errorf("%.2f allocations a send", got)
		}
	}
}
