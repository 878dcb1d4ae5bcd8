package shards

import (
	"sync"
	"sync/atomic"
)

// The most that an actor takes up for one commit, so that a flood does not make
// one commit last.
const (
	maxDrainRequests = 16384
	maxDrainBytes    = 8 << 20
)

// mailbox is a bounded queue of batches with many senders. What it bounds is
// the requests that are not carried out yet: a batch's room is given back by
// done, or by release where it was taken out one by one.
type mailbox struct {
	maxRequests int
	maxBytes    int64

	mu       sync.Mutex
	arrived  sync.Cond
	queue    []*Batch
	requests int
	bytes    int64
	closed   bool

	noRoom atomic.Bool // not even one request has room; set under mu
}

func newMailbox(maxRequests int, maxBytes int64) *mailbox {
	m := &mailbox{maxRequests: maxRequests, maxBytes: maxBytes}
	m.arrived.L = &m.mu
	return m
}

// put leaves a batch and wakes who waits for one.
func (m *mailbox) put(b *Batch) bool {
	if !m.leave(b) {
		return false
	}
	m.arrived.Signal()
	return true
}

// leave reports false when full; it never blocks. A batch over the whole limit is
// let in where the mailbox is empty, or it could never be.
func (m *mailbox) leave(b *Batch) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	full := m.requests+len(b.Ops) > m.maxRequests || m.bytes+int64(b.Bytes) > m.maxBytes
	if m.closed || full && m.requests > 0 {
		return false
	}
	m.requests += len(b.Ops)
	m.bytes += int64(b.Bytes)
	m.queue = append(m.queue, b)
	m.weigh()
	return true
}

// full reports whether not even one request has room.
func (m *mailbox) full() bool { return m.noRoom.Load() }

func (m *mailbox) weigh() { m.noRoom.Store(m.requests >= m.maxRequests || m.bytes >= m.maxBytes) }

// await blocks while there is nothing, and reports false once the mailbox is closed
// and empty.
func (m *mailbox) await() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wait()
}

// peek appends all that waits to drain, up to the bounds of a drain. It stays where it is
// until done; between the two nobody else may peek.
func (m *mailbox) peek(drain []*Batch) []*Batch {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, requests, bytes := 0, 0, 0
	for n < len(m.queue) && requests < maxDrainRequests && bytes < maxDrainBytes {
		requests += len(m.queue[n].Ops)
		bytes += m.queue[n].Bytes
		n++
	}
	return append(drain, m.queue[:n]...)
}

// done takes off the first n batches, which are carried out, and gives their room back.
func (m *mailbox) done(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.queue[:n] {
		m.requests -= len(b.Ops)
		m.bytes -= int64(b.Bytes)
	}
	m.drop(n)
	m.weigh()
}

// wake wakes who waits, if there is anything.
func (m *mailbox) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) > 0 {
		m.arrived.Signal()
	}
}

// takeOne awaits one batch and takes it.
func (m *mailbox) takeOne() (*Batch, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wait() {
		return nil, false
	}
	b := m.queue[0]
	m.drop(1)
	return b, true
}

// putBack queues a batch again that was taken, and keeps its room: there is more
// to do on it.
func (m *mailbox) putBack(b *Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue = append(m.queue, b)
	m.arrived.Signal()
}

// wait blocks, with mu held, while there is nothing; false: there never will be.
func (m *mailbox) wait() bool {
	for len(m.queue) == 0 {
		if m.closed {
			return false
		}
		m.arrived.Wait()
	}
	return true
}

// drop takes the first n batches off the queue, with mu held.
func (m *mailbox) drop(n int) {
	clear(m.queue[:n])
	m.queue = m.queue[n:]
}

// release gives back the room of requests that are carried out.
func (m *mailbox) release(requests, bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests -= requests
	m.bytes -= int64(bytes)
	m.weigh()
}

// close lets who waits carry out what is left; put refuses from now on.
func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.arrived.Broadcast()
}
