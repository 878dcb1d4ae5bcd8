package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/redis/rueidis"

	"throng/bench/target"
)

const (
	// maxFlying is how many batches of one connection are with the server at most. A
	// request that is due meanwhile joins the next batch: it waits for the first of
	// these to come back, an eighth of the server's answer time.
	maxFlying = 8

	// ringScale is rueidis's queue of batches, 2^4: twice what flies.
	ringScale = 4

	// bufferBytes is rueidis's buffers of one connection, each: there may be ten
	// thousand connections.
	bufferBytes = 16 << 10

	// onePipe is a client of one connection; 0 would be the default of up to four.
	onePipe = -1
)

var errClosed = errors.New("redis: the connection is closed")

// conn implements target.Conn: one connection to the server. Whoever brings the
// answers of a batch delivers them, with those of its neighbours that have come, if
// nobody else is delivering; then it takes what was submitted meanwhile. So a closed
// loop needs no goroutine but the one that waits for its batch.
//
// Batches that fly at one time may come to the server in either order. Each keeps
// its own.
type conn struct {
	client rueidis.Client
	keys   []string
	pages  bool
	sink   target.Sink
	wire   net.Conn

	mu         sync.Mutex // guards what follows; it is not held during a call of the sink
	waiting    *batch     // submitted, not yet flying; its length is bounded by the window
	flying     []*batch   // in the order submitted, at most maxFlying
	spare      []*batch   // to be used again, at most maxFlying + 2
	delivering bool       // somebody calls the sink
	delivered  []*batch   // what the sink is being shown
	replies    []target.Reply
	open       bool  // Dial has succeeded: Lost is owed
	broken     bool  // a batch came back without some of its answers: none behind it has any
	closed     bool  // Close was called
	err        error // why the connection has ended; nil: it has not
	lost       bool  // Lost was called
}

// Dial implements target.Target.
func (r *redis) Dial(ctx context.Context, how target.Dial, sink target.Sink) (target.Conn, error) {
	c := &conn{keys: r.keys, pages: how.Pages, sink: sink, waiting: new(batch)}
	raw, err := dial(ctx, r.option, how)
	if err != nil {
		return nil, fmt.Errorf("connect to Redis: %w", err)
	}
	c.wire = &wire{Conn: raw, ended: c.end}
	option := r.option
	option.AlwaysPipelining = true
	option.PipelineMultiplex = onePipe
	option.BlockingPipeline = -1 // never a second connection, however long the batch
	option.RingScaleEachConn = ringScale
	option.ReadBufferEachConn = bufferBytes
	option.WriteBufferEachConn = bufferBytes
	option.Dialer.KeepAlive = -1 // no PING every second while idle: that is load
	option.DialCtxFn = once(c.wire)
	if c.client, err = rueidis.NewClient(option); err != nil {
		if c.client != nil {
			c.client.Close()
		}
		return nil, errors.Join(fmt.Errorf("greet Redis: %w", err), raw.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = true
	c.settle()
	return c, nil
}

func dial(ctx context.Context, option rueidis.ClientOption, how target.Dial) (net.Conn, error) {
	dialer := net.Dialer{Timeout: how.Timeout}
	if how.Source != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: how.Source}
	}
	if option.TLSConfig == nil {
		return dialer.DialContext(ctx, "tcp", option.InitAddress[0])
	}
	secure := tls.Dialer{NetDialer: &dialer, Config: option.TLSConfig}
	return secure.DialContext(ctx, "tcp", option.InitAddress[0])
}

// once hands out a connection, and an error when rueidis would connect again: a
// connection that has ended is told to the sink.
func once(wire net.Conn) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	var mu sync.Mutex
	return func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		handed := wire
		wire = nil
		if handed == nil {
			return nil, errClosed
		}
		return handed, nil
	}
}

// wire tells when the connection ends, which rueidis keeps to itself while no
// request is in flight. rueidis reads all the time.
type wire struct {
	net.Conn
	ended func(error)
}

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.ended(fmt.Errorf("redis: %w", err))
	}
	return n, err
}

// Submit implements target.Conn.
func (c *conn) Submit(ops []target.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for i := range ops {
		c.waiting.add(c.client.B(), c.keys, &ops[i])
	}
	if c.delivering {
		return nil // it takes the batch up when the sink has returned
	}
	if b := c.take(); b != nil {
		go c.fly(b)
	}
	return nil
}

// take returns the batch that is to fly next, nil where there is none or no room.
// Its caller holds mu and sees that it flies.
func (c *conn) take() *batch {
	if c.err != nil || len(c.waiting.asked) == 0 || len(c.flying) == maxFlying {
		return nil
	}
	b := c.waiting
	c.flying = append(c.flying, b)
	c.waiting = new(batch)
	if last := len(c.spare) - 1; last >= 0 {
		c.waiting, c.spare = c.spare[last], c.spare[:last]
	}
	return b
}

// fly asks for one batch after the other, as long as there is one to take.
func (c *conn) fly(b *batch) {
	for b != nil {
		b.fly(c.client, c.pages)
		b = c.land(b)
	}
}

// land delivers a batch's answers, or leaves that to whoever is delivering, and
// returns the batch to go on with.
func (c *conn) land(b *batch) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.landed = true
	if c.delivering {
		return nil
	}
	c.delivering = true
	for c.gather() {
		c.mu.Unlock()
		c.sink.Replies(c.replies)
		c.mu.Lock()
	}
	c.delivering = false
	c.settle()
	return c.take()
}

// gather takes the oldest batches as far as they have landed, and reports whether
// there is something to deliver. Those delivered before are free again.
func (c *conn) gather() bool {
	for _, b := range c.delivered {
		b.reset()
		c.spare = append(c.spare, b)
	}
	c.delivered, c.replies = c.delivered[:0], c.replies[:0]
	for len(c.flying) > 0 && c.flying[0].landed {
		b := c.flying[0]
		c.flying = append(c.flying[:0], c.flying[1:]...)
		c.delivered = append(c.delivered, b)
		if c.closed || c.broken {
			continue
		}
		c.replies = append(c.replies, b.replies...)
		if b.broken != nil {
			c.broken = true
			c.fail(b.broken)
		}
	}
	return len(c.replies) > 0
}

// end notes that the connection has ended, and why.
func (c *conn) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(err)
	c.settle()
}

// fail ends the connection, unless it has ended already. Its caller holds mu and
// settles.
func (c *conn) fail(err error) {
	if c.err == nil {
		c.err = err
		go c.wire.Close() // TLS says goodbye first, which may take a while
	}
}

// settle calls Lost once the connection has ended and every batch has landed, the
// answers that came in time delivered. Its caller holds mu.
func (c *conn) settle() {
	if c.err == nil || !c.open || c.lost || c.delivering || len(c.flying) > 0 {
		return
	}
	c.lost = true
	err := c.err
	if c.closed {
		err = nil
	}
	go func() {
		c.client.Close()
		c.sink.Lost(err)
	}()
}

// Close implements target.Conn.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.fail(errClosed)
	c.settle()
	return nil
}
