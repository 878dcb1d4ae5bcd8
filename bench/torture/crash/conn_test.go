package crash_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"throng/codec"
)

// hangGuard ends a wait that would never end; nothing is measured by it.
const hangGuard = 60 * time.Second

// The sizes of a connection, in bytes.
const (
	readBytes  = 256 << 10
	replyBytes = 4 << 20 // of a reply; the server's limit is half of it
)

// conn is one connection, owned by one goroutine.
type conn struct {
	net.Conn
	cutter codec.Cutter
	buf    []byte
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
	return &conn{Conn: c, cutter: codec.NewCutter(replyBytes), buf: make([]byte, readBytes)}, nil
}

// next waits for the next answer, which is valid until the one after it.
func (c *conn) next() (*codec.Answer, error) {
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

// ask pipelines requests to a server that is not going to end, and shows each
// answer to see, with its number.
func (c *conn) ask(t *testing.T, requests [][]byte, see func(i int, a *codec.Answer)) {
	t.Helper()
	for start := 0; start < len(requests); start += window {
		part := requests[start:min(start+window, len(requests))]
		var out []byte
		for _, r := range part {
			out = append(out, r...)
		}
		if _, err := c.Write(out); err != nil {
			t.Fatalf("ask: %v", err)
		}
		for i := range part {
			a, err := c.next()
			if err != nil {
				t.Fatalf("ask: answer %d of %d: %v", start+i, len(requests), err)
			}
			see(start+i, a)
		}
	}
}

// window is the requests in flight of ask, and the most of a session.
const window = 128

// done reports whether an answer is a success.
func done(a *codec.Answer) bool { return a.State == codec.StateOK && !a.Failed }

// refused reports whether an answer is one of those that a loaded or draining
// server gives.
func refused(a *codec.Answer) bool {
	return a.State == codec.StateBusy || a.State == codec.StateDraining
}

// describe names an answer.
func describe(a *codec.Answer) string {
	return fmt.Sprintf("%d %s%s", a.State, a.Msg, a.Cause)
}
