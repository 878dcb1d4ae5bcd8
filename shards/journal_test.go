package shards

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"pgregory.net/rapid"

	"throng/codec"
)

// A segment shows what was committed, by chat and index, as a map of lists would.
func TestSegmentAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSegment(rapid.IntRange(0, 4096).Draw(t, "bytes"))
		chat := rapid.Int64Range(1, 4)
		firsts := map[int64]int64{}
		var committed, pending map[int64][]string
		copied := func(from map[int64][]string) map[int64][]string {
			to := map[int64][]string{}
			for id, texts := range from {
				to[id] = append([]string(nil), texts...)
			}
			return to
		}
		committed, pending = copied(nil), copied(nil)
		number := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				id := chat.Draw(t, "chat")
				if _, ok := firsts[id]; !ok {
					firsts[id] = rapid.Int64Range(1, 1<<40).Draw(t, "first index")
				}
				for range rapid.SampledFrom([]int{1, 1, 5, 2000}).Draw(t, "messages") {
					text := fmt.Sprint("text ", len(pending[id]))
					s.append(id, firsts[id]+int64(len(pending[id])), &message{time: 7, sender: alice, text: codec.Text(text)})
					pending[id] = append(pending[id], text)
				}
			},
			"commit": func(t *rapid.T) {
				number++
				if err := s.commit(number); err != nil {
					t.Fatal(err)
				}
				committed = copied(pending)
			},
			"drop": func(*rapid.T) {
				s.drop()
				pending = copied(committed)
				for id := range firsts {
					if len(committed[id]) == 0 {
						delete(firsts, id)
					}
				}
			},
			"": func(t *rapid.T) {
				id := chat.Draw(t, "chat")
				expectWindow(t, s, id, firsts[id], committed[id])
				want := int64(0)
				if len(committed[id]) > 0 {
					want = firsts[id] + int64(len(committed[id])) - 1
				}
				if index, _, err := s.newest(id); index != want || err != nil {
					t.Fatalf("the newest of chat %d is %d (%v), not %d", id, index, err, want)
				}
			},
		})
		s.drop()
		expectSorted(t, s, firsts, committed)
	})
}

// expectWindow reads a window, drawn at random, of a chat with these texts.
func expectWindow(t *rapid.T, s *segment, chat, first int64, texts []string) {
	from := first + rapid.Int64Range(-2, int64(len(texts))).Draw(t, "from")
	to := from + rapid.Int64Range(0, 3000).Draw(t, "more")
	offsets, records, found := s.find(nil, chat, from, to)
	low, high := max(from, first), min(to, first+int64(len(texts))-1)
	if len(texts) == 0 || low > high {
		if found != 0 || len(offsets) != 0 {
			t.Fatalf("%d messages of chat %d are found where there is none", len(offsets), chat)
		}
		return
	}
	if found != low || int64(len(offsets)) != high-low+1 {
		t.Fatalf("chat %d: %d … %d has %d messages from %d on, not %d … %d", chat, from, to, len(offsets), found, low, high)
	}
	for i, at := range offsets {
		r, err := readRecord(records[at:])
		var m message
		if err := errors.Join(err, m.decode(r.value)); err != nil {
			t.Fatal(err)
		}
		if index := low + int64(i); r.chat != chat || r.index != index || string(m.text) != texts[index-first] {
			t.Fatalf("message %d of chat %d reads as %d of %d, %q", index, chat, r.index, r.chat, m.text)
		}
	}
}

