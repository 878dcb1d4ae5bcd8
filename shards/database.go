package shards

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// Pebble's defaults (4 MiB memtables, few L0 files) cost half of the ingest and
// stall for seconds under a long load; ../docs/performance.md has the figures.
const (
	maxMemtable       = 64 << 20 // bytes
	memtablesPerShard = 4        // one that fills, three being flushed; then writes wait

	blockBytes      = 32 << 10
	lBaseBytes      = 512 << 20
	l0Compaction    = 8    // L0 sublevels at which compaction begins
	l0Stop          = 1000 // L0 sublevels at which writes stop
	maxCompactions  = 2    // of one database, side by side
	bloomBitsPerKey = 10
)

// database is one actor's Pebble.
type database struct {
	*pebble.DB
	write *pebble.WriteOptions
}

type tuning struct {
	cache    *pebble.Cache
	files    *pebble.FileCache
	memtable uint64 // bytes

	mustExist bool
}

func openDatabase(c Config, path string, t tuning) (*database, error) {
	options := &pebble.Options{
		FS:        c.FS,
		Cache:     t.cache,
		FileCache: t.files,

		ErrorIfNotExists: t.mustExist,
		// The newest format refuses a damaged log where older ones cut it short.
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                t.memtable,
		MemTableStopWritesThreshold: memtablesPerShard,
		L0CompactionThreshold:       l0Compaction,
		L0StopWritesThreshold:       l0Stop,
		LBaseMaxBytes:               lBaseBytes,
		CompactionConcurrencyRange:  func() (int, int) { return 1, maxCompactions },
		Logger:                      &pebbleLogger{log: c.Logger.With("database", path), fatal: c.Fatal},
	}
	for i := range options.Levels {
		options.Levels[i] = pebble.LevelOptions{
			BlockSize:    blockBytes,
			FilterPolicy: bloom.FilterPolicy(bloomBitsPerKey),
			Compression:  func() *sstable.CompressionProfile { return sstable.NoCompression },
		}
	}
	// What has sunk to the bottom is nearly all there is, and is rewritten least.
	options.Levels[len(options.Levels)-1].Compression = func() *sstable.CompressionProfile {
		return sstable.FastestCompression
	}
	options.EventListener = pebbleEvents(c.Logger.With("database", path))
	db, err := pebble.Open(path, options)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	sync := pebble.Sync
	if c.NoSync {
		sync = pebble.NoSync
	}
	return &database{DB: db, write: sync}, nil
}

// get calls use with key's value, valid only during the call, and reports
// whether there is one.
func get(from pebble.Reader, key []byte, use func(value []byte) error) (bool, error) {
	value, closer, err := from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a %q record: %w", key[0], err)
	}
	if err = errors.Join(use(value), closer.Close()); err != nil {
		return false, fmt.Errorf("read a %q record: %w", key[0], err)
	}
	return true, nil
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

// pebbleEvents logs what an operator wants to know and nothing of the rest.
func pebbleEvents(log *slog.Logger) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { log.Error("background work failed; it will be tried again", "error", err) },
		DiskSlow: func(i pebble.DiskSlowInfo) {
			log.Warn("the disk is slow", "path", i.Path, "operation", i.OpType, "duration", i.Duration)
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) { log.Warn("writes wait for flushes", "reason", i.Reason) },
		WriteStallEnd:   func() { log.Warn("writes go on") },
	}
}
