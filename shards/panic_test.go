package shards

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"throng/codec"
)

// bogus is an operation that panics when it is applied: it is of no kind.
func bogus() Op { return Op{Kind: FindChats + 1, Chat: 7, User: alice} }

// An operation that panics in the midst of a drain costs itself: it answers
// Crashed, and those before it, behind it and in other batches are carried out,
// once each.
func TestAPanicIsLeftOutOfItsDrain(t *testing.T) {
	fs := newCrashFS()
	s := open(t, fs)
	c := newClient(s)
	c.group(7, alice)
	read := Op{Kind: Receive, Chat: 7, User: alice, Index: 1, Count: 100}
	lists := [][]Op{
		{sendOp(7, alice, "1", ""), bogus(), sendOp(7, alice, "2", "r")},
		{bogus()},
		{read, sendOp(7, alice, "2", "r"), sendOp(7, alice, "3", "")},
		{{Kind: Join, Chat: 7, User: bob}, bogus(), sendOp(7, bob, "4", ""), bogus()},
		{read},
	}
	c.together(s.ShardOf(7), lists...)
	wantStatus := [][]Status{{OK, Crashed, OK}, {Crashed}, {OK, OK, OK}, {OK, Crashed, OK, Crashed}, {OK}}
	wantIndex := [][]int64{{1, 0, 2}, {0}, {0, 2, 3}, {0, 0, 4, 0}, {0}}
	for i, ops := range lists {
		for j, op := range ops {
			if op.Answer.Status != wantStatus[i][j] || op.Answer.Index != wantIndex[i][j] {
				t.Errorf("operation %d of batch %d: %s, index %d", j, i, op.Answer.Status.said(), op.Answer.Index)
			}
		}
	}
	if texts := contents(readPage[shownMessage](t, lists[2][0]).Values); !slices.Equal(texts, []string{"1", "2"}) {
		t.Errorf("the read in the middle shows %q", texts)
	}
	want := []string{"1", "2", "3", "4"}
	if texts := contents(readPage[shownMessage](t, lists[4][0]).Values); !slices.Equal(texts, want) {
		t.Errorf("the read at the end shows %q", texts)
	}

	clone := fs.clone(0, nil)
	closeStore(t, s)
	s = openFor(t, clone)
	c = newClient(s)
	if texts := contents(c.history(t, 7, bob)); !slices.Equal(texts, want) {
		t.Errorf("after a crash the chat holds %q", texts)
	}
	if a := c.send(7, alice, "5"); a.Index != 5 {
		t.Errorf("the next message has index %d", a.Index)
	}
}

// panicky applies an operation in full and then panics: the worst moment, for its
// writes stand in the batch and its changes in memory.
type panicky struct{ state }

const panicTag = 13

func (p panicky) apply(op *Op, w *writes) error {
	err := p.state.apply(op, w)
	if op.Tag == panicTag {
		panic("test: applied, and then")
	}
	return err
}

