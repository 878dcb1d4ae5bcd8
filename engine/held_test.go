package engine

import (
	"bytes"
	"encoding/binary"
	"testing"

	"throng/codec"
	"throng/shards"
)

// heldTogether lets all connections hold 1 MiB, and each its sixteenth.
func heldTogether(c *Config, _ *shards.Config) { c.Connections, c.HeldBytes = 16, 1<<20 }

// halfSent is the start of a request: its header, and so many bytes of its body.
func halfSent(bytes int) []byte {
	frame := make([]byte, 4+bytes)
	binary.BigEndian.PutUint32(frame, uint32(codec.DefaultLimits.Frame))
	return frame
}

// Requests that do not come whole take no more memory than all connections may
// hold; whoever holds little goes on.
func TestHalfSentRequestsAreBoundedTogether(t *testing.T) {
	t.Parallel()
	s := start(t, heldTogether)
	honest := dial(t, s.addr)
	p := honest.newcomer(t)
	small := frames(ping)
	if _, err := honest.conn.Write(small[:5]); err != nil { // half a request, too, but a small one
		t.Fatal(err)
	}
	const greedy = 12
	refused := 0
	for range greedy {
		c := dial(t, s.addr)
		c.asks(t, ping, pong)                    // it is open: one that is not any more was given up
		_, _ = c.conn.Write(halfSent(300 << 10)) // the server may close before it has all
		if !s.takesIn(t, c, 300<<10) {
			refused++
		}
		if held, most := s.held.bytes.Load(), 2*s.held.limit; held > most {
			t.Fatalf("%d bytes are held, more than %d", held, most)
		}
	}
	if refused == 0 || refused == greedy {
		t.Errorf("%d of %d half-sent requests are given up, want some and not all", refused, greedy)
	}
	if _, err := honest.conn.Write(small[5:]); err != nil {
		t.Fatal(err)
	}
	honest.expect(t, pong)
	honest.asks(t, p.logsIn(), success)
}

// takesIn waits until the server holds so many bytes of a request, or has given the
// connection up with a 429.
func (s *server) takesIn(t *testing.T, c *client, n int) (taken bool) {
	t.Helper()
	eventually(t, "a half-sent request is taken in or given up", func() bool {
		open := s.withConn(t, c, func(c *conn) { taken = c.phase == serving && c.cutter.Held() >= n })
		return taken || !open || s.ends(t, c)
	})
	if !taken {
		if reply, err := c.read(); err == nil && !bytes.Equal(reply, []byte(state429)) {
			t.Errorf("a connection is given up with %.200q", reply)
		}
	}
	return taken
}

func (s *server) ends(t *testing.T, c *client) (ends bool) {
	s.withConn(t, c, func(c *conn) { ends = c.phase > serving })
	return ends
}

// What a connection has given back is not held any more, however it ended.
func TestNothingIsHeldInTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, heldTogether)
	for _, end := range []func(c *client){
		func(c *client) { _ = c.conn.Close() },
		func(c *client) { _ = c.conn.SetLinger(0); _ = c.conn.Close() },
	} {
		c := dial(t, s.addr)
		if _, err := c.conn.Write(halfSent(100 << 10)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is held", func() bool { return s.held.bytes.Load() >= 100<<10 })
		end(c)
		eventually(t, "it is held no more", func() bool { return s.held.bytes.Load() == 0 })
	}
}

// Where too much is held, a connection with more than its share is refused, and one
// with less is not.
func TestAGreedyConnectionIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, heldTogether, oneLoop)
	greedy, other := dial(t, s.addr), dial(t, s.addr)
	greedy.asks(t, ping, pong)
	other.asks(t, ping, pong)
	hold := func(c *client, bytes int) {
		s.withConn(t, c, func(c *conn) { c.budget.Charge(bytes); c.weigh() })
	}
	hold(greedy, 2<<20)
	greedy.asks(t, ping, state429)
	other.asks(t, ping, pong)
	s.withConn(t, greedy, func(c *conn) {
		if !c.budget.Spent() {
			t.Error("replies are still built for it")
		}
	})
	s.withConn(t, greedy, func(c *conn) { c.budget.Refund(2 << 20); c.weigh() })
	greedy.asks(t, ping, pong)
}
