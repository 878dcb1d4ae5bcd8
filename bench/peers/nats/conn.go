package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"throng/bench/target"
)

// What is refused without asking the server, and by it.
const (
	unsupported   = "unsupported"
	noResponders  = "no responders" // no stream takes the subject
	tooLarge      = "message too large"
	refusedHeader = "Throng-Refused" // of an answer that we give ourselves
)

const statusNoResponders = "503"

var errClosed = errors.New("nats: the connection is closed")

// conn implements target.Conn: one connection to the server. Each request is
// numbered, and its answer comes to a subject that ends in its number.
type conn struct {
	server *server
	nc     *nats.Conn
	sink   target.Sink
	inbox  string         // what the answers' subjects begin with
	answer chan *nats.Msg // room for the window: each request has one answer
	closed chan struct{}  // nats.go has given the connection up
	ours   atomic.Bool    // because Close was called

	next uint64 // number of the next request. Owned by Submit

	// Owned by collect.
	first   uint64         // number of the oldest request that has no answer
	early   []target.Reply // answers by number modulo the window, ahead of their turn
	here    []bool         // which of early are
	replies []target.Reply
}

// Dial implements target.Target.
func (s *server) Dial(ctx context.Context, how target.Dial, sink target.Sink) (target.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	window := max(how.Window, 1)
	c := &conn{
		server: s, sink: sink,
		answer: make(chan *nats.Msg, window), closed: make(chan struct{}),
		early: make([]target.Reply, window), here: make([]bool, window),
	}
	ended := nats.ClosedHandler(func(*nats.Conn) { close(c.closed) })
	var err error
	if c.nc, err = s.connect(ctx, how, ended, nats.SkipSubjectValidation()); err != nil {
		return nil, err
	}
	c.inbox = c.nc.NewInbox() + "."
	// It goes ahead of the requests on the same connection: the server knows it when
	// the first one comes.
	if _, err := c.nc.ChanSubscribe(c.inbox+"*", c.answer); err != nil {
		c.nc.Close()
		return nil, fmt.Errorf("subscribe to the answers: %w", err)
	}
	go c.collect()
	return c, nil
}

// Submit implements target.Conn.
func (c *conn) Submit(ops []target.Op) error {
	for i := range ops {
		reply := c.inbox + strconv.FormatUint(c.next, 10)
		c.next++
		if err := c.submit(&ops[i], reply); err != nil {
			c.nc.Close()
			return err
		}
	}
	return nil
}

// submit publishes one message. What is refused here goes the way of an answer.
func (c *conn) submit(op *target.Op, reply string) error {
	refusal := unsupported
	if op.Kind == target.Send {
		err := c.nc.PublishRequest(c.server.chats[op.Chat], reply, op.Text)
		if err == nil {
			return nil
		}
		if !errors.Is(err, nats.ErrMaxPayload) {
			return fmt.Errorf("publish: %w", err)
		}
		refusal = tooLarge
	}
	if c.nc.IsClosed() {
		return errClosed
	}
	select {
	case c.answer <- &nats.Msg{Subject: reply, Header: nats.Header{refusedHeader: {refusal}}}:
		return nil
	default:
		return errors.New("nats: more requests in flight than the window")
	}
}

// collect gives the answers to the sink, all that have come at a time, until the
// connection has ended.
func (c *conn) collect() {
	err := c.collectAll()
	c.nc.Close()
	if c.ours.Load() {
		err = nil
	}
	c.sink.Lost(err)
}

func (c *conn) collectAll() error {
	for {
		select {
		case m := <-c.answer:
			if err := c.take(m); err != nil {
				return err
			}
		case <-c.closed:
			return c.collectRest()
		}
	}
}

// collectRest delivers the answers that came before the end, and says why it ended.
func (c *conn) collectRest() error {
	if !c.ours.Load() && len(c.answer) > 0 {
		if err := c.take(<-c.answer); err != nil {
			return err
		}
	}
	if err := c.nc.LastError(); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	return errClosed
}

// take delivers an answer, and with it all that wait behind it, as far as it is
// their turn.
func (c *conn) take(m *nats.Msg) error {
	c.replies = c.replies[:0]
	for n := len(c.answer); ; n-- {
		if err := c.place(m); err != nil {
			return err
		}
		if n == 0 {
			break
		}
		m = <-c.answer
	}
	if len(c.replies) > 0 {
		c.sink.Replies(c.replies)
	}
	return nil
}

// place puts an answer in its place and takes out those whose turn it is.
func (c *conn) place(m *nats.Msg) error {
	number, err := strconv.ParseUint(m.Subject[len(c.inbox):], 10, 64)
	window := uint64(len(c.early))
	if err != nil || number < c.first || number-c.first >= window || c.here[number%window] {
		return fmt.Errorf("nats: answer to no request of ours: %s", m.Subject)
	}
	if c.early[number%window], err = parseAnswer(m); err != nil {
		return err
	}
	c.here[number%window] = true
	for ; c.here[c.first%window]; c.first++ {
		c.here[c.first%window] = false
		c.replies = append(c.replies, c.early[c.first%window])
	}
	return nil
}

// ack is JetStream's answer to a publication.
type ack struct {
	Sequence int64 `json:"seq"`
	Error    *struct {
		Code int `json:"err_code"`
	} `json:"error"`
}

func parseAnswer(m *nats.Msg) (target.Reply, error) {
	if m.Header != nil {
		if refusal := m.Header.Get(refusedHeader); refusal != "" {
			return target.Reply{Status: target.Refused, Error: refusal}, nil
		}
		if m.Header.Get(statusHeader) == statusNoResponders {
			return target.Reply{Status: target.Refused, Error: noResponders}, nil
		}
	}
	var a ack
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return target.Reply{}, fmt.Errorf("nats: acknowledgement: %w", err)
	}
	if a.Error != nil {
		return target.Reply{Status: target.Refused, Error: "err_code " + strconv.Itoa(a.Error.Code)}, nil
	}
	if a.Sequence < 1 {
		return target.Reply{}, fmt.Errorf("nats: acknowledgement without a sequence number: %q", m.Data)
	}
	return target.Reply{Index: a.Sequence}, nil
}

// Close implements target.Conn.
func (c *conn) Close() error {
	c.ours.Store(true)
	c.nc.Close()
	return nil
}
