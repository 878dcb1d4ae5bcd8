package engine

import (
	"sync"

	"throng/shards"
)

// maxOutbox is how many answered requests wait for a loop before the shards
// that answer wait too.
const maxOutbox = 1 << 18

// outbox is a loop's queue of answered batches, filled by actors and readers.
type outbox struct {
	wake func() // asks the loop to take

	mu       sync.Mutex
	room     sync.Cond
	queue    []*shards.Batch
	requests int
	woken    bool // a wake is on its way
	closed   bool // the loop has ended: nothing is taken any more
}

func newOutbox(wake func()) *outbox {
	o := &outbox{wake: wake}
	o.room.L = &o.mu
	return o
}

// Put hands batches over; it waits while the outbox is full.
func (o *outbox) Put(batches []*shards.Batch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.requests >= maxOutbox && !o.closed {
		o.room.Wait()
	}
	if o.closed {
		return
	}
	o.queue = append(o.queue, batches...)
	for _, b := range batches {
		o.requests += len(b.Ops)
	}
	if !o.woken {
		o.woken = true
		// With the lock held, which it does not wait under: after close no wake is
		// under way, and gnet may close the descriptor that a wake writes to.
		o.wake()
	}
}

// take returns all that waits; spare becomes the next queue's memory.
func (o *outbox) take(spare []*shards.Batch) []*shards.Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.queue
	o.queue = spare[:0]
	o.requests = 0
	o.woken = false
	o.room.Broadcast()
	return taken
}

// close lets go whoever waits for room; no wake comes after it.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.room.Broadcast()
}
