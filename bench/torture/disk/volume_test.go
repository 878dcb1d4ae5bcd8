package disk_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// volume is a small file system that belongs to a test, which unmounts it.
type volume struct {
	t    testing.TB
	kind string // tmpfs or ext4
	dir  string // where it is mounted
	size int64  // bytes

	image string // of an ext4
}

// newVolume mounts a file system of so many bytes. Where that is not allowed, the
// test cannot run.
func newVolume(t testing.TB, kind string, size int64) *volume {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a disk of its own, and this is not root")
	}
	v := &volume{t: t, kind: kind, dir: t.TempDir(), size: size}
	v.mount()
	t.Cleanup(v.unmount)
	return v
}

func (v *volume) mount() {
	v.t.Helper()
	if v.kind == "tmpfs" {
		must(v.t, unix.Mount("throng-test", v.dir, "tmpfs", 0, fmt.Sprintf("mode=0700,size=%d", v.size)))
		return
	}
	v.image = filepath.Join(v.t.TempDir(), "image")
	must(v.t, os.WriteFile(v.image, nil, 0o600))
	must(v.t, os.Truncate(v.image, v.size))
	run(v.t, "mkfs.ext4", "-q", "-m", "0", "-E", "nodiscard", v.image)
	run(v.t, "mount", "-o", "loop", v.image, v.dir)
}

// abort has an ext4 do what it does when its device fails: its journal ends, and
// what is not in it is lost; nothing can be written any more.
func (v *volume) abort() {
	v.t.Helper()
	run(v.t, "mount", "-o", "remount,abort", v.dir)
}

// again mounts an ext4 anew, as after a restart of the machine.
func (v *volume) again() {
	v.t.Helper()
	must(v.t, unix.Unmount(v.dir, 0))
	run(v.t, "mount", "-o", "loop", v.image, v.dir)
}

// unmount takes the file system away from its place; whoever has a file of it open
// keeps that.
func (v *volume) unmount() {
	if err := unix.Unmount(v.dir, unix.MNT_DETACH); err != nil {
		v.t.Errorf("unmount %s: %v", v.dir, err)
	}
}

// remount changes a tmpfs: "size=…", "nr_inodes=…".
func (v *volume) remount(options string) {
	v.t.Helper()
	must(v.t, unix.Mount("throng-test", v.dir, "tmpfs", unix.MS_REMOUNT, options))
}

// grow gives the data of a server that has ended more room, and returns where it is:
// a tmpfs grows where it stands, an ext4 is copied to a larger one.
func (v *volume) grow(size int64) *volume {
	v.t.Helper()
	if v.kind == "tmpfs" {
		v.remount(fmt.Sprintf("size=%d", size))
		v.size = size
		return v
	}
	larger := newVolume(v.t, v.kind, size)
	run(v.t, "cp", "-a", v.data(), larger.data())
	return larger
}

// data is the server's directory on it.
func (v *volume) data() string { return filepath.Join(v.dir, "data") }

// free is the bytes that are left.
func (v *volume) free() int64 {
	v.t.Helper()
	var stat unix.Statfs_t
	must(v.t, unix.Statfs(v.dir, &stat))
	return int64(stat.Bavail) * stat.Bsize
}

// inodes is how many a tmpfs has in use, and a few more, as a mount option has it.
func inodes(v *volume) string {
	v.t.Helper()
	var stat unix.Statfs_t
	must(v.t, unix.Statfs(v.dir, &stat))
	return strconv.FormatUint(stat.Files-stat.Ffree+4, 10)
}

// ballast is a file that takes space away.
type ballast struct {
	v    *volume
	path string
}

// fill leaves so many bytes free, or somewhat less.
func (v *volume) fill(left int64) *ballast {
	v.t.Helper()
	b := &ballast{v, filepath.Join(v.dir, "ballast")}
	f, err := os.Create(b.path)
	must(v.t, err)
	defer f.Close()
	if size := v.free() - left; size > 0 {
		must(v.t, syscall.Fallocate(int(f.Fd()), 0, 0, size))
	}
	return b
}

// drop gives the space back.
func (b *ballast) drop() {
	b.v.t.Helper()
	must(b.v.t, os.Remove(b.path))
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
