package engine

import (
	"fmt"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"         //nolint:depguard // shards.Config.FS is one
	"github.com/cockroachdb/pebble/v2/vfs/errorfs" //nolint:depguard // and this one can be made to hang

	"throng/shards"
)

// slowDisk is a disk in memory whose syncs hang where a test wants it. An actor
// whose sync hangs takes up nothing more: its mailbox fills.
type slowDisk struct {
	fs vfs.FS

	mu    sync.Mutex
	hangs map[string]*hang // by actor
}

// hang is something that a test made hang.
type hang struct {
	begun   chan struct{} // closed when something hangs
	release func()        // lets it go, and all that follow

	begin func()
	over  chan struct{}
}

func newHang(end func()) *hang {
	h := &hang{begun: make(chan struct{}), over: make(chan struct{})}
	h.begin = sync.OnceFunc(func() { close(h.begun) })
	h.release = sync.OnceFunc(func() {
		end()
		close(h.over)
	})
	return h
}

func newSlowDisk() *slowDisk {
	d := &slowDisk{hangs: make(map[string]*hang)}
	d.fs = errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			d.sync(op.Path)
		}
		return nil
	}))
	return d
}

func (d *slowDisk) use(_ *Config, c *shards.Config) { c.FS = d.fs }

func (d *slowDisk) sync(path string) {
	actor, _, ofLog := strings.Cut(d.fs.PathBase(path), ".log-")
	if !ofLog {
		return
	}
	d.mu.Lock()
	h := d.hangs[actor]
	d.mu.Unlock()
	if h != nil {
		h.begin()
		<-h.over
	}
}

// hang makes an actor's syncs hang, until released or the test ends. A later
// hang takes over from an earlier one, but for the sync that hangs already.
func (d *slowDisk) hang(t tb, actor string) *hang {
	var h *hang
	h = newHang(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.hangs[actor] == h {
			delete(d.hangs, actor)
		}
	})
	t.Cleanup(h.release)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hangs[actor] = h
	return h
}

const accountsActor = "accounts"

func shardActor(shard shards.Target) string { return fmt.Sprintf("shard-%03d", shard) }
