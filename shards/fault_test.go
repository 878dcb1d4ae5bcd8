package shards

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"throng/codec"
)

// disk is a file system whose operations a test can watch and fail.
type disk struct {
	*errorfs.FS
	mu     sync.Mutex
	inject func(errorfs.Op) error // nil: all goes well
}

func newDisk(fs vfs.FS) *disk {
	d := &disk{}
	d.FS = errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		d.mu.Lock()
		inject := d.inject
		d.mu.Unlock()
		if inject == nil {
			return nil
		}
		return inject(op)
	}))
	return d
}

func (d *disk) on(inject func(errorfs.Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inject = inject
}

var errDisk = errors.New("the disk is on fire")

func isLog(path string) bool { return strings.Contains(path, logSuffix) }

func isSync(kind errorfs.OpKind) bool {
	return kind == errorfs.OpFileSync || kind == errorfs.OpFileSyncData
}

// Where the disk fails to write or to sync what an answer depends on, Fatal is
// called and the answer never comes.
func TestAFailedCommitIsFatal(t *testing.T) {
	for faultName, fault := range map[string]func(errorfs.Op) bool{
		"write": func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWriteAt && isLog(op.Path) },
		"sync":  func(op errorfs.Op) bool { return isSync(op.Kind) && isLog(op.Path) },
	} {
		for opName, op := range map[string]Op{
			"send":     sendOp(7, alice, "lost", ""),
			"join":     {Kind: Join, Chat: 7, User: bob},
			"create":   createOp(8, true, alice),
			"register": {Kind: Register, User: bob, Token: 2},
		} {
			t.Run(opName+" "+faultName, func(t *testing.T) { failCommit(t, fault, op) })
		}
	}
}

func failCommit(t *testing.T, fault func(errorfs.Op) bool, op Op) {
	mem := newCrashFS()
	d := newDisk(mem)
	died := make(chan error, 16)
	s := open(t, d, func(c *Config) {
		c.Fatal = func(err error) {
			died <- err
			select {} // the process would end here; so the store is never closed
		}
	})
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "kept")
	c.register(alice, 1, "")

	d.on(func(o errorfs.Op) error {
		if fault(o) {
			return errDisk
		}
		return nil
	})
	to := c.target(&op)
	reads := []Op{{Kind: GetChat, Chat: 7, User: alice, Index: -1, Count: 10}}
	if to == s.Accounts() {
		reads = []Op{{Kind: Lookup, Token: op.Token}}
	}
	taken := c.submit(to, []Op{op}, reads)
	select {
	case err := <-died:
		if !errors.Is(err, errDisk) && !strings.Contains(err.Error(), errDisk.Error()) {
			t.Errorf("Fatal is told %v", err)
		}
	case b := <-c.home:
		t.Fatalf("one was answered though the disk failed: %+v", b.Ops)
	case <-time.After(patience):
		t.Fatal("Fatal is not called")
	}
	taken += c.submit(to, []Op{op}) // and nobody behind it is answered either
	select {
	case b := <-c.home:
		t.Errorf("of %d batches one was answered: %+v", taken, b.Ops)
	case <-time.After(30 * time.Millisecond):
	}

	again := openFor(t, mem.clone(0, nil))
	c = newClient(again)
	if texts := contents(c.get(t, 7, alice)); len(texts) != 1 || texts[0] != "kept" {
		t.Errorf("after the crash the chat holds %q", texts)
	}
	if got := c.lookup(1).Answer.Status; got != OK {
		t.Errorf("after the crash alice is gone: %s", got.said())
	}
}

