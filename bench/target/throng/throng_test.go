package throng

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"throng/bench/internal/conformance"
	"throng/bench/internal/noop"
	"throng/bench/internal/realserver"
	"throng/bench/target"
	"throng/codec"
)

func TestMain(m *testing.M) {
	noop.Respond()
	os.Exit(realserver.Main(m))
}

// hangGuard ends a wait that would never end.
const hangGuard = 30 * time.Second

// open returns the target for a server.
func open(t testing.TB, addr string) *Target {
	t.Helper()
	target, err := New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.Close() })
	return target
}

// prepared returns the target for a real server, with a population.
func prepared(t testing.TB, plan target.Plan, args ...string) *Target {
	t.Helper()
	target := open(t, realserver.Start(t, args...).Addr())
	if err := target.Prepare(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	return target
}

func TestTheRealServerConforms(t *testing.T) {
	server := realserver.Start(t)
	conformance.Run(t, conformance.Server{
		Open: func(t testing.TB) target.Target { return open(t, server.Addr()) },
		Kill: func() { server.Kill(t) },
	})
}

func TestDescribeTellsWhatItWasToldAndNoMore(t *testing.T) {
	server := realserver.Start(t)
	told := open(t, server.Addr())
	told.Version, told.Durability = "v1.2.3", "sync="+server.Ready["sync"]
	for _, test := range []struct {
		target *Target
		want   target.Info
	}{
		{told, target.Info{Kind: "throng", Version: "v1.2.3", Durability: "sync=always", Dense: true}},
		{open(t, server.Addr()), target.Info{Kind: "throng", Version: Unknown, Durability: Unknown, Dense: true}},
	} {
		got, err := test.target.Describe(t.Context())
		if err != nil || got.Kind != test.want.Kind || got.Version != test.want.Version || got.Durability != test.want.Durability || got.Dense != test.want.Dense {
			t.Errorf("describes %+v, %v; want %+v", got, err, test.want)
		}
	}
	server.Stop(t)
	if info, err := told.Describe(t.Context()); err == nil {
		t.Errorf("a server that has ended is described: %+v", info)
	}
}

// The members of each chat are those of the plan, whether they were named when it
// was created or had to join, and no run is in the way of another.
func TestPrepareMakesThePopulationOfThePlan(t *testing.T) {
	server := realserver.Start(t)
	for _, plan := range []target.Plan{
		{Users: 3, Chats: 5, Members: 2, Seed: 1},
		{Users: 3, Chats: 5, Members: 2, Seed: 1}, // once more
		{Users: 1, Chats: 1, Members: 1, Seed: 1},
		{Users: 2000, Chats: 1500, Members: 3, Seed: 1},
		{Users: createMembers + 300, Chats: 2, Members: createMembers + 290, Seed: 1},
	} {
		target := open(t, server.Addr())
		var last, all int
		if err := target.Prepare(t.Context(), plan, func(done, of int) { last, all = done, of }); err != nil {
			t.Fatalf("%+v: %v", plan, err)
		}
		if want := plan.Users + plan.Chats + plan.Chats*max(0, plan.Members-createMembers); last != all || all != want {
			t.Errorf("%+v: progress ends with %d of %d, want %d", plan, last, all, want)
		}
		for _, chat := range []int{0, plan.Chats - 1} {
			checkMembers(t, target, chat)
		}
	}
}

// checkMembers has each user ask for a chat: members alone may read it.
func checkMembers(t *testing.T, tg *Target, chat int) {
	t.Helper()
	members := make(map[int]bool)
	for j := range tg.plan.Members {
		members[tg.plan.Member(chat, j)] = true
	}
	var ops []target.Op
	for u := range tg.users {
		ops = append(ops, target.Op{Kind: target.Read, Chat: chat, User: u, Index: -1, Count: 1})
	}
	for u, r := range ask(t, tg, ops...) {
		if got := r.Status == target.OK; got != members[u] {
			t.Fatalf("user %d of chat %d: %v %q, a member: %v", u, chat, r.Status, r.Error, members[u])
		}
	}
}

// A mailbox of one request, and any number of senders: most is refused at first.
func TestPrepareTriesAgainWhatWasOverALimit(t *testing.T) {
	tg := prepared(t, target.Plan{Users: 600, Chats: 600, Members: 2}, "--mailbox-requests", "1", "--shards", "2")
	ids := maps.Collect(func(yield func(int64, bool) bool) {
		for _, chat := range tg.chats {
			if !yield(chat.id, true) {
				return
			}
		}
	})
	if len(ids) != 600 || ids[0] {
		t.Errorf("%d chats with an id of their own, want 600", len(ids))
	}
}

func TestPrepareEndsWithItsContext(t *testing.T) {
	server := realserver.Start(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	err := open(t, server.Addr()).Prepare(ctx, target.Plan{Users: 1 << 17, Chats: 1, Members: 1}, func(int, int) { cancel(enough) })
	if !errors.Is(err, enough) {
		t.Errorf("ends with %v, want %v", err, enough)
	}
}

func TestRefusalsAreToldByTheirState(t *testing.T) {
	tg := prepared(t, target.Plan{Users: 3, Chats: 1, Members: 2}, "--max-text", "10")
	unknown := newUser()
	mixed := user{id: unknown.id, token: tg.users[0].token}
	tg.users = append(tg.users, unknown, mixed) // 3, 4
	replies := ask(
		t, tg,
		target.Op{Kind: target.Send, User: 0, Text: codec.Text("hello")},
		target.Op{Kind: target.Send, User: 2, Text: codec.Text("hello")},
		target.Op{Kind: target.Send, User: 3, Text: codec.Text("hello")},
		target.Op{Kind: target.Send, User: 1, Text: codec.Text("too long a text")},
		target.Op{Kind: target.Send, User: 1},
		target.Op{Kind: target.Login, User: 0},
		target.Op{Kind: target.Login, User: 4},
		target.Op{Kind: target.Register},
		target.Op{Kind: target.Ping},
	)
	for i, want := range []string{"", "404", "401", "413", "400", "", "failed: ", "", ""} {
		r := replies[i]
		if !strings.HasPrefix(r.Error, want) || (r.Error == "") != (want == "") || (r.Status == target.OK) != (want == "") || r.Bytes == 0 {
			t.Errorf("answer %d is %+v, want error %q", i, r, want)
		}
	}
	if replies[0].Index != 1 {
		t.Errorf("the first message has index %d", replies[0].Index)
	}
}

// Pages far longer than a read buffer come whole, and one that the server's limit
// has cut is told from one that is short since there is no more.
func TestLongPagesAreReadAndTheirCutIsTold(t *testing.T) {
	tg := prepared(t, target.Plan{Users: 1, Chats: 2, Members: 1})
	long, text := strings.Repeat("long ", 10_000), codec.Text("short")
	var ops []target.Op
	for range 60 { // 3 MB, over the limit of 2 MiB
		ops = append(ops, target.Op{Kind: target.Send, Chat: 0, Text: codec.Text(long)}, target.Op{Kind: target.Send, Chat: 1, Text: text})
	}
	ask(t, tg, ops...)
	for _, test := range []struct {
		op        target.Op
		low, high int64
		cut       bool
	}{
		{target.Op{Kind: target.Receive, Chat: 0, Index: 1, Count: 100}, 1, 41, true},
		{target.Op{Kind: target.Read, Chat: 0, Index: -1, Count: 100}, 20, 60, true},
		{target.Op{Kind: target.Receive, Chat: 0, Index: 1, Count: 41}, 1, 41, false},
		{target.Op{Kind: target.Receive, Chat: 0, Index: 41, Count: 100}, 41, 60, false},
		{target.Op{Kind: target.Receive, Chat: 1, Index: 1, Count: 5000}, 1, 60, false},
		{target.Op{Kind: target.Receive, Chat: 1, Index: 61, Count: 5000}, 0, 0, false},
	} {
		r := ask(t, tg, test.op)[0]
		var low, high int64
		for _, m := range r.Page {
			if low == 0 {
				low = m.Index
			}
			low, high = min(low, m.Index), max(high, m.Index)
		}
		if low != test.low || high != test.high || r.Cut != test.cut {
			t.Errorf("%+v shows %d … %d, cut %v; want %d … %d, %v", test.op, low, high, r.Cut, test.low, test.high, test.cut)
		}
	}
}

// What the server's --max-reply says decides which pages may be cut.
func TestAShortPageIsCertainOnlyWhereAnotherMessageHadRoom(t *testing.T) {
	for _, test := range []struct{ limit, certain int }{{0, 1<<21 - maxValueBytes}, {1 << 20, 1<<20 - maxValueBytes}, {64, 64 - maxValueBytes}} {
		tg := Target{ReplyBytes: test.limit}
		if got := tg.certainBytes(); got != test.certain {
			t.Errorf("of a limit of %d, %d bytes are certain, want %d", test.limit, got, test.certain)
		}
	}
}

// The log of a chat goes over many pages, and over cut ones.
func TestLogReadsEveryPage(t *testing.T) {
	tg := prepared(t, target.Plan{Users: 1, Chats: 1, Members: 1}, "--max-reply", "4KiB")
	const messages = 2500
	var ops []target.Op
	for range messages {
		ops = append(ops, target.Op{Kind: target.Send, Text: codec.Text("a message")})
	}
	ask(t, tg, ops...)
	for _, after := range []int64{0, 1, 2499, 2500, 9999} {
		next := after
		err := tg.Log(t.Context(), 0, after, func(m target.Message) error {
			if next++; m.Index != next {
				t.Fatalf("shows index %d after %d", m.Index, next-1)
			}
			return nil
		})
		if want := max(after, messages); err != nil || next != want {
			t.Errorf("the log after %d ends at %d, %v; want %d", after, next, err, want)
		}
	}
}

// An idle connection that has ended while nobody looked is no error of the log.
func TestLogSurvivesARestartBetweenItsCalls(t *testing.T) {
	first := realserver.Start(t)
	tg := open(t, first.Addr())
	if err := tg.Prepare(t.Context(), target.Plan{Users: 1, Chats: 1, Members: 1}, nil); err != nil {
		t.Fatal(err)
	}
	ask(t, tg, target.Op{Kind: target.Send, Text: codec.Text("kept")})
	shown := func() (n int) {
		if err := tg.Log(t.Context(), 0, 0, func(target.Message) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := shown()
	first.Kill(t)
	tg.addr = realserver.StartIn(t, first.Dir).Addr()
	if after := shown(); before != 1 || after != 1 {
		t.Errorf("shows %d messages before the restart and %d after it, want 1", before, after)
	}
}

// client collects what comes back on a connection.
type client struct {
	replies chan []target.Reply
	lost    chan error
}

func newClient() *client {
	return &client{replies: make(chan []target.Reply, 1<<14), lost: make(chan error, 1)}
}

func (c *client) Replies(replies []target.Reply) {
	copied := slices.Clone(replies)
	for i := range copied {
		copied[i].Page = slices.Clone(copied[i].Page)
	}
	c.replies <- copied
}

func (c *client) Lost(err error) { c.lost <- err }

// ask submits ops on a connection of their own and returns their answers.
func ask(t testing.TB, tg *Target, ops ...target.Op) (replies []target.Reply) {
	t.Helper()
	c := newClient()
	conn, err := tg.Dial(t.Context(), target.Dial{Window: len(ops), Pages: true, Timeout: hangGuard}, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Submit(ops); err != nil {
		t.Fatal(err)
	}
	for len(replies) < len(ops) {
		select {
		case more := <-c.replies:
			replies = append(replies, more...)
		case err := <-c.lost:
			for len(c.replies) > 0 { // they came before
				replies = append(replies, <-c.replies...)
			}
			if len(replies) < len(ops) {
				t.Fatalf("lost after %d of %d answers: %v", len(replies), len(ops), err)
			}
		case <-time.After(hangGuard):
			t.Fatalf("%d of %d answers", len(replies), len(ops))
		}
	}
	return replies
}
