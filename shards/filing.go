package shards

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// filer writes the sealed segments of a journal into tables of the store, one after
// the other, beside everything else:
//
//  1. what else the segment's commits wrote is flushed, if there is any;
//  2. its messages, sorted and packed, become tables beside the database, and with
//     them the number of its last commit, which chats they are of, and the newest of
//     each;
//  3. Pebble takes them in, all at once, which its MANIFEST makes durable;
//  4. the segment's files of the log are free to be used again.
//
// A crash in between leaves messages in both; the next opening passes over what is
// filed. What is filed was durable in the log before; so a log that has fewer commits
// than are filed has lost its end to damage, and the database is refused.
//
// The tables are filled epoch by epoch. Those of one epoch lie over each other, and
// Pebble merges them a few times on their way down; once it is full nothing comes between
// them any more, and they stay as they are, however large the store grows. Where one
// segment has much of each chat, it fills an epoch by itself, and is never merged. For that, a
// message's key begins with its epoch, and each epoch lists the chats that it has
// messages of. An epoch is never gone back to, so that of a chat the messages of an
// epoch are those that follow on the ones of the epoch before. (Cassandra calls the same
// a time window.)
//
// Where Pebble does not take the tables in, for a file system without links or a
// damaged table in their way, the messages are written as any others are. A filing
// that fails is tried again; once writes wait for it the process ends.
type filer struct {
	db      *database
	work    *background
	fs      vfs.FS
	prefix  string // of the paths of tables
	options sstable.WriterOptions

	stop    chan struct{}
	running sync.WaitGroup

	// Owned by run.
	filed filed // so far
}

var errStopped = errors.New("the filing is stopped")

const (
	filingSuffix = ".filing-" // behind the database's name, before a table's number

	filingCategory vfs.DiskWriteCategory = "throng-filing"

	// filingTable is the size of a table: where one is damaged, so much is out of
	// reach of compactions with it.
	filingTable = 4 << 20 // bytes
	// filingYield is how many messages are filed before others may have the
	// processor.
	filingYield = 8192
	// fetchAhead is how many records of a chat are fetched at once, and fetchBytes how far
	// each of them, beyond which little of a short one lies.
	fetchAhead = 32
	fetchBytes = 64
	// epochSegments is how many full segments an epoch takes, where they have few messages
	// of a chat each. Pebble merges some four of them at once: a larger epoch is written more
	// often, a smaller one leaves more unmerged, and a chat's history in more places.
	epochSegments = 8
	// epochPerChat is how many messages of a chat, on average, fill an epoch, and
	// epochBytesPerChat how many bytes of them do: merged with more, they would be read no
	// faster. It is a mean: a chat that is quiet beside busy ones lies in more epochs.
	epochPerChat      = 64
	epochBytesPerChat = blockBytes
	// former is the epoch of what formats 1 to 3 filed, all in one; others begin at 1.
	former = 0
	// filingBatch is the size of a batch where tables are not taken in.
	filingBatch = 1 << 20 // bytes
)

// startFiler files what there is to file in db from now on.
func startFiler(db *database, fs vfs.FS) *filer {
	f := &filer{
		db: db, work: db.work, fs: fs, prefix: db.path + filingSuffix, stop: make(chan struct{}), filed: db.opening.filed,
		options: db.options.MakeWriterOptions(0, db.pebble.TableFormat()),
	}
	db.journal.filer = f
	f.running.Go(f.run)
	return f
}

func (f *filer) run() {
	for {
		s := f.db.journal.sealed()
		if s == nil {
			return
		}
		err := f.file(s)
		f.work.filings.done(err != nil)
		if err == nil {
			f.db.journal.filed(s)
			continue
		}
		if errors.Is(err, errStopped) {
			return
		}
		if f.work.awaited.Load() {
			die(f.work.fatal, fmt.Errorf("writes wait for messages that cannot be filed: %w", err))
		}
		f.work.failed(fmt.Errorf("file messages: %w", err))
		select {
		case <-time.After(f.work.filings.wait()):
		case <-f.stop:
			return
		}
	}
}

// close ends the filing; what is not filed stays in the journal.
func (f *filer) close() {
	close(f.stop)
	f.db.journal.stop()
	f.running.Wait()
}

// file puts a segment into the tables and gives its part of the log free.
func (f *filer) file(s *segment) error {
	f.db.log.settle() // with syncs off
	if err := f.flush(); err != nil {
		return err
	}
	next := f.next(s)
	paths, err := f.write(s, next)
	if err == nil {
		err = f.take(s, paths, next)
	}
	if err != nil {
		f.remove(paths)
		return err
	}
	f.filed = next
	if err := f.db.log.free(s.files); err != nil {
		f.work.failed(err)
	}
	return nil
}

