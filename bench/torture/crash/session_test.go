package crash_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"throng/bench/check"
	"throng/bench/target"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The shape of the load.
const (
	readCount  = 20       // messages of a read
	smallText  = 200      // bytes of most texts, at most
	largeText  = 24 << 10 // bytes of the others
	largeOneIn = 8
	readOneIn  = 8
	refOneIn   = 2 // of the sends, how many carry a ref
)

// padding is what texts are filled up with: it needs more than one byte a
// character, and escapes.
var padding = strings.Repeat("水\"\\\n and plain words, ", largeText/20)

// session sends and reads on one connection at a time, pipeline after pipeline,
// and enters what it sees. It belongs to the goroutine of run, and to the test's
// between two runs.
type session struct {
	world  *world
	user   wire.User
	chats  []uint32 // that it uses
	rng    *rand.Rand
	serial int

	ledger check.Ledger
	batch  []asked // the last pipeline
}

// asked is one request of a pipeline.
type asked struct {
	send  int // its place in ledger.Sends, or -1: a read
	chat  uint32
	page  check.Page // of a read
	began int64
	text  codec.Text
	ref   codec.Text // empty: none
}

func newSession(w *world, i int) *session {
	s := &session{world: w, user: w.users[i], rng: rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))}
	for chat := range shared {
		s.chats = append(s.chats, uint32(chat))
	}
	s.chats = append(s.chats, uint32(shared+i))
	return s
}

// run works on a connection until it ends, or until the world says stop.
func (s *session) run(addr string) {
	c, err := wire.Dial(addr)
	if err != nil {
		return // the server has ended already
	}
	defer c.Close()
	for err == nil && !s.world.stop.Load() {
		err = s.step(c)
	}
}

// step sends one pipeline and enters what comes back. What is written to a
// connection that breaks may have been read all the same, so the answers are waited for
// even then.
func (s *session) step(c *wire.Conn) error {
	out := s.draw(1 + s.rng.IntN(wire.Window))
	_, wrote := c.Write(out)
	own := map[uint32]int64{} // the newest index of this pipeline's own sends
	for i := range s.batch {
		a, err := c.Next()
		if err != nil {
			return err
		}
		s.enter(&s.batch[i], a, own)
	}
	return wrote
}

// draw makes a pipeline of n requests.
func (s *session) draw(n int) (out []byte) {
	s.batch = s.batch[:0]
	began := now()
	for range n {
		q := asked{send: -1, chat: s.chats[s.rng.IntN(len(s.chats))], began: began}
		if s.rng.IntN(readOneIn) == 0 {
			q.page = check.Page{Index: -1, Count: readCount, Dense: true}
		} else {
			q.send, q.text = len(s.ledger.Sends), s.text()
			if s.rng.IntN(refOneIn) == 0 {
				q.ref = fmt.Appendf(nil, "%d", s.serial)
			}
			s.ledger.Sends = append(s.ledger.Sends, check.Send{Began: began, Chat: q.chat, Hash: target.Hash(q.text)})
		}
		s.batch = append(s.batch, q)
		out = append(out, s.request(&q)...)
	}
	return out
}

// text makes a text that the world has not seen.
func (s *session) text() codec.Text {
	s.serial++
	size := s.rng.IntN(smallText)
	if s.rng.IntN(largeOneIn) == 0 {
		size = s.rng.IntN(largeText)
	}
	text, err := codec.NewText(fmt.Sprintf("%v/%d %s", s.user.ID, s.serial, strings.ToValidUTF8(padding[:size], "")))
	if err != nil {
		panic(err)
	}
	return text
}

func (s *session) request(q *asked) []byte {
	token, chat := s.user.Token, s.world.chats[q.chat]
	if q.send < 0 {
		return codec.AppendReadRequest(nil, codec.GetChat, token, chat, q.page.Index, q.page.Count)
	}
	return codec.AppendSendRequest(nil, token, chat, q.text, q.ref)
}

// enter enters an answer. own is the newest index of the pipeline's own sends, by
// chat: a read behind a send shows it.
func (s *session) enter(q *asked, a *codec.Answer, own map[uint32]int64) {
	switch {
	case q.send < 0 && a.Paged:
		s.enterRead(q, a, own[q.chat])
	case wire.Refused(a):
		if q.send >= 0 {
			m := &s.ledger.Sends[q.send]
			m.Outcome, m.Ended = check.Refused, now()
		}
	case q.send >= 0 && wire.Done(a) && a.Index > 0:
		m := &s.ledger.Sends[q.send]
		m.Outcome, m.Index, m.Ended = check.Acked, a.Index, now()
		own[q.chat] = a.Index
	default:
		s.world.t.Errorf("an answer that nothing calls for: %s", wire.Describe(a))
	}
}

func (s *session) enterRead(q *asked, a *codec.Answer, own int64) {
	shown, err := a.Messages(nil)
	if err != nil {
		s.world.t.Errorf("a page: %v", err)
		return
	}
	page := make([]target.Message, len(shown))
	for i, m := range shown {
		page[i] = target.Message{Index: m.Index, Hash: target.Hash(m.Text)}
	}
	read, fault := q.page.Read(page)
	if fault != "" {
		s.world.t.Errorf("a page: %s", fault)
	}
	if read.High < own {
		s.world.t.Errorf("a read shows indexes up to %d, behind a send on its connection that got %d", read.High, own)
	}
	read.Began, read.Ended, read.Chat = q.began, now(), q.chat
	s.ledger.Reads = append(s.ledger.Reads, read)
}

// refsKept is how far behind the newest acknowledged message a repeat is sure to
// be known by its ref: the server looks at the last 1,000, and all sessions
// together may have a pipeline behind the newest, and repeat as much.
const refsKept = 1000 - 1 - sessions*wire.Window

// settle repeats, on a server that has just opened, what of the last pipeline has
// a ref. What had an answer must have it again; of what had none, half: the other
// half is left to be found, or not.
func (s *session) settle(c *wire.Conn, newest [chats]int64) {
	var requests [][]byte
	var repeated []*asked
	for i := range s.batch {
		q := &s.batch[i]
		if len(q.ref) > 0 && s.repeatable(&s.ledger.Sends[q.send], newest) {
			requests, repeated = append(requests, s.request(q)), append(repeated, q)
		}
	}
	s.batch = s.batch[:0]
	ask(s.world.t, c, requests, func(i int, a *codec.Answer) {
		s.repeat(&s.ledger.Sends[repeated[i].send], a)
	})
}

func (s *session) repeatable(m *check.Send, newest [chats]int64) bool {
	switch m.Outcome {
	case check.Acked:
		return m.Index > newest[m.Chat]-refsKept
	case check.Unknown:
		return s.rng.IntN(2) == 0
	default:
		return false
	}
}

// repeat enters the answer to a repeat.
func (s *session) repeat(m *check.Send, a *codec.Answer) {
	switch {
	case !wire.Done(a):
		s.world.t.Errorf("a repeat: %s", wire.Describe(a))
	case m.Outcome == check.Acked && m.Index != a.Index:
		s.world.t.Errorf("a repeat gets index %d; it was acknowledged with %d", a.Index, m.Index)
	default:
		m.Outcome, m.Index = check.Acked, a.Index
		m.Ended = max(m.Ended, now())
	}
}

// forget begins a new round.
func (s *session) forget() { s.ledger, s.batch = check.Ledger{}, s.batch[:0] }
