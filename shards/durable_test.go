package shards

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"

	"throng/codec"
)

// syncGate holds up the syncs of one database's log.
type syncGate struct {
	blocked chan struct{} // closed when the first sync is held up
	open    chan struct{} // closed to let them all go
	release func()        // closes it; more than once does no harm
	once    sync.Once
}

// holdSyncs lets no sync of an actor's log end before release is called, or the
// test has ended: a store that cannot sync would never close.
func holdSyncs(t *testing.T, d *disk, name string) *syncGate {
	g := &syncGate{blocked: make(chan struct{}), open: make(chan struct{})}
	g.release = sync.OnceFunc(func() { close(g.open) })
	t.Cleanup(g.release)
	d.on(func(op errorfs.Op) error {
		if isSync(op.Kind) && isLog(op.Path) && strings.Contains(op.Path, name) {
			g.once.Do(func() { close(g.blocked) })
			<-g.open
		}
		return nil
	})
	return g
}

// What is applied and not synced yet is shown to nobody: not to reads that were
// taken up before it and are carried out while it waits for the disk, not to
// lists of chats, and not to what is asked meanwhile, which waits with it.
func TestNobodySeesWhatIsNotSynced(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := openFor(t, d)
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "synced")
	to := s.ShardOf(7)
	other := int64(8) // a chat of the same shard that is not there yet
	for s.ShardOf(other) != to {
		other++
	}

	// Reads are taken up, and wait for a reader.
	releaseReaders := c.holdReaders(7, alice)
	defer releaseReaders() // whatever fails, or the store would not close
	early := []Op{
		{Kind: GetChat, Chat: 7, User: alice, Index: -1, Count: 10},
		{Kind: Receive, Chat: 7, User: alice, Index: 1, Count: 10},
		{Kind: Receive, Chat: 7, User: alice, Index: -1, Count: 10},
	}
	c.submit(to, early)
	finds := map[uuid.UUID]*halfFind{}
	for _, user := range []uuid.UUID{alice, bob, carol} {
		finds[user] = c.beginFind(user, to)
	}
	c.settle(to)

	// A message, a member and a chat are applied, and the disk does not sync.
	gate := holdSyncs(t, d, shardName(int(to)))
	writes := []Op{
		sendOp(7, alice, "not synced", "r"),
		{Kind: Join, Chat: 7, User: bob},
		sendOp(7, bob, "not synced either", ""),
		createOp(other, true, alice, carol),
	}
	c.submit(to, writes)
	await(gate.blocked, "sync")
	for what, key := range map[string][]byte{
		"ref": refKey(7, alice, codec.Text("r")), "member": memberKey(7, bob), "chat": chatKey(other), "list of chats": userKey(bob, 7),
	} {
		if found, err := s.shards[to].db.get(key, func([]byte) error { return nil }); found || err != nil {
			t.Errorf("the %s is in the store before the sync (%v)", what, err)
		}
	}

	if chat, err := s.shards[to].db.chat(7); err != nil || chat.last != 1 {
		t.Errorf("before the sync the chat ends at %+v (%v)", chat, err)
	}

	// What is asked now waits: refusals and repeated refs depend on it too.
	late := []Op{
		{Kind: GetChat, Chat: 7, User: alice, Index: -1, Count: 10},
		{Kind: GetChat, Chat: 7, User: bob, Index: -1, Count: 10},
		{Kind: GetChat, Chat: 7, User: carol, Index: -1, Count: 10},
		sendOp(7, alice, "not synced", "r"),
		{Kind: Join, Chat: 7, User: bob},
		createOp(other, true, bob),
		{Kind: GetChat, Chat: other, User: carol, Index: -1, Count: 10},
	}
	c.submit(to, late)
	lateFind := c.beginFind(bob, to)
	if _, ok := lateFind.end(c, 20*time.Millisecond); ok {
		t.Error("a list of chats that was asked for during the sync is answered before it ends")
	}

	// The reads from before it are answered, and show nothing of it.
	releaseReaders()
	c.wait(1)
	for i, op := range early {
		if texts := contents(readPage[shownMessage](t, op).Values); !slices.Equal(texts, []string{"synced"}) {
			t.Errorf("read %d shows %q", i, texts)
		}
	}
	for user, find := range finds {
		op, ok := find.end(c, patience)
		if !ok {
			t.Fatal("a list of chats that all shards had contributed to is not answered")
		}
		chats := readPage[shownChat](t, op).Values
		if user != alice && len(chats) != 0 {
			t.Errorf("a user of no chat yet is shown %+v", chats)
		}
		if user == alice && (len(chats) != 1 || chats[0].Last != 1 || chats[0].Members != 1 || len(chats[0].Users) != 1) {
			t.Errorf("alice is shown %+v", chats)
		}
	}
	time.Sleep(20 * time.Millisecond)
	if n := len(c.home); n != 0 {
		t.Errorf("%d batches are answered before the sync that they depend on", n)
	}
	takenBack(t, mem, other)

	// Once it is synced, everybody sees it.
	gate.release()
	c.wait(2)
	expectStatuses(t, writes, OK, OK, OK, OK)
	expectStatuses(t, late, OK, OK, NoChat, OK, OK, Collision, OK)
	if late[3].Answer.Index != 2 {
		t.Errorf("the repeated message has index %d", late[3].Answer.Index)
	}
	if texts := contents(readPage[shownMessage](t, late[1]).Values); !slices.Equal(texts, []string{"not synced either", "not synced", "synced"}) {
		t.Errorf("the new member is shown %q", texts)
	}
	if op, ok := lateFind.end(c, patience); !ok || len(readPage[shownChat](t, op).Values) != 1 {
		t.Error("the list of chats that was asked for during the sync does not come")
	}
}

