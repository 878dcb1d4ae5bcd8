package engine

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"throng/codec"
	"throng/shards"
)

// The ring keeps its places in order while it grows, wraps and shrinks, and what
// is popped keeps nothing alive: as a slice would.
func TestRepliesAreAQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q replies
		q.head = rapid.SampledFrom([]uint64{0, 13, 1<<40 - 5}).Draw(t, "first place")
		q.tail = q.head
		first, open := q.head, []int64{} // the number of the oldest place, and what each place holds
		next := int64(1)
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "places") {
					place, r := q.push()
					if want := first + uint64(len(open)); place != want {
						t.Fatalf("push opened place %d, want %d", place, want)
					}
					if !reflect.DeepEqual(*r, reply{}) {
						t.Fatalf("a new place holds %+v", *r)
					}
					r.number = next
					open = append(open, next)
					next++
				}
			},
			"pop": func(t *rapid.T) {
				for range rapid.IntRange(0, len(open)).Draw(t, "places") {
					q.pop()
					first, open = first+1, open[1:]
				}
			},
			"shrink": func(*rapid.T) {
				q.shrink()
				if len(open) == 0 && q.ring != nil {
					t.Fatalf("an empty queue kept %d places", len(q.ring))
				}
			},
			"": func(t *rapid.T) { checkReplies(t, &q, first, open) },
		})
	})
}

func checkReplies(t *rapid.T, q *replies, first uint64, open []int64) {
	t.Helper()
	if q.len() != len(open) || q.empty() != (len(open) == 0) {
		t.Fatalf("len %d, empty %v, want %d", q.len(), q.empty(), len(open))
	}
	for i, number := range open {
		if got := q.at(first + uint64(i)).number; got != number {
			t.Fatalf("place %d holds %d, want %d", i, got, number)
		}
	}
	if last := q.last(); (last == nil) != (len(open) == 0) || last != nil && last.number != open[len(open)-1] {
		t.Fatalf("last is %+v", last)
	}
	held := 0
	for i := range q.ring {
		if !reflect.DeepEqual(q.ring[i], reply{}) {
			held++
		}
	}
	if held != len(open) {
		t.Fatalf("%d places of the ring hold something, %d are open", held, len(open))
	}
	if n := len(q.ring); n&(n-1) != 0 || n > 0 && n < minRing {
		t.Fatalf("the ring is %d long", n)
	}
}

// What a reply says depends on its service only where it succeeded.
func TestReplyAppend(t *testing.T) {
	t.Parallel()
	body := codec.AppendFrame(nil, []byte(`{"a":"read"}`))
	for _, c := range []struct {
		name  string
		reply reply
		want  []string
	}{
		{"login", reply{service: codec.Login, outcome: done}, []string{success}},
		{"wrong login", reply{service: codec.Login, outcome: wrongLogin}, []string{failedLogin}},
		{"register", reply{service: codec.Register, outcome: outcome{state: 200, number: 7}}, []string{success}},
		{"register without token", reply{service: codec.Register, issued: true, outcome: outcome{state: 200, number: 7}}, []string{issued}},
		{"register twice", reply{service: codec.Register, issued: true, outcome: taken}, []string{failedTaken}},
		{"get chat", reply{service: codec.GetChat, outcome: outcome{state: 200, body: body}}, []string{`{"a":"read"}`}},
		{"receive", reply{service: codec.Receive, outcome: outcome{state: 200, body: body}}, []string{`{"a":"read"}`}},
		{"find chats", reply{service: codec.FindChats, outcome: outcome{state: 200, body: body}}, []string{`{"a":"read"}`}},
		{"send", reply{service: codec.Send, outcome: outcome{state: 200, number: 7}}, []string{sent(7)}},
		{"join", reply{service: codec.Join, outcome: outcome{state: 200, number: 7}}, []string{success}},
		{"create", reply{service: codec.Create, outcome: outcome{state: 200, number: 7}}, []string{createdAs(7)}},
		{"ping", reply{service: codec.Ping, outcome: outcome{state: 200, number: 7}}, []string{pong}},
		{"send to no chat", reply{service: codec.Send, outcome: noChat}, []string{state404}},
		{"read refused", reply{service: codec.Receive, outcome: busy}, []string{state429}},
		{"three refusals", reply{service: codec.Send, run: 3, outcome: drainingNow}, []string{state503, state503, state503}},
		{"one refusal", reply{service: codec.Send, run: 1, outcome: diskIsFull}, []string{state507}},
	} {
		got := string(c.reply.append([]byte("before")))
		var want []string
		for _, w := range c.want {
			want = append(want, header(w)+w)
		}
		if pattern := "before" + strings.Join(want, ""); !like(got, pattern) {
			t.Errorf("%s: appended %q, want %q", c.name, got, pattern)
		}
	}
}

