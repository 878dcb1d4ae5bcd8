package power_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"throng/bench/torture/power"
)

// draws is how many survivors of one cut are looked at: each thing that may be is
// seen among so many, but for a chance of one in billions.
const draws = 400

// mount shows a disk at a directory of the test's own.
func mount(t *testing.T, d *power.Disk, dir string) *power.Mount {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("this machine has no FUSE: power cuts are not tested")
	}
	m, err := power.NewMount(d, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Unmount() })
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, flags|os.O_RDWR, 0o600)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func put(t *testing.T, f *os.File, text string) {
	t.Helper()
	_, err := f.WriteAt([]byte(text), 0)
	must(t, err)
}

func syncDir(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// durable makes a file whose contents and name are synced.
func durable(t *testing.T, dir, name, text string) *os.File {
	t.Helper()
	f := open(t, filepath.Join(dir, name), os.O_CREATE)
	put(t, f, text)
	must(t, f.Sync())
	syncDir(t, dir)
	return f
}

const fallocatedBytes = 8

// After a cut, what was synced is there, and what was not may be there or not.
// Each row lists all that may be found, and all of it is found.
func TestADiskKeepsWhatWasSyncedAndPerhapsMore(t *testing.T) {
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	for _, row := range []struct {
		name  string
		do    func(t *testing.T, dir string)
		found []string // name=text of all files, by name
	}{
		{"nothing synced, but closed", func(t *testing.T, dir string) {
			f := open(t, dir+"/a", os.O_CREATE)
			put(t, f, "x")
			must(t, f.Close())
		}, []string{"", "a=", "a=" + zeros(1), "a=x"}},
		{"file synced, directory not", func(t *testing.T, dir string) {
			f := open(t, dir+"/a", os.O_CREATE)
			put(t, f, "new")
			must(t, f.Sync())
		}, []string{"", "a=new"}},
		{"directory synced, file not", func(t *testing.T, dir string) {
			put(t, open(t, dir+"/a", os.O_CREATE), "x")
			syncDir(t, dir)
		}, []string{"a=", "a=" + zeros(1), "a=x"}},
		{"both synced", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
		}, []string{"a=old"}},
		{"fdatasync, size included", func(t *testing.T, dir string) {
			f := durable(t, dir, "a", "old")
			put(t, f, "newer")
			must(t, syscall.Fdatasync(int(f.Fd())))
		}, []string{"a=newer"}},
		{"written over", func(t *testing.T, dir string) {
			put(t, durable(t, dir, "a", "old"), "new")
		}, []string{"a=new", "a=old"}},
		{"sync_file_range", func(t *testing.T, dir string) {
			f := durable(t, dir, "a", "old")
			put(t, f, "new")
			must(t, syscall.SyncFileRange(int(f.Fd()), 0, 3, 7))
		}, []string{"a=new", "a=old"}},
		{"O_SYNC", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
			put(t, open(t, dir+"/a", os.O_SYNC), "new")
		}, []string{"a=new"}},
		{"mapped and synced", func(t *testing.T, dir string) {
			f := durable(t, dir, "a", "old")
			mapped(t, f, "new")
			must(t, f.Sync())
		}, []string{"a=new"}},
		{"fallocated, written and synced", func(t *testing.T, dir string) {
			f := durable(t, dir, "a", "")
			must(t, syscall.Fallocate(int(f.Fd()), 0, 0, fallocatedBytes))
			put(t, f, "new")
			must(t, syscall.Fdatasync(int(f.Fd())))
		}, []string{"a=new" + zeros(fallocatedBytes-3)}},
		{"written within what was fallocated and synced", func(t *testing.T, dir string) {
			f := durable(t, dir, "a", "")
			must(t, syscall.Fallocate(int(f.Fd()), 0, 0, 3))
			must(t, f.Sync())
			put(t, f, "new")
		}, []string{"a=" + zeros(3), "a=new"}},
		{"truncated", func(t *testing.T, dir string) {
			must(t, durable(t, dir, "a", "x").Truncate(0))
		}, []string{"a=", "a=x"}},
		{"truncated and synced", func(t *testing.T, dir string) {
			f := durable(t, dir, "a", "old")
			must(t, f.Truncate(1))
			must(t, f.Sync())
		}, []string{"a=o"}},
		{"renamed over", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
			durable(t, dir, "b", "new")
			must(t, os.Rename(dir+"/b", dir+"/a"))
		}, []string{"a=new", "a=old b=new"}},
		{"renamed over and synced", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
			durable(t, dir, "b", "new")
			must(t, os.Rename(dir+"/b", dir+"/a"))
			syncDir(t, dir)
		}, []string{"a=new"}},
		{"linked", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
			must(t, os.Link(dir+"/a", dir+"/b"))
		}, []string{"a=old", "a=old b=old"}},
		{"unlinked", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
			must(t, os.Remove(dir+"/a"))
		}, []string{"", "a=old"}},
		{"unlinked and synced", func(t *testing.T, dir string) {
			durable(t, dir, "a", "old")
			must(t, os.Remove(dir+"/a"))
			syncDir(t, dir)
		}, []string{""}},
		{"two names, in any order", func(t *testing.T, dir string) {
			must(t, open(t, dir+"/a", os.O_CREATE).Sync())
			must(t, open(t, dir+"/b", os.O_CREATE).Sync())
		}, []string{"", "a=", "a= b=", "b="}},
		{"a directory that its parent has not synced", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/d", 0o700))
			durable(t, dir+"/d", "a", "old")
		}, []string{"", "d/a=old"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := mount(t, power.NewDisk(), dir)
			row.do(t, dir)
			if got := survivors(t, m.Disk); !slices.Equal(got, row.found) {
				t.Errorf("found after the cut: %q, want %q", got, row.found)
			}
		})
	}
}

