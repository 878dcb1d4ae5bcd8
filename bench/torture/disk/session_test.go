package disk_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/check"
	"throng/bench/target"
	"throng/codec"
)

// The shape of a session's load.
const (
	window    = 64 // operations in flight
	readOneIn = 16
	readCount = 10
	mostText  = 48 << 10 // bytes
)

// pause is how long a session waits that is refused: it must not keep the machine
// busy with refusals.
const pause = time.Millisecond

var (
	epoch   = time.Now()
	padding = noise(2 * mostText)
	serial  atomic.Int64 // makes each text another one
)

// noise is letters that no compression makes much smaller: a disk is filled by what
// tables take.
func noise(n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	rng := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[rng.IntN(len(letters))]
	}
	return string(text)
}

// now is nanoseconds on the judge's clock.
func now() int64 { return int64(time.Since(epoch)) }

// counts are what sessions have seen so far; tests wait for them to rise.
type counts struct {
	gone                    atomic.Bool // the files are away: a read may fail
	acked, read, full, busy atomic.Int64
}

// session sends and reads on one connection and enters what it sees. But for
// ended and stop, it belongs to the connection's calls, and to the test once it has ended.
type session struct {
	user   int
	counts *counts
	conn   target.Conn
	ended  chan struct{}
	stop   atomic.Bool // once true, it asks nothing more and ends when all is answered

	mu     sync.Mutex // the first asking may overlap with its replies
	rng    *rand.Rand
	asked  []asked // not yet answered, the oldest first
	ledger check.Ledger
	faults []string
}

// asked is an operation in flight: a send, or a read where send is -1.
type asked struct {
	send  int // its place in ledger.Sends
	chat  uint32
	began int64
	page  check.Page
}

// begin sets the session to work on its connection.
func (s *session) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ask(window)
}

// ask submits n operations, or ends where there are none to answer any more.
func (s *session) ask(n int) {
	if s.stop.Load() {
		if len(s.asked) == 0 {
			_ = s.conn.Close()
		}
		return
	}
	ops := make([]target.Op, n)
	for i := range ops {
		ops[i] = s.draw()
	}
	_ = s.conn.Submit(ops) // where the connection is gone, Lost says so
}

func (s *session) draw() target.Op {
	q := asked{send: -1, chat: uint32(s.rng.IntN(chats)), began: now()}
	op := target.Op{Kind: target.Read, Chat: int(q.chat), User: s.user, Index: -1, Count: readCount}
	if s.rng.IntN(readOneIn) == 0 {
		q.page = check.Page{Index: -1, Count: readCount, Dense: true}
	} else {
		from := s.rng.IntN(mostText)
		op.Kind, op.Text = target.Send, codec.Text(fmt.Sprintf("%d %s", serial.Add(1), padding[from:from+s.rng.IntN(mostText)]))
		q.send = len(s.ledger.Sends)
		s.ledger.Sends = append(s.ledger.Sends, check.Send{Began: q.began, Chat: q.chat, Hash: target.Hash(op.Text)})
	}
	s.asked = append(s.asked, q)
	return op
}

// Replies enters answers and asks as much anew.
func (s *session) Replies(replies []target.Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := false
	for i := range replies {
		s.enter(&s.asked[i], &replies[i])
		refused = refused || replies[i].Status == target.Refused
	}
	s.asked = append(s.asked[:0], s.asked[len(replies):]...)
	if refused {
		time.Sleep(pause)
	}
	s.ask(len(replies))
}

func (s *session) enter(q *asked, r *target.Reply) {
	switch {
	case r.Status == target.Refused:
		s.refuse(q, r.Error)
	case q.send >= 0:
		m := &s.ledger.Sends[q.send]
		m.Outcome, m.Index, m.Ended = check.Acked, r.Index, now()
		s.counts.acked.Add(1)
	default:
		read, fault := q.page.Read(r.Page)
		if fault != "" {
			s.faults = append(s.faults, "a page: "+fault)
		}
		read.Began, read.Ended, read.Chat = q.began, now(), q.chat
		s.ledger.Reads = append(s.ledger.Reads, read)
		s.counts.read.Add(1)
	}
}

// refuse enters a refusal: only those that the state of the server explains.
func (s *session) refuse(q *asked, why string) {
	switch why {
	case "429":
		s.counts.busy.Add(1)
	case "507":
		s.counts.full.Add(1)
	case "503":
	case "500":
		if !s.counts.gone.Load() { // a read may need a file that is not there any more
			s.faults = append(s.faults, "refused with 500")
		}
	default:
		s.faults = append(s.faults, "refused with "+why)
		return
	}
	if q.send >= 0 {
		m := &s.ledger.Sends[q.send]
		m.Outcome, m.Ended = check.Refused, now()
	} else if why == "507" {
		s.faults = append(s.faults, "a read is refused since the disk is full")
	}
}

// Lost ends the session: what is not answered stays unknown.
func (s *session) Lost(error) { close(s.ended) }