// expectSorted has the segment list its messages in the order of their keys.
func expectSorted(t *rapid.T, s *segment, firsts map[int64]int64, texts map[int64][]string) {
	var last []byte
	n, noted := 0, 0
	const epoch = 5
	listed := map[int64]bool{}
	err := s.sorted(epoch, func(key, value []byte) error {
		if bytes.Compare(last, key) >= 0 {
			t.Fatalf("%x comes after %x", key, last)
		}
		last = bytes.Clone(key)
		if key[0] == newestPrefix {
			chat := int64(binary.BigEndian.Uint64(key[1:]))
			index, _, err := decodeNewest(value)
			if want := firsts[chat] + int64(len(texts[chat])) - 1; index != want || err != nil {
				t.Fatalf("message %d of chat %d is noted as its newest, not %d (%v)", index, chat, want, err)
			}
			noted++
			return nil
		}
		if key[0] == epochPrefix {
			listed[int64(binary.BigEndian.Uint64(key[1:]))] = keyEpoch(key) == epoch
			return nil
		}
		chat, index := messageChat(key), messageIndex(key)
		if !listed[chat] || messageEpoch(key) != epoch {
			t.Fatalf("message %d of chat %d is in epoch %d, the chat is listed: %v", index, chat, messageEpoch(key), listed[chat])
		}
		var p pack
		if err := p.decode(key, value); err != nil {
			t.Fatal(err)
		}
		for i, value := range p.values {
			if !bytes.HasSuffix(value, []byte(texts[chat][index+int64(i)-firsts[chat]])) {
				t.Fatalf("message %d of chat %d is %q", index+int64(i), chat, value)
			}
		}
		n += len(p.values)
		return nil
	})
	want := 0
	for _, list := range texts {
		want += len(list)
	}
	if err != nil || n != want || noted != len(listed) {
		t.Fatalf("%d messages of %d are listed, of %d chats of %d the newest is noted (%v)", n, want, noted, len(listed), err)
	}
}

// What is held stays as it is, whatever is filed and written meanwhile, and its
// memory is used again only when it is let go.
func TestWhatIsHeldIsNotUsedAgain(t *testing.T) {
	s := openFor(t, vfs.NewMem(), withSegments(2<<20)) // memory of its own
	c := newClient(s)
	c.group(7, alice)
	for i := range 100 {
		c.send(7, alice, fmt.Sprint("text ", i+1))
	}
	db := s.shards[s.ShardOf(7)].db
	walk := db.messages()
	expect := func() {
		t.Helper()
		index := int64(0)
		err := walk.window(7, 1, 100, false, func(i int64, m *message) bool {
			if index++; i != index || string(m.text) != fmt.Sprint("text ", i) {
				t.Errorf("message %d is %d, %q", index, i, m.text)
			}
			return !t.Failed()
		})
		if err != nil || index != 100 {
			t.Errorf("%d messages are there (%v)", index, err)
		}
	}
	expect()
	for range 3 * segmentsPerShard {
		fileAll(t, s)
		c.send(7, alice, strings.Repeat("other", 1000))
	}
	expect()
	if walk.it != nil {
		t.Error("what was held is read from tables: this tests nothing")
	}
	held := walk.held.segments[0]
	walk.close()
	if held.refs != 0 {
		t.Errorf("%d hold it still", held.refs)
	}
	if texts := contents(c.get(t, 7, alice)); len(texts) != 100+3*segmentsPerShard {
		t.Errorf("the chat has %d messages", len(texts))
	}
}

// filingReader has all filed whenever an iterator has just been opened.
type filingReader struct {
	pebble.Reader
	file func()
}

func (r filingReader) NewIter(o *pebble.IterOptions) (*pebble.Iterator, error) {
	it, err := r.Reader.NewIter(o)
	r.file()
	return it, err
}

// What is filed while it is being read is found once: in the journal, as it was
// before the iterator was opened, or in the store.
func TestMessagesAreFoundWhileTheyAreFiled(t *testing.T) {
	s := openFor(t, vfs.NewMem(), withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range 10 {
		if i == 5 {
			fileAll(t, s)
		}
		c.send(7, alice, fmt.Sprint("text ", i+1))
	}
	db := s.shards[s.ShardOf(7)].db
	files := 0
	walk := view{
		from:    filingReader{db.pebble, func() { fileAll(t, s); files++ }},
		journal: db.journal,
	}.messages()
	defer walk.close()
	found := int64(0)
	err := walk.window(7, 1, 10, false, func(i int64, m *message) bool {
		if found++; i != found || string(m.text) != fmt.Sprint("text ", i) {
			t.Errorf("message %d is %d, %q", found, i, m.text)
		}
		return true
	})
	if err != nil || found != 10 {
		t.Errorf("%d messages are found (%v)", found, err)
	}
	if files != 1 {
		t.Errorf("all was filed %d times: this tests nothing", files)
	}
}

// filings counts the tables that a disk has of filings, and what the journals hold.
func filings(t *testing.T, s *Store, fs vfs.FS) (tables, segments int) {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.Contains(name, filingSuffix) {
			tables++
		}
	}
	for _, a := range s.actors() {
		a.db.journal.mu.Lock()
		if a.db.journal.hasSealed() {
			segments += len(a.db.journal.segments)
		}
		a.db.journal.mu.Unlock()
	}
	return tables, segments
}

