// The tests' client: frames by hand, so that a test can send what no decent client would, and a few verbs (register,
// create, send, read) for all that leads up to the point of a test.

package main_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	login    = 1
	register = 2
	getChat  = 3
	find     = 4
	send     = 5
	join     = 6
	create   = 7
	receive  = 9
	ping     = 100
)

// pingRequest is the smallest request that succeeds.
const pingRequest = `{"service_code":100,"content":{}}`

// maxChat is the highest chat id: 2^53-1, what every JSON reader holds exactly.
const maxChat = 1<<53 - 1

// fields is a request's content; a json.RawMessage in it is sent as it stands.
type fields map[string]any

// client is one connection. Every read and write on it is under the hang guard.
type client struct {
	conn *net.TCPConn
	in   *bufio.Reader
}

func (s *server) dial(t testing.TB) *client {
	t.Helper()
	c, err := dial(s.addr())
	must(t, err)
	t.Cleanup(c.close)
	return c
}

func dial(addr string) (*client, error) {
	conn, err := net.DialTimeout("tcp", addr, hangGuard)
	if err != nil {
		return nil, err
	}
	return &client{conn.(*net.TCPConn), bufio.NewReader(conn)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// request writes a body without escaping anything that JSON lets stand.
func request(code int, content any) string {
	var body strings.Builder
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]any{"service_code": code, "content": content}); err != nil {
		panic("request: " + err.Error())
	}
	return strings.TrimSuffix(body.String(), "\n")
}

// frames puts a length before each body.
func frames(bodies ...string) []byte {
	var b []byte
	for _, body := range bodies {
		b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
	}
	return b
}

func (c *client) tryWrite(b []byte) error {
	_ = c.conn.SetWriteDeadline(time.Now().Add(hangGuard))
	_, err := c.conn.Write(b)
	return err
}

func (c *client) write(t testing.TB, b []byte) {
	t.Helper()
	must(t, c.tryWrite(b))
}

// tryRead reads one reply. A closed connection is io.EOF or, where it was reset, the system's error.
func (c *client) tryRead() (reply, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(hangGuard))
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return reply{}, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c.in, body); err != nil {
		return reply{}, fmt.Errorf("reply cut short: %w", err)
	}
	return parseReply(string(body))
}

func (c *client) read(t testing.TB) reply {
	t.Helper()
	r, err := c.tryRead()
	must(t, err)
	return r
}

func (c *client) tryAsk(body string) (reply, error) {
	if err := c.tryWrite(frames(body)); err != nil {
		return reply{}, err
	}
	return c.tryRead()
}

// ask sends one body as it stands and reads its reply.
func (c *client) ask(t testing.TB, body string) reply {
	t.Helper()
	r, err := c.tryAsk(body)
	if err != nil {
		t.Fatalf("%s: %v", brief(body), err)
	}
	return r
}

// call asks for one service.
func (c *client) call(t testing.TB, code int, content fields) reply {
	t.Helper()
	return c.ask(t, request(code, content))
}

// pipeline sends all bodies in one write and reads all their replies.
func (c *client) pipeline(t testing.TB, bodies ...string) []reply {
	t.Helper()
	c.write(t, frames(bodies...))
	replies := make([]reply, len(bodies))
	for i := range bodies {
		replies[i] = c.read(t)
	}
	return replies
}

// served checks that the server is there for this client.
func (c *client) served(t testing.TB) {
	t.Helper()
	succeeded(t, c.ask(t, pingRequest))
}

// closed checks that the server ends the connection without a further reply. A reset is an end, silence is none.
func (c *client) closed(t testing.TB) {
	t.Helper()
	r, err := c.tryRead()
	if err == nil {
		t.Fatalf("a reply where the connection should be closed: %s", r)
	}
	if timedOut(err) {
		t.Fatal("the connection is still open")
	}
}

func timedOut(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// served checks that the next client is served, whatever the one before did.
func (s *server) served(t testing.TB) {
	t.Helper()
	if !s.running() {
		t.Fatal("the server is gone")
	}
	eventually(t, "the next client is served", func() bool { return s.tryServe() == nil })
}

// tryServe opens a connection, pings and closes.
func (s *server) tryServe() error {
	c, err := dial(s.addr())
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.tryAsk(pingRequest)
	return err
}

// reply is one reply: its body and what it holds. Numbers are json.Number.
type reply struct {
	body    string
	code    int
	content map[string]any
}

func (r reply) String() string { return brief(r.body) }

func brief(body string) string {
	if len(body) > 300 {
		return fmt.Sprintf("%s … (%d bytes)", body[:300], len(body))
	}
	return body
}

// parseReply takes nothing but {"state_code": S, "content": {…}} in valid UTF-8.
func parseReply(body string) (reply, error) {
	var envelope struct {
		StateCode *int            `json:"state_code"`
		Content   *map[string]any `json:"content"`
	}
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&envelope); err != nil {
		return reply{}, fmt.Errorf("reply %s: %w", brief(body), err)
	}
	if decoder.More() || envelope.StateCode == nil || envelope.Content == nil || !utf8.ValidString(body) {
		return reply{}, fmt.Errorf("reply %q is no envelope", brief(body))
	}
	return reply{body, *envelope.StateCode, *envelope.Content}, nil
}

