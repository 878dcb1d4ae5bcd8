package shards

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"throng/codec"
)

// Every fault of a Config is told at once, and the zero value of each field but
// Dir is its default.
func TestConfig(t *testing.T) {
	bad := Config{Shards: 99, Memory: 1, MailboxRequests: -1, ReplyBytes: -1, OpenFiles: -1}
	err := bad.fill()
	if err == nil {
		t.Fatal("a Config full of faults is accepted")
	}
	for _, fault := range []string{"no data directory", "shards", "memory", "mailbox", "reply", "file"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("the fault of the %s is not told: %v", fault, err)
		}
	}
	if _, err := Open(bad); err == nil {
		t.Error("a Config full of faults was opened")
	}

	good := Config{Dir: "d"}
	if err := good.fill(); err != nil {
		t.Fatal(err)
	}
	if good.Memory != DefaultMemory || good.MailboxRequests != DefaultMailboxRequests ||
		good.MailboxBytes != DefaultMailboxBytes || good.ReplyBytes != DefaultReplyBytes ||
		good.OpenFiles != DefaultOpenFiles || good.FS != vfs.Default || good.Logger != slog.Default() {
		t.Errorf("defaults: %+v", good)
	}

	for _, edge := range []Config{
		{Dir: "d", Shards: MinShards, Memory: MinMemory, MailboxRequests: 1, MailboxBytes: 1, ReplyBytes: 1, OpenFiles: 1},
		{Dir: "d", Shards: MaxShards},
	} {
		if err := edge.fill(); err != nil {
			t.Errorf("%+v: %v", edge, err)
		}
	}
}

func asError(cause any) error {
	err, _ := cause.(error)
	return err
}

// The default of Fatal panics: an answer that depends on a failed write can not
// get out by default. And whoever calls Fatal is held where it returns.
func TestFatalEndsWhoeverCalledIt(t *testing.T) {
	failure := errors.New("disk on fire")
	if got := panicOf(func() {
		c := Config{Dir: "d"}
		_ = c.fill()
		c.Fatal(failure)
	}); !errors.Is(asError(got), failure) {
		t.Errorf("the default of Fatal: %v", got)
	}
	var told error
	if panicOf(func() { die(func(err error) { told = err }, failure) }) == nil || !errors.Is(told, failure) {
		t.Errorf("a Fatal that returned lets its caller go on, told %v", told)
	}
	if panicOf(func() {
		l := &pebbleLogger{log: slog.New(slog.DiscardHandler), fatal: func(err error) { told = err }}
		l.Fatalf("sync of %s failed", "000004.log")
	}) == nil || !strings.Contains(told.Error(), "sync of 000004.log failed") {
		t.Errorf("Pebble's Fatalf returned, told %v", told)
	}
}

func panicOf(f func()) (cause any) {
	defer func() { cause = recover() }()
	f()
	return nil
}

// A store of the smallest bounds works, however poorly.
func TestTheSmallestStoreWorks(t *testing.T) {
	s := openFor(t, vfs.NewMem(), func(c *Config) {
		c.Shards, c.OpenFiles, c.ReplyBytes, c.MailboxRequests, c.MailboxBytes = MaxShards, 1, 1, 1, 1
	})
	c := newClient(s)
	if got := c.group(7, alice, bob).Status; got != OK {
		t.Fatalf("create: %s", got.said())
	}
	longest := strings.Repeat(`\u0000`, codec.DefaultLimits.Text) // 384 KiB: most of a memtable
	for range 5 {
		if got := c.send(7, alice, longest).Status; got != OK {
			t.Fatalf("send: %s", got.said())
		}
	}
	for i := int64(1); i <= 5; i++ { // a page holds one message whatever its size
		page := readPage[shownMessage](t, c.one(Op{Kind: Receive, Chat: 7, User: bob, Index: i, Count: 10}))
		if len(page.Values) != 1 || page.Values[0].Index != i || len(page.Values[0].Content) != codec.DefaultLimits.Text {
			t.Fatalf("the page from message %d shows %d messages", i, len(page.Values))
		}
	}
}

// A mailbox over its limit refuses at once, and nothing of what it refused is
// done.
func TestAFullMailboxRefuses(t *testing.T) {
	s := openFor(t, vfs.NewMem(), func(c *Config) { c.MailboxRequests = 4 })
	c := newClient(s)
	c.group(7, alice)
	to := s.ShardOf(7)
	release := c.hold(to)
	if s.Busy(to) {
		t.Error("an empty mailbox is busy")
	}
	one := func(text string) []Op { return []Op{sendOp(7, alice, text, "")} }
	taken := c.submit(to, one("1"), one("2"), one("3"), one("4"), one("5"), one("6"))
	if taken != 4 || !s.Busy(to) {
		t.Errorf("a mailbox of 4 took %d, busy %v", taken, s.Busy(to))
	}
	if other := s.ShardOf(7) ^ 1; s.Busy(other) || s.Busy(s.Accounts()) {
		t.Error("others are busy with it")
	}
	release()
	c.wait(taken)
	if s.Busy(to) {
		t.Error("busy after all is answered")
	}
	if texts := contents(c.get(t, 7, alice)); !slices.Equal(texts, []string{"4", "3", "2", "1"}) {
		t.Errorf("the chat holds %v", texts)
	}
}

