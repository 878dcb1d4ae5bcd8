package fake

import (
	"time"

	"throng/codec"
)

// Fault is something that the server does wrong. Where it strikes "every n-th" of
// something, that is counted over all connections; other faults do not stop the
// count.
//
// But for Delay and Stall they strike sends and backward reads (service 3) only: a
// run is prepared, and read back with service 9, as by a right server.
type Fault func(*plan)

// plan is the faults of a server.
type plan struct {
	delay      time.Duration
	stall      time.Duration
	stallAfter int
	every      [strikes]int // 0: never
}

// strike is a kind of fault that strikes every n-th request of some kind.
type strike uint8

const (
	drop strike = iota
	duplicate
	reorder
	wrongText
	reuseIndex
	gap
	phantom

	staleRead
	vanish

	swapReplies
	refuse
	cutBefore
	cutAfter
	garbage

	strikes // their number
)

func every(kind strike, n int) Fault { return func(p *plan) { p.every[kind] = n } }

// Delay writes every answer so much later.
func Delay(d time.Duration) Fault { return func(p *plan) { p.delay = d } }

// Stall holds all answers back for a time, once, when the n-th send or backward read
// has come.
func Stall(n int, d time.Duration) Fault {
	return func(p *plan) { p.stallAfter, p.stall = n, d }
}

// Drop acknowledges every n-th send and does not store it. Its index stays empty.
func Drop(n int) Fault { return every(drop, n) }

// Duplicate stores every n-th message twice, one behind the other.
func Duplicate(n int) Fault { return every(duplicate, n) }

// Reorder swaps, at every n-th send, the two messages that stand before it in its
// chat; it counts only sends to chats that have two.
func Reorder(n int) Fault { return every(reorder, n) }

// WrongText stores every n-th message with another text.
func WrongText(n int) Fault { return every(wrongText, n) }

// ReuseIndex acknowledges every n-th send with the index of the message before it,
// and does not store it; it counts only sends to chats that have one.
func ReuseIndex(n int) Fault { return every(reuseIndex, n) }

// Gap leaves an index out before every n-th message.
func Gap(n int) Fault { return every(gap, n) }

// Phantom stores, behind every n-th message, one that nobody sent.
func Phantom(n int) Fault { return every(phantom, n) }

// StaleReads answers every n-th backward read as of when the chat was half as long;
// it counts only reads of chats that have messages.
func StaleReads(n int) Fault { return every(staleRead, n) }

// Vanish removes, after every n-th backward read that shows something, the newest
// message that it showed. Its index stays empty.
func Vanish(n int) Fault { return every(vanish, n) }

// SwapReplies swaps the answers to every n-th send and to the send before it, where
// both came in one batch on one connection; it counts only those.
func SwapReplies(n int) Fault { return every(swapReplies, n) }

// Refuse answers every n-th send or backward read with 429, and does nothing.
func Refuse(n int) Fault { return every(refuse, n) }

// CutBefore closes the connection at every n-th send or backward read instead of
// carrying it out.
func CutBefore(n int) Fault { return every(cutBefore, n) }

// CutAfter carries every n-th send or backward read out, and closes the connection
// instead of answering.
func CutAfter(n int) Fault { return every(cutAfter, n) }

// Garbage carries every n-th send or backward read out and answers with a frame that
// holds no JSON.
func Garbage(n int) Fault { return every(garbage, n) }

// strikes counts a request that a fault may strike, and reports whether it does. Its
// caller holds mu.
func (s *Server) strikes(kind strike) bool {
	if s.faults.every[kind] == 0 {
		return false
	}
	s.counts[kind]++
	if s.counts[kind]%s.faults.every[kind] != 0 {
		return false
	}
	s.struck++
	return true
}

// handle carries a request out, or lets a fault do what it does. A nil reply: there
// is none. Its caller holds mu.
func (s *Server) handle(req *codec.Request) (reply []byte, end bool) {
	if req.Service != codec.Send && req.Service != codec.GetChat {
		return s.serve(req), false
	}
	s.count()
	switch {
	case s.strikes(refuse):
		return codec.AppendBusy(nil, "a planted refusal", 1), false
	case s.strikes(cutBefore):
		return nil, true
	}
	reply = s.serve(req)
	switch {
	case s.strikes(cutAfter):
		return nil, true
	case s.strikes(garbage):
		return codec.AppendFrame(nil, []byte("garbage")), false
	}
	return reply, false
}

// count counts a request of the load, and begins the stall when it is time.
func (s *Server) count() {
	s.load++
	if s.faults.stall > 0 && s.load == s.faults.stallAfter {
		s.resumes = time.Now().Add(s.faults.stall)
		s.struck++
	}
}
