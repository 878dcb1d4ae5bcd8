package shards

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"throng/codec"
)

// Epochs: that all is found in them, and what they are for.

// nextEpoch files what there is, and has what comes later be filed in the next epoch.
func nextEpoch(t tb, s *Store) {
	t.Helper()
	fileAll(t, s)
	for _, a := range s.shards {
		a.db.filer.filed.bytes = epochSegments * uint64(a.db.journal.segmentBytes)
	}
}

// Whatever epochs the messages of a chat are in, and those that formats 1 to 3 filed,
// and those that are not filed, a window shows what it should.
func TestWindowsLieOverEpochs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := vfs.NewMem()
		s := open(t, mem, withSegments(1<<20))
		c := newClient(s)
		chats := []int64{7, 8, 9}
		last := map[int64]int64{}
		for _, chat := range chats {
			c.group(chat, alice)
			for range rapid.IntRange(0, 3).Draw(t, "of a former format") {
				last[chat]++
				m := message{sender: alice, text: codec.Text(fmt.Sprint(last[chat]))}
				plantOne(t, s.shards[s.ShardOf(chat)].db, messageKey(former, chat, last[chat]), m.append(nil))
			}
		}
		closeStore(t, s) // it has seen the chats without them
		s = openFor(t, mem, withSegments(1<<20))
		c = newClient(s)
		for range rapid.IntRange(0, 6).Draw(t, "epochs") {
			for _, chat := range chats {
				for range rapid.SampledFrom([]int{0, 1, 2, 3, packMessages + 4}).Draw(t, "messages") {
					last[chat]++
					if a := c.send(chat, alice, fmt.Sprint(last[chat])); a.Index != last[chat] {
						t.Fatalf("message %d of chat %d has index %d (%s)", last[chat], chat, a.Index, a.Status.said())
					}
				}
			}
			switch rapid.IntRange(0, 2).Draw(t, "then") {
			case 0:
				nextEpoch(t, s)
			case 1:
				fileAll(t, s)
			}
		}
		for i := range s.shards {
			forgetState(c, Target(i)) // the newest index is read, too
		}
		for _, chat := range chats {
			for from := int64(1); from <= last[chat]; from++ {
				for _, count := range []int{1, 2, 3, 100} {
					expectRead(t, c, Op{Kind: GetChat, Chat: chat, User: alice, Index: from, Count: count}, max(1, from-int64(count)+1), from)
					expectRead(t, c, Op{Kind: Receive, Chat: chat, User: alice, Index: from, Count: count}, from, min(last[chat], from+int64(count)-1))
				}
			}
			if got := c.get(t, chat, alice); int64(len(got)) != last[chat] {
				t.Fatalf("chat %d has %d messages, not %d", chat, len(got), last[chat])
			}
		}
	})
}

// A segment that has much of each of its chats fills an epoch by itself; one that has
// little does not.
func TestMuchOfAChatFillsAnEpoch(t *testing.T) {
	const segment, segments = 64 << 10, 2 * epochSegments
	for _, test := range []struct {
		chats, text int
		least, most uint32 // epochs; records are larger than their texts
	}{{1, 500, segments - 2, segments * 5 / 4}, {1, 5000, segments - 2, segments * 5 / 4}, {40, 500, 2, 3}} {
		s := openFor(t, vfs.NewMem(), withSegments(segment))
		c := newClient(s)
		var chats []int64
		for chat := int64(1); len(chats) < test.chats; chat++ {
			if s.ShardOf(chat) == 0 {
				c.group(chat, alice)
				chats = append(chats, chat)
			}
		}
		for sent := 0; sent < segments*segment; {
			for _, chat := range chats {
				c.send(chat, alice, strings.Repeat("x", test.text))
				sent += test.text
			}
		}
		fileAll(t, s)
		so, err := s.shards[0].db.view.filed()
		if err != nil || so.epoch < test.least || so.epoch > test.most {
			t.Errorf("%d chats, texts of %d: %d segments are filed in %d epochs (%v)", test.chats, test.text, segments, so.epoch, err)
		}
	}
}

// forgetState has a shard read all from the store again.
func forgetState(c *client, to Target) {
	release := c.hold(to)
	c.store.actor(to).state.reset()
	release()
}

