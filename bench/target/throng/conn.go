package throng

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/google/uuid"

	"throng/bench/target"
	"throng/codec"
)

// keepOutBytes is the largest buffer for requests that is kept.
const keepOutBytes = 64 << 10

// conn is one connection of the load.
type conn struct {
	target *Target
	socket net.Conn
	sink   target.Sink
	asked  asked
	end    end

	// Owned by run.
	frames   frames
	pages    bool
	waiting  []question // asked, the oldest first, and not yet answered from first on
	first    int
	answer   codec.Answer
	replies  []target.Reply
	shown    []codec.Shown
	messages []target.Message // the pages of replies
}

// Dial opens a connection.
func (t *Target) Dial(ctx context.Context, how target.Dial, sink target.Sink) (target.Conn, error) {
	socket, err := t.connect(ctx, how)
	if err != nil {
		return nil, err
	}
	c := &conn{target: t, socket: socket, sink: sink, pages: how.Pages, frames: newFrames(socket, how.Window)}
	go c.run()
	return c, nil
}

// Submit writes ops in one write. It waits only where the socket's buffer is full,
// and not for ever: Throng reads on, whatever it has to answer.
func (c *conn) Submit(ops []target.Op) error {
	c.asked.push(ops)
	buffer := c.target.out.Get().(*[]byte)
	defer c.target.out.Put(buffer)
	out := (*buffer)[:0]
	for i := range ops {
		out = c.append(out, &ops[i])
	}
	if *buffer = out; cap(out) > keepOutBytes {
		*buffer = nil
	}
	if _, err := c.socket.Write(out); err != nil {
		return c.shut(fmt.Errorf("write: %w", err))
	}
	return nil
}

// append writes one operation as a request.
func (c *conn) append(dst []byte, op *target.Op) []byte {
	t := c.target
	switch op.Kind {
	case target.Send:
		return codec.AppendSendRequest(dst, t.users[op.User].token, t.chats[op.Chat], op.Text, nil)
	case target.Read:
		return codec.AppendReadRequest(dst, codec.GetChat, t.users[op.User].token, t.chats[op.Chat], op.Index, op.Count)
	case target.Receive:
		return codec.AppendReadRequest(dst, codec.Receive, t.users[op.User].token, t.chats[op.Chat], op.Index, op.Count)
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

// Close ends the connection; run tells the sink.
func (c *conn) Close() error {
	_ = c.shut(nil)
	return nil
}

// shut ends the connection for a reason, and returns the reason.
func (c *conn) shut(why error) error {
	c.end.set(why)
	_ = c.socket.Close() // wakes run
	return why
}

// run takes in replies until the connection ends.
func (c *conn) run() {
	var err error
	for err == nil {
		if err = c.frames.fill(); err == nil {
			err = c.takeIn()
		}
	}
	_ = c.shut(err)
	c.sink.Lost(c.end.why)
}

// takeIn hands over the answers that have come whole, all at once. After one that
// cannot be read the connection is of no use, but those before it count.
func (c *conn) takeIn() error {
	c.replies, c.messages = c.replies[:0], c.messages[:0]
	err := c.readAll()
	if len(c.replies) > 0 {
		c.sink.Replies(c.replies)
	}
	return err
}

func (c *conn) readAll() error {
	for {
		body, err := c.frames.next()
		if body == nil || err != nil {
			return err
		}
		q, err := c.question()
		if err != nil {
			return err
		}
		c.replies = append(c.replies, target.Reply{Bytes: headerBytes + len(body)})
		if err := c.read(body, q, &c.replies[len(c.replies)-1]); err != nil {
			c.replies = c.replies[:len(c.replies)-1]
			return fmt.Errorf("answer to a %v: %w", q.kind, err)
		}
	}
}

// question is the oldest that is not answered.
func (c *conn) question() (question, error) {
	if c.first == len(c.waiting) {
		c.waiting, c.first = c.asked.swap(c.waiting), 0
	}
	if len(c.waiting) == 0 {
		return question{}, errors.New("an answer to nothing that was asked")
	}
	c.first++
	return c.waiting[c.first-1], nil
}

// read reads one answer. An error means that it is none to that question.
func (c *conn) read(body []byte, q question, r *target.Reply) error {
	a := &c.answer
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
		return c.readPage(len(body), q, r)
	default:
	}
	return nil
}

func (c *conn) readPage(bodyBytes int, q question, r *target.Reply) error {
	switch {
	case !c.answer.Paged:
		return errors.New("no values")
	case !c.pages:
		return nil
	}
	var err error
	if c.shown, err = c.answer.Messages(c.shown[:0]); err != nil {
		return err
	}
	start := len(c.messages)
	for i := range c.shown {
		m := &c.shown[i]
		c.messages = append(c.messages, target.Message{Index: m.Index, Hash: target.Hash(m.Text)})
	}
	r.Page = c.messages[start:len(c.messages):len(c.messages)]
	r.Cut = len(r.Page) < q.count && bodyBytes > c.target.certainBytes()
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

// question is what the reader must know of an operation to read its answer.
type question struct {
	kind  target.Kind
	count int // of a read: messages at most
}

// asked is what Submit hands to the reader: what was asked since the reader last
// looked. It holds Dial.Window questions at most, since the caller keeps to that.
type asked struct {
	mu   sync.Mutex
	list []question
}

// push notes ops before they are written, so that no answer comes first.
func (a *asked) push(ops []target.Op) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range ops {
		a.list = append(a.list, question{ops[i].Kind, min(ops[i].Count, codec.MaxCount)})
	}
}

// swap gives the list to the reader, for one that is used up.
func (a *asked) swap(used []question) []question {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.list
	a.list = used[:0]
	return list
}

// end is why a connection has ended: the first reason counts, and nil is Close.
type end struct {
	once sync.Once
	why  error
}

func (e *end) set(why error) { e.once.Do(func() { e.why = why }) }

// user is a registered user.
type user struct {
	id    uuid.UUID
	token int64
}

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
	return u
}
