package engine

import (
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"throng/codec"
	"throng/shards"
)

// conn is one connection. Its loop owns it; nothing else may touch it, but for
// the budget, which readers charge.
type conn struct {
	loop   *loop
	sock   gnet.Conn
	place  int // in loop.conns
	cutter codec.Cutter
	budget *shards.Budget

	replies       replies
	parked        []parked             // requests that wait for a user to be looked up
	lookups       map[question]*lookup // that parked requests wait for
	reads         uint64               // that have brought something
	inFlightBytes int
	refusals      int   // replies owed that stand for requests that went no further
	outbound      int   // bytes that gnet held for the peer when last looked at
	held          int64 // bytes of all kinds, as last weighed
	bad           int   // consecutive 400s

	// Times since the server's start; 0: not yet.
	opened  time.Duration
	active  time.Duration // the last bytes from the peer
	partial time.Duration // a frame has begun and not ended
	since   time.Duration // the phase began

	phase   phase
	inHand  uint64 // the place that the request in hand has or would get, plus 1
	greeted bool   // a first whole frame has come
	touched bool   // in loop.touched
}

// phase is how far a connection's life has come. It only moves on.
type phase uint8

const (
	serving   phase = iota
	ending          // what still comes is thrown away; what is owed is sent
	lingering       // FIN is sent: see lingerTimeout
	doomed          // to be closed at once
	closed          // gnet has closed it
)

// parked is a request behind a user that is being looked up. It has its place
// among the replies and is decoded again when its turn comes.
type parked struct {
	place uint64
	asked question
	body  []byte
}

// question is a token that the accounts are asked about. The requests of one read
// share it, and no later ones: that a token is nobody's may not be true any more
// for who comes after.
type question struct {
	token int64
	read  uint64
}

// lookup is what has become of a question.
type lookup struct {
	answer  shards.Status // Unanswered: under way
	user    user
	waiting int // parked requests
}

func (c *conn) enter(p phase) {
	if c.phase < p {
		c.phase, c.since = p, c.loop.now()
	}
}

// traffic takes in what one read brought.
func (c *conn) traffic() {
	defer c.survive(c.lastWords)
	data, err := c.sock.Next(-1)
	if err != nil || c.phase != serving {
		return
	}
	c.active = c.loop.now()
	c.reads++
	c.inHand = c.replies.tail + 1
	c.loop.readClock()
	c.settle()
	for c.phase == serving {
		var body []byte
		body, data, err = c.cutter.Cut(data)
		if err != nil {
			c.refuse(0, badFrame)
			c.enter(ending)
			break
		}
		if body == nil {
			break
		}
		c.greeted, c.partial = true, 0
		c.inHand = c.replies.tail + 1
		c.take(body)
	}
	c.inHand = 0
	if c.cutter.Partial() && c.partial == 0 {
		c.partial = c.active
	}
	c.handOver()
	c.flush()
	c.makeRoom()
}

// take handles one request.
func (c *conn) take(body []byte) {
	l := c.loop
	r := &l.request
	if fault := l.decoder.Decode(body, r); fault != nil {
		c.refuse(r.Service, outcome{state: fault.State, msg: fault.Msg})
		return
	}
	if o, ok := c.admit(r, len(body)); !ok {
		c.refuse(r.Service, o)
		return
	}
	place, reply := c.replies.push()
	reply.service, reply.bytes = r.Service, len(body)
	c.inFlightBytes += len(body)
	c.route(place, body, r)
	c.countBad(c.replies.at(place).state) // 0 where it is under way
}

// admit checks the load and the state of the server.
func (c *conn) admit(r *codec.Request, bytes int) (outcome, bool) {
	s := c.loop.server
	reads := r.Service == codec.GetChat || r.Service == codec.Receive || r.Service == codec.FindChats
	writes := r.Service == codec.Send || r.Service == codec.Register ||
		r.Service == codec.Join || r.Service == codec.Create
	switch {
	case c.replies.len() >= s.config.InFlight,
		c.inFlightBytes+bytes > s.config.InFlightBytes && c.inFlightBytes > 0,
		reads && c.budget.Spent(),
		c.greedy(),
		c.loop.busy(r):
		return busy, false
	case s.draining.Load():
		return drainingNow, false
	case writes && s.diskFull.Load():
		return diskIsFull, false
	}
	return outcome{}, true
}

// busy reports whether the actor that the request goes to first has no room.
func (l *loop) busy(r *codec.Request) bool {
	switch r.Service {
	case codec.Register, codec.Create:
		return l.server.store.Busy(l.server.store.Accounts())
	case codec.Send, codec.Join, codec.GetChat, codec.Receive:
		return l.server.store.Busy(l.server.store.ShardOf(r.Chat))
	}
	return false
}

// A connection may be owed as many refusals as would fill what it may leave
// unread, and hold as many places as it may have requests in flight, twice; where
// those limits are set very low, so many of each.
const (
	minReplyBytes = 64 // less than any reply's frame
	minRefusals   = 1024
)

