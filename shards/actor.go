package shards

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// maxDrainMisses is how often a drain may go to the store before it is committed
// as far as it has come: what costs little must not wait for all that is cold.
const maxDrainMisses = 256

// state is what an actor owns in memory: the chats of a shard, or the accounts.
// Only who has the actor's turn calls it.
type state interface {
	// apply carries op out: it sets op.Answer, puts its writes into w and changes
	// the state as if they were committed already. On an error, and where it
	// panics before its first write, it has changed nothing.
	apply(op *Op, w *writes) error
	// misses counts how often apply went to the store since the last trim.
	misses() int
	// trim forgets what does not fit; called when all applied is committed.
	trim()
	// reset forgets everything, to be read from the store again.
	reset()
}

// actor is one writer with its mailbox, its state and its database, and the readers
// that carry out reads beside it. The writer is whoever has the turn: the actor's own
// goroutine, run, or a caller that leads.
type actor struct {
	mailbox *mailbox
	readers *readers
	log     *rationed
	fatal   func(error)

	running sync.WaitGroup

	turn sync.Mutex
	// Owned by who has the turn; nothing else may touch these.
	db    *database
	state state
	drain []*Batch
	post  post
}

func newActor(c Config, name string, db *database, s state, names, pages int64) *actor {
	log := c.Logger.With("actor", name)
	return &actor{
		mailbox: newMailbox(c.MailboxRequests, c.MailboxBytes),
		readers: newReaders(c, db, names, pages, log),
		log:     &rationed{log: log},
		fatal:   c.Fatal,
		db:      db,
		state:   s,
	}
}

func (a *actor) start() {
	a.readers.start()
	a.running.Go(a.run)
}

// stop carries out what waits in the mailbox; its reads may still be under way.
func (a *actor) stop() {
	a.mailbox.close()
	a.running.Wait()
}

