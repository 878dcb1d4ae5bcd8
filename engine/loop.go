package engine

import (
	"context"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/google/uuid"
	"github.com/panjf2000/gnet/v2"

	"throng/codec"
	"throng/shards"
)

// loop is one event-loop goroutine and what it owns. All of its methods but
// execute run on that goroutine.
type loop struct {
	server *Server
	el     gnet.EventLoop
	outbox *outbox // the one thing that others touch

	conns   []*conn
	decoder *codec.Decoder
	request codec.Request // being dispatched
	clock   int64         // Unix milliseconds, as of the read or the lookup in hand
	users   *shards.Recent[int64, user]

	hand    []*shards.Batch // being filled, by target, for the connection in hand
	free    []*shards.Batch // to be used again
	freed   int             // bytes of their memory
	spare   []*shards.Batch // the outbox's other queue
	touched []*conn         // by the drain of the outbox
	out     []byte          // replies of the connection in hand

	leading  bool            // lead is about to run
	sweeping atomic.Bool     // sweep is about to run; set by the ticker
	led      []*shards.Batch // memory of what lead gets
	stalled  time.Duration   // so long have commits that took stall or more kept the loop from its connections
}

// user is who a token belongs to; it never changes.
type user struct {
	id   uuid.UUID
	name codec.Text // shared, never written
}

const (
	userBytes = 120 // what a cached user costs beside its name, map included

	// A commit of the loop's own that takes so long is a stall: what peers send meanwhile
	// is not looked at, and must not be found late.
	stall = 100 * time.Millisecond

	maxFreeBytes = 8 << 20   // of the batches that a loop keeps for reuse
	maxKeptBytes = 256 << 10 // of one of them, and of the loop's out; more is let go
)

func newLoop(s *Server, el gnet.EventLoop) *loop {
	l := &loop{
		server:  s,
		el:      el,
		decoder: codec.NewDecoder(s.config.Limits),
		users:   shards.NewRecent[int64, user](s.store.SpareMemory() / int64(s.config.Loops)),
		hand:    make([]*shards.Batch, s.store.Shards()+1),
	}
	l.outbox = newOutbox(func() { l.execute(l.drain) })
	return l
}

// execute has the loop run f soon; false where the loop has ended.
func (l *loop) execute(f func()) bool {
	return l.el.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
		f()
		return nil
	})) == nil
}

// now is the time since the server's start, of timers: stalls do not count.
func (l *loop) now() time.Duration { return time.Since(l.server.start) - l.stalled }

func (l *loop) readClock() { l.clock = l.server.config.Now().UnixMilli() }

func (l *loop) open(sock gnet.Conn) {
	c := &conn{
		loop:   l,
		sock:   sock,
		place:  len(l.conns),
		cutter: codec.NewCutter(l.server.config.Limits.Frame),
		budget: shards.NewSharedBudget(l.server.config.UnreadBytes, &l.server.held.crowded, l.server.held.share),
		opened: l.now(),
	}
	l.conns = append(l.conns, c)
	sock.SetContext(c)
}

// forget drops a connection that gnet has closed. Its batches come home still.
func (l *loop) forget(c *conn) {
	last := len(l.conns) - 1
	l.conns[c.place] = l.conns[last]
	l.conns[c.place].place = c.place
	l.conns[last] = nil
	l.conns = l.conns[:last]
	c.unweigh()
	c.phase = closed
	c.replies, c.parked, c.lookups = replies{}, nil, nil
}

// drain delivers what is in the outbox.
func (l *loop) drain() {
	batches := l.outbox.take(l.spare)
	l.deliver(batches)
	l.spare = batches
}

// submit hands a batch over. Where the loop leads, the shard gets it at the end of the
// loop's round, with all that the round brings.
func (l *loop) submit(to shards.Target, b *shards.Batch) bool {
	store := l.server.store
	if !l.server.leads || to == store.Accounts() {
		return store.Submit(to, b)
	}
	if !store.Leave(to, b) {
		return false
	}
	if !l.leading {
		l.leading = l.execute(l.lead) // once gnet has gone through what is ready
	}
	return true
}

