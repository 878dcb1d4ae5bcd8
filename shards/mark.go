package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A mark file stands beside each database and says how far its commits, and its
// MANIFEST, were synced at least. Nobody can tell a file that a crash cut short
// from one whose end is damaged: the end of both is dropped. A database that knows
// fewer commits than its mark, or whose MANIFEST is another, was not cut by a
// crash, and is refused.
//
//	slot 0   at byte 0:    "mark", version 2, commits 8, MANIFEST's number 8,
//	                       bytes of it 8, their CRC-32C 4, CRC-32C of all this 4
//	slot 1   at byte 4096: the same
//
// The slots are written in turn, so that a write that a crash tears leaves the
// other; the later one counts. Nothing in a mark ever goes back.
const (
	markSuffix    = ".mark"
	markMagic     = "mark"
	markVersion   = 2
	markSlots     = 2
	markSlotBytes = 4096 // apart: no device writes more than that at once
	markBytes     = len(markMagic) + 1 + 8 + 8 + 8 + 4 + 4

	// markDelay is the least time between two writes of a mark. What was synced
	// within it before a crash is not yet covered.
	markDelay = 10 * time.Millisecond
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errMark    = errors.New("no slot of it is whole")
)

// marked is what a mark says: at least so much is on disk.
type marked struct {
	commits uint64
	extent  extent
}

func (m marked) after(other marked) bool {
	return m.commits > other.commits || m.commits == other.commits && m.extent.after(other.extent)
}

// mark is the mark file of one open database. synced belongs to who commits, one at a
// time; the file is written by a goroutine of the mark's own.
type mark struct {
	file      vfs.File
	fatal     func(error)
	number    atomic.Uint64 // the last commit that is synced
	manifests *manifests
	wake      chan struct{} // room for one: there is something to write
	ending    chan struct{}
	ended     chan struct{}

	// Owned by run; nothing else may touch these.
	written marked
	slot    int // the next to write
}

// newMarkFile is what a file that marks m holds.
func newMarkFile(m marked) []byte {
	data := make([]byte, markSlots*markSlotBytes)
	for slot := range markSlots {
		copy(data[slot*markSlotBytes:], m.encode())
	}
	return data
}

func (m marked) encode() []byte {
	data := append(make([]byte, 0, markBytes), markMagic...)
	data = binary.BigEndian.AppendUint64(append(data, markVersion), m.commits)
	data = binary.BigEndian.AppendUint64(data, m.extent.manifest)
	data = binary.BigEndian.AppendUint64(data, m.extent.bytes)
	data = binary.BigEndian.AppendUint32(data, m.extent.sum)
	return binary.BigEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
}

// decodeMark reports false where the slot is not whole.
func decodeMark(data []byte) (m marked, whole bool) {
	body := data[:markBytes-4]
	sum := binary.BigEndian.Uint32(data[markBytes-4 : markBytes])
	if string(body[:len(markMagic)]) != markMagic || body[len(markMagic)] != markVersion ||
		crc32.Checksum(body, castagnoli) != sum {
		return marked{}, false
	}
	fields := body[len(markMagic)+1:]
	m.commits = binary.BigEndian.Uint64(fields)
	m.extent.manifest = binary.BigEndian.Uint64(fields[8:])
	m.extent.bytes = binary.BigEndian.Uint64(fields[16:])
	m.extent.sum = binary.BigEndian.Uint32(fields[24:])
	return m, true
}

// readMark returns the later of the slots of the file at path, and which it is.
func readMark(fs vfs.FS, path string) (m marked, slot int, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return marked{}, 0, err
	}
	found := false
	for i := range markSlots {
		data := make([]byte, markBytes)
		if _, err := f.ReadAt(data, int64(i)*markSlotBytes); err != nil {
			if !errors.Is(err, io.EOF) {
				return marked{}, 0, errors.Join(err, f.Close())
			}
			continue // cut short: the other slot may be there
		}
		if one, whole := decodeMark(data); whole && (!found || one.after(m)) {
			m, slot, found = one, i, true
		}
	}
	if !found {
		return marked{}, 0, errors.Join(errMark, f.Close())
	}
	return m, slot, f.Close()
}

// checkUnopened refuses a database at path that its mark, which must be there,
// shows to be damaged before it is opened. It only reads.
func checkUnopened(fs vfs.FS, path string) error {
	if err := checkMark(fs, path+markSuffix, math.MaxUint64); err != nil {
		return err
	}
	m, _, err := readMark(fs, path+markSuffix)
	if err != nil {
		return fmt.Errorf("read the mark of %q: %w", path, err)
	}
	return m.extent.check(fs, path)
}

// checkMark refuses a database that has fewer commits than its mark says.
func checkMark(fs vfs.FS, path string, commits uint64) error {
	m, _, err := readMark(fs, path)
	number := m.commits
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the file %q is missing: without it nobody can tell whether the end of the log is whole; restore the backup", path)
	case err != nil:
		return fmt.Errorf("the file %q is damaged: %w", path, err)
	case commits < number:
		return missingCommits(commits, number)
	}
	return nil
}

func missingCommits(commits, synced uint64) error {
	return fmt.Errorf("its log is damaged: the last %d of %d commits that were synced are missing; restore the backup",
		synced-commits, synced)
}

// openMark opens the mark at path, which checkMark has accepted, for writing.
func openMark(c Config, path string, manifests *manifests) (*mark, error) {
	last, slot, err := readMark(c.FS, path)
	if err != nil {
		return nil, fmt.Errorf("read the mark %q: %w", path, err)
	}
	f, err := c.FS.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, fmt.Errorf("open the mark %q: %w", path, err)
	}
	m := &mark{
		file: f, fatal: c.Fatal, manifests: manifests, written: last, slot: (slot + 1) % markSlots,
		wake: make(chan struct{}, 1), ending: make(chan struct{}), ended: make(chan struct{}),
	}
	m.number.Store(last.commits)
	go m.run()
	manifests.follow(m.rouse)
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

// rouse has the mark written where there is something new. It never blocks.
func (m *mark) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
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

// write makes what is new durable, or ends the process as any failed sync does.
func (m *mark) write() {
	now := marked{commits: m.number.Load(), extent: m.manifests.extent()}
	if !now.extent.after(m.written.extent) {
		now.extent = m.written.extent // it never goes back
	}
	if !now.after(m.written) {
		return
	}
	_, err := m.file.WriteAt(now.encode(), int64(m.slot)*markSlotBytes)
	if err == nil {
		err = m.file.SyncData()
	}
	if err != nil {
		die(m.fatal, fmt.Errorf("write a mark: %w", err))
	}
	m.written, m.slot = now, (m.slot+1)%markSlots
}

// close writes what is left. Nothing may be synced any more.
func (m *mark) close() error {
	close(m.ending)
	<-m.ended
	return m.file.Close()
}