// A read of the disk that fails answers Failed and changes nothing: once it works
// again, all is as if the operation had not been there. Each read that an
// operation makes of a cold store is failed in its turn.
func TestAFailedReadHarmsNothing(t *testing.T) {
	const messages = 300
	mem := vfs.NewMem()
	s := open(t, mem)
	c := newClient(s)
	c.register(alice, 1, "Alice")
	c.register(bob, 2, "Bob")
	var others []Op // or the accounts are in one block, which opening reads
	for i := range int64(1000) {
		others = append(others, Op{Kind: Register, User: userID(fmt.Sprint(i)), Token: i + 10, Name: codec.Text(strings.Repeat("n", 100))})
	}
	c.do(s.Accounts(), others...)
	cold := coldestToken(s, others)
	c.group(7, alice)
	for i := range messages { // some blocks of a table
		c.one(sendOp(7, alice, fmt.Sprintf("%d %s", i+1, strings.Repeat("x", 500)), fmt.Sprint("ref ", i+1)))
	}
	fileAll(t, s)
	closeStore(t, s)

	for name, op := range map[string]Op{
		"send":          sendOp(7, alice, "new", ""),
		"send with ref": sendOp(7, alice, "new", "a new ref"),
		"repeated ref":  sendOp(7, alice, "again", "ref 5"),
		"get":           {Kind: GetChat, Chat: 7, User: alice, Index: 10, Count: 20},
		"receive":       {Kind: Receive, Chat: 7, User: alice, Index: 100, Count: 200},
		"join":          {Kind: Join, Chat: 7, User: bob},
		"join again":    {Kind: Join, Chat: 7, User: alice},
		"create":        createOp(7, true, alice),
		"lookup":        {Kind: Lookup, Token: cold},
		"register":      {Kind: Register, User: bob, Token: 3},
		"resolve":       {Kind: Resolve, Members: []Member{{ID: alice}, {ID: bob}}},
		"find":          {Kind: FindChats},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for failOneRead(t, mem, op, n, messages) {
				n++
			}
			if n == 0 {
				t.Error("it reads nothing from a cold store: this tests nothing")
			}
		})
	}
}

// coldestToken returns the token of registered whose record stands in the middle of
// them: opening reads where the journal ends, which is before the first, and the
// number of the last commit, which is behind the last, with their blocks.
func coldestToken(s *Store, registered []Op) int64 {
	return slices.SortedFunc(slices.Values(registered), func(a, b Op) int {
		x, y := s.directory.secret.token(a.Token), s.directory.secret.token(b.Token)
		return bytes.Compare(x[:], y[:])
	})[len(registered)/2].Token
}

// failOneRead opens the store and lets the n-th read of a table fail while op is
// carried out; it reports whether there was an n-th one.
func failOneRead(t *testing.T, fs *vfs.MemFS, op Op, n, messages int) (failed bool) {
	t.Helper()
	d := newDisk(clonedMem(t, fs))
	s := openFor(t, d)
	c := newClient(s)
	var reads atomic.Int64
	d.on(func(o errorfs.Op) error {
		if o.Kind == errorfs.OpFileReadAt && !inBackground() && reads.Add(1) == int64(n)+1 {
			return errDisk
		}
		return nil
	})
	answer := c.answerTo(op)
	d.on(nil)
	if failed = reads.Load() > int64(n); failed != (answer.Status == Failed) {
		t.Errorf("read %d failed (%v): %s", n, failed, answer.Status.said())
	}

	sent := int64(messages)
	if op.Kind == Send && answer.Status == OK && answer.Index > sent {
		sent++
	}
	if a := c.send(7, alice, "after"); a.Status != OK || a.Index != sent+1 {
		t.Errorf("after read %d failed, the message behind %d has index %d (%s)", n, sent, a.Index, a.Status.said())
	}
	if a := c.one(sendOp(7, alice, "again", fmt.Sprint("ref ", messages))).Answer; a.Index != int64(messages) {
		t.Errorf("after read %d failed, a repeated message has index %d (%s)", n, a.Index, a.Status.said())
	}
	if got := int64(len(c.history(t, 7, alice))); got != sent+1 {
		t.Errorf("after read %d failed, the chat has %d messages, not %d", n, got, sent+1)
	}
	if a := c.answerTo(op); a.Status == Failed || a.Status == Crashed {
		t.Errorf("after read %d failed, the same again: %s", n, a.Status.said())
	}
	return failed
}

