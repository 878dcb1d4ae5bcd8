package shards

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// commitLog is the log of one database: its commits, one record after the other, in
// files beside it. Pebble's own log is off: a commit's messages are in no memtable, and
// what else it writes goes into one only when it is on disk here.
//
//	record   CRC-32C of all that follows 4, run 8, flags 1, number of the commit before 8,
//	         number 8, bytes of the writes 4, bytes of the messages 4, the writes as
//	         Pebble's batch, the messages as a segment has them
//
// A segment of the journal owns the files of its commits. Once it is filed, and what else
// they wrote is in Pebble's tables, its files are used again: overwritten, a file need not
// grow, and a sync of it has no more to write than the data. What a file has of its
// former use is told from what is new by the run, a number drawn at random whenever a
// file is begun, which every record bears.
//
// A record that does not read is where a crash cut the log short, or is damaged. It is
// damage where one of the same run behind it vouches for it: flagVouches says that all
// commits before were on disk when it was written. What nothing vouches for, opening
// writes again, since Linux forgets that a sync failed, and then shows what is not on
// disk. New commits go into another file: what is left of a write that a crash cut short
// stays where nothing follows on it.
//
// Each record names the commit before it, so that none can be missing in between.
//
// The writer appends, the filer gives files back; what both touch is under mu.
type commitLog struct {
	fs     vfs.FS
	prefix string // of the paths of its files
	noSync bool
	fatal  func(error) // see Config.Fatal

	// Owned by the writer.
	record  []byte // memory for one
	settled bool   // all commits are on disk
	next    uint64 // number of the next file to be made

	used []*logFile // to be given free, the oldest first; owned by the filer

	mu      sync.Mutex
	current *logFile   // that is written to, or was, of a segment that is filed; nil: none yet. Only the writer changes it
	spare   []*logFile // free
}

// logFile is one of its files.
type logFile struct {
	path  string
	file  vfs.File // open for writing; nil: it is not
	run   uint64
	at    int64       // bytes of its records
	named bool        // its name is on disk
	dirty atomic.Bool // not synced
}

const (
	logSuffix = ".log-" // behind the database's name, before a file's number

	logCategory vfs.DiskWriteCategory = "throng-log"

	recordHeader = 4 + 8 + 1 + 8 + 8 + 4 + 4
	flagVouches  = 1 // all commits before were on disk
	flagRestated = 2 // what a former format had in Pebble

	// maxSpareFiles is how many free files are kept for use.
	maxSpareFiles = 2
	// maxKeptRecord is how large a record's memory may be that is kept for the next.
	maxKeptRecord = 1 << 20 // bytes
	// maxRecord is how large a record may be; a drain makes far smaller ones.
	maxRecord = 1 << 30 // bytes
)

func newCommitLog(fs vfs.FS, path string, noSync bool) *commitLog {
	fatal := func(err error) { panic(err) }
	return &commitLog{fs: fs, prefix: path + logSuffix, noSync: noSync, fatal: fatal, settled: true}
}

// commitRecord is a record of the log; writes and messages alias what was read.
type commitRecord struct {
	run           uint64
	flags         byte
	after, number uint64 // the commit before, and this
	writes        []byte // empty: none
	messages      []byte
	bytes         int // of it all
}

// appendRecord encodes r behind dst.
func appendRecord(dst []byte, r *commitRecord) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, r.run)
	dst = append(dst, r.flags)
	dst = binary.BigEndian.AppendUint64(dst, r.after)
	dst = binary.BigEndian.AppendUint64(dst, r.number)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.writes)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.messages)))
	dst = append(append(dst, r.writes...), r.messages...)
	binary.BigEndian.PutUint32(dst[start:], crc32.Checksum(dst[start+4:], castagnoli))
	return dst
}

// decode reads the record that src begins with; false: there is none that is whole.
func (r *commitRecord) decode(src []byte) bool {
	if len(src) < recordHeader {
		return false
	}
	writes, messages := r.fields(src)
	if int64(len(src))-recordHeader < writes+messages {
		return false
	}
	body := src[recordHeader : recordHeader+writes+messages]
	r.writes, r.messages = body[:writes:writes], body[writes:]
	r.bytes = recordHeader + len(body)
	return crc32.Checksum(src[4:r.bytes], castagnoli) == binary.BigEndian.Uint32(src)
}

