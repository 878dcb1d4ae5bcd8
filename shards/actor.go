package shards

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// state is what an actor owns in memory: the chats of a shard, or the accounts.
// Only the actor's goroutine calls it.
type state interface {
	// apply carries op out: it sets op.Answer, puts its writes into w and changes
	// the state as if they were committed already.
	apply(op *Op, w *pebble.Batch) error
	// trim forgets what does not fit; called when all applied is committed.
	trim()
	// reset forgets everything, to be read from the store again.
	reset()
}

// actor is one goroutine, run, with its mailbox, its state and its database,
// and the readers that carry out reads beside it.
type actor struct {
	mailbox *mailbox
	readers *readers
	log     *slog.Logger
	fatal   func(error)

	running sync.WaitGroup

	// Owned by run; nothing else may touch these.
	db      *database
	state   state
	drain   []*Batch
	current *Op // being applied
	post    post
}

func newActor(c Config, name string, db *database, s state) *actor {
	log := c.Logger.With("actor", name)
	m := newMailbox(c.MailboxRequests, c.MailboxBytes)
	return &actor{
		mailbox: m,
		readers: newReaders(db, m, c.ReplyBytes, log),
		log:     log,
		fatal:   c.Fatal,
		db:      db,
		state:   s,
		post:    post{mailbox: m},
	}
}

func (a *actor) start() {
	a.readers.start()
	a.running.Go(a.run)
}

// close carries out what waits, then closes the database.
func (a *actor) close() error {
	a.mailbox.close()
	a.running.Wait()
	a.readers.close()
	if err := a.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

func (a *actor) run() {
	for {
		drain, ok := a.mailbox.take(a.drain[:0])
		if !ok {
			return
		}
		a.process(drain)
		clear(drain)
		a.drain = drain
	}
}

func (a *actor) process(drain []*Batch) {
	w := a.db.NewBatch()
	for !a.apply(drain, w) {
		a.state.reset()
		w.Reset()
	}
	a.commit(w)
	a.publish(drain)
	a.state.trim()
}

// apply applies every operation of the drain. Where one panics, it is marked,
// and apply reports false: the state may be half changed, and the drain must be
// applied again, from what the store holds. Each time one operation fewer takes
// part.
func (a *actor) apply(drain []*Batch, w *pebble.Batch) (whole bool) {
	defer func() {
		if cause := recover(); cause != nil {
			a.current.Answer = Answer{Status: Crashed}
			a.log.Error("an operation panicked; it was left out", "kind", a.current.Kind,
				"cause", cause, "stack", string(debug.Stack()))
		}
	}()
	for _, b := range drain {
		b.reads = 0
		for i := range b.Ops {
			a.current = &b.Ops[i]
			if a.current.Answer.Status == Crashed {
				continue
			}
			a.applyOne(a.current, w)
			if a.current.Answer.Status == Unanswered {
				b.reads++
			}
		}
	}
	return true
}

func (a *actor) applyOne(op *Op, w *pebble.Batch) {
	op.Answer = Answer{}
	if err := a.state.apply(op, w); err != nil {
		a.log.Error("the store could not be read", "kind", op.Kind, "error", err)
		op.Answer = Answer{Status: Failed}
	}
}

// commit makes the writes durable, or ends the process: after a failed sync
// nobody knows what is on disk, and to try again would hide that.
func (a *actor) commit(w *pebble.Batch) {
	var err error
	if w.Count() > 0 {
		err = a.db.Apply(w, a.db.write)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		die(a.fatal, fmt.Errorf("commit: %w", err))
	}
}

// publish sends the answered batches home and hands those with reads on.
func (a *actor) publish(drain []*Batch) {
	reads := drain[:0:0]
	for _, b := range drain {
		if b.reads > 0 {
			a.prepareFinds(b)
		}
		if b.reads > 0 {
			reads = append(reads, b)
		} else {
			a.post.add(b)
		}
	}
	if len(reads) > 0 {
		a.readers.put(reads)
	}
	a.post.send()
}

// prepareFinds contributes this shard's part to the batch's FindChats. The
// snapshot is taken here, between two commits, when all it shows is durable.
func (a *actor) prepareFinds(b *Batch) {
	for i := range b.Ops {
		op := &b.Ops[i]
		if op.Kind != FindChats || op.Answer.Status != Unanswered {
			continue
		}
		if !op.Find.contribute(a.db.NewSnapshot()) {
			op.Answer.Status = Elsewhere
			b.reads--
		}
	}
}

// post collects answered batches and sends them home, one Put for each home.
// It belongs to one goroutine.
type post struct {
	mailbox *mailbox
	homes   []homeward

	requests, bytes int
}

type homeward struct {
	home    Outbox
	batches []*Batch
}

func (p *post) add(b *Batch) {
	p.requests += len(b.Ops)
	p.bytes += b.Bytes
	for i := range p.homes {
		if p.homes[i].home == b.Home {
			p.homes[i].batches = append(p.homes[i].batches, b)
			return
		}
	}
	p.homes = append(p.homes, homeward{b.Home, []*Batch{b}})
}

// send gives the mailbox its room back before it wakes those who wait for
// answers: a client that reacts to one finds room.
func (p *post) send() {
	p.mailbox.release(p.requests, p.bytes)
	p.requests, p.bytes = 0, 0
	for i := range p.homes {
		h := &p.homes[i]
		if len(h.batches) > 0 {
			h.home.Put(h.batches)
			clear(h.batches)
			h.batches = h.batches[:0]
		}
	}
}