// inBackground reports whether Pebble itself is at work here, not an actor or a
// reader: it reads tables on its own too.
func inBackground() bool {
	stack := make([]byte, 16<<10)
	stack = stack[:runtime.Stack(stack, false)]
	return !bytes.Contains(stack, []byte("shards.(*actor)")) && !bytes.Contains(stack, []byte("shards.(*reader)"))
}

// answerTo carries out op, a list of alice's chats too.
func (c *client) answerTo(op Op) Answer {
	if op.Kind == FindChats {
		return c.find(alice, 0, 10).Answer
	}
	return c.one(op).Answer
}

// clonedMem copies a file system's files, that a store may be opened on them more
// than once.
func clonedMem(t *testing.T, fs *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	clone := vfs.NewMem()
	if ok, err := vfs.Clone(fs, clone, testDir, testDir); err != nil || !ok {
		t.Fatalf("clone: %v, %v", ok, err)
	}
	return clone
}

// What fails in a drain fails alone: the operations around it, in the same batch
// and in others, are carried out.
func TestAFailedReadFailsAlone(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	broken, whole := int64(8), int64(9)
	for s.ShardOf(broken) != s.ShardOf(7) {
		broken++
	}
	for whole == broken || s.ShardOf(whole) != s.ShardOf(7) {
		whole++
	}
	setRecord(t, s, chatKey(broken), []byte{recordVersion + 1})
	setRecord(t, s, memberKey(broken, alice), encodeName(nil))
	setRecord(t, s, newestKey(broken), []byte{recordVersion + 1})
	first := []Op{sendOp(7, alice, "1", ""), sendOp(broken, alice, "x", ""), sendOp(7, alice, "2", "")}
	second := []Op{createOp(whole, true, alice), createOp(broken, true, alice), sendOp(whole, alice, "1", "")}
	c.together(s.ShardOf(7), first, second)
	for i, want := range []Status{OK, Failed, OK} {
		if got := first[i].Answer.Status; got != want {
			t.Errorf("operation %d of the first batch: %s, want %s", i, got.said(), want.said())
		}
		if got := second[i].Answer.Status; got != want {
			t.Errorf("operation %d of the second batch: %s, want %s", i, got.said(), want.said())
		}
	}
	if texts := contents(c.get(t, 7, alice)); len(texts) != 2 {
		t.Errorf("the chat holds %q", texts)
	}
	if got := c.send(broken, alice, "x"); got.Status != Failed {
		t.Errorf("the next send: %s as %d", got.Status.said(), got.Index)
	}
}

// setRecord writes to the store behind its actor's back.
func setRecord(t *testing.T, s *Store, key, value []byte) {
	t.Helper()
	for _, a := range s.actors() {
		plantOne(t, a.db, key, value)
	}
}

