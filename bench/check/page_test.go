package check_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"throng/bench/check"
	"throng/bench/target"
)

// page is the page that a chat with messages 1 … last shows: the rules of
// docs/protocol.md, counted with a finger.
func page(forward bool, index int64, count int, last int64) (shown []int64) {
	n := int64(count)
	switch {
	case forward && index >= 0:
		index = max(index, 1)
		return upTo(index, min(index+n-1, last))
	case forward && last > 0:
		end := max(last+1+index, 1)
		return upTo(max(end-n+1, 1), end)
	case forward:
		return nil
	case index < 0:
		index += last + 1 // of the n-th newest; below 1: there is none
	}
	index = min(index, last)
	shown = upTo(max(index-n+1, 1), index)
	slices.Reverse(shown)
	return shown
}

// upTo counts from one index to another.
func upTo(low, high int64) (list []int64) {
	for i := low; i <= high; i++ {
		list = append(list, i)
	}
	return list
}

func step(forward bool) int64 {
	if forward {
		return 1
	}
	return -1
}

func messages(indexes []int64) (list []target.Message) {
	for _, i := range indexes {
		list = append(list, target.Message{Index: i, Hash: uint64(100 + i)})
	}
	return list
}

const longest = 32 // messages of the longest chat that the tests below count with

// A page is a fault if and only if there is no chat that could have shown it, and
// what it claims of the newest index is all that follows from it.
func TestAPageIsAFaultWhereNoChatCouldHaveShownIt(t *testing.T) {
	for _, forward := range []bool{false, true} {
		for index := int64(-7); index <= 7; index++ {
			for count := 1; count <= 4; count++ {
				for first := int64(0); first <= 8; first++ {
					for n := range 5 {
						p := check.Page{Forward: forward, Index: index, Count: count, Dense: true}
						judgePage(t, p, run(first, n, step(forward)))
					}
				}
			}
		}
	}
}

// run is n indexes, one after the other.
func run(first int64, n int, step int64) (list []int64) {
	for i := range n {
		list = append(list, first+int64(i)*step)
	}
	return list
}

func judgePage(t *testing.T, p check.Page, shown []int64) {
	t.Helper()
	possible, most := false, int64(0)
	for last := range int64(longest) {
		if fmt.Sprint(page(p.Forward, p.Index, p.Count, last)) == fmt.Sprint(shown) {
			possible, most = true, last
		}
	}
	if most == longest-1 {
		most = -1 // it goes on like this
	}
	read, fault := p.Read(messages(shown))
	if (fault == "") != possible {
		t.Errorf("%+v shows %v: fault %q; possible: %v", p, shown, fault, possible)
	} else if possible && read.End != most {
		t.Errorf("%+v shows %v: claims End %d, want %d", p, shown, read.End, most)
	}
}

// A page that a limit of the reply's size has cut short is none, and it claims no
// more than what is true.
func TestACutPageIsNoFault(t *testing.T) {
	for _, forward := range []bool{false, true} {
		for index := int64(-7); index <= 7; index++ {
			for count := 1; count <= 4; count++ {
				for last := range int64(8) {
					whole := page(forward, index, count, last)
					for n := min(1, len(whole)); n <= len(whole); n++ {
						p := check.Page{Forward: forward, Index: index, Count: count, Cut: true, Dense: true}
						read, fault := p.Read(messages(whole[:n]))
						if fault != "" || read.End >= 0 && read.End < last {
							t.Errorf("%+v shows %v of %d: fault %q, End %d", p, whole[:n], last, fault, read.End)
						}
					}
				}
			}
		}
	}
}