// refuse answers, in its turn, a request that goes no further. Equal refusals in
// a row share a place, so that a flood of them costs no memory while it waits.
// A peer that is owed more of them than it may be is given up.
func (c *conn) refuse(service codec.Service, o outcome) {
	c.countBad(o.state)
	if c.owedTooMuch() {
		c.flush()
	}
	if c.owedTooMuch() {
		c.enter(doomed)
		return
	}
	c.refusals++
	if last := c.replies.last(); last != nil && last.run > 0 && last.state == o.state && last.msg == o.msg {
		last.run++
		return
	}
	_, r := c.replies.push()
	r.service, r.outcome, r.finished, r.run = service, o, true, 1
}

func (c *conn) owedTooMuch() bool {
	config := &c.loop.server.config
	return c.refusals >= max(minRefusals, config.UnreadBytes/minReplyBytes) ||
		c.replies.len() >= max(minRefusals, 2*config.InFlight)
}

// countBad ends the connection of a peer that sends nothing but nonsense. Called
// in the order of the requests.
func (c *conn) countBad(state codec.State) {
	if state != codec.StateBadRequest {
		c.bad = 0
		return
	}
	if c.bad++; c.bad >= c.loop.server.config.BadRequests {
		c.enter(ending)
	}
}

// finishReply puts an outcome to its place; flush writes it in its turn.
func (c *conn) finishReply(place uint64, o outcome) {
	r := c.replies.at(place)
	r.outcome, r.finished, r.creation = o, true, nil
}

// flush writes all replies whose turn has come, in one write.
func (c *conn) flush() {
	if c.phase >= doomed {
		return
	}
	defer c.survive(nil) // whose place the next words would take is not known then
	out, built := c.loop.out[:0], 0
	for !c.replies.empty() {
		r := c.replies.at(c.replies.head)
		if !r.finished {
			break
		}
		out = r.append(out)
		built += len(r.body)
		c.inFlightBytes -= r.bytes
		c.refusals -= r.run
		c.replies.pop()
	}
	c.budget.Charge(len(out) - built) // the readers have charged the rest
	c.write(out)
	if cap(out) > maxKeptBytes {
		out = nil
	}
	c.loop.out = out
	c.weigh()
	c.sayGoodbye()
}

func (c *conn) write(out []byte) {
	if len(out) == 0 {
		return
	}
	if _, err := c.sock.Write(out); err != nil || c.phase == closed {
		return // gnet has closed the connection
	}
	c.outbound += len(out)
	c.settle()
	limit := int64(c.loop.server.config.UnreadBytes)
	if c.budget.Used() > limit+limit/unreadGrace {
		c.enter(doomed)
	}
}

// settle takes off the budget what the kernel has taken since the last look.
func (c *conn) settle() {
	held := c.sock.OutboundBuffered()
	c.budget.Refund(c.outbound - held)
	c.outbound = held
}

// sayGoodbye sends FIN behind the last reply of a connection that ends.
func (c *conn) sayGoodbye() {
	if c.phase != ending || !c.replies.empty() || c.sock.OutboundBuffered() > 0 {
		return
	}
	c.enter(lingering)
	if err := unix.Shutdown(c.sock.Fd(), unix.SHUT_WR); err != nil {
		c.enter(doomed)
	}
}

// sweep looks after the connection's timers and gives memory back.
func (c *conn) sweep(now time.Duration) {
	defer c.survive(nil)
	c.settle()
	c.weigh()
	c.sayGoodbye()
	if c.late(now) {
		c.enter(doomed)
	}
	if now-c.active >= tickInterval {
		c.replies.shrink()
	}
}

// late reports whether one of the connection's timers has run out.
func (c *conn) late(now time.Duration) bool {
	config := &c.loop.server.config
	switch c.phase {
	case lingering:
		return now-c.since >= lingerTimeout
	case ending:
		return now-c.since >= closeTimeout && c.replies.empty()
	}
	idle := c.replies.empty() && c.outbound == 0
	return !c.greeted && now-c.opened >= config.FirstFrame ||
		c.partial > 0 && now-c.partial >= config.PartialFrame ||
		idle && config.IdleTimeout > 0 && now-max(c.opened, c.active) >= config.IdleTimeout
}

// survive keeps a panic in what is done for one connection from the others: it
// closes that connection, and first has it say what it still may.
func (c *conn) survive(say func()) {
	cause := recover()
	if cause == nil {
		return
	}
	c.loop.panicked(cause)
	defer func() {
		if again := recover(); again != nil {
			c.loop.panicked(again)
		}
	}()
	c.loop.dropHand()
	if c.phase < doomed && say != nil {
		say()
	}
	c.enter(doomed)
}

// lastWords writes the finished replies and then 500, if the next in turn is the
// request that panicked; of any other one, which may be carried out still,
// nothing can be said.
func (c *conn) lastWords() {
	var out []byte
	for ; !c.replies.empty() && c.replies.at(c.replies.head).finished; c.replies.pop() {
		out = c.replies.at(c.replies.head).append(out)
	}
	if c.replies.head+1 == c.inHand {
		out = codec.AppendError(out, internal.state, internal.msg)
	}
	if _, err := c.sock.Write(out); err != nil {
		c.loop.server.config.Logger.Debug("last words", "error", err)
	}
}
