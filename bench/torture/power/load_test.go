package power_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"throng/bench/check"
	"throng/bench/target"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The shape of the load.
const (
	sessions  = 5
	chats     = 4 // all sessions use all of them
	window    = 64
	readCount = 20
	readOneIn = 8
	refOneIn  = 2
	mostText  = 4 << 10 // bytes
)

var (
	epoch   = time.Now()
	padding = strings.Repeat("plain words, ", mostText/13+1)
)

// now is nanoseconds on the judge's clock.
func now() int64 { return int64(time.Since(epoch)) }

// session sends and reads until its connection ends, and enters what it sees.
type session struct {
	user   wire.User
	chats  []int64
	rng    *rand.Rand
	serial int
	ledger check.Ledger
	fault  error
}

// asked is one request of a pipeline: a send, or a read where send is -1.
type asked struct {
	send  int
	chat  uint32
	began int64
	page  check.Page
}

func (s *session) run(addr string) {
	c, err := wire.Dial(addr)
	if err != nil {
		return // the server has ended
	}
	defer c.Close()
	for err == nil && s.fault == nil {
		err = s.step(c)
	}
}

// step sends a pipeline and enters its answers.
func (s *session) step(c *wire.Conn) error {
	var out []byte
	var batch []asked
	for range 1 + s.rng.IntN(window) {
		q := asked{send: -1, chat: uint32(s.rng.IntN(chats)), began: now()}
		if s.rng.IntN(readOneIn) == 0 {
			q.page = check.Page{Index: -1, Count: readCount, Dense: true}
			out = append(out, codec.AppendReadRequest(nil, codec.GetChat, s.user.Token, s.chats[q.chat], -1, readCount)...)
		} else {
			q.send = len(s.ledger.Sends)
			out = append(out, s.send(q)...)
		}
		batch = append(batch, q)
	}
	_, wrote := c.Write(out)
	for _, q := range batch {
		a, err := c.Next()
		if err != nil {
			return err
		}
		s.enter(q, a)
	}
	return wrote
}

func (s *session) send(q asked) []byte {
	s.serial++
	text := codec.Text(fmt.Sprintf("%v/%d %s", s.user.ID, s.serial, padding[:s.rng.IntN(mostText)]))
	var ref codec.Text
	if s.rng.IntN(refOneIn) == 0 {
		ref = fmt.Appendf(nil, "%d", s.serial)
	}
	s.ledger.Sends = append(s.ledger.Sends, check.Send{Began: q.began, Chat: q.chat, Hash: target.Hash(text)})
	return codec.AppendSendRequest(nil, s.user.Token, s.chats[q.chat], text, ref)
}

func (s *session) enter(q asked, a *codec.Answer) {
	switch {
	case q.send < 0 && a.Paged:
		s.enterRead(q, a)
	case a.State >= 429: // busy, failing, draining, full: nothing was acknowledged
		if q.send >= 0 && a.State != 500 {
			m := &s.ledger.Sends[q.send]
			m.Outcome, m.Ended = check.Refused, now()
		}
	case q.send >= 0 && wire.Done(a) && a.Index > 0:
		m := &s.ledger.Sends[q.send]
		m.Outcome, m.Index, m.Ended = check.Acked, a.Index, now()
	default:
		s.fault = fmt.Errorf("an answer that nothing calls for: %d %s%s", a.State, a.Msg, a.Cause)
	}
}

func (s *session) enterRead(q asked, a *codec.Answer) {
	shown, err := a.Messages(nil)
	if err != nil {
		s.fault = err
		return
	}
	page := make([]target.Message, len(shown))
	for i, m := range shown {
		page[i] = target.Message{Index: m.Index, Hash: target.Hash(m.Text)}
	}
	read, fault := q.page.Read(page)
	if fault != "" {
		s.fault = fmt.Errorf("a page: %s", fault)
	}
	read.Began, read.Ended, read.Chat = q.began, now(), q.chat
	s.ledger.Reads = append(s.ledger.Reads, read)
}

// person is a user that was acknowledged, and its group and membership.
type person struct {
	wire.User
	group, joined int64 // 0: not acknowledged
}

// people registers users, who create a group and join a chat, until its connection
// ends.
func people(addr string, chats []int64) (known []person) {
	c, err := wire.Dial(addr)
	if err != nil {
		return nil
	}
	defer c.Close()
	for {
		p := person{User: wire.NewUser()}
		if a, err := c.Call(p.Registration()); err != nil || !wire.Done(a) {
			return known
		}
		known = append(known, p)
		last := &known[len(known)-1]
		a, err := c.Call(codec.AppendCreateRequest(nil, p.Token, codec.Text("its own"), true, nil))
		if err != nil || !wire.Done(a) {
			return known
		}
		last.group = a.Chat
		chat := chats[rand.IntN(len(chats))]
		if a, err = c.Call(codec.AppendJoinRequest(nil, p.Token, chat)); err != nil || !wire.Done(a) {
			return known
		}
		last.joined = chat
	}
}
