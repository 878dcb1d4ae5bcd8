package shards

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
)

// Nobody waits for another longer than need be: what is dear, much or broken is
// held to turns and bounds.

// A batch of many reads, or of large ones, is read in turns: a small one that came
// after it is answered before it, and each turn goes on where the last one ended.
func TestTurnsGoOnWhereTheyEnded(t *testing.T) {
	for name, large := range map[string]struct {
		reads, count int
		text         string
	}{
		"many reads":  {turnReads * 5, 1, "short"},
		"large reads": {8, 100, strings.Repeat("x", turnBytes/400)},
	} {
		t.Run(name, func(t *testing.T) {
			s := openFor(t, vfs.NewMem())
			c := newClient(s)
			c.group(7, alice)
			for range 100 {
				c.send(7, alice, large.text)
			}
			to := s.ShardOf(7)
			release := c.holdReader(7, alice)
			others := c.holdOtherReaders(7, alice) // one reader does it all, so that the order is known
			defer others()
			var lists [][]Op
			for range 2 {
				var ops []Op
				for i := range large.reads {
					ops = append(ops, Op{Kind: GetChat, Chat: 7, User: alice, Index: -1 - int64(i%100), Count: large.count})
				}
				lists = append(lists, ops)
			}
			c.submit(to, lists...)
			small := []Op{{Kind: GetChat, Chat: 7, User: alice, Index: 1, Count: 1}}
			c.submit(to, small)
			c.settle(to)
			release()
			if first := await(c.home, "answer"); &first.Ops[0] != &small[0] {
				t.Error("a large batch is answered before the small one behind it")
			}
			c.wait(len(lists))
			for _, ops := range append(lists, small) {
				for i, op := range ops {
					want := 100 - int64(i%100)
					if len(ops) == 1 {
						want = 1
					}
					values := readPage[shownMessage](t, op).Values
					if values[0].Index != want || len(values) != int(min(int64(op.Count), want)) {
						t.Fatalf("read %d shows %d messages from %d", i, len(values), values[0].Index)
					}
				}
			}
		})
	}
}

// A list of chats that the readers have no room for is Busy, once, and leaves
// nothing of the store open: Close would tell.
func TestListsOfChatsThatFindNoReaderAreBusy(t *testing.T) {
	const room = 4
	s := openFor(t, vfs.NewMem(), func(c *Config) { c.MailboxRequests = room })
	c := newClient(s)
	c.group(7, alice)
	to := s.ShardOf(7)
	release := c.holdReaders(7, alice)
	waiting := c.differentReads(7, alice, room)
	c.submit(to, waiting)
	c.settle(to)
	for _, order := range [][]Target{{to ^ 1, to}, {to, to ^ 1}} {
		find := NewFind(alice, 0, 10, 2)
		var lists [][]Op
		for _, part := range order {
			ops := []Op{{Kind: FindChats, Find: find}}
			c.submit(part, ops)
			c.wait(1)
			lists = append(lists, ops)
		}
		// Only the last one needs a reader.
		want := map[bool]Status{true: Busy, false: OK}[order[1] == to]
		if got := answered(lists).Answer.Status; got != want {
			t.Errorf("a list of chats, read in shard %d: %s, want %s", order[1], got.said(), want.said())
		}
	}
	release()
	c.wait(1)
}

// A drain full of operations that panic costs its batches, and does not make the
// actor apply the others over and over: after a few panics a batch is given up as
// a whole. What is answered OK is done, once.
func TestADrainFullOfPanics(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	var applied atomic.Int64
	for _, a := range s.shards {
		a.state = counting{a.state, &applied}
	}
	c := newClient(s)
	c.group(7, alice)
	const batches, each = 40, 50
	var lists [][]Op
	for range batches {
		ops := []Op{sendOp(7, alice, "beside a panic", "")}
		for range each {
			ops = append(ops, bogus())
		}
		lists = append(lists, ops, []Op{sendOp(7, alice, "innocent", "")})
	}
	applied.Store(0)
	c.together(s.ShardOf(7), lists...)
	done := 0
	for i, ops := range lists {
		switch status := ops[0].Answer.Status; {
		case status == OK:
			done++
			if ops[0].Answer.Index != int64(done) {
				t.Errorf("message %d has index %d", done, ops[0].Answer.Index)
			}
		case status != Crashed || len(ops) == 1:
			t.Errorf("batch %d: %s", i, status.said())
		}
		for _, op := range ops[1:] {
			if op.Answer.Status != Crashed {
				t.Errorf("an operation of no kind: %s", op.Answer.Status.said())
			}
		}
	}
	if done < batches {
		t.Errorf("%d messages are done, of %d innocent ones", done, batches)
	}
	if got := len(c.history(t, 7, alice)); got != done {
		t.Errorf("the chat holds %d messages, %d were answered OK", got, done)
	}
	if most := int64(batches * (batches + each)); applied.Load() > most {
		t.Errorf("%d operations were applied for %d", applied.Load(), batches*(each+2))
	}
}

// counting counts what is applied.
type counting struct {
	state
	applied *atomic.Int64
}