// close closes the database. Its own readers, and those of other shards, which
// read it too, must be done.
func (a *actor) close() error {
	if err := a.db.close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func (a *actor) run() {
	for a.mailbox.await() {
		a.turn.Lock()
		a.round()
		a.post.send()
		a.turn.Unlock()
	}
}

// lead is a round on the caller's goroutine. What that leaves is the actor's own to do, and
// so is all where the actor is at it: it looks into the mailbox before it sleeps.
func (a *actor) lead(home Outbox, answered []*Batch) []*Batch {
	if !a.turn.TryLock() {
		return answered
	}
	a.round()
	answered = a.post.take(home, answered)
	a.post.send()
	a.turn.Unlock() // not deferred: who has met a failed disk keeps the turn
	a.mailbox.wake()
	return answered
}

// round carries out what waits, as much as should go into one commit, and leaves it
// answered in post.
func (a *actor) round() {
	drain := a.mailbox.peek(a.drain[:0])
	if len(drain) > 0 {
		w := a.db.begin()
		n := a.apply(drain, w)
		a.commit(w)
		a.publish(drain[:n])
		a.state.trim()
	}
	clear(drain)
	a.drain = drain
}

// apply applies the first batches of the drain, as many as should go into one
// commit, and returns how many. An operation that panics may leave the state half
// changed: it is marked, and the others are applied again, from what the store
// holds.
func (a *actor) apply(drain []*Batch, w *writes) int {
	for panics := 1; ; panics++ {
		n, culprit := a.tryApply(drain, w)
		if culprit == nil {
			return n
		}
		// Its connection is closed for it. Where there are many, give whole batches
		// up, or as many operations as there are would be applied as often.
		culprit.crashed = culprit.crashed || panics > maxPanics
		a.state.reset()
		w.reset()
	}
}

// maxPanics is how many operations of a drain may panic before it costs the other
// operations of their batch too.
const maxPanics = 8

// tryApply returns the batch in which an operation panicked, if one did.
func (a *actor) tryApply(drain []*Batch, w *writes) (n int, culprit *Batch) {
	var b *Batch
	var op *Op
	defer func() {
		if cause := recover(); cause != nil {
			culprit, op.Answer = b, Answer{Status: Crashed}
			a.log.error("an operation panicked; it is left out", "kind", op.Kind, "cause", cause,
				"stack", string(debug.Stack()))
		}
	}()
	for n, b = range drain {
		if n > 0 && a.state.misses() >= maxDrainMisses {
			return n, nil
		}
		b.reads, b.next = 0, 0
		for i := range b.Ops {
			op = &b.Ops[i]
			if a.applyOne(b, op, w); op.Answer.Status == Unanswered {
				b.reads++
			}
		}
	}
	return len(drain), nil
}

func (a *actor) applyOne(b *Batch, op *Op, w *writes) {
	if b.crashed || op.Answer.Status == Crashed {
		op.Answer = Answer{Status: Crashed}
		return
	}
	op.Answer = Answer{}
	if err := a.state.apply(op, w); err != nil {
		a.log.error("the store could not be read", "kind", op.Kind, "error", err.Error())
		op.Answer = Answer{Status: Failed}
	}
}

// commit makes the writes durable, or ends the process: after a failed sync
// nobody knows what is on disk, and to try again would hide that.
func (a *actor) commit(w *writes) {
	if err := a.db.commit(w); err != nil {
		die(a.fatal, fmt.Errorf("commit: %w", err))
	}
}

// publish puts the answered batches into post and hands those with reads on. The
// mailbox gets its room back first: a client that reacts to an answer finds it.
func (a *actor) publish(batches []*Batch) {
	a.mailbox.done(len(batches))
	for _, b := range batches {
		a.contribute(b)
		if b.reads > 0 {
			a.recall(b)
		}
		if b.reads > 0 && a.readers.queue.put(b) {
			continue // it is the readers' now
		}
		if b.reads > 0 {
			turnAway(b)
		}
		a.post.add(b)
	}
}

// recall answers the reads of b whose replies are remembered, which is no work for a
// reader. The others are left unanswered, and so are all behind one that panics.
func (a *actor) recall(b *Batch) {
	var op *Op
	defer func() {
		if cause := recover(); cause != nil {
			op.Answer = Answer{Status: Crashed}
			b.reads--
			a.log.error("a read panicked", "kind", op.Kind, "cause", cause, "stack", string(debug.Stack()))
		}
	}()
	for i := range b.Ops {
		op = &b.Ops[i]
		if op.Answer.Status != Unanswered || op.Kind == FindChats || b.Budget.Spent() {
			continue
		}
		if body := a.readers.pages.look(pageOf(op)); body != nil && b.Budget.Take(len(body)) {
			op.Answer = Answer{Status: OK, Body: body}
			b.reads--
		}
	}
}

// contribute adds this shard's part to the batch's FindChats.
func (a *actor) contribute(b *Batch) {
	for i := range b.Ops {
		op := &b.Ops[i]
		switch {
		case op.Kind != FindChats, op.Find == nil:
		case op.Answer.Status == Crashed:
			if !op.Find.Abandon() {
				op.Answer.Status = Elsewhere
			}
		case !op.Find.contribute(a.db.view):
			op.Answer.Status = Elsewhere
			b.reads--
		}
	}
}

// turnAway answers the reads of a batch that the readers have no room for.
func turnAway(b *Batch) {
	for i := range b.Ops {
		op := &b.Ops[i]
		if op.Answer.Status != Unanswered {
			continue
		}
		op.Answer.Status = Busy
	}
}

// post collects answered batches and sends them home, one Put for each home. It is
// not safe for concurrent use.
type post struct {
	homes []homeward
}

type homeward struct {
	home    Outbox
	batches []*Batch
}

func (p *post) add(b *Batch) {
	for i := range p.homes {
		if p.homes[i].home == b.Home {
			p.homes[i].batches = append(p.homes[i].batches, b)
			return
		}
	}
	p.homes = append(p.homes, homeward{b.Home, []*Batch{b}})
}

// take appends what was added for home to batches in place of sending it.
func (p *post) take(home Outbox, batches []*Batch) []*Batch {
	for i := range p.homes {
		if h := &p.homes[i]; h.home == home {
			batches = append(batches, h.batches...)
			clear(h.batches)
			h.batches = h.batches[:0]
		}
	}
	return batches
}

func (p *post) send() {
	for i := range p.homes {
		h := &p.homes[i]
		if len(h.batches) > 0 {
			h.home.Put(h.batches)
			clear(h.batches)
			h.batches = h.batches[:0]
		}
	}
}

// rationed logs errors, at most one a second: what a client can bring about
// again and again must not fill the log. It is not safe for concurrent use.
type rationed struct {
	log   *slog.Logger
	last  time.Time
	muted int
}

func (r *rationed) error(msg string, args ...any) {
	now := time.Now()
	if now.Sub(r.last) < time.Second {
		r.muted++
		return
	}
	r.log.Error(msg, append(args, "muted_before", r.muted)...)
	r.last, r.muted = now, 0
}