func TestWhatAPageTells(t *testing.T) {
	for _, c := range []struct {
		name  string
		page  check.Page
		shown []int64
		want  check.Read // but for the digest
		fault string
	}{
		{"sparse, newest first", check.Page{Index: -1, Count: 3}, []int64{9, 5, 2}, check.Read{Low: 2, High: 9, End: 9}, ""},
		{"sparse, short, newest first", check.Page{Index: -1, Count: 3}, []int64{9, 5}, check.Read{Low: 5, High: 9, End: 9}, ""},
		{"sparse, back from an index", check.Page{Index: 7, Count: 3}, []int64{5, 2}, check.Read{Low: 2, High: 5, End: -1}, ""},
		{"sparse, nothing down from an index", check.Page{Index: 7, Count: 3}, nil, check.Read{End: -1}, ""},
		{"sparse, n-th newest", check.Page{Index: -3, Count: 3}, []int64{5, 2}, check.Read{Low: 2, High: 5, End: -1}, ""},
		{"sparse, no n-th newest", check.Page{Index: -3, Count: 3}, nil, check.Read{End: -1}, ""},
		{"sparse, no newest", check.Page{Index: -1, Count: 3}, nil, check.Read{End: 0}, ""},
		{"sparse, forward", check.Page{Forward: true, Index: 3, Count: 3}, []int64{5, 9}, check.Read{Low: 5, High: 9, End: 9}, ""},
		{"sparse, forward, full", check.Page{Forward: true, Index: 3, Count: 2}, []int64{5, 9}, check.Read{Low: 5, High: 9, End: -1}, ""},
		{"sparse, forward, none", check.Page{Forward: true, Index: 3, Count: 2}, nil, check.Read{End: 2}, ""},
		{"sparse, the newest window", check.Page{Forward: true, Index: -1, Count: 2}, []int64{5, 9}, check.Read{Low: 5, High: 9, End: 9}, ""},

		{"far from the end", check.Page{Index: math.MinInt64, Count: 2, Dense: true}, nil, check.Read{End: math.MaxInt64}, ""},
		{"forward far from the end", check.Page{Forward: true, Index: math.MinInt64, Count: 2, Dense: true}, []int64{1}, check.Read{Low: 1, High: 1, End: -1}, ""},
		{"forward far from the end, none", check.Page{Forward: true, Index: math.MinInt64, Count: 2, Dense: true}, nil, check.Read{}, ""},
		{"forward far past the end", check.Page{Forward: true, Index: math.MaxInt64, Count: 2, Dense: true}, nil, check.Read{End: math.MaxInt64 - 1}, ""},
		{"back from far past the end", check.Page{Index: math.MaxInt64, Count: 1, Dense: true}, []int64{7}, check.Read{Low: 7, High: 7, End: 7}, ""},

		{"too many", check.Page{Index: -1, Count: 1}, []int64{9, 5}, check.Read{}, "2 messages shown, 1 asked for"},
		{"the wrong way round", check.Page{Index: -1, Count: 2}, []int64{5, 9}, check.Read{}, "index 9 shown after 5"},
		{"the other wrong way round", check.Page{Forward: true, Index: 1, Count: 2}, []int64{9, 5}, check.Read{}, "index 5 shown after 9"},
		{"twice", check.Page{Index: -1, Count: 2}, []int64{5, 5}, check.Read{}, "index 5 shown after 5"},
		{"one left out", check.Page{Index: -1, Count: 2, Dense: true}, []int64{5, 3}, check.Read{}, "index 3 shown next to 5"},
		{"none such", check.Page{Index: -1, Count: 2}, []int64{1, 0}, check.Read{}, "index 0 shown after 1"},
		{"nor such", check.Page{Forward: true, Index: 0, Count: 2}, []int64{-1, 1}, check.Read{}, "index -1 shown"},
		{"before where it begins", check.Page{Forward: true, Index: 3, Count: 2}, []int64{2, 9}, check.Read{}, "index 2 shown first"},
		{"behind where it begins", check.Page{Index: 3, Count: 2}, []int64{4, 2}, check.Read{}, "index 4 shown first"},
	} {
		read, fault := c.page.Read(messages(c.shown))
		for _, i := range c.shown {
			if c.fault == "" {
				c.want.Digest += check.Digest(i, uint64(100+i))
			}
		}
		if read != c.want || !strings.Contains(fault, c.fault) || (fault == "") != (c.fault == "") {
			t.Errorf("%s: %+v, %q; want %+v, %q", c.name, read, fault, c.want, c.fault)
		}
	}
}

// Messages that differ in index or text, or have swapped their places, digest to
// something else; their order does not matter.
func TestDigestTellsMessagesApart(t *testing.T) {
	seen := map[uint64]string{}
	for index := int64(1); index <= 64; index++ {
		for hash := range uint64(64) {
			at := fmt.Sprintf("(%d, %d)", index, hash)
			if other, twice := seen[check.Digest(index, hash)]; twice {
				t.Fatalf("%s and %s have one digest", at, other)
			}
			seen[check.Digest(index, hash)] = at
		}
	}
	if a, b := check.Digest(1, 7)+check.Digest(2, 8), check.Digest(1, 8)+check.Digest(2, 7); a == b {
		t.Error("swapped texts have the same digest")
	}
	if a, b := check.Digest(1, 7)+check.Digest(2, 8), check.Digest(1, 6)+check.Digest(2, 9); a == b {
		t.Error("shifted texts have the same digest")
	}
	for i := range int64(16) {
		for j := range i {
			if check.Digest(i, 6)+check.Digest(j, 6) == check.Digest(i, 7)+check.Digest(j, 7) {
				t.Errorf("one bit changed in the texts at %d and %d has no effect on the sum", i, j)
			}
		}
	}
	if check.Digest(0, 0) == 0 {
		t.Error("the digest of a message is that of none")
	}
}