// takenBack makes sure that a crash at this moment takes back what nobody may
// have seen.
func takenBack(t *testing.T, mem *crashFS, chat int64) {
	t.Helper()
	s := openFor(t, mem.clone(0, nil))
	c := newClient(s)
	if texts := contents(c.history(t, 7, alice)); !slices.Equal(texts, []string{"synced"}) {
		t.Errorf("a crash during the sync leaves %q", texts)
	}
	if a := c.group(chat, dave); a.Status != OK {
		t.Errorf("a crash during the sync leaves a chat: %s", a.Status.said())
	}
}

// halfFind is a FindChats of two shards that has been submitted to one of them,
// and has an inbox of its own.
type halfFind struct {
	find  *Find
	first Target
	home  inbox
	done  bool // it has been submitted to the other one
}

func (c *client) beginFind(user uuid.UUID, first Target) *halfFind {
	f := &halfFind{find: NewFind(user, 0, 10, 2), first: first, home: newInbox()}
	f.submit(c, first)
	return f
}

func (f *halfFind) submit(c *client, to Target) {
	b := c.batch([]Op{{Kind: FindChats, Find: f.find}})
	b.Home = f.home
	c.store.Submit(to, b)
}

// end submits the other half and waits for the answer, but not for ever.
func (f *halfFind) end(c *client, patience time.Duration) (op Op, ok bool) {
	if !f.done {
		f.submit(c, f.first^1)
		f.done = true
	}
	for {
		select {
		case b := <-f.home:
			if b.Ops[0].Answer.Status != Elsewhere {
				return b.Ops[0], true
			}
		case <-time.After(patience):
			return Op{}, false
		}
	}
}

