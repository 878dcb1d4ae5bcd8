package shards

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"throng/codec"
)

// Reads: how their replies are cut, charged and refused.

// A reply is cut where it would pass its limit, never in the midst of a message
// and never before the first; going on from the last, a client gets them all.
func TestPagesAreCut(t *testing.T) {
	for _, limit := range []int{1, 300, 1000, 5000, DefaultReplyBytes} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := openFor(t, vfs.NewMem(), func(c *Config) { c.ReplyBytes = limit })
			c := newClient(s)
			c.group(7, alice)
			const messages = 40
			for i := range messages {
				c.send(7, alice, strings.Repeat("x", i*5)+"!")
			}
			read := func(kind Kind, index int64) []shownMessage {
				op := c.one(Op{Kind: kind, Chat: 7, User: alice, Index: index, Count: 1000})
				page := readPage[shownMessage](t, op)
				if body := len(op.Answer.Body) - 4; body > limit && len(page.Values) > 1 {
					t.Errorf("a reply of %d messages has %d bytes", len(page.Values), body)
				}
				return page.Values
			}
			if got := len(c.history(t, 7, alice)); got != messages {
				t.Errorf("page by page, receive shows %d messages", got)
			}
			next := int64(messages)
			for next > 0 {
				values := read(GetChat, next)
				if len(values) == 0 {
					t.Fatalf("the page from %d is empty", next)
				}
				for _, m := range values {
					if m.Index != next {
						t.Fatalf("message %d comes where %d should", m.Index, next)
					}
					next--
				}
				if limit == DefaultReplyBytes && next > 0 {
					t.Error("a page that holds them all was cut")
				}
			}
		})
	}
}

// So is a list of chats, and says that there are more.
func TestListsOfChatsAreCut(t *testing.T) {
	s := openFor(t, vfs.NewMem(), func(c *Config) { c.ReplyBytes = 500 })
	c := newClient(s)
	const chats = 20
	for id := range int64(chats) {
		c.group(id+1, alice)
	}
	after := int64(0)
	for pages := 1; ; pages++ {
		op := c.find(alice, after, 1000)
		page := readPage[shownChat](t, op)
		if len(op.Answer.Body)-4 > 500 {
			t.Errorf("a page has %d bytes", len(op.Answer.Body)-4)
		}
		for _, shown := range page.Values {
			if after++; shown.ID != after {
				t.Fatalf("chat %d comes where %d should", shown.ID, after)
			}
		}
		if !page.More {
			if after != chats || pages < 3 {
				t.Errorf("%d chats in %d pages", after, pages)
			}
			return
		}
	}
}

// The replies of a batch live side by side, however often their memory grows.
func TestRepliesOfABatchDoNotOverlap(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	const messages = 50
	for i := range messages {
		c.send(7, alice, fmt.Sprintf("%d:%s", i+1, strings.Repeat(string(rune('a'+i%26)), 500)))
	}
	var ops []Op
	for i := range int64(messages) {
		ops = append(ops, Op{Kind: GetChat, Chat: 7, User: alice, Index: i + 1, Count: 3})
	}
	for i, op := range c.do(s.ShardOf(7), ops...) {
		values := readPage[shownMessage](t, op).Values
		if values[0].Index != int64(i+1) || !strings.HasPrefix(values[0].Content, fmt.Sprint(i+1, ":")) {
			t.Errorf("the reply to read %d begins with message %d, %.20q", i+1, values[0].Index, values[0].Content)
		}
	}
}

