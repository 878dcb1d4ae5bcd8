package crash_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tables are the table files of a data directory that have been seen whole. They
// show what a kill has met: a table without its end was being written by a flush or
// a compaction, and one that is gone was compacted away.
type tables map[string]bool

// tableEnd are a Pebble table's last bytes. (Pebble's sstable/table.go: the magic of its format.)
const tableEnd = "\xf0\x9f\xaa\xb3\xf0\x9f\xaa\xb3"

// The bounds of a wait for a table.
const (
	tablePoll = 500 * time.Microsecond
	tableWait = 250 * time.Millisecond
)

// await waits until a table is there that was not, which is then being written, or
// has just been. It gives up after tableWait: there need be none.
func await(dir string) {
	before := paths(dir)
	for until := time.Now().Add(tableWait); time.Now().Before(until); time.Sleep(tablePoll) {
		for path := range paths(dir) {
			if !before[path] {
				return
			}
		}
	}
}

// paths lists the tables of a directory in which a server may be at work.
func paths(dir string) tables {
	all := tables{}
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".sst") {
			all[path] = true
		}
		return nil // what is gone is no table
	})
	return all
}

// sight is what look has found.
type sight struct {
	written   int64 // whole tables that are new
	compacted int64 // whole tables that are gone
	half      int64 // tables without their end
}

// look looks through a directory whose server has been killed.
func (seen tables) look(dir string) (s sight) {
	there := paths(dir)
	for path := range there {
		switch {
		case seen[path]:
		case whole(path):
			s.written++
		default:
			s.half++
			delete(there, path)
		}
	}
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