func contents(messages []shownMessage) (texts []string) {
	for _, m := range messages {
		texts = append(texts, m.Content)
	}
	return texts
}

// Chats are spread evenly over the shards, whether their ids are random, count
// up, or have all their low bits in common.
func TestChatsAreSpread(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for shards := MinShards; shards <= MaxShards; shards++ {
		s := &Store{config: Config{Shards: shards}}
		for name, id := range map[string]func(i int) int64{
			"random":   func(int) int64 { return random.Int64N(codec.MaxChat) + 1 },
			"counting": func(i int) int64 { return int64(i) + 1 },
			"low bits": func(i int) int64 { return int64(i) << 38 },
		} {
			const each = 2000
			counts := make([]int, shards)
			for i := range each * shards {
				to := s.ShardOf(id(i))
				if to < 0 || int(to) >= shards {
					t.Fatalf("a chat belongs to shard %d of %d", to, shards)
				}
				counts[to]++
			}
			if slices.Min(counts) < each*8/10 || slices.Max(counts) > each*12/10 {
				t.Errorf("%d shards, %s ids: %v", shards, name, counts)
			}
		}
	}
}

// A chat's shard depends on its id and the number of shards alone, for the data
// on disk depends on it: these may never change.
func TestShardsOfChatsNeverChange(t *testing.T) {
	for _, known := range []struct {
		chat   int64
		shards int
		want   Target
	}{
		{1, 2, 0},
		{2, 2, 1},
		{7, 2, 1},
		{114514, 2, 1},
		{codec.MaxChat, 2, 1},
		{1, 16, 12},
		{2, 16, 7},
		{7, 16, 13},
		{114514, 16, 15},
		{codec.MaxChat, 16, 5},
	} {
		s := &Store{config: Config{Shards: known.shards}}
		if got := s.ShardOf(known.chat); got != known.want {
			t.Errorf("chat %d of %d shards belongs to %d, not %d", known.chat, known.shards, got, known.want)
		}
	}
}

// A pair's chat is the same from either side, another for another attempt, for
// another pair and under another key, and within the range of chat ids.
func TestPairChats(t *testing.T) {
	one, other := &secret{1}, &secret{2}
	seen := map[int64]bool{}
	for range 200 {
		a, b := uuid.New(), uuid.New()
		for attempt := range 3 {
			id := one.pairChat(a, b, attempt)
			if id != one.pairChat(b, a, attempt) {
				t.Fatal("the two sides of a pair have two chats")
			}
			if id < 1 || id > codec.MaxChat {
				t.Fatalf("chat id %d is out of range", id)
			}
			if seen[id] || seen[other.pairChat(a, b, attempt)] {
				t.Fatal("two pairs have one chat")
			}
			seen[id] = true
		}
	}
	for bit := range 53 { // all bits are in use
		set := 0
		for id := range seen {
			set += int(id >> bit & 1)
		}
		if set < len(seen)/3 || set > len(seen)*2/3 {
			t.Errorf("bit %d is set in %d of %d ids", bit, set, len(seen))
		}
	}
}

// Pairs and tokens on disk depend on these hashes: they may never change. The
// values were computed with Python's hmac.
func TestSecretNeverChanges(t *testing.T) {
	s := &secret{1, 2, 3}
	if got, want := s.pairChat(alice, bob, 0), int64(8762092502914920); got != want {
		t.Errorf("the pair's chat is %d, not %d", got, want)
	}
	const want = "92ff2837459735dfa1a8ff405e4625dd0c25137196186f2e42630e6ddcb46000"
	if got := s.token(114514); hex.EncodeToString(got[:]) != want {
		t.Errorf("the token's mac is %x, not %s", got, want)
	}
	if s.token(1) == s.token(2) || s.token(1) == (&secret{}).token(1) {
		t.Error("two tokens, or two keys, have one mac")
	}
}

// A token that the server proposed is given up on after a few that are taken.
func TestIssuingGivesUp(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	issue := func(id string, token int64) Answer {
		return c.one(Op{Kind: Register, User: userID(id), Token: token, Issue: true}).Answer
	}
	for i := range int64(maxIssueTries) {
		if a := c.register(uuid.New(), 100+i, ""); a.Status != OK {
			t.Fatalf("register: %s", a.Status.said())
		}
	}
	if a := issue("late", 100); a.Status != Taken {
		t.Errorf("all tokens that it may try are taken: %s, token %d", a.Status.said(), a.Index)
	}
	if a := issue("late", 101); a.Status != OK || a.Index != 100+maxIssueTries {
		t.Errorf("the last one it may try is free: %s, token %d", a.Status.said(), a.Index)
	}
}

// FreeBytes is what the directory's file system has left, or an error.
func TestFreeBytes(t *testing.T) {
	fs := vfs.NewMem()
	s := openFor(t, fs)
	if _, err := s.FreeBytes(); err == nil {
		t.Error("a file system that does not know has free space")
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 12345})
	if free, err := s.FreeBytes(); err != nil || free != 12345 {
		t.Errorf("%d bytes are free, %v", free, err)
	}
}

