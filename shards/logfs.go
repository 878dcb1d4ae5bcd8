package shards

import (
	"fmt"
	"path"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logFS ends the process where a log cannot be made, written or synced, or a
// directory not be synced. Most of that Pebble reports to its Logger's Fatalf; but
// where it replaces one log by the next, it panics, and the process ends in a
// fault of the runtime that says nothing of the disk. While the database is being
// opened it does nothing: then Pebble returns what fails.
type logFS struct {
	vfs.FS
	opened *atomic.Bool
	fatal  func(error)
}

const logSuffix = ".log"

func (fs logFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.guard(name, f, err)
}

func (fs logFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	return fs.guard(newname, f, err)
}

func (fs logFS) guard(name string, f vfs.File, err error) (vfs.File, error) {
	if path.Ext(name) != logSuffix {
		return f, err
	}
	if err != nil {
		return nil, fs.check("make a log", err)
	}
	return logFile{f, fs}, nil
}

// check returns err where it is harmless or the database is not open yet.
func (fs logFS) check(what string, err error) error {
	if err != nil && fs.opened.Load() {
		die(fs.fatal, fmt.Errorf("%s: %w", what, err))
	}
	return err
}

func (fs logFS) OpenDir(name string) (vfs.File, error) {
	dir, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return syncedDir{dir, fs}, nil
}

// Unwrap is for vfs.Root.
func (fs logFS) Unwrap() vfs.FS { return fs.FS }

// logFile is a log that is being written.
type logFile struct {
	vfs.File
	fs logFS
}

func (f logFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.check("write a log", err)
}

func (f logFile) Sync() error { return f.fs.check("sync a log", f.File.Sync()) }

func (f logFile) SyncData() error { return f.fs.check("sync a log", f.File.SyncData()) }

func (f logFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.fs.check("sync a log", err)
}

func (f logFile) Close() error { return f.fs.check("close a log", f.File.Close()) }

// syncedDir is a directory whose names are made durable.
type syncedDir struct {
	vfs.File
	fs logFS
}

func (d syncedDir) Sync() error { return d.fs.check("sync a directory", d.File.Sync()) }
