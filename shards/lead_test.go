package shards

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

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
	answered, more := s.Lead(to, c.home, []*Batch{kept})
	if more || !slices.Equal(answered, []*Batch{kept, batches[0], batches[2]}) {
		t.Errorf("%d batches came back, more: %v", len(answered), more)
	}
	if len(c.home) > 0 || len(other) != 1 || await(other, "answer") != batches[1] {
		t.Errorf("%d batches are in the leader's outbox, and not one in the other's", len(c.home))
	}
	expectStatuses(t, slices.Concat(list...), OK, OK, NoChat, OK)
	expectNumbered(t, c.history(t, 7, alice))
	if answered, more = s.Lead(to, c.home, nil); more || len(answered) > 0 {
		t.Errorf("where nothing is left %d batches come, more: %v", len(answered), more)
	}
}

// Who leads waits for the actor, which is at it.
func TestALeaderWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	to := s.ShardOf(7)
	release := c.hold(to)
	defer release()
	s.Leave(to, c.batch([]Op{sendOp(7, alice, "1", "")}))
	led := make(chan struct{})
	go func() {
		answered, _ := s.Lead(to, c.home, nil)
		c.home.Put(answered) // none, where the actor was first
		close(led)
	}()
	time.Sleep(50 * time.Millisecond) // what it could do too early, it does now
	if waiting := s.actor(to).mailbox.giveBack(nil); !waiting {
		t.Fatal("two are at it")
	}
	release()
	await(led, "end of Lead")
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
					for more := true; more; {
						var answered []*Batch
						answered, more = s.Lead(to, c.home, nil)
						c.home.Put(answered)
					}
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

// A leader makes one commit, and is told of the rest, whose order stays.
func TestALeaderIsToldOfTheRest(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, fs, withShards(1))
	c := newClient(s)
	var cold, first []Op
	for chat := range int64(maxDrainMisses + 1) {
		c.group(chat+1, alice)
		cold = append(cold, sendOp(chat+1, alice, "1", ""))
		first = append(first, sendOp(chat+1, alice, "2", ""))
	}
	closeStore(t, s)
	s = openFor(t, fs, withShards(1)) // with nothing in memory
	c = newClient(s)
	last := []Op{sendOp(1, alice, "3", "")}
	for _, ops := range [][]Op{cold, first} {
		s.Leave(0, c.batch(ops))
	}
	for i, want := range []bool{true, false} {
		answered, more := s.Lead(0, c.home, nil)
		if more != want || len(answered) != i+1 {
			t.Fatalf("round %d: %d batches, more: %v", i, len(answered), more)
		}
		if i == 0 {
			s.Leave(0, c.batch(last)) // it comes behind the rest
		}
	}
	expectNumbered(t, c.history(t, 1, alice))
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
