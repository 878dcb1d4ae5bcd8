package fake_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"throng/bench/internal/fake"
	"throng/codec"
)

// patience is for what must come; no test waits so long but a failing one.
const patience = 20 * time.Second

// reply is any reply of the protocol.
type reply struct {
	State   int `json:"state_code"`
	Content struct {
		Msg    string  `json:"msg"`
		Cause  string  `json:"cause"`
		Token  int64   `json:"token"`
		Chat   int64   `json:"chat"`
		Index  int64   `json:"index"`
		Time   int64   `json:"time"`
		Values []value `json:"values"`
		More   bool    `json:"more"`
	} `json:"content"`
	raw string
}

// value is a message or a chat.
type value struct {
	ID      any    `json:"id"`
	Name    string `json:"name"`
	Content string `json:"content"`
	Index   int64  `json:"index"`
	Type    string `json:"type"`
	Last    int64  `json:"last"`
	Members int64  `json:"members"`
}

// client is one connection.
type client struct {
	t       testing.TB
	conn    net.Conn
	cutter  codec.Cutter
	pending []byte // read and not cut
}

func dial(t testing.TB, s *fake.Server) *client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err = conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, conn: conn, cutter: codec.NewCutter(1 << 24)}
}

// request is a request's body.
func request(service codec.Service, content string, args ...any) []byte {
	return fmt.Appendf(nil, `{"service_code":%d,"content":{%s}}`, service, fmt.Sprintf(content, args...))
}

// submit writes requests at once.
func (c *client) submit(bodies ...[]byte) {
	c.t.Helper()
	var frames []byte
	for _, body := range bodies {
		frames = codec.AppendFrame(frames, body)
	}
	if _, err := c.conn.Write(frames); err != nil {
		c.t.Fatal(err)
	}
}

// next reads the next reply's body; an error where the connection has ended.
func (c *client) next() ([]byte, error) {
	buf := make([]byte, 64<<10)
	for {
		body, rest, err := c.cutter.Cut(c.pending)
		if err != nil {
			c.t.Fatal(err)
		}
		c.pending = rest
		if body != nil {
			return body, nil
		}
		n, err := c.conn.Read(buf)
		if err != nil {
			return nil, err
		}
		c.pending = buf[:n]
	}
}

// receive reads the next reply.
func (c *client) receive() (r reply) {
	c.t.Helper()
	body, err := c.next()
	if err != nil {
		c.t.Fatalf("no reply: %v", err)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		c.t.Fatalf("reply %q: %v", body, err)
	}
	r.raw = string(body)
	return r
}

// ask submits one request and reads its reply.
func (c *client) ask(service codec.Service, content string, args ...any) reply {
	c.t.Helper()
	c.submit(request(service, content, args...))
	return c.receive()
}

// ended waits for the connection's end.
func (c *client) ended() {
	c.t.Helper()
	body, err := c.next()
	if err == nil {
		c.t.Fatalf("got %q, want the end of the connection", body)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal("the connection does not end")
	}
}

// group makes a group of one and returns its id.
func (c *client) group(token int64) int64 {
	c.t.Helper()
	r := c.ask(codec.Create, `"token":%d,"name":"g","is_group":true,"member":[]`, token)
	if r.Content.Chat == 0 {
		c.t.Fatalf("create: %s", r.raw)
	}
	return r.Content.Chat
}

// send sends one text and returns its index.
func (c *client) send(token, chat int64, text string) int64 {
	c.t.Helper()
	r := c.ask(codec.Send, `"token":%d,"chat":%d,"msg":%q`, token, chat, text)
	if r.State != 200 || r.Content.Msg != "success" {
		c.t.Fatalf("send: %s", r.raw)
	}
	return r.Content.Index
}

// texts returns what a reply shows, as "index text".
func (r *reply) texts() (list []string) {
	for _, v := range r.Content.Values {
		list = append(list, fmt.Sprintf("%d %s", v.Index, v.Content))
	}
	return list
}