// next returns how far messages are filed once s is.
func (f *filer) next(s *segment) filed {
	next := f.filed
	if next.epoch == former || !next.packed || next.bytes >= epochSegments*uint64(f.db.journal.segmentBytes) {
		next.epoch, next.bytes = next.epoch+1, 0
	}
	next.commit, next.begun, next.packed = s.last, 0, true
	next.bytes += uint64(s.bytes() * s.weight())
	return next
}

// weight returns for how many segments a sealed one counts in what fills an epoch.
func (s *segment) weight() int {
	messages, chats := 0, max(1, len(s.tails))
	for _, t := range s.tails {
		messages += int(t.count)
	}
	return max(1, epochSegments*messages/(epochPerChat*chats), epochSegments*s.bytes()/(epochBytesPerChat*chats))
}

// take has Pebble take the tables of s in, or its messages, where it does not.
func (f *filer) take(s *segment, paths []string, next filed) error {
	err := f.db.pebble.Ingest(context.Background(), paths)
	if err == nil || isFull(err) {
		return err
	}
	f.work.say("tables are not taken in; their messages are written as any others are", "error", err.Error())
	f.remove(paths)
	if err := f.put(s, next); err != nil {
		return err
	}
	return f.flush()
}

// flush has Pebble write into tables what commits wrote, and what messages could not be
// taken in as tables. It comes before tables are taken in: where messages are in a
// memtable, Pebble waits for its flush in the midst of that, and every commit waits behind
// it: for ever, where flushes fail. So that wait is made before, where nobody waits
// behind it but who needs room.
func (f *filer) flush() (err error) {
	if !f.db.wrote.Swap(false) {
		return nil
	}
	defer func() {
		if err != nil {
			f.db.wrote.Store(true)
		}
	}()
	flushed, err := f.db.pebble.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	select {
	case <-flushed:
		return nil
	case <-f.stop:
		return errStopped
	}
}

// remove removes tables, some of which Pebble may have removed.
func (f *filer) remove(paths []string) {
	for _, path := range paths {
		if err := f.fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			f.work.failed(fmt.Errorf("remove a table that was not taken in: %w", err))
		}
	}
}

// isFull reports whether there is no space, which no other way would have.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// write writes a segment's tables and returns their paths, also on an error.
func (f *filer) write(s *segment, next filed) (paths []string, err error) {
	var table *sstable.Writer
	last := byte(filedPrefix) // what the table has keys of
	finish := func() error {
		if table == nil {
			return nil
		}
		err := table.Close()
		table = nil
		return err
	}
	add := func(key, value []byte) error {
		// A table over both an epoch and what is by chat would lie over all that comes
		// between them later.
		full := table != nil && table.Raw().EstimatedSize() >= filingTable
		if full || (key[0] == messagePrefix) != (last == messagePrefix) {
			if err := finish(); err != nil {
				return err
			}
		}
		last = key[0]
		if table == nil {
			options := f.options
			if last != newestPrefix {
				options.FilterPolicy = pebble.NoFilterPolicy // what else there is, is walked, or read once
			}
			path := fmt.Sprint(f.prefix, len(paths))
			file, err := f.fs.Create(path, filingCategory)
			if err != nil {
				return fmt.Errorf("create a table: %w", err)
			}
			paths = append(paths, path)
			table = sstable.NewWriter(objstorageprovider.NewFileWritable(file), options)
		}
		return table.Set(key, value)
	}
	if err = add(filedKey, next.encode()); err == nil {
		err = s.sorted(next.epoch, add)
	}
	if err = errors.Join(err, finish()); err != nil {
		return paths, fmt.Errorf("write a table: %w", err)
	}
	return paths, nil
}

