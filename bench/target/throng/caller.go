package throng

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"throng/bench/target"
	"throng/codec"
)

// connectTimeout is for the connections that the Target itself uses.
const connectTimeout = 30 * time.Second

// caller is a connection that asks and waits for the answers: for what comes
// before and after a load. It belongs to one goroutine at a time.
type caller struct {
	conn   net.Conn
	frames frames
	answer codec.Answer
	shown  []codec.Shown
}

func (t *Target) dialCaller(ctx context.Context) (*caller, error) {
	conn, err := t.connect(ctx, target.Dial{Timeout: connectTimeout})
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, frames: newFrames(conn, windowSteps)}, nil
}

func (c *caller) close() { _ = c.conn.Close() }

// during lets the end of ctx end what f waits for; the connection is then of no
// more use.
func (c *caller) during(ctx context.Context, f func() error) error {
	stop := context.AfterFunc(ctx, c.close)
	err := f()
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// next waits for the next answer, which is valid until the one after it.
func (c *caller) next() (*codec.Answer, error) {
	for {
		body, err := c.frames.next()
		switch {
		case err != nil:
			return nil, err
		case body != nil:
			return &c.answer, c.answer.Read(body)
		}
		if err := c.frames.fill(); err != nil {
			return nil, err
		}
	}
}

// call asks one thing.
func (c *caller) call(ctx context.Context, request []byte) (a *codec.Answer, err error) {
	err = c.during(ctx, func() error {
		if _, err := c.conn.Write(request); err != nil {
			return err
		}
		a, err = c.next()
		return err
	})
	return a, err
}

// callPatiently asks one thing until the server is under its limits of load.
func (c *caller) callPatiently(ctx context.Context, request []byte) (*codec.Answer, error) {
	for {
		a, err := c.call(ctx, request)
		if err != nil || a.State != codec.StateBusy {
			return a, err
		}
		if err := sleep(ctx, busyWait(a)); err != nil {
			return nil, err
		}
	}
}

// The bounds of a wait after a 429, whatever the server says.
const (
	minBusyWait = time.Millisecond
	maxBusyWait = time.Second
)

func busyWait(a *codec.Answer) time.Duration {
	ms := min(a.RetryAfter, maxBusyWait.Milliseconds()) // before it can overflow
	return max(time.Duration(ms)*time.Millisecond, minBusyWait)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// maxIdle is how many callers a Target keeps; more are closed after use.
const maxIdle = 64

// pool holds the callers that are not in use.
type pool struct {
	mu   sync.Mutex
	idle []*caller
	shut bool
}

// get takes a caller; nil: there is none.
func (p *pool) get() *caller {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return c
}

// put gives back a caller that is not waiting for anything.
func (p *pool) put(c *caller) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut || len(p.idle) == maxIdle {
		c.close()
		return
	}
	p.idle = append(p.idle, c)
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
}
