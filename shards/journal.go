package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// journal is where a database keeps the messages that are not filed yet: on disk
// as one record a commit, under the commit's number, which is one insertion at the
// memtable's end however many messages there are; in memory as segments, from which
// they are read. A segment that is full is sealed, and the filer writes it, sorted,
// into tables of the store and takes its commits out of the journal (filing.go).
// Opening reads back what was not filed.
//
// A message is in the journal, in the tables, or for a while in both, and is the
// same in both.
type journal struct {
	segmentBytes int
	filer        *filer // nil: nothing is filed yet

	mu       sync.Mutex
	active   *segment   // the last of segments, which fills; nil: it is to be made. Only the writer changes it
	changed  sync.Cond  // there is more, or less, to file; or it is the end
	segments []*segment // not filed, the oldest first
	spare    []*segment // empty, with memory
	closed   bool
}

// segmentsPerShard is how many segments a shard may have: one that fills, and two
// that are sealed; then writes wait.
const segmentsPerShard = 3

func newJournal(segmentBytes int) *journal {
	j := &journal{segmentBytes: segmentBytes}
	j.changed.L = &j.mu
	return j
}

// begin makes ready for a commit: a segment that is full is sealed.
func (j *journal) begin() {
	if j.active != nil && j.active.bytes() >= j.segmentBytes {
		j.seal()
	}
}

// seal ends the active segment, if it has messages: it is the filer's from now on.
// The writer calls it between two commits.
func (j *journal) seal() {
	if j.active == nil || len(j.active.slab) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.active = nil
	j.changed.Broadcast()
}

// message adds a message to the commit that is being made. It waits for the filer
// where all segments are full.
func (j *journal) message(chat, index int64, m *message) {
	if j.active == nil {
		j.activate()
	}
	j.active.append(chat, index, m)
}

func (j *journal) activate() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wait(func() bool { return len(j.segments) < segmentsPerShard })
	if n := len(j.spare); n > 0 {
		j.active = j.spare[n-1]
		j.spare = j.spare[:n-1]
	} else {
		j.active = newSegment(j.segmentBytes)
	}
	j.active.refs = 1
	j.segments = append(j.segments, j.active)
}

// pending returns the records of the commit that is being made.
func (j *journal) pending() []byte {
	if j.active == nil {
		return nil
	}
	return j.active.pending()
}

// drop gives up the commit that is being made.
func (j *journal) drop() {
	if j.active != nil {
		j.active.drop()
	}
}

// commit shows the pending messages, which commit number has made durable.
func (j *journal) commit(number uint64) error {
	if len(j.pending()) == 0 {
		return nil
	}
	return j.active.commit(number)
}

// sealed returns the oldest segment that waits to be filed, and waits for one;
// nil: the journal is closed.
func (j *journal) sealed() *segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	for !j.closed && !j.hasSealed() {
		j.changed.Wait()
	}
	if j.closed {
		return nil
	}
	return j.segments[0]
}

func (j *journal) hasSealed() bool { return len(j.segments) > 0 && j.segments[0] != j.active }

// wait waits for the filer until done; mu must be held.
func (j *journal) wait(done func() bool) {
	if j.filer == nil {
		return
	}
	for !done() && !j.closed {
		j.filer.work.awaited.Store(true)
		j.changed.Wait()
	}
	j.filer.work.awaited.Store(false)
}

// filed drops the oldest segment, which is in the tables now.
func (j *journal) filed(s *segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.segments = slices.Delete(j.segments, 0, 1)
	j.release(s)
	j.changed.Broadcast()
}

// release gives up one hold on s; mu must be held.
func (j *journal) release(s *segment) {
	s.refs--
	switch {
	case s.refs > 0:
	case len(j.segments)+len(j.spare) < segmentsPerShard && !j.closed:
		s.reuse()
		j.spare = append(j.spare, s)
	default:
		s.free()
	}
}

// stop ends all waiting. No writer may be at work any more.
func (j *journal) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.changed.Broadcast()
}

// close gives the memory back, that of segments which are held once they are
// released. The filer must have ended.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.spare {
		s.free()
	}
	for _, s := range j.segments {
		j.release(s)
	}
	j.spare, j.segments, j.active = nil, nil, nil
}

// held is what the journal had at some moment, and what its last segment got since.
// It must be released.
type held struct {
	journal  *journal
	segments []*segment // the oldest first
}

// hold keeps the segments that there are. What is filed afterwards is still read
// here: so hold the journal before you open an iterator over the store.
func (j *journal) hold() held {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		s.refs++
	}
	return held{journal: j, segments: slices.Clone(j.segments)}
}

func (h held) release() {
	h.journal.mu.Lock()
	defer h.journal.mu.Unlock()
	for _, s := range h.segments {
		h.journal.release(s)
	}
}

// newest returns the index and time of a chat's last message; 0: none is held.
func (h held) newest(chat int64) (index, time int64, err error) {
	for _, s := range slices.Backward(h.segments) {
		if index, time, err := s.newest(chat); index > 0 || err != nil {
			return index, time, err
		}
	}
	return 0, 0, nil
}

// journalKey is where the messages of a commit stand on disk, one record after the
// other.
func journalKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{journalPrefix}, number)
}

var errJournal = errors.New("its journal is damaged")

// load reads back what is not filed, as the writer, whatever memory it takes: before
// all of it is accepted, nothing is filed. It begins at commit first; none is newer than
// last.
func (j *journal) load(from pebble.Reader, first, last uint64) (err error) {
	it, err := iterate(from, journalKey(first), []byte{journalPrefix + 1})
	if err != nil {
		return err
	}
	defer closeWalk(it)
	for ok := it.First(); ok; ok = it.Next() {
		if err := j.loadCommit(it, last); err != nil {
			return fmt.Errorf("commit %x: %w", it.Key()[1:], err)
		}
	}
	return it.Error()
}

func (j *journal) loadCommit(it *pebble.Iterator, last uint64) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	if len(it.Key()) != journalKeyBytes || len(value) == 0 || value[0] != recordVersion {
		return errors.Join(errJournal, errRecord)
	}
	number := binary.BigEndian.Uint64(it.Key()[1:])
	if number > last {
		return fmt.Errorf("%w: it is newer than the last commit, %d", errJournal, last)
	}
	j.begin()
	if j.active == nil {
		j.activate()
	}
	j.active.slab = append(j.active.slab, value[1:]...)
	if err := j.commit(number); err != nil {
		return errors.Join(errJournal, err)
	}
	return nil
}