// What a peer has not taken yet is bounded: reads past its budget answer Busy,
// are not charged, and can be repeated once there is room.
func TestReadsKeepToTheBudget(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, strings.Repeat("x", 1000))
	read := Op{Kind: GetChat, Chat: 7, User: alice, Index: 1, Count: 1}
	size := len(c.one(read).Answer.Body)
	list := len(c.find(alice, 0, 10).Answer.Body)

	budget := NewBudget(2*size + size/2)
	do := func(ops ...Op) []Op {
		b := c.batch(ops)
		b.Budget = budget
		s.Submit(s.ShardOf(7), b)
		c.wait(1)
		return ops
	}
	expectStatuses(t, do(read, read, read, sendOp(7, alice, "x", ""), read), OK, OK, Busy, OK, Busy)
	if got := budget.Used(); got != int64(2*size) {
		t.Errorf("2 replies of %d bytes are charged as %d", size, got)
	}
	budget.Refund(size)
	expectStatuses(t, do(read), OK)
	budget.Charge(2 * size)
	expectStatuses(t, do(read), Busy)
	budget.Refund(int(budget.Used()))

	// A reply over the whole budget goes to a peer that has nothing waiting.
	c.budget = 10
	if op := c.one(read); op.Answer.Status != OK {
		t.Errorf("the only read: %s", op.Answer.Status.said())
	}
	if got := c.find(alice, 0, 10).Answer; got.Status != OK || len(got.Body) != list {
		t.Errorf("the only list of chats: %s, %d bytes", got.Status.said(), len(got.Body))
	}
}

// A list of chats for a peer over its budget is Busy; and so is one that a shard
// had no room for, wherever in the order of shards that was.
func TestListsOfChatsThatAreRefused(t *testing.T) {
	s := openFor(t, vfs.NewMem(), withShards(3))
	c := newClient(s)
	c.group(7, alice)

	find := NewFind(alice, 0, 10, 3)
	spent := NewBudget(10)
	spent.Charge(10)
	var lists [][]Op
	for i := range 3 {
		ops := []Op{{Kind: FindChats, Find: find}}
		b := c.batch(ops)
		b.Budget = spent
		s.Submit(Target(i), b)
		lists = append(lists, ops)
	}
	if got := c.gather(lists).Answer.Status; got != Busy {
		t.Errorf("over the budget: %s", got.said())
	}

	for without := range 3 {
		find := NewFind(alice, 0, 10, 3)
		var lists [][]Op
		last := false
		for i := range 3 {
			if i == without {
				last = find.Abandon()
				continue
			}
			ops := []Op{{Kind: FindChats, Find: find}}
			c.submit(Target(i), ops)
			c.wait(1)
			lists = append(lists, ops)
		}
		if last != (without == 2) {
			t.Errorf("abandoned by shard %d after the others: last %v", without, last)
		}
		n := map[Status]int{}
		for _, ops := range lists {
			n[ops[0].Answer.Status]++
		}
		if last && n[Elsewhere] != 2 || !last && (n[Elsewhere] != 1 || n[Busy] != 1) {
			t.Errorf("abandoned by shard %d: %v", without, n)
		}
	}

	none := NewFind(alice, 0, 10, 3)
	for shard := range 3 {
		if last := none.Abandon(); last != (shard == 2) {
			t.Errorf("shard %d of 3 abandons, and is told that it is the last: %v", shard, last)
		}
	}
}

// A large group shows its first 1,000 members, by rising id, and tells how many
// there are; create and join count alike.
func TestLargeGroups(t *testing.T) {
	const shownUsers = 1000 // docs/protocol.md
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	var ids []uuid.UUID
	for i := range shownUsers + 200 {
		ids = append(ids, userID(fmt.Sprint("user ", i)))
	}
	c.group(7, ids[:700]...)
	for _, id := range ids[700:] {
		c.submit(s.ShardOf(7), []Op{{Kind: Join, Chat: 7, User: id}})
	}
	c.wait(len(ids) - 700)
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, user := range []uuid.UUID{ids[0], ids[len(ids)-1]} {
		shown := readPage[shownChat](t, c.find(user, 0, 10)).Values[0]
		if shown.Members != int64(len(ids)) || len(shown.Users) != shownUsers {
			t.Fatalf("%d of %d members are shown, of %d", len(shown.Users), shown.Members, len(ids))
		}
		for i, u := range shown.Users {
			if u.ID != ids[i] {
				t.Fatalf("member %d is %v, not %v", i, u.ID, ids[i])
			}
		}
	}
}

