package shards

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// The log: that it gives back what was synced, and tells damage from a crash.

// logModel is a log with the commits that it should have.
type logModel struct {
	fs       *crashFS
	log      *commitLog
	segments []*segment // not freed, the oldest first; the last is written to
	after    uint64     // all up to it are freed
	commits  [][]byte   // those behind it
	synced   int        // of commits
}

const loggedPath = testDir + "/some"

func (m *logModel) number(i int) uint64 { return m.after + uint64(i) + 1 }

// body is what the commit of a number has: no other looks like it.
func body(number uint64, bytes int) []byte {
	return append(fmt.Appendf(nil, "commit %d ", number), strings.Repeat("x", bytes)...)
}

func (m *logModel) append(t *rapid.T, bytes int) {
	number := m.number(len(m.commits))
	text := body(number, bytes)
	r := commitRecord{after: number - 1, number: number, writes: text[:len(text)/3], messages: text[len(text)/3:]}
	s := m.segments[len(m.segments)-1]
	if err := m.log.append(s, &r); err != nil {
		t.Fatal(err)
	}
	if s.first == 0 {
		s.first = number
	}
	s.last = number
	m.commits = append(m.commits, text)
	if !m.log.noSync {
		m.synced = len(m.commits)
	}
}

// free gives the oldest segment's files back.
func (m *logModel) free(t *rapid.T) {
	s := m.segments[0]
	if len(m.segments) < 2 || s.first == 0 {
		return
	}
	m.log.settle()
	if err := m.log.free(s.files); err != nil {
		t.Fatal(err)
	}
	n := int(s.last - m.after)
	m.after, m.commits, m.synced = s.last, m.commits[n:], len(m.commits)-n
	m.segments = m.segments[1:]
}

