package shards

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"throng/codec"
)

// What a store answers is what a few plain maps would, whatever is asked, in
// whatever drains, and however often it is closed, killed, flushed and opened
// again in between. Its caches hold next to nothing, so that all is read back
// all the time.
func TestStoreAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &modelTest{
			fs:         newCrashFS(),
			model:      newModel(),
			replyBytes: rapid.SampledFrom([]int{1, 700, DefaultReplyBytes}).Draw(t, "bytes of a reply"),
			shards:     rapid.IntRange(MinShards, 3).Draw(t, "shards"),
		}
		m.open(t)
		defer func() { closeStore(t, m.store) }()
		m.begin(t)
		t.Repeat(map[string]func(*rapid.T){
			"drains": m.drains,
			"drain":  m.drains, // twice as often as each of the others
			"reopen": func(t *rapid.T) {
				closeStore(t, m.store)
				m.open(t)
			},
			"crash": func(t *rapid.T) {
				clone := m.fs.clone(0, nil)
				closeStore(t, m.store)
				m.fs = clone
				m.open(t)
			},
			"flush": func(t *rapid.T) {
				fileAll(t, m.store)
			},
		})
		m.readAll(t)
	})
}

type modelTest struct {
	fs         *crashFS
	store      *Store
	client     *client
	model      *model
	replyBytes int
	shards     int
	chats      []int64 // ids that operations choose among
	sent       int     // messages so far, to tell their texts apart
}

func (m *modelTest) open(t *rapid.T) {
	m.store = open(t, m.fs, withShards(m.shards), func(c *Config) { c.ReplyBytes = m.replyBytes })
	shrink(m.store)
	m.client = newClient(m.store)
}

var modelUsers = []uuid.UUID{alice, bob, carol}

// begin fixes the ids of chats: a few, so that they meet, those of a pair before
// and after a collision among them. Two are there from the start, so that not all
// that follows is refused.
func (m *modelTest) begin(t *rapid.T) {
	m.chats = []int64{1, 2, m.store.PairChat(alice, bob, 0), m.store.PairChat(alice, bob, 1)}
	m.drain(t, createOp(1, true, alice, bob), createOp(m.chats[2], false, alice, bob))
}

func (m *modelTest) drains(t *rapid.T) {
	var ops []Op
	for range rapid.IntRange(1, 40).Draw(t, "operations") {
		ops = append(ops, m.drawOp(t))
	}
	m.drain(t, ops...)
}

// drain hands operations over in several batches, to each actor while it is held,
// so that each takes its own up in one drain.
func (m *modelTest) drain(t *rapid.T, ops ...Op) {
	lists := make([][][]Op, m.shards+1) // by target: its batches
	var finds [][][]Op                  // of each: its batches
	for _, op := range ops {
		if op.Kind == FindChats {
			finds = append(finds, m.addFind(lists, op))
			continue
		}
		m.add(t, lists, op)
	}

	var releases []func()
	n := 0
	for i := range lists {
		releases = append(releases, m.client.hold(Target(i)))
		n += m.client.submit(Target(i), lists[i]...)
	}
	for _, release := range releases {
		release()
	}
	m.client.wait(n)

	for _, batches := range lists {
		for i := range batches {
			m.compareBatch(t, batches[i])
		}
	}
	for _, batches := range finds { // they show what all of the drains made
		op := answered(batches)
		m.compare(t, &op, m.model.find(&op))
	}
}

func (m *modelTest) addFind(lists [][][]Op, op Op) (batches [][]Op) {
	op.Find = NewFind(op.User, op.Index, op.Count, m.shards)
	for i := range m.shards {
		ops := []Op{op}
		lists[i] = append(lists[i], ops)
		batches = append(batches, ops)
	}
	return batches
}

