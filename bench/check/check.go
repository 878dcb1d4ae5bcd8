// Package check decides whether a chat server kept its promises: from what its
// clients saw, their ledgers, and from a read-back of every chat. It is pure: it
// knows no network and no clock, and whoever has ledgers may call it, the load
// harness as well as a crash test.
//
// # What is held against the server
//
// Each rule is a [Rule]; a breach of it is a fault.
//
//   - Every acknowledged message is in the log of its chat, at its index, with
//     its text: [Lost], [WrongText], [Misplaced].
//   - The log's indexes are 1, 2, 3 … where the server promises so, and rise
//     anyway: [Gap], [Disorder].
//   - Never are two texts seen at one index: [TwoTexts].
//   - A message that was there before another's send was begun (its own send was
//     acknowledged by then, or a read had shown it) has the smaller index:
//     [Inverted].
//   - A read shows what was there before it was begun, and nothing that is not in
//     the log in the end: [Stale], [Vanished], [Changed].
//   - No text is in the log twice; a send without an answer is in it once or not at
//     all, a refused one never, and nothing that nobody sent to that chat:
//     [Duplicate], [StoredRefused], [Phantom], [Foreign].
//
// "Before" means that the one had ended when the other began. What overlaps, if
// only in one nanosecond, may have happened in either order.
//
// # What it costs
//
// The operations are grouped by chat with a counting sort over references of 8
// bytes, and the chats are checked one by one, several at once. A chat of n
// operations and messages takes O(n log n) time and, while it is checked, up to 24
// bytes a message, 24 more for each that no acknowledgement accounts for, and 16
// bytes an operation. Where all is well, only the times are sorted.
//
// # Rounds
//
// A run of hours is checked round by round, and each round is forgotten after it:
// see [Checker].
package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Limits of a check.
const (
	maxOpen      = 4 << 20 // sends without an answer that may turn up in a later round
	maxStrangers = 1 << 16 // texts, by worker, whose origin is looked for; of more, the rest count as Phantom
	visitsPolled = 1 << 10 // messages read back between two looks at the context
)

// ErrLedger marks histories that no client can have seen: the fault is the
// caller's, not the server's.
var ErrLedger = errors.New("ledger")

// Options say what is promised and what is known. Chats is required.
type Options struct {
	Chats   int  // the chats are 0 … Chats-1; all are read back
	Dense   bool // the indexes of each chat are 1, 2, 3 …; else they only rise
	Partial bool // the ledgers do not hold every send, so a text that nobody sent is no fault
	Workers int  // chats checked at once; 0: one a processor
}

// Log reads a chat back, oldest first, from the first message whose index is above
// after to the last, and shows each to visit, whose error it returns. It is called
// for several chats at once.
type Log func(chat int, after int64, visit func(index int64, hash uint64) error) error

// Checker checks a run, in one round or in several. Its methods may not be called
// at once.
//
// After each round it keeps of a chat how far the log went and the digest of all
// that far, and of the ledgers only the sends without an answer that it did not
// find, since they may turn up later. The next round therefore reads back only
// what is new, and what it is given must have begun after the check before it
// returned. Two things are beyond a later round: what an older text was (so one
// that is stored again counts as Phantom), and the texts shown by a read that
// reaches back into older rounds, which are counted in [Verdict.Clipped]. Final
// closes the run: it reads everything again and sees whether the older messages
// are still what they were.
type Checker struct {
	options Options
	marks   []mark // by chat
	open    []Send // sends without an answer, not found so far; their Outcome is lingering
}

// mark is what is kept of a chat between rounds.
type mark struct {
	last   int64  // the newest index
	digest uint64 // of all up to it
}

// New returns a Checker of a run that has not begun: all chats are empty.
func New(options Options) *Checker {
	if options.Workers <= 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	return &Checker{options: options, marks: make([]mark, options.Chats)}
}

