package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// event says that an index was in the chat by some time: a send's answer named it,
// or a read showed it.
type event struct{ at, index int64 }

// always is when that was known which was there before the round.
const always = math.MinInt64

func (e event) String() string {
	if e.at == always {
		return fmt.Sprintf("index %d was there before", e.index)
	}
	return fmt.Sprintf("index %d was known since %s", e.index, seconds(e.at))
}

// known is how far a chat was known to go, over time.
type known struct {
	base   int64 // known always
	events []event
}

func (k *known) begin(base int64) { k.base, k.events = base, k.events[:0] }

func (k *known) add(at, index int64) { k.events = append(k.events, event{at, index}) }

// settle sorts the events and keeps those that told something new: both times and
// indexes then rise.
func (k *known) settle() {
	slices.SortFunc(k.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	most, kept := k.base, k.events[:0]
	for _, e := range k.events {
		if e.index > most {
			most, kept = e.index, append(kept, e)
		}
	}
	k.events = kept
}

// before returns the largest index known before a time, and since when.
func (k *known) before(at int64) event {
	n, _ := slices.BinarySearchFunc(k.events, at, func(e event, at int64) int { return cmp.Compare(e.at, at) })
	if n == 0 {
		return event{always, k.base}
	}
	return k.events[n-1]
}