// add puts an operation into a batch of its actor: the last or a new one.
func (m *modelTest) add(t *rapid.T, lists [][][]Op, op Op) {
	to := m.client.target(&op)
	if op.Kind > FindChats { // of no kind: anybody's
		to = Target(rapid.IntRange(0, m.shards).Draw(t, "target"))
	}
	if last := len(lists[to]) - 1; last >= 0 && lists[to][last][0].Kind != FindChats && rapid.Bool().Draw(t, "same batch") {
		lists[to][last] = append(lists[to][last], op)
		return
	}
	lists[to] = append(lists[to], []Op{op})
}

// compareBatch holds every answer against the model's, in the order of
// submission.
func (m *modelTest) compareBatch(t *rapid.T, ops []Op) {
	t.Helper()
	for i := range ops {
		if op := &ops[i]; op.Kind != FindChats {
			m.compare(t, op, m.model.apply(op))
		}
	}
}

// expected is the model's answer.
type expected struct {
	answer   Answer
	messages []codec.Message // of a read
	chats    []codec.Chat    // of a FindChats
	more     bool
	user     account      // of a Lookup
	names    []codec.Text // of a Resolve
}

func (m *modelTest) compare(t *rapid.T, op *Op, want expected) {
	t.Helper()
	got := op.Answer
	if got.Status != want.answer.Status || got.Index != want.answer.Index {
		t.Fatalf("%s: %s, %d; want %s, %d", describe(op), got.Status.said(), got.Index, want.answer.Status.said(), want.answer.Index)
	}
	if got.Status != OK {
		return
	}
	switch op.Kind {
	case Lookup:
		if op.User != want.user.id || !bytes.Equal(op.Name, want.user.name) {
			t.Fatalf("%s: %v %q; want %v %q", describe(op), op.User, op.Name, want.user.id, want.user.name)
		}
	case Resolve:
		for i, name := range want.names {
			if got := op.Members[i]; !bytes.Equal(got.Name, name) {
				t.Fatalf("%s: %v is %q; want %q", describe(op), got.ID, got.Name, name)
			}
		}
	case GetChat, Receive, FindChats:
		if body := m.page(op.Kind, want); !bytes.Equal(got.Body, body) {
			t.Fatalf("%s:\ngot  %s\nwant %s", describe(op), got.Body, body)
		}
	}
}

// page is the reply that the values make: what of them goes into it.
func (m *modelTest) page(kind Kind, want expected) []byte {
	service := map[Kind]codec.Service{GetChat: codec.GetChat, Receive: codec.Receive, FindChats: codec.FindChats}[kind]
	page := codec.NewPage(nil, service, m.replyBytes)
	for i := range want.messages {
		if !page.Message(&want.messages[i]) {
			return page.Finish()
		}
	}
	for i := range want.chats {
		if !page.Chat(&want.chats[i]) {
			return page.Finish()
		}
	}
	if want.more {
		page.More()
	}
	return page.Finish()
}

// readAll walks every chat from its first message to its last, as a member.
func (m *modelTest) readAll(t *rapid.T) {
	for id, c := range m.model.chats {
		var texts, want []string
		for _, shown := range m.client.history(t, id, c.users()[0]) {
			texts = append(texts, shown.Content)
		}
		for _, said := range c.messages {
			want = append(want, string(said.Text))
		}
		if !slices.Equal(texts, want) {
			t.Fatalf("chat %d holds %q, not %q", id, texts, want)
		}
	}
}

// Draws.

