package throng

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"throng/bench/target"
	"throng/codec"
)

// keepOutBytes is the largest buffer for requests that is kept.
const keepOutBytes = 64 << 10

// conn is one connection of the load.
type conn struct {
	target *Target
	sink   target.Sink
	pages  bool
	fd     int

	mu    sync.Mutex // guards what follows; nothing waits while it is held
	asked []question // since the loop last looked
	rest  []byte     // requests that the socket had no room for
	ended bool       // fd is not used any more: it is closed, or will be by the loop
	why   error      // of ended; nil: Close

	// Owned by the loop.
	frames  frames
	waiting []question // asked, the oldest first, and not yet answered from first on
	first   int
}

// Dial opens a connection.
func (t *Target) Dial(ctx context.Context, how target.Dial, sink target.Sink) (target.Conn, error) {
	dialled, err := t.connect(ctx, how)
	if err != nil {
		return nil, err
	}
	s, err := newSocket(dialled)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &conn{target: t, sink: sink, pages: how.Pages, fd: int(s), frames: newFrames(s, how.Window)}
	if err := t.loops.join(c); err != nil {
		_ = unix.Close(c.fd)
		return nil, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

// Submit writes ops in one write. It never waits: what the socket has no room for is
// kept, and written by the loop when the server has read. That is bounded by the
// window, to which the caller keeps.
func (c *conn) Submit(ops []target.Op) error {
	buffer := c.target.out.Get().(*[]byte)
	defer c.target.out.Put(buffer)
	out := (*buffer)[:0]
	for i := range ops {
		out = c.append(out, &ops[i])
	}
	if *buffer = out; cap(out) > keepOutBytes {
		*buffer = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errEnded
	}
	for i := range ops { // before they are written, so that no answer comes first
		c.asked = append(c.asked, question{ops[i].Kind, uint16(min(ops[i].Count, codec.MaxCount))})
	}
	if len(c.rest) > 0 {
		c.rest = append(c.rest, out...)
		return nil
	}
	rest, err := socket(c.fd).write(out)
	if err != nil {
		c.end(err)
		return err
	}
	c.rest = append(c.rest, rest...)
	return nil
}

// flush writes what Submit could not. An error means that the connection has ended.
func (c *conn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || len(c.rest) == 0 {
		return c.over()
	}
	rest, err := socket(c.fd).write(c.rest)
	if len(rest) == 0 {
		rest = nil // and the memory is free
	}
	c.rest = rest
	return err
}

// append writes one operation as a request.
func (c *conn) append(dst []byte, op *target.Op) []byte {
	t := c.target
	switch op.Kind {
	case target.Send:
		return codec.AppendSend(dst, &t.users[op.User].digits, &t.chats[op.Chat].digits, op.Text, nil)
	case target.Read:
		return codec.AppendReadRequest(dst, codec.GetChat, t.users[op.User].token, t.chats[op.Chat].id, op.Index, op.Count)
	case target.Receive:
		return codec.AppendReadRequest(dst, codec.Receive, t.users[op.User].token, t.chats[op.Chat].id, op.Index, op.Count)
	case target.Register:
		u := newUser()
		return codec.AppendRegisterRequest(dst, u.id, u.token, nil)
	case target.Login:
		u := &t.users[op.User]
		return codec.AppendLoginRequest(dst, u.id, u.token)
	case target.Ping:
		return codec.AppendPingRequest(dst)
	default:
		panic(fmt.Sprintf("throng: an operation of kind %d", op.Kind))
	}
}

// errEnded is what a connection that has ended says to who goes on using it.
var errEnded = errors.New("the connection has ended")

func (c *conn) over() error {
	if c.ended {
		return errEnded
	}
	return nil
}

// Close ends the connection; the loop tells the sink.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(nil)
	return nil
}

// end ends the connection for a reason, the first of which counts, and wakes the
// loop. Its caller holds mu.
func (c *conn) end(why error) {
	if !c.ended {
		c.ended, c.why = true, why
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	}
}

// close is for the loop: it gives up the socket, and with it the right to use fd.
func (c *conn) close(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended, c.why = true, why
	}
	c.rest = nil
	_ = unix.Close(c.fd)
}

