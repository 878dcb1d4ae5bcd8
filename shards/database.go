package shards

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble's defaults (4 MiB memtables, few L0 files) cost half of the ingest and
// stall for seconds under a long load; ../docs/performance.md has the figures.
const (
	maxMemtable       = 96 << 20 // bytes
	memtablesPerShard = 3        // one that fills, two being flushed; then writes wait

	blockBytes      = 32 << 10
	lBaseBytes      = 512 << 20
	l0Compaction    = 8    // L0 sublevels at which compaction begins
	l0Stop          = 1000 // L0 sublevels at which writes stop
	maxCompactions  = 2    // of one database, side by side
	bloomBitsPerKey = 10
)

// database is one actor's Pebble.
type database struct {
	view    // all that is committed
	pebble  *pebble.DB
	options *pebble.Options
	path    string
	write   *pebble.WriteOptions
	mark    *mark  // nil where syncs are off
	found   filed  // how far messages were filed before the filer began
	filer   *filer // nil: not yet accepted
	work    *background

	manifests *manifests
	evidence  *evidence

	commits uint64 // made so far; owned by whoever commits
}

// pool is what the databases share.
type pool struct {
	cache *pebble.Cache
	files *pebble.FileCache
}

func newPool(cacheBytes int64, openFiles int) *pool {
	return &pool{cache: pebble.NewCache(cacheBytes), files: pebble.NewFileCache(runtime.GOMAXPROCS(0), openFiles)}
}

// close drops the pool once the last database that uses it is closed.
func (p *pool) close() {
	p.files.Unref()
	p.cache.Unref()
}

// openDatabase opens the database at path, with memtables and segments of so many
// bytes. Where it must exist, that there is none is an error.
func openDatabase(c Config, p *pool, path string, memtable uint64, segment int, mustExist bool) (*database, error) {
	log := c.Logger.With("database", path)
	var opened atomic.Bool
	work := newBackground(log, c.Fatal, &opened)
	written, kept := &manifests{}, &evidence{}
	disk := evidenceFS{manifestFS{markedFS{c.FS}, written}, kept}
	options := &pebble.Options{
		FS:        &logFS{tableFS{disk, work}, &opened, c.Fatal}, // a pointer: Pebble compares it
		Cache:     p.cache,
		FileCache: p.files,

		ErrorIfNotExists: mustExist,
		// The newest format refuses a damaged log where older ones cut it short.
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                memtable,
		MemTableStopWritesThreshold: memtablesPerShard,
		L0CompactionThreshold:       l0Compaction,
		L0StopWritesThreshold:       l0Stop,
		LBaseMaxBytes:               lBaseBytes,
		CompactionConcurrencyRange:  func() (int, int) { return 1, maxCompactions },
		Filters:                     map[string]pebble.FilterPolicy{formerFilters.Name(): formerFilters},
		Logger:                      &pebbleLogger{log: log, fatal: c.Fatal},
	}
	for i := range options.Levels {
		options.Levels[i] = pebble.LevelOptions{
			BlockSize:    blockBytes,
			FilterPolicy: tableFilter,
			// Not only at the bottom: much of what is filed is not written again.
			Compression: func() *sstable.CompressionProfile { return sstable.FastestCompression },
		}
	}
	options.EventListener = work.listener()
	options.EventListener.ManifestCreated = written.created
	db, err := openPebble(path, options)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	sync := pebble.Sync
	if c.NoSync {
		sync = pebble.NoSync
	}
	opened.Store(true)
	d := &database{
		view:   view{from: db, now: db, journal: newJournal(segment)},
		pebble: db, options: options, path: path, write: sync, work: work, manifests: written, evidence: kept,
	}
	if d.commits, err = d.commitNumber(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", path, err), db.Close())
	}
	return d, nil
}

// openPebble is pebble.Open, which panics where a marker's directory cannot be
// synced: that is the disk's fault like any other.
func openPebble(path string, options *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			fault, ok := cause.(error)
			if _, bug := cause.(runtime.Error); bug || !ok {
				panic(cause)
			}
			db, err = nil, fault
		}
	}()
	return pebble.Open(path, options)
}

// follow opens the mark beside the database, whose file must be there: what is
// committed from now on is noted in it. With syncs off nothing is. It reads the
// journal. Where the mark is newly made, a log that has lost its end is let pass.
func (db *database) follow(c Config, newMark bool) (err error) {
	path := db.path + markSuffix
	if err := checkMark(c.FS, path, db.commits); err != nil {
		return err
	}
	if db.found, err = db.filed(); err != nil {
		return err
	}
	db.noted = db.found.noted
	if db.found.commit > db.commits && !newMark {
		return missingCommits(db.commits, db.found.commit)
	}
	if err := db.journal.load(db.pebble, db.found.unfiled(db.commits), db.commits); err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if !c.NoSync {
		if db.mark, err = openMark(c, path, db.manifests); err != nil {
			return err
		}
	}
	return nil
}

