package shards

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"throng/codec"
)

// beheaded is what a power cut leaves of a store right after it has taken in tables,
// and then damage of its log: chat 7 of alice was there when the log was cut, and so
// were its first messages; what came later is filed, and the log knows nothing of it.
func beheaded(t *testing.T, later func(c *client), adjust ...options) *crashFS {
	t.Helper()
	return behead(t, func(c *client, db *database) {
		later(c)
		takeIn(t, db)
	}, adjust...)
}

// behead is beheaded where what comes later is in tables, or is not, by itself.
func behead(t *testing.T, later func(c *client, db *database), adjust ...options) *crashFS {
	t.Helper()
	mem := newCrashFS()
	s := open(t, mem, append(adjust, withSegments(1<<20))...)
	c := newClient(s)
	c.group(7, alice)
	for i := range 5 {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	shard := s.ShardOf(7)
	db := s.shards[shard].db
	db.log.settle()
	name := shardName(int(shard))
	logs := logFiles(t, mem, name)
	mark := mem.PathJoin(testDir, name+markSuffix)
	early := readFile(t, mem, mark)

	later(c, db)
	fs := mem.clone(0, nil)
	writeFile(t, fs, mark, early) // as it was within 10 ms
	for path := range logFiles(t, fs, name) {
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range logs {
		writeFile(t, fs, path, text)
	}
	closeStore(t, s)
	return fs
}

// takeIn files what the journal has up to where it is in the store and, still, in the
// journal. The filer files no more.
func takeIn(t *testing.T, db *database) (s *segment, next filed) {
	t.Helper()
	db.filer.close()
	db.filer.stop = make(chan struct{}) // it is closed once more
	db.journal.seal()
	s = db.journal.segments[0]
	next = db.filer.next(s)
	db.log.settle()
	paths, err := db.filer.write(s, next)
	if err == nil {
		err = db.pebble.Ingest(t.Context(), paths)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, next
}

// logFiles returns the files of a database's log.
func logFiles(t *testing.T, fs vfs.FS, name string) map[string]string {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, one := range names {
		if strings.HasPrefix(one, name+logSuffix) {
			files[fs.PathJoin(testDir, one)] = readFile(t, fs, fs.PathJoin(testDir, one))
		}
	}
	return files
}

// goOn is what docs/operating.md says of going on without what is lost.
func goOn(t *testing.T, fs vfs.FS) {
	t.Helper()
	writeFile(t, fs, fs.PathJoin(testDir, formatFile), fmt.Sprintf(`{"format":%d,"shards":2,"made":true}`, formatVersion))
}

// A log that lost commits whose messages are filed is refused, whatever the mark
// says, and with syncs off too; verify tells it.
func TestALogThatEndsBeforeWhatIsFiledIsRefused(t *testing.T) {
	for _, noSync := range []bool{false, true} {
		t.Run(fmt.Sprint("no sync ", noSync), func(t *testing.T) {
			fs := beheaded(t, func(c *client) {
				for i := range 3 {
					c.send(7, alice, fmt.Sprint("later ", i+1))
				}
			}, func(c *Config) { c.NoSync = noSync })
			s, err := Open(testConfig(fs))
			if err == nil {
				closeStore(t, s)
				t.Fatal("it is opened")
			}
			if !strings.Contains(err.Error(), "the last 3 of 9 commits that were synced are missing") {
				t.Errorf("it is refused for %v", err)
			}
			report, err := Verify(testConfig(fs), quiet)
			if err != nil || !strings.Contains(strings.Join(report.Faults, "\n"), "are missing") {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// Who goes on without what the log lost keeps what can be kept of it, and the store
// agrees with itself: no index is given twice, and there is no message of a chat that
// there is not, or of no member.
func TestGoingOnLeavesOutWhatIsLost(t *testing.T) {
	other := int64(8) // of the same shard
	for (&Store{config: Config{Shards: testShards}}).ShardOf(other) != (&Store{config: Config{Shards: testShards}}).ShardOf(7) {
		other++
	}
	fs := beheaded(t, func(c *client) {
		c.send(7, alice, "6")
		c.join(7, bob, "Bob")
		c.send(7, bob, "of one who is no member any more")
		c.send(7, alice, "behind it")
		c.group(other, carol)
		c.send(other, carol, "of a chat that is no more")
		c.send(other, carol, "and another")
	})
	goOn(t, fs)
	closeStore(t, open(t, fs))
	expectVerified(t, fs)
	s := open(t, fs)
	c := newClient(s)
	if a := c.send(7, alice, "7"); a.Status != OK || a.Index != 7 {
		t.Errorf("the next message has index %d (%s)", a.Index, a.Status.said())
	}
	if a := c.group(other, dave); a.Status != OK {
		t.Errorf("a chat of the id that is free again: %s", a.Status.said())
	}
	if a := c.send(other, dave, "first"); a.Index != 1 {
		t.Errorf("its first message has index %d (%s)", a.Index, a.Status.said())
	}
	fileAll(t, s)
	var texts []string
	for _, m := range c.history(t, 7, alice) {
		texts = append(texts, m.Content)
	}
	if want := []string{"1", "2", "3", "4", "5", "6", "7"}; !slices.Equal(texts, want) {
		t.Errorf("the chat has %q", texts)
	}
	if history := c.history(t, other, dave); len(history) != 1 || history[0].Content != "first" {
		t.Errorf("the other has %v", history)
	}
	closeStore(t, s)
	if report, err := Verify(testConfig(fs), quiet); err != nil || report.Faulty > 0 || report.Messages != 7+1 {
		t.Errorf("%+v, %v", report, err)
	}
	closeStore(t, open(t, fs)) // from now on it opens as any other
}

// A ref whose message is lost is left out with it: else a repeat of it would be answered
// with the message of another.
func TestGoingOnLeavesOutRefs(t *testing.T) {
	fs := behead(t, func(c *client, db *database) {
		c.one(sendOp(7, alice, "lost", "ref"))
		if err := db.pebble.Flush(); err != nil { // the ref is in a table
			t.Fatal(err)
		}
	})
	expectRefusedLog(t, fs, "the last 1 of 7 commits that were synced are missing")
	goOn(t, fs)
	s := open(t, fs)
	c := newClient(s)
	c.join(7, bob, "")
	c.send(7, bob, "of another")
	if a := c.one(sendOp(7, alice, "again", "ref")).Answer; a.Status != OK || a.Index != 7 {
		t.Errorf("a repeat of what is lost is answered with message %d (%s)", a.Index, a.Status.said())
	}
	closeStore(t, s)
	expectVerified(t, fs)
}

// A filing that wrote messages into memtables, and did not come to its end, tells how far
// it may have come: a log that ends before is refused, and who goes on without its end
// has nothing of what came behind it.
func TestGoingOnWithoutTheEndOfAFiling(t *testing.T) {
	fs := behead(t, func(c *client, db *database) {
		for i := range 3 {
			c.send(7, alice, fmt.Sprint("lost ", i))
		}
		segment := db.journal.active
		b := db.pebble.NewBatch()
		put := func(key, value []byte) error { return b.Set(key, value, nil) }
		begun := filed{commit: segment.first - 1, epoch: 1, bytes: 1, noted: true, packed: true, begun: segment.last}
		if err := errors.Join(put(filedKey, begun.encode()), put(epochKey(7, 1), nil), segment.messages([]int64{7}, 1, put), plant(db, b)); err != nil {
			t.Fatal(err)
		}
	})
	expectRefusedLog(t, fs, "the last 3 of 9 commits that were synced are missing")
	goOn(t, fs)
	s := open(t, fs, withSegments(1<<20))
	c := newClient(s)
	for i := range 2 {
		if a := c.send(7, alice, fmt.Sprint(i+6)); a.Index != int64(i)+6 {
			t.Errorf("message %d has index %d (%s)", i+6, a.Index, a.Status.said())
		}
	}
	expectNumbered(t, c.history(t, 7, alice))
	closeStore(t, s)
	expectVerified(t, fs)
	s = openFor(t, fs)
	fileAll(t, s)
	expectNumbered(t, newClient(s).history(t, 7, alice))
}

// What the log lost must be left out while the journal still has of a chat what comes
// before what is filed of it.
func TestGoingOnGivesNoIndexTwice(t *testing.T) {
	fs := beheaded(t, func(c *client) { c.send(7, alice, "6") })
	goOn(t, fs)
	s := openFor(t, fs)
	c := newClient(s)
	if a := c.send(7, alice, "7"); a.Status != OK || a.Index != 7 {
		t.Errorf("the next message has index %d (%s)", a.Index, a.Status.said())
	}
	if n := len(c.history(t, 7, alice)); n != 7 {
		t.Errorf("the chat has %d messages", n)
	}
}

// A store that is refused for its journal is left as it is: somebody may read more out
// of it.
func TestARefusedJournalIsNotFiled(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for range 20 {
		c.send(7, alice, strings.Repeat("text ", 500))
	}
	shard := int(s.ShardOf(7))
	db := s.shards[shard].db
	if err := db.log.append(db.journal.ready(), &commitRecord{after: db.commits, number: db.commits + 1, messages: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if s, err := Open(testConfig(mem)); err == nil { // with small segments, which are full at once
		closeStore(t, s)
		t.Fatal("it is opened")
	}
	read, err := openReadOnly(mem, mem.PathJoin(testDir, shardName(shard)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := read.Close(); err != nil {
			t.Error(err)
		}
	}()
	if so, err := (view{from: read}).filed(); so != (filed{noted: true}) || err != nil {
		t.Errorf("it is filed up to %+v (%v)", so, err)
	}
}

// A message that is in a table and in the journal is the same in both, or verify
// tells it.
func TestVerifyComparesWhatIsFiledWithTheJournal(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "text")
	m := message{sender: alice, text: codec.Text("another")}
	plantOne(t, s.shards[s.ShardOf(7)].db, messageKey(1, 7, 1), m.append(nil))
	closeStore(t, s)
	report, err := Verify(testConfig(mem), quiet)
	if err != nil || !strings.Contains(strings.Join(report.Faults, "\n"), "message 1 is another in the journal") {
		t.Errorf("%+v, %v", report, err)
	}
}

// What is left out of a chat is left out of all its epochs at once, or not at all: a
// crash in between leaves a store that goes on.
func TestACrashWhileItIsLeftOut(t *testing.T) {
	fs := beheadedTwice(t)
	goOn(t, fs)
	d := newDisk(fs)
	var s *Store
	clones := crashWhile(d, fs, func(kind errorfs.OpKind) bool { return isSync(kind) || kind == errorfs.OpFileWrite }, func() {
		s = open(t, d, withSegments(1<<20))
	})
	closeStore(t, s)
	if len(clones) < 5 {
		t.Errorf("%d crashes", len(clones))
	}
	for i, crashed := range clones {
		s, err := Open(testConfig(crashed, withSegments(1<<20)))
		if err != nil {
			t.Errorf("crash %d of %d: %v", i, len(clones), err)
			continue
		}
		c := newClient(s)
		if a := c.send(7, alice, "6"); a.Index != 6 {
			t.Errorf("crash %d of %d: the next message has index %d (%s)", i, len(clones), a.Index, a.Status.said())
		}
		if n := len(c.history(t, 7, alice)); n != 6 {
			t.Errorf("crash %d of %d: the chat has %d messages", i, len(clones), n)
		}
		closeStore(t, s)
		expectVerified(t, crashed)
	}
}

// crashWhile returns what power cuts would leave of fs before each operation of some
// kinds on d, which lies over it, while do runs.
func crashWhile(d *disk, fs *crashFS, at func(errorfs.OpKind) bool, do func()) []*crashFS {
	var mu sync.Mutex // databases are opened side by side
	var clones []*crashFS
	d.on(func(op errorfs.Op) error {
		if at(op.Kind) {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, fs.clone(100, rand.New(rand.NewPCG(1, 2))))
		}
		return nil
	})
	do()
	d.on(nil)
	mu.Lock()
	defer mu.Unlock()
	return clones
}

// beheadedTwice is beheaded where what the log has lost is in two epochs: a flush, which
// would have saved who sent it, did not come to its end between them.
func beheadedTwice(t *testing.T) *crashFS {
	t.Helper()
	fs := beheaded(t, func(c *client) {
		c.join(7, bob, "Bob")
		for i := range 3 {
			c.send(7, bob, fmt.Sprint("lost ", i))
		}
		db := c.store.shards[c.store.ShardOf(7)].db
		segment, next := takeIn(t, db)
		db.journal.filed(segment)
		next.bytes = epochSegments * uint64(db.journal.segmentBytes)
		db.filer.filed = next
		c.send(7, bob, "lost too")
	})
	return fs
}

// A directory of format 3 that goes on without what its log has lost keeps what it can
// of that, and knows it after a crash too.
func TestGoingOnFromFormat3(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range 6 {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	db := s.shards[s.ShardOf(7)].db
	history := c.history(t, 7, alice)
	for i := range 9 { // the log has lost 7 to 9; 8 and 9 are of one who is no member any more
		m := message{sender: alice, text: codec.Text(fmt.Sprint(i + 1)), time: history[min(i, 5)].Time}
		if i >= 7 {
			m.sender = bob
		}
		plantOne(t, db, messageKey(former, 7, int64(i)+1), m.append(nil))
	}
	plantOne(t, db, formerFiledKey, encodeNumber(db.commits+3))
	closeAs(t, s, 3)
	writeFile(t, mem, mem.PathJoin(testDir, formatFile), `{"format":1,"shards":2,"made":true}`)
	d := newDisk(mem)
	clones := crashWhile(d, mem, isSync, func() { s = open(t, d, withSegments(1<<20)) })
	clones = append(clones, mem)
	closeStore(t, s)
	for i, crashed := range clones {
		s := open(t, crashed, withSegments(1<<20))
		c := newClient(s)
		if a := c.send(7, alice, "8"); a.Index != 8 {
			t.Errorf("crash %d of %d: the next message has index %d (%s)", i, len(clones), a.Index, a.Status.said())
		}
		fileAll(t, s)
		expectNumbered(t, c.history(t, 7, alice))
		closeStore(t, s)
		expectVerified(t, crashed)
	}
}

// Nothing is filed, and nothing else written that an older program would not find,
// before the format says so: not where another database is refused.
func TestTheFormatIsWrittenFirst(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	for chat := int64(1); chat < 20; chat++ {
		c.group(chat, alice)
		for range 10 {
			c.send(chat, alice, strings.Repeat("x", 1000))
		}
	}
	closeAs(t, s, 3)
	writeFile(t, mem, mem.PathJoin(testDir, shardName(1)+markSuffix), string(newMarkFile(marked{commits: 1 << 30})))
	if s, err := Open(testConfig(mem)); err == nil { // with small segments, which are full at once
		closeStore(t, s)
		t.Fatal("it is opened")
	}
	read, err := openReadOnly(mem, mem.PathJoin(testDir, shardName(0)))
	if err != nil {
		t.Fatal(err)
	}
	so, err := (view{from: read}).filed()
	if err := errors.Join(err, read.Close()); err != nil || so != (filed{noted: true}) {
		t.Errorf("it is filed up to %+v (%v)", so, err)
	}
}
