package hostile_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/google/uuid"

	"throng/codec"
)

// hangGuard ends a wait that would never end; nothing is measured by it.
const hangGuard = 90 * time.Second

// The sizes of a connection, in bytes.
const (
	readBytes  = 64 << 10
	replyBytes = 4 << 20 // of a reply; the server's limit is half of it
)

// conn is one connection, read by one goroutine.
type conn struct {
	*net.TCPConn
	cutter codec.Cutter
	buf    []byte // made by the first read: thousands never read
	rest   []byte // what has come and is not yet cut
	answer codec.Answer
}

func dial(addr string) (*conn, error) {
	c, err := net.DialTimeout("tcp", addr, hangGuard)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(hangGuard)); err != nil {
		return nil, err
	}
	return &conn{TCPConn: c.(*net.TCPConn), cutter: codec.NewCutter(replyBytes)}, nil
}

// next waits for the next answer, which is valid until the one after it.
func (c *conn) next() (*codec.Answer, error) {
	if c.buf == nil {
		c.buf = make([]byte, readBytes)
	}
	for {
		body, rest, err := c.cutter.Cut(c.rest)
		if c.rest = rest; err != nil {
			return nil, err
		}
		if body != nil {
			return &c.answer, c.answer.Read(body)
		}
		n, err := c.Read(c.buf)
		if c.rest = c.buf[:n]; n == 0 && err != nil {
			return nil, err
		}
	}
}

// call asks one thing.
func (c *conn) call(request []byte) (*codec.Answer, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return c.next()
}

// skip reads and throws away n bytes.
func (c *conn) skip(n int64) error {
	_, err := io.CopyN(io.Discard, c.TCPConn, n)
	return err
}

// reset ends the connection with RST: nothing of what is on its way counts, and
// no port stays behind in TIME_WAIT.
func (c *conn) reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// succeed asks one thing after the other, in pipelines of window, and shows the
// answers to see. One that is no success is an error.
func (c *conn) succeed(requests [][]byte, see func(i int, a *codec.Answer)) error {
	for start := 0; start < len(requests); start += window {
		part := requests[start:min(start+window, len(requests))]
		var out []byte
		for _, r := range part {
			out = append(out, r...)
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
		for i := range part {
			a, err := c.next()
			if err != nil {
				return fmt.Errorf("answer %d of %d: %w", start+i, len(requests), err)
			}
			if !done(a) {
				return fmt.Errorf("answer %d of %d: %s", start+i, len(requests), describe(a))
			}
			see(start+i, a)
		}
	}
	return nil
}

// done reports whether an answer is a success.
func done(a *codec.Answer) bool { return a.State == codec.StateOK && !a.Failed }

// describe names an answer.
func describe(a *codec.Answer) string {
	return fmt.Sprintf("%d %s%s", a.State, a.Msg, a.Cause)
}

// user is one account.
type user struct {
	id    uuid.UUID
	token int64
}

func newUser() user { return user{uuid.New(), rand.Int64N(codec.MaxToken) + 1} }

func (u user) registration() []byte {
	return codec.AppendRegisterRequest(nil, u.id, u.token, nil)
}

// text makes a text of characters that JSON need not escape.
func text(s string) codec.Text {
	t, err := codec.NewText(s)
	if err != nil {
		panic(err)
	}
	return t
}
