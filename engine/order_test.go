package engine

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"throng/codec"
	"throng/shards"
)

// Whatever is pipelined, and however long its parts take on their different
// ways, the replies come in the order of the requests, and a read shows what was
// sent before it on its connection. Several connections talk at once.
func TestRepliesComeInTheOrderOfRequests(t *testing.T) {
	inBothModes(t, repliesInOrder)
}

func repliesInOrder(t *testing.T, mode option) {
	now := time.UnixMilli(1_700_000_000_000)
	s := start(t, mode, func(c *Config, _ *shards.Config) { c.Now, c.BadRequests = func() time.Time { return now }, 1000 })
	setup := dial(t, s.addr)
	friend := setup.newcomer(t)
	rapid.Check(t, func(t *rapid.T) {
		var talks []*talk
		for range rapid.IntRange(1, 4).Draw(t, "connections") {
			k := &talk{server: s, now: now.UnixMilli(), me: setup.newcomer(t), friend: friend}
			for range rapid.IntRange(1, 5).Draw(t, "chats") {
				k.chats = append(k.chats, setup.newChat(t, k.me))
			}
			k.said = make([][]string, len(k.chats))
			for range rapid.IntRange(1, 150).Draw(t, "requests") {
				rapid.SampledFrom(steps).Draw(t, "step").do(t, k)
			}
			k.cut(t)
			talks = append(talks, k)
		}
		var running sync.WaitGroup
		for _, k := range talks {
			c := dial(t, s.addr)
			running.Go(func() { k.write(c) })
			running.Go(func() { k.read(c) })
		}
		running.Wait()
		for i, k := range talks {
			if k.fault != nil {
				t.Fatalf("connection %d: %v", i, k.fault)
			}
		}
	})
}

// talk is what one connection asks and what it must be told, a reply for each
// request.
type talk struct {
	server     *server
	now        int64
	me, friend person
	chats      []int64
	said       [][]string // by chat: its messages so far
	users      []person   // whom this connection has registered

	asked, want []string
	pieces      [][]byte // how the frames are cut up into writes

	fault error // set by read
}

func (k *talk) ask(request, want string) {
	k.asked = append(k.asked, request)
	k.want = append(k.want, want)
}

func (k *talk) cut(t *rapid.T) {
	all := frames(k.asked...)
	for len(all) > 0 {
		n := min(len(all), rapid.IntRange(1, 4096).Draw(t, "piece"))
		k.pieces = append(k.pieces, all[:n])
		all = all[n:]
	}
}

func (k *talk) write(c *client) {
	for _, piece := range k.pieces {
		if _, err := c.conn.Write(piece); err != nil {
			return // read tells
		}
	}
}

func (k *talk) read(c *client) {
	for i, want := range k.want {
		got, err := c.read()
		if err != nil || !like(string(got), want) {
			k.fault = fmt.Errorf("request %d of %d, %s\nis answered %q (%w), want\n%s",
				i, len(k.want), k.asked[i], got, err, want)
			return
		}
	}
}

// step is one kind of request; it says what must come back.
type step struct {
	name string
	do   func(t *rapid.T, k *talk)
}

func (s step) String() string { return s.name }