// dyingInto has a store's Fatal tell of its end, where a process would end.
func dyingInto(died chan<- error) options {
	return func(c *Config) {
		c.Fatal = func(err error) {
			died <- err
			select {}
		}
	}
}

func isFiling(path string) bool { return strings.Contains(path, filingSuffix) }

// logNumbers lists the commits that a database's log has on disk.
func logNumbers(t *testing.T, db *database) (numbers []uint64) {
	t.Helper()
	_, err := newCommitLog(db.log.fs, db.path, false).recover(math.MaxUint64, false, func(r *commitRecord) error {
		numbers = append(numbers, r.number)
		return nil
	}, func(*logFile, uint64) bool { return true })
	if err != nil {
		t.Error(err)
	}
	return numbers
}

// What is filed leaves the log, and nothing else; not before it is in the store.
func TestWhatIsFiledLeavesTheLog(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := openFor(t, d)
	c := newClient(s)
	c.group(7, alice) // commit 1
	db := s.shards[s.ShardOf(7)].db
	file := make(chan struct{})
	var had [][]uint64 // when tables were about to be taken in
	d.on(func(op errorfs.Op) error {
		switch {
		case op.Kind == errorfs.OpCreate && isFiling(op.Path):
			<-file
		case op.Kind == errorfs.OpLink && isFiling(op.Path):
			had = append(had, logNumbers(t, db))
		}
		return nil
	})
	text := strings.Repeat("x", s.config.segment*3/5) // two fill a segment
	for range 5 {
		c.send(7, alice, text)
	}
	close(file)
	eventually(func() bool {
		db.journal.mu.Lock()
		defer db.journal.mu.Unlock()
		return !db.journal.hasSealed()
	}, "end of the filing")
	had = append(had, logNumbers(t, db))
	had = slices.CompactFunc(had, slices.Equal[[]uint64]) // a filing has more than one table
	if want := [][]uint64{{1, 2, 3, 4, 5, 6}, {4, 5, 6}, {6}}; !slices.EqualFunc(had, want, slices.Equal[[]uint64]) {
		t.Errorf("the log had the commits %d, not %d", had, want)
	}
	if n := len(newClient(openFor(t, mem.clone(0, nil))).history(t, 7, alice)); n != 5 { // nor is what else they wrote lost
		t.Errorf("after a crash %d messages are there", n)
	}
}

// Where the tables cannot be taken in as files, the messages get into the store all
// the same: on a file system without links, and where a table in the way is broken.
func TestMessagesAreFiledWithoutLinks(t *testing.T) {
	for name, fault := range map[string]error{"no links": syscall.EPERM, "an error": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			mem := newCrashFS()
			d := newDisk(mem)
			died := make(chan error, 16)
			s := open(t, d, dyingInto(died))
			c := newClient(s)
			c.group(7, alice)
			var failed atomic.Int64
			d.on(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpLink || op.Kind == errorfs.OpOpen && isFiling(op.Path) {
					failed.Add(1)
					return fault
				}
				return nil
			})
			filed := make(chan struct{})
			go func() {
				defer close(filed)
				for i := range 300 {
					c.send(7, alice, fmt.Sprint(i+1, strings.Repeat(" text", 20)))
				}
				fileAll(t, s)
			}()
			select {
			case <-filed:
			case err := <-died:
				t.Fatalf("it died of %v", err)
			}
			if tables, segments := filings(t, s, mem); tables != 0 || segments != 0 || failed.Load() == 0 {
				t.Errorf("%d tables and %d segments are left, %d links failed", tables, segments, failed.Load())
			}
			crashed := mem.clone(0, nil)
			closeStore(t, s)
			c = newClient(openFor(t, crashed))
			if n := len(c.history(t, 7, alice)); n != 300 {
				t.Errorf("after a crash %d messages are there", n)
			}
		})
	}
}

