package shards

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// background watches what a database does beside its commits: flushes, compactions
// and filings. Pebble tries what fails again, at once and for ever: on a full disk
// that is hundreds of times a second, each with a line in the log. Here each try
// waits longer than the one before, and the log is told once a second.
//
// A flush or a filing that fails is no loss: what it would write is in the log. But
// once so much waits for it that writes wait too, nobody would ever be answered:
// then the process ends.
//
// Pebble calls its listeners under its own locks; they must not wait.
type background struct {
	fatal  func(error)
	opened *atomic.Bool

	flushes, compactions, filings retry

	stalled atomic.Bool // writes wait for flushes
	awaited atomic.Bool // writes wait for a filing

	mu  sync.Mutex
	log *rationed
}

func newBackground(log *slog.Logger, fatal func(error), opened *atomic.Bool) *background {
	return &background{fatal: fatal, opened: opened, log: &rationed{log: log}}
}

// The waits before failed work is tried again: the first, and the longest.
const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = time.Second
)

// retry is one kind of work. It may be used by several goroutines.
type retry struct {
	failures atomic.Int32 // without a success in between
}

// done notes how a piece of work ended.
func (r *retry) done(failed bool) {
	if failed {
		r.failures.Add(1)
	} else {
		r.failures.Store(0)
	}
}

// wait is the time before the next try.
func (r *retry) wait() time.Duration {
	failures := r.failures.Load()
	if failures == 0 {
		return 0
	}
	return min(firstRetry<<min(failures-1, 16), lastRetry)
}

// emptyFlush is what Pebble says of a flush that had nothing to write. It is none
// of those that fail.
const emptyFlush = "pebble: empty table"

// flushed is told of each flush. While it opens, Pebble waits for its flushes, and
// would try for ever.
func (b *background) flushed(i pebble.FlushInfo) {
	failed := i.Err != nil && i.Err.Error() != emptyFlush
	b.flushes.done(failed)
	switch {
	case failed && !b.opened.Load():
		die(b.fatal, fmt.Errorf("open the store: what its log holds cannot be written to a table: %w", i.Err))
	case failed && (b.stalled.Load() || b.awaited.Load()):
		die(b.fatal, fmt.Errorf("writes wait for a memtable that cannot be flushed: %w", i.Err))
	}
}

func (b *background) compacted(i pebble.CompactionInfo) { b.compactions.done(i.Err != nil) }

// failed is told of all that fails.
func (b *background) failed(err error) {
	b.say("background work failed; it will be tried again", "error", err.Error())
}

func (b *background) say(msg string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log.error(msg, args...)
}

// listener logs what an operator wants to know and nothing of the rest. A damaged
// block is such a thing, and no more: whoever reads it gets an error. Pebble's own
// answer to it is Fatalf.
func (b *background) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: b.failed,
		FlushEnd:        b.flushed,
		CompactionEnd:   b.compacted,
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			b.say("a file is damaged", "path", i.Path, "error", i.Details.Error())
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			b.stalled.Store(true)
			b.log.log.Warn("writes wait for flushes", "reason", i.Reason)
		},
		WriteStallEnd: func() {
			b.stalled.Store(false)
			b.log.log.Warn("writes go on")
		},
	}
}

// How Pebble names whom a file is created for.
const (
	flushCategory      vfs.DiskWriteCategory = "pebble-memtable-flush"
	compactionCategory vfs.DiskWriteCategory = "pebble-compaction"
)

// tableFS has background work that has failed wait, where it holds no lock: before
// it creates its table. With syncs off, it has the log synced before a flush writes of
// commits what may be in the log no longer after a crash.
type tableFS struct {
	vfs.FS
	work *background
	log  *commitLog
}

func (fs tableFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	switch category {
	case flushCategory:
		time.Sleep(fs.work.flushes.wait())
		fs.log.settle()
	case compactionCategory:
		time.Sleep(fs.work.compactions.wait())
	}
	return fs.FS.Create(name, category)
}

// Unwrap is for vfs.Root.
func (fs tableFS) Unwrap() vfs.FS { return fs.FS }