// Check holds the ledgers of a round against the log. It keeps nothing of them.
//
// An error means that there is no verdict: the log could not be read, ctx is done,
// or the ledgers cannot be (ErrLedger). The Checker is then as it was before.
func (c *Checker) Check(ctx context.Context, ledgers []Ledger, log Log) (Verdict, error) {
	return c.check(ctx, ledgers, log, false)
}

// Final is Check for the last round of several: every chat is read from its first
// message, so that older rounds and reads that reach into them are held against
// the log as well. The ledgers may be empty.
func (c *Checker) Final(ctx context.Context, ledgers []Ledger, log Log) (Verdict, error) {
	return c.check(ctx, ledgers, log, true)
}

func (c *Checker) check(ctx context.Context, ledgers []Ledger, log Log, whole bool) (Verdict, error) {
	history, err := gather(ledgers, c.open, c.options.Chats)
	if err != nil {
		return Verdict{}, err
	}
	r := &round{
		Options: c.options, ctx: ctx, log: log, whole: whole,
		history: history, marks: c.marks, after: make([]mark, len(c.marks)),
	}
	workers := r.run()
	t, open, err := merge(workers)
	if err != nil {
		return Verdict{}, err
	}
	if len(open) > maxOpen {
		return Verdict{}, fmt.Errorf("%d sends have no answer, more than the %d that can be looked for later", len(open), maxOpen)
	}
	blame(t, workers, ledgers)
	c.marks, c.open = r.after, open
	v := t.verdict()
	v.Chats = c.options.Chats
	return v, nil
}

// round is one check. Its workers share it; each writes only the places in after
// of the chats that it checks.
type round struct {
	Options
	ctx     context.Context
	log     Log
	whole   bool // read from the first message on
	history history
	marks   []mark // before the round
	after   []mark // behind it

	next   atomic.Int64 // chat to be checked
	failed atomic.Bool
}

// run checks all chats. Each worker takes them in rising order.
func (r *round) run() []*worker {
	workers := make([]*worker, min(r.Workers, max(r.Chats, 1)))
	var wg sync.WaitGroup
	for i := range workers {
		w := newWorker(r)
		workers[i] = w
		wg.Go(w.run)
	}
	wg.Wait()
	return workers
}

// take returns the next chat, false when there is none or a worker has failed.
func (r *round) take() (int, bool) {
	chat := int(r.next.Add(1)) - 1
	return chat, chat < r.Chats && !r.failed.Load()
}

// merge sums up what the workers found.
func merge(workers []*worker) (*tally, []Send, error) {
	t := newTally()
	var open []Send
	for _, w := range workers {
		if w.err != nil {
			return nil, nil, w.err
		}
		t.merge(w.tally)
		open = append(open, w.open...)
	}
	return t, open, nil
}

// blame finds out whether the texts that nobody sent to their chats were sent to
// another one.
func blame(t *tally, workers []*worker, ledgers []Ledger) {
	var strangers []stranger
	for _, w := range workers {
		strangers = append(strangers, w.strangers...)
	}
	slices.SortStableFunc(strangers, func(a, b stranger) int { return cmp.Compare(a.chat, b.chat) })
	origins := origins(strangers, ledgers)
	for _, s := range strangers {
		if from, sent := origins[s.hash]; sent {
			t.fault(s.chat, Foreign, "index %d holds text %016x, which was sent to chat %d", s.index, s.hash, from)
		} else {
			t.fault(s.chat, Phantom, "index %d holds text %016x, which nobody sent", s.index, s.hash)
		}
	}
}

// origins maps the strangers' texts to the chats that they were sent to.
func origins(strangers []stranger, ledgers []Ledger) map[uint64]uint32 {
	if len(strangers) == 0 {
		return nil
	}
	wanted := map[uint64]bool{}
	for _, s := range strangers {
		wanted[s.hash] = true
	}
	sent := map[uint64]uint32{}
	for _, l := range ledgers {
		for i := range l.Sends {
			if s := &l.Sends[i]; wanted[s.Hash] {
				sent[s.Hash] = s.Chat
			}
		}
	}
	return sent
}
