package shards

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Nobody else may look into a data directory, whatever the umask is and however
// it was made.
func TestDirectoryModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	fresh := filepath.Join(t.TempDir(), "some", "where", "data")
	existing := t.TempDir()
	if err := os.Chmod(existing, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{fresh, existing} {
		closeStore(t, open(t, vfs.Default, func(c *Config) { c.Dir = dir }))
		for path, want := range map[string]fs.FileMode{
			dir:                            0o700,
			filepath.Join(dir, keyFile):    0o600,
			filepath.Join(dir, formatFile): 0o600,
		} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("%s has mode %o, not %o", path, got, want)
			}
		}
	}
}

// A directory on a real disk is held by one store at a time, and is free again
// once that is closed.
func TestDirectoryLock(t *testing.T) {
	inDir := func(c *Config) { c.Dir = filepath.Join(t.TempDir(), "data") }
	config := testConfig(vfs.Default, inDir)
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(config); err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), config.Dir) {
		t.Errorf("a second open: %v", err)
	}
	closeStore(t, s)
	s, err = Open(config)
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
}

// What Open cannot accept it refuses, says why, and leaves as it is.
func TestDirectoryRefusals(t *testing.T) {
	write := func(name, text string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, fs vfs.FS) { writeFile(t, fs, fs.PathJoin(testDir, name), text) }
	}
	remove := func(name string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, fs vfs.FS) {
			if err := fs.RemoveAll(fs.PathJoin(testDir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, refused := range []struct {
		name   string
		change func(*testing.T, vfs.FS) // of a directory that was in use
		shards int
		says   string
	}{
		{"newer format", write(formatFile, `{"format":8,"shards":2,"made":true}`), 2, "use a newer one"},
		{"other shards", nil, 3, "made with 2 shards"},
		{"no key", remove(keyFile), 2, "the key of tokens"},
		{"empty key", write(keyFile, ""), 2, `"key" has 0 bytes`},
		{"short key", write(keyFile, "0123456789"), 2, `"key" has 10 bytes`},
		{"long key", write(keyFile, strings.Repeat("k", 33)), 2, `"key" has 33 bytes`},
		{"format of no JSON", write(formatFile, "shards=2"), 2, "damaged"},
		{"empty format", write(formatFile, ""), 2, "damaged"},
		{"format cut short", write(formatFile, `{"format":1,"sha`), 2, "damaged"},
		{"format without a number", write(formatFile, `{"shards":2,"made":true}`), 2, "damaged"},
		{"format below the first", write(formatFile, `{"format":-1,"shards":2,"made":true}`), 2, "damaged"},
		{"format of no shards", write(formatFile, `{"format":1,"made":true}`), 0, "damaged"},
		{"format of too many shards", write(formatFile, `{"format":1,"shards":17,"made":true}`), 0, "damaged"},
		{"no format", remove(formatFile), 2, "not a data directory of Throng"},
		{"no database of a shard", remove("shard-001"), 2, "shard-001"},
		{"no database of the accounts", remove("accounts"), 2, "accounts"},
		{"no databases", func(t *testing.T, fs vfs.FS) {
			for _, name := range []string{"accounts", "shard-000", "shard-001"} {
				remove(name)(t, fs)
			}
		}, 2, "accounts"},
	} {
		t.Run(refused.name, func(t *testing.T) {
			fs := vfs.NewMem()
			closeStore(t, open(t, fs))
			if refused.change != nil {
				refused.change(t, fs)
			}
			expectRefusal(t, fs, testConfig(fs, withShards(refused.shards)), refused.says)
		})
	}

	t.Run("foreign directory", func(t *testing.T) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll(testDir, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, fs.PathJoin(testDir, "thesis.tex"), "chapter 1")
		expectRefusal(t, fs, testConfig(fs), `"thesis.tex"`)
	})
	t.Run("file instead of a directory", func(t *testing.T) {
		fs := vfs.NewMem()
		writeFile(t, fs, testDir, "chapter 1")
		expectRefusal(t, fs, testConfig(fs), "not a directory")
	})
	for _, name := range []string{formatFile, keyFile} {
		t.Run("unreadable "+name, func(t *testing.T) {
			mem := vfs.NewMem()
			closeStore(t, open(t, mem))
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpOpen && mem.PathBase(op.Path) == name {
					return os.ErrPermission
				}
				return nil
			}))
			expectRefusal(t, mem, testConfig(fs), "permission denied")
		})
	}
}