func (c counting) apply(op *Op, w *writes) error {
	c.applied.Add(1)
	return c.state.apply(op, w)
}

// A list of chats in a batch that is given up is answered once all the same,
// whichever shard comes last, and leaves nothing open.
func TestAListOfChatsBesidePanics(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	for _, order := range [][]Target{{0, 1}, {1, 0}} {
		find := NewFind(alice, 0, 10, 2)
		var lists [][]Op
		for _, to := range order {
			ops := []Op{{Kind: FindChats, Find: find}}
			if to == 0 {
				for range maxPanics + 2 {
					ops = append(ops, bogus())
				}
			}
			c.submit(to, ops)
			c.wait(1)
			lists = append(lists, ops)
		}
		if status := answered(lists).Answer.Status; status != Busy && status != Crashed {
			t.Errorf("in the order %v: %s", order, status.said())
		}
	}
}

// Once a reply did not fit, none is built until half of them are taken: each would
// be built in vain.
func TestABudgetRefusesUntilHalfIsTaken(t *testing.T) {
	b := NewBudget(100)
	if !b.Take(60) || b.Take(50) {
		t.Fatal("a budget of 100 takes 60 and 50 more, or not even 60")
	}
	for _, step := range []struct {
		refund int
		spent  bool
	}{{0, true}, {5, true}, {4, true}, {1, false}, {0, false}} {
		b.Refund(step.refund)
		if b.Spent() != step.spent {
			t.Errorf("with %d of 100 charged: spent %v", b.Used(), !step.spent)
		}
	}
	if !b.Take(50) || !b.Spent() {
		t.Error("up to the limit it does not take, or it is not spent there")
	}
}

// What clients can bring about again and again fills no log.
func TestErrorsAreRationed(t *testing.T) {
	var log logCounter
	r := &rationed{log: slog.New(&log)}
	for i := range 1000 {
		r.error("again", "i", i)
	}
	if n := log.n.Load(); n < 1 || n > 5 { // 5 seconds of a machine that stands still
		t.Errorf("1000 errors in a row are logged %d times", n)
	}
}

type logCounter struct {
	slog.Handler
	n atomic.Int64
}

func (c *logCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *logCounter) Handle(context.Context, slog.Record) error {
	c.n.Add(1)
	return nil
}

// CreateBytes is about what a Create writes, and not less than half of it.
func TestCreateBytes(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	for _, n := range []int{1, 100, 10_000} {
		var ids []uuid.UUID
		for i := range n {
			ids = append(ids, userID(fmt.Sprint("user ", i)))
		}
		op := createOp(7, true, ids...)
		w := s.shards[0].db.begin()
		if err := newChats(s.shards[0].db.view, 1<<20).apply(&op, w); err != nil {
			t.Fatal(err)
		}
		written, told := w.batch.Len(), CreateBytes(op.Members)
		if told > written || told < written/2 {
			t.Errorf("a chat of %d members writes %d bytes, and %d are told", n, written, told)
		}
		if err := w.batch.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A block that the disk has damaged fails the reads that need it, and nothing
// else: no other chat, and not the process.
func TestADamagedBlockFailsItsReadsAlone(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, withSegments(1<<20))
	c := newClient(s)
	healthy := int64(8)
	for s.ShardOf(healthy) != s.ShardOf(7) {
		healthy++
	}
	var broken string // message 100 of chat 7
	for _, chat := range []int64{7, healthy} {
		c.group(chat, alice)
		for i := range 300 {
			text := noise(500)
			if i == 99 && chat == 7 {
				broken = text
			}
			c.send(chat, alice, text)
		}
	}
	shard := s.shards[s.ShardOf(7)]
	if err := shard.db.fileAll(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	damage(t, fs, fs.PathJoin(testDir, shardName(int(s.ShardOf(7)))), broken[:100])

	s = openFor(t, fs, func(c *Config) {
		c.Fatal = func(err error) { panic(fmt.Sprint("test: the process would end: ", err)) }
	})
	c = newClient(s)
	damaged := Op{Kind: Receive, Chat: 7, User: alice, Index: 100, Count: 1}
	for range 3 {
		if got := c.one(damaged).Answer.Status; got != Failed {
			t.Errorf("a read of the damaged block: %s", got.said())
		}
	}
	if texts := contents(c.get(t, healthy, alice)); len(texts) != 300 {
		t.Errorf("the other chat shows %d messages", len(texts))
	}
	for _, chat := range []int64{7, healthy} { // the end of the chat is healthy
		if a := c.send(chat, alice, "on"); a.Status != OK || a.Index != 301 {
			t.Errorf("a message to chat %d: %s, index %d", chat, a.Status.said(), a.Index)
		}
	}
}

// damage flips a bit in the first text that begins so, in a table of a store.
func damage(t *testing.T, fs *vfs.MemFS, dir, text string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		data, err := fs.UnsafeGetFileDataBuffer(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(data), text); i >= 0 {
			data[i] ^= 1
			return
		}
	}
	t.Fatal("no table holds the text")
}