// succeeded checks a 200 with the seed's "success" (services 3 and 4 have none).
func succeeded(t testing.TB, r reply) {
	t.Helper()
	if r.code != 200 || r.content["msg"] != "success" {
		t.Fatalf("reply %s, want a success", r)
	}
}

// failed checks the seed's failure: 200, "failed", a cause, and nothing else. It returns the cause.
func failed(t testing.TB, r reply) string {
	t.Helper()
	cause, _ := r.content["cause"].(string)
	if r.code != 200 || r.content["msg"] != "failed" || cause == "" || len(r.content) != 2 {
		t.Fatalf("reply %s, want 200 failed with a cause", r)
	}
	return cause
}

// refused checks the seed's other failure: a code and a message, and beside a 429 when to try again. It returns the message.
func refused(t testing.TB, r reply, code int) string {
	t.Helper()
	msg, _ := r.content["msg"].(string)
	want := []string{"msg"}
	if code == 429 {
		want = append(want, "retry_after_ms")
	}
	if r.code != code || msg == "" || !slices.Equal(keys(r.content), want) {
		t.Fatalf("reply %s, want %d with %q", r, code, want)
	}
	if code == 429 && number(t, r.content["retry_after_ms"]) <= 0 {
		t.Fatalf("reply %s, want a positive retry_after_ms", r)
	}
	return msg
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// number reads a JSON integer of a reply.
func number(t testing.TB, v any) int64 {
	t.Helper()
	literal, _ := v.(json.Number)
	n, err := strconv.ParseInt(literal.String(), 10, 64)
	if err != nil {
		t.Fatalf("%v is no integer", v)
	}
	return n
}

// user is somebody registered: its token alone is who it is.
type user struct {
	id    string
	token int64
	name  string // "" where it gave none
}

var users atomic.Int64

// newUser is nobody's id and nobody's token in this run of the tests. Ids rise.
func newUser() user {
	n := users.Add(1)
	return user{id: fmt.Sprintf("%08x-5eed-4bad-8bad-%012x", n, n*7919), token: 1<<40 + n}
}

func (u user) registration() string {
	content := fields{"id": u.id, "token": u.token}
	if u.name != "" {
		content["name"] = u.name
	}
	return request(register, content)
}

func (c *client) register(t testing.TB) user {
	t.Helper()
	return c.registerAll(t, 1)[0]
}

func (c *client) registerAll(t testing.TB, n int) []user {
	t.Helper()
	all := make([]user, n)
	bodies := make([]string, n)
	for i := range all {
		all[i] = newUser()
		bodies[i] = all[i].registration()
	}
	for _, r := range c.pipeline(t, bodies...) {
		succeeded(t, r)
	}
	return all
}

func members(all ...user) []fields {
	list := make([]fields, len(all))
	for i, u := range all {
		list[i] = fields{"id": u.id}
	}
	return list
}

// group creates a group of by and others.
func (c *client) group(t testing.TB, by user, others ...user) int64 {
	t.Helper()
	return c.create(t, by, "a group", true, others...)
}

// pair creates the pair of a and b, or finds the one they have.
func (c *client) pair(t testing.TB, a, b user) int64 {
	t.Helper()
	return c.create(t, a, "a pair", false, b)
}

func (c *client) create(t testing.TB, by user, name string, isGroup bool, others ...user) int64 {
	t.Helper()
	r := c.call(t, create, fields{"token": by.token, "name": name, "is_group": isGroup, "member": members(others...)})
	succeeded(t, r)
	return number(t, r.content["chat"])
}

func (u user) message(chat int64, text string) string {
	return request(send, fields{"token": u.token, "chat": chat, "msg": text})
}

func (u user) messageWithRef(chat int64, text, ref string) string {
	return request(send, fields{"token": u.token, "chat": chat, "msg": text, "ref": ref})
}

// post sends one text and returns its index.
func (c *client) post(t testing.TB, by user, chat int64, text string) int64 {
	t.Helper()
	return postedAt(t, c.ask(t, by.message(chat, text)))
}

// postAll sends "1", "2", … "n" in one pipeline.
func (c *client) postAll(t testing.TB, by user, chat int64, n int) {
	t.Helper()
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = by.message(chat, strconv.Itoa(i+1))
	}
	for _, r := range c.pipeline(t, bodies...) {
		postedAt(t, r)
	}
}

