package hostile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"throng/bench/check"
	"throng/bench/target"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The shape of the honest load.
const (
	window     = 32       // requests in flight of a session, at most
	readCount  = 8        // messages of a read
	smallText  = 200      // bytes of most texts, at most
	largeText  = 16 << 10 // bytes of the others
	largeOneIn = 16
	readOneIn  = 6
)

// padding is what texts are filled up with: it needs more than one byte a
// character, and escapes.
var padding = strings.Repeat("水\"\\\n and plain words, ", largeText/20)

// session sends and reads on one connection at a time, pipeline after pipeline.
// What it sent and has no answer to it sends again, under the same ref, before
// anything else. It belongs to the goroutine of run, and to the test's between two runs.
type session struct {
	crowd  *crowd
	user   wire.User
	chats  []uint32 // that it uses
	rng    *rand.Rand
	serial int

	ledger   check.Ledger
	sent     []sending     // by their place in ledger.Sends
	owed     []int         // of them, those without an answer that counts, in their order
	batch    []asked       // the pipeline under way
	patience time.Duration // for a pipeline's answers

	steps    atomic.Int64 // pipelines that were answered
	answers  int          // single answers
	lost     int          // connections that ended, or were given up
	repeated int          // sends that were sent again
	refused  int          // answers of 429
}

// sending is what a send is sent again with.
type sending struct{ text, ref codec.Text }

// asked is one request of a pipeline.
type asked struct {
	send  int // its place in ledger.Sends, or -1: a read
	chat  uint32
	page  check.Page // of a read
	began int64
}

func newSession(w *crowd, i int) *session {
	s := &session{crowd: w, user: w.users[i], rng: rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))}
	for chat := range shared {
		s.chats = append(s.chats, uint32(chat))
	}
	s.chats = append(s.chats, uint32(shared+i))
	return s
}

// run works until the crowd says stop and everything has its answer.
func (s *session) run() {
	s.patience = s.crowd.patience
	for s.wanted() {
		c, err := wire.Dial(s.crowd.addr)
		if err != nil {
			s.lost++
			time.Sleep(redialPause)
			continue
		}
		s.use(c)
		_ = c.Close()
	}
}

// redialPause is how long a session waits where nobody listens.
const redialPause = 10 * time.Millisecond

func (s *session) wanted() bool {
	return !s.crowd.abandoned.Load() && (!s.crowd.stop.Load() || len(s.owed) > 0)
}

// use works on a connection until it ends. Where it brought no answer, the next one
// is given twice the time: a slow network must not be mistaken for a dead one
// for ever.
func (s *session) use(c *wire.Conn) {
	before := s.answers
	for s.wanted() {
		err := s.step(c)
		s.owed = s.stillOwed()
		if err != nil {
			s.lost++
			s.repeated += len(s.owed)
			break
		}
		s.steps.Add(1)
		time.Sleep(s.crowd.pause)
	}
	if s.answers > before {
		s.patience = s.crowd.patience
	} else {
		s.patience = min(2*s.patience, wire.HangGuard)
	}
}

// step sends one pipeline and enters what comes back.
func (s *session) step(c *wire.Conn) error {
	out := s.draw(1 + s.rng.IntN(window))
	if err := c.SetDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	_, wrote := c.Write(out) // what broke may have been read all the same, so the answers are waited for even then
	own := map[uint32]int64{}
	for i := range s.batch {
		a, err := c.Next()
		if err != nil {
			return err
		}
		s.answers++
		s.enter(&s.batch[i], a, own)
	}
	return wrote
}

// stillOwed is what of the owed has no answer that counts.
func (s *session) stillOwed() []int {
	rest := s.owed[:0]
	for _, i := range s.owed {
		if s.ledger.Sends[i].Outcome == check.Unknown {
			rest = append(rest, i)
		}
	}
	return rest
}

// draw makes a pipeline: what is owed and, while the crowd works, new requests up
// to n.
func (s *session) draw(n int) (out []byte) {
	s.batch = s.batch[:0]
	for _, i := range s.owed {
		s.batch = append(s.batch, asked{send: i, chat: s.ledger.Sends[i].Chat})
	}
	for range n - len(s.batch) {
		if s.crowd.stop.Load() {
			break
		}
		chat := s.chats[s.rng.IntN(len(s.chats))]
		if s.rng.IntN(readOneIn) == 0 || len(s.batch) == 0 {
			s.batch = append(s.batch, freshRead(chat))
		} else if s.crowd.admit(chat) {
			s.batch = append(s.batch, s.freshSend(chat))
		}
	}
	for i := range s.batch {
		out = append(out, s.request(&s.batch[i])...)
	}
	return out
}

