package shards

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A data directory:
//
//	LOCK         held by the process that has it open
//	key          32 random bytes, mode 0600: see secret
//	format       {"format":7,"shards":2,"made":true,"key":"…","sum":"…"}
//	accounts/    a Pebble
//	accounts.mark  how far its commits were synced: see mark.go
//	shard-000/   a Pebble; one for each shard
//	shard-000.mark
//	shard-000.log-000000  some of its commits, and others like it: see commitLog
//	shard-000.filing-0  a table that is being filed: see filer
//
// It is made in this order: key, format with "made" false, the Pebbles, the
// marks, format with "made" true. Before that nothing was served from it, and
// making it may begin again; after it, a Pebble or a mark that is missing is a
// fault, not a fresh start. Format 1 had no marks, format 2 no journals, format 3
// no epochs, format 4 no newest messages, format 5 no packs, format 6 no log but Pebble's:
// opening makes what is missing, then writes format 7.
//
// Without key and sum, format 7 says that the store is to go on without what is missing
// of it; its marks are then made anew. So does format 1 of a store that is not newer.
const (
	lockFile   = "LOCK"
	keyFile    = "key"
	formatFile = "format"
	newSuffix  = ".new" // of a file being written, until it is whole

	formatVersion = 7
	firstMarked   = 2 // the format that has marks
)

// directory is a data directory that this process holds.
type directory struct {
	fs     vfs.FS
	path   string
	lock   io.Closer
	shards int
	format int    // what the format file says; 0: there is none
	made   bool   // the databases exist
	marked bool   // their marks exist
	check  string // of the secret; empty in format 1
	secret secret
	keyID  fileID // the key's file, to know the directory by
}

// format is what the format file says. Key and Sum are of format 2: without them
// a flipped bit makes another key, whose tokens are nobody's, or fewer shards,
// whose chats are not found.
type format struct {
	Format int    `json:"format"`
	Shards int    `json:"shards"`
	Made   bool   `json:"made"`
	Key    string `json:"key,omitempty"` // the check of the key
	Sum    string `json:"sum,omitempty"` // CRC-32C of the file as it would be without
}

// encode returns the file, with the sum that belongs to it.
func (f format) encode() ([]byte, error) {
	f.Sum = ""
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode the format: %w", err)
	}
	f.Sum = fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli))
	if text, err = json.Marshal(f); err != nil {
		return nil, fmt.Errorf("encode the format: %w", err)
	}
	return append(text, '\n'), nil
}

// openDirectory locks the data directory at path and reads what it is, making
// it where there is none. shards 0 takes the number that it was made with. What
// cannot be accepted is refused before anything is written.
func openDirectory(fs vfs.FS, path string, shards int) (*directory, error) {
	d := &directory{fs: fs, path: path, shards: shards}
	found, err := d.readFormat()
	if err != nil {
		return nil, err
	}
	if !found {
		if err := d.prepare(); err != nil {
			return nil, err
		}
	}
	if d.lock, err = fs.Lock(d.file(lockFile)); err != nil {
		return nil, fmt.Errorf("it is in use by another process, or cannot be locked: %w", err)
	}
	err = d.load()
	if err == nil {
		d.keyID, err = fileAt(fs, d.file(keyFile))
	}
	if err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	return d, nil
}

// prepare makes the directory, or accepts an empty one and what a crash left of
// one that was being made.
func (d *directory) prepare() error {
	names, err := d.fs.List(d.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("list: %w", err)
	}
	for _, name := range names {
		switch name {
		case lockFile, keyFile, keyFile + newSuffix, formatFile + newSuffix:
		default:
			return fmt.Errorf("it holds %q but no %q file: it is not a data directory of Throng", name, formatFile)
		}
	}
	return d.make()
}

// make makes the directory and the parents that it lacks, and syncs each parent
// that got a new entry: else a crash takes back all that is in it.
func (d *directory) make() error {
	grown, err := d.missingParents()
	if err != nil {
		return err
	}
	if err := d.fs.MkdirAll(d.path, 0o700); err != nil {
		return fmt.Errorf("make: %w", err)
	}
	if err := restrict(d.fs, d.path, 0o700); err != nil {
		return err
	}
	for _, parent := range grown {
		if err := syncDirectory(d.fs, parent); err != nil {
			return err
		}
	}
	return nil
}

// missingParents returns the directories above this one up to the lowest that
// exists, which is the last of them.
func (d *directory) missingParents() (parents []string, err error) {
	for path := d.path; ; {
		parent := d.fs.PathDir(path)
		parents = append(parents, parent)
		_, err := d.fs.Stat(parent)
		if err == nil || parent == path {
			return parents, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("look for %q: %w", parent, err)
		}
		path = parent
	}
}

