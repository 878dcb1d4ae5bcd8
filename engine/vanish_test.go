package engine

import (
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"throng/codec"
	"throng/shards"
)

// Connections that vanish with requests in every stage harm nobody: their
// answers come home to nothing, and what was accepted is done all the same.
func TestConnectionsThatVanishInFlight(t *testing.T) {
	t.Parallel()
	const vanishing = 20
	b := startBlocked(t)
	friend := dial(t, b.addr).newcomer(t)
	everything := []string{
		b.p.says(b.stuck, "1"), b.p.says(b.free, "1"), b.p.reads(b.stuck, -1, 10), b.p.receives(b.stuck, 1, 10),
		b.p.findsChats(0), b.p.creates(friend), b.p.pairsWith(friend), stranger().logsIn(), nonsense,
		b.p.joins(b.stuck), stranger().registers(), ping, friend.says(b.stuck, "no"), stranger().findsChats(0),
	}
	before := b.connections.Load()
	for range vanishing {
		c := dial(t, b.addr)
		c.send(t, everything...)
		eventually(t, "it is taken in", func() bool { return b.inFlight(t, c) > 0 })
		c.vanish(t)
	}
	eventually(t, "they are gone", func() bool { return b.connections.Load() == before })
	b.shard.release()
	b.blocker.expect(t, sent(1))
	c := dial(t, b.addr)
	c.send(t, b.p.says(b.stuck, "2"), b.p.says(b.free, "2"), ping)
	c.expect(t, sent(vanishing+2), sent(vanishing+1), pong)
	b.onLoops(t, func(l *loop) {
		if len(l.touched) > 0 || len(l.conns) != int(b.connections.Load()) {
			t.Errorf("%d connections touched, %d known, %d open", len(l.touched), len(l.conns), b.connections.Load())
		}
	})
	if n := b.panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// Batches that come home to a closed connection are dropped, and used again.
func TestBatchesOfAClosedConnection(t *testing.T) {
	t.Parallel()
	b := startBlocked(t)
	c := dial(t, b.addr)
	c.send(t, b.p.says(b.stuck, "1"), b.p.reads(b.stuck, -1, 10))
	eventually(t, "it is taken in", func() bool { return b.inFlight(t, c) == 2 })
	var gone *conn
	b.withConn(t, c, func(c *conn) { gone = c })
	c.vanish(t)
	eventually(t, "it is gone", func() (is bool) {
		b.onLoops(t, func(*loop) { is = gone.phase == closed })
		return is
	})
	b.shard.release()
	b.blocker.expect(t, sent(1))
	c = dial(t, b.addr)
	c.asks(t, b.p.says(b.stuck, "2"), sent(3))
	b.onLoops(t, func(l *loop) {
		if gone.touched || !gone.replies.empty() || gone.replies.ring != nil || gone.parked != nil {
			t.Error("the closed connection was touched, or keeps memory")
		}
		for _, one := range l.free {
			if one.Owner != nil || len(one.Ops)+len(one.Bodies)+len(one.Arena) > 0 {
				t.Errorf("a batch for reuse still holds %+v", one)
			}
		}
		if len(l.free) == 0 {
			t.Error("no batch is kept for reuse")
		}
	})
}

// Whatever connections do to end, at whatever moment, in the end the server
// counts none of them, owes nothing, and serves the next.
func TestConnectionsThatComeAndGo(t *testing.T) {
	inBothModes(t, comeAndGo)
}

func comeAndGo(t *testing.T, mode option) {
	rounds := 300
	if testing.Short() {
		rounds = 100
	}
	s := start(t, mode)
	setup := dial(t, s.addr)
	p := setup.newcomer(t)
	chat := setup.newChat(t, p)
	finished := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { finished <- struct{}{} }()
			for range rounds {
				c := dial(t, s.addr)
				requests := frames(p.says(chat, "x"), p.reads(chat, -1, 50), p.findsChats(0),
					stranger().logsIn(), p.creates(), ping, nonsense, stranger().registers())
				_, _ = c.conn.Write(requests[:rand.IntN(len(requests)+1)])
				_ = c.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) // there may be no reply
				for range rand.IntN(3) {
					_, _ = c.read()
				}
				switch rand.IntN(3) {
				case 0:
					_ = c.conn.SetLinger(0)
				case 1:
					_ = c.conn.CloseWrite()
				}
				_ = c.conn.Close()
			}
		}()
	}
	for range 4 {
		await(t, finished, "the end of the rounds")
	}
	eventually(t, "they are gone", func() bool { return s.connections.Load() == 1 })
	setup.send(t, p.joins(chat), p.logsIn(), p.findsChats(codec.MaxChat))
	setup.expect(t, success, success, noChats)
	s.onLoops(t, func(l *loop) {
		if !l.settled() {
			t.Error("something is owed still")
		}
	})
}

