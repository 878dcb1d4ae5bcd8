package engine

import (
	"throng/codec"
	"throng/shards"
)

// outcome is what a reply says.
type outcome struct {
	state  codec.State
	msg    string // of an error; with state 200: why the service's rule said no
	number int64  // Send: index. Create: chat. Register: the issued token. Ping: time
	body   []byte // of a read: the whole frame
}

// The outcomes that say nothing of their request. Messages are the server's own
// words: none quotes a request.
var (
	done         = outcome{state: codec.StateOK}
	wrongLogin   = outcome{state: codec.StateOK, msg: "wrong id or token"}
	taken        = outcome{state: codec.StateOK, msg: "id or token already in use"}
	unregistered = outcome{state: codec.StateOK, msg: "a member is not registered"}
	notAPair     = outcome{state: codec.StateBadRequest, msg: "member must name exactly one other user where is_group is false"}
	unauthorized = outcome{state: codec.StateUnauthorized, msg: "the token belongs to nobody"}
	noChat       = outcome{state: codec.StateNotFound, msg: "no such chat"}
	badFrame     = outcome{state: codec.StateTooLarge, msg: "the frame's length is 0 or over the limit"}
	busy         = outcome{state: codec.StateBusy, msg: "too many requests"}
	internal     = outcome{state: codec.StateInternal, msg: "internal error"}
	drainingNow  = outcome{state: codec.StateDraining, msg: "shutting down"}
	diskIsFull   = outcome{state: codec.StateDiskFull, msg: "the server's disk is nearly full"}
)

// outcomeOf translates a store's answer.
func outcomeOf(a *shards.Answer) outcome {
	switch a.Status {
	case shards.OK:
		return outcome{state: codec.StateOK, number: a.Index, body: a.Body}
	case shards.NoUser:
		return unauthorized
	case shards.NoChat:
		return noChat
	case shards.Taken:
		return taken
	case shards.Unregistered:
		return unregistered
	case shards.Busy:
		return busy
	default: // Failed, Crashed; a Collision that outlived its tries
		return internal
	}
}

// reply is a request's place among its connection's replies.
type reply struct {
	service  codec.Service
	finished bool
	issued   bool      // Register: the server chose the token, and tells it
	run      int       // a refusal: how many equal ones in a row this place stands for
	bytes    int       // of the request, while it counts as in flight
	creation *creation // a Create on its way
	outcome
}

// append appends the reply's frames to dst.
func (r *reply) append(dst []byte) []byte {
	for range max(1, r.run) {
		dst = r.appendOne(dst)
	}
	return dst
}

func (r *reply) appendOne(dst []byte) []byte {
	switch {
	case r.state == codec.StateBusy:
		return codec.AppendBusy(dst, r.msg, retryAfter)
	case r.state != codec.StateOK:
		return codec.AppendError(dst, r.state, r.msg)
	case r.msg != "":
		return codec.AppendFailed(dst, r.msg)
	}
	switch r.service {
	case codec.GetChat, codec.Receive, codec.FindChats:
		return append(dst, r.body...)
	case codec.Send:
		return codec.AppendSent(dst, r.number)
	case codec.Create:
		return codec.AppendCreated(dst, r.number)
	case codec.Ping:
		return codec.AppendPong(dst, r.number)
	case codec.Register:
		if r.issued {
			return codec.AppendIssued(dst, r.number)
		}
	}
	return codec.AppendSuccess(dst)
}

// replies is a connection's queue of open requests, in their order: a ring that
// grows to the limit of requests in flight and is given back when idle.
type replies struct {
	ring       []reply // a power of two long
	head, tail uint64  // places are numbered for the connection's life
}

const minRing = 16

func (q *replies) empty() bool { return q.head == q.tail }

func (q *replies) len() int { return int(q.tail - q.head) }

// at returns the place numbered n, which must be open.
func (q *replies) at(n uint64) *reply { return &q.ring[n&uint64(len(q.ring)-1)] }

// push opens the next place and returns its number. The pointer is good until
// the next push.
func (q *replies) push() (uint64, *reply) {
	if q.len() == len(q.ring) {
		q.grow()
	}
	n := q.tail
	q.tail++
	r := q.at(n)
	*r = reply{}
	return n, r
}

func (q *replies) grow() {
	bigger := replies{ring: make([]reply, max(minRing, 2*len(q.ring))), head: q.head, tail: q.tail}
	for n := q.head; n < q.tail; n++ {
		*bigger.at(n) = *q.at(n)
	}
	*q = bigger
}

// last returns the newest place, nil where none is open.
func (q *replies) last() *reply {
	if q.empty() {
		return nil
	}
	return q.at(q.tail - 1)
}

// pop closes the oldest place, which keeps nothing alive.
func (q *replies) pop() {
	*q.at(q.head) = reply{}
	q.head++
}

// shrink gives the ring's memory back, if nothing is open.
func (q *replies) shrink() {
	if q.empty() {
		q.ring = nil
	}
}