// accept has the journal filed from now on. What the log has lost is left out, and what
// Pebble has no more use for removed. Call it once all databases are found to be whole.
func (db *database) accept(c Config) error {
	if err := removeFilings(c.FS, db.path); err != nil {
		return err
	}
	if err := db.forget(journalKey(db.found.unfiled(db.commits))); err != nil {
		return err
	}
	if db.found.commit > db.commits {
		if err := db.leaveOut(); err != nil {
			return err
		}
	}
	db.filer = startFiler(db, c.FS)
	if err := db.evidence.accept(c.FS); err != nil {
		return fmt.Errorf("remove what is not needed any more: %w", err)
	}
	return nil
}

// forget takes out of the journal what a crash left in it that is filed: all below a key.
func (db *database) forget(high []byte) error {
	low := journalKey(0)
	it, err := iterate(db.pebble, low, high)
	if err != nil {
		return err
	}
	found := it.First()
	err = errors.Join(it.Error(), it.Close())
	if found && err == nil {
		err = db.pebble.DeleteRange(low, high, pebble.NoSync)
	}
	return err
}

// settle makes durable what is committed, where commits do not.
func (db *database) settle() error {
	if db.write.Sync {
		return nil
	}
	return db.pebble.LogData(nil, pebble.Sync)
}

// expectDatabase is an error where there is no database at path. It writes
// nothing.
func expectDatabase(fs vfs.FS, path string) error {
	_, err := findDatabase(fs, path)
	return err
}

// findDatabase describes the database at path, which must be there, and writes
// nothing.
func findDatabase(fs vfs.FS, path string) (*pebble.DBDesc, error) {
	found, err := pebble.Peek(path, fs)
	if err == nil && !found.Exists {
		err = pebble.ErrDBDoesNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("find store %q: %w", path, err)
	}
	return found, nil
}

// markedFS makes a directory durable before a marker is created in it. Pebble
// creates a new manifest and then a marker that names it, and syncs both at once:
// where a file system does not keep the order of names, a power cut in between
// leaves a marker that names nothing, and the store does not open any more.
// Pebble has this since its pull request 5915; drop it with that release.
type markedFS struct{ vfs.FS }

const markerPrefix = "marker."

func (fs markedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(fs.PathBase(name), markerPrefix) {
		if err := syncDirectory(fs.FS, fs.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return fs.FS.Create(name, category)
}

// Unwrap is for vfs.Root.
func (fs markedFS) Unwrap() vfs.FS { return fs.FS }

// begin returns an empty collection of writes, for commit.
func (db *database) begin() *writes {
	db.journal.begin()
	return &writes{batch: db.pebble.NewBatch(), journal: db.journal}
}

// commit makes w durable, unless syncs are off, and visible. w is used up.
func (db *database) commit(w *writes) error {
	var err error
	if !w.empty() {
		number := db.commits + 1
		err = errors.Join(w.number(number), w.journalRecord(number), db.pebble.Apply(w.batch, db.write))
		if err == nil {
			err = db.journal.commit(number)
		}
		if err == nil {
			db.commits = number
			db.synced(number)
		}
	}
	return errors.Join(err, w.batch.Close())
}

// synced notes that every commit up to number is on disk; call it after the sync,
// never before, or a crash in between leaves a healthy store that is refused.
func (db *database) synced(number uint64) {
	if db.mark != nil {
		db.mark.synced(number)
	}
}

// snapshot returns what is committed now, until it is closed.
func (db *database) snapshot() snapshot {
	taken := db.pebble.NewSnapshot()
	return snapshot{view{from: taken, now: db.now, journal: db.journal, noted: db.noted}, taken}
}

// close closes the database; no reader may use it any more.
func (db *database) close() error {
	if db.filer != nil {
		db.filer.close()
	}
	err := db.pebble.Close()
	db.journal.close()
	if db.mark != nil {
		err = errors.Join(err, db.mark.close())
	}
	return err
}

// pebbleLogger hands Pebble's words on. Its Fatalf must not return: where it
// does, Pebble goes on and calls a failed sync a success.
type pebbleLogger struct {
	log   *slog.Logger
	fatal func(error)
}

func (l *pebbleLogger) Infof(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }

func (l *pebbleLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }

func (l *pebbleLogger) Fatalf(format string, args ...any) {
	die(l.fatal, fmt.Errorf("store failed: "+format, args...))
}

// die ends the process through fatal and holds whoever called it where fatal
// should return all the same.
func die(fatal func(error), err error) {
	fatal(err)
	panic("shards: Config.Fatal returned")
}
