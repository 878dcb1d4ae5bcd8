package shards

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// allFiles are all files of the data directory, but for the lock.
func allFiles(t *testing.T, fs vfs.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, path := range damageableFiles(t, fs, testDir) {
		files[path] = readFile(t, fs, path)
	}
	return files
}

// liveManifests returns the MANIFESTs that the marks speak of, and checks that they
// speak of all that is in them.
func liveManifests(t *testing.T, fs vfs.FS) (paths []string) {
	t.Helper()
	for _, name := range []string{accountsName, shardName(0), shardName(1)} {
		m, _, err := readMark(fs, fs.PathJoin(testDir, name+markSuffix))
		if err != nil {
			t.Fatal(err)
		}
		dir := fs.PathJoin(testDir, name)
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range names {
			if number, ok := manifestNumber(file); ok && number == m.extent.manifest {
				path := fs.PathJoin(dir, file)
				if size := len(readFile(t, fs, path)); uint64(size) != m.extent.bytes {
					t.Errorf("%s has %d bytes, its mark knows of %d", path, size, m.extent.bytes)
				}
				paths = append(paths, path)
			}
		}
	}
	if len(paths) != 3 {
		t.Fatalf("%d MANIFESTs: %v", len(paths), paths)
	}
	return paths
}

// Damage anywhere in a MANIFEST, its end above all, makes Pebble forget tables in
// silence: the store is refused before Pebble touches a file, and stays refused.
func TestADamagedManifestIsRefused(t *testing.T) {
	mem := damageable(t)
	for _, path := range liveManifests(t, mem) {
		size := len(readFile(t, mem, path))
		for _, at := range []int{0, size / 2, size - 40, size - 2, size - 1} {
			for kind, change := range damageKinds {
				damaged := clonedMem(t, mem)
				before := readFile(t, damaged, path)
				writeFile(t, damaged, path, string(change([]byte(before), at)))
				if readFile(t, damaged, path) == before {
					continue // zeroed zeroes
				}
				refuseUntouched(t, damaged, kind+" of "+path)
			}
		}
	}
}

func refuseUntouched(t *testing.T, fs *vfs.MemFS, what string) {
	t.Helper()
	before := allFiles(t, fs)
	s, err := Open(testConfig(fs))
	if err == nil {
		closeStore(t, s)
		t.Fatalf("%s: the store opened", what)
	}
	if !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("%s: %v", what, err)
	}
	if !maps.Equal(before, allFiles(t, fs)) {
		t.Errorf("%s: refusing it changed files", what)
	}
}

// A crash may leave a mark that knows of no more than an older MANIFEST, or of less
// of this one: that refuses nothing.
func TestAMarkThatIsLateRefusesNothing(t *testing.T) {
	mem := damageable(t)
	path := mem.PathJoin(testDir, shardName(0)+markSuffix)
	m, _, err := readMark(mem, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, late := range []extent{{}, {manifest: m.extent.manifest - 1, bytes: 1 << 20, sum: 1}} {
		m.extent = late
		fs := clonedMem(t, mem)
		writeFile(t, fs, path, string(newMarkFile(m)))
		if outcome, fault := judgeDamage(t, fs); outcome != "whole" {
			t.Errorf("%v: %s %s", late, outcome, fault)
		}
	}
}

// A marker that has lost the MANIFEST in force for an older one is refused.
func TestAnOlderManifestIsRefused(t *testing.T) {
	mem := damageable(t)
	path := mem.PathJoin(testDir, shardName(0)+markSuffix)
	m, _, err := readMark(mem, path)
	if err != nil {
		t.Fatal(err)
	}
	m.extent.manifest++
	writeFile(t, mem, path, string(newMarkFile(m)))
	if _, err := Open(testConfig(mem)); err == nil || !strings.Contains(err.Error(), "was in force") {
		t.Errorf("open: %v", err)
	}
}

// What is synced but not yet named by Pebble's marker is not noted: a crash brings
// the MANIFEST before it back.
func TestAManifestIsNotedOnceItIsInForce(t *testing.T) {
	var m manifests
	told := 0
	m.follow(func() { told++ })
	old, young := extent{manifest: 4, bytes: 10, sum: 1}, extent{manifest: 9, bytes: 5, sum: 2}
	m.synced(old)
	if m.extent() != (extent{}) {
		t.Errorf("noted %v, which is not in force", m.extent())
	}
	m.created(pebble.ManifestCreateInfo{FileNum: 4})
	m.synced(young)
	if m.extent() != old {
		t.Errorf("noted %v for %v", m.extent(), old)
	}
	m.created(pebble.ManifestCreateInfo{FileNum: 9})
	if m.extent() != young || told != 3 {
		t.Errorf("noted %v for %v, told %d times", m.extent(), young, told)
	}
}

// So do those that Pebble has of a former format, which it removes where it has read them.
func TestPebblesLogsOfARefusedStoreStay(t *testing.T) {
	fs := newCrashFS()
	closeAs(t, open(t, fs), 6)
	dir := fs.PathJoin(testDir, shardName(0))
	db, err := pebble.Open(dir, &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: &pebbleLogger{log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set(chatKey(1), nil, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	logs := map[string]string{}
	for path, text := range filesOf(t, fs) {
		if strings.HasSuffix(path, pebbleLogSuffix) && len(text) > 0 {
			logs[path] = text
		}
	}
	if len(logs) == 0 {
		t.Fatal("Pebble has no logs")
	}
	writeFile(t, fs, dir+markSuffix, string(newMarkFile(marked{commits: 1 << 30})))
	for range 2 {
		if s, err := Open(testConfig(fs)); err == nil {
			closeStore(t, s)
			t.Fatal("the store opened")
		}
	}
	after := filesOf(t, fs)
	for path, text := range logs {
		if after[path] != text {
			t.Errorf("%s is not what it was", path)
		}
	}
}

// The logs of a store that is refused stay as they were: they are all there is to
// find out from.
func TestTheLogsOfARefusedStoreStay(t *testing.T) {
	fs, shard := crashed(t, 20)
	for path := range logFiles(t, fs, shard) {
		flipTail(t, fs, path, 1)
	}
	logs := logFiles(t, fs, shard)
	for range 2 {
		if s, err := Open(testConfig(fs)); err == nil {
			closeStore(t, s)
			t.Fatal("the store opened")
		}
	}
	for _, path := range slices.Sorted(maps.Keys(logs)) {
		if _, err := fs.Stat(path); err != nil || readFile(t, fs, path) != logs[path] {
			t.Errorf("%s is not what it was (%v)", path, err)
		}
	}
}