// The same for accounts: a user, a token, and the refusals that depend on them.
func TestNobodySeesAUserThatIsNotSynced(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := openFor(t, d)
	c := newClient(s)
	gate := holdSyncs(t, d, accountsName)
	writes := []Op{{Kind: Register, User: alice, Token: 1}}
	c.submit(s.Accounts(), writes)
	await(gate.blocked, "sync")
	late := []Op{
		{Kind: Lookup, Token: 1},
		{Kind: Resolve, Members: []Member{{ID: alice}}},
		{Kind: Register, User: alice, Token: 2},
		{Kind: Register, User: bob, Token: 1},
	}
	c.submit(s.Accounts(), late)
	time.Sleep(20 * time.Millisecond)
	if n := len(c.home); n != 0 {
		t.Errorf("%d batches are answered before the sync that they depend on", n)
	}
	crashed := newClient(openFor(t, mem.clone(0, nil)))
	if a := crashed.register(bob, 1, ""); a.Status != OK {
		t.Errorf("a crash during the sync leaves the token in use: %s", a.Status.said())
	}
	gate.release()
	c.wait(2)
	expectStatuses(t, writes, OK)
	expectStatuses(t, late, OK, OK, Taken, Taken)
}

// Actors do not wait for each other's disks.
func TestASlowDiskHoldsUpItsShardAlone(t *testing.T) {
	d := newDisk(newCrashFS())
	s := openFor(t, d)
	c := newClient(s)
	slow, fast := int64(7), int64(8)
	for s.ShardOf(fast) == s.ShardOf(slow) {
		fast++
	}
	c.group(slow, alice)
	c.group(fast, alice)
	gate := holdSyncs(t, d, shardName(int(s.ShardOf(slow))))
	waiting := []Op{sendOp(slow, alice, "hello", "")}
	c.submit(s.ShardOf(slow), waiting)
	await(gate.blocked, "sync")
	if a := c.send(fast, alice, "hello"); a.Status != OK {
		t.Errorf("send: %s", a.Status.said())
	}
	if a := c.register(alice, 1, ""); a.Status != OK {
		t.Errorf("register: %s", a.Status.said())
	}
	gate.release()
	c.wait(1)
	expectStatuses(t, waiting, OK)
}

// While a commit is under way, what comes in waits for the next one, and all of
// it is synced at once: that is the group commit.
func TestWhatWaitsIsSyncedAtOnce(t *testing.T) {
	d := newDisk(newCrashFS())
	s := openFor(t, d)
	c := newClient(s)
	c.group(7, alice)
	name := shardName(int(s.ShardOf(7)))
	gate := holdSyncs(t, d, name)
	c.submit(s.ShardOf(7), []Op{sendOp(7, alice, "first", "")})
	await(gate.blocked, "sync")
	const waiting = 500
	for range waiting {
		c.submit(s.ShardOf(7), []Op{sendOp(7, alice, "waiting", "")})
	}
	var mu sync.Mutex
	syncs := 0
	d.on(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if isSync(op.Kind) && isLog(op.Path) && strings.Contains(op.Path, name) {
			syncs++
		}
		return nil
	})
	gate.release()
	c.wait(waiting + 1)
	mu.Lock()
	defer mu.Unlock()
	if syncs == 0 || syncs > 3 {
		t.Errorf("%d messages that waited took %d syncs", waiting, syncs)
	}
}

// A commit that is too large for the memtable goes another way through Pebble, and
// comes back with its batch empty; its answers wait for the sync all the same.
func TestALargeCommitIsSyncedToo(t *testing.T) {
	mem := newCrashFS()
	d := newDisk(mem)
	s := openFor(t, d)
	c := newClient(s)
	c.group(7, alice)
	gate := holdSyncs(t, d, shardName(int(s.ShardOf(7))))
	const largeText = 64 << 10 // bytes
	large := make([]Op, 1+int(planMemory(s.config.Memory, s.config.Shards).memtable)/largeText)
	for i := range large {
		large[i] = sendOp(7, alice, strings.Repeat("x", largeText), "")
	}
	c.submit(s.ShardOf(7), large)
	await(gate.blocked, "sync")
	time.Sleep(20 * time.Millisecond)
	if n := len(c.home); n != 0 {
		t.Errorf("%d batches are answered before the sync", n)
	}
	gate.release()
	c.wait(1)
	crashed := newClient(openFor(t, mem.clone(0, nil)))
	if n := len(crashed.history(t, 7, alice)); n != len(large) {
		t.Errorf("after a crash there are %d messages of %d", n, len(large))
	}
}