// recover reads the log anew, as an opening does, and writes again what nothing vouches
// for. What was not synced may be gone, from some commit on.
func (m *logModel) recover(t *rapid.T, noSync bool) {
	m.log = newCommitLog(m.fs, loggedPath, noSync)
	s := newSegment(0)
	found := 0
	rec, err := m.log.recover(m.after, false, func(r *commitRecord) error {
		if want := m.number(found); r.number != want || r.after != want-1 {
			return fmt.Errorf("it comes where %d should", want)
		}
		if text := slices.Concat(r.writes, r.messages); found >= len(m.commits) || !bytes.Equal(text, m.commits[found]) {
			return fmt.Errorf("it is %q", text)
		}
		found++
		s.first = m.after + 1
		return nil
	}, func(f *logFile, last uint64) bool {
		s.files, s.last = append(s.files, f), last
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < m.synced {
		t.Fatalf("%d commits are there, %d were synced", found, m.synced)
	}
	if err := errors.Join(m.log.rewrite(rec.tail), m.log.free(rec.idle)); err != nil {
		t.Fatal(err)
	}
	m.commits, m.synced, m.segments = m.commits[:found], found, []*segment{s}
}

// Whatever is written, freed and used again, and whenever a power cut or a kill comes, the
// log has all commits that were synced, each once and in order, and takes no crash
// for damage; with syncs off, and on after they were off, too.
func TestTheLogAgainstModel(t *testing.T) {
	checks := 10
	if testing.Short() {
		checks = 200 // rapid makes each so much smaller
	}
	for range checks {
		rapid.Check(t, checkLog)
	}
}

func checkLog(t *rapid.T) {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	m := &logModel{fs: newCrashFS(), segments: []*segment{newSegment(0)}}
	if err := m.fs.MkdirAll(testDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syncDirectory(m.fs, "/"); err != nil {
		t.Fatal(err)
	}
	m.log = newCommitLog(m.fs, loggedPath, rapid.Bool().Draw(t, "no sync"))
	t.Repeat(map[string]func(*rapid.T){
		"commit": func(t *rapid.T) {
			for range rapid.IntRange(1, 4).Draw(t, "commits") {
				m.append(t, rapid.SampledFrom([]int{0, 10, 600, 5000}).Draw(t, "bytes"))
			}
		},
		"segment": func(*rapid.T) { m.segments = append(m.segments, newSegment(0)) },
		"free":    m.free,
		"settle": func(*rapid.T) {
			m.log.settle()
			m.synced = len(m.commits)
		},
		"kill": func(t *rapid.T) { m.recover(t, rapid.Bool().Draw(t, "no sync")) },
		"power cut": func(t *rapid.T) {
			m.fs = m.fs.clone(rapid.SampledFrom([]int{0, 50, 90}).Draw(t, "unsynced, percent"), rng)
			m.recover(t, rapid.Bool().Draw(t, "no sync"))
		},
	})
}

// logged is a store of one chat, 7, whose log has some commits, in one file or two.
func logged(t *testing.T, commits int) (fs *crashFS, paths []string) {
	t.Helper()
	fs = newCrashFS()
	s := open(t, fs, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range commits {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	shard := shardName(int(s.ShardOf(7)))
	closeStore(t, s)
	for path := range logFiles(t, fs, shard) {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return fs, paths
}

// expectRefusedLog has a store be refused for its log, by verify too.
func expectRefusedLog(t *testing.T, fs *crashFS, says string) {
	t.Helper()
	s, err := Open(testConfig(fs))
	if err == nil {
		closeStore(t, s)
		t.Fatalf("it is opened, and not refused for %q", says)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("it is refused for %v, not %q", err, says)
	}
	report, err := Verify(testConfig(fs), quiet)
	if err != nil || !strings.Contains(strings.Join(report.Faults, "\n"), says) {
		t.Errorf("verify tells %+v (%v), not %q", report, err, says)
	}
}

// withoutMark has the store's marks say nothing: what the log tells by itself is left.
func withoutMark(t *testing.T, fs *crashFS) {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, markSuffix) {
			writeFile(t, fs, fs.PathJoin(testDir, name), string(newMarkFile(marked{})))
		}
	}
}

// A flip anywhere in the log but its last record is found without the mark; in the last,
// it looks like a crash, of which the mark knows more.
func TestAFlipInTheLogIsFound(t *testing.T) {
	fs, paths := logged(t, 3)
	path := paths[0]
	text := readFile(t, fs, path)
	var starts []int
	var r commitRecord
	for at := 0; r.decode([]byte(text)[at:]); at += r.bytes {
		starts = append(starts, at)
	}
	if len(paths) != 1 || len(starts) != 4 {
		t.Fatalf("the log has %d files, the first %d commits", len(paths), len(starts))
	}
	for at := starts[1]; at < len(text); at++ {
		data := []byte(text)
		data[at] ^= 1 << (at % 8)
		broken := fs.clone(0, nil)
		withoutMark(t, broken)
		writeFile(t, broken, path, string(data))
		s, err := Open(testConfig(broken))
		if err == nil {
			closeStore(t, s)
		}
		if last := at >= starts[3]; last != (err == nil) || err != nil && !errors.Is(err, errLog) {
			t.Fatalf("a flip at byte %d of records at %d: %v", at, starts, err)
		}
	}
}

// A file that is missing between others, or at the log's beginning, is found without
// the mark.
func TestAMissingFileOfTheLogIsFound(t *testing.T) {
	fs := newCrashFS()
	d := newDisk(fs)
	s := open(t, d)
	c := newClient(s)
	c.group(7, alice)
	shard := int(s.ShardOf(7))
	s.shards[shard].db.filer.close() // the log is not freed
	s.shards[shard].db.filer.stop = make(chan struct{})
	text := strings.Repeat("x", s.config.segment*3/5)
	for range 5 {
		c.send(7, alice, text)
	}
	closeStore(t, s)
	files := logFiles(t, fs, shardName(shard))
	if len(files) != 3 {
		t.Fatalf("the log has %d files", len(files))
	}
	for path, text := range files {
		var r commitRecord
		if !r.decode([]byte(text)) {
			t.Fatalf("%s begins with no commit", path)
		}
		if r.number == 6 { // the last one: only the mark tells
			continue
		}
		without := fs.clone(0, nil)
		withoutMark(t, without)
		if err := without.Remove(path); err != nil {
			t.Fatal(err)
		}
		expectRefusedLog(t, without, "are missing")
	}
}

// A commit whose sync has failed may be there when the server starts again, and be shown:
// from then on it is there after a power cut too, though Linux takes what a failed
// sync did not write for written.
func TestWhatAFailedSyncLeftIsWrittenAgain(t *testing.T) {
	fs := newCrashFS()
	d := newDisk(fs)
	died := make(chan error, 16)
	s := open(t, d, dyingInto(died)) // its process ends
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "synced")
	d.on(func(op errorfs.Op) error {
		if isSync(op.Kind) && isLog(op.Path) {
			return errDisk
		}
		return nil
	})
	c.submit(s.ShardOf(7), []Op{sendOp(7, alice, "not synced", "")})
	if err := await(died, "end of the process"); !errors.Is(err, errDisk) {
		t.Errorf("it died of %v", err)
	}
	d.on(nil)

	killed := fs.clone(100, rand.New(rand.NewPCG(1, 1))) // what is written is still in memory
	shard := shardName(int(s.ShardOf(7)))
	files := logFiles(t, killed, shard)
	path := slices.Collect(maps.Keys(files))[0]
	at := int64(0) // of the third commit
	for range 2 {
		var r commitRecord
		if !r.decode([]byte(files[path])[at:]) {
			t.Fatalf("commits are missing from %d files", len(files))
		}
		at += int64(r.bytes)
	}
	var written, synced atomic.Bool
	again := newDisk(killed)
	again.on(func(op errorfs.Op) error {
		if op.Path == path {
			written.Store(written.Load() || op.Kind == errorfs.OpFileWriteAt && op.Offset == at)
			synced.Store(synced.Load() || written.Load() && isSync(op.Kind))
		}
		return nil
	})
	s = openFor(t, again)
	if !written.Load() || !synced.Load() {
		t.Errorf("what was not synced is written again: %v, and then synced: %v", written.Load(), synced.Load())
	}
	want := []string{"not synced", "synced"}
	if texts := contents(newClient(s).get(t, 7, alice)); !slices.Equal(texts, want) {
		t.Errorf("the chat has %q", texts)
	}
	if texts := contents(newClient(openFor(t, killed.clone(0, nil))).get(t, 7, alice)); !slices.Equal(texts, want) {
		t.Errorf("after a power cut the chat has %q", texts)
	}
}

// A sync of the log that fails ends the process, whoever made it: the next one would be
// taken for a success.
func TestASyncOfTheLogThatFailsIsFatal(t *testing.T) {
	fs := newCrashFS()
	d := newDisk(fs)
	s := openFor(t, d, func(c *Config) { c.NoSync = true })
	c := newClient(s)
	c.group(7, alice)
	l := s.shards[s.ShardOf(7)].db.log
	var told error
	l.fatal = func(err error) { told = err }
	d.on(func(op errorfs.Op) error {
		if isSync(op.Kind) && isLog(op.Path) {
			return errDisk
		}
		return nil
	})
	if panicOf(l.settle) == nil || !errors.Is(told, errDisk) {
		t.Errorf("it went on, told %v", told)
	}
	d.on(nil)
}

// countLog counts the files of a database's log, some of which may go meanwhile.
func countLog(t *testing.T, fs vfs.FS, name string) (n int) {
	t.Helper()
	names, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range names {
		if strings.HasPrefix(one, name+logSuffix) {
			n++
		}
	}
	return n
}

// The files of the log are used again: there are no more of them, however much is sent
// and however often the store is opened.
func TestTheFilesOfTheLogAreBounded(t *testing.T) {
	fs := newCrashFS()
	most := 0
	for range 2 * maxSegmentFiles {
		s := open(t, fs)
		c := newClient(s)
		c.group(7, alice)
		for range 20 {
			c.send(7, alice, strings.Repeat("x", s.config.segment/5))
		}
		shard := shardName(int(s.ShardOf(7)))
		most = max(most, countLog(t, fs, shard))
		closeStore(t, s)
	}
	if limit := 2*segmentsPerShard + maxSpareFiles + 1; most > limit { // a segment goes on in a new file after an opening
		t.Errorf("there were %d files, of %d at most", most, limit)
	}
	for range 5 * maxSegmentFiles { // one commit of each opening
		s := open(t, fs)
		newClient(s).send(7, alice, "x")
		shard := shardName(int(s.ShardOf(7)))
		most = max(most, countLog(t, fs, shard))
		closeStore(t, s)
	}
	if limit := segmentsPerShard*maxSegmentFiles + maxSpareFiles; most > limit {
		t.Errorf("there were %d files, of %d at most", most, limit)
	}
}

// What commits wrote beside messages is filed and freed too, where there is much of it: a
// registration is nothing else.
func TestALogWithoutMessagesIsFreed(t *testing.T) {
	fs := newCrashFS()
	s := open(t, fs)
	c := newClient(s)
	const users = 1 << 10
	name := strings.Repeat("n", 2000)
	token := int64(0)
	for range 4 {
		for logged := int64(0); logged < minSegmentLog; logged += users * int64(len(name)) {
			ops := make([]Op, users)
			for i := range ops {
				token++
				ops[i] = Op{Kind: Register, User: userID(fmt.Sprint(token)), Token: token, Name: []byte(name)}
			}
			c.do(s.Accounts(), ops...)
		}
		c.register(userID(fmt.Sprint("last ", token)), token+1<<40, name)
	}
	eventually(func() bool { return countLog(t, fs, accountsName) <= 1+maxSpareFiles }, "log that is freed")
	crashed := fs.clone(0, nil)
	closeStore(t, s)
	for path, text := range logFiles(t, crashed, accountsName) {
		if len(text) > 3*minSegmentLog { // a commit goes beyond it
			t.Errorf("%s has %d bytes", path, len(text))
		}
	}
	c = newClient(openFor(t, crashed))
	for one := int64(1); one <= token; one += users / 2 {
		if op := c.lookup(one); op.Answer.Status != OK {
			t.Errorf("user %d is gone: %s", one, op.Answer.Status.said())
		}
	}
}

// With syncs off too, no table has what commits wrote that the log may lose: it would
// look like a log that has lost its end.
func TestNothingIsFlushedThatTheLogMayLose(t *testing.T) {
	fs := newCrashFS()
	s := openFor(t, fs, func(c *Config) { c.NoSync = true })
	c := newClient(s)
	for chat := range int64(10) {
		c.group(chat+1, alice)
		for i := range s.shards {
			if err := s.shards[i].db.pebble.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		closeStore(t, open(t, fs.clone(0, nil)))
	}
}

// With syncs off, what is acknowledged is with the system: a kill of the process takes
// nothing of it.
func TestAKillLosesNothingWithoutSyncs(t *testing.T) {
	fs := newCrashFS()
	s := openFor(t, fs, func(c *Config) { c.NoSync = true })
	c := newClient(s)
	c.group(7, alice)
	for i := range 100 {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	killed := openFor(t, fs.clone(100, rand.New(rand.NewPCG(1, 1))))
	history := newClient(killed).history(t, 7, alice)
	if expectNumbered(t, history); len(history) != 100 {
		t.Errorf("%d messages are there", len(history))
	}
}

// expectGoesOn has a store open twice, with the messages of chat 7 up to that before next,
// each of which says which it is, and go on with next.
func expectGoesOn(t *testing.T, fs *crashFS, what string, sender uuid.UUID, next int64) {
	t.Helper()
	for again := range int64(2) {
		s, err := Open(testConfig(fs, withSegments(1<<20)))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		c := newClient(s)
		if a := c.send(7, sender, fmt.Sprint(next+again)); a.Index != next+again {
			t.Errorf("%s: the next message has index %d (%s)", what, a.Index, a.Status.said())
		}
		history := c.history(t, 7, alice)
		if expectNumbered(t, history); len(history) != int(next+again) {
			t.Errorf("%s: the chat has %d messages", what, len(history))
		}
		closeStore(t, s)
	}
	expectVerified(t, fs)
}

// Who goes on without the end of a damaged log keeps what is before the damage, whenever
// that is interrupted; what was behind it is given anew.
func TestGoingOnWithoutTheEndOfALog(t *testing.T) {
	fs, paths := logged(t, 9)
	text := readFile(t, fs, paths[0])
	var r commitRecord
	at := 0
	for r.decode([]byte(text)[at:]) && r.number < 6 { // message 5 is of commit 6
		at += r.bytes
	}
	data := []byte(text)
	data[at+recordHeader] ^= 1
	writeFile(t, fs, paths[0], string(data))
	expectRefusedLog(t, fs, "its log is damaged")
	goOn(t, fs)
	d := newDisk(fs)
	var s *Store
	clones := crashWhile(d, fs, func(kind errorfs.OpKind) bool { return kind.ReadOrWrite() == errorfs.OpIsWrite }, func() {
		s = open(t, d, withSegments(1<<20))
	})
	closeStore(t, s)
	for i, crashed := range append(clones, fs) {
		expectGoesOn(t, crashed, fmt.Sprintf("crash %d of %d", i, len(clones)), alice, 5)
	}
}

// A directory of format 6 has its journal in Pebble. It can be taken over after an
// attempt that a crash ended at any step, and nothing of it is lost.
func TestATakeoverThatIsInterrupted(t *testing.T) {
	fs := newCrashFS()
	s := open(t, fs, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range 9 {
		if i == 3 {
			fileAll(t, s)
		}
		c.send(7, alice, fmt.Sprint(i+1))
	}
	c.join(7, bob, "Bob") // a commit without messages is the last
	closeAs(t, s, 6)
	expectVerified(t, fs)
	d := newDisk(fs)
	clones := crashWhile(d, fs, func(kind errorfs.OpKind) bool { return kind.ReadOrWrite() == errorfs.OpIsWrite }, func() {
		s = open(t, d, withSegments(1<<20))
	})
	closeStore(t, s)
	older := 0
	for i, crashed := range append(clones, fs) {
		if strings.Contains(readFile(t, crashed, crashed.PathJoin(testDir, formatFile)), `"format":6,`) {
			older++
		}
		expectGoesOn(t, crashed, fmt.Sprintf("crash %d of %d", i, len(clones)), bob, 10)
	}
	if older == 0 || older > len(clones) {
		t.Errorf("of %d crashes %d leave the older format", len(clones), older)
	}
}

// A store whose format file says that it is older than its log is refused: what is in the
// log would be left out.
func TestALogThatIsNewerThanTheFormatIsRefused(t *testing.T) {
	fs, _ := logged(t, 3)
	writeFile(t, fs, fs.PathJoin(testDir, formatFile), `{"format":1,"shards":2,"made":true}`)
	expectRefusedLog(t, fs, errNewerLog.Error())
}

// The journal that a former format had in Pebble is gone once it is filed.
func TestAFormerJournalIsForgotten(t *testing.T) {
	fs := newCrashFS()
	s := open(t, fs, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	for i := range 5 {
		c.send(7, alice, fmt.Sprint(i+1))
	}
	closeAs(t, s, 6)
	for opening := range 3 {
		s = open(t, fs, withSegments(1<<20))
		db := s.shards[s.ShardOf(7)].db
		left := 0
		if err := formerJournal(db.pebble, 0, db.commits, func(uint64, []byte) error { left++; return nil }); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 5}[opening < 2]; left != want {
			t.Errorf("opening %d: %d commits are left of it, not %d", opening, left, want)
		}
		expectNumbered(t, newClient(s).history(t, 7, alice))
		if opening == 1 {
			fileAll(t, s)
		}
		closeStore(t, s)
	}
}