// fields reads what stands before the writes and the messages, and how long they are.
func (r *commitRecord) fields(src []byte) (writes, messages int64) {
	r.run = binary.BigEndian.Uint64(src[4:])
	r.flags = src[12]
	r.after = binary.BigEndian.Uint64(src[13:])
	r.number = binary.BigEndian.Uint64(src[21:])
	return int64(binary.BigEndian.Uint32(src[29:])), int64(binary.BigEndian.Uint32(src[33:]))
}

// append appends a record for a segment, in one write, and syncs it where commits are
// synced. The writer calls it; on an error nobody knows what is on disk.
func (l *commitLog) append(s *segment, r *commitRecord) error {
	if err := l.write(s, r); err != nil {
		return err
	}
	if !l.noSync {
		l.sync()
	}
	return nil
}

// write appends a record to the file that is written to, or to a new one.
func (l *commitLog) write(s *segment, r *commitRecord) error {
	if size := recordHeader + len(r.writes) + len(r.messages); size > maxRecord {
		return fmt.Errorf("a commit of %d bytes is more than the log takes, %d", size, maxRecord)
	}
	if err := l.begin(s); err != nil {
		return err
	}
	f := l.current
	r.run = f.run
	if l.settled {
		r.flags |= flagVouches
	}
	l.record = appendRecord(l.record[:0], r)
	n := len(l.record)
	if _, err := f.file.WriteAt(l.record, f.at); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	f.at += int64(n)
	f.dirty.Store(true) // not before, or a sync beside the write would be taken for one after it
	l.settled = false
	if cap(l.record) > maxKeptRecord {
		l.record = nil
	}
	return nil
}

// begin has current be a file of s. Where it is none it takes one that is free, or makes
// one; all that was written before is on disk by then.
func (l *commitLog) begin(s *segment) error {
	if n := len(s.files); l.current != nil && n > 0 && s.files[n-1] == l.current {
		return nil
	}
	l.sync()
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &logFile{}
	if n := len(l.spare); n > 0 {
		f, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		f.path = l.prefix + fmt.Sprintf("%06d", l.next)
		l.next++
	}
	err := f.open(l.fs)
	if err == nil && !f.named {
		err = syncDirectory(l.fs, l.fs.PathDir(f.path))
	}
	var run [8]byte
	if err == nil {
		_, err = rand.Read(run[:])
	}
	if err != nil {
		return fmt.Errorf("begin a file of the log: %w", err)
	}
	f.run, f.at, f.named = binary.BigEndian.Uint64(run[:]), 0, true
	l.current = f
	s.files = append(s.files, f)
	return nil
}

// open has f open for writing. It makes a file that is not there.
func (f *logFile) open(fs vfs.FS) (err error) {
	if f.file == nil {
		f.file, err = fs.OpenReadWrite(f.path, logCategory)
	}
	return err
}

func (f *logFile) close() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	return file.Close()
}

// sync makes durable all that is written, as the writer.
func (l *commitLog) sync() {
	l.settle()
	l.settled = true
}

// settle makes durable all that was written before it is called. Anyone may call it. A
// sync that fails ends the process: Linux would take the next one, of whoever waits here,
// for a success.
func (l *commitLog) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.current
	if f == nil || !f.dirty.Swap(false) {
		return
	}
	if err := f.file.SyncData(); err != nil {
		die(l.fatal, fmt.Errorf("sync the log: %w", err))
	}
}

// free takes files back whose commits are filed and flushed, the oldest first. What it
// cannot do now it does with the next ones.
//
// The beginning of each is overwritten, and that synced, before the next one's: what is
// left after a crash is the log's end, never its middle.
func (l *commitLog) free(files []*logFile) error {
	l.used = append(l.used, files...)
	for len(l.used) > 0 {
		if err := l.blank(l.used[0]); err != nil {
			return fmt.Errorf("free a file of the log: %w", err)
		}
		l.used = l.used[1:]
	}
	return nil
}