// Texts are given back as they came, whatever is in them; so are names.
func TestTextsComeBack(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	c := newClient(s)
	texts := []string{
		"x", "你好", "😀👩‍👩‍👧", `\"quoted\" and \\`, `\n\t\u0000\u001f`, "é and e\u0301", strings.Repeat("长", 21_845),
		`{\"service_code\":5}`, " ",
	}
	want := []string{
		"x", "你好", "😀👩‍👩‍👧", `"quoted" and \`, "\n\t\x00\x1f", "é and e\u0301", strings.Repeat("长", 21_845),
		`{"service_code":5}`, " ",
	}
	op := createOp(7, true, alice)
	op.Name, op.Members[0].Name = codec.Text(`大厅 \"1\"`), codec.Text("爱丽丝")
	c.one(op)
	for i, text := range texts {
		if a := c.send(7, alice, text); a.Index != int64(i+1) {
			t.Errorf("text %d has index %d", i, a.Index)
		}
	}
	for range 2 {
		history := c.history(t, 7, alice)
		if got := contents(history); !slices.Equal(got, want) {
			t.Errorf("the chat holds %.200q", got)
		}
		if history[0].Name != "爱丽丝" {
			t.Errorf("the sender's name is %q", history[0].Name)
		}
		if shown := readPage[shownChat](t, c.find(alice, 0, 1)).Values[0]; shown.Name != `大厅 "1"` {
			t.Errorf("the chat's name is %q", shown.Name)
		}
		closeStore(t, s)
		s = open(t, fs)
		c = newClient(s)
	}
	closeStore(t, s)
}

// What has to go to the store does not keep what is in memory waiting: a drain
// that did so often is committed as far as it has come.
func TestADrainIsCutWhereItIsCold(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs, withShards(2))
	c := newClient(s)
	var cold []int64
	for chat := int64(1); len(cold) <= maxDrainMisses; chat++ {
		if s.ShardOf(chat) == 0 {
			c.group(chat, alice)
			cold = append(cold, chat)
		}
	}
	closeStore(t, s)
	s = openFor(t, fs) // with nothing in memory
	c = newClient(s)
	var first, second []Op
	for _, chat := range cold {
		first = append(first, sendOp(chat, alice, "hello", ""))
		second = append(second, sendOp(chat, alice, "again", ""))
	}
	release := c.hold(0)
	g := newGate() // holds the writer where it publishes
	held := c.batch(first)
	held.Home = g
	s.Submit(0, held)
	c.submit(0, second)
	release()
	let := g.held()
	defer let() // whatever fails, or the store would not close
	for _, op := range second {
		if op.Answer.Status != Unanswered {
			t.Fatal("the second batch was applied in the commit of the first, cold one")
		}
	}
	let()
	c.wait(1)
	for i, op := range second {
		if first[i].Answer.Index != 1 || op.Answer.Index != 2 {
			t.Fatalf("chat %d: indexes %d and %d", op.Chat, first[i].Answer.Index, op.Answer.Index)
		}
	}
}

// What the readers have no room for is answered Busy at once, a list of chats
// too, and the writes beside it are carried out.
func TestReadsThatFindNoReaderAreBusy(t *testing.T) {
	s := openFor(t, vfs.NewMem(), withShards(2), func(c *Config) { c.MailboxRequests = 8 })
	c := newClient(s)
	c.group(7, alice)
	to := s.ShardOf(7)
	release := c.holdReaders(7, alice)
	waiting := c.differentReads(7, alice, 8) // those that hold the readers up have given their room back
	c.submit(to, waiting)
	c.settle(to)
	read := Op{Kind: GetChat, Chat: 7, User: alice, Index: 1, Count: 1}
	refused := []Op{read, sendOp(7, alice, "hello", "")}
	expectStatuses(t, c.do(to, refused...), Busy, OK)
	release()
	c.wait(1)
	for _, op := range waiting {
		if op.Answer.Status != OK {
			t.Errorf("a read that had room: %s", op.Answer.Status.said())
		}
	}
}
