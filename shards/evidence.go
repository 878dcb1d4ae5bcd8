package shards

import (
	"errors"
	"path"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// pebbleLogSuffix ends the names of the logs that Pebble had up to format 6.
const pebbleLogSuffix = ".log"

// evidence keeps the logs and MANIFESTs that Pebble would remove while it opens a
// database, until what was read of them is accepted. Those of a store that is
// refused stay: somebody may read more out of them. Several goroutines use it.
type evidence struct {
	mu       sync.Mutex
	accepted bool
	kept     []string // paths of files to remove
}

// keep reports whether the file at name is to stay for now.
func (e *evidence) keep(name string) bool {
	base := path.Base(name)
	if path.Ext(base) != pebbleLogSuffix && !strings.HasPrefix(base, manifestPrefix) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.accepted {
		return false
	}
	e.kept = append(e.kept, name)
	return true
}

// accept removes what was kept, and from now on keeps nothing.
func (e *evidence) accept(fs vfs.FS) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range e.kept {
		err = errors.Join(err, fs.Remove(name))
	}
	e.accepted, e.kept = true, nil
	return err
}

// evidenceFS removes nothing that evidence keeps.
type evidenceFS struct {
	vfs.FS
	evidence *evidence
}

func (fs evidenceFS) Remove(name string) error {
	if fs.evidence.keep(name) {
		return nil
	}
	return fs.FS.Remove(name)
}

// Unwrap is for vfs.Root.
func (fs evidenceFS) Unwrap() vfs.FS { return fs.FS }