func (m *modelTest) drawOp(t *rapid.T) Op {
	kind := rapid.SampledFrom([]Kind{
		Lookup, Register, Resolve, Create, Join, Send, Send, Send, Send, Send, Send,
		GetChat, GetChat, Receive, Receive, FindChats, FindChats + 1,
	}).Draw(t, "kind")
	op := Op{Kind: kind, User: m.drawUser(t), Chat: rapid.SampledFrom(m.chats).Draw(t, "chat")}
	switch kind {
	case Lookup:
		op.Token = drawToken(t)
	case Register:
		op.Token, op.Issue, op.Name = drawToken(t), rapid.Bool().Draw(t, "issue"), drawName(t)
	case Resolve:
		op.Members = m.drawMembers(t, 0, 3)
	case Send:
		m.sent++
		op.Text = codec.Text(fmt.Sprintf("%d %s", m.sent, rapid.SampledFrom([]string{"", "你好", strings.Repeat("long ", 100)}).Draw(t, "text")))
		op.Ref = codec.Text(rapid.SampledFrom([]string{"", "", "r", "s"}).Draw(t, "ref"))
		op.Time = rapid.Int64Range(0, 50).Draw(t, "time")
	case Join:
		op.Name = drawName(t)
	case Create:
		op.Group, op.Name = rapid.Bool().Draw(t, "group"), drawName(t)
		if op.Members = m.drawMembers(t, 2, 2); op.Group {
			op.Members = m.drawMembers(t, 1, 3)
		}
	case GetChat, Receive:
		op.Index, op.Count = drawIndex(t), drawCount(t)
	case FindChats:
		op.Index, op.Count = rapid.SampledFrom(append([]int64{0}, m.chats...)).Draw(t, "after"), drawCount(t)
	}
	return op
}

func (m *modelTest) drawUser(t *rapid.T) uuid.UUID {
	return rapid.SampledFrom(modelUsers).Draw(t, "user")
}

func drawToken(t *rapid.T) int64 {
	return rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(codec.MaxToken-1, codec.MaxToken)).Draw(t, "token")
}

func drawName(t *rapid.T) codec.Text {
	return codec.Text(rapid.SampledFrom([]string{"", "Ann", "安"}).Draw(t, "name"))
}

func (m *modelTest) drawMembers(t *rapid.T, least, most int) (members []Member) {
	ids := rapid.SliceOfNDistinct(rapid.SampledFrom(modelUsers), least, most, rapid.ID).Draw(t, "members")
	for _, id := range ids {
		members = append(members, Member{id, drawName(t)})
	}
	return members
}

func drawIndex(t *rapid.T) int64 {
	return rapid.OneOf(rapid.Int64Range(-8, 8), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, -1})).Draw(t, "index")
}

func drawCount(t *rapid.T) int { return rapid.SampledFrom([]int{1, 2, 5, 1000}).Draw(t, "count") }

func describe(op *Op) string {
	kind := map[Kind]string{
		Lookup: "lookup", Register: "register", Resolve: "resolve", Send: "send", Join: "join",
		Create: "create", GetChat: "get", Receive: "receive", FindChats: "find",
	}[op.Kind]
	return fmt.Sprintf("%s chat %d, user %s, index %d, count %d, token %d, text %.20q, ref %q, name %q, members %v",
		kind, op.Chat, op.User, op.Index, op.Count, op.Token, op.Text, op.Ref, op.Name, op.Members)
}

// model is a store without a disk, caches or goroutines.
type model struct {
	names  map[uuid.UUID]codec.Text // of the registered users
	tokens map[int64]uuid.UUID
	chats  map[int64]*modelChat
}

type modelChat struct {
	group    bool
	name     codec.Text
	members  map[uuid.UUID]codec.Text
	messages []codec.Message
	refs     []codec.Text // of the messages
}

func newModel() *model {
	return &model{names: map[uuid.UUID]codec.Text{}, tokens: map[int64]uuid.UUID{}, chats: map[int64]*modelChat{}}
}

func is(s Status) expected { return expected{answer: Answer{Status: s}} }

func okWith(index int64) expected { return expected{answer: Answer{Status: OK, Index: index}} }

func (m *model) apply(op *Op) expected {
	switch op.Kind {
	case Lookup:
		id, ok := m.tokens[op.Token]
		if !ok {
			return is(NoUser)
		}
		return expected{answer: Answer{Status: OK}, user: account{id, m.names[id]}}
	case Register:
		return m.register(op)
	case Resolve:
		return m.resolve(op)
	case Create:
		return m.create(op)
	case Join:
		return m.join(op)
	case Send:
		return m.send(op)
	case GetChat, Receive:
		return m.read(op)
	}
	return is(Crashed)
}

