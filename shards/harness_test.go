package shards

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"throng/codec"
)

// tb is what testing.TB and rapid.T have in common.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(func())
}

// options adjusts the Config of a test's store.
type options func(*Config)

const (
	testDir    = "data"
	testShards = 2
)

// testConfig is a small store on fs: two shards, the least memory, segments so small
// that they are filed all the time, no log.
func testConfig(fs vfs.FS, adjust ...options) Config {
	c := Config{
		Dir: testDir, Shards: testShards, Memory: MinMemory, FS: fs, Logger: slog.New(slog.DiscardHandler),
		segment: 4 << 10,
	}
	for _, o := range adjust {
		o(&c)
	}
	return c
}

func withShards(n int) options { return func(c *Config) { c.Shards = n } }

// open opens a store that must open; the test closes it.
func open(t tb, fs vfs.FS, adjust ...options) *Store {
	t.Helper()
	s, err := Open(testConfig(fs, adjust...))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func closeStore(t tb, s *Store) {
	t.Helper()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	if err := await(closed, "end of Close"); err != nil {
		t.Errorf("close: %v", err)
	}
}

// withSegments has the journals' segments so many bytes long.
func withSegments(bytes int) options { return func(c *Config) { c.segment = bytes } }

// fileAll files what the journals of a store that is idle hold, and has Pebble write
// what it has in memory.
func fileAll(t tb, s *Store) {
	t.Helper()
	for _, a := range s.actors() {
		if err := a.db.fileAll(); err != nil {
			t.Fatalf("file all: %v", err)
		}
	}
}

// fileAll waits, as the writer, until nothing is left to file.
func (j *journal) fileAll() {
	j.seal()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wait(func() bool { return !j.hasSealed() })
}

func (db *database) fileAll() error {
	db.journal.fileAll()
	return db.pebble.Flush()
}

// expectNumbered has each of a chat's messages say which it is.
func expectNumbered(t tb, history []shownMessage) {
	t.Helper()
	for i, m := range history {
		if m.Content != fmt.Sprint(i+1) {
			t.Errorf("message %d is %q", i+1, m.Content)
		}
	}
}

// openFor opens a store for the whole of a test.
func openFor(t tb, fs vfs.FS, adjust ...options) *Store {
	t.Helper()
	s := open(t, fs, adjust...)
	t.Cleanup(func() { closeStore(t, s) })
	return s
}

// shrink leaves each cache of s room for next to nothing, so that what it
// forgets has to be read back all the time. Call it before the first Submit.
func shrink(s *Store) {
	for _, a := range s.shards {
		st := a.state.(*chats)
		st.chats = NewRecent[int64, *chat](1)
		st.members = NewRecent[memberID, struct{}](1)
		for _, r := range a.readers.pool {
			r.names = NewRecent[memberID, codec.Text](1)
		}
	}
	st := s.accounts.state.(*accounts)
	st.byID = NewRecent[uuid.UUID, codec.Text](1)
	st.byToken = NewRecent[mac, account](1)
}

// crashFS is a file system in memory that can crash: clone gives what a power cut
// would leave of it. MemFS by itself hangs where a clone is asked for in the
// midst of an operation that takes its lock twice; here such a one is waited for.
type crashFS struct {
	*vfs.MemFS
	twice sync.RWMutex
}

func newCrashFS() *crashFS { return &crashFS{MemFS: vfs.NewCrashableMem()} }

func (fs *crashFS) Lock(name string) (io.Closer, error) {
	fs.twice.RLock()
	defer fs.twice.RUnlock()
	return fs.MemFS.Lock(name)
}

func (fs *crashFS) Link(oldname, newname string) error {
	fs.twice.RLock()
	defer fs.twice.RUnlock()
	return fs.MemFS.Link(oldname, newname)
}

func (fs *crashFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	fs.twice.RLock()
	defer fs.twice.RUnlock()
	return fs.MemFS.ReuseForWrite(oldname, newname, category)
}

// clone returns what was synced, and of the rest each block and each name with a
// probability of so many percent.
func (fs *crashFS) clone(percent int, rng *rand.Rand) *crashFS {
	fs.twice.Lock()
	defer fs.twice.Unlock()
	return &crashFS{MemFS: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})}
}

// inbox is an Outbox whose owner takes the batches from a channel.
type inbox chan *Batch

func newInbox() inbox { return make(inbox, 4096) }

func (in inbox) Put(batches []*Batch) {
	for _, b := range batches {
		give(in, b, "room in an inbox")
	}
}

// gate is an Outbox that holds up whoever puts a batch into it.
type gate struct {
	entered chan struct{} // told when someone is held up
	leave   chan struct{} // lets one go
}

func newGate() *gate { return &gate{entered: make(chan struct{}), leave: make(chan struct{})} }

func (g *gate) Put([]*Batch) {
	g.entered <- struct{}{}
	<-g.leave
}

// held returns when someone is held up, and what lets him go; to call that more
// than once does no harm.
func (g *gate) held() (release func()) {
	await(g.entered, "one to be held up")
	return sync.OnceFunc(func() { give(g.leave, struct{}{}, "one who was held up") })
}

