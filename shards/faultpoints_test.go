package shards

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"

	"throng/codec"
)

// diskFaults are what a disk answers that is broken, or full, or full for this user.
var diskFaults = []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT}

// fileKind names a kind of file of a data directory, by its path.
func fileKind(path string) string {
	base := path[strings.LastIndex(path, "/")+1:]
	switch {
	case strings.Contains(base, filingSuffix):
		return "filing"
	case strings.Contains(base, logSuffix):
		return "log"
	case strings.HasSuffix(base, ".sst"):
		return "table"
	case strings.HasPrefix(base, "MANIFEST"):
		return "manifest"
	case strings.HasPrefix(base, "OPTIONS"):
		return "options"
	case strings.HasPrefix(base, markerPrefix):
		return "marker"
	case base == accountsName || strings.HasPrefix(base, "shard-") || base == testDir:
		return "directory"
	}
	return base // our own files, Pebble's lock
}

// point is a kind of operation on a kind of file.
type point struct {
	kind errorfs.OpKind
	file string
}

func (p point) String() string { return fmt.Sprintf("%v of %s", opName(p.kind), p.file) }

// mayFail leaves a quota's fault to the operations that take space: it is one more
// full disk, and the others are tried with what else a disk answers.
func (p point) mayFail(fault syscall.Errno) bool {
	switch p.kind {
	case errorfs.OpCreate, errorfs.OpMkdirAll, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSyncData:
		return true
	}
	return fault != syscall.EDQUOT
}

func pointOf(op errorfs.Op) point { return point{op.Kind, fileKind(op.Path)} }

// opName is what a test calls an operation.
func opName(kind errorfs.OpKind) string {
	names := map[errorfs.OpKind]string{
		errorfs.OpCreate: "create", errorfs.OpLink: "link", errorfs.OpOpen: "open", errorfs.OpOpenDir: "open directory",
		errorfs.OpRemove: "remove", errorfs.OpRemoveAll: "remove all", errorfs.OpRename: "rename",
		errorfs.OpReuseForWrite: "reuse", errorfs.OpMkdirAll: "make directory", errorfs.OpLock: "lock",
		errorfs.OpList: "list", errorfs.OpStat: "stat", errorfs.OpGetDiskUsage: "disk usage",
		errorfs.OpFileClose: "close", errorfs.OpFileRead: "read", errorfs.OpFileReadAt: "read at",
		errorfs.OpFileWrite: "write", errorfs.OpFileWriteAt: "write at", errorfs.OpFileStat: "stat open",
		errorfs.OpFilePreallocate: "preallocate", errorfs.OpFileSync: "sync", errorfs.OpFileSyncData: "sync data",
		errorfs.OpFileSyncTo: "sync to", errorfs.OpFileFlush: "flush",
	}
	if name, ok := names[kind]; ok {
		return name
	}
	return fmt.Sprint("operation ", int(kind))
}

// A disk that fails one kind of operation on one kind of file, from the first, a
// middle or the last of them on, costs no acknowledgement: Fatal is called, or
// opening fails, or an operation fails alone. On a healthy disk everything is
// there that was acknowledged.
func TestEveryFaultOfTheDiskKeepsWhatWasAcknowledged(t *testing.T) {
	counts := countPoints(t)
	if len(counts) < 25 || counts[point{errorfs.OpLink, "filing"}] == 0 {
		t.Errorf("the errand does only %d kinds of operations: %v", len(counts), counts)
	}
	outcomes := map[string]int{}
	for _, fault := range diskFaults {
		for p, count := range counts {
			if !p.mayFail(fault) {
				continue
			}
			for _, from := range faultsFrom(count) {
				outcomes[runFault(t, fault, p, from)]++
				if t.Failed() {
					t.Fatalf("that was %v at each %v from number %d of %d on", fault, p, from, count)
				}
			}
		}
	}
	for _, want := range []string{"not opened", "fatal", "went on"} {
		if outcomes[want] == 0 {
			t.Errorf("no fault ends in %q: %v", want, outcomes)
		}
	}
	t.Logf("%d kinds of operations: %v", len(counts), outcomes)
}

// faultsFrom is which of so many operations are the first to fail, from 1.
func faultsFrom(count int64) []int64 {
	if count < 3 || os.Getenv("THRONG_TORTURE_ROUNDS") == "" { // a campaign looks closer
		return []int64{(count + 1) / 2}
	}
	return []int64{1, count/2 + 1, count}
}

// countPoints runs the errand on a healthy disk.
func countPoints(t *testing.T) map[point]int64 {
	d, counts := newDisk(newCrashFS()), map[point]int64{}
	d.on(func(op errorfs.Op) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		counts[pointOf(op)]++
		return nil
	})
	s := newErrand(t, d)
	if got := s.run(); got != "went on" || s.failed > 0 {
		t.Fatalf("on a healthy disk the errand %s, and %d operations fail", got, s.failed)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return counts
}

// runFault runs the errand on a disk that fails, and looks at what is left.
func runFault(t *testing.T, fault error, p point, from int64) (outcome string) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := newErrand(t, d)
	var met atomic.Int64
	d.on(func(op errorfs.Op) error {
		if pointOf(op) == p && met.Add(1) >= from {
			s.fails()
			return fault
		}
		return nil
	})
	outcome = s.run()
	again := open(t, mem.clone(0, nil))
	verify(t, again, &ledger{facts: s.ledger.all()})
	closeStore(t, again)
	d.on(nil) // or what is left of a process that ended would try again for ever
	return outcome
}