// Without sync, answers come before the sync and everything else is the same.
func TestNoSync(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, func(c *Config) { c.NoSync = true })
	c := newClient(s)
	c.group(7, alice)
	if a := c.send(7, alice, "hello"); a.Status != OK || a.Index != 1 {
		t.Errorf("send: %s, index %d", a.Status.said(), a.Index)
	}
	if texts := contents(c.get(t, 7, alice)); !slices.Equal(texts, []string{"hello"}) {
		t.Errorf("the chat holds %v", texts)
	}
	closeStore(t, s) // a store that was closed in peace is whole
	s = openFor(t, fs)
	if texts := contents(newClient(s).get(t, 7, alice)); !slices.Equal(texts, []string{"hello"}) {
		t.Errorf("after closing in peace the chat holds %v", texts)
	}
}

// Close carries out all that waits: every batch that was taken comes home
// answered, lists of chats included, which need all shards.
func TestCloseCarriesOutWhatWaits(t *testing.T) {
	s := open(t, vfs.NewMem(), withShards(4))
	c := newClient(s)
	chats := []int64{1, 2, 3, 4, 5, 6, 7, 8}
	for _, chat := range chats {
		c.group(chat, alice)
	}
	n := 0
	var finds [][][]Op
	for range 20 {
		for _, chat := range chats {
			n += c.submit(s.ShardOf(chat),
				[]Op{sendOp(chat, alice, "hello", "")},
				[]Op{{Kind: Receive, Chat: chat, User: alice, Index: 1, Count: 10}})
		}
		n += c.submit(s.Accounts(), []Op{{Kind: Lookup, Token: 1}})
		finds = append(finds, c.submitFind(NewFind(alice, 0, 10, s.Shards())))
		n += s.Shards()
	}
	closeStore(t, s)
	if got := len(c.home); got != n {
		t.Errorf("%d of %d batches came home", got, n)
	}
	for len(c.home) > 0 {
		for _, op := range (<-c.home).Ops {
			switch op.Answer.Status {
			case OK, Elsewhere, NoUser:
			default:
				t.Errorf("an operation of kind %d: %s", op.Kind, op.Answer.Status.said())
			}
		}
	}
	for _, lists := range finds {
		if page := readPage[shownChat](t, answered(lists)); len(page.Values) != len(chats) {
			t.Errorf("a list of chats shows %d of %d", len(page.Values), len(chats))
		}
	}
}

// A list of chats that a shard is still to contribute to keeps the others' stores
// open: Close closes none before all actors are done.
func TestCloseWaitsForAllShardsBeforeItClosesAny(t *testing.T) {
	s := open(t, vfs.NewMem())
	c := newClient(s)
	c.group(1, alice)
	c.group(2, alice)
	release := c.hold(Target(1))
	lists := c.submitFind(NewFind(alice, 0, 10, s.Shards()))
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for s.Submit(Target(0), &Batch{Home: c.home}) {
		await(c.home, "answer") // not closing yet
	}
	time.Sleep(10 * time.Millisecond) // what Close could do too early, it does now
	release()
	if err := await(closed, "end of Close"); err != nil {
		t.Errorf("close: %v", err)
	}
	if page := readPage[shownChat](t, c.gather(lists)); len(page.Values) != 2 {
		t.Errorf("the list of chats shows %d of 2", len(page.Values))
	}
}

// A closed store takes nothing more.
func TestAClosedStoreRefuses(t *testing.T) {
	s := open(t, vfs.NewMem())
	c := newClient(s)
	closeStore(t, s)
	if got := c.send(7, alice, "late").Status; got != Busy {
		t.Errorf("send: %s", got.said())
	}
}

// A store that was opened and closed leaves no goroutine, and neither does one
// that could not be opened.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := goleak.IgnoreCurrent()
	fs := vfs.NewMem()
	for range 3 {
		s := open(t, fs)
		c := newClient(s)
		c.register(alice, 1, "")
		c.group(7, alice)
		c.send(7, alice, "hello")
		c.get(t, 7, alice)
		c.find(alice, 0, 10)
		closeStore(t, s)
	}
	s := open(t, fs)
	if _, err := Open(testConfig(fs)); err == nil {
		t.Error("a directory was opened twice")
	}
	closeStore(t, s)
	if err := fs.RemoveAll(fs.PathJoin(testDir, "shard-001")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testConfig(fs)); err == nil {
		t.Error("a directory without one of its databases was opened")
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// The memory that Pebble was given comes back: opening and closing over and over
// does not grow the process. Pebble's cache lies outside of Go's heap, so that a
// leak would show in nothing else than the counter of its blocks.
func TestMemoryIsGivenBack(t *testing.T) {
	fs := vfs.NewMem()
	var before, after runtime.MemStats
	for i := range 12 {
		if i == 2 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
		closeStore(t, open(t, fs))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("10 times opened and closed, the heap grew by %d bytes", grown)
	}
}
