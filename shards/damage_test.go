package shards

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"throng/bench/torture/campaign"
)

// damageKinds change a file's bytes at an offset.
var damageKinds = map[string]func(data []byte, at int) []byte{
	"flip":     func(d []byte, at int) []byte { d[at] ^= 1 << (at % 8); return d },
	"truncate": func(d []byte, at int) []byte { return d[:at] },
	"zero":     func(d []byte, at int) []byte { clear(d[at:min(at+512, len(d))]); return d },
}

const (
	damagedMessages = 60
	enoughDamage    = 100 // rounds, after which some are refused and some do no harm
)

// Whatever file is damaged, and however: the store is refused, or its reads fail,
// or all that was acknowledged is there, each text where it was. A round is one
// damage.
func TestDamageIsNeverSilent(t *testing.T) {
	c := campaign.Start(t, "damage", campaign.Short(enoughDamage))
	mem := damageable(t)
	paths := damageableFiles(t, mem, testDir)
	slices.Sort(paths)
	for c.Next() {
		rng := c.Rand()
		path := paths[rng.IntN(len(paths))]
		kind := slices.Sorted(maps.Keys(damageKinds))[rng.IntN(len(damageKinds))]
		before := readFile(t, mem, path)
		at := rng.IntN(len(before))
		if rng.IntN(2) == 0 {
			at = max(0, len(before)-1-rng.IntN(min(len(before), 64))) // ends are where logs are cut
		}
		damaged := clonedMem(t, mem)
		after := string(damageKinds[kind]([]byte(before), at))
		writeFile(t, damaged, path, after)
		outcome, fault := judgeDamage(t, damaged)
		if fault != "" {
			t.Errorf("%s of %s at %d of %d bytes: %s", kind, path, at, len(before), fault)
		}
		c.Add(outcome, 1)
		if after == before {
			c.Add("of zeroes zeroed", 1)
		}
	}
	refused, whole := c.Total("refused"), c.Total("whole")
	if refused+whole >= enoughDamage/2 && (refused == 0 || whole == 0) {
		t.Error("the damage was all alike")
	}
}

func damagedText(i int) string { return fmt.Sprintf("what was acknowledged as message %d", i) }

// damageable is a directory with tables and live logs, as a power cut leaves it,
// with marks that are up to date.
func damageable(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := newCrashFS()
	first := open(t, fs)
	talker := newClient(first)
	talker.group(7, alice)
	for i := range damagedMessages / 2 {
		talker.send(7, alice, damagedText(i+1))
	}
	closeStore(t, first)
	s := open(t, fs)
	c := newClient(s)
	c.register(alice, 1, "Alice")
	fileAll(t, s)
	for i := range damagedMessages / 2 {
		c.send(7, alice, damagedText(damagedMessages/2+i+1))
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
		if len(values) != 1 || values[0].Index != i+1 || values[0].Content != damagedText(int(i+1)) {
			return "lost", fmt.Sprintf("message %d reads as %v", i+1, values)
		}
	}
	return outcome, ""
}