// lead makes a commit of what was left at the one shard, and delivers the answers.
func (l *loop) lead() {
	l.leading = false
	begun := l.now()
	batches := l.server.store.Lead(0, l.outbox, l.led[:0])
	if took := l.now() - begun; took >= stall {
		l.stalled += took
	}
	l.deliver(batches)
	l.led = batches
}

// deliver takes the answers in batches to their connections, writes once to each of them
// and clears batches.
func (l *loop) deliver(batches []*shards.Batch) {
	for _, b := range batches {
		l.answered(b)
	}
	for _, c := range l.touched {
		c.touched = false
		c.flush()
		l.end(c)
	}
	for _, b := range batches {
		l.recycle(b)
	}
	clear(l.touched)
	l.touched = l.touched[:0]
	clear(batches)
	l.users.Trim()
}

// answered takes one batch's answers to their places.
func (l *loop) answered(b *shards.Batch) {
	c := b.Owner.(*conn)
	if c.phase == closed {
		return
	}
	if !c.touched {
		c.touched = true
		l.touched = append(l.touched, c)
	}
	defer c.survive(c.lastWords)
	for i := range b.Ops {
		c.answered(&b.Ops[i])
	}
	c.handOver()
}

// end closes a doomed connection; for callers outside of OnTraffic.
func (l *loop) end(c *conn) {
	if c.phase == doomed {
		if err := l.el.Close(c.sock); err != nil {
			l.server.config.Logger.Debug("close", "error", err)
		}
	}
}

// batch returns the batch of c for a target, to be handed over by handOver.
func (l *loop) batch(c *conn, to shards.Target) *shards.Batch {
	b := l.hand[to]
	if b == nil {
		b = l.newBatch()
		b.Home, b.Budget, b.Owner = l.outbox, c.budget, c
		l.hand[to] = b
	}
	return b
}

func (l *loop) newBatch() *shards.Batch {
	last := len(l.free) - 1
	if last < 0 {
		return &shards.Batch{}
	}
	b := l.free[last]
	l.free[last] = nil
	l.free = l.free[:last]
	l.freed -= memoryOf(b)
	return b
}

// recycle keeps a batch for reuse. Replies whose turn has not come still point
// into its Bodies: then those are left to them.
func (l *loop) recycle(b *shards.Batch) {
	if c := b.Owner.(*conn); !c.replies.empty() {
		b.Bodies = nil
	}
	bytes := memoryOf(b)
	if bytes > maxKeptBytes || l.freed+bytes > maxFreeBytes {
		return
	}
	clear(b.Ops)
	*b = shards.Batch{Ops: b.Ops[:0], Arena: b.Arena[:0], Bodies: b.Bodies[:0]}
	l.free = append(l.free, b)
	l.freed += bytes
}

func memoryOf(b *shards.Batch) int {
	return cap(b.Ops)*int(unsafe.Sizeof(shards.Op{})) + cap(b.Arena) + cap(b.Bodies)
}

// sweep looks after the connections' timers. A connection that it closes gives
// its place to the last one, which was looked after already.
func (l *loop) sweep() {
	now := l.now()
	for i := len(l.conns) - 1; i >= 0; i-- {
		c := l.conns[i]
		c.sweep(now)
		l.end(c)
	}
	clear(l.free) // a burst's memory is not kept for ever
	l.free, l.freed = l.free[:0], 0
}

// settled reports whether no connection is owed anything.
func (l *loop) settled() bool {
	for _, c := range l.conns {
		if !c.replies.empty() || c.sock.OutboundBuffered() > 0 {
			return false
		}
	}
	return true
}

// finishAll lets every connection end once it has what it is owed.
func (l *loop) finishAll() {
	for i := len(l.conns) - 1; i >= 0; i-- {
		c := l.conns[i]
		c.enter(ending)
		c.flush()
		l.end(c)
	}
}

// panicked logs a bug that one request ran into.
func (l *loop) panicked(cause any) {
	l.server.config.Logger.Error("a request panicked; its connection is closed", "cause", cause,
		"panics", l.server.panics.Add(1), "stack", string(debug.Stack()))
}