// load reads the directory under its lock, first writing what a new one lacks.
func (d *directory) load() error {
	found, err := d.readFormat()
	if err != nil {
		return err
	}
	if !found {
		if err := d.writeNew(); err != nil {
			return err
		}
	}
	key, err := d.read(keyFile)
	if err != nil {
		return fmt.Errorf("read the key of tokens: %w", err)
	}
	if len(key) != secretBytes {
		return fmt.Errorf("the file %q has %d bytes, not %d", keyFile, len(key), secretBytes)
	}
	d.secret = secret(key)
	if d.check != "" && d.check != d.secret.check() {
		return fmt.Errorf("the file %q is damaged: it is not the key that the directory was made with", keyFile)
	}
	return nil
}

func (d *directory) writeNew() error {
	if d.shards == 0 {
		d.shards = min(max(runtime.GOMAXPROCS(0)/coresPerShard, MinShards), MaxShards)
	}
	key := make([]byte, secretBytes)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw a key: %w", err)
	}
	d.secret = secret(key)
	if err := d.write(keyFile, key); err != nil {
		return err
	}
	return d.writeFormat()
}

// finish notes that the databases and their marks exist, and are of this format.
// Call it once they are all open, and before anything is written into them that
// programs which know only their former format would not find.
func (d *directory) finish() error {
	if d.made && d.marked && d.format == formatVersion {
		return nil
	}
	d.made, d.marked = true, true
	if err := d.writeFormat(); err != nil {
		return err
	}
	d.format = formatVersion
	return nil
}

func (d *directory) writeFormat() error {
	text, err := format{Format: formatVersion, Shards: d.shards, Made: d.made, Key: d.secret.check()}.encode()
	if err != nil {
		return err
	}
	return d.write(formatFile, text)
}

// readFormat reports whether there is a format, and refuses one that this
// program, or this configuration, cannot open.
func (d *directory) readFormat() (found bool, err error) {
	text, err := d.read(formatFile)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read its format: %w", err)
	}
	var f format
	if err := json.Unmarshal(text, &f); err != nil {
		return false, fmt.Errorf("the file %q is damaged: %w", formatFile, err)
	}
	switch {
	case f.Format > formatVersion:
		return false, fmt.Errorf("its format is %d, this program knows up to %d: use a newer one", f.Format, formatVersion)
	case f.Format < 1 || f.Shards < MinShards || f.Shards > MaxShards:
		return false, fmt.Errorf("the file %q is damaged: format %d, shards %d", formatFile, f.Format, f.Shards)
	case d.shards != 0 && d.shards != f.Shards:
		return false, fmt.Errorf("it was made with %d shards and cannot be opened with %d", f.Shards, d.shards)
	}
	goOn := f == format{Format: formatVersion, Shards: f.Shards, Made: true}
	if f.Format >= firstMarked && !goOn {
		if whole, err := f.encode(); err != nil || !bytes.Equal(whole, text) {
			return false, errors.Join(fmt.Errorf("the file %q is damaged: its sum is wrong", formatFile), err)
		}
	}
	d.format, d.shards, d.made, d.check = f.Format, f.Shards, f.Made, f.Key
	d.marked = f.Made && f.Format >= firstMarked && !goOn
	return true, nil
}

// former reports whether it is of an older format.
func (d *directory) former() bool { return d.format != 0 && d.format < formatVersion }

// databases returns the names of the databases.
func (d *directory) databases() []string {
	names := []string{accountsName}
	for i := range d.shards {
		names = append(names, shardName(i))
	}
	return names
}

func (d *directory) close() error { return d.lock.Close() }

func (d *directory) file(name string) string { return d.fs.PathJoin(d.path, name) }

func (d *directory) read(name string) ([]byte, error) {
	f, err := d.fs.Open(d.file(name))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// write puts a file into place whole and durable, or not at all.
func (d *directory) write(name string, data []byte) error {
	temporary := d.file(name + newSuffix)
	f, err := d.fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	err = restrict(d.fs, temporary, 0o600)
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	if err := d.fs.Rename(temporary, d.file(name)); err != nil {
		return fmt.Errorf("put into place: %w", err)
	}
	return syncDirectory(d.fs, d.path)
}

func syncDirectory(fs vfs.FS, path string) error {
	dir, err := fs.OpenDir(path)
	if err != nil {
		return fmt.Errorf("open for sync: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("sync directory %q: %w", path, err)
	}
	return nil
}

// restrict sets the mode of a file; only the operating system's files have one.
func restrict(fs vfs.FS, path string, mode os.FileMode) error {
	if fs != vfs.Default {
		return nil
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("set its mode: %w", err)
	}
	return nil
}
