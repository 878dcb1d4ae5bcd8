package shards

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fileID is which file stands at a path. Where the file system does not tell, it
// is zero: then only that there is one is known.
type fileID struct{ device, inode uint64 }

func fileAt(fs vfs.FS, path string) (fileID, error) {
	info, err := fs.Stat(path)
	if err != nil {
		return fileID{}, err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{stat.Dev, stat.Ino}, nil
	}
	return fileID{}, nil
}

// CheckPresence ends the process, through Config.Fatal, where the data directory is
// not at its path any more: removed, moved away, unmounted, or hidden by another.
// What is open of it can still be written and synced, but the next start would not
// find it. An error means that nobody can tell now.
func (s *Store) CheckPresence() error {
	there, err := fileAt(s.config.FS, s.directory.file(keyFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look for %q: %w", s.config.Dir, err)
	case there == s.directory.keyID:
		return nil
	}
	die(s.config.Fatal, fmt.Errorf("the data directory %q is gone: removed, moved, unmounted or replaced while it was open", s.config.Dir))
	return nil
}
