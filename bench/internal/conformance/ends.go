package conformance

import (
	"context"
	"testing"

	"throng/bench/target"
)

func closes(t *testing.T, s *stage) {
	s.prepare(t)
	c := s.dial(t, newClient())
	c.ask(t, s.send(0))
	if err := c.conn.Close(); err != nil {
		t.Error(err)
	}
	if err := c.ends(t); err != nil {
		t.Errorf("lost with %v", err)
	}
	if err := c.conn.Submit([]target.Op{s.send(0)}); err == nil {
		t.Error("a closed connection takes requests")
	}
	_ = c.conn.Close()
	c.wellBehaved(t)
}

func closesWithin(t *testing.T, s *stage) {
	s.prepare(t)
	l := &sending{left: 100 * window, make: func() target.Op { return s.send(0) }}
	c := newClient()
	c.feed = func(c *client, n int) {
		if len(c.replies) >= 10*window {
			_ = c.conn.Close()
			return
		}
		l.submit(c.conn, n)
	}
	s.dial(t, c)
	l.submit(c.conn, window)
	if err := c.ends(t); err != nil {
		t.Errorf("lost with %v", err)
	}
	c.wellBehaved(t)
	// What was answered is in the log, whatever became of the rest.
	stands := make(map[target.Message]bool)
	for _, m := range s.log(t, 0, 0) {
		stands[m] = true
	}
	for i, r := range c.replies {
		if m := (target.Message{Index: r.Index, Hash: l.asked[i].hash}); !stands[m] {
			t.Errorf("answer %d: %+v is not in the log", i, m)
		}
	}
}

func dialsInVain(t *testing.T, s *stage) {
	s.prepare(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := newClient()
	if _, err := s.target.Dial(ctx, target.Dial{Window: 1, Timeout: patience}, c); err == nil {
		t.Error("dialled, though the context had ended")
	}
	c.wellBehaved(t)
}

func loses(t *testing.T, s *stage) {
	s.prepare(t)
	idle := s.dial(t, newClient())
	used := s.dial(t, newClient())
	used.ask(t, s.send(0))
	busy := newClient()
	l := &sending{left: 1 << 30, make: func() target.Op { return s.send(1) }}
	started := make(chan struct{})
	busy.feed = func(c *client, n int) {
		if len(c.replies) > window {
			select {
			case <-started:
			default:
				close(started)
			}
		}
		l.submit(c.conn, n)
	}
	s.dial(t, busy)
	l.submit(busy.conn, window)
	<-started
	s.server.Kill()
	for name, c := range map[string]*client{"idle": idle, "used": used, "busy": busy} {
		if err := c.ends(t); err == nil {
			t.Errorf("the %s connection is lost without an error", name)
		}
		if err := c.conn.Submit([]target.Op{{Kind: target.Ping}}); err == nil {
			t.Errorf("the %s connection takes requests after its end", name)
		}
		_ = c.conn.Close()
		c.wellBehaved(t)
	}
}