// A store that holds what it should not is not believed: reads that come upon it
// answer Failed, and never show less than they should in silence.
func TestDamageIsNotShown(t *testing.T) {
	newer := []byte{packVersion + 1}
	large := strings.Repeat("hello ", packedBytes/6+1) // filed alone
	all := Op{Kind: Receive, Chat: 7, User: alice, Index: 1, Count: 10}
	back := Op{Kind: GetChat, Chat: 7, User: alice, Index: -1, Count: 10}
	for _, damaged := range []struct {
		name   string
		key    []byte
		record []byte // nil: deleted
		fails  []Op
		works  []Op
	}{
		{
			"a message in the middle is missing", messageKey(1, 7, 2), nil,
			[]Op{all, back},
			[]Op{{Kind: GetChat, Chat: 7, User: alice, Index: 1, Count: 1}, {Kind: Receive, Chat: 7, User: alice, Index: 3, Count: 9}},
		},
		{"the first message is missing", messageKey(1, 7, 1), nil, []Op{all, back}, nil},
		{
			"a message of a newer version", messageKey(1, 7, 2), newer,
			[]Op{all, back},
			[]Op{sendOp(7, alice, "x", ""), sendOp(7, alice, "x", "ref")},
		},
		{
			"a ref of a newer version", refKey(7, alice, codec.Text("ref")), newer,
			[]Op{sendOp(7, alice, "x", "ref")},
			[]Op{all, back, sendOp(7, alice, "x", "other")},
		},
		{"the last message of a newer version", messageKey(1, 7, 3), newer, []Op{all, back}, []Op{sendOp(7, alice, "x", "")}},
		{"what is noted of the newest, of a newer version", newestKey(7), newer, []Op{all, back, sendOp(7, alice, "x", ""), {Kind: FindChats}}, nil},
		{"a chat of a newer version", chatKey(7), newer, []Op{{Kind: Join, Chat: 7, User: bob}, {Kind: FindChats}}, []Op{all, back}},
		{"a chat that is missing", chatKey(7), nil, []Op{{Kind: FindChats}}, nil},
		{"a member of a newer version", memberKey(7, alice), newer, []Op{all}, []Op{back, sendOp(7, alice, "x", "")}},
		{"an empty record of a member", memberKey(7, alice), []byte{}, []Op{all}, []Op{back}},
		{
			"an account of a newer version", tokenKey(mac{}), newer,
			[]Op{{Kind: Lookup, Token: 1}, {Kind: Register, User: bob, Token: 1}},
			[]Op{{Kind: Lookup, Token: 2}, {Kind: Resolve, Members: []Member{{ID: alice}}}},
		},
		{
			"an id of a newer version", idKey(alice), newer,
			[]Op{{Kind: Resolve, Members: []Member{{ID: alice}}}, {Kind: Register, User: alice, Token: 9}},
			[]Op{{Kind: Lookup, Token: 1}},
		},
	} {
		t.Run(damaged.name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := open(t, fs)
			c := newClient(s)
			c.register(alice, 1, "")
			c.register(carol, 2, "")
			c.group(7, alice)
			for range 3 {
				c.send(7, alice, large)
			}
			fileAll(t, s)
			if key := damaged.key; key[0] == tokenPrefix {
				m := s.directory.secret.token(1)
				damaged.key = tokenKey(m)
			}
			if damaged.record == nil {
				for _, a := range s.actors() {
					b := a.db.pebble.NewBatch()
					if err := errors.Join(b.Delete(damaged.key, nil), plant(a.db, b)); err != nil {
						t.Fatal(err)
					}
				}
			} else {
				setRecord(t, s, damaged.key, damaged.record)
			}
			closeStore(t, s)
			s = openFor(t, fs) // with nothing in memory
			c = newClient(s)
			for _, op := range damaged.fails {
				if got := c.answerTo(op).Status; got != Failed {
					t.Errorf("%s: %s", describe(&op), got.said())
				}
			}
			for _, op := range damaged.works {
				if got := c.answerTo(op).Status; got != OK {
					t.Errorf("%s: %s", describe(&op), got.said())
				}
			}
		})
	}
}

// The sender of a message must be a member; one that is not is damage too.
func TestAMessageOfNoMemberIsDamage(t *testing.T) {
	fs := vfs.NewMem()
	s := openFor(t, fs)
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "hello")
	fileAll(t, s)
	m := message{sender: bob, text: codec.Text("how did I get here")}
	record := m.append(nil)
	setRecord(t, s, messageKey(1, 7, 1), record)
	if got := c.one(Op{Kind: Receive, Chat: 7, User: alice, Index: 1, Count: 1}).Answer.Status; got != Failed {
		t.Errorf("receive: %s", got.said())
	}
}