// takeIn reads once, and on where the buffer was filled, or where what is behind
// must be seen: epoll tells only what is new. Of each read it hands over the answers
// that have come whole, all at once. After one that cannot be read the connection is
// of no use, but those before it count.
func (c *conn) takeIn(in *inbox, toTheEnd bool) error {
	for more := true; more; more = c.frames.full || toTheEnd {
		c.frames.borrow(in.buf)
		err := c.frames.fill()
		if err == nil {
			in.replies, in.messages = in.replies[:0], in.messages[:0]
			err = c.readAll(in)
			c.frames.giveBack()
			if len(in.replies) > 0 {
				c.sink.Replies(in.replies)
			}
		} else {
			c.frames.giveBack()
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

func (c *conn) readAll(in *inbox) error {
	for {
		body, err := c.frames.next()
		if body == nil || err != nil {
			return err
		}
		if c.first == len(c.waiting) {
			if err := c.takeAsked(); err != nil {
				return err
			}
		}
		q := c.waiting[c.first]
		c.first++
		in.replies = append(in.replies, target.Reply{})
		r := &in.replies[len(in.replies)-1]
		r.Bytes = headerBytes + len(body)
		if q.kind == target.Send {
			if index, ok := codec.ReadSent(body); ok && index > 0 {
				r.Index = index
				continue
			}
		}
		if err := c.read(in, body, q, r); err != nil {
			in.replies = in.replies[:len(in.replies)-1]
			return fmt.Errorf("answer to a %v: %w", q.kind, err)
		}
	}
}

// takeAsked takes over what was asked since all that was waiting has been answered.
func (c *conn) takeAsked() error {
	c.mu.Lock()
	c.waiting, c.asked, c.first = c.asked, c.waiting[:0], 0
	c.mu.Unlock()
	if len(c.waiting) == 0 {
		return errors.New("an answer to nothing that was asked")
	}
	return nil
}

// read reads one answer. An error means that it is none to that question.
func (c *conn) read(in *inbox, body []byte, q question, r *target.Reply) error {
	if c.pages && (q.kind == target.Read || q.kind == target.Receive) {
		return c.readPage(in, body, q, r)
	}
	return c.readAnswer(in, body, q, r)
}

func (c *conn) readAnswer(in *inbox, body []byte, q question, r *target.Reply) error {
	a := &in.answer
	if err := a.Read(body); err != nil {
		return err
	}
	if why := refusal(a); why != "" {
		r.Status, r.Error = target.Refused, why
		return nil
	}
	switch q.kind {
	case target.Send:
		if r.Index = a.Index; r.Index == 0 {
			return errors.New("no index")
		}
	case target.Read, target.Receive:
		if !a.Paged {
			return errors.New("no values")
		}
	default:
	}
	return nil
}

// readPage reads the answer to a read with the messages that it shows.
func (c *conn) readPage(in *inbox, body []byte, q question, r *target.Reply) error {
	start := len(in.messages)
	p, known := in.seen.at(body)
	if known {
		in.messages = append(in.messages, p.messages...)
	} else {
		if err := c.readAnswer(in, body, q, r); err != nil || r.Status == target.Refused {
			return err
		}
		var err error
		if in.shown, err = in.answer.Messages(in.shown[:0]); err != nil {
			return err
		}
		for i := range in.shown {
			m := &in.shown[i]
			in.messages = append(in.messages, target.Message{Index: m.Index, Hash: target.Hash(m.Text)})
		}
		p.remember(body, in.messages[start:])
	}
	r.Page = in.messages[start:len(in.messages):len(in.messages)]
	r.Cut = len(r.Page) < int(q.count) && len(body) > c.target.certainBytes()
	return nil
}

// How large a message may be in a page under the protocol's default limits: every
// byte of its text and of its sender's name may be written in six.
const maxValueBytes = 6*(64<<10+256) + 200

// certainBytes is the largest body of a short page that was surely not cut: one
// message more, however large, would have found room.
func (t *Target) certainBytes() int {
	limit := t.ReplyBytes
	if limit == 0 {
		limit = 2 << 20
	}
	return limit - maxValueBytes
}

// question is what the loop must know of an operation to read its answer.
type question struct {
	kind  target.Kind
	count uint16 // of a read: messages at most
}

// user is a registered user.
type user struct {
	id     uuid.UUID
	token  int64
	digits codec.Digits // of token
}

// chat is a chat as the server numbers it.
type chat struct {
	id     int64
	digits codec.Digits // of id
}

func newChat(id int64) chat { return chat{id, codec.DigitsOf(id)} }

// newUser makes a user that no other run makes, whatever its seed: the runtime
// seeds each process's generator from the system's randomness.
func newUser() (u user) {
	for i := 0; i < len(u.id); i += 8 {
		half := rand.Uint64()
		for j := range 8 {
			u.id[i+j] = byte(half >> (8 * j))
		}
	}
	u.id[6] = u.id[6]&0x0f | 0x40 // version 4
	u.id[8] = u.id[8]&0x3f | 0x80 // variant of RFC 9562
	u.token = 1 + rand.Int64N(codec.MaxToken)
	u.digits = codec.DigitsOf(u.token)
	return u
}