// header returns the frame header of a body in which a # stands for one digit.
func header(body string) string { return string(codec.AppendFrame(nil, []byte(body))[:4]) }

// Every status of the store has its reply; one that nobody knows is our fault.
func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	for status, want := range map[shards.Status]outcome{
		shards.OK:           {state: codec.StateOK, number: 5, body: []byte("b")},
		shards.NoUser:       unauthorized,
		shards.NoChat:       noChat,
		shards.Taken:        taken,
		shards.Unregistered: unregistered,
		shards.Collision:    internal,
		shards.Busy:         busy,
		shards.Failed:       internal,
		shards.Crashed:      internal,
		shards.Unanswered:   internal,
		99:                  internal,
	} {
		got := outcomeOf(&shards.Answer{Status: status, Index: 5, Body: []byte("b")})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("status %d: %+v, want %+v", status, got, want)
		}
	}
}

// newRefuser is a connection of which only the queue of replies is used.
func newRefuser(config Config) *conn {
	if err := config.fill(); err != nil {
		panic(err)
	}
	return &conn{
		loop:   &loop{server: &Server{config: config}},
		budget: shards.NewBudget(config.UnreadBytes),
	}
}

// Equal refusals in a row share a place; each still gets its reply, in its turn.
func TestRefusalsShareAPlace(t *testing.T) {
	t.Parallel()
	other := outcome{state: codec.StateBadRequest, msg: "another"}
	c := newRefuser(Config{})
	c.refuse(codec.Ping, busy)
	c.refuse(codec.Send, busy)
	c.refuse(0, other)
	c.refuse(codec.Ping, busy)
	_, accepted := c.replies.push()
	accepted.service, accepted.finished, accepted.outcome = codec.Login, true, done
	c.refuse(codec.Ping, busy)
	_, turnedAway := c.replies.push() // accepted, and answered the same later
	turnedAway.service, turnedAway.finished, turnedAway.outcome = codec.Send, true, busy
	c.refuse(codec.Ping, busy)
	if got, want := c.replies.len(), 7; got != want {
		t.Errorf("%d places, want %d", got, want)
	}
	if c.refusals != 6 || c.phase != serving {
		t.Errorf("%d refusals, phase %d, want 6 of a connection that goes on", c.refusals, c.phase)
	}
	var got []byte
	for ; !c.replies.empty(); c.replies.pop() {
		got = c.replies.at(c.replies.head).append(got)
	}
	another := `{"state_code":400,"content":{"msg":"another"}}`
	if want := string(frames(state429, state429, another, state429, success, state429, state429, state429)); string(got) != want {
		t.Errorf("replies\n%q, want\n%q", got, want)
	}
}

// However a peer provokes refusals, it is given up before they cost more than
// the limits allow.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 128 << 10 // bytes of unread replies
	const inFlight = 1000
	for _, c := range []struct {
		name   string
		refuse func(c *conn, i int)
		after  int // refusals
	}{
		{"equal ones, by the bytes of their replies", func(c *conn, _ int) { c.refuse(0, busy) }, limit/minReplyBytes + 1},
		{"ever different ones, by their places", func(c *conn, i int) {
			c.refuse(0, outcome{state: codec.StateNotFound, msg: fmt.Sprint(i % 2)})
		}, 2*inFlight + 1},
	} {
		conn := newRefuser(Config{UnreadBytes: limit, InFlight: inFlight})
		_, blocked := conn.replies.push()
		blocked.service = codec.Send
		n := 0
		for ; conn.phase == serving && n < 10*limit; n++ {
			c.refuse(conn, n)
		}
		if places := conn.replies.len(); n > c.after || places > 2*inFlight {
			t.Errorf("%s: given up after %d refusals with %d places, want %d and %d",
				c.name, n, places, c.after, 2*inFlight)
		}
	}
}