// What an idle connection has used is given back: the ring of its replies, its
// share of a frame, the requests that were parked.
func TestIdleConnectionKeepsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, oneLoop)
	c := dial(t, s.addr)
	p := c.newcomer(t)
	chat := c.newChat(t, p)
	all := frames(ping, stranger().logsIn(), p.says(chat, "1"), p.reads(chat, -1, 1), nonsense)
	for _, piece := range [][]byte{all[:50], all[50:]} {
		if _, err := c.conn.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if _, err := c.read(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is given back", func() (empty bool) {
		s.withConn(t, c, func(c *conn) {
			empty = c.replies.ring == nil && c.parked == nil && !c.cutter.Partial() &&
				c.inFlightBytes == 0 && c.refusals == 0 && c.budget.Used() == 0
		})
		return empty
	})
	c.asks(t, p.says(chat, "2"), sent(2))
}

// Connections over the limit are closed on arrival, and take nobody's place.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *Config, _ *shards.Config) { c.Connections = 2 })
	a, b := dial(t, s.addr), dial(t, s.addr)
	a.asks(t, ping, pong)
	b.asks(t, ping, pong)
	for range 20 {
		over := dial(t, s.addr)
		_, _ = over.conn.Write(frames(ping)) // where it is let in, it is answered
		over.expectEnd(t)
	}
	a.vanish(t)
	eventually(t, "its place is free", func() bool { return s.connections.Load() == 1 })
	dial(t, s.addr).asks(t, ping, pong)
	b.asks(t, ping, pong)
}

// The timers close who does not speak, who does not finish a frame, and, where
// asked for, who is idle; not who waits for a reply.
func TestTimers(t *testing.T) {
	t.Parallel()
	const short = 50 * time.Millisecond
	half := []byte{0, 15, 0, 0, '{'} // the beginning of a large frame
	t.Run("a first frame must come", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *Config, _ *shards.Config) { c.FirstFrame = short })
		silent, slow := dial(t, s.addr), dial(t, s.addr)
		if _, err := slow.conn.Write(half); err != nil {
			t.Fatal(err)
		}
		silent.expectEnd(t)
		slow.expectEnd(t)
	})
	t.Run("a frame must come whole", func(t *testing.T) {
		t.Parallel()
		s := start(t, func(c *Config, _ *shards.Config) { c.PartialFrame = short })
		c := dial(t, s.addr)
		if _, err := c.conn.Write(append(frames(ping), half...)); err != nil {
			t.Fatal(err)
		}
		c.expect(t, pong)
		const most = 2000   // bytes, in 200 times the time it has: the frame would take more
		for n := 0; ; n++ { // another byte now and then does not help
			_, err := c.conn.Write([]byte(" "))
			if n == most || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal("a frame that drips keeps its connection")
			}
			if err != nil {
				break
			}
			time.Sleep(short / 10)
		}
	})
	t.Run("an idle one is closed", func(t *testing.T) {
		t.Parallel()
		b := startBlocked(t, func(c *Config, _ *shards.Config) { c.IdleTimeout = time.Second })
		idle, waiting := dial(t, b.addr), dial(t, b.addr)
		waiting.send(t, b.p.says(b.stuck, "1"))
		idle.asks(t, ping, pong)
		idle.expectEnd(t)
		b.shard.release()
		waiting.expect(t, sent(2))
		waiting.expectEnd(t)
	})
}
