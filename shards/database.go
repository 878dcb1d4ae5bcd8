package shards

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
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

// database is one actor's Pebble, and the log of its commits.
type database struct {
	view    // all that is committed
	pebble  *pebble.DB
	options *pebble.Options
	path    string
	log     *commitLog
	mark    *mark  // nil where syncs are off
	filer   *filer // nil: not yet accepted
	work    *background

	manifests *manifests
	evidence  *evidence

	commits uint64      // made so far; owned by whoever commits
	wrote   atomic.Bool // a memtable may have what no table has; set once it has

	opening opening
}

// opening is what a database was found to hold, until it is accepted.
type opening struct {
	filed
	recovery
	former    bool          // it is of a format before 7, which has no log but Pebble's
	first     uint64        // the first commit that may have messages which are not filed
	lost      bool          // the tables have commits that the log has lost
	unflushed *pebble.Batch // what commits wrote that is in no table
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
	commits := newCommitLog(c.FS, path, c.NoSync)
	commits.fatal = c.Fatal
	var opened atomic.Bool
	work := newBackground(log, c.Fatal, &opened)
	written, kept := &manifests{}, &evidence{}
	disk := evidenceFS{manifestFS{markedFS{c.FS}, written}, kept}
	options := &pebble.Options{
		FS:        &directoryFS{tableFS{disk, work, commits}, &opened, c.Fatal}, // a pointer: Pebble compares it
		Cache:     p.cache,
		FileCache: p.files,

		ErrorIfNotExists: mustExist,
		DisableWAL:       true, // see commitLog
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
	// A table that is taken in over a memtable would be, with no log, in memory only.
	options.Experimental.DisableIngestAsFlushable = func() bool { return true }
	options.EventListener = work.listener()
	options.EventListener.ManifestCreated = written.created
	db, err := openPebble(path, options)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	opened.Store(true)
	return &database{
		view:   view{from: db, journal: newJournal(segment)},
		pebble: db, options: options, path: path, log: commits, work: work, manifests: written, evidence: kept,
	}, nil
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

// load finds out what the database holds: of format 7 in its log, of a former one in
// Pebble. With goOn, what is missing is done without. It writes nothing.
func (db *database) load(former, goOn bool) (err error) {
	db.opening = opening{former: former, unflushed: db.pebble.NewBatch()}
	db.opening.filed, err = db.filed()
	if err != nil {
		return err
	}
	db.noted = db.opening.noted
	flushed, err := db.commitNumber()
	if err != nil {
		return err
	}
	if former {
		db.opening.first = db.opening.unfiled(flushed)
		db.opening.recovery, err = db.journal.recoverFormer(db.log, db.pebble, db.opening.first, flushed)
	} else {
		db.opening.first = db.opening.unfiled(math.MaxUint64)
		db.opening.recovery, err = db.journal.recover(db.log, db.opening.filed, flushed, goOn, db.opening.unflushed)
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	known := max(flushed, db.opening.commit, db.opening.begun)
	db.opening.lost = known > db.opening.last
	if db.opening.lost && !goOn {
		return missingCommits(db.opening.last, known)
	}
	db.commits = max(known, db.opening.last)
	return nil
}

// follow opens the mark beside the database, whose file must be there: what is
// committed from now on is noted in it. With syncs off nothing is.
func (db *database) follow(c Config) (err error) {
	path := db.path + markSuffix
	if err := checkMark(c.FS, path, db.commits); err != nil {
		return err
	}
	if !c.NoSync {
		db.mark, err = openMark(c, path, db.manifests)
	}
	return err
}

// adopt makes of what load found a database of this format that is whole. It writes
// nothing by which a former program would find less. It can be done again where a
// crash ended it. Call it once all databases are found to be what they should be.
//
// What nothing vouches for is on disk again before its writes are in tables, and both
// before what it was read from is removed.
func (db *database) adopt() error {
	db.work.awaited.Store(true) // tables that cannot be written: it would wait for ever
	defer db.work.awaited.Store(false)
	found := &db.opening
	err := db.log.remove(found.behind)
	if err == nil && found.former {
		err = db.log.free(found.idle) // of a takeover that did not come to its end
		found.idle = nil
	}
	if err == nil {
		err = db.restate()
	}
	if err == nil && !found.unflushed.Empty() {
		db.wrote.Store(true)
		err = db.pebble.Apply(found.unflushed, pebble.NoSync)
	}
	if err == nil {
		err = db.forget(journalKey(found.first))
	}
	if err == nil && found.lost {
		db.wrote.Store(true)
		err = db.leaveOut()
	}
	if err == nil && (found.former || db.wrote.Swap(false)) {
		err = db.pebble.Flush()
	}
	if err == nil && found.last < db.commits {
		err = db.bridge()
	}
	if err == nil {
		err = db.log.remove(found.damaged)
	}
	return errors.Join(err, found.unflushed.Close())
}

// bridge has the log end with the last commit, of which it has nothing: what follows
// on that can be told from what is missing. Call it once nothing is left of what the log
// has lost: afterwards nobody looks for it.
func (db *database) bridge() error {
	err := db.log.write(db.journal.ready(), &commitRecord{after: db.opening.last, number: db.commits, flags: flagRestated})
	if err == nil {
		err = db.journal.commit(db.commits)
	}
	db.log.sync()
	return err
}

// restate writes into the log what of an opening is not known to be on disk there, and
// syncs it: the last commits that were read back, or what a former format has in Pebble.
func (db *database) restate() error {
	found := &db.opening
	if found.former {
		found.last = found.commit
		if err := formerJournal(db.pebble, found.first, db.commits, func(number uint64, messages []byte) error {
			r := commitRecord{after: min(found.last, number-1), number: number, messages: messages, flags: flagRestated}
			found.last = number
			return db.log.write(db.journal.ready(), &r)
		}); err != nil {
			return err
		}
	}
	for _, k := range found.tail {
		var r commitRecord
		if !k.moves || !r.decode(k.record) {
			continue
		}
		r.flags &= flagRestated
		if err := db.log.write(db.journal.ready(), &r); err != nil {
			return err
		}
	}
	found.tail = slices.DeleteFunc(found.tail, func(k readBack) bool { return k.moves })
	db.log.sync()
	return db.log.rewrite(found.tail)
}

// accept begins to write into a database that is adopted: its journal is filed, and
// what there is no more use for removed.
func (db *database) accept(c Config) error {
	if err := removeFilings(c.FS, db.path); err != nil {
		return err
	}
	if err := db.log.free(db.opening.idle); err != nil {
		return err
	}
	if err := db.evidence.accept(c.FS); err != nil {
		return fmt.Errorf("remove what is not needed any more: %w", err)
	}
	db.filer = startFiler(db, c.FS)
	db.opening = opening{}
	return nil
}

// forget takes out of a former format's journal what is filed: all below a key.
func (db *database) forget(high []byte) error {
	low := journalKey(0)
	it, err := iterate(db.pebble, low, high)
	if err != nil {
		return err
	}
	found := it.First()
	err = errors.Join(it.Error(), it.Close())
	if found && err == nil {
		db.wrote.Store(true)
		err = db.pebble.DeleteRange(low, high, pebble.NoSync)
	}
	return err
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
		err = db.commitNext(w)
	}
	return errors.Join(err, w.batch.Close())
}

func (db *database) commitNext(w *writes) error {
	number := db.commits + 1
	r := commitRecord{after: db.commits, number: number, messages: db.journal.pending()}
	if !w.batch.Empty() {
		if err := w.number(number); err != nil {
			return err
		}
		r.writes = w.batch.Repr()
	}
	if err := db.log.append(db.journal.ready(), &r); err != nil {
		return err
	}
	if !w.batch.Empty() {
		if err := db.pebble.Apply(w.batch, pebble.NoSync); err != nil {
			return err
		}
		db.wrote.Store(true) // not before, or a flush would be taken for one of it
	}
	if err := db.journal.commit(number); err != nil {
		return err
	}
	db.commits = number
	db.synced(number)
	return nil
}

// synced notes that every commit up to number is on disk; call it after the sync,
// never before, or a crash in between leaves a healthy store that is refused.
func (db *database) synced(number uint64) {
	if db.mark != nil {
		db.mark.synced(number)
	}
}

// close closes the database; no reader may use it any more.
func (db *database) close() error {
	if db.filer != nil {
		db.filer.close()
	}
	err := errors.Join(db.log.close(db.journal.files()), db.pebble.Close())
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
