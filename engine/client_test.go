package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"throng/codec"
	"throng/shards"
)

// client is a connection to a server. It belongs to one goroutine, but for its
// reading half, which may be another's.
type client struct {
	conn *net.TCPConn
	in   *bufio.Reader
	body []byte
}

func dial(t tb, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{conn: conn.(*net.TCPConn), in: bufio.NewReaderSize(conn, 64<<10)}
}

// send writes requests, all at once.
func (c *client) send(t tb, requests ...string) {
	t.Helper()
	if _, err := c.conn.Write(frames(requests...)); err != nil {
		t.Fatal(err)
	}
}

func frames(requests ...string) (all []byte) {
	for _, r := range requests {
		all = codec.AppendFrame(all, []byte(r))
	}
	return all
}

// read returns the next reply's body, good until the next.
func (c *client) read() ([]byte, error) {
	header, err := c.in.Peek(4)
	if err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint32(header))
	_, _ = c.in.Discard(4)
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	_, err = io.ReadFull(c.in, c.body[:length])
	return c.body[:length], err
}

// call sends one request and returns the reply's body, good until the next.
func (c *client) call(t tb, request string) []byte {
	t.Helper()
	c.send(t, request)
	reply, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// expect reads replies, each of which must be as wanted: see like.
func (c *client) expect(t tb, want ...string) {
	t.Helper()
	for i, w := range want {
		got, err := c.read()
		if err != nil {
			t.Fatalf("reply %d: %v, want %s", i, err, w)
		}
		if !like(string(got), w) {
			t.Fatalf("reply %d is\n%.500s, want\n%.500s", i, got, w)
		}
	}
}

// expectEnd makes sure that nothing more comes but the connection's end.
func (c *client) expectEnd(t tb) {
	t.Helper()
	got, err := c.read()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %q, %v, want the connection's end", got, err)
	}
}

// asks sends requests and expects a reply to each.
func (c *client) asks(t tb, request, want string) {
	t.Helper()
	c.send(t, request)
	c.expect(t, want)
}

// vanish ends the connection as a crashed machine's kernel would: by a RST.
func (c *client) vanish(t tb) {
	t.Helper()
	if err := errors.Join(c.conn.SetLinger(0), c.conn.Close()); err != nil {
		t.Fatal(err)
	}
}

// like reports whether a reply is as wanted, where # stands for any number.
func like(got, want string) bool {
	for {
		fixed, rest, more := strings.Cut(want, "#")
		if !strings.HasPrefix(got, fixed) {
			return false
		}
		got = got[len(fixed):]
		if !more {
			return got == ""
		}
		after := strings.TrimLeft(got, "0123456789")
		if after == got {
			return false
		}
		got, want = after, rest
	}
}

// The replies, but for those that carry messages or chats.
const (
	success      = `{"state_code":200,"content":{"msg":"success"}}`
	created      = `{"state_code":200,"content":{"msg":"success","chat":#}}`
	issued       = `{"state_code":200,"content":{"msg":"success","token":#}}`
	pong         = `{"state_code":200,"content":{"msg":"success","time":#}}`
	noChats      = `{"state_code":200,"content":{"values":[],"more":false}}`
	failedLogin  = `{"state_code":200,"content":{"msg":"failed","cause":"wrong id or token"}}`
	failedTaken  = `{"state_code":200,"content":{"msg":"failed","cause":"id or token already in use"}}`
	failedMember = `{"state_code":200,"content":{"msg":"failed","cause":"a member is not registered"}}`
	state400     = `{"state_code":400,"content":{"msg":"the body is not a JSON object"}}`
	state401     = `{"state_code":401,"content":{"msg":"the token belongs to nobody"}}`
	state404     = `{"state_code":404,"content":{"msg":"no such chat"}}`
	noService    = `{"state_code":404,"content":{"msg":"no such service_code"}}`
	state413     = `{"state_code":413,"content":{"msg":"the frame's length is 0 or over the limit"}}`
	state429     = `{"state_code":429,"content":{"msg":"too many requests","retry_after_ms":100}}`
	state500     = `{"state_code":500,"content":{"msg":"internal error"}}`
	state503     = `{"state_code":503,"content":{"msg":"shutting down"}}`
	state507     = `{"state_code":507,"content":{"msg":"the server's disk is nearly full"}}`
	ping         = `{"service_code":100,"content":{}}`
	nonsense     = `[]` // a 400
)

