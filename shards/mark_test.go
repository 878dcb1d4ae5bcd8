package shards

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// flipTail flips a bit of the last bytes that are not zero, and reports whether the
// file has any.
func flipTail(t *testing.T, fs vfs.FS, path string, back int) bool {
	t.Helper()
	data := []byte(readFile(t, fs, path))
	end := len(strings.TrimRight(string(data), "\x00"))
	if end <= back {
		return false
	}
	data[end-1-back] ^= 1
	writeFile(t, fs, path, string(data))
	return true
}

// crashed returns what a power cut leaves of a store that has sent n messages to
// chat 7, with a mark that is up to date.
func crashed(t *testing.T, n int) (left *crashFS, shard string) {
	t.Helper()
	fs := newCrashFS()
	s := openFor(t, fs)
	c := newClient(s)
	c.group(7, alice)
	for range n {
		c.send(7, alice, "what was acknowledged")
	}
	shard = shardName(int(s.ShardOf(7)))
	path := fs.PathJoin(testDir, shard+markSuffix)
	for { // until the mark itself is synced
		left = fs.clone(0, rand.New(rand.NewPCG(1, 1)))
		number, _, err := readMark(left, path)
		if err != nil {
			t.Fatal(err)
		}
		if number.commits > uint64(n) {
			return left, shard
		}
		time.Sleep(time.Millisecond)
	}
}

// A flip in the end of a live log costs acknowledged messages, which nothing
// vouches for: the store is refused, and stays refused.
func TestALogThatIsDamagedAtItsEndIsRefused(t *testing.T) {
	const messages = 20
	for _, back := range []int{0, 1, 7, 30, 100, 400} {
		fs, shard := crashed(t, messages)
		flipped := false
		for path := range logFiles(t, fs, shard) {
			flipped = flipTail(t, fs, path, back) || flipped
		}
		if !flipped {
			t.Fatalf("no log has %d bytes", back)
		}
		for try := range 2 { // opening must not forget that it refused
			s, err := Open(testConfig(fs))
			if err == nil {
				closeStore(t, s)
				t.Fatalf("flipped %d bytes before the end, opening %d: the store opened", back, try+1)
			}
			if !strings.Contains(err.Error(), "its log is damaged") {
				t.Errorf("flipped %d bytes before the end: %v", back, err)
			}
		}
	}
}

// What is whole opens, with all that was acknowledged.
func TestACrashAloneIsNotRefused(t *testing.T) {
	fs, _ := crashed(t, 20)
	s := openFor(t, fs)
	if got := len(newClient(s).history(t, 7, alice)); got != 20 {
		t.Errorf("%d messages of 20", got)
	}
}

// One slot may be torn; with both gone, or no file, nobody can tell.
func TestADamagedMark(t *testing.T) {
	for _, damage := range []struct {
		name   string
		change func(data []byte) []byte
		says   string // empty: it opens
	}{
		{"one slot", func(d []byte) []byte { clear(d[:markBytes]); return d }, ""},
		{"the other slot", func(d []byte) []byte { d[markSlotBytes+8] ^= 4; return d }, ""},
		{"cut after a slot", func(d []byte) []byte { return d[:markSlotBytes] }, ""},
		{"both slots", func(d []byte) []byte { d[6] ^= 1; d[markSlotBytes+6] ^= 1; return d }, "damaged"},
		{"empty", func([]byte) []byte { return nil }, "damaged"},
	} {
		t.Run(damage.name, func(t *testing.T) {
			fs, shard := crashed(t, 3)
			path := fs.PathJoin(testDir, shard+markSuffix)
			writeFile(t, fs, path, string(damage.change([]byte(readFile(t, fs, path)))))
			s, err := Open(testConfig(fs))
			if err == nil {
				closeStore(t, s)
			}
			if damage.says == "" && err != nil || damage.says != "" && (err == nil || !strings.Contains(err.Error(), damage.says)) {
				t.Errorf("open: %v", err)
			}
		})
	}
}

func TestAMissingMarkIsRefused(t *testing.T) {
	fs, shard := crashed(t, 3)
	if err := fs.Remove(fs.PathJoin(testDir, shard+markSuffix)); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(testConfig(fs)); err == nil || !strings.Contains(err.Error(), "missing") {
		if err == nil {
			closeStore(t, s)
		}
		t.Errorf("open: %v", err)
	}
}

// A directory without marks, which is to go on without what is missing, gets them when
// it is opened.
func TestADirectoryWithoutMarksGetsThem(t *testing.T) {
	fs, shard := crashed(t, 3)
	path := fs.PathJoin(testDir, shard+markSuffix)
	if err := fs.Remove(path); err != nil {
		t.Fatal(err)
	}
	goOn(t, fs)
	closeStore(t, open(t, fs))
	number, _, err := readMark(fs, path)
	if err != nil || number.commits != 4 {
		t.Errorf("the mark says %d, not 4 (%v)", number.commits, err)
	}
	closeStore(t, open(t, fs))
}

// The slots are written in turn: a write that tears must leave the one before.
func TestSlotsAreWrittenInTurn(t *testing.T) {
	fs, shard := crashed(t, 5)
	data := []byte(readFile(t, fs, fs.PathJoin(testDir, shard+markSuffix)))
	first, a := decodeMark(data)
	second, b := decodeMark(data[markSlotBytes:])
	if !a || !b || first == second {
		t.Errorf("the slots say %v (%v) and %v (%v)", first, a, second, b)
	}
}

// A mark that cannot be written ends the process, like any failed sync.
func TestAMarkThatCannotBeWrittenIsFatal(t *testing.T) {
	died := make(chan error, 1)
	m := &mark{
		file: brokenFile{}, manifests: &manifests{}, written: marked{commits: 1}, fatal: func(err error) { died <- err; panic("ended") },
	}
	m.number.Store(2)
	func() {
		defer func() { _ = recover() }()
		m.write()
	}()
	if err := <-died; !errors.Is(err, errBroken) {
		t.Errorf("died of %v", err)
	}
}

var errBroken = errors.New("the disk is broken")

type brokenFile struct{ vfs.File }

func (brokenFile) WriteAt([]byte, int64) (int, error) { return 0, errBroken }
