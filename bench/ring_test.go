package bench

import "testing"

// A ring gives back what it was given, in order, however it wraps and grows.
func TestRingKeepsOrder(t *testing.T) {
	var r ring[int]
	pushed, popped := 0, 0
	for round := range 100 {
		for i := range round % 23 {
			if i%2 == 0 {
				r.push(pushed)
			} else {
				*r.extend() = pushed
			}
			pushed++
		}
		for i := range min(round%19, r.len()) {
			if i%3 == 0 {
				r.drop()
			} else if got := r.pop(); got != popped {
				t.Fatalf("popped %d, want %d", got, popped)
			}
			popped++
		}
		if r.len() != pushed-popped {
			t.Fatalf("length %d, want %d", r.len(), pushed-popped)
		}
		for i := r.head; i < r.tail; i++ {
			if got := *r.at(i); got != i-r.head+popped {
				t.Fatalf("at %d stands %d, want %d", i, got, i-r.head+popped)
			}
		}
	}
}
