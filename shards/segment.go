package shards

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"syscall"
)

// segment is a stretch of the journal in memory: the records of the messages that
// some commits in a row wrote, and where each chat's are. Its bytes are those that
// the commits have in the log:
//
//	record   chat 8, index uvarint, bytes of the message uvarint, the message as
//	         its value in the store
//
// The writer appends records and, when they are committed, indexes them; what is
// indexed never changes and can be read beside the writer. Nothing in a segment
// points anywhere, so that the garbage collector has nothing to follow in it.
type segment struct {
	// Owned by the writer until the segment is sealed, then by the filer.
	slab    []byte     // all records, those that are not committed yet too
	entries []entry    // of its pending end
	memory  []byte     // what slab begins with
	first   uint64     // number of its first commit; 0: none yet
	last    uint64     // of its last one
	files   []*logFile // of the log, that have its commits and may be freed with it

	refs int // holders, the journal itself among them; guarded by journal.mu

	mu      sync.RWMutex
	records []byte           // the committed part of slab
	chats   map[int64]uint32 // which of tails is a chat's
	tails   []tail           // what it has of each chat
	runs    []uint32         // see tail
}

// entry is what the index is to note of a record: whose and which message it is, and
// where.
type entry struct {
	chat, index int64
	at          uint32
}

// tail says where a segment has a chat's messages: count of them, with the indexes
// first, first+1, …. Their offsets stand in runs, which are stretches of
// segment.runs, each longer than the one before it:
//
//	run   where the run before it begins, how many messages the runs before have,
//	      the offset of each record in the slab
type tail struct {
	first int64
	count uint32
	run   uint32 // where the last run begins
}

const (
	maxSegment = 64 << 20 // bytes

	runHeader = 2
	firstRun  = 2    // offsets
	maxRun    = 1024 // offsets

	// tailBytes is what a chat costs in chats and tails, offsetBytes what a number in
	// runs does.
	tailBytes   = 60
	offsetBytes = 4

	// indexPart is how many messages are indexed before readers may look again.
	indexPart = 256
)

// runLength is how many offsets a run has room for that comes after so many.
func runLength(before uint32) uint32 { return min(before+firstRun, maxRun) }

func (t tail) last() int64 { return t.first + int64(t.count) - 1 }

// mapFrom is how large a segment must be for its memory to be mapped, outside of the
// garbage collector's: there, it would count as live, and as much garbage again be
// let gather.
const mapFrom = 1 << 20