// Messages that are filed though their tables are not taken in are in tables all the same
// before the log lets them go.
func TestMessagesThatAreFiledWithoutTablesAreFlushed(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := openFor(t, d)
	c := newClient(s)
	c.group(7, alice)
	fileAll(t, s)
	d.on(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpLink {
			return syscall.EPERM
		}
		return nil
	})
	text := strings.Repeat("x", s.config.segment*3/5) // two fill a segment
	for range 3 {
		c.send(7, alice, text)
	}
	eventually(func() bool { tables, segments := filings(t, s, mem); return tables+segments == 0 }, "end of the filing")
	db := s.shards[s.ShardOf(7)].db
	eventually(func() bool { return slices.Equal(logNumbers(t, db), []uint64{4}) }, "log without what is filed")
	if n := len(newClient(openFor(t, mem.clone(0, nil))).history(t, 7, alice)); n != 3 {
		t.Errorf("after a crash %d messages are there", n)
	}
}

// A filing that finds no space is tried again, and loses nothing; it is fatal once
// writes wait for it.
func TestAFilingThatFindsNoSpace(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	died := make(chan error, 16)
	s := open(t, d, dyingInto(died))
	t.Cleanup(func() { d.on(nil) })
	c := newClient(s)
	c.group(7, alice)
	var full atomic.Bool
	full.Store(true)
	var failed atomic.Int64
	d.on(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && isFiling(op.Path) && full.Load() {
			failed.Add(1)
			return syscall.ENOSPC
		}
		return nil
	})
	text := strings.Repeat("text ", 300)
	sent := 0
	send := func(n int) {
		for range n {
			if a := c.send(7, alice, text); a.Status != OK {
				t.Fatalf("send: %s", a.Status.said())
			}
			sent++
		}
	}
	send(4) // more than a segment, less than all
	eventually(func() bool { return failed.Load() > 2 }, "a filing that is tried again")
	full.Store(false)
	eventually(func() bool { tables, segments := filings(t, s, mem); return tables+segments == 0 }, "a filing with space again")
	if n := len(c.history(t, 7, alice)); n != sent {
		t.Errorf("%d messages of %d are there", n, sent)
	}

	full.Store(true)
	answered, err := sendUntilItDies(t, c, text, &failed, died)
	sent += answered
	if !strings.Contains(err.Error(), "cannot be filed") || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it died of %v", err)
	}
	c = newClient(openFor(t, mem.clone(0, nil)))
	if n := len(c.history(t, 7, alice)); n < sent {
		t.Errorf("after the end %d messages of %d are there", n, sent)
	}
}

// sendUntilItDies sends to chat 7 while it is answered, until the process ends: before
// what fails has failed many times more, and before more is taken than all segments
// hold. It returns how many were answered.
func sendUntilItDies(t *testing.T, c *client, text string, failed *atomic.Int64, died <-chan error) (answered int, err error) {
	t.Helper()
	for {
		c.submit(c.store.ShardOf(7), []Op{sendOp(7, alice, text, "")})
		tries, done := failed.Load(), false
		eventually(func() bool {
			select {
			case <-c.home:
				done = true
			case err = <-died:
			default:
			}
			return done || err != nil || failed.Load() > tries+8
		}, "answer, and no end")
		switch {
		case err != nil:
			return answered, err
		case !done:
			t.Fatalf("after %d sends they wait for what fails again and again", answered)
		}
		if answered++; answered*len(text) > segmentsPerShard*(c.store.config.segment+len(text)) {
			t.Fatalf("%d messages are taken that are not filed", answered)
		}
	}
}

// What a filing left when it was cut off is removed, and nothing else.
func TestLeftoversOfFilingsAreRemoved(t *testing.T) {
	mem := newCrashFS()
	closeStore(t, open(t, mem))
	for _, name := range []string{"shard-001" + filingSuffix + "0", accountsName + filingSuffix + "13", "shard-001.mine"} {
		writeFile(t, mem, mem.PathJoin(testDir, name), "left")
	}
	s := openFor(t, mem)
	if tables, _ := filings(t, s, mem); tables != 0 {
		t.Errorf("%d tables are left", tables)
	}
	if _, err := mem.Stat(mem.PathJoin(testDir, "shard-001.mine")); err != nil {
		t.Error(err)
	}
}

