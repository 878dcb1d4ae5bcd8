package bench

import "throng/bench/check"

// ledger is what a session has seen, in parts of a fixed size: a slice that grows
// would copy millions of entries while the load is on, and move those that requests
// in flight point to.
type ledger struct {
	parts   []check.Ledger
	entries int // in all parts
}

// The entries of one part, but for the first of a session, which starts small:
// there may be 10,000 sessions.
const (
	firstEntries = 64
	partEntries  = 8192
)

// send adds an entry and returns its place, which is its own until the ledger is
// taken.
func (l *ledger) send(s check.Send) *check.Send {
	last := l.last()
	if last == nil || len(last.Sends) == cap(last.Sends) {
		last = l.grow()
		last.Sends = make([]check.Send, 0, l.room())
	}
	l.entries++
	last.Sends = append(last.Sends, s)
	return &last.Sends[len(last.Sends)-1]
}

func (l *ledger) read(r check.Read) {
	last := l.last()
	if last == nil || len(last.Reads) == cap(last.Reads) {
		last = l.grow()
		last.Reads = make([]check.Read, 0, l.room())
	}
	l.entries++
	last.Reads = append(last.Reads, r)
}

func (l *ledger) last() *check.Ledger {
	if len(l.parts) == 0 {
		return nil
	}
	return &l.parts[len(l.parts)-1]
}

func (l *ledger) grow() *check.Ledger {
	l.parts = append(l.parts, check.Ledger{})
	return l.last()
}

// room is how many entries a new part has.
func (l *ledger) room() int { return min(max(l.entries, firstEntries), partEntries) }