// mapped writes through a shared mapping, in a process of its own: a fault on a page
// that this process is to provide stops it for good.
func mapped(t *testing.T, f *os.File, text string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), mapVar+"="+f.Name(), mapTextVar+"="+text)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("write through a mapping: %v\n%s", err, out)
	}
}

// survivors cuts the power and lists all that is found afterwards, over many draws.
func survivors(t *testing.T, d *power.Disk) []string {
	t.Helper()
	d.Cut(false)
	seen := map[string]bool{}
	for i := range uint64(draws) {
		seen[describe(d.Survivor(rand.New(rand.NewPCG(i, 0))))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func describe(d *power.Disk) string {
	files := d.Files()
	var words []string
	for _, path := range slices.Sorted(maps.Keys(files)) {
		words = append(words, path+"="+files[path])
	}
	return strings.Join(words, " ")
}

// After the cut nothing succeeds any more, and nothing of it is found.
func TestNothingSucceedsAfterACut(t *testing.T) {
	dir := t.TempDir()
	m := mount(t, power.NewDisk(), dir)
	f := durable(t, dir, "a", "old")
	m.Disk.Cut(false)
	if _, err := f.WriteAt([]byte("new"), 0); err == nil {
		t.Error("a write succeeds")
	}
	if f.Sync() == nil {
		t.Error("a sync succeeds")
	}
	if _, err := os.Create(dir + "/b"); err == nil {
		t.Error("a create succeeds")
	}
	if got := survivors(t, m.Disk); !slices.Equal(got, []string{"a=old"}) {
		t.Errorf("found %q", got)
	}
}

// Blocks survive one by one, and some of them in part.
func TestUnsyncedBlocksSurviveOneByOneAndTorn(t *testing.T) {
	dir := t.TempDir()
	m := mount(t, power.NewDisk(), dir)
	const blocks = 64
	f := durable(t, dir, "a", strings.Repeat("o", blocks*4096))
	put(t, f, strings.Repeat("n", blocks*4096))
	m.Disk.Cut(false)
	var whole, none, torn int
	for i := range uint64(20) {
		text := m.Disk.Survivor(rand.New(rand.NewPCG(i, 1))).Files()["a"]
		for b := range blocks {
			switch strings.Count(text[b*4096:(b+1)*4096], "n") {
			case 4096:
				whole++
			case 0:
				none++
			default:
				torn++
			}
		}
	}
	if whole == 0 || none == 0 || torn == 0 {
		t.Errorf("of all blocks, %d are new, %d old, %d torn", whole, none, torn)
	}
}

// What survived is a disk like any other: it can be mounted, read and cut again.
func TestASurvivorIsADisk(t *testing.T) {
	dir := t.TempDir()
	m := mount(t, power.NewDisk(), dir)
	must(t, os.Mkdir(dir+"/d", 0o700))
	syncDir(t, dir)
	durable(t, dir+"/d", "a", "old")
	m.Disk.Cut(false)
	must(t, m.Unmount())
	mount(t, m.Disk.Survivor(rand.New(rand.NewPCG(1, 1))), dir)
	list, err := os.ReadDir(dir + "/d")
	must(t, err)
	if len(list) != 1 || list[0].Name() != "a" {
		t.Errorf("the directory lists %v", list)
	}
	text, err := os.ReadFile(dir + "/d/a")
	must(t, err)
	if string(text) != "old" {
		t.Errorf("the file holds %q", text)
	}
}