// Nothing is left of an operation that panicked, however far it had come: not on
// disk, not in memory, not in what is built on it.
func TestNothingIsLeftOfAPanic(t *testing.T) {
	fs := newCrashFS()
	s := open(t, fs)
	for _, a := range s.actors() {
		a.state = panicky{a.state}
	}
	c := newClient(s)
	marked := func(op Op) Op {
		op.Tag = panicTag
		return op
	}
	c.register(alice, 1, "")
	c.group(7, alice)
	c.send(7, alice, "1")
	other := int64(8)
	for s.ShardOf(other) != s.ShardOf(7) {
		other++
	}

	alone := []Op{marked(sendOp(7, alice, "never", ""))}
	c.together(s.ShardOf(7), alone)
	expectStatuses(t, alone, Crashed)
	if texts := contents(c.history(t, 7, alice)); !slices.Equal(texts, []string{"1"}) {
		t.Fatalf("behind a commit of nothing but a panic the chat holds %q", texts)
	}

	chats := []Op{
		marked(sendOp(7, alice, "never", "r")),
		marked(Op{Kind: Join, Chat: 7, User: bob}),
		marked(createOp(other, true, alice)),
		sendOp(7, alice, "2", "r"),   // the ref is not known
		sendOp(7, bob, "never", ""),  // bob is no member
		sendOp(other, alice, "", ""), // there is no such chat
		createOp(other, true, carol), // its id is free
		sendOp(other, alice, "", ""), // and it is carol's
	}
	c.together(s.ShardOf(7), chats)
	expectStatuses(t, chats, Crashed, Crashed, Crashed, OK, NoChat, NoChat, OK, NoChat)
	if chats[3].Answer.Index != 2 {
		t.Errorf("the message behind a panic has index %d", chats[3].Answer.Index)
	}

	users := []Op{
		marked(Op{Kind: Register, User: bob, Token: 2}),
		{Kind: Lookup, Token: 2},
		{Kind: Register, User: carol, Token: 2},
		{Kind: Register, User: bob, Token: 3},
	}
	c.together(s.Accounts(), users)
	expectStatuses(t, users, Crashed, NoUser, OK, OK)

	for range 2 {
		if texts := contents(c.history(t, 7, alice)); !slices.Equal(texts, []string{"1", "2"}) {
			t.Errorf("the chat holds %q", texts)
		}
		page := readPage[shownChat](t, c.find(alice, 0, 10))
		if len(page.Values) != 1 || page.Values[0].Members != 1 {
			t.Errorf("alice's chats: %+v", page.Values)
		}
		if op := c.lookup(2); op.User != carol {
			t.Errorf("the token that a panic left free belongs to %v", op.User)
		}
		clone := fs.clone(0, nil)
		closeStore(t, s)
		fs, s = clone, open(t, clone)
		c = newClient(s)
	}
	closeStore(t, s)
}

func expectStatuses(t *testing.T, ops []Op, want ...Status) {
	t.Helper()
	for i, op := range ops {
		if op.Answer.Status != want[i] {
			t.Errorf("operation %d: %s, want %s", i, op.Answer.Status.said(), want[i].said())
		}
	}
}

// A read that panics answers Crashed, and the reads around it are answered; the
// reader goes on, and keeps nothing of the store open.
func TestAPanicOfARead(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	for _, a := range s.shards {
		for _, r := range a.readers.pool {
			r.names = &Recent[memberID, codec.Text]{max: 1} // takes no name: Receive panics, GetChat does not
		}
	}
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "hello")
	get := Op{Kind: GetChat, Chat: 7, User: alice, Index: -1, Count: 1}
	receive := Op{Kind: Receive, Chat: 7, User: alice, Index: 1, Count: 1}
	for range 2 * readersPerShard { // each reader meets it
		ops := c.do(s.ShardOf(7), get, receive, get, sendOp(7, alice, "hello", "r"), receive)
		expectStatuses(t, ops, OK, Crashed, OK, OK, Crashed)
	}
	if used := c.budgetOf(get); used == 0 {
		t.Error("a reply that was built is not charged")
	}
	if used := c.budgetOf(receive); used != 0 {
		t.Errorf("a read that panicked is charged %d bytes", used)
	}
}

// budgetOf returns what one read leaves charged.
func (c *client) budgetOf(op Op) int64 {
	b := c.batch([]Op{op})
	c.store.Submit(c.target(&op), b)
	c.wait(1)
	return b.Budget.Used()
}

// An operation of a shard at the accounts, and the other way round, is a bug of
// the caller, and answered as one.
func TestOperationsOfAnotherActorCrash(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	for _, kind := range []Kind{Send, Join, Create, GetChat, Receive, FindChats} {
		expectStatuses(t, c.do(s.Accounts(), Op{Kind: kind, Chat: 7, User: alice}), Crashed)
	}
	for _, kind := range []Kind{0, Lookup, Register, Resolve} {
		expectStatuses(t, c.do(Target(0), Op{Kind: kind, User: alice, Token: 1, Name: codec.Text("x")}), Crashed)
	}
}