// A segment becomes several tables, each of a bounded size.
func TestASegmentBecomesSeveralTables(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := openFor(t, d, withSegments(16<<20))
	c := newClient(s)
	c.group(7, alice)
	for range 3 * filingTable >> 20 {
		c.send(7, alice, noise(1<<20))
	}
	var tables atomic.Int64
	d.on(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && isFiling(op.Path) {
			tables.Add(1)
		}
		return nil
	})
	fileAll(t, s)
	if n := tables.Load(); n < 1+3 || n > 1+4 { // the first lists the chats
		t.Errorf("%d tables", n)
	}
	if n := len(c.history(t, 7, alice)); n != 3*filingTable>>20 {
		t.Errorf("%d messages are there", n)
	}
}

// A journal of a former format that is not what was written is refused, not read as far
// as it goes.
func TestADamagedJournalIsRefused(t *testing.T) {
	record := func(chat, index int64) []byte {
		s := newSegment(0)
		s.append(chat, index, &message{sender: alice})
		return s.slab
	}
	for name, damage := range map[string]struct {
		number uint64
		value  []byte
	}{
		"newer version":    {2, []byte{recordVersion + 1}},
		"empty":            {2, nil},
		"cut short":        {2, append([]byte{recordVersion}, record(7, 2)[:20]...)},
		"a gap":            {3, append([]byte{recordVersion}, record(7, 5)...)},
		"a number too new": {99, append([]byte{recordVersion}, record(7, 3)...)},
	} {
		t.Run(name, func(t *testing.T) {
			mem := newCrashFS()
			s := open(t, mem)
			c := newClient(s)
			c.group(7, alice)
			c.send(7, alice, "one")
			c.send(7, alice, "two")
			db := s.shards[s.ShardOf(7)].db
			if db.commits != 3 {
				t.Fatalf("%d commits", db.commits)
			}
			plantOne(t, db, journalKey(damage.number), damage.value)
			closeAs(t, s, 6)
			s, err := Open(testConfig(mem))
			if err == nil {
				closeStore(t, s)
				t.Fatal("it is opened")
			}
			if !errors.Is(err, errLog) {
				t.Errorf("it is refused for %v", err)
			}
			report, err := Verify(testConfig(mem), quiet)
			if err != nil || report.Faulty == 0 {
				t.Errorf("verify finds nothing: %+v, %v", report, err)
			}
		})
	}
}

// With syncs off a power cut takes the end of the log; what is filed must not be of
// it, or there would be messages of chats that there are not.
func TestNothingIsFiledThatTheLogMayLose(t *testing.T) {
	mem := newCrashFS()
	var mu sync.Mutex
	var crashes []*crashFS
	d := newDisk(mem)
	withoutSyncs := func(c *Config) { c.NoSync = true }
	s := open(t, d, withoutSyncs)
	d.on(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && len(crashes) < 300 {
			crashes = append(crashes, mem.clone(0, nil))
		}
		return nil
	})
	c := newClient(s)
	for chat := range int64(20) {
		c.group(chat+1, alice)
		for range 30 {
			c.send(chat+1, alice, strings.Repeat("text ", 20))
		}
	}
	d.on(nil)
	closeStore(t, s)
	mu.Lock()
	defer mu.Unlock()
	messages := int64(0)
	for i, fs := range crashes {
		report, err := Verify(testConfig(fs), quiet)
		if err != nil || report.Faulty > 0 {
			t.Fatalf("crash %d of %d: %+v, %v", i, len(crashes), report, err)
		}
		messages = max(messages, report.Messages)
	}
	if messages == 0 {
		t.Error("no crash has a message: this tests nothing")
	}

	mem = newCrashFS()
	d = newDisk(mem)
	s = openFor(t, d, withoutSyncs, withSegments(1<<20))
	c = newClient(s)
	c.group(1, alice)
	fileAll(t, s)
	db := s.shards[s.ShardOf(1)].db
	for n := range 4 {
		if c.send(1, alice, "text"); n == 1 {
			db.log.settle()
		}
	}
	var filed *crashFS // as it is when the log is about to be freed
	d.on(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWriteAt && isLog(op.Path) {
			filed = mem.clone(0, nil)
		}
		return nil
	})
	db.journal.fileAll() // and no commit comes after it, which would sync the log
	d.on(nil)
	closeStore(t, open(t, filed))
}

