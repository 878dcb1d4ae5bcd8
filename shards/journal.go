package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// journal is where a database keeps the messages that are not filed yet: on disk in its
// log (log.go), in memory as segments, from which they are read. A segment that is
// full, or has much of the log, is sealed, and the filer writes it, sorted, into tables of
// the store and gives its part of the log free (filing.go). Opening reads back what was not
// filed. The accounts, which have no messages, have segments for their part of the log.
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

const (
	// minSegmentLog is how much of the log a segment may have at least, and
	// segmentLog how many times its size: commits write more than messages.
	minSegmentLog = 4 << 20 // bytes
	segmentLog    = 2
	// maxSegmentFiles is how many files of the log a segment may have: each opening
	// begins one.
	maxSegmentFiles = 16
)

// begin makes ready for a commit: a segment that is full is sealed.
func (j *journal) begin() {
	s := j.active
	if s == nil {
		return
	}
	full := len(s.slab) > 0 && s.bytes() >= j.segmentBytes
	if full || s.logged() >= max(minSegmentLog, segmentLog*int64(j.segmentBytes)) || len(s.files) >= maxSegmentFiles {
		j.seal()
	}
}

// seal ends the active segment, if it has commits: it is the filer's from now on.
// The writer calls it between two commits.
func (j *journal) seal() {
	if j.active == nil || j.active.first == 0 {
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
	j.ready().append(chat, index, m)
}

// ready returns the segment that the commit belongs to which is being made. It waits as
// message does.
func (j *journal) ready() *segment {
	if j.active == nil {
		j.activate()
	}
	return j.active
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

// commit shows the pending messages, if there are any, which commit number has made durable.
func (j *journal) commit(number uint64) error { return j.ready().commit(number) }

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

// files returns those of the log that the segments have.
func (j *journal) files() (files []*logFile) {
	for _, s := range j.segments {
		files = append(files, s.files...)
	}
	return files
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

// restore takes a commit's messages in that were read back, whatever memory it takes:
// before all of the log is accepted, nothing is filed.
func (j *journal) restore(number uint64, messages []byte) error {
	j.begin()
	s := j.ready()
	err := s.restore(messages)
	if err == nil {
		err = j.commit(number)
	}
	if err != nil {
		return errors.Join(errLog, err)
	}
	return nil
}

// recover reads the log back, as the writer: the messages that are not filed into
// segments, and what else is written by commits newer than flushed into unflushed. See
// commitLog.recover.
func (j *journal) recover(l *commitLog, found filed, flushed uint64, goOn bool, unflushed *pebble.Batch) (recovery, error) {
	first := found.unfiled(math.MaxUint64)
	use := func(r *commitRecord) error {
		if r.number > flushed && len(r.writes) > 0 {
			var writes pebble.Batch
			if err := errors.Join(writes.SetRepr(r.writes), unflushed.Apply(&writes, nil)); err != nil {
				return errors.Join(errLog, err)
			}
		}
		if r.number < first {
			return nil
		}
		return j.restore(r.number, r.messages)
	}
	own := func(f *logFile, last uint64) bool {
		if last < first {
			return false
		}
		s := j.ready()
		s.files = append(s.files, f)
		return true
	}
	return l.recover(found.commit, goOn, use, own)
}

// journalKey is where former formats, up to 6, kept the messages of a commit that were not
// filed yet.
func journalKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{journalPrefix}, number)
}

// recoverFormer reads back the journal that a former format had in Pebble. What a takeover
// that a crash ended has left of a log is of no use: the format is written before the first
// commit. The log of a newer program is an error.
func (j *journal) recoverFormer(l *commitLog, from pebble.Reader, first, last uint64) (recovery, error) {
	use := func(*commitRecord) error { return nil }
	rec, err := l.recover(math.MaxUint64, true, use, func(*logFile, uint64) bool { return false })
	if err == nil && rec.found && !rec.restated {
		err = errNewerLog
	}
	if err == nil {
		err = formerJournal(from, first, last, j.restore)
	}
	return recovery{last: last, idle: slices.Concat(rec.idle, rec.damaged, rec.behind)}, err
}

var errNewerLog = fmt.Errorf("it is of format %d, but the file %q says that it is of an older one", formatVersion, formatFile)

// formerJournal calls use with the messages of each commit that a former format did
// not file, from commit first on; none is newer than last.
func formerJournal(from pebble.Reader, first, last uint64, use func(number uint64, messages []byte) error) error {
	it, err := iterate(from, journalKey(first), []byte{journalPrefix + 1})
	if err != nil {
		return err
	}
	defer closeWalk(it)
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		value, err := it.ValueAndErr()
		switch {
		case err != nil:
		case len(key) != journalKeyBytes || len(value) == 0 || value[0] != recordVersion:
			err = errors.Join(errLog, errRecord)
		case binary.BigEndian.Uint64(key[1:]) > last:
			err = fmt.Errorf("%w: it is newer than the last commit, %d", errLog, last)
		default:
			err = use(binary.BigEndian.Uint64(key[1:]), value[1:])
		}
		if err != nil {
			return fmt.Errorf("commit %x: %w", key[1:], err)
		}
	}
	return it.Error()
}
