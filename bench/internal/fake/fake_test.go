package fake_test

import (
	"math"
	"net"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"throng/bench/internal/fake"
	"throng/codec"
)

const (
	alice = "11111111-1111-1111-1111-111111111111"
	bob   = "22222222-2222-2222-2222-222222222222"
	carol = "33333333-3333-3333-3333-333333333333"
)

// is fails the test unless a reply is as expected: its state, and its msg or cause.
func (r *reply) is(t *testing.T, state int, said string) {
	t.Helper()
	if r.State != state || r.Content.Msg != said && r.Content.Cause != said {
		t.Errorf("got %s, want %d %q", r.raw, state, said)
	}
}

func TestUsersRegisterAndLogIn(t *testing.T) {
	c := dial(t, fake.Start(t))
	register := func(id string, token int) reply { return c.ask(codec.Register, `"id":%q,"token":%d`, id, token) }
	login := func(id string, token int64) reply { return c.ask(codec.Login, `"id":%q,"token":%d`, id, token) }
	for _, step := range []struct {
		reply reply
		said  string
	}{
		{login(alice, 1), "wrong id or token"},
		{register(alice, 1), "success"},
		{register(alice, 2), "id or token in use"},
		{register(bob, 1), "id or token in use"},
		{login(alice, 1), "success"},
		{login(alice, 2), "wrong id or token"},
	} {
		step.reply.is(t, 200, step.said)
	}
	issued := c.ask(codec.Register, `"id":%q`, bob)
	again := login(bob, issued.Content.Token)
	again.is(t, 200, "success")
}

func TestChatsAreForTheirMembers(t *testing.T) {
	c := dial(t, fake.Start(t))
	for i, id := range []string{alice, bob, carol} {
		c.ask(codec.Register, `"id":%q,"token":%d,"name":"n%d"`, id, i+1, i+1)
	}
	group := c.ask(codec.Create, `"token":1,"name":"g","is_group":true,"member":[{"id":%q}]`, bob).Content.Chat
	pair := c.ask(codec.Create, `"token":1,"name":"","is_group":false,"member":[{"id":%q}]`, bob).Content.Chat
	if same := c.ask(codec.Create, `"token":2,"name":"","is_group":false,"member":[{"id":%q}]`, alice); same.Content.Chat != pair {
		t.Errorf("the pair asked for from the other side: %s, want chat %d", same.raw, pair)
	}
	for _, step := range []struct {
		name  string
		reply reply
		state int
		said  string
	}{
		{"a member sends", c.ask(codec.Send, `"token":2,"chat":%d,"msg":"hi"`, group), 200, "success"},
		{"a stranger sends", c.ask(codec.Send, `"token":3,"chat":%d,"msg":"hi"`, group), 404, "no such chat"},
		{"a stranger reads", c.ask(codec.GetChat, `"token":3,"chat":%d,"index":-1,"count":1`, group), 404, "no such chat"},
		{"a stranger joins a group", c.ask(codec.Join, `"token":3,"chat":%d`, group), 200, "success"},
		{"and sends", c.ask(codec.Send, `"token":3,"chat":%d,"msg":"hi"`, group), 200, "success"},
		{"a stranger joins a pair", c.ask(codec.Join, `"token":3,"chat":%d`, pair), 404, "no such chat"},
		{"one of a pair joins it", c.ask(codec.Join, `"token":2,"chat":%d`, pair), 200, "success"},
		{"anybody joins none", c.ask(codec.Join, `"token":3,"chat":1`), 404, "no such chat"},
		{"a pair of one", c.ask(codec.Create, `"token":1,"name":"","is_group":false,"member":[{"id":%q}]`, alice), 400, "a pair needs one other member"},
		{"a group with nobody", c.ask(codec.Create, `"token":1,"name":"g","is_group":true,"member":[{"id":"00000000-0000-0000-0000-00000000ffff"}]`), 200, "a member is not registered"},
	} {
		if r := step.reply; r.State != step.state || r.Content.Msg != step.said && r.Content.Cause != step.said {
			t.Errorf("%s: %s, want %d %q", step.name, r.raw, step.state, step.said)
		}
	}
	mine := c.ask(codec.FindChats, `"token":1`)
	if v := mine.Content.Values; len(v) != 2 || mine.Content.More || v[0].Last+v[1].Last != 2 || v[0].Members+v[1].Members != 5 {
		t.Errorf("alice's chats: %s", mine.raw)
	}
	if first := c.ask(codec.FindChats, `"token":1,"count":1`); len(first.Content.Values) != 1 || !first.Content.More {
		t.Errorf("alice's first chat: %s", first.raw)
	}
	if none := c.ask(codec.FindChats, `"token":1,"after":%d`, max(group, pair)); len(none.Content.Values) != 0 {
		t.Errorf("alice's chats above the last: %s", none.raw)
	}
}

