package shards

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// damageKinds change a file's bytes at an offset.
var damageKinds = map[string]func(data []byte, at int) []byte{
	"flip":     func(d []byte, at int) []byte { d[at] ^= 1 << (at % 8); return d },
	"truncate": func(d []byte, at int) []byte { return d[:at] },
	"zero":     func(d []byte, at int) []byte { clear(d[at:min(at+512, len(d))]); return d },
}

const (
	damagedMessages  = 60
	offsetsPerDamage = 4
)

// Whatever file is damaged, and however: the store is refused, or its reads fail,
// or all that was acknowledged is there. Each file and kind is tried, at offsets
// of a seed that is told.
func TestDamageIsNeverSilent(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	mem := damageable(t)
	outcomes := map[string]int{}
	for _, path := range damageableFiles(t, mem, testDir) {
		size := len(readFile(t, mem, path))
		for kind, change := range damageKinds {
			for range min(offsetsPerDamage, size) {
				at := rng.IntN(size)
				if rng.IntN(2) == 0 {
					at = max(0, size-1-rng.IntN(64)) // ends are where logs are cut
				}
				damaged := clonedMem(t, mem)
				writeFile(t, damaged, path, string(change([]byte(readFile(t, damaged, path)), at)))
				outcome, fault := judgeDamage(t, damaged)
				outcomes[outcome]++
				if fault != "" {
					t.Errorf("%s of %s at %d of %d bytes: %s", kind, path, at, size, fault)
				}
			}
		}
	}
	t.Log(outcomes)
	if outcomes["refused"] == 0 || outcomes["whole"] == 0 {
		t.Errorf("the damage was all alike: %v", outcomes)
	}
}

// damageable is a directory with tables and live logs, as a power cut leaves it,
// with marks that are up to date.
func damageable(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs, _ := crashed(t, damagedMessages/2)
	s := open(t, fs)
	c := newClient(s)
	c.register(alice, 1, "Alice")
	for _, a := range s.actors() {
		if err := a.db.pebble.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for range damagedMessages / 2 {
		c.send(7, alice, "what was acknowledged")
	}
	closeStore(t, s)
	return fs.MemFS
}

func damageableFiles(t *testing.T, mem vfs.FS, dir string) (paths []string) {
	t.Helper()
	names, err := mem.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := mem.PathJoin(dir, name)
		info, err := mem.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			paths = append(paths, damageableFiles(t, mem, path)...)
		} else if info.Size() > 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

// judgeDamage opens the store and reads all that was acknowledged.
func judgeDamage(t *testing.T, mem *vfs.MemFS) (outcome, fault string) {
	t.Helper()
	s, err := Open(testConfig(mem))
	if err != nil {
		return "refused", ""
	}
	defer func() { _ = s.Close() }() // of a damaged store: it may fail
	c := newClient(s)
	outcome = "whole"
	switch status := c.lookup(1).Answer.Status; status {
	case OK:
	case Failed:
		outcome = "reads fail"
	default:
		return "lost", "the account is gone: " + status.said()
	}
	for i := range int64(damagedMessages) {
		op := c.one(Op{Kind: GetChat, Chat: 7, User: alice, Index: i + 1, Count: 1})
		if op.Answer.Status == Failed {
			outcome = "reads fail"
			continue
		}
		if op.Answer.Status != OK {
			return "lost", fmt.Sprintf("message %d: %s", i+1, op.Answer.Status.said())
		}
		values := readPage[shownMessage](t, op).Values
		if len(values) != 1 || values[0].Index != i+1 || values[0].Content != "what was acknowledged" {
			return "lost", fmt.Sprintf("message %d reads as %v", i+1, values)
		}
	}
	return outcome, ""
}
