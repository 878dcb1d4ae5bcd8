package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A mark file stands beside each database and says how far its commits were
// synced at least. Pebble cannot tell a log that a crash cut short from one whose
// end is damaged: it drops the end of both. A database that knows fewer commits
// than its mark was not cut by a crash, and is refused.
//
//	slot 0   at byte 0:    "mark", version 1, number 8, CRC-32C 4
//	slot 1   at byte 4096: the same
//
// The slots are written in turn, so that a write that a crash tears leaves the
// other; the greater number counts.
const (
	markSuffix    = ".mark"
	markMagic     = "mark"
	markVersion   = 1
	markSlots     = 2
	markSlotBytes = 4096 // apart: no device writes more than that at once
	markBytes     = len(markMagic) + 1 + 8 + 4

	// markDelay is the least time between two writes of a mark. What was synced
	// within it before a crash is not yet covered.
	markDelay = 10 * time.Millisecond
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errMark    = errors.New("no slot of it is whole")
)

// mark is the mark file of one open database. synced belongs to the goroutine
// that commits; the file is written by a goroutine of the mark's own.
type mark struct {
	file   vfs.File
	fatal  func(error)
	number atomic.Uint64 // the last commit that is synced
	wake   chan struct{} // room for one: there is something to write
	ending chan struct{}
	ended  chan struct{}

	// Owned by run; nothing else may touch these.
	written uint64
	slot    int // the next to write
}

// newMarkFile is what a file that marks so many commits holds.
func newMarkFile(number uint64) []byte {
	data := make([]byte, markSlots*markSlotBytes)
	for slot := range markSlots {
		copy(data[slot*markSlotBytes:], encodeMark(number))
	}
	return data
}

func encodeMark(number uint64) []byte {
	data := append(make([]byte, 0, markBytes), markMagic...)
	data = binary.BigEndian.AppendUint64(append(data, markVersion), number)
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// decodeMark reports false where the slot is not whole.
func decodeMark(data []byte) (number uint64, whole bool) {
	body := data[:markBytes-4]
	sum := binary.BigEndian.Uint32(data[markBytes-4 : markBytes])
	if string(body[:len(markMagic)]) != markMagic || body[len(markMagic)] != markVersion ||
		crc32.Checksum(body, castagnoli) != sum {
		return 0, false
	}
	return binary.BigEndian.Uint64(body[len(markMagic)+1:]), true
}

// readMark returns the greatest number of the file at path and its slot.
func readMark(fs vfs.FS, path string) (number uint64, slot int, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, 0, err
	}
	found := false
	for i := range markSlots {
		data := make([]byte, markBytes)
		if _, err := f.ReadAt(data, int64(i)*markSlotBytes); err != nil {
			if !errors.Is(err, io.EOF) {
				return 0, 0, errors.Join(err, f.Close())
			}
			continue // cut short: the other slot may be there
		}
		if n, whole := decodeMark(data); whole && (!found || n > number) {
			number, slot, found = n, i, true
		}
	}
	if !found {
		return 0, 0, errors.Join(errMark, f.Close())
	}
	return number, slot, f.Close()
}

// checkMark refuses a database that has fewer commits than its mark says.
func checkMark(fs vfs.FS, path string, commits uint64) error {
	number, _, err := readMark(fs, path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the file %q is missing: without it nobody can tell whether the end of the log is whole; restore the backup", path)
	case err != nil:
		return fmt.Errorf("the file %q is damaged: %w", path, err)
	case commits < number:
		return fmt.Errorf("its log is damaged: the last %d of %d commits that were synced are missing; restore the backup",
			number-commits, number)
	}
	return nil
}

// openMark opens the mark at path, which checkMark has accepted, for writing.
func openMark(c Config, path string) (*mark, error) {
	number, slot, err := readMark(c.FS, path)
	if err != nil {
		return nil, fmt.Errorf("read the mark %q: %w", path, err)
	}
	f, err := c.FS.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open the mark %q: %w", path, err)
	}
	m := &mark{
		file: f, fatal: c.Fatal, written: number, slot: (slot + 1) % markSlots,
		wake: make(chan struct{}, 1), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	m.number.Store(number)
	go m.run()
	return m, nil
}

// synced notes that all commits up to number are on disk. It never blocks.
func (m *mark) synced(number uint64) {
	m.number.Store(number)
	select {
	case m.wake <- struct{}{}:
	default: // it will find the number
	}
}

// run writes the mark at once after a rest, then each markDelay at most.
func (m *mark) run() {
	defer close(m.ended)
	rest := time.NewTimer(markDelay)
	defer rest.Stop()
	for {
		select {
		case <-m.wake:
			m.write()
		case <-m.ending:
			m.write()
			return
		}
		rest.Reset(markDelay)
		select {
		case <-rest.C:
		case <-m.ending:
		}
	}
}

// write makes the number durable, or ends the process as any failed sync does.
func (m *mark) write() {
	number := m.number.Load()
	if number <= m.written {
		return
	}
	_, err := m.file.WriteAt(encodeMark(number), int64(m.slot)*markSlotBytes)
	if err == nil {
		err = m.file.SyncData()
	}
	if err != nil {
		die(m.fatal, fmt.Errorf("write a mark: %w", err))
	}
	m.written, m.slot = number, (m.slot+1)%markSlots
}

// close writes what is left. Nothing may be synced any more.
func (m *mark) close() error {
	close(m.ending)
	<-m.ended
	return m.file.Close()
}
