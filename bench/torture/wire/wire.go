// Package wire is the client of the torture tests: one connection, as raw as their
// faults want it, that sends what it is told and reads one answer after the other.
// It knows nothing of what is promised; bench/check judges that.
package wire

import (
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/google/uuid"

	"throng/bench/target"
	"throng/codec"
)

// HangGuard ends a wait that would never end; nothing is measured by it. It is a
// connection's whole life.
const HangGuard = 90 * time.Second

// Window is the requests that Succeed keeps in flight.
const Window = 128

// The sizes of a connection, in bytes.
const (
	readBytes  = 64 << 10
	replyBytes = 4 << 20 // of a reply; the server's limit is half of it
)

// Conn is one connection. One goroutine reads it.
type Conn struct {
	*net.TCPConn
	cutter codec.Cutter
	buf    []byte // made by the first read: thousands never read
	rest   []byte // what has come and is not yet cut
	answer codec.Answer
}

// Dial connects to addr, host:port.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, HangGuard)
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Now().Add(HangGuard)); err != nil {
		return nil, err
	}
	return &Conn{TCPConn: c.(*net.TCPConn), cutter: codec.NewCutter(replyBytes)}, nil
}

// Next waits for the next answer, which is valid until the one after it.
func (c *Conn) Next() (*codec.Answer, error) {
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

// Call asks one thing.
func (c *Conn) Call(request []byte) (*codec.Answer, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	return c.Next()
}

// Ask asks one thing after the other, Window at a time, and shows each answer to
// see, with its number.
func (c *Conn) Ask(requests [][]byte, see func(i int, a *codec.Answer)) error {
	for start := 0; start < len(requests); start += Window {
		part := requests[start:min(start+Window, len(requests))]
		var out []byte
		for _, r := range part {
			out = append(out, r...)
		}
		if _, err := c.Write(out); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		for i := range part {
			a, err := c.Next()
			if err != nil {
				return fmt.Errorf("answer %d of %d: %w", start+i, len(requests), err)
			}
			see(start+i, a)
		}
	}
	return nil
}

// Succeed is Ask where an answer that is no success is an error.
func (c *Conn) Succeed(requests [][]byte, see func(i int, a *codec.Answer)) (err error) {
	asked := c.Ask(requests, func(i int, a *codec.Answer) {
		switch {
		case err != nil:
		case !Done(a):
			err = fmt.Errorf("answer %d of %d: %s", i, len(requests), Describe(a))
		default:
			see(i, a)
		}
	})
	if err == nil {
		err = asked
	}
	return err
}

// ReadBack reads a chat from the message behind after to the last, as a member of
// it, on a connection of its own, and shows each to visit: what check.Log wants. An
// index that does not rise is an error.
func ReadBack(addr string, member User, chat, after int64, visit func(index int64, hash uint64) error) error {
	c, err := Dial(addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	var shown []codec.Shown
	for {
		a, err := c.Call(codec.AppendReadRequest(nil, codec.Receive, member.Token, chat, after+1, codec.MaxCount))
		if err != nil {
			return err
		}
		if !a.Paged {
			return fmt.Errorf("read back: %s", Describe(a))
		}
		if shown, err = a.Messages(shown[:0]); err != nil || len(shown) == 0 {
			return err
		}
		for _, m := range shown {
			if err := visit(m.Index, target.Hash(m.Text)); err != nil {
				return err
			}
			if m.Index <= after {
				return fmt.Errorf("read back: index %d behind %d", m.Index, after)
			}
			after = m.Index
		}
	}
}

// Reset ends the connection with RST: nothing of what is on its way counts, and no
// port stays behind in TIME_WAIT.
func (c *Conn) Reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// Done reports whether an answer is a success.
func Done(a *codec.Answer) bool { return a.State == codec.StateOK && !a.Failed }

// Refused reports whether an answer is one of those that a loaded or draining
// server gives.
func Refused(a *codec.Answer) bool {
	return a.State == codec.StateBusy || a.State == codec.StateDraining
}

// Describe names an answer.
func Describe(a *codec.Answer) string { return fmt.Sprintf("%d %s%s", a.State, a.Msg, a.Cause) }

// User is one account.
type User struct {
	ID    uuid.UUID
	Token int64
}

// NewUser returns a user whom nobody else has.
func NewUser() User { return User{uuid.New(), rand.Int64N(codec.MaxToken) + 1} }

// Registration is the request that registers the user.
func (u User) Registration() []byte { return codec.AppendRegisterRequest(nil, u.ID, u.Token, nil) }