func sent(index int) string {
	return fmt.Sprintf(`{"state_code":200,"content":{"msg":"success","index":%d}}`, index)
}

func createdAs(chat int64) string {
	return fmt.Sprintf(`{"state_code":200,"content":{"msg":"success","chat":%d}}`, chat)
}

// person is a user, and puts its requests into words.
type person struct {
	id    uuid.UUID
	token int64
}

var tokens atomic.Int64

// stranger returns a person whom no server knows.
func stranger() person { return person{uuid.New(), tokens.Add(1)} }

// newcomer registers a person.
func (c *client) newcomer(t tb) person {
	t.Helper()
	p := stranger()
	c.asks(t, p.registers(), success)
	return p
}

// newChat creates a group of p's.
func (c *client) newChat(t tb, p person) (chat int64) {
	t.Helper()
	reply := c.call(t, p.creates())
	if _, err := fmt.Sscanf(string(reply), strings.ReplaceAll(created, "#", "%d"), &chat); err != nil {
		t.Fatalf("create answered %s: %v", reply, err)
	}
	return chat
}

// newChatIn creates groups of p's until one belongs to the shard.
func (s *server) newChatIn(t tb, c *client, p person, shard shards.Target) int64 {
	t.Helper()
	for {
		if chat := c.newChat(t, p); s.store.ShardOf(chat) == shard {
			return chat
		}
	}
}

func (p person) logsIn() string {
	return fmt.Sprintf(`{"service_code":1,"content":{"id":%q,"token":%d}}`, p.id, p.token)
}

func (p person) registers() string {
	return fmt.Sprintf(`{"service_code":2,"content":{"id":%q,"token":%d}}`, p.id, p.token)
}

func (p person) registersWithoutToken() string {
	return fmt.Sprintf(`{"service_code":2,"content":{"id":%q}}`, p.id)
}

func (p person) reads(chat, index int64, count int) string {
	return fmt.Sprintf(`{"service_code":3,"content":{"token":%d,"chat":%d,"index":%d,"count":%d}}`,
		p.token, chat, index, count)
}

func (p person) findsChats(after int64) string {
	return fmt.Sprintf(`{"service_code":4,"content":{"token":%d,"after":%d}}`, p.token, after)
}

func (p person) says(chat int64, text string) string {
	return fmt.Sprintf(`{"service_code":5,"content":{"token":%d,"chat":%d,"msg":%q}}`, p.token, chat, text)
}

func (p person) joins(chat int64) string {
	return fmt.Sprintf(`{"service_code":6,"content":{"token":%d,"chat":%d}}`, p.token, chat)
}

func (p person) creates(members ...person) string {
	return fmt.Sprintf(`{"service_code":7,"content":{"token":%d,"name":"g","is_group":true,"member":[%s]}}`,
		p.token, idsOf(members))
}

func (p person) pairsWith(members ...person) string {
	return fmt.Sprintf(`{"service_code":7,"content":{"token":%d,"name":"p","is_group":false,"member":[%s]}}`,
		p.token, idsOf(members))
}

func (p person) receives(chat, index int64, count int) string {
	return fmt.Sprintf(`{"service_code":9,"content":{"token":%d,"chat":%d,"index":%d,"count":%d}}`,
		p.token, chat, index, count)
}

func idsOf(members []person) string {
	var ids []string
	for _, m := range members {
		ids = append(ids, fmt.Sprintf(`{"id":%q}`, m.id))
	}
	return strings.Join(ids, ",")
}
