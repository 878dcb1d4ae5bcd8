package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/check"
	"throng/bench/target"
)

// flight is one request in flight. Times are nanoseconds on the run's clock.
type flight struct {
	due, sent int64
	index     int64       // reads: as asked
	entry     *check.Send // Send: in the ledger; nil: it has none
	chat      uint32
	count     uint16 // reads: at most maxCount
	kind      target.Kind
}

// session is one connection's place in a run: the requests in flight on it, those
// that are due and wait, and what it has seen. Where the connection is lost, the
// session dials again.
type session struct {
	crew *crew
	rec  *recorder
	how  target.Dial

	// For who must end a connection whose Submit does not return, and holds mu.
	link       atomic.Pointer[target.Conn] // the last that was dialled
	submitting atomic.Int64                // since when Submit has been running; 0: it is not
	timedOut   atomic.Bool                 // the connection is being given up

	mu        sync.Mutex // guards what follows
	conn      target.Conn
	dialling  bool // Dial has not returned
	stillborn bool // the connection that Dial will return has ended already
	choice    choice
	flights   ring[flight]
	backlog   ring[int64] // open loop: when the waiting requests were due
	unsent    int64       // measured requests that were due and never sent
	late      []int64     // of the batch being sent
	ledger    ledger
	sampled   uint32   // the bits of the sample that the ledger has been cut down to
	batch     *scratch // while fill is at it
	sentTo    int      // bytes of texts sent, not yet noted in the recorder
	freed     int64    // open loop: since when the window has had room
	asked     bool     // something, ever
	pause     int64    // closed loop: nothing is sent until then, since the server is over a limit of load
	faults    faults   // what no server may answer, as far as one page tells
}

// scratch is where a batch is made. Sessions share a few, so that thousands of them
// need no memory for it and those at work find it in the processor's cache.
type scratch struct {
	ops   []target.Op
	texts []byte // theirs
}

// fill sends as much as is due and the window has room for. Its caller holds mu.
func (s *session) fill() {
	if s.conn == nil {
		return
	}
	scratch := s.crew.scratch.Get().(*scratch)
	defer s.crew.scratch.Put(scratch)
	s.batch = scratch
	scratch.ops, scratch.texts = scratch.ops[:0], scratch.texts[:0]
	now := s.crew.now()
	if s.crew.open() {
		s.takeDue(now)
	} else {
		s.takeBudget(now)
	}
	if len(scratch.ops) == 0 {
		return
	}
	s.submitting.Store(now)
	err := s.conn.Submit(scratch.ops)
	s.submitting.Store(0)
	if err != nil {
		s.conn = nil // Lost follows
	}
}

// takeDue makes requests of those that are due.
func (s *session) takeDue(now int64) {
	if s.crew.ending.Load() {
		return
	}
	s.late = s.late[:0]
	measuredFrom := s.crew.measuredFrom.Load()
	for s.backlog.len() > 0 && s.flights.len() < s.crew.pipeline {
		due := s.backlog.pop()
		if due >= measuredFrom {
			s.late = append(s.late, now-max(due, s.freed))
		}
		s.ask(due, now, -1)
	}
	s.crew.lag.record(s.late)
}

// enqueue makes requests due, at times not after now.
func (s *session) enqueue(due []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range due {
		if s.backlog.len() == maxBacklog {
			s.neverSent(at)
			continue
		}
		s.backlog.push(at)
	}
	s.fill()
}

// neverSent counts a request that was due, and is over. Its caller holds mu.
func (s *session) neverSent(due int64) {
	if due >= s.crew.measuredFrom.Load() {
		s.unsent++
		s.crew.answers.count(1)
	}
}

// dropBacklog gives up what was due and is not sent.
func (s *session) dropBacklog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.backlog.len() > 0 {
		s.neverSent(s.backlog.pop())
	}
}

// takeBudget makes requests, due now, as far as the run wants more.
func (s *session) takeBudget(now int64) {
	if now < s.pause || s.crew.once && s.asked {
		return
	}
	s.asked = true
	first, n := s.crew.budget.take(int64(s.crew.pipeline - s.flights.len()))
	for i := range n {
		s.ask(now, now, first+i)
	}
}

// ask makes the next request and notes it as in flight. It is the place-th of the
// run where that counts (when chats are filled in turn), else -1.
func (s *session) ask(due, now, place int64) {
	b := s.batch
	b.ops = append(b.ops, target.Op{})
	op := &b.ops[len(b.ops)-1]
	if s.crew.filling {
		b.texts = s.choice.askFill(op, b.texts, place)
	} else {
		b.texts = s.choice.ask(op, b.texts)
	}
	var entry *check.Send
	if op.Kind == target.Send {
		s.sentTo += len(op.Text)
		if chat := uint32(op.Chat); s.admits(chat) {
			entry = s.ledger.send(check.Send{Began: now, Chat: chat, Hash: target.Hash(op.Text)})
		}
	}
	f := s.flights.extend() // field by field: a whole one would be made elsewhere and copied
	f.due, f.sent, f.kind, f.chat = due, now, op.Kind, uint32(op.Chat)
	f.index, f.count, f.entry = op.Index, uint16(op.Count), entry
}

// Replies implements target.Sink.
func (s *session) Replies(replies []target.Reply) {
	now := s.crew.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := s.account(replies, now)
	if busy && !s.crew.open() {
		s.pause = now + int64(busyPause)
		time.AfterFunc(busyPause, s.refill)
	}
	s.fill()
}