func expectRefusal(t *testing.T, fs vfs.FS, config Config, says string) {
	t.Helper()
	before := filesOf(t, fs)
	s, err := Open(config)
	if err == nil {
		closeStore(t, s)
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("the error does not say %q: %v", says, err)
	}
	after := filesOf(t, fs)
	for path, text := range before {
		if after[path] != text {
			t.Errorf("%s is changed", path)
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s is new", path)
		}
	}
}

// filesOf returns every file with what it holds, and every directory.
func filesOf(t *testing.T, fs vfs.FS) map[string]string {
	files := map[string]string{}
	var walk func(path string)
	walk = func(path string) {
		names, err := fs.List(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			file := fs.PathJoin(path, name)
			info, err := fs.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() {
				files[file] = "a directory"
				walk(file)
				continue
			}
			files[file] = readFile(t, fs, file)
		}
	}
	walk("/")
	return files
}

func readFile(t *testing.T, fs vfs.FS, path string) string {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// plant has a batch be in the tables of a database, behind the back of whoever owns it.
func plant(db *database, b *pebble.Batch) error {
	return errors.Join(b.Commit(pebble.NoSync), db.pebble.Flush())
}

func plantOne(t tb, db *database, key, value []byte) {
	t.Helper()
	b := db.pebble.NewBatch()
	if err := errors.Join(b.Set(key, value, nil), plant(db, b)); err != nil {
		t.Fatalf("plant: %v", err)
	}
}

// formerJournalOf has a database that nobody writes to be one of formats 3 to 6: what
// its log has is in Pebble, the messages in one record for each commit, and there is no
// other log.
func formerJournalOf(t *testing.T, db *database) {
	t.Helper()
	found, err := db.view.filed()
	db.log.settle()
	if err != nil {
		t.Fatal(err)
	}
	b := db.pebble.NewBatch()
	l := newCommitLog(db.log.fs, db.path, false)
	rec, err := l.recover(found.commit, false, func(r *commitRecord) error {
		var faults []error
		if len(r.writes) > 0 {
			var writes pebble.Batch
			faults = append(faults, writes.SetRepr(r.writes), b.Apply(&writes, nil))
		}
		if len(r.messages) > 0 && r.number >= found.unfiled(math.MaxUint64) {
			planted, err := db.view.get(journalKey(r.number), func([]byte) error { return nil })
			if faults = append(faults, err); !planted {
				faults = append(faults, b.Set(journalKey(r.number), append([]byte{recordVersion}, r.messages...), nil))
			}
		}
		return errors.Join(faults...)
	}, func(*logFile, uint64) bool { return true })
	if err == nil {
		err = errors.Join(b.Set(numberKey, encodeNumber(rec.last), nil), plant(db, b))
	}
	if err != nil {
		t.Fatal(err)
	}
	for path := range logFiles(t, db.log.fs, db.log.fs.PathBase(db.path)) {
		err = errors.Join(err, db.log.fs.Remove(path))
	}
	if err := errors.Join(err, syncDirectory(db.log.fs, testDir)); err != nil {
		t.Fatal(err)
	}
}

// closeAs closes a store and has its directory be of another format.
func closeAs(t *testing.T, s *Store, version int) {
	t.Helper()
	for _, a := range s.actors() {
		formerJournalOf(t, a.db)
	}
	text, err := format{Format: version, Shards: s.Shards(), Made: true, Key: s.directory.secret.check()}.encode()
	if err != nil {
		t.Fatal(err)
	}
	fs := s.config.FS
	closeStore(t, s)
	writeFile(t, fs, fs.PathJoin(testDir, formatFile), string(text))
}

func writeFile(t *testing.T, fs vfs.FS, path, text string) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte(text))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// An empty directory is taken, and so is what a crash left of one that was being
// made: nothing was served from it.
func TestDirectoryLeftovers(t *testing.T) {
	for _, names := range [][]string{
		{},
		{lockFile},
		{lockFile, keyFile + newSuffix},
		{lockFile, keyFile},
		{lockFile, keyFile, formatFile + newSuffix},
	} {
		fs := vfs.NewMem()
		if err := fs.MkdirAll(testDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			writeFile(t, fs, fs.PathJoin(testDir, name), "half")
		}
		s, err := Open(testConfig(fs))
		if err != nil {
			t.Errorf("%v: %v", names, err)
			continue
		}
		if a := newClient(s).register(alice, 1, ""); a.Status != OK {
			t.Errorf("%v: register: %s", names, a.Status.said())
		}
		closeStore(t, s)
	}
}