func expectRead(t *rapid.T, c *client, op Op, from, to int64) {
	values := readPage[shownMessage](t, c.one(op)).Values
	if op.Kind == GetChat {
		slices.Reverse(values)
	}
	for i, m := range values {
		if want := from + int64(i); m.Index != want || m.Content != fmt.Sprint(want) {
			t.Fatalf("chat %d, %d messages from %d on: value %d is message %d, %q", op.Chat, op.Count, op.Index, i, m.Index, m.Content)
		}
	}
	if int64(len(values)) != to-from+1 {
		t.Fatalf("chat %d, %d messages from %d on: %d come", op.Chat, op.Count, op.Index, len(values))
	}
}

// noise is a text that Pebble's compression makes no smaller.
func noise(bytes int) string {
	letters := make([]byte, bytes)
	for i := range letters {
		letters[i] = 'a' + byte(rand.IntN(26))
	}
	return string(letters)
}

// What is filed is written again a few times, while its epoch is filled, and never
// after that, however much comes.
func TestAFullEpochIsNotWrittenAgain(t *testing.T) {
	const segment = 64 << 10
	s := openFor(t, vfs.NewMem(), withSegments(segment))
	c := newClient(s)
	var chats []int64 // each of which every filing has something of
	for chat := int64(1); len(chats) < 20; chat++ {
		if s.ShardOf(chat) == 0 {
			c.group(chat, alice)
			chats = append(chats, chat)
		}
	}
	db := s.shards[0].db
	filedBytes := func() uint64 {
		so, err := db.filed()
		if err != nil {
			t.Fatal(err)
		}
		return uint64(max(so.epoch, 1)-1)*epochSegments*segment + so.bytes
	}
	const epochs = 8
	for filedBytes() < epochs*epochSegments*segment {
		var ops []Op
		for _, chat := range chats {
			ops = append(ops, sendOp(chat, alice, noise(1000), ""))
		}
		c.do(0, ops...)
		// One that compacts less often than it could would pass for free.
		eventually(func() bool {
			m := db.pebble.Metrics()
			return m.Compact.NumInProgress == 0 && m.Levels[0].Sublevels < l0Compaction
		}, "end of compactions")
	}
	m := db.pebble.Metrics()
	var compacted uint64
	for _, level := range m.Levels[1:] {
		compacted += level.TableBytesCompacted
	}
	if m.Compact.Count == 0 || compacted == 0 {
		t.Fatal("nothing was compacted: this tests nothing")
	}
	t.Logf("%d compactions, %d bytes filed, %d compacted", m.Compact.Count, filedBytes(), compacted)
	if ratio := float64(compacted) / float64(filedBytes()); ratio > 2.5 {
		t.Errorf("in %d epochs, %.1f times what was filed was written again", epochs, ratio)
	}
}