func TestReadsShowTheirWindows(t *testing.T) {
	c := dial(t, fake.Start(t))
	empty, chat := c.group(1), c.group(1)
	for i := 1; i <= 5; i++ {
		if index := c.send(1, chat, "m"); index != int64(i) {
			t.Fatalf("index %d, want %d", index, i)
		}
	}
	for _, w := range []struct {
		service codec.Service
		index   int64
		count   int
		want    []int64
	}{
		{codec.GetChat, -1, 2, []int64{5, 4}},
		{codec.GetChat, -4, 5, []int64{2, 1}},
		{codec.GetChat, -6, 5, nil},
		{codec.GetChat, math.MinInt64, 5, nil},
		{codec.GetChat, 0, 5, nil},
		{codec.GetChat, 3, 2, []int64{3, 2}},
		{codec.GetChat, math.MaxInt64, 2, []int64{5, 4}},
		{codec.Receive, 0, 2, []int64{1, 2}},
		{codec.Receive, 4, 5, []int64{4, 5}},
		{codec.Receive, 6, 5, nil},
		{codec.Receive, math.MaxInt64, 5, nil},
		{codec.Receive, -1, 2, []int64{4, 5}},
		{codec.Receive, -4, 5, []int64{1, 2}},
		{codec.Receive, -9, 5, []int64{1}},
		{codec.Receive, math.MinInt64, 5, []int64{1}},
	} {
		r := c.ask(w.service, `"token":1,"chat":%d,"index":%d,"count":%d`, chat, w.index, w.count)
		var got []int64
		for _, v := range r.Content.Values {
			got = append(got, v.Index)
		}
		if r.State != 200 || !slices.Equal(got, w.want) {
			t.Errorf("service %d, %d from %d: %v, want %v", w.service, w.count, w.index, got, w.want)
		}
		if r := c.ask(w.service, `"token":1,"chat":%d,"index":%d,"count":%d`, empty, w.index, w.count); r.State != 200 || len(r.Content.Values) != 0 {
			t.Errorf("of an empty chat: %s", r.raw)
		}
	}
}

func TestAMessageIsShownAsItWasSent(t *testing.T) {
	c := dial(t, fake.Start(t))
	c.ask(codec.Register, `"id":%q,"token":1,"name":"爱丽丝"`, alice)
	chat := c.group(1)
	c.send(1, chat, "你好, \"world\"\n")
	shown := c.ask(codec.Receive, `"token":1,"chat":%d,"index":1,"count":1`, chat).Content.Values
	want := []value{{ID: alice, Name: "爱丽丝", Content: "你好, \"world\"\n", Index: 1}}
	if !slices.Equal(shown, want) {
		t.Errorf("%+v, want %+v", shown, want)
	}
}

func TestARepeatedRefAppendsNothing(t *testing.T) {
	c := dial(t, fake.Start(t))
	chat := c.group(1)
	for _, text := range []string{"a", "b"} {
		if r := c.ask(codec.Send, `"token":1,"chat":%d,"msg":%q,"ref":"r"`, chat, text); r.Content.Index != 1 {
			t.Errorf("%s, want index 1", r.raw)
		}
	}
	if r := c.ask(codec.Receive, `"token":1,"chat":%d,"index":1,"count":9`, chat); !slices.Equal(r.texts(), []string{"1 a"}) {
		t.Errorf("stored %q", r.texts())
	}
}

func TestRepliesComeInTheOrderOfRequests(t *testing.T) {
	c := dial(t, fake.Start(t))
	chat := c.group(1)
	const n = 3000 // more than one read takes in
	go func() {
		for range n {
			c.submit(request(codec.Send, `"token":1,"chat":%d,"msg":%q`, chat, strings.Repeat("x", 100)))
		}
	}()
	for i := range n {
		if r := c.receive(); r.Content.Index != int64(i+1) {
			t.Fatalf("reply %d: %s", i+1, r.raw)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	c := dial(t, fake.Start(t))
	for _, step := range []struct {
		body  string
		state int
	}{
		{`{"service_code":8,"content":{}}`, 404},
		{`{"service_code":5,"content":{}}`, 400},
		{`nonsense`, 400},
		{`{"service_code":100,"content":{}}`, 200},
	} {
		c.submit([]byte(step.body))
		if r := c.receive(); r.State != step.state {
			t.Errorf("%s: %s, want %d", step.body, r.raw, step.state)
		}
	}
	c.submit(nil) // a frame of length 0
	if r := c.receive(); r.State != 413 {
		t.Errorf("an empty frame: %s", r.raw)
	}
	c.ended()
}

func TestAClosedServerLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := fake.Start(t, fake.Delay(patience), fake.Stall(1, patience))
	for range 3 {
		c := dial(t, s)
		c.submit(request(codec.Ping, ""))
	}
	s.Close()
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		conn.Close()
		t.Error("a closed server accepts connections")
	}
}