func (l *commitLog) blank(f *logFile) error {
	err := f.open(l.fs)
	if err == nil {
		_, err = f.file.WriteAt(make([]byte, recordHeader), 0)
	}
	if err == nil {
		err = f.file.SyncData()
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	keep := len(l.spare) < maxSpareFiles
	if keep {
		l.spare = append(l.spare, f)
	}
	l.mu.Unlock()
	if keep {
		return nil
	}
	return errors.Join(f.close(), l.fs.Remove(f.path))
}

// close closes its files; held are those of the segments.
func (l *commitLog) close(held []*logFile) (err error) {
	l.settle()
	for _, f := range slices.Concat(held, l.used, l.spare) {
		err = errors.Join(err, f.close())
	}
	return err
}

// recovery is what an opening finds in a log. Its files are each in one list.
type recovery struct {
	last     uint64     // the last commit
	found    bool       // there is any
	restated bool       // all of them are what a former format had in Pebble
	idle     []*logFile // nothing in them is needed
	damaged  []*logFile // what of them reads is in tail; only where it goes on without the rest
	behind   []*logFile // behind what is missing; likewise
	tail     []readBack // what is to be written again

	vouched uint64 // all commits up to it are on disk
}

// readBack is a record that was read.
type readBack struct {
	number uint64
	record []byte
	file   *logFile
	at     int64
	moves  bool // its file is damaged: it goes into another
}

var errLog = errors.New("its log is damaged")

// recover reads the log, as the writer. It calls use with each commit, once and in order,
// and then, of each file that has new ones, own. The first must follow on a commit that is
// not newer than after. With goOn, what is damaged is left out, and all that does not
// follow on what is read; else it is an error. It writes nothing.
func (l *commitLog) recover(after uint64, goOn bool, use func(r *commitRecord) error, own func(f *logFile, last uint64) bool) (recovery, error) {
	rec := recovery{last: after, restated: true, vouched: after} // what is filed was on disk before
	files, err := l.find()
	if err != nil {
		return rec, err
	}
	for _, f := range files {
		if err := rec.file(l.fs, f, goOn, use, own); err != nil {
			return rec, fmt.Errorf("file %q: %w", f.path, err)
		}
		rec.trim()
	}
	return rec, nil
}

// file reads one file.
func (rec *recovery) file(fs vfs.FS, f *logFile, goOn bool, use func(r *commitRecord) error, own func(f *logFile, last uint64) bool) error {
	data, err := readWhole(fs, f.path)
	if err != nil {
		return err
	}
	before, at, gap := len(rec.tail), 0, false
	var r commitRecord
	if len(data) >= recordHeader {
		r.fields(data)
	}
	f.run = r.run
	for r.decode(data[at:]) && r.run == f.run {
		if !rec.found {
			rec.found, rec.last = true, min(rec.last, r.after)
		}
		if r.after > rec.last {
			err, gap = fmt.Errorf("%w: commits %d to %d are missing; restore the backup", errLog, rec.last+1, r.after), true
			break
		}
		rec.restated = rec.restated && r.flags&flagRestated != 0
		if r.flags&flagVouches != 0 {
			rec.vouched = max(rec.vouched, r.after)
		}
		if r.number > rec.last {
			if err := use(&r); err != nil {
				return fmt.Errorf("commit %d: %w", r.number, err)
			}
			rec.last = r.number
			rec.tail = append(rec.tail, readBack{number: r.number, record: data[at : at+r.bytes], file: f, at: int64(at)})
		}
		at += r.bytes
	}
	if err == nil && f.run != 0 { // it is, where the file is free
		err = f.torn(data, at, rec.last)
	}
	f.at = int64(at)
	fresh := rec.tail[before:]
	switch {
	case err != nil && !goOn:
		return err
	case gap && len(fresh) == 0:
		rec.behind = append(rec.behind, f)
	case err != nil:
		rec.damaged = append(rec.damaged, f)
		for i := range fresh {
			fresh[i].moves = true
		}
	case len(fresh) == 0 || !own(f, rec.last):
		rec.idle = append(rec.idle, f)
	}
	return nil
}

// torn is an error where what stands from at on, which does not read, is no write that a
// crash cut short: a record behind it vouches for it. Commits up to last are known.
func (f *logFile) torn(data []byte, at int, last uint64) error {
	run := binary.BigEndian.AppendUint64(nil, f.run)
	for from := at + 4; from < len(data); {
		i := bytes.Index(data[from:], run)
		if i < 0 {
			return nil
		}
		var r commitRecord
		if r.decode(data[from+i-4:]) && r.flags&flagVouches != 0 && r.number > last {
			return fmt.Errorf("%w: what follows on commit %d, at byte %d, does not read, and was synced; restore the backup", errLog, last, at)
		}
		from += i + 1
	}
	return nil
}

// trim forgets what need not be written again, and lets go of the file that it was read from.
func (rec *recovery) trim() {
	rec.tail = slices.DeleteFunc(rec.tail, func(k readBack) bool { return !k.moves && k.number <= rec.vouched })
	for i := range rec.tail {
		rec.tail[i].record = slices.Clone(rec.tail[i].record)
	}
}

// find returns the log's files in the order of their first commits.
func (l *commitLog) find() ([]*logFile, error) {
	names, err := l.fs.List(l.fs.PathDir(l.prefix))
	if err != nil {
		return nil, fmt.Errorf("look for the log: %w", err)
	}
	type found struct {
		file  *logFile
		first uint64
		id    uint64
	}
	var all []found
	for _, name := range names {
		digits, ours := strings.CutPrefix(name, l.fs.PathBase(l.prefix))
		id, err := strconv.ParseUint(digits, 10, 64)
		if !ours || err != nil {
			continue
		}
		l.next = max(l.next, id+1)
		f := &logFile{path: l.fs.PathJoin(l.fs.PathDir(l.prefix), name)}
		first, err := firstCommit(l.fs, f.path)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		all = append(all, found{f, first, id})
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.id, b.id)) })
	var files []*logFile
	for _, one := range all {
		files = append(files, one.file)
	}
	return files, nil
}