func postedAt(t testing.TB, r reply) int64 {
	t.Helper()
	succeeded(t, r)
	return number(t, r.content["index"])
}

// message is one of the values of services 3 and 9.
type message struct {
	ID, Name, Content string
	Index, Time       int64
}

func (u user) window(code int, chat, index, count int64) string {
	return request(code, fields{"token": u.token, "chat": chat, "index": index, "count": count})
}

// newest reads the last count messages, newest first.
func (c *client) newest(t testing.TB, by user, chat, count int64) []message {
	t.Helper()
	return messages(t, getChat, c.ask(t, by.window(getChat, chat, -1, count)))
}

// messages takes the values of a reply of service 3 or 9, and nothing undocumented.
func messages(t testing.TB, code int, r reply) []message {
	t.Helper()
	content, value := []string{"values"}, []string{"content", "id", "index", "time"}
	if code == receive {
		succeeded(t, r)
		content, value = []string{"msg", "values"}, []string{"content", "id", "index", "name", "time"}
	}
	if r.code != 200 || !slices.Equal(keys(r.content), content) {
		t.Fatalf("reply %s, want 200 with %q", r, content)
	}
	list := []message{}
	for _, v := range r.content["values"].([]any) {
		m := v.(map[string]any)
		if !slices.Equal(keys(m), value) {
			t.Fatalf("message %v, want the keys %q", m, value)
		}
		name, _ := m["name"].(string)
		list = append(list, message{
			m["id"].(string), name, m["content"].(string), number(t, m["index"]), number(t, m["time"]),
		})
	}
	return list
}

func indexes(list []message) []int64 {
	all := make([]int64, len(list))
	for i, m := range list {
		all[i] = m.Index
	}
	return all
}

// history reads a whole chat, oldest first, page by page: each goes on from the last message of the one before.
func (c *client) history(t testing.TB, by user, chat int64) []message {
	t.Helper()
	var all []message
	for {
		next := int64(len(all)) + 1
		page := messages(t, receive, c.ask(t, by.window(receive, chat, next, 1000)))
		if len(page) == 0 {
			return all
		}
		for i, m := range page {
			if m.Index != next+int64(i) {
				t.Fatalf("chat %d shows index %d where %d belongs", chat, m.Index, next+int64(i))
			}
		}
		all = append(all, page...)
	}
}

// chatEntry is one of the values of service 4.
type chatEntry struct {
	id, last, members int64
	name, kind        string
	isGroup           bool
	usrs              []string
}

// chats takes the values of a reply of service 4, and nothing undocumented.
func chats(t testing.TB, r reply) (list []chatEntry, more bool) {
	t.Helper()
	if r.code != 200 || !slices.Equal(keys(r.content), []string{"more", "values"}) {
		t.Fatalf("reply %s, want 200 with values and more", r)
	}
	for _, v := range r.content["values"].([]any) {
		list = append(list, chatEntryOf(t, v.(map[string]any)))
	}
	return list, r.content["more"].(bool)
}

func chatEntryOf(t testing.TB, m map[string]any) chatEntry {
	t.Helper()
	if want := []string{"id", "is_group", "last", "members", "name", "type", "usrs"}; !slices.Equal(keys(m), want) {
		t.Fatalf("chat %v, want the keys %q", m, want)
	}
	e := chatEntry{
		id: number(t, m["id"]), last: number(t, m["last"]), members: number(t, m["members"]),
		name: m["name"].(string), kind: m["type"].(string), isGroup: m["is_group"].(bool),
	}
	for _, v := range m["usrs"].([]any) {
		usr := v.(map[string]any)
		if len(usr) != 1 {
			t.Fatalf("user %v, want an id alone", usr)
		}
		e.usrs = append(e.usrs, usr["id"].(string))
	}
	return e
}

// findChats lists the chats of a user.
func (c *client) findChats(t testing.TB, by user) []chatEntry {
	t.Helper()
	list, more := chats(t, c.call(t, find, fields{"token": by.token}))
	if more {
		t.Fatal("the list was cut")
	}
	return list
}