// busyPause is how long a closed loop waits after an answer of 429: a client that
// asks again at once measures nothing but refusals.
const busyPause = 10 * time.Millisecond

// refill sends what is due, from outside.
func (s *session) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fill()
}

// account notes a batch of answers, and reports whether the server is over a limit.
func (s *session) account(replies []target.Reply, now int64) (busy bool) {
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	if s.flights.len() == s.crew.pipeline {
		s.freed = now
	}
	measuredFrom, measured := s.crew.measuredFrom.Load(), 0
	var group alike
	for i := range replies {
		r, f := &replies[i], s.flights.first()
		if !group.has(f) {
			group.record(now)
			group = alike{s.rec.live.of(f, measuredFrom).of(f.kind, s.crew.open()), f.kind, f.due, f.sent, 0}
		}
		if f.due >= measuredFrom {
			measured++
		}
		group.tally.in += int64(r.Bytes)
		if r.Status == target.OK {
			group.n++
		} else {
			group.tally.errors[r.Error]++
			busy = busy || r.Error == busyError
		}
		switch f.kind {
		case target.Send:
			group.tally.out += int64(s.sentTo)
			s.sentTo = 0
			noteSend(f, r, now)
		case target.Read, target.Receive:
			group.tally.shown += int64(len(r.Page))
			s.noteRead(f, r, now)
		default:
		}
		s.flights.drop()
	}
	group.record(now)
	s.crew.answers.count(measured)
	return busy
}

// busyError is what a target calls an answer that the server is over a limit of load.
const busyError = "429"

func noteSend(f *flight, r *target.Reply, now int64) {
	send := f.entry
	if send == nil {
		return
	}
	send.Ended = now
	switch r.Status {
	case target.OK:
		send.Outcome, send.Index = check.Acked, r.Index
	case target.Refused:
		send.Outcome = check.Refused
	default:
	}
}

// noteRead holds a page against its request, and keeps what needs the history.
func (s *session) noteRead(f *flight, r *target.Reply, now int64) {
	if !s.how.Pages || r.Status != target.OK {
		return
	}
	page := check.Page{
		Forward: f.kind == target.Receive, Index: f.index, Count: int(f.count), Cut: r.Cut, Dense: s.crew.info.Dense,
	}
	read, fault := page.Read(r.Page)
	if fault != "" {
		s.faults.note(fmt.Sprintf("chat %d, %s of %d from index %d at %v: %s",
			f.chat, f.kind, f.count, f.index, time.Duration(f.sent), fault))
		return
	}
	if s.admits(f.chat) {
		read.Chat, read.Began, read.Ended = f.chat, f.sent, now
		s.ledger.read(read)
	}
}

// Lost implements target.Sink. Nobody knows what became of the requests in flight.
func (s *session) Lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dialling {
		s.stillborn = true
		return
	}
	defer s.crew.alive.Done()
	s.crew.downSince.Store(s.crew.now()) // before up is seen to be 0
	s.crew.up.Add(-1)
	s.conn = nil
	what := "lost"
	if s.timedOut.Swap(false) {
		what, err = "timeout", fmt.Errorf("no answer for %v", s.crew.config.Timeout)
	}
	measuredFrom, lost := s.crew.measuredFrom.Load(), 0
	s.rec.mu.Lock()
	for s.flights.len() > 0 {
		f := s.flights.pop()
		if f.due >= measuredFrom {
			lost++
		}
		s.rec.live.of(&f, measuredFrom).of(f.kind, s.crew.open()).errors[what]++
	}
	s.rec.mu.Unlock()
	s.crew.answers.count(lost)
	s.crew.lost(s, err)
}

// giveUp ends the connection where an answer, or the end of a Submit, is owed since
// before a moment. It waits for nobody: who holds mu is at work, or does not return
// from Submit.
func (s *session) giveUp(before int64) {
	link := s.link.Load()
	if since := s.submitting.Load(); since > 0 {
		if since < before {
			s.timedOut.Store(true)
			_ = (*link).Close()
		}
		return
	}
	if !s.mu.TryLock() {
		return
	}
	conn := s.conn
	if conn == nil || s.flights.len() == 0 || s.flights.first().sent >= before {
		s.mu.Unlock()
		return
	}
	s.conn = nil
	s.timedOut.Store(true)
	s.mu.Unlock()
	_ = conn.Close() // its end is told by Lost
}

// idle reports whether no answer is owed; while mu is held it does not know.
func (s *session) idle() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	return s.flights.len() == 0
}

// dial gives the session a connection and begins to use it.
func (s *session) dial(ctx context.Context) error {
	s.mu.Lock()
	s.dialling, s.stillborn = true, false
	s.mu.Unlock()
	conn, err := s.crew.config.Target.Dial(ctx, s.how, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialling = false
	if err != nil {
		return err
	}
	if s.stillborn {
		_ = conn.Close()
		return errors.New("the connection was closed at once")
	}
	s.crew.alive.Add(1)
	s.crew.up.Add(1)
	s.conn = conn
	s.link.Store(&conn)
	s.freed = s.crew.now() // until then nothing could be sent
	s.fill()
	return nil
}

// close ends the connection, also where mu is held by a Submit that does not return.
func (s *session) close() {
	if link := s.link.Load(); link != nil {
		_ = (*link).Close() // its end is told by Lost
	}
	s.mu.Lock()
	s.conn = nil
	s.mu.Unlock()
}