// put writes a segment's messages into memtables. With the first of them it notes in
// which epoch they are, so that whatever becomes of the rest, nothing is filed in an
// older one any more, and with the last that they are filed.
func (f *filer) put(s *segment, next filed) error {
	batch := f.db.pebble.NewBatchWithSize(filingBatch)
	defer func() { _ = batch.Close() }()
	begun := next
	begun.commit, begun.begun = s.first-1, s.last
	defer f.db.wrote.Store(true)
	err := batch.Set(filedKey, begun.encode(), nil)
	listed := int64(-1)    // the chat that was listed last
	room := func() error { // between what belongs together
		if batch.Len() < filingBatch {
			return nil
		}
		if err := f.db.pebble.Apply(batch, pebble.NoSync); err != nil {
			return err
		}
		batch.Reset()
		return nil
	}
	note := func(key, value []byte) error {
		if err := room(); err != nil {
			return err
		}
		return batch.Set(key, value, nil)
	}
	add := func(key, value []byte) error {
		if err := room(); err != nil {
			return err
		}
		if chat := messageChat(key); chat != listed { // with its first message: no epoch lists a chat in vain
			listed = chat
			if err := batch.Set(epochKey(chat, next.epoch), nil, nil); err != nil {
				return err
			}
		}
		return batch.Set(key, value, nil)
	}
	chats := s.order()
	if err == nil {
		err = s.messages(chats, next.epoch, add)
	}
	if err == nil {
		err = s.newestOf(chats, note)
	}
	if err == nil {
		err = batch.Set(filedKey, next.encode(), nil)
	}
	if err == nil {
		err = f.db.pebble.Apply(batch, pebble.NoSync)
	}
	return err
}

// sorted calls use with what a sealed segment files in an epoch, in the order of the
// keys, which are valid during the call: the chats it has messages of, those, and the
// newest of each chat.
func (s *segment) sorted(epoch uint32, use func(key, value []byte) error) error {
	chats := s.order()
	for _, chat := range chats {
		if err := use(epochKey(chat, epoch), nil); err != nil {
			return err
		}
	}
	if err := s.messages(chats, epoch, use); err != nil {
		return err
	}
	return s.newestOf(chats, use)
}

// newestOf calls use with the newest of a sealed segment's messages of each chat.
func (s *segment) newestOf(chats []int64, use func(key, value []byte) error) error {
	for _, chat := range chats {
		index, time, err := s.newest(chat)
		if err == nil {
			err = use(newestKey(chat), encodeNewest(index, time))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// order returns the chats that a sealed segment has messages of, as their keys sort.
func (s *segment) order() []int64 {
	return slices.SortedFunc(maps.Keys(s.chats), func(a, b int64) int { return cmp.Compare(uint64(a), uint64(b)) })
}

// messages calls use with the messages of chats as a sealed segment files them in an
// epoch; keys and values are valid during the call.
func (s *segment) messages(chats []int64, epoch uint32, use func(key, value []byte) error) error {
	var (
		p          pack
		key, value []byte
		offsets    []uint32
	)
	n := 0
	for _, chat := range chats {
		t, _ := s.tail(chat)
		offsets = s.offsets(offsets[:0], t, 0, t.count)
		for i, fetched := 0, 0; i < len(offsets); {
			if ahead := min(i+fetchAhead, len(offsets)); fetched < min(i+packMessages, ahead) {
				s.fetch(offsets[fetched:ahead])
				fetched = ahead
			}
			if err := s.pack(&p, offsets[i:]); err != nil {
				return err
			}
			key = appendMessageKey(key[:0], epoch, chat, p.first)
			value = p.encode(value[:0], p.last())
			if err := use(key, value); err != nil {
				return err
			}
			i += len(p.values)
			if n += len(p.values); n >= filingYield {
				n = 0
				runtime.Gosched()
			}
		}
	}
	return nil
}

// pack has p be the first of a chat's messages at offsets.
func (s *segment) pack(p *pack, offsets []uint32) error {
	p.values = p.values[:0]
	for _, at := range offsets {
		r, err := readRecord(s.records[at:])
		if err != nil {
			return err
		}
		if len(p.values) == 0 {
			p.first = r.index
		} else if !p.takes(r.value) {
			break
		}
		p.values = append(p.values, r.value)
	}
	return nil
}

// fetch has the processor get the records at all of offsets side by side: each is
// somewhere else in memory, and to wait for one after the other was a third of filing.
// What it returns means nothing; were it inlined, nothing would be read.
//
//go:noinline
func (s *segment) fetch(offsets []uint32) (sum byte) {
	for _, at := range offsets {
		sum += s.records[at] + s.records[min(int(at)+fetchBytes, len(s.records)-1)]
	}
	return sum
}

// removeFilings removes what filings of the database at path left, none of which is
// under way.
func removeFilings(fs vfs.FS, path string) error {
	dir, prefix := fs.PathDir(path), fs.PathBase(path)+filingSuffix
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("look for what a filing left: %w", err)
	}
	var faults []error
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			faults = append(faults, fs.Remove(fs.PathJoin(dir, name)))
		}
	}
	return errors.Join(faults...)
}
