package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"throng/bench/target"
)

var errClosed = errors.New("postgres: the connection is closed")

const unsupported = "unsupported"

// conn implements target.Conn: one connection to the server, in pipeline mode, with
// a Sync after each request: each is a transaction of its own. One goroutine, run,
// both sends and receives, in turn: a request that is submitted while it waits for
// an answer is sent when that has come.
type conn struct {
	pg       *pgconn.PgConn
	pipeline *pgconn.Pipeline
	prepared [statements]*pgconn.StatementDescription
	socket   net.Conn
	park     *parking
	pages    bool
	sink     target.Sink

	mu      sync.Mutex // guards what follows
	waiting requests   // submitted, not yet sent; bounded by the window
	err     error      // why the connection has ended or is about to; nil: it is not

	// Owned by run.
	sending requests
	flying  []target.Kind // sent, oldest first; refused marks what was not
	values  [3][]byte     // of one statement's parameters
	replies []target.Reply
	page    []target.Message // the replies' pages, one behind the other
}

// refused takes the place of the kind of a request that the server is not asked.
const refused target.Kind = target.Kinds

// requests is a batch of operations with their texts. It is used again.
type requests struct {
	ops   []target.Op // Text aliases texts, or what texts was before it grew
	texts []byte
}

func (r *requests) add(op *target.Op) {
	from := len(r.texts)
	r.texts = append(r.texts, op.Text...)
	r.ops = append(r.ops, *op)
	r.ops[len(r.ops)-1].Text = r.texts[from:]
}

func (r *requests) reset() { r.ops, r.texts = r.ops[:0], r.texts[:0] }

// Dial implements target.Target.
func (p *postgres) Dial(ctx context.Context, how target.Dial, sink target.Sink) (target.Conn, error) {
	pg, err := p.connect(ctx, how)
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg, socket: pg.Conn(), pages: how.Pages, sink: sink}
	if c.prepared, err = prepareAll(ctx, pg, p.schema); err == nil {
		c.park, err = newParking(c.socket)
	}
	if err != nil {
		return nil, errors.Join(err, pg.Close(ctx))
	}
	// The context of the pipeline is that of all its requests: it has no end but the
	// connection's own.
	c.pipeline = pg.StartPipeline(context.Background())
	go c.run()
	return c, nil
}

// Submit implements target.Conn.
func (c *conn) Submit(ops []target.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for i := range ops {
		c.waiting.add(&ops[i])
	}
	c.park.wake()
	return nil
}

// Close implements target.Conn.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = errClosed
		_ = c.socket.Close() // run learns of it whatever it waits for
	}
	return nil
}

// run serves the connection until it ends.
func (c *conn) run() {
	err := c.serve()
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	err = c.err
	c.mu.Unlock()
	_ = c.socket.Close() // so that pgx says goodbye to nobody, and at once
	_ = c.pipeline.Close()
	if errors.Is(err, errClosed) {
		err = nil
	}
	c.sink.Lost(err)
}

func (c *conn) serve() error {
	for {
		if err := c.send(); err != nil {
			return err
		}
		if len(c.flying) == 0 {
			if err := c.rest(); err != nil {
				return err
			}
			continue
		}
		if err := c.receive(); err != nil {
			return err
		}
	}
}

// rest waits, with nothing in flight, until a request is submitted or the connection
// ends.
func (c *conn) rest() error {
	c.mu.Lock()
	if len(c.waiting.ops) > 0 || c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	c.park.enter()
	c.mu.Unlock()
	spoken, err := c.park.wait()
	c.mu.Lock()
	c.park.leave()
	c.mu.Unlock()
	if err != nil || !spoken {
		return err
	}
	return c.listen()
}

// listen takes what the server says unasked, a notice or its goodbye: pgx reads it
// on the way to the answer to a Sync.
func (c *conn) listen() error {
	c.pipeline.SendPipelineSync()
	c.flying = append(c.flying, target.Ping)
	if err := c.pipeline.Flush(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	defer func() { c.replies = c.replies[:0] }()
	return c.answer()
}

// send sends all that waits.
func (c *conn) send() error {
	c.mu.Lock()
	if c.err != nil || len(c.waiting.ops) == 0 {
		defer c.mu.Unlock()
		return c.err
	}
	c.sending.reset()
	c.waiting, c.sending = c.sending, c.waiting
	c.mu.Unlock()
	for i := range c.sending.ops {
		c.ask(&c.sending.ops[i])
	}
	if err := c.pipeline.Flush(); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	return nil
}

// ask puts one request into the pipeline.
func (c *conn) ask(op *target.Op) {
	kind := op.Kind
	switch kind {
	case target.Send:
		c.put(int64(op.Chat), int64(op.User))
		c.values[2] = append(c.values[2][:0], op.Text...)
		c.query(insert)
	case target.Read, target.Receive:
		s, from := choose(kind, op.Index)
		c.put(int64(op.Chat), int64(op.Count), from)
		c.query(s)
	case target.Ping: // the Sync is all
	default:
		c.flying = append(c.flying, refused)
		return
	}
	c.pipeline.SendPipelineSync()
	c.flying = append(c.flying, kind)
}

// receive takes the oldest request's answer, and with it those that have come
// already, and delivers them.
func (c *conn) receive() error {
	c.replies, c.page = c.replies[:0], c.page[:0]
	err := c.answer()
	for err == nil && len(c.flying) > 0 && (c.flying[0] == refused || c.pg.Frontend().ReadBufferLen() > 0) {
		err = c.answer()
	}
	if len(c.replies) > 0 && !c.closing() {
		c.sink.Replies(c.replies)
	}
	return err
}

func (c *conn) closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Is(c.err, errClosed)
}
