package shards

import (
	"math"
	"slices"
	"testing"
)

// The windows that the two reads show, for an index of every kind.

type window struct {
	name        string
	index, last int64
	count       int
	from, to    int64 // 1, 0: empty
}

func TestGetChatWalksBackFromItsIndex(t *testing.T) {
	for _, w := range []window{
		{"no messages", -1, 0, 50, 1, 0},
		{"no messages, any index", 7, 0, 50, 1, 0},
		{"the newest", -1, 10, 1, 10, 10},
		{"the newest ones", -1, 10, 3, 8, 10},
		{"all there are", -1, 10, 10, 1, 10},
		{"more than there are", -1, 10, 1000, 1, 10},
		{"the n-th newest", -4, 10, 3, 5, 7},
		{"the first, counted from the end", -10, 10, 3, 1, 1},
		{"beyond the first", -11, 10, 3, 1, 0},
		{"far beyond the first", math.MinInt64, 10, 1000, 1, 0},
		{"far beyond the first of very many", math.MinInt64, math.MaxInt64 - 1, 1000, 1, 0},
		{"zero", 0, 10, 3, 1, 0},
		{"the first", 1, 10, 3, 1, 1},
		{"in the middle", 5, 10, 3, 3, 5},
		{"the last", 10, 10, 3, 8, 10},
		{"past the newest", 11, 10, 3, 8, 10},
		{"far past the newest", math.MaxInt64, 10, 3, 8, 10},
	} {
		from, to := windowBack(w.index, w.count, w.last)
		w.check(t, from, to)
	}
}

func TestReceiveWalksForthFromItsIndex(t *testing.T) {
	for _, w := range []window{
		{"no messages", 1, 0, 50, 1, 0},
		{"no messages, from the end", -1, 0, 50, 1, 0},
		{"no messages, from zero", 0, 0, 50, 1, 0},
		{"zero reads as one", 0, 10, 3, 1, 3},
		{"the first ones", 1, 10, 3, 1, 3},
		{"in the middle", 5, 10, 3, 5, 7},
		{"up to the newest", 9, 10, 3, 9, 10},
		{"all there are", 1, 10, 10, 1, 10},
		{"more than there are", 1, 10, 1000, 1, 10},
		{"the newest", 10, 10, 3, 10, 10},
		{"past the newest", 11, 10, 3, 1, 0},
		{"far past the newest", math.MaxInt64, 10, 1000, 1, 0},
		{"ending at the newest", -1, 10, 3, 8, 10},
		{"ending at the n-th newest", -4, 10, 3, 5, 7},
		{"ending near the first", -9, 10, 3, 1, 2},
		{"ending at the first", -10, 10, 3, 1, 1},
		{"beyond the first reads as the first", -11, 10, 3, 1, 1},
		{"far beyond the first", math.MinInt64, 10, 1000, 1, 1},
		{"far beyond the first of very many", math.MinInt64, math.MaxInt64 - 1, 1000, 1, 1},
	} {
		from, to := windowForth(w.index, w.count, w.last)
		w.check(t, from, to)
	}
}

func (w *window) check(t *testing.T, from, to int64) {
	t.Helper()
	if from != w.from || to != w.to {
		t.Errorf("%s: %d messages from %d of %d: %d … %d, want %d … %d",
			w.name, w.count, w.index, w.last, from, to, w.from, w.to)
	}
}

// Every small window is what one gets by writing the messages down and counting
// with a finger.
func TestWindowsAgainstCounting(t *testing.T) {
	for last := range int64(7) {
		var all []int64
		for i := range last {
			all = append(all, i+1)
		}
		for index := -last - 3; index <= last+3; index++ {
			for count := 1; count <= int(last)+2; count++ {
				from, to := windowBack(index, count, last)
				if got, want := between(from, to), countedBack(all, index, count); !slices.Equal(got, want) {
					t.Errorf("back from %d, %d of %d: %v, want %v", index, count, last, got, want)
				}
				from, to = windowForth(index, count, last)
				if got, want := between(from, to), countedForth(all, index, count); !slices.Equal(got, want) {
					t.Errorf("forth from %d, %d of %d: %v, want %v", index, count, last, got, want)
				}
			}
		}
	}
}

func between(from, to int64) (list []int64) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

// countedBack is GetChat's rule as docs/protocol.md has it, by rising index.
func countedBack(all []int64, index int64, count int) []int64 {
	n := int64(len(all))
	switch {
	case index > n:
		index = n
	case index < 0:
		index += n + 1
	}
	if index <= 0 {
		return nil
	}
	return all[max(0, index-int64(count)):index]
}

// countedForth is Receive's rule.
func countedForth(all []int64, index int64, count int) []int64 {
	n := int64(len(all))
	switch {
	case n == 0 || index > n:
		return nil
	case index < 0:
		end := max(1, n+1+index)
		return all[max(0, end-int64(count)):end]
	}
	start := max(index, 1) - 1
	return all[start:min(n, start+int64(count))]
}