// What a crash leaves in the journal though it is filed is not filed once more, nor
// kept for ever.
func TestWhatIsFiledIsNotFiledAgain(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := open(t, d, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range 20 {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	nextEpoch(t, s) // a second filing of it would be in another
	for i := range 20 {
		c.send(7, alice, fmt.Sprint(i+21))
	}
	db := s.shards[s.ShardOf(7)].db
	takeIn(t, db)
	crashed := mem.clone(0, nil)
	closeStore(t, s)

	s = open(t, crashed, withSegments(1<<20))
	db = s.shards[s.ShardOf(7)].db
	if n := len(db.journal.segments); n != 0 {
		t.Errorf("%d segments hold what is filed", n)
	}
	if numbers := logNumbers(t, db); len(numbers) != 0 {
		t.Errorf("the journal keeps the commits %d, which are filed", numbers)
	}
	c = newClient(s)
	if a := c.send(7, alice, "41"); a.Index != 41 {
		t.Errorf("the next message has index %d (%s)", a.Index, a.Status.said())
	}
	expectNumbered(t, c.history(t, 7, alice))
	fileAll(t, s)
	closeStore(t, s)
	if report, err := Verify(testConfig(crashed), quiet); err != nil || report.Faulty > 0 || report.Messages != 41 {
		t.Errorf("%+v, %v", report, err)
	}
}

// Where tables are not taken in, a crash in the midst of writing their messages
// through memtables leaves none filed in name only, and none in an epoch behind that which
// they are filed in at last, whatever --memory the next start has.
func TestACrashWhileMessagesAreFiledThroughTheLog(t *testing.T) {
	const segment = 8 * filingBatch
	mem := newCrashFS()
	d := newDisk(mem)
	s := open(t, d, withSegments(segment))
	c := newClient(s)
	var chats []int64
	for chat := int64(1); len(chats) < 5; chat++ {
		if s.ShardOf(chat) == 0 {
			chats = append(chats, chat)
			c.group(chat, alice)
		}
	}
	text := strings.Repeat("text ", 2000)
	for range 5 {
		for _, chat := range chats[1:] { // of the first, nothing is filed yet
			c.send(chat, alice, text)
		}
	}
	fileAll(t, s)
	db := s.shards[0].db
	full := filed{commit: db.commits, epoch: 1, bytes: epochSegments * segment, noted: true, packed: true} // the next is of another epoch
	plantOne(t, db, filedKey, full.encode())
	db.filer.filed = full
	for range 7 * filingBatch / len(text) / len(chats) {
		for _, chat := range chats {
			c.send(chat, alice, text)
		}
	}
	last := map[int64]int64{}
	for _, chat := range chats {
		last[chat] = c.get(t, chat, alice)[0].Index
	}
	var mu sync.Mutex
	var clones []*crashFS
	d.on(func(op errorfs.Op) error {
		switch {
		case op.Kind == errorfs.OpLink:
			return syscall.EPERM
		case op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst"): // some batches fill a memtable
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, mem.clone(100, rand.New(rand.NewPCG(1, 2))))
		}
		return nil
	})
	db.journal.fileAll()
	d.on(nil)
	clones = append(clones, mem.clone(0, nil))
	closeStore(t, s)
	if len(clones) < 2 {
		t.Errorf("%d crashes", len(clones))
	}
	for i, crashed := range clones {
		for _, segment := range []int{segment / 4, segment, 2 * segment} {
			t.Run(fmt.Sprintf("crash %d, then segments of %d", i, segment), func(t *testing.T) {
				fs := crashed.clone(100, rand.New(rand.NewPCG(1, 2)))
				expectVerified(t, fs)
				s := open(t, fs, withSegments(segment))
				fileAll(t, s)
				forgetState(newClient(s), 0)
				nextEpoch(t, s)
				for _, chat := range chats {
					c := newClient(s)
					if a := c.send(chat, alice, text); a.Index != last[chat]+1 {
						t.Errorf("chat %d has %d messages, and the next has index %d (%s)", chat, last[chat], a.Index, a.Status.said())
					}
				}
				fileAll(t, s)
				for _, chat := range chats {
					if n := len(newClient(s).history(t, chat, alice)); int64(n) != last[chat]+1 {
						t.Errorf("chat %d has %d messages, not %d", chat, n, last[chat]+1)
					}
				}
				closeStore(t, s)
				expectVerified(t, fs)
			})
		}
	}
}

// Wherever a crash cuts the filing through memtables off, no epoch lists a chat in vain:
// many small chats, so that some list comes at the end of a batch.
func TestACrashBetweenTheBatchesListsNoChatInVain(t *testing.T) {
	const segment = 8 * filingBatch
	first, last := 57, 61 // each comes upon it
	if testing.Short() {
		first = last
	}
	for pad := first; pad <= last; pad++ {
		mem := newCrashFS()
		d := newDisk(mem)
		// With so many shards a memtable is smaller than a batch: each is flushed by itself.
		s := open(t, d, withSegments(segment), withShards(MaxShards))
		c := newClient(s)
		text := strings.Repeat("x", 20)
		var ops []Op // each commit has the file system in memory copy the log's file
		for chat, chats := int64(1), 0; chats < 20000; chat++ {
			if s.ShardOf(chat) != 0 {
				continue
			}
			ops = append(ops, createOp(chat, true, alice))
			if chats++; chats == 1 {
				ops = append(ops, sendOp(chat, alice, strings.Repeat("y", 1+pad), ""))
			} else {
				ops = append(ops, sendOp(chat, alice, text, ""))
			}
			if chats%1000 == 0 {
				c.do(0, ops...)
				ops = nil
			}
		}
		var mu sync.Mutex
		linked := false
		var clones []*crashFS
		d.on(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case op.Kind == errorfs.OpLink:
				linked = true
				return syscall.EPERM
			case linked && strings.HasPrefix(op.Path, "data/shard-000/") && op.Kind == errorfs.OpCreate:
				clones = append(clones, mem.clone(100, rand.New(rand.NewPCG(1, 2))))
			}
			return nil
		})
		s.shards[0].db.journal.fileAll()
		d.on(nil)
		closeStore(t, s)
		if len(clones) < 2 {
			t.Fatalf("%d crashes while messages are filed: this tests nothing", len(clones))
		}
		for i, crashed := range clones[1:] {
			if expectVerified(t, crashed); t.Failed() {
				t.Fatalf("crash %d, the first text has %d bytes", i+1, 1+pad)
			}
		}
	}
}