// newSegment returns a segment that has memory for twice so many bytes: it is full
// with half of them, and the commit that fills it goes beyond. What is not touched
// of it costs nothing.
func newSegment(bytes int) *segment {
	s := &segment{}
	if bytes >= mapFrom {
		s.memory, _ = syscall.Mmap(-1, 0, 2*bytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	}
	if s.memory == nil {
		s.memory = make([]byte, 2*bytes)
	} else {
		// The writer would wait for large pages, 20 ms each on a virtual machine whose host
		// takes free memory back (docs/performance.md).
		_ = syscall.Madvise(s.memory, syscall.MADV_NOHUGEPAGE)
	}
	s.reuse()
	return s
}

// reuse empties a segment that nobody holds.
func (s *segment) reuse() {
	s.slab, s.records, s.entries = s.memory[:0], nil, s.entries[:0]
	s.first, s.last, s.files = 0, 0, nil
	s.chats, s.tails, s.runs = make(map[int64]uint32), s.tails[:0], s.runs[:0]
}

// free gives its memory back; nobody may hold it.
func (s *segment) free() {
	_ = syscall.Munmap(s.memory) // it refuses what was not mapped
	s.memory = nil
	s.reuse()
}

// bytes is what the segment takes, its index included. Its owner calls it.
func (s *segment) bytes() int {
	return len(s.slab) + tailBytes*len(s.chats) + offsetBytes*len(s.runs)
}

// logged is how many bytes of the log are its own. Its owner calls it.
func (s *segment) logged() (bytes int64) {
	for _, f := range s.files {
		bytes += f.at
	}
	return bytes
}

// append adds a message's record, not committed yet.
func (s *segment) append(chat, index int64, m *message) {
	size := m.size()
	s.entries = append(s.entries, entry{chat, index, uint32(len(s.slab))})
	s.slab = binary.BigEndian.AppendUint64(s.slab, uint64(chat))
	s.slab = binary.AppendUvarint(s.slab, uint64(index))
	s.slab = binary.AppendUvarint(s.slab, uint64(size))
	s.slab = m.append(s.slab)
}

// pending returns the records that are not committed yet.
func (s *segment) pending() []byte { return s.slab[len(s.records):] }

// restore adds records that were read back, not committed yet.
func (s *segment) restore(records []byte) error {
	for len(records) > 0 {
		r, err := readRecord(records)
		if err != nil {
			return err
		}
		s.entries = append(s.entries, entry{r.chat, r.index, uint32(len(s.slab))})
		s.slab = append(s.slab, records[:r.bytes]...)
		records = records[r.bytes:]
	}
	return nil
}

// drop forgets the pending records.
func (s *segment) drop() { s.slab, s.entries = s.slab[:len(s.records)], s.entries[:0] }

// commit indexes the pending records, which commit number has made durable. On an
// error, which only records that were read back give, the rest is left out.
func (s *segment) commit(number uint64) error {
	if s.first == 0 {
		s.first = number
	}
	s.last = number
	for part := range slices.Chunk(s.entries, indexPart) {
		if err := s.commitPart(part); err != nil {
			return err
		}
	}
	s.entries = s.entries[:0]
	return nil
}

// commitPart indexes the next of the pending records.
func (s *segment) commitPart(part []entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range part {
		if err := s.index(&part[i]); err != nil {
			return err
		}
	}
	// Their bytes end where the next part begins; nobody reads what is not indexed.
	s.records = s.slab
	return nil
}

// index notes that a record is its chat's next message.
func (s *segment) index(e *entry) error {
	at, known := s.chats[e.chat]
	if !known {
		at = uint32(len(s.tails))
		s.chats[e.chat] = at
		s.tails = append(s.tails, tail{first: e.index, run: s.addRun(0, 0)})
	}
	t := &s.tails[at]
	if e.index != t.last()+1 {
		return fmt.Errorf("message %d of chat %d follows message %d", e.index, e.chat, t.last())
	}
	before := s.runs[t.run+1]
	if t.count-before == runLength(before) {
		t.run = s.addRun(t.run, t.count)
		before = t.count
	}
	s.runs[t.run+runHeader+t.count-before] = e.at
	t.count++
	return nil
}

// tail returns what the segment has of a chat; mu must be held while it is not sealed.
func (s *segment) tail(chat int64) (t tail, known bool) {
	at, known := s.chats[chat]
	if known {
		t = s.tails[at]
	}
	return t, known
}

func (s *segment) addRun(previous, before uint32) (at uint32) {
	at = uint32(len(s.runs))
	s.runs = append(s.runs, previous, before)
	for range runLength(before) {
		s.runs = append(s.runs, 0)
	}
	return at
}

// offsets appends the offsets of the messages from … to-1 of t, counted from 0, to
// offsets; mu must be held while the segment is not sealed.
func (s *segment) offsets(offsets []uint32, t tail, from, to uint32) []uint32 {
	old := len(offsets)
	offsets = slices.Grow(offsets, int(to-from))[:old+int(to-from)]
	into := offsets[old:]
	for run, end := t.run, to; end > from; run = s.runs[run] {
		before := s.runs[run+1]
		if low := max(before, from); low < end {
			copy(into[low-from:end-from], s.runs[run+runHeader+low-before:])
			end = low
		}
	}
	return offsets
}

// find appends the offsets of a chat's messages from … to to offsets, as far as
// the segment has them, and returns the memory that they point into and the index
// of the first. Where there are none, first is 0.
func (s *segment) find(offsets []uint32, chat, from, to int64) (_ []uint32, records []byte, first int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, known := s.tail(chat)
	if !known || to < t.first || from > t.last() {
		return offsets, nil, 0
	}
	first, to = max(from, t.first), min(to, t.last())
	return s.offsets(offsets, t, uint32(first-t.first), uint32(to+1-t.first)), s.records, first
}

// newest returns the index and time of a chat's last message; 0: it has none.
func (s *segment) newest(chat int64) (index, time int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t, known := s.tail(chat)
	if !known {
		return 0, 0, nil
	}
	var one [1]uint32
	at := s.offsets(one[:0], t, t.count-1, t.count)[0]
	r, err := readRecord(s.records[at:])
	var m message
	if err == nil {
		err = m.decode(r.value)
	}
	return r.index, m.time, err
}

// record is a message as it stands in the journal.
type record struct {
	chat, index int64
	value       []byte // the message's value in the store; it aliases what was read
	bytes       int    // of it all
}

// readRecord reads the record that src begins with.
func readRecord(src []byte) (record, error) {
	r := recordReader{src: src}
	var one record
	if b := r.bytes(8); r.err == nil {
		one.chat = int64(binary.BigEndian.Uint64(b))
	}
	one.index = r.number()
	one.value = r.bytes(uint64(r.number()))
	one.bytes = len(src) - len(r.src)
	return one, r.err
}