// client is a small synchronous user of a Store: each call waits for its
// answers. It belongs to one goroutine.
type client struct {
	store  *Store
	home   inbox
	gate   *gate
	budget int // bytes of replies that a batch may have; 0: no limit to speak of
}

func newClient(s *Store) *client { return &client{store: s, home: newInbox(), gate: newGate()} }

// batch wraps operations up as an engine would.
func (c *client) batch(ops []Op) *Batch {
	limit := c.budget
	if limit == 0 {
		limit = 1 << 30
	}
	b := &Batch{Ops: ops, Home: c.home, Budget: NewBudget(limit)}
	for i := range ops {
		b.Bytes += 100 + len(ops[i].Text)
	}
	return b
}

// submit hands batches over, one for each list of operations, and does not wait.
// It reports how many the mailbox took.
func (c *client) submit(to Target, lists ...[]Op) (taken int) {
	for _, ops := range lists {
		if !c.store.Submit(to, c.batch(ops)) {
			break
		}
		taken++
	}
	return taken
}

// wait takes n answered batches home.
func (c *client) wait(n int) {
	for range n {
		await(c.home, "answer")
	}
}

// do hands operations over as one batch and returns them answered: Busy where
// the mailbox was full.
func (c *client) do(to Target, ops ...Op) []Op {
	if c.submit(to, ops) == 0 {
		for i := range ops {
			ops[i].Answer.Status = Busy
		}
		return ops
	}
	c.wait(1)
	return ops
}

// one is do for a single operation on the target that it belongs to.
func (c *client) one(op Op) Op { return c.do(c.target(&op), op)[0] }

func (c *client) target(op *Op) Target {
	switch op.Kind {
	case Lookup, Register, Resolve:
		return c.store.Accounts()
	default:
		return c.store.ShardOf(op.Chat)
	}
}

// hold keeps an actor's writer from its mailbox until the returned function is
// called: all that is submitted meanwhile is taken up in one drain.
func (c *client) hold(to Target) (release func()) {
	g := newGate()
	c.store.Submit(to, &Batch{Home: g})
	return g.held()
}

// settle returns when an actor's writer has published all that was submitted
// before; its reads may still be under way.
func (c *client) settle(to Target) {
	home := newInbox()
	c.store.Submit(to, &Batch{Home: home})
	await(home, "answer of the writer")
}

// holdReaders keeps the readers of a chat's shard busy until the returned
// function is called. The user must be a member of the chat.
func (c *client) holdReaders(chat int64, user uuid.UUID) (release func()) {
	one := c.holdReader(chat, user)
	others := c.holdOtherReaders(chat, user)
	return func() {
		one()
		others()
	}
}

// holdOtherReaders does so with all but the one that is held already.
func (c *client) holdOtherReaders(chat int64, user uuid.UUID) (release func()) {
	var releases []func()
	for range readersPerShard - 1 {
		releases = append(releases, c.holdReader(chat, user))
	}
	return func() {
		for _, release := range releases {
			release()
		}
	}
}

// holdReader does so with one of the readers that are not held yet.
func (c *client) holdReader(chat int64, user uuid.UUID) (release func()) {
	g := newGate()
	c.store.Submit(c.store.ShardOf(chat), &Batch{
		Ops:    []Op{{Kind: GetChat, Chat: chat, User: user, Index: -1, Count: 1}},
		Home:   g,
		Budget: NewBudget(1 << 20),
	})
	return g.held()
}

// differentReads are n reads of a chat, of which none can be answered by what another
// got. It sends n messages for them.
func (c *client) differentReads(chat int64, user uuid.UUID, n int) (reads []Op) {
	for i := range n {
		c.send(chat, user, "to be read")
		reads = append(reads, Op{Kind: GetChat, Chat: chat, User: user, Index: int64(i + 1), Count: 1})
	}
	return reads
}

// together hands several batches over to one actor, which takes them up in one
// drain, and waits for them all.
func (c *client) together(to Target, lists ...[]Op) {
	release := c.hold(to)
	n := c.submit(to, lists...)
	release()
	c.wait(n)
}

// find asks every shard for the user's chats and returns the answered operation.
func (c *client) find(user uuid.UUID, after int64, count int) Op {
	find := NewFind(user, after, count, c.store.Shards())
	return c.gather(c.submitFind(find))
}

// submitFind hands a Find over to every shard, as one operation each.
func (c *client) submitFind(find *Find) [][]Op {
	var lists [][]Op
	for i := range c.store.Shards() {
		ops := []Op{{Kind: FindChats, Find: find}}
		if c.submit(Target(i), ops) == 0 {
			panic("test: a mailbox is full")
		}
		lists = append(lists, ops)
	}
	return lists
}

// gather waits for a Find's operations and returns the one that has the answer.
func (c *client) gather(lists [][]Op) Op {
	c.wait(len(lists))
	return answered(lists)
}

