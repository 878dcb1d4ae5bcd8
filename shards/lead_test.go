package shards

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What is left at an actor is carried out by who leads, and comes back to it and not
// through its outbox.
func TestALeaderGetsItsAnswers(t *testing.T) {
	t.Parallel()
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	to, other := s.ShardOf(7), newInbox()
	list := [][]Op{{sendOp(7, alice, "1", "")}, {sendOp(7, alice, "2", ""), sendOp(8, alice, "x", "")}, {sendOp(7, alice, "3", "")}}
	var batches []*Batch
	for i, ops := range list {
		b := c.batch(ops)
		if i == 1 {
			b.Home = other
		}
		batches = append(batches, b)
		if !s.Leave(to, b) {
			t.Fatal("the mailbox has no room")
		}
	}
	kept := &Batch{}
	answered := s.Lead(to, c.home, []*Batch{kept})
	if !slices.Equal(answered, []*Batch{kept, batches[0], batches[2]}) {
		t.Errorf("%d batches came back", len(answered))
	}
	if len(c.home) > 0 || len(other) != 1 || await(other, "answer") != batches[1] {
		t.Errorf("%d batches are in the leader's outbox, and not one in the other's", len(c.home))
	}
	expectStatuses(t, slices.Concat(list...), OK, OK, NoChat, OK)
	expectNumbered(t, c.history(t, 7, alice))
	if answered = s.Lead(to, c.home, nil); len(answered) > 0 {
		t.Errorf("where nothing is left %d batches come", len(answered))
	}
}

// Who leads where the actor is at it does not wait for it, and does nothing; the actor does.
func TestALeaderLeavesItToTheActor(t *testing.T) {
	t.Parallel()
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	to := s.ShardOf(7)
	release := c.hold(to)
	defer release()
	s.Leave(to, c.batch([]Op{sendOp(7, alice, "1", "")}))
	if answered := s.Lead(to, c.home, nil); len(answered) > 0 || len(s.actor(to).mailbox.peek(nil)) != 1 {
		t.Fatal("two are at it")
	}
	release()
	c.wait(1)
	expectNumbered(t, c.history(t, 7, alice))
}

// Who leads and the actor take turns: whatever the one commits the other goes on from.
func TestLeadersAndActorsTakeTurns(t *testing.T) {
	t.Parallel()
	const callers, each = 6, 200
	fs := vfs.NewMem()
	s := open(t, fs)
	newClient(s).group(7, alice)
	to := s.ShardOf(7)
	given := make([]bool, callers*each+1)
	var mu sync.Mutex
	note := func(index int64) {
		mu.Lock()
		defer mu.Unlock()
		if index < 1 || index > callers*each || given[index] {
			t.Errorf("index %d is given twice, or was none to give", index)
			return
		}
		given[index] = true
	}
	var running sync.WaitGroup
	for i := range callers {
		running.Go(func() {
			c := newClient(s) // with a home of its own
			for range each {
				ops := []Op{sendOp(7, alice, "x", "")}
				if i%2 == 0 {
					s.Submit(to, c.batch(ops))
				} else {
					s.Leave(to, c.batch(ops))
					c.home.Put(s.Lead(to, c.home, nil))
				}
				c.wait(1)
				note(ops[0].Answer.Index)
			}
		})
	}
	running.Wait()
	closeStore(t, s)
	s = openFor(t, fs)
	if n := len(newClient(s).history(t, 7, alice)); n != callers*each {
		t.Errorf("the chat has %d messages, want %d", n, callers*each)
	}
}

// A leader makes one commit; the rest, and what comes then, is the actor's, in its order.
func TestALeaderLeavesTheRest(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, fs, withShards(1))
	c := newClient(s)
	var cold, again []Op
	for chat := range int64(maxDrainMisses + 1) {
		c.group(chat+1, alice)
		cold = append(cold, sendOp(chat+1, alice, "1", ""))
		again = append(again, sendOp(chat+1, alice, "2", ""))
	}
	closeStore(t, s)
	s = openFor(t, fs, withShards(1)) // with nothing in memory
	c = newClient(s)
	s.Leave(0, c.batch(cold))
	s.Leave(0, c.batch(again))
	if answered := s.Lead(0, c.home, nil); len(answered) != 1 || &answered[0].Ops[0] != &cold[0] {
		t.Fatalf("%d batches came back, not the first", len(answered))
	}
	c.wait(1) // from the actor
	s.Leave(0, c.batch([]Op{sendOp(1, alice, "3", "")}))
	if n := len(s.Lead(0, c.home, nil)); n == 0 {
		c.wait(1)
	}
	expectNumbered(t, c.history(t, 1, alice))
}

// Reads of a peer that is over its budget are refused until it has taken half of it,
// remembered or not.
func TestARememberedReplyIsRefusedAsAnyOther(t *testing.T) {
	t.Parallel()
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	reads := c.differentReads(7, alice, 1)
	var size int
	for range 3 {
		size = len(c.one(reads[0]).Answer.Body)
	}
	b := c.batch([]Op{reads[0], reads[0], reads[0]})
	b.Budget = NewBudget(2*size + (size+1)/2)
	s.Submit(s.ShardOf(7), b)
	c.wait(1)
	expectStatuses(t, b.Ops, OK, OK, Busy)
	for _, step := range []struct {
		taken int
		want  Status
	}{{(size + 1) / 2, Busy}, {size, OK}} { // after the first one would fit, but more than half is used
		b.Budget.Refund(step.taken)
		b.Ops = slices.Clone(reads)
		s.Submit(s.ShardOf(7), b)
		c.wait(1)
		expectStatuses(t, b.Ops, step.want)
	}
}

// What was left and nobody came to lead is carried out when the store is closed.
func TestCloseCarriesOutWhatWasLeft(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, fs)
	c := newClient(s)
	c.group(7, alice)
	for i := range 3 {
		s.Leave(s.ShardOf(7), c.batch([]Op{sendOp(7, alice, fmt.Sprint(i+1), "")}))
	}
	closeStore(t, s)
	c.wait(3)
	s = openFor(t, fs)
	history := newClient(s).history(t, 7, alice)
	if expectNumbered(t, history); len(history) != 3 {
		t.Errorf("%d of 3 messages are there", len(history))
	}
}

// A reply that is remembered waits for no reader, where another one does.
func TestARememberedReplyNeedsNoReader(t *testing.T) {
	t.Parallel()
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	reads := c.differentReads(7, alice, 3)[:2] // the third is what those ask for that hold the readers
	for range 3 {
		c.one(reads[0])
	}
	release := c.holdReaders(7, alice)
	defer release()
	expectStatuses(t, c.do(s.ShardOf(7), reads[0], reads[0], sendOp(7, alice, "x", "")), OK, OK, OK)
	c.submit(s.ShardOf(7), slices.Clone(reads))
	c.settle(s.ShardOf(7))
	select {
	case <-c.home:
		t.Error("a reply that nobody has remembered came without a reader")
	default:
	}
	release()
	c.wait(1)
}