var steps = []step{
	{"send", func(t *rapid.T, k *talk) {
		i := k.chat(t)
		text := strings.Repeat("x", rapid.SampledFrom([]int{1, 10, 1000}).Draw(t, "bytes")) + fmt.Sprint(len(k.asked))
		k.said[i] = append(k.said[i], text)
		k.ask(k.me.says(k.chats[i], text), sent(len(k.said[i])))
	}},
	{"get the newest", func(t *rapid.T, k *talk) {
		i, count := k.chat(t), rapid.IntRange(1, 5).Draw(t, "count")
		var values []string
		for n := len(k.said[i]); n > 0 && len(values) < count; n-- {
			values = append(values, fmt.Sprintf(`{"id":%q,"content":%q,"index":%d,"time":%d}`,
				k.me.id, k.said[i][n-1], n, k.now))
		}
		k.ask(k.me.reads(k.chats[i], -1, count),
			`{"state_code":200,"content":{"values":[`+strings.Join(values, ",")+`]}}`)
	}},
	{"receive the oldest", func(t *rapid.T, k *talk) {
		i, count := k.chat(t), rapid.IntRange(1, 5).Draw(t, "count")
		var values []string
		for n := 1; n <= len(k.said[i]) && len(values) < count; n++ {
			values = append(values, fmt.Sprintf(`{"id":%q,"name":%q,"content":%q,"index":%d,"time":%d}`,
				k.me.id, k.me.id, k.said[i][n-1], n, k.now))
		}
		k.ask(k.me.receives(k.chats[i], 0, count),
			`{"state_code":200,"content":{"msg":"success","values":[`+strings.Join(values, ",")+`]}}`)
	}},
	{"ping", func(_ *rapid.T, k *talk) {
		k.ask(ping, fmt.Sprintf(`{"state_code":200,"content":{"msg":"success","time":%d}}`, k.now))
	}},
	{"log in", func(_ *rapid.T, k *talk) { k.ask(k.me.logsIn(), success) }},
	{"log in as somebody else", func(_ *rapid.T, k *talk) {
		k.ask(person{k.friend.id, k.me.token}.logsIn(), failedLogin)
	}},
	{"log in as nobody", func(_ *rapid.T, k *talk) { k.ask(stranger().logsIn(), failedLogin) }},
	{"register", func(_ *rapid.T, k *talk) {
		k.users = append(k.users, stranger())
		k.ask(k.users[len(k.users)-1].registers(), success)
	}},
	{"register without a token", func(_ *rapid.T, k *talk) { k.ask(stranger().registersWithoutToken(), issued) }},
	{"register again", func(_ *rapid.T, k *talk) { k.ask(k.me.registers(), failedTaken) }},
	{"join as one just registered", func(t *rapid.T, k *talk) {
		if len(k.users) > 0 {
			k.ask(rapid.SampledFrom(k.users).Draw(t, "user").joins(k.chats[k.chat(t)]), success)
		}
	}},
	{"join again", func(t *rapid.T, k *talk) { k.ask(k.me.joins(k.chats[k.chat(t)]), success) }},
	{"join nothing", func(_ *rapid.T, k *talk) { k.ask(k.me.joins(1), state404) }},
	{"create", func(_ *rapid.T, k *talk) { k.ask(k.me.creates(), created) }},
	{"create with a friend", func(_ *rapid.T, k *talk) { k.ask(k.me.creates(k.friend, k.me), created) }},
	{"create with a stranger", func(_ *rapid.T, k *talk) { k.ask(k.me.creates(k.friend, stranger()), failedMember) }},
	{"pair with a friend", func(_ *rapid.T, k *talk) {
		k.ask(k.me.pairsWith(k.friend), createdAs(k.server.store.PairChat(k.me.id, k.friend.id, 0)))
	}},
	{"pair with oneself", func(_ *rapid.T, k *talk) {
		k.ask(k.me.pairsWith(k.me),
			`{"state_code":400,"content":{"msg":"member must name exactly one other user where is_group is false"}}`)
	}},
	{"find no chats", func(_ *rapid.T, k *talk) { k.ask(k.me.findsChats(codec.MaxChat), noChats) }},
	{"send as nobody", func(t *rapid.T, k *talk) { k.ask(stranger().says(k.chats[k.chat(t)], "?"), state401) }},
	{"find chats as nobody", func(_ *rapid.T, k *talk) { k.ask(stranger().findsChats(0), state401) }},
	{"create as nobody", func(_ *rapid.T, k *talk) { k.ask(stranger().creates(), state401) }},
	{"send to nothing", func(_ *rapid.T, k *talk) { k.ask(k.me.says(codec.MaxChat, "?"), state404) }},
	{"read another's chat", func(_ *rapid.T, k *talk) { k.ask(k.friend.reads(k.chats[0], math.MinInt64, 1), state404) }},
	{"nonsense", func(_ *rapid.T, k *talk) { k.ask(nonsense, state400) }},
	{"no service", func(_ *rapid.T, k *talk) { k.ask(`{"service_code":8,"content":{}}`, noService) }},
}

func (k *talk) chat(t *rapid.T) int { return rapid.IntRange(0, len(k.chats)-1).Draw(t, "chat") }
