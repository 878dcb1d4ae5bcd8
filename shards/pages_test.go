package shards

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Replies to reads that come again: remembered, right, and bounded.

// One reply is built for all who ask for the same messages, from the third on; what
// it shows is what the first was shown.
func TestAReplyThatIsAskedForAgainIsShared(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice, bob)
	for i := range 30 {
		c.send(7, alice, fmt.Sprint("text ", i))
	}
	for _, kind := range []Kind{GetChat, Receive} {
		oldest, newest := int64(11), int64(30)
		read := func(op Op) []byte {
			op.Kind, op.Chat, op.Count = kind, 7, 20
			return c.one(op).Answer.Body
		}
		first := read(Op{User: alice, Index: -1})
		built := read(Op{User: bob, Index: -1})
		shared := read(Op{User: alice, Index: -1})
		again := read(Op{User: bob, Index: -1})
		if !bytes.Equal(first, built) || !bytes.Equal(first, shared) {
			t.Errorf("kind %d: asked for three times, a window reads as\n%s\n%s\n%s", kind, first, built, shared)
		}
		values := readPage[shownMessage](t, Op{Answer: Answer{Status: OK, Body: shared}}).Values
		if begin := values[0].Index; begin != oldest && kind == Receive || begin != newest && kind == GetChat {
			t.Errorf("kind %d: it begins with message %d", kind, begin)
		}
		if unsafe.SliceData(shared) != unsafe.SliceData(again) {
			t.Errorf("kind %d: a reply is built again and again", kind)
		}
		if kind == GetChat { // other windows, however often they are asked for
			for range 3 {
				older := readPage[shownMessage](t, c.one(Op{Kind: kind, Chat: 7, User: alice, Index: 20, Count: 20})).Values
				if older[0].Index != 20 || len(older) != 20 {
					t.Errorf("%d messages from 20 on begin with %d", len(older), older[0].Index)
				}
				fewer := readPage[shownMessage](t, c.one(Op{Kind: kind, Chat: 7, User: alice, Index: -1, Count: 5})).Values
				if fewer[0].Index != 30 || len(fewer) != 5 {
					t.Errorf("5 of the newest messages are %d, from %d on", len(fewer), fewer[0].Index)
				}
			}
		}
	}
}

// The newest messages are the newest, however often they were asked for before.
func TestARememberedReplyIsNotShownForNewerMessages(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	for want := range int64(100) {
		for range 4 {
			got := c.get(t, 7, alice)
			if int64(len(got)) != want || want > 0 && got[0].Index != want {
				t.Fatalf("after %d messages the newest are %v", want, got)
			}
		}
		c.send(7, alice, "x")
	}
}

// A shared reply is charged to each who gets it.
func TestASharedReplyIsCharged(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, strings.Repeat("x", 1000))
	read := Op{Kind: GetChat, Chat: 7, User: alice, Index: 1, Count: 1}
	var size int
	for range 3 {
		size = len(c.one(read).Answer.Body)
	}
	budget := NewBudget(2*size + size/2)
	b := c.batch([]Op{read, read, read})
	b.Budget = budget
	s.Submit(s.ShardOf(7), b)
	c.wait(1)
	expectStatuses(t, b.Ops, OK, OK, Busy)
	if got := budget.Used(); got != int64(2*size) {
		t.Errorf("2 shared replies of %d bytes are charged as %d", size, got)
	}
}

// A user who is no member is not shown what others have asked for.
func TestASharedReplyIsForMembers(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	c := newClient(s)
	c.group(7, alice)
	c.send(7, alice, "secret")
	read := Op{Kind: GetChat, Chat: 7, User: alice, Index: -1, Count: 20}
	for range 4 {
		expectStatuses(t, []Op{c.one(read)}, OK)
	}
	read.User = bob
	expectStatuses(t, []Op{c.one(read)}, NoChat)
}

// Replies are remembered within the memory that there is for them, whole ones only,
// and none that is asked for once.
func TestPagesAreBounded(t *testing.T) {
	const memory = 1 << 20
	p := newPages(memory)
	reply := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	for i := range int64(10_000) {
		id := pageID{chat: i, from: 1, to: 20, kind: GetChat}
		size := 1 + int(i)%maxPage
		if got, again := p.get(id); got != nil || again {
			t.Fatalf("window %d was never asked for: %d bytes, again %v", i, len(got), again)
		}
		if _, again := p.get(id); !again {
			t.Fatalf("window %d was asked for right before", i)
		}
		p.put(id, reply(size))
		if got, _ := p.get(id); len(got) != size {
			t.Fatalf("a reply of %d bytes is remembered with %d", size, len(got))
		}
		held := 0
		for _, generation := range []map[pageID]kept[[]byte]{p.replies.young, p.replies.old} {
			for _, one := range generation {
				held += len(one.value)
			}
		}
		if held > memory+2*maxPage {
			t.Fatalf("%d bytes are held", held)
		}
	}
	large := pageID{chat: 1, kind: Receive}
	p.put(large, reply(maxPage+1))
	if got, _ := p.get(large); got != nil {
		t.Errorf("a reply of %d bytes is remembered", len(got))
	}
}

// What is remembered is a copy: the memory of the batch it was built in is used again.
func TestPagesKeepTheirOwnBytes(t *testing.T) {
	p := newPages(1 << 20)
	body := []byte("reply")
	id := pageID{chat: 1, from: 1, to: 1, kind: GetChat}
	p.put(id, body)
	copy(body, "other")
	if got, _ := p.get(id); !slices.Equal(got, []byte("reply")) {
		t.Errorf("it became %q", got)
	}
}
