package shards

import (
	"sync/atomic"

	"github.com/google/uuid"

	"throng/codec"
)

// Kind says what an operation does.
type Kind uint8

// The operations. Lookup, Register and Resolve are the accounts'; the others
// belong to the shard of their chat, but for FindChats, which every shard gets.
const (
	Lookup    Kind = iota + 1 // Token → User, Name; NoUser
	Register                  // User, Token, Name, Issue → Index (the token); Taken
	Resolve                   // Members' ids → their names; Unregistered
	Send                      // Chat, User, Text, Ref, Time → Index; NoChat
	Join                      // Chat, User, Name; NoChat
	Create                    // Chat, Group, Name, Members; Collision
	GetChat                   // Chat, User, Index, Count → Body, newest first; NoChat
	Receive                   // the same, oldest first, with names
	FindChats                 // Find → Body, or Elsewhere
)

// Op is one operation. The fields that its Kind reads are set by the caller;
// Text, Ref and Name need to live only until the answer.
type Op struct {
	Kind    Kind
	Group   bool      // Create
	Issue   bool      // Register: Token is the server's proposal, others will do
	User    uuid.UUID // who asks
	Chat    int64
	Index   int64 // as the client gave it: any value
	Count   int
	Token   int64
	Time    int64 // Unix milliseconds, the server's clock
	Text    codec.Text
	Ref     codec.Text // empty: none
	Name    codec.Text // Register: empty, the id stands for it. Join: the user's. Create: the chat's
	Members []Member   // Create: all of them, no duplicates. Resolve: the names are filled in
	Find    *Find

	Tag    uint64 // the caller's own
	Answer Answer

	from, to int64 // a read's window, of durable messages; set by apply
}

// Member is a user as a chat knows it.
type Member struct {
	ID   uuid.UUID
	Name codec.Text // empty: the id stands for it
}

// Status is how an operation ended.
type Status uint8

// The statuses. All but OK and Elsewhere mean that nothing was done.
const (
	Unanswered   Status = iota
	OK                  // done, and durable
	NoUser              // the token belongs to nobody
	NoChat              // no such chat, or not for this user
	Taken               // the id or the token is in use
	Unregistered        // a member is not registered
	Collision           // the chat id belongs to another chat: draw again
	Busy                // over a limit of load
	Failed              // the store could not be read; logged
	Crashed             // the operation panicked; logged
	Elsewhere           // the answer comes with another shard's batch
)

// Answer is an operation's outcome.
type Answer struct {
	Status Status
	Index  int64  // Send: the message's index. Create: the chat's id. Register: the token
	Body   []byte // reads: the whole reply, framed, to be read only; in memory of its Batch, or shared
}

// Batch is the operations that one caller hands over to one actor at once. The
// batch belongs to the caller before Submit and after it came back.
type Batch struct {
	Ops    []Op
	Home   Outbox
	Budget *Budget // what the reads' replies are charged to
	Owner  any     // the caller's own
	Bytes  int     // of the requests, for the mailbox's limit
	Arena  []byte  // the caller's own: what the ops' texts point into
	Bodies []byte  // memory of the reads' replies, but of those that are shared

	reads   int  // how many of Ops wait for a reader
	next    int  // the first of Ops that a reader has not looked at
	crashed bool // too many operations of it panicked; none is carried out
}

// Outbox takes batches back.
type Outbox interface {
	// Put takes the batches over, not the slice. It may wait for room.
	Put(batches []*Batch)
}

// Budget bounds the bytes of the replies to one peer that are built or being
// built and that the peer has not taken yet. Where one reply does not fit, none
// is let through until the peer has taken half of them: to find out, each has to
// be built, in vain. Safe for concurrent use.
type Budget struct {
	limit    int64
	crowded  *atomic.Bool // all budgets together are over a limit; nil: there is none
	share    int64        // what one may have even then
	used     atomic.Int64
	refusing atomic.Bool
}

// NewBudget returns a Budget of limit bytes.
func NewBudget(limit int) *Budget { return &Budget{limit: int64(limit)} }

// NewSharedBudget returns a Budget of limit bytes that, while crowded is true, is
// spent beyond share bytes.
func NewSharedBudget(limit int, crowded *atomic.Bool, share int64) *Budget {
	return &Budget{limit: int64(limit), crowded: crowded, share: share}
}

// Take charges n bytes; it reports false, and charges nothing, where that would
// pass the limit and there is anything charged yet. A charge that is not granted
// is never seen by others, for they act on it.
func (b *Budget) Take(n int) bool {
	for {
		used := b.used.Load()
		if used > 0 && used+int64(n) > b.limit {
			b.refusing.Store(true)
			return false
		}
		if b.used.CompareAndSwap(used, used+int64(n)) {
			return true
		}
	}
}

// Charge charges n bytes, whatever the limit.
func (b *Budget) Charge(n int) { b.used.Add(int64(n)) }

// Refund takes n bytes back off the charge.
func (b *Budget) Refund(n int) { b.used.Add(-int64(n)) }

// Spent reports whether a reply need not be built, since it could not be taken.
func (b *Budget) Spent() bool {
	used := b.used.Load()
	if used <= b.limit/2 {
		b.refusing.Store(false)
	}
	return used >= b.limit || b.refusing.Load() || b.crowded != nil && used > b.share && b.crowded.Load()
}

// Used returns the bytes charged.
func (b *Budget) Used() int64 { return b.used.Load() }