// Where no number of shards is asked for, a directory keeps the one that it was
// made with, and a new one gets one for two cores.
func TestDirectoryKeepsItsShards(t *testing.T) {
	fs := vfs.NewMem()
	closeStore(t, open(t, fs, withShards(5)))
	s := open(t, fs, withShards(0))
	if s.Shards() != 5 {
		t.Errorf("it has %d shards, not 5", s.Shards())
	}
	closeStore(t, s)
	s = openFor(t, vfs.NewMem(), withShards(0))
	if want := min(max(runtime.GOMAXPROCS(0)/2, 1), 16); s.Shards() != want {
		t.Errorf("a new one has %d shards, not %d", s.Shards(), want)
	}
}

// The key is drawn anew for every directory.
func TestDirectoryKeysDiffer(t *testing.T) {
	one, other := openFor(t, vfs.NewMem()), openFor(t, vfs.NewMem())
	if one.PairChat(alice, bob, 0) == other.PairChat(alice, bob, 0) {
		t.Error("two directories have one key")
	}
}

// No token stands on disk in clear, nor anything that can be had from it without
// the key: a token is searched for in all files in several spellings.
func TestTokensAreNotOnDisk(t *testing.T) {
	const token = 0x5a5b5c5d5e5f6061
	mem := vfs.NewMem()
	s := open(t, mem)
	newClient(s).register(alice, token, "Alice")
	if err := s.accounts.db.fileAll(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	found := false
	for path, text := range filesOf(t, mem) {
		for _, spelling := range []string{"Z[\\]^_`a", "a`_^]\\[Z", fmt.Sprint(token)} {
			if strings.Contains(text, spelling) {
				t.Errorf("the token stands in %s", path)
			}
		}
		found = found || strings.Contains(text, "Alice")
	}
	if !found {
		t.Error("the search does not find the user's name either: it proves nothing")
	}
}

// The directory itself is as durable as what is in it, together with the parents
// that were made for it.
func TestNewDirectoriesSurviveACrash(t *testing.T) {
	for _, dir := range []string{"data", "some/where/data", "/some/where/deep/down/data/"} {
		fs := newCrashFS()
		inDir := func(c *Config) { c.Dir = dir }
		s := open(t, fs, inDir)
		if a := newClient(s).register(alice, 1, ""); a.Status != OK {
			t.Fatalf("register: %s", a.Status.said())
		}
		clone := fs.clone(0, nil)
		closeStore(t, s)
		if text := readFile(t, clone, fs.PathJoin(dir, formatFile)); !strings.Contains(text, `"made":true`) {
			t.Errorf("%s: after a crash it does not know that it was made: %s", dir, text)
		}
		s = open(t, clone, inDir)
		if op := newClient(s).lookup(1); op.Answer.Status != OK || op.User != alice {
			t.Errorf("%s: after a crash the user is gone: %s", dir, op.Answer.Status.said())
		}
		closeStore(t, s)
	}
}

// Before Pebble puts a marker into place, the file that it names is durable: what
// stands in a directory is, whenever a marker is created in it.
func TestMarkersNameWhatIsDurable(t *testing.T) {
	mem := newCrashFS()
	if err := mem.MkdirAll("store", 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, mem, "store/MANIFEST-000001", "synced itself, but not its name")
	if err := syncDirectory(mem, "/"); err != nil {
		t.Fatal(err)
	}
	fs := markedFS{mem}
	f, err := fs.Create("store/marker.manifest.000001.MANIFEST-000001", vfs.WriteCategoryUnspecified)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := mem.clone(0, nil).Stat("store/MANIFEST-000001"); err != nil {
		t.Errorf("a crash right after the marker was created: %v", err)
	}
}

// A crash at any moment while a directory is made, its databases and the end of
// making it included, leaves one that opens and works. Each operation on the
// files is such a moment.
func TestCrashAtEveryStepOfMakingADirectory(t *testing.T) {
	mem := newCrashFS()
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var clones []*crashFS
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, mem.clone(0, nil), mem.clone(50, rng))
		}
		return nil
	}))
	closeStore(t, open(t, fs))
	mu.Lock()
	defer mu.Unlock()
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(clones); i += step {
		s, err := Open(testConfig(clones[i]))
		if err != nil {
			t.Errorf("crash %d of %d: %v", i, len(clones), err)
			continue
		}
		c := newClient(s)
		if a := c.register(alice, 1, ""); a.Status != OK {
			t.Errorf("crash %d: register: %s", i, a.Status.said())
		}
		if a := c.group(7, alice); a.Status != OK {
			t.Errorf("crash %d: create: %s", i, a.Status.said())
		}
		if a := c.send(7, alice, "hello"); a.Index != 1 {
			t.Errorf("crash %d: send: %s, index %d", i, a.Status.said(), a.Index)
		}
		again := clones[i].clone(0, nil)
		closeStore(t, s)
		s = open(t, again)
		if texts := contents(newClient(s).get(t, 7, alice)); len(texts) != 1 {
			t.Errorf("crash %d: what was sent after it is gone", i)
		}
		closeStore(t, s)
	}
	t.Logf("%d crashes", len(clones))
}