func freshRead(chat uint32) asked {
	return asked{send: -1, chat: chat, began: now(), page: check.Page{Index: -1, Count: readCount, Dense: true}}
}

// freshSend makes a new send, which is owed from now on.
func (s *session) freshSend(chat uint32) asked {
	s.serial++
	t, place := s.text(), len(s.ledger.Sends)
	s.sent = append(s.sent, sending{t, fmt.Appendf(nil, "%d", s.serial)})
	s.owed = append(s.owed, place)
	s.ledger.Sends = append(s.ledger.Sends, check.Send{Began: now(), Chat: chat, Hash: target.Hash(t)})
	return asked{send: place, chat: chat}
}

// text makes a text that the world has not seen.
func (s *session) text() codec.Text {
	size := s.rng.IntN(smallText)
	if s.rng.IntN(largeOneIn) == 0 {
		size = s.rng.IntN(largeText)
	}
	return text(fmt.Sprintf("%v/%d %s", s.user.ID, s.serial, strings.ToValidUTF8(padding[:size], "")))
}

func (s *session) request(q *asked) []byte {
	token, chat := s.user.Token, s.crowd.chats[q.chat]
	if q.send < 0 {
		return codec.AppendReadRequest(nil, codec.GetChat, token, chat, q.page.Index, q.page.Count)
	}
	return codec.AppendSendRequest(nil, token, chat, s.sent[q.send].text, s.sent[q.send].ref)
}

// enter enters an answer. own is the newest index of the pipeline's own sends, by
// chat: a read behind a send shows it.
func (s *session) enter(q *asked, a *codec.Answer, own map[uint32]int64) {
	switch {
	case a.State == codec.StateBusy:
		s.refused++ // nothing was done: a send stays owed
	case q.send < 0 && a.Paged:
		s.enterRead(q, a, own[q.chat])
	case q.send >= 0 && wire.Done(a) && a.Index > 0:
		m := &s.ledger.Sends[q.send]
		m.Outcome, m.Index, m.Ended = check.Acked, a.Index, now()
		own[q.chat] = max(own[q.chat], a.Index)
	default:
		s.crowd.fault("an answer that nothing calls for: %s", wire.Describe(a))
	}
}

func (s *session) enterRead(q *asked, a *codec.Answer, own int64) {
	shown, err := a.Messages(nil)
	if err != nil {
		s.crowd.fault("a page: %v", err)
		return
	}
	page := make([]target.Message, len(shown))
	for i, m := range shown {
		page[i] = target.Message{Index: m.Index, Hash: target.Hash(m.Text)}
	}
	read, fault := q.page.Read(page)
	if fault != "" {
		s.crowd.fault("a page: %s", fault)
		return
	}
	if read.High < own {
		s.crowd.fault("a read shows indexes up to %d, behind a send on its connection that got %d", read.High, own)
	}
	read.Began, read.Ended, read.Chat = q.began, now(), q.chat
	s.ledger.Reads = append(s.ledger.Reads, read)
}

// repeatAll sends everything again over a connection. All of it must get the
// index that it has: a ref is known among the chat's last 1,000 messages.
func (s *session) repeatAll(c *wire.Conn) error {
	requests := make([][]byte, 0, len(s.sent))
	for i := range s.sent {
		requests = append(requests, s.request(&asked{send: i, chat: s.ledger.Sends[i].Chat}))
	}
	return c.Succeed(requests, func(i int, a *codec.Answer) {
		if m := s.ledger.Sends[i]; a.Index != m.Index {
			s.crowd.fault("a repeat gets index %d; it was acknowledged with %d", a.Index, m.Index)
		}
	})
}

// forget begins a new round.
func (s *session) forget() {
	s.ledger, s.sent, s.owed = check.Ledger{}, nil, s.owed[:0]
	s.lost, s.repeated, s.refused = 0, 0, 0
}

// text is the text of a string.
func text(s string) codec.Text {
	t, err := codec.NewText(s)
	if err != nil {
		panic(err)
	}
	return t
}
