package bench

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Sessions that take at once get each place once, and all of them together no
// more than is allowed.
func TestBudgetGrantsEachPlaceOnce(t *testing.T) {
	const limit, takers = 10_000, 8
	var b budget
	b.allow(limit)
	var seen [limit]atomic.Int32
	var wg sync.WaitGroup
	for taker := range takers {
		wg.Go(func() {
			for {
				first, n := b.take(int64(1 + taker))
				if n == 0 {
					return
				}
				for i := range n {
					seen[first+i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for place := range seen {
		if n := seen[place].Load(); n != 1 {
			t.Fatalf("place %d was granted %d times", place, n)
		}
	}
}

// What is not limited is granted as asked, and a full window asks for nothing.
func TestBudgetWithoutLimit(t *testing.T) {
	var b budget
	if _, n := b.take(5); n != 0 {
		t.Errorf("%d granted of nothing", n)
	}
	b.allowAll()
	if _, n := b.take(5); n != 5 {
		t.Errorf("%d of 5 granted", n)
	}
	if _, n := b.take(0); n != 0 {
		t.Errorf("%d of 0 granted", n)
	}
	b.allow(0)
	if _, n := b.take(5); n != 0 {
		t.Errorf("%d granted behind the end", n)
	}
}