func expectVerified(t *testing.T, fs vfs.FS) {
	t.Helper()
	if report, err := Verify(testConfig(fs), quiet); err != nil || report.Faulty > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// A directory of format 4 noted no newest messages: where none is noted, they are looked
// for.
func TestADirectoryWithoutNewestMessagesIsTakenOver(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	chats := []int64{7, 8, 9}
	for _, chat := range chats {
		c.group(chat, alice)
		for range 5 {
			c.send(chat, alice, "hello")
		}
	}
	fileAll(t, s)
	for _, a := range s.shards {
		so, err := a.db.view.filed()
		if err != nil || !so.noted {
			t.Errorf("it is filed up to %+v (%v)", so, err)
		}
		former := so.encode()
		b := a.db.pebble.NewBatch()
		err = errors.Join(b.Set(filedKey, former[:len(former)-1], nil),
			b.DeleteRange([]byte{newestPrefix}, []byte{newestPrefix + 1}, nil), plant(a.db, b))
		if err != nil {
			t.Fatal(err)
		}
	}
	closeAs(t, s, 4)
	expectVerified(t, mem)
	for again := range int64(3) {
		s = open(t, mem, withSegments(1<<20))
		c = newClient(s)
		for _, chat := range chats[:2] { // of the third nothing is noted
			if a := c.send(chat, alice, "hello"); a.Index != 6+again {
				t.Fatalf("message %d has index %d (%s)", 6+again, a.Index, a.Status.said())
			}
		}
		fileAll(t, s)
		closeStore(t, s)
		expectVerified(t, mem)
	}
	s = openFor(t, mem)
	if a := newClient(s).send(9, alice, "hello"); a.Index != 6 {
		t.Errorf("message 6 has index %d (%s)", a.Index, a.Status.said())
	}
}

// An older program that was let open the directory files behind what is noted, and leaves
// out that all is noted: then nothing of it counts.
func TestWhatAnOlderProgramFiledBehindIsFound(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for range 6 {
		c.send(7, alice, "hello")
	}
	fileAll(t, s)
	db := s.shards[s.ShardOf(7)].db
	so, err := db.view.filed()
	former := so.encode()
	b := db.pebble.NewBatch()
	err = errors.Join(err, b.Set(filedKey, former[:len(former)-1], nil), b.Set(newestKey(7), encodeNewest(5, 1), nil), plant(db, b))
	if err != nil {
		t.Fatal(err)
	}
	closeAs(t, s, 4)
	expectVerified(t, mem)
	s = openFor(t, mem, withSegments(1<<20))
	if a := newClient(s).send(7, alice, "hello"); a.Index != 7 {
		t.Errorf("message 7 has index %d (%s)", a.Index, a.Status.said())
	}
}

// A directory of format 3 filed all messages in one place, and noted that before they
// were there where they went through the log: what its journal holds is filed again.
func TestADirectoryWithoutEpochsIsTakenOver(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range 5 {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	db := s.shards[s.ShardOf(7)].db
	for _, m := range c.history(t, 7, alice)[:3] { // the others are filed in name only
		stored := message{sender: alice, time: m.Time, text: codec.Text(m.Content)}
		plantOne(t, db, messageKey(former, 7, m.Index), stored.append(nil))
	}
	plantOne(t, db, formerFiledKey, encodeNumber(db.commits))
	closeAs(t, s, 3)
	for again := range 3 {
		if report, err := Verify(testConfig(mem), quiet); err != nil || report.Faulty > 0 || report.Messages != int64(5+again) {
			t.Errorf("%+v, %v", report, err)
		}
		s = open(t, mem, withSegments(1<<20))
		c = newClient(s)
		if a := c.send(7, alice, fmt.Sprint(6+again)); a.Index != int64(6+again) {
			t.Fatalf("message %d has index %d (%s)", 6+again, a.Index, a.Status.said())
		}
		fileAll(t, s)
		expectNumbered(t, c.history(t, 7, alice))
		closeStore(t, s)
	}
	if text := readFile(t, mem, mem.PathJoin(testDir, formatFile)); !strings.Contains(text, fmt.Sprintf(`"format":%d,`, formatVersion)) {
		t.Errorf("its format is %s", text)
	}
}
