package crash_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tables are the table files of a data directory that have been seen whole. They
// show what a kill has met: a table without its end was being written by a flush or
// a compaction, and one that is gone was compacted away.
type tables map[string]bool

// tableEnd are a Pebble table's last bytes. (Pebble's sstable/table.go: the magic of its format.)
const tableEnd = "\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3"

// sight is what look has found.
type sight struct {
	written   int64 // whole tables that are new
	compacted int64 // whole tables that are gone
	half      int64 // tables without their end
}

// look looks through a directory whose server has been killed.
func (seen tables) look(dir string) (s sight) {
	there := tables{}
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".sst") {
			return err
		}
		switch {
		case seen[path]:
			there[path] = true
		case whole(path):
			there[path] = true
			s.written++
		default:
			s.half++
		}
		return nil
	})
	for path := range seen {
		if !there[path] {
			s.compacted++
			delete(seen, path)
		}
	}
	for path := range there {
		seen[path] = true
	}
	return s
}

// whole reports whether a table has its end.
func whole(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	end := make([]byte, len(tableEnd))
	if _, err := f.Seek(-int64(len(end)), io.SeekEnd); err != nil {
		return false
	}
	_, err = io.ReadFull(f, end)
	return err == nil && string(end) == tableEnd
}
