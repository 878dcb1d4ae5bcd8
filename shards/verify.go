package shards

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// maxFaults is how many faults a report tells; all are counted.
const maxFaults = 100

// Report is what Verify found in a data directory.
type Report struct {
	Databases, Tables                     int64
	Users, Chats, Members, Messages, Refs int64

	Faulty int64    // faults, all of them
	Faults []string // the first maxFaults of them
}

func (r *Report) fault(format string, args ...any) {
	r.Faulty++
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
	}
}

// Verify checks the data directory Config.Dir, which no process may have open, and
// writes nothing into it: the sums of its files, its marks, and that its records
// agree with each other. Of Config it reads Dir and FS. An error means that it could
// not be checked: it is in use, not there, or not Throng's. Progress is told, now
// and then and by the calling goroutine, of the database and of how many tables and
// records of it are done.
func Verify(c Config, progress func(database string, tables, records int64)) (*Report, error) {
	c.Shards = 0
	if err := c.fill(); err != nil {
		return nil, err
	}
	disk := readOnlyFS{c.FS}
	c.FS = disk
	d := &directory{fs: disk, path: c.Dir}
	if _, err := c.FS.Stat(d.file(formatFile)); err != nil {
		return nil, fmt.Errorf("verify %q: it is no data directory of Throng: %w", c.Dir, err)
	}
	// Locking would make the file; there is one wherever a server has run.
	if _, err := c.FS.Stat(d.file(lockFile)); err != nil {
		return nil, fmt.Errorf("verify %q: %w", c.Dir, err)
	}
	var err error
	if d.lock, err = disk.lock(d.file(lockFile)); err != nil {
		return nil, fmt.Errorf("verify %q: it is in use by another process, or cannot be locked: %w", c.Dir, err)
	}
	v := &verifier{config: c, directory: d, progress: progress, report: &Report{}}
	v.run()
	return v.report, d.close()
}

// verifier is one run of Verify.
type verifier struct {
	config    Config
	directory *directory
	progress  func(string, int64, int64)
	report    *Report

	// Of the database that is being looked at.
	name            string
	tables, records int64
}

// progressRecords is how many records are looked at between two words of progress.
const progressRecords = 1 << 14

func (v *verifier) tell() { v.progress(v.name, v.tables, v.records) }

// record counts one more.
func (v *verifier) record() {
	if v.records++; v.records%progressRecords == 0 {
		v.tell()
	}
}

func (v *verifier) fault(format string, args ...any) {
	v.report.fault("%s: "+format, append([]any{v.name}, args...)...)
}

func (v *verifier) run() {
	v.name = formatFile
	found, err := v.directory.readFormat()
	if err == nil && found {
		err = v.directory.load()
	}
	if err != nil || !v.directory.made {
		v.fault("%v", cmp.Or(err, errUnmade))
		return
	}
	v.config.Shards = v.directory.shards
	for _, name := range v.directory.databases() {
		v.name, v.tables, v.records = name, 0, 0
		v.tell()
		v.report.Databases++
		if err := v.database(); err != nil {
			v.fault("%v", err)
		}
		v.tell()
	}
}

// database checks one: its mark, its tables, its records.
func (v *verifier) database() (err error) {
	path := v.config.FS.PathJoin(v.config.Dir, v.name)
	if v.directory.marked {
		if err := checkUnopened(v.config.FS, path); err != nil {
			return err
		}
	}
	db, err := openReadOnly(v.config.FS, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	read := view{from: db, journal: newJournal(maxSegment)}
	defer read.journal.close()
	so, err := read.filed()
	if err != nil {
		return err
	}
	flushed, err := read.commitNumber()
	if err != nil {
		return err
	}
	read.noted = so.noted
	last := flushed
	if v.directory.former() {
		_, err = read.journal.recoverFormer(newCommitLog(v.config.FS, path, false), db, so.unfiled(flushed), flushed)
	} else {
		unflushed := db.NewIndexedBatch()
		defer func() { err = errors.Join(err, unflushed.Close()) }()
		read.from = unflushed
		var found recovery
		found, err = read.journal.recover(newCommitLog(v.config.FS, path, false), so, flushed, false, unflushed)
		last = found.last
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if known := max(flushed, so.commit, so.begun); known > last {
		v.fault("%v", missingCommits(last, known))
	}
	if v.directory.marked {
		if err := checkMark(v.config.FS, path+markSuffix, last); err != nil {
			v.fault("%v", err)
		}
	}
	if err := v.checkTables(db, path); err != nil {
		return err
	}
	if v.name == accountsName {
		return v.checkAccounts(read)
	}
	return v.checkShard(read)
}

// openReadOnly opens a database that it writes nothing to. What a former format has in
// Pebble's logs is read into memory.
func openReadOnly(fs vfs.FS, path string) (*pebble.DB, error) {
	quiet := slog.New(slog.DiscardHandler)
	db, err := pebble.Open(path, &pebble.Options{
		FS: fs, ReadOnly: true, ErrorIfNotExists: true, FormatMajorVersion: pebble.FormatNewest,
		Logger:        &pebbleLogger{log: quiet, fatal: func(err error) { panic(err) }},
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}, // reads fail
	})
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	return db, nil
}

// checkTables reads each table whole.
func (v *verifier) checkTables(db *pebble.DB, path string) error {
	levels, err := db.SSTables()
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			file := v.config.FS.PathJoin(path, fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum)))
			if err := checkTable(v.config.FS, file); err != nil {
				v.fault("table %q: %v", file, err)
			}
			v.tables++
			v.report.Tables++
			v.tell()
		}
	}
	return nil
}

func checkTable(fs vfs.FS, path string) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	source, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(context.Background(), source, sstable.ReaderOptions{})
	if err != nil { // it has closed the source
		return err
	}
	return errors.Join(r.ValidateBlockChecksums(), r.Close())
}

var errUnmade = errors.New("the directory was not made to the end: start the server")

var errReadOnly = errors.New("shards: verifying writes nothing")

// readOnlyFS refuses all that changes a file. What locks a database in it is the
// data directory's lock.
type readOnlyFS struct{ vfs.FS }

func (readOnlyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errReadOnly }

func (readOnlyFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnly
}

func (readOnlyFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly
}

func (readOnlyFS) Link(string, string) error { return errReadOnly }

func (readOnlyFS) Remove(string) error { return errReadOnly }

func (readOnlyFS) RemoveAll(string) error { return errReadOnly }

func (readOnlyFS) Rename(string, string) error { return errReadOnly }

func (readOnlyFS) MkdirAll(string, os.FileMode) error { return nil } // there is one

func (readOnlyFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (fs readOnlyFS) lock(name string) (io.Closer, error) { return fs.FS.Lock(name) }

// Unwrap is for vfs.Root.
func (fs readOnlyFS) Unwrap() vfs.FS { return fs.FS }
