package shards

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// extent is how much of which MANIFEST is on disk. Pebble's MANIFEST names the
// tables; it is only ever appended to and, at each opening and now and then
// between, begun anew under a greater number. Pebble takes a record that does not
// read for the end of the file, and forgets the tables named after it. The zero
// value says nothing.
type extent struct {
	manifest uint64 // the file's number
	bytes    uint64 // synced, from the file's start
	sum      uint32 // CRC-32C of them
}

// after reports whether e was noted after other.
func (e extent) after(other extent) bool {
	return e.manifest > other.manifest || e.manifest == other.manifest && e.bytes > other.bytes
}

// check refuses the database at path where e is not what its MANIFEST begins with.
// A newer MANIFEST is one that a crash did not leave the time to note. It only
// reads; call it before Pebble opens the database, which drops what it cannot read.
func (e extent) check(fs vfs.FS, path string) error {
	if e == (extent{}) {
		return nil
	}
	found, err := findDatabase(fs, path)
	if err != nil {
		return err
	}
	number, ok := manifestNumber(fs.PathBase(found.ManifestFilename))
	switch {
	case !ok || number < e.manifest:
		return fmt.Errorf("store %q goes by %q, but number %d was in force: files of it are missing; restore the backup",
			path, found.ManifestFilename, e.manifest)
	case number > e.manifest:
		return nil
	}
	return e.compare(fs, found.ManifestFilename)
}

func (e extent) compare(fs vfs.FS, file string) error {
	f, err := fs.Open(file)
	if err != nil {
		return fmt.Errorf("open %q: %w", file, err)
	}
	sum := crc32.New(castagnoli)
	n, err := io.CopyN(sum, f, int64(e.bytes))
	if errors.Is(err, io.EOF) {
		err = nil // the length tells
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read %q: %w", file, err)
	}
	if uint64(n) != e.bytes || sum.Sum32() != e.sum {
		return fmt.Errorf("the file %q is damaged: it is not what was synced, %d bytes; restore the backup", file, e.bytes)
	}
	return nil
}

const manifestPrefix = "MANIFEST-"

func manifestNumber(name string) (number uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, manifestPrefix)
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscanf(digits, "%d", &number)
	return number, err == nil
}

// manifests follows the MANIFESTs that one open database writes. A new one is in
// force, and noted, only when Pebble's marker names it durably: before that a crash
// brings back the old one. Pebble calls it; it takes its own lock and no other.
type manifests struct {
	mu      sync.Mutex
	changed func()   // told of each new extent; nil: nobody
	inForce uint64   // the number of the MANIFEST that the marker names
	written []extent // synced, of MANIFESTs not older than that in force: one or two
	durable extent
}

// follow has changed called from now on, and once for what was before.
func (m *manifests) follow(changed func()) {
	m.mu.Lock()
	m.changed = changed
	m.mu.Unlock()
	changed()
}

func (m *manifests) extent() extent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.durable
}

// synced notes that e is on disk.
func (m *manifests) synced(e extent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written = slices.DeleteFunc(m.written, func(old extent) bool {
		return old.manifest == e.manifest || old.manifest < m.inForce
	})
	m.written = append(m.written, e)
	m.note()
}

// created is Pebble's word that its marker names a new MANIFEST, and was synced.
func (m *manifests) created(i pebble.ManifestCreateInfo) {
	if i.Err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inForce = uint64(i.FileNum)
	m.note()
}

func (m *manifests) note() {
	for _, e := range m.written {
		if e.manifest == m.inForce && e.after(m.durable) {
			m.durable = e
			if m.changed != nil {
				m.changed()
			}
		}
	}
}

// manifestFS has manifests told of each sync of a MANIFEST.
type manifestFS struct {
	vfs.FS
	manifests *manifests
}

func (fs manifestFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	number, ok := manifestNumber(fs.PathBase(name))
	if err != nil || !ok {
		return f, err
	}
	return &manifestFile{File: f, manifests: fs.manifests, extent: extent{manifest: number}}, nil
}

// Unwrap is for vfs.Root.
func (fs manifestFS) Unwrap() vfs.FS { return fs.FS }

// manifestFile is a MANIFEST that is being written, by one goroutine at a time.
type manifestFile struct {
	vfs.File
	manifests *manifests
	extent    extent // written so far
	failed    bool   // what is written is not known any more
}

func (f *manifestFile) Write(p []byte) (int, error) {
	sum := crc32.Update(f.extent.sum, castagnoli, p) // before: a Write may use p up
	n, err := f.File.Write(p)
	if err != nil || n < len(p) {
		f.failed = true
	}
	f.extent.bytes += uint64(n)
	f.extent.sum = sum
	return n, err
}

func (f *manifestFile) Sync() error { return f.sync(f.File.Sync) }

func (f *manifestFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *manifestFile) sync(sync func() error) error {
	err := sync()
	if err == nil && !f.failed {
		f.manifests.synced(f.extent)
	}
	return err
}
