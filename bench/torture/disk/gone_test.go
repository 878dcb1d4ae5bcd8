package disk_test

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The ways to take a data directory away from a server, whose open files go on to
// take whatever is written to them: it must not, for long. The server notices even
// where it writes nothing, ends, and says what is the matter.
func TestAServerWhoseDirectoryIsGoneEnds(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(v *volume) (back func()){
		"moved": move,
		"removed": func(v *volume) func() {
			must(v.t, os.RemoveAll(v.data()))
			return nil
		},
		"hidden by a mount": func(v *volume) func() {
			must(v.t, unix.Mount("throng-test", v.data(), "tmpfs", 0, ""))
			return func() { must(v.t, unix.Unmount(v.data(), unix.MNT_DETACH)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// With that memory there is nothing to file, so that it is at rest when the load is.
			w := newWorld(t, newVolume(t, "tmpfs", spare), "--disk-floor", "0", "--memory", "1GiB")
			w.load()
			w.eventually("there are writes", func() bool { return w.counts.acked.Load() > 100 })
			w.rest()
			back := take(w.volume)
			w.awaitFailure("is gone")
			if back == nil {
				return // there is nothing to judge
			}
			back()
			w.restart("--disk-floor", "0")
			w.check()
		})
	}
}

func move(v *volume) (back func()) {
	away := v.data() + ".moved"
	must(v.t, os.Rename(v.data(), away))
	return func() { must(v.t, os.Rename(away, v.data())) }
}

// Under load, a directory that is moved ends the server as well, be it by a file
// that cannot be made: and what it had acknowledged is where the directory went.
func TestADirectoryThatIsMovedUnderLoadTakesAllThatWasAcknowledgedWithIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newVolume(t, "tmpfs", spare), "--disk-floor", "0")
	w.load()
	w.eventually("there are writes", func() bool { return w.counts.acked.Load() > 100 })
	w.counts.gone.Store(true)
	back := move(w.volume)
	w.awaitFailure("is gone", "no such file or directory")
	w.collect()
	w.counts.gone.Store(false)
	back()
	w.restart("--disk-floor", "0")
	w.check()
}

// A disk that turns read-only under the load ends the server at its next write;
// what it had acknowledged is there when the disk can be written again.
func TestADiskThatTurnsReadOnlyEndsTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newVolume(t, "ext4", spare), "--disk-floor", "0")
	w.load()
	w.eventually("there are writes", func() bool { return w.counts.acked.Load() > 200 })
	w.volume.abort()
	w.awaitFailure("read-only file system", "input/output error")
	w.collect()
	w.volume.again()
	w.restart("--disk-floor", "0")
	if v := w.check(); v.Acked == 0 {
		t.Error("nothing was acknowledged")
	}
}

// Where no file can be made any more, the server ends once it needs one; with
// inodes it is as before.
func TestADiskWithoutInodesEndsTheServer(t *testing.T) {
	t.Parallel()
	v := newVolume(t, "tmpfs", spare)
	w := newWorld(t, v, "--disk-floor", "0")
	v.remount("nr_inodes=" + inodes(v))
	w.load()
	w.awaitFailure(noSpace)
	w.collect()
	v.remount("nr_inodes=100000")
	w.restart("--disk-floor", "0")
	if v := w.check(); v.Acked == 0 {
		t.Error("nothing was acknowledged")
	}
	if said := w.server.Output(); strings.Contains(said, noSpace) {
		t.Errorf("with inodes the server says:\n%s", tail(said))
	}
}