func (m *model) register(op *Op) expected {
	token := op.Token
	for op.Issue && m.tokens[token] != uuid.Nil {
		if token++; token < 0 { // past the largest
			token = 1
		}
	}
	_, taken := m.names[op.User]
	if taken || m.tokens[token] != uuid.Nil {
		return is(Taken)
	}
	m.names[op.User], m.tokens[token] = op.Name, op.User
	return okWith(token)
}

func (m *model) resolve(op *Op) expected {
	want := is(OK)
	for _, member := range op.Members {
		name, ok := m.names[member.ID]
		if !ok {
			return is(Unregistered)
		}
		want.names = append(want.names, name)
	}
	return want
}

func (m *model) create(op *Op) expected {
	if c := m.chats[op.Chat]; c != nil {
		if op.Group || c.group || !c.has(op.Members[0].ID) || !c.has(op.Members[1].ID) {
			return is(Collision)
		}
		return okWith(op.Chat)
	}
	c := &modelChat{group: op.Group, name: op.Name, members: map[uuid.UUID]codec.Text{}}
	for _, member := range op.Members {
		c.members[member.ID] = member.Name
	}
	m.chats[op.Chat] = c
	return okWith(op.Chat)
}

func (m *model) join(op *Op) expected {
	c := m.chats[op.Chat]
	if c == nil || !c.group && !c.has(op.User) {
		return is(NoChat)
	}
	if !c.has(op.User) {
		c.members[op.User] = op.Name
	}
	return is(OK)
}

func (m *model) send(op *Op) expected {
	c := m.chats[op.Chat]
	if c == nil || !c.has(op.User) {
		return is(NoChat)
	}
	for i, said := range c.messages {
		if said.Sender == op.User && len(op.Ref) > 0 && bytes.Equal(c.refs[i], op.Ref) {
			return okWith(said.Index)
		}
	}
	said := codec.Message{
		Sender: op.User, Name: c.members[op.User], Text: op.Text, Index: int64(len(c.messages)) + 1, Time: op.Time,
	}
	if n := len(c.messages); n > 0 {
		said.Time = max(said.Time, c.messages[n-1].Time)
	}
	c.messages, c.refs = append(c.messages, said), append(c.refs, op.Ref)
	return okWith(said.Index)
}

func (m *model) read(op *Op) expected {
	c := m.chats[op.Chat]
	if c == nil || !c.has(op.User) {
		return is(NoChat)
	}
	var all []int64
	for i := range c.messages {
		all = append(all, int64(i))
	}
	want := is(OK)
	counted := countedForth
	if op.Kind == GetChat {
		counted = countedBack
	}
	for _, i := range counted(all, op.Index, op.Count) {
		want.messages = append(want.messages, c.messages[i])
	}
	if op.Kind == GetChat {
		slices.Reverse(want.messages)
	}
	return want
}

func (m *model) find(op *Op) expected {
	want := is(OK)
	for id, c := range m.chats {
		if id > op.Index && c.has(op.User) {
			want.chats = append(want.chats, codec.Chat{
				ID: id, Name: c.name, IsGroup: c.group, Users: c.users(),
				Members: int64(len(c.members)), Last: int64(len(c.messages)),
			})
		}
	}
	slices.SortFunc(want.chats, func(a, b codec.Chat) int { return compare(a.ID, b.ID) })
	if want.more = len(want.chats) > op.Count; want.more {
		want.chats = want.chats[:op.Count]
	}
	return want
}

func (c *modelChat) has(user uuid.UUID) bool {
	_, ok := c.members[user]
	return ok
}

// users returns the members by rising id.
func (c *modelChat) users() (ids []uuid.UUID) {
	for id := range c.members {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}
