package check

import (
	"fmt"
	"math"

	"throng/bench/target"
)

// Page is the request of a read, and what is promised of its answer: enough to
// judge the page by itself, when it comes. Reading is as docs/protocol.md has it.
type Page struct {
	Forward bool  // oldest first; else newest first
	Index   int64 // where to begin, as asked; -n: the n-th newest
	Count   int   // messages at most
	Cut     bool  // the page may end early, by a limit of the reply's size
	Dense   bool  // the indexes of a chat are 1, 2, 3 …
}

// Read judges the messages shown, in the order shown, and sums them up for the
// ledger: all but Began, Ended and Chat. The fault is empty where there is none.
func (p Page) Read(shown []target.Message) (read Read, fault string) {
	if len(shown) > p.Count {
		return Read{}, fmt.Sprintf("%d messages shown, %d asked for", len(shown), p.Count)
	}
	if len(shown) == 0 {
		return Read{End: p.emptyEnd()}, ""
	}
	if fault = p.order(shown); fault != "" {
		return Read{}, fault
	}
	read = sum(shown)
	if fault = p.place(&read, len(shown)); fault != "" {
		return Read{}, fault
	}
	read.End = p.end(&read, len(shown))
	return read, ""
}

func sum(shown []target.Message) Read {
	first, last := shown[0].Index, shown[len(shown)-1].Index
	r := Read{Low: min(first, last), High: max(first, last)}
	for _, m := range shown {
		r.Digest += Digest(m.Index, m.Hash)
	}
	return r
}

// order judges each message's index against the one before.
func (p Page) order(shown []target.Message) string {
	if shown[0].Index < 1 {
		return fmt.Sprintf("index %d shown", shown[0].Index)
	}
	for i := 1; i < len(shown); i++ {
		before, index := shown[i-1].Index, shown[i].Index
		step := before - index
		if p.Forward {
			step = -step
		}
		if index < 1 || step < 1 {
			return fmt.Sprintf("index %d shown after %d", index, before)
		}
		if p.Dense && step > 1 {
			return fmt.Sprintf("index %d shown next to %d", index, before)
		}
	}
	return ""
}

// place judges where the page begins and how long it is. n is the messages shown.
func (p Page) place(r *Read, n int) string {
	if p.Forward && p.Index >= 0 {
		from := max(p.Index, 1)
		if r.Low < from || p.Dense && r.Low > from {
			return fmt.Sprintf("index %d shown first, asked for from %d on", r.Low, p.Index)
		}
		return "" // where it is short it tells where the chat ends: see end
	}
	if p.Index >= 0 && r.High > p.Index {
		return fmt.Sprintf("index %d shown first, asked for from %d back", r.High, p.Index)
	}
	if p.Dense && p.short(n) && r.Low > 1 {
		return fmt.Sprintf("%d of %d messages shown, down to index %d, though there are more", n, p.Count, r.Low)
	}
	return ""
}

// short reports whether the page ends because the chat does.
func (p Page) short(n int) bool { return n < p.Count && !p.Cut }

// nothing is the End of a read that tells nothing of where the chat ends.
const nothing = -1

// end is what a page that is not empty claims of the chat's newest index.
func (p Page) end(r *Read, n int) int64 {
	switch {
	case p.Index < 0 && p.Forward && p.Cut: // what is cut off is the newer part
		return nothing
	case p.Index < 0:
		return p.behind(r.High)
	case p.Forward && p.short(n), !p.Forward && p.Dense && r.High < p.Index:
		return r.High
	}
	return nothing
}

// behind is the newest index where a page that was asked for with -n ends at high:
// n-1 above it. Where the chat has fewer than n messages it has fewer than that.
func (p Page) behind(high int64) int64 {
	more := -(p.Index + 1) // n-1, which does not overflow
	if more > 0 && (!p.Dense || high > math.MaxInt64-more) {
		return nothing
	}
	return high + more
}

// emptyEnd is what an empty page claims: so many messages there are at most.
func (p Page) emptyEnd() int64 {
	switch {
	case p.Cut:
		return nothing
	case p.Forward:
		return max(p.Index, 1) - 1 // none from there on; with -n, none at all
	case p.Index < 0:
		return p.behind(0)
	case p.Index > 0 && p.Dense:
		return 0
	}
	return nothing
}