// A directory of format 2 has all messages in the store itself; it is of a newer format
// before the first one stands in a journal.
func TestADirectoryWithoutJournalsIsTakenOver(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem)
	c := newClient(s)
	c.group(7, alice)
	for i := range 5 {
		m := message{sender: alice, text: codec.Text(fmt.Sprint(i + 1))}
		plantOne(t, s.shards[s.ShardOf(7)].db, messageKey(former, 7, int64(i)+1), m.append(nil))
	}
	closeAs(t, s, 2)
	s = open(t, mem)
	if text := readFile(t, mem, mem.PathJoin(testDir, formatFile)); !strings.Contains(text, fmt.Sprintf(`"format":%d,`, formatVersion)) {
		t.Errorf("it is open, and its format is %s", text)
	}
	c = newClient(s)
	for i := range 100 {
		if a := c.send(7, alice, fmt.Sprint(i+6)); a.Index != int64(i)+6 {
			t.Fatalf("message %d has index %d (%s)", i+6, a.Index, a.Status.said())
		}
	}
	fileAll(t, s)
	expectNumbered(t, c.history(t, 7, alice))
	closeStore(t, s)
	if report, err := Verify(testConfig(mem), quiet); err != nil || report.Faulty > 0 || report.Messages != 105 {
		t.Errorf("%+v, %v", report, err)
	}
}

// The filter of a table tells what is not in it, but of what is walked, of which it
// knows nothing, never.
func TestTheFilterDeniesOnlyWhatItKnows(t *testing.T) {
	w := tableFilter.NewWriter(pebble.TableFilter)
	for i := range int64(1000) {
		w.AddKey(chatKey(i))
		w.AddKey(messageKey(1, i, 1))
	}
	filter := w.Finish(nil)
	if size := 1000 * bloomBitsPerKey / 8; len(filter) > size*3/2 {
		t.Errorf("it has %d bytes: more than for the chats alone", len(filter))
	}
	denied := 0
	for i := range int64(1000) {
		if !tableFilter.MayContain(pebble.TableFilter, filter, chatKey(i)) {
			t.Errorf("it denies chat %d, which is there", i)
		}
		if !tableFilter.MayContain(pebble.TableFilter, filter, chatKey(1000+i)) {
			denied++
		}
		for _, key := range [][]byte{messageKey(1, i, 1), messageKey(1, i, 2), messageKey(former, i, 1), epochKey(i, 1), journalKey(uint64(i))} {
			if !tableFilter.MayContain(pebble.TableFilter, filter, key) {
				t.Errorf("it denies %x", key)
			}
		}
	}
	if denied < 900 {
		t.Errorf("it denies %d of 1000 chats that are not there", denied)
	}
}

// Where tables are not taken in, and then flushes fail, a filing waits for them, and once
// writes wait for it the process ends: else everybody would wait for ever.
func TestAFilingDoesNotHoldCommitsUp(t *testing.T) {
	d := newDisk(newCrashFS())
	died := make(chan error, 16)
	s := open(t, d, dyingInto(died)) // never closed: its process ends
	t.Cleanup(func() { d.on(nil) })  // but what it tries again and again must end some day
	c := newClient(s)
	c.group(7, alice)
	fileAll(t, s) // or that would wait for a flush
	var linked, failed atomic.Int64
	d.on(func(op errorfs.Op) error {
		switch {
		case op.Kind == errorfs.OpLink && isFiling(op.Path) && linked.Add(1) == 1:
			return syscall.EIO
		case op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst"):
			failed.Add(1)
			return syscall.EIO
		}
		return nil
	})
	text := strings.Repeat("x", s.config.segment) // fills one
	c.send(7, alice, text)
	c.send(7, alice, text)
	eventually(func() bool { return linked.Load() == 1 && failed.Load() > 0 }, "a filing that waits for a flush")
	answered, err := sendUntilItDies(t, c, text, &failed, died)
	if !strings.Contains(err.Error(), "cannot be flushed") {
		t.Errorf("after %d sends it died of %v", answered, err)
	}
}