// firstCommit returns the number of the commit that a file begins with, if it does.
func firstCommit(fs vfs.FS, path string) (number uint64, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, err
	}
	header := make([]byte, recordHeader)
	n, err := f.ReadAt(header, 0)
	if n == len(header) || errors.Is(err, io.EOF) {
		err = nil
	}
	var r commitRecord
	r.fields(header)
	return r.number, errors.Join(err, f.Close())
}

func readWhole(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	var data []byte
	info, err := f.Stat()
	if err == nil {
		data = make([]byte, info.Size())
		_, err = io.ReadFull(f, data)
	}
	if errors.Is(err, io.EOF) { // it is empty
		err = nil
	}
	return data, errors.Join(err, f.Close())
}

// rewrite writes records once more where they are, and syncs them. A crash in its midst
// leaves of each byte what was there, which is the same.
func (l *commitLog) rewrite(tail []readBack) error {
	for i, k := range tail {
		err := k.file.open(l.fs)
		if err == nil {
			_, err = k.file.file.WriteAt(k.record, k.at)
		}
		if err == nil && (i+1 == len(tail) || tail[i+1].file != k.file) {
			err = k.file.file.SyncData()
		}
		if err != nil {
			return fmt.Errorf("write commit %d to the log again: %w", k.number, err)
		}
	}
	return nil
}

// remove removes files, the newest first, for good.
func (l *commitLog) remove(files []*logFile) error {
	if len(files) == 0 {
		return nil
	}
	for _, f := range slices.Backward(files) {
		if err := errors.Join(f.close(), l.fs.Remove(f.path)); err != nil {
			return fmt.Errorf("remove a file of the log: %w", err)
		}
	}
	return syncDirectory(l.fs, l.fs.PathDir(l.prefix))
}
