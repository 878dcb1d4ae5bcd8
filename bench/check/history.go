package check

// Times are nanoseconds on one monotonic clock of the process that ran the
// clients. Chats are ordinals.

// Outcome is what a client knows of a send.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // no answer: it may be in the log, once, or not
	Acked                  // acknowledged with an index
	Refused                // answered with a refusal: it may not be in the log

	lingering // Unknown in an earlier round, and not found then
)

// Send is one intent to send and its answer. A client that repeats a send until it
// is answered (safely, as with the protocol's ref) notes one Send: when the first
// attempt began, and what the last one brought. It is Refused only where every
// attempt was.
type Send struct {
	Began int64  // when it was about to be written to the socket
	Ended int64  // when its answer had been read; not of Unknown
	Index int64  // of Acked
	Hash  uint64 // of the text; texts are unique in a run
	Chat  uint32
	Outcome
}

// Read is one answered read of a chat. What needs no history (order, contiguity
// and length of the page) has been checked when it came, see Page.
type Read struct {
	Began, Ended int64
	Low, High    int64  // indexes shown, Low ≤ High; 0, 0: none
	Digest       uint64 // of the messages shown, see Digest
	End          int64  // ≥ 0: the read claims that no index above End was in the chat when it was taken; -1: it claims nothing
	Chat         uint32
}

// Ledger is what one session of a client has seen. It is owned by the session
// until the run is over.
type Ledger struct {
	Sends []Send
	Reads []Read
}
