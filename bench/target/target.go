// Package target is what the harness can put a load on: the interfaces between
// the runner, which decides what is asked and when, and a server's client,
// which knows how to ask it.
//
// A [Target] is one server (or cluster), set up once: users, chats, members. A
// [Conn] is one connection to it with requests in flight; its replies go, in
// the order of its requests, to the [Sink] that it was dialled with.
//
// Chats and users are named by ordinals, 0 … n-1; a Target maps them to the ids
// and tokens of its server.
package target

import (
	"context"
	"net"
	"time"

	"throng/codec"
)

// Kind says what an operation does.
type Kind uint8

// The operations of the workloads.
const (
	Send     Kind = iota // append a message
	Read                 // read a chat backwards, newest first
	Receive              // read a chat forwards, oldest first
	Register             // register a new user
	Login                // log a user in
	Ping                 // ask for nothing

	Kinds = iota // their number
)

var kindNames = [Kinds]string{"send", "read", "receive", "register", "login", "ping"}

func (k Kind) String() string { return kindNames[k] }

// Op is one operation to submit.
type Op struct {
	Kind  Kind
	Chat  int        // Send, Read, Receive: the chat's ordinal
	User  int        // who asks; Register: the ordinal that the new user is to have
	Index int64      // Read, Receive: where to begin, as in the protocol (-1: the newest)
	Count int        // Read, Receive: how many messages at most
	Text  codec.Text // Send; valid until Submit returns
}

// Status is how an operation ended.
type Status uint8

// The statuses.
const (
	OK      Status = iota // done; of a Send: acknowledged, as durably as the server promises
	Refused               // the server said no, and did nothing
	Lost                  // the connection ended before the answer: done or not, nobody knows
)

// Reply is the answer to one operation.
type Reply struct {
	Status Status
	Cut    bool      // Read, Receive: the page may have been cut short by a limit of the reply's size
	Error  string    // Refused: what kind of refusal, few and constant: they are counted by it ("429", "failed: wrong id or token")
	Index  int64     // Send: the message's index. Rises within a chat; dense from 1 only where Info.Dense
	Bytes  int       // of the reply on the wire, 0 where the client does not tell
	Page   []Message // Read, Receive: in the order shown; valid until Replies returns. Nil where Dial.Pages is false
}

// Message is one message as a read shows it. The text is told by its hash.
type Message struct {
	Index int64
	Hash  uint64 // Hash of the text
}

// Sink takes what comes back on one Conn. Its calls never overlap, and it may
// call the Conn's Submit from within them.
type Sink interface {
	// Replies takes the answers to the oldest len(replies) operations that are not
	// yet answered, in their order. The slice is the Conn's again afterwards.
	Replies(replies []Reply)

	// Lost says that the connection has ended, once: nothing comes after it, and
	// every operation without an answer has none. err is nil after Close.
	Lost(err error)
}

// Conn is one connection. Submit may be called from any goroutine, but not by
// two at once.
type Conn interface {
	// Submit sends operations and does not wait for their answers. It keeps nothing
	// of ops. An error means that the connection is of no more use; Lost is called
	// all the same.
	Submit(ops []Op) error

	// Close ends the connection. Lost has been called, or will be.
	Close() error
}

// Dial says how to open a connection.
type Dial struct {
	Source  net.IP        // local address; nil: the system chooses
	Window  int           // operations in flight at most, the caller sees to it
	Pages   bool          // whether replies to reads carry their Page
	Timeout time.Duration // to connect
}

// Plan is the population of a run.
type Plan struct {
	Users   int    // registered users
	Chats   int    // groups
	Members int    // members of each chat, at most Users
	Seed    uint64 // makes the ids and tokens of this run unlike those of others
}

// Member returns the ordinal of a chat's j-th member, 0 ≤ j < Members.
func (p Plan) Member(chat, j int) int { return (chat*p.Members + j) % p.Users }

// Info is what a server tells of itself; nothing in it is assumed.
type Info struct {
	Kind       string            `json:"kind"`       // throng, redis, nats, postgres
	Version    string            `json:"version"`    // the server's own
	Durability string            `json:"durability"` // what an acknowledgement means, in the server's own words: "sync=always", "appendfsync=always"
	Settings   map[string]string `json:"settings,omitempty"`
	Dense      bool              `json:"dense"` // the indexes of each chat are 1, 2, 3 …
}

// Target is one server. Prepare is called once, before any Dial; Log when no
// load is on. Otherwise its methods are safe for concurrent use.
type Target interface {
	// Describe asks the server what it is and how durable its acknowledgements are.
	Describe(ctx context.Context) (Info, error)

	// Prepare makes the plan's users and chats. progress, which may be nil, is told
	// now and then how many of all steps are done.
	Prepare(ctx context.Context, plan Plan, progress func(done, all int)) error

	// Supports reports whether the server can do a kind of operation.
	Supports(k Kind) bool

	// Dial opens a connection.
	Dial(ctx context.Context, how Dial, sink Sink) (Conn, error)

	// Log reads a chat back, oldest first, from the first message whose index is
	// above after to the last, and shows each to visit. It may be called for several
	// chats at once.
	Log(ctx context.Context, chat int, after int64, visit func(Message) error) error

	// Close gives up what the Target itself holds.
	Close() error
}
