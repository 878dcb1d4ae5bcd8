package shards

import (
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// directoryFS ends the process where a directory cannot be synced: Pebble panics there,
// and the process would end in a fault of the runtime that says nothing of the disk.
// While the database is being opened it does nothing: then what fails is returned.
type directoryFS struct {
	vfs.FS
	opened *atomic.Bool
	fatal  func(error)
}

func (fs directoryFS) OpenDir(name string) (vfs.File, error) {
	dir, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return syncedDir{dir, fs}, nil
}

// Unwrap is for vfs.Root.
func (fs directoryFS) Unwrap() vfs.FS { return fs.FS }

// syncedDir is a directory whose names are made durable.
type syncedDir struct {
	vfs.File
	fs directoryFS
}

func (d syncedDir) Sync() error {
	err := d.File.Sync()
	if err != nil && d.fs.opened.Load() {
		die(d.fs.fatal, fmt.Errorf("sync a directory: %w", err))
	}
	return err
}
