package bench

// ring is a queue in a slice that grows to the most that it has held.
type ring[T any] struct {
	items      []T // a power of two
	head, tail int // the next to pop; the next to push; both only rise
}

func (r *ring[T]) len() int { return r.tail - r.head }

// at is the item with a number from head to tail-1.
func (r *ring[T]) at(n int) *T { return &r.items[n&(len(r.items)-1)] }

func (r *ring[T]) first() *T { return r.at(r.head) }

func (r *ring[T]) push(item T) { *r.extend() = item }

// extend adds an item, which has any value until it is set.
func (r *ring[T]) extend() *T {
	if r.len() == len(r.items) {
		r.grow()
	}
	r.tail++
	return r.at(r.tail - 1)
}

// pop takes the oldest; there must be one.
func (r *ring[T]) pop() T {
	item := *r.first()
	r.head++
	return item
}

// drop does so without a look at it.
func (r *ring[T]) drop() { r.head++ }

func (r *ring[T]) grow() {
	items := make([]T, max(2*len(r.items), 8))
	n := 0
	for ; r.len() > 0; n++ {
		items[n] = r.pop()
	}
	r.items, r.head, r.tail = items, 0, n
}
