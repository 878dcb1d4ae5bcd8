package engine

import (
	"sync/atomic"

	"throng/codec"
)

// held bounds what all connections together make the server hold: frames that
// have not come whole, requests in flight, and replies that are being built or that
// their peers have not taken. Each connection has limits of its own; ten thousand
// of them at their limits would be more memory than any machine has.
//
// Where too much is held, it is those with more than their share of the limit who
// are turned away, so that whoever asks for little goes on. All that is held is
// then bounded by the limit and every connection's share: twice the limit.
type held struct {
	limit, share int64 // bytes

	bytes   atomic.Int64
	crowded atomic.Bool // bytes is over limit
}

func (h *held) init(c *Config) {
	h.limit = c.HeldBytes
	h.share = c.HeldBytes / int64(c.Connections)
}

func (h *held) add(bytes int64) {
	if crowded := h.bytes.Add(bytes) > h.limit; crowded != h.crowded.Load() {
		h.crowded.Store(crowded)
	}
}

// weigh notes what the connection makes the server hold now.
func (c *conn) weigh() {
	if c.phase == closed {
		return
	}
	bytes := int64(c.cutter.Held()+c.inFlightBytes) + c.budget.Used()
	c.loop.server.held.add(bytes - c.held)
	c.held = bytes
}

// unweigh takes a connection that is closed off what is held.
func (c *conn) unweigh() {
	c.loop.server.held.add(-c.held)
	c.held = 0
}

// greedy reports whether the server holds too much and the connection has more
// than its share in that.
func (c *conn) greedy() bool {
	h := &c.loop.server.held
	return h.crowded.Load() && c.held > h.share
}

// makeRoom ends a greedy connection in the midst of a request, which is let go.
func (c *conn) makeRoom() {
	if c.phase != serving || !c.cutter.Partial() || !c.greedy() {
		return
	}
	c.cutter, c.partial = codec.Cutter{}, 0
	c.refuse(0, busy)
	c.enter(ending)
	c.flush()
}
