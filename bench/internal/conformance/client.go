package conformance

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"throng/bench/target"
)

// patience is when a test gives up on an answer. It measures nothing.
const patience = 30 * time.Second

// window is the requests in flight of most connections.
const window = 16

// client is one connection and all that came back on it. It is its own sink.
type client struct {
	conn target.Conn

	// Owned by the connection's calls of the sink until lost is closed; a test reads
	// them before only after it has taken what answered says.
	replies []target.Reply

	// feed, which may be nil, is called at the end of each Replies.
	feed     func(c *client, answered int)
	answered chan int   // len(replies) of each call; room for all that a test asks
	lost     chan error // of Lost; room for a second one, which is a fault
	busy     atomic.Bool
	overlaps atomic.Int32
	late     atomic.Int32 // Replies after Lost
	ended    atomic.Bool
}

// mostAnswers bounds the calls of Replies in one test.
const mostAnswers = 1 << 16

func newClient() *client {
	return &client{answered: make(chan int, mostAnswers), lost: make(chan error, 4)}
}

// dial opens a connection with pages, which is closed when the test is over.
func (s *stage) dial(t *testing.T, c *client) *client {
	t.Helper()
	return s.dialAs(t, c, target.Dial{Window: window, Pages: true, Timeout: patience})
}

func (s *stage) dialAs(t *testing.T, c *client, how target.Dial) *client {
	t.Helper()
	conn, err := s.target.Dial(t.Context(), how, c)
	if err != nil {
		t.Fatal(err)
	}
	c.conn = conn
	t.Cleanup(func() { _ = conn.Close() })
	return c
}

// Replies implements target.Sink.
func (c *client) Replies(replies []target.Reply) {
	c.enter()
	defer c.busy.Store(false)
	if c.ended.Load() {
		c.late.Add(1)
	}
	for _, r := range replies {
		r.Page = slices.Clone(r.Page)
		c.replies = append(c.replies, r)
	}
	if c.feed != nil {
		c.feed(c, len(replies))
	}
	c.answered <- len(replies)
}

// Lost implements target.Sink.
func (c *client) Lost(err error) {
	c.enter()
	defer c.busy.Store(false)
	c.ended.Store(true)
	c.lost <- err
}

func (c *client) enter() {
	if !c.busy.CompareAndSwap(false, true) {
		c.overlaps.Add(1)
	}
}

// ask submits operations and returns the answers to them, all of them.
func (c *client) ask(t *testing.T, ops ...target.Op) []target.Reply {
	t.Helper()
	if err := c.conn.Submit(ops); err != nil {
		t.Fatal(err)
	}
	return c.await(t, len(ops))
}

// await waits for n more answers and returns them.
func (c *client) await(t *testing.T, n int) []target.Reply {
	t.Helper()
	got := 0
	for got < n {
		select {
		case more := <-c.answered:
			got += more
		case err := <-c.lost:
			t.Fatalf("connection lost after %d answers of %d: %v", got, n, err)
		case <-time.After(patience):
			t.Fatalf("%d answers of %d", got, n)
		}
	}
	if got > n {
		t.Fatalf("%d answers to %d requests", got, n)
	}
	return c.replies[len(c.replies)-n:]
}

// ends waits for Lost and returns its error.
func (c *client) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-c.lost:
		return err
	case <-time.After(patience):
		t.Fatal("the connection's end is not told")
		return nil
	}
}

// wellBehaved checks how the sink was called. The connection has ended.
func (c *client) wellBehaved(t *testing.T) {
	t.Helper()
	if n := c.overlaps.Load(); n > 0 {
		t.Errorf("%d calls of the sink overlap", n)
	}
	if n := c.late.Load(); n > 0 {
		t.Errorf("%d calls of Replies after Lost", n)
	}
	if n := len(c.lost); n > 0 {
		t.Errorf("%d calls of Lost too many", n)
	}
}

// text makes a text that no other message has, with what targets must carry as it
// is: escapes, and bytes beyond ASCII.
func (s *stage) text() []byte {
	s.texts++
	return fmt.Appendf(nil, `text %d of %d: \"\\\n 你好, Köln`, s.texts, s.plan.Seed)
}

// send is an operation that sends a new text.
func (s *stage) send(chat int) target.Op {
	return target.Op{Kind: target.Send, Chat: chat, User: s.plan.Member(chat, s.texts%members), Text: s.text()}
}