// A disk that fails while a directory is made is an error of Open, at whatever
// step; and once it works again, so does the directory.
func TestAFailureAtEveryStepOfMakingADirectory(t *testing.T) {
	failure := errors.New("the disk does not want to")
	for step := 0; ; step++ {
		mem := vfs.NewMem()
		var mu sync.Mutex
		n, failed := 0, false
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if inDatabase(op.Path) || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil // Pebble's own steps end the process
			}
			mu.Lock()
			defer mu.Unlock()
			n++
			if n == step+1 {
				failed = true
				return failure
			}
			return nil
		}))
		s, err := Open(testConfig(fs))
		switch {
		case err == nil && failed:
			t.Errorf("step %d failed, and Open does not tell", step)
		case err != nil && !errors.Is(err, failure):
			t.Errorf("step %d failed, and Open tells something else: %v", step, err)
		}
		if s != nil {
			closeStore(t, s)
		}
		if !failed {
			if step < 10 {
				t.Errorf("only %d steps were seen", step)
			}
			return
		}
		s, err = Open(testConfig(mem))
		if err != nil {
			t.Errorf("after step %d failed once: %v", step, err)
			continue
		}
		closeStore(t, s)
	}
}

// inDatabase reports whether a path lies in one of the databases.
func inDatabase(path string) bool {
	return strings.Contains(path, "accounts") || strings.Contains(path, "shard-")
}