// errand does a bit of everything, twice, and stops where the process would end. It
// notes what is acknowledged.
type errand struct {
	t       *testing.T
	fs      vfs.FS
	ledger  *ledger
	failed  int           // operations answered Failed, or that depend on such
	died    chan struct{} // closed where the process would end
	dies    func()
	faulted chan struct{} // closed where the disk begins to fail
	fails   func()
}

func newErrand(t *testing.T, fs vfs.FS) *errand {
	s := &errand{t: t, fs: fs, ledger: &ledger{}, died: make(chan struct{}), faulted: make(chan struct{})}
	s.dies = sync.OnceFunc(func() { close(s.died) })
	s.fails = sync.OnceFunc(func() { close(s.faulted) })
	return s
}

// run returns how it ended: "not opened", "fatal" or "went on". After "fatal" the
// store is left as it stands: it would be gone with the process.
func (s *errand) run() string {
	for part := range 2 {
		store, err := s.open()
		switch {
		case err != nil:
			return "not opened"
		case store == nil, !s.talk(store, part), !s.close(store):
			return "fatal"
		}
	}
	return "went on"
}

// open returns neither a store nor an error where the process ends.
func (s *errand) open() (store *Store, err error) {
	config := testConfig(s.fs, withSegments(100), func(c *Config) { // each commit fills one
		c.Fatal = func(error) {
			s.dies()
			select {}
		}
	})
	var opened *Store
	done := make(chan error, 1)
	go func() {
		var err error
		opened, err = Open(config)
		done <- err
	}()
	if err, ok := aliveWith(s, done); !ok {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return opened, nil
}

// close closes the store; an error is as good as none, as all is synced.
func (s *errand) close(store *Store) bool {
	done := make(chan error, 1)
	go func() { done <- store.Close() }()
	_, ok := aliveWith(s, done)
	return ok
}

// aliveWith takes what a step brings; false: the process ended before.
func aliveWith[T any](s *errand, done <-chan T) (v T, ok bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v = <-done:
		return v, true
	case <-s.died:
		return v, false
	case <-timer.C:
		panic(hung("end of a step of the errand"))
	}
}

func (s *errand) talk(store *Store, part int) bool {
	c := newClient(store)
	user := userID(fmt.Sprint("part ", part))
	token := int64(part) + 1
	if !s.do(c, Op{Kind: Register, User: user, Token: token}, fact{user: user, token: token}) {
		return false
	}
	for chat := int64(1); chat <= 4; chat++ {
		enter := createOp(chat, true, user)
		if part > 0 {
			enter = Op{Kind: Join, Chat: chat, User: user}
		}
		read := Op{Kind: GetChat, Chat: chat, User: user, Index: -1, Count: 10}
		if !s.do(c, enter, fact{chat: chat, user: user}) || !s.send(c, chat, user) ||
			!s.do(c, read, fact{}) || !s.flush(store) {
			return false
		}
	}
	return s.compact(store)
}

// send sends some messages, with a ref and without.
func (s *errand) send(c *client, chat int64, user uuid.UUID) bool {
	for n := range 4 {
		op := sendOp(chat, user, textOf(chat, user, "script", n, 50), "")
		if n%2 == 1 {
			op.Ref = codec.Text(fmt.Sprint("ref ", n))
		}
		if !s.do(c, op, fact{chat: chat, user: user, text: string(op.Text)}) {
			return false
		}
	}
	return true
}

// do carries op out and notes what its acknowledgement tells; false: the process
// ended before it came.
func (s *errand) do(c *client, op Op, told fact) bool {
	ops := []Op{op}
	c.submit(c.target(&op), ops)
	if _, ok := aliveWith(s, c.home); !ok {
		return false
	}
	switch got := ops[0].Answer; got.Status {
	case OK:
		if op.Kind == Send {
			told.index = got.Index
		}
		if told != (fact{}) {
			s.ledger.note(told)
		}
	case Failed, NoChat:
		s.failed++
	default:
		s.t.Errorf("%s: %s", describe(&op), got.Status.said())
	}
	return true
}

// flush makes Pebble write tables, and waits for them unless the disk fails: Pebble
// then tries for ever.
func (s *errand) flush(store *Store) bool {
	for _, a := range store.actors() {
		begun := make(chan (<-chan struct{}), 1)
		go func() {
			flushed, _ := a.db.pebble.AsyncFlush() // what fails, fails in the background
			begun <- flushed
		}()
		flushed, ok := aliveWith(s, begun)
		if !ok {
			return false
		}
		ended := make(chan struct{})
		go func() {
			select {
			case <-flushed:
			case <-s.faulted:
			}
			close(ended)
		}()
		if _, ok := aliveWith(s, ended); !ok {
			return false
		}
	}
	return true
}

// compact makes Pebble write its tables once more, where it still can.
func (s *errand) compact(store *Store) bool {
	select {
	case <-s.faulted:
		return true
	default:
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, a := range store.actors() {
			_ = a.db.pebble.Compact(ctx, []byte{0}, []byte{0xff}, false)
		}
	}()
	go func() {
		select {
		case <-s.faulted:
			cancel()
		case <-done:
		}
	}()
	_, ok := aliveWith(s, done)
	return ok
}