func answered(lists [][]Op) (answer Op) {
	n := 0
	for _, ops := range lists {
		if ops[0].Answer.Status != Elsewhere {
			answer = ops[0]
			n++
		}
	}
	if n != 1 {
		panic(fmt.Sprintf("test: %d shards answered one Find", n))
	}
	return answer
}

// Shorthands for the operations of most tests; each answers.

func (c *client) register(user uuid.UUID, token int64, name string) Answer {
	return c.one(Op{Kind: Register, User: user, Token: token, Name: codec.Text(name)}).Answer
}

func (c *client) lookup(token int64) Op { return c.one(Op{Kind: Lookup, Token: token}) }

// group creates a group chat with members who go by their ids.
func (c *client) group(chat int64, users ...uuid.UUID) Answer {
	return c.one(createOp(chat, true, users...)).Answer
}

func (c *client) join(chat int64, user uuid.UUID, name string) Answer {
	return c.one(Op{Kind: Join, Chat: chat, User: user, Name: codec.Text(name)}).Answer
}

func (c *client) send(chat int64, user uuid.UUID, text string) Answer {
	return c.one(sendOp(chat, user, text, "")).Answer
}

// get reads the newest messages, as many as go into one page.
func (c *client) get(t tb, chat int64, user uuid.UUID) []shownMessage {
	t.Helper()
	return readPage[shownMessage](t, c.one(Op{Kind: GetChat, Chat: chat, User: user, Index: -1, Count: 1000})).Values
}

// history reads all messages of a chat, by rising index.
func (c *client) history(t tb, chat int64, user uuid.UUID) (all []shownMessage) {
	t.Helper()
	for {
		op := c.one(Op{Kind: Receive, Chat: chat, User: user, Index: int64(len(all)) + 1, Count: 1000})
		values := readPage[shownMessage](t, op).Values
		if len(values) == 0 {
			return all
		}
		for i, m := range values {
			if want := int64(len(all) + 1); m.Index != want {
				t.Fatalf("chat %d: value %d of a page has index %d, not %d", chat, i, m.Index, want)
			}
			all = append(all, m)
		}
	}
}

func sendOp(chat int64, user uuid.UUID, text, ref string) Op {
	return Op{Kind: Send, Chat: chat, User: user, Text: codec.Text(text), Ref: codec.Text(ref)}
}

func createOp(chat int64, group bool, users ...uuid.UUID) Op {
	op := Op{Kind: Create, Chat: chat, Group: group}
	for _, u := range users {
		op.Members = append(op.Members, Member{ID: u})
	}
	return op
}

// shownMessage and shownChat are a page's values as a client reads them.
type shownMessage struct {
	ID      uuid.UUID `json:"id"`
	Name    string    `json:"name"`
	Content string    `json:"content"`
	Index   int64     `json:"index"`
	Time    int64     `json:"time"`
}

type shownChat struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	IsGroup bool   `json:"is_group"`
	Users   []struct {
		ID uuid.UUID `json:"id"`
	} `json:"usrs"`
	Last    int64 `json:"last"`
	Members int64 `json:"members"`
}

type shownPage[V any] struct {
	Values []V  `json:"values"`
	More   bool `json:"more"`
}

// readPage takes the reply of a read apart, which must be a success.
func readPage[V any](t tb, op Op) shownPage[V] {
	t.Helper()
	if op.Answer.Status != OK {
		t.Fatalf("a read of kind %d answered %s", op.Kind, op.Answer.Status.said())
	}
	page, err := decodePage[V](op.Answer.Body)
	if err != nil {
		t.Fatalf("a read of kind %d: %v", op.Kind, err)
	}
	return page
}

func decodePage[V any](frame []byte) (page shownPage[V], err error) {
	const header = 4
	if len(frame) < header || int(binary.BigEndian.Uint32(frame)) != len(frame)-header {
		return page, fmt.Errorf("not one whole frame: %q", frame)
	}
	var reply struct {
		State   int          `json:"state_code"`
		Content shownPage[V] `json:"content"`
	}
	if err := json.Unmarshal(frame[header:], &reply); err != nil {
		return page, fmt.Errorf("%w in %q", err, frame)
	}
	if reply.State != int(codec.StateOK) || reply.Content.Values == nil {
		return page, fmt.Errorf("not a success with values: %q", frame)
	}
	return reply.Content, nil
}

// said is how tests name a status.
func (s Status) said() string {
	switch s {
	case Unanswered:
		return "unanswered"
	case OK:
		return "ok"
	case NoUser:
		return "no such user"
	case NoChat:
		return "no such chat"
	case Taken:
		return "taken"
	case Unregistered:
		return "not registered"
	case Collision:
		return "collision"
	case Busy:
		return "busy"
	case Failed:
		return "failed"
	case Crashed:
		return "crashed"
	case Elsewhere:
		return "elsewhere"
	}
	return fmt.Sprintf("status %d", s)
}

// userID gives a user's name in a test the id that it always has.
func userID(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

var (
	alice = userID("alice")
	bob   = userID("bob")
	carol = userID("carol")
	dave  = userID("dave")
)
