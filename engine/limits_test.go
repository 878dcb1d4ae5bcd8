package engine

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs" //nolint:depguard // its disk in memory can be made full

	"throng/shards"
)

// blocked is a server whose shard 0 hangs: p's chat in it takes up nothing more,
// while the chat in shard 1 goes on.
type blocked struct {
	*server
	disk    *slowDisk
	shard   *hang
	p       person
	stuck   int64 // a chat in shard 0
	free    int64 // a chat in shard 1
	blocker *client
}

// startBlocked hangs shard 0 with one send on a connection of its own.
func startBlocked(t tb, adjust ...option) *blocked {
	t.Helper()
	b := &blocked{disk: newSlowDisk()}
	b.server = start(t, append([]option{oneLoop, b.disk.use}, adjust...)...)
	b.blocker = dial(t, b.addr)
	b.p = b.blocker.newcomer(t)
	b.stuck = b.newChatIn(t, b.blocker, b.p, 0)
	b.free = b.newChatIn(t, b.blocker, b.p, 1)
	b.shard = b.disk.hang(t, shardActor(0))
	b.blocker.send(t, b.p.says(b.stuck, "blocker"))
	await(t, b.shard.begun, "the shard's sync")
	return b
}

// Over the limit of requests in flight each is answered 429 in its turn,
// whatever it asks, and when the first are answered the next are taken again.
func TestInFlightByCount(t *testing.T) {
	t.Parallel()
	b := startBlocked(t, func(c *Config, _ *shards.Config) { c.InFlight = 3 })
	c := dial(t, b.addr)
	c.send(t, b.p.says(b.stuck, "1"), b.p.says(b.stuck, "2"), ping, // these three are in flight
		b.p.says(b.stuck, "over"), ping, b.p.logsIn(), nonsense, b.p.findsChats(0))
	eventually(t, "all are taken in", func() bool { return b.inFlight(t, c) == 6 })
	b.shard.release()
	c.expect(t, sent(2), sent(3), pong, state429, state429, state429, state400, state429)
	c.asks(t, b.p.says(b.stuck, "3"), sent(4))
}

// Over the limit of bytes in flight a request is answered 429 in its turn; a
// smaller one is taken, and so is one over the whole limit where it is alone.
func TestInFlightByBytes(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("b", 700)
	b := startBlocked(t, func(c *Config, _ *shards.Config) { c.InFlightBytes = 1000 })
	alone := dial(t, b.addr)
	alone.send(t, b.p.says(b.stuck, big+big), ping)
	c := dial(t, b.addr)
	c.send(t, b.p.says(b.stuck, big), b.p.says(b.stuck, big), ping, b.p.says(b.stuck, big))
	eventually(t, "all are taken in", func() bool { return b.inFlight(t, c) == 4 && b.inFlight(t, alone) == 2 })
	b.shard.release()
	c.expect(t, `{"state_code":200,"content":{"msg":"success","index":#}}`, state429, pong, state429)
	alone.expect(t, `{"state_code":200,"content":{"msg":"success","index":#}}`, state429)
	b.withConn(t, c, func(c *conn) {
		if c.inFlightBytes != 0 || c.refusals != 0 {
			t.Errorf("%d bytes in flight, %d refusals owed of a connection that is owed nothing", c.inFlightBytes, c.refusals)
		}
	})
	c.asks(t, b.p.says(b.stuck, big), sent(4))
}

// Where a shard's mailbox has no room, requests for it are answered 429 at once,
// each in its turn; the other shard's and the connection's own go on.
func TestFullMailbox(t *testing.T) {
	t.Parallel()
	b := startBlocked(t, func(_ *Config, c *shards.Config) { c.MailboxRequests = 4 })
	c := dial(t, b.addr)
	over := slices.Repeat([]string{b.p.says(b.stuck, "over")}, 4) // with the blocker 5: none is taken
	c.send(t, append(over, b.p.says(b.free, "hello"), ping)...)
	c.expect(t, state429, state429, state429, state429, sent(1), pong)
	c.send(t, b.p.says(b.stuck, "1"), b.p.reads(b.stuck, -1, 1), b.p.joins(b.stuck)) // with it 4: full
	eventually(t, "the mailbox is full", func() bool { return b.store.Busy(0) })
	late := dial(t, b.addr)
	late.send(t, b.p.says(b.stuck, "over"), b.p.reads(b.stuck, -1, 1), b.p.joins(b.stuck), b.p.says(b.free, "hello"), ping,
		stranger().says(b.stuck, "load comes before the token"))
	late.expect(t, state429, state429, state429, sent(2), pong, state429)
	b.shard.release()
	b.blocker.expect(t, sent(1))
	c.expect(t, sent(2), fmt.Sprintf(
		`{"state_code":200,"content":{"values":[{"id":%q,"content":"1","index":2,"time":#}]}}`, b.p.id), success)
	late.asks(t, b.p.says(b.stuck, "2"), sent(3))
}

// A create whose shard has no room is answered 429 though the accounts have
// found its members; nothing was made.
func TestCreateIntoAFullMailbox(t *testing.T) {
	t.Parallel()
	b := startBlocked(t, func(_ *Config, c *shards.Config) { c.MailboxRequests = 1 })
	c := dial(t, b.addr)
	friend := c.newcomer(t)
	for b.store.ShardOf(b.store.PairChat(b.p.id, friend.id, 0)) != 0 {
		friend = c.newcomer(t)
	}
	c.asks(t, b.p.pairsWith(friend), state429)
	for got := 0; got < 5; { // groups, until 5 fell on the full shard
		reply := string(c.call(t, b.p.creates(friend)))
		switch {
		case reply == state429:
			got++
		case !like(reply, created):
			t.Fatal(reply)
		}
	}
	b.shard.release()
	b.blocker.expect(t, sent(1))
	c.asks(t, b.p.pairsWith(friend), createdAs(b.store.PairChat(b.p.id, friend.id, 0)))
}

// Where the accounts have no room, requests of unknown users are answered 429
// each, and so are registers and creates; known users go on.
func TestFullAccounts(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use, func(_ *Config, c *shards.Config) { c.MailboxRequests = 1 })
	c, other := dial(t, s.addr), dial(t, s.addr)
	p := c.newcomer(t)
	chat := c.newChat(t, p)
	accounts := disk.hang(t, accountsActor)
	other.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	a, b := stranger(), stranger()
	c.send(t,
		p.says(chat, "1"),
		a.says(chat, "?"), a.logsIn(), b.joins(chat), p.logsIn(), a.findsChats(0),
		stranger().registers(), stranger().registersWithoutToken(), p.creates(a), p.creates(), ping)
	c.expect(t,
		sent(1),
		state429, state429, state429, success, state429,
		state429, state429, state429, state429, pong)
	accounts.release()
	other.expect(t, success)
	c.send(t, a.says(chat, "?"), a.logsIn(), p.creates(p))
	c.expect(t, state401, failedLogin, created)
}

// A list of chats needs every shard: where one has no room the answer is 429,
// once, and the snapshots that the others took are closed. (Closing the store
// fails where one is not.)
func TestFindChatsWhereAMailboxIsFull(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use, func(_ *Config, c *shards.Config) { c.Shards, c.MailboxRequests = 4, 1 })
	c, other := dial(t, s.addr), dial(t, s.addr)
	p := c.newcomer(t)
	var chats []int64 // one in each shard
	for shard := range shards.Target(4) {
		chats = append(chats, s.newChatIn(t, c, p, shard))
	}
	for round, full := range [][]shards.Target{{0}, {3}, {1, 2}, {0, 3}, {1, 2, 3}, {0, 1, 2, 3}} {
		var hangs []*hang
		for _, shard := range full {
			h := disk.hang(t, shardActor(shard))
			other.send(t, p.says(chats[shard], "blocker"))
			await(t, h.begun, "the shard's sync")
			hangs = append(hangs, h)
		}
		for range 10 {
			c.asks(t, p.findsChats(0), state429)
		}
		for _, h := range hangs {
			h.release()
			other.expect(t, `{"state_code":200,"content":{"msg":"success","index":#}}`)
		}
		if reply := c.call(t, p.findsChats(0)); !strings.HasPrefix(string(reply), `{"state_code":200`) {
			t.Errorf("round %d: then find chats answered %s", round, reply)
		}
	}
}

// A peer that does not take its replies gets reads refused with 429, in their
// turn, and is served again once it has taken them.
func TestUnreadRepliesRefuseReads(t *testing.T) {
	t.Parallel()
	s, p, chat := startWithPages(t)
	c := dialSlow(t, s.addr)
	const reads = 200
	for range reads / 20 {
		c.send(t, slices.Repeat([]string{p.reads(chat, -1, 10)}, 20)...)
	}
	c.send(t, ping)
	s.others(t, p, chat)
	pages, refused := 0, 0
	for range reads {
		reply, err := c.read()
		switch {
		case err != nil:
			t.Fatal(err)
		case string(reply) == state429:
			refused++
		case strings.HasPrefix(string(reply), `{"state_code":200`) && len(reply) > pageBytes/2:
			pages++
		default:
			t.Fatalf("%.200s", reply)
		}
	}
	c.expect(t, pong)
	if pages == 0 || refused == 0 {
		t.Errorf("%d pages and %d refusals, want some of both", pages, refused)
	}
	s.withConn(t, c, func(c *conn) {
		if used := c.budget.Used(); used != int64(c.outbound) {
			t.Errorf("%d bytes charged of which gnet holds %d, to a connection that is owed nothing", used, c.outbound)
		}
	})
	if reply := c.call(t, p.reads(chat, -1, 10)); len(reply) < pageBytes/2 {
		t.Errorf("then a read answered %.200s", reply)
	}
	s.others(t, p, chat)
}

// Where so much is unread that a read could not be answered, it is refused at
// once, whatever its shard does.
func TestUnreadRepliesRefuseReadsAtOnce(t *testing.T) {
	t.Parallel()
	b := startBlocked(t)
	c := dial(t, b.addr)
	c.asks(t, ping, pong)
	b.withConn(t, c, func(c *conn) { c.budget.Charge(DefaultUnreadBytes) })
	c.send(t, b.p.reads(b.stuck, -1, 1), b.p.receives(b.stuck, 1, 1), b.p.findsChats(0), ping)
	c.expect(t, state429, state429, state429, pong)
	b.withConn(t, c, func(c *conn) { c.budget.Refund(DefaultUnreadBytes) })
	b.shard.release()
	c.asks(t, b.p.reads(b.stuck, 0, 1), `{"state_code":200,"content":{"values":[]}}`)
}

// A peer that goes on asking without taking its replies is given up, at a bound
// of memory, and nobody else notices.
func TestUnreadRepliesCloseTheConnection(t *testing.T) {
	t.Parallel()
	s, p, chat := startWithPages(t)
	c := dialSlow(t, s.addr)
	ask := frames(append(slices.Repeat([]string{p.reads(chat, -1, 10)}, 20), slices.Repeat([]string{ping}, 1000)...)...)
	most := int64(0)
	eventually(t, "the connection is closed", func() bool {
		s.others(t, p, chat)
		_, err := c.conn.Write(ask)
		open := s.withConn(t, c, func(c *conn) { most = max(most, c.budget.Used()) })
		return err != nil && !open
	})
	if limit := int64(unreadLimit + unreadLimit/unreadGrace + 2*pageBytes); most > limit {
		t.Errorf("%d bytes were unread, the limit is %d", most, limit)
	}
	s.others(t, p, chat)
	if n := s.connections.Load(); n != 2 {
		t.Errorf("%d connections are counted, want 2", n)
	}
}

const (
	pageBytes   = 256 << 10 // of a read's reply, about
	unreadLimit = 1 << 20
)

// pages is a server with a chat of large messages and another connection.
type pages struct {
	*server
	other *client
}

func startWithPages(t tb) (pages, person, int64) {
	t.Helper()
	s := start(t, oneLoop, func(c *Config, sc *shards.Config) { c.UnreadBytes, sc.ReplyBytes = unreadLimit, pageBytes })
	setup := dial(t, s.addr)
	p := setup.newcomer(t)
	chat := setup.newChat(t, p)
	for i := range 10 {
		setup.asks(t, p.says(chat, strings.Repeat("m", pageBytes/5)), sent(i+1))
	}
	return pages{s, dial(t, s.addr)}, p, chat
}

// others makes sure that another connection is served.
func (s pages) others(t tb, p person, chat int64) {
	t.Helper()
	s.other.send(t, ping, p.reads(chat, 0, 1), p.logsIn())
	s.other.expect(t, pong, `{"state_code":200,"content":{"values":[]}}`, success)
}

// dialSlow returns a client whose kernel takes little on its behalf.
func dialSlow(t tb, addr string) *client {
	t.Helper()
	c := dial(t, addr)
	if err := c.conn.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	return c
}

// A flood of requests that are refused, behind one that is still open, costs a
// place of memory, not one each; all are answered in their turn.
func TestFloodOfRefusals(t *testing.T) {
	t.Parallel()
	const flood = 50_000
	b := startBlocked(t, func(c *Config, _ *shards.Config) { c.InFlight, c.BadRequests = 8, 1<<30 })
	c := dial(t, b.addr)
	c.send(t, b.p.says(b.stuck, "1"))
	write := func(request string) {
		for range flood / 100 {
			c.send(t, slices.Repeat([]string{request}, 100)...)
		}
	}
	write(nonsense)
	write(`{"service_code":8,"content":{}}`)
	refused := 0
	eventually(t, "the flood is refused", func() bool {
		b.withConn(t, c, func(c *conn) { refused = c.refusals })
		return refused == 2*flood
	})
	if places := b.inFlight(t, c); places != 3 {
		t.Errorf("%d places are open, want 3", places)
	}
	b.shard.release()
	c.expect(t, sent(2))
	c.expect(t, slices.Repeat([]string{state400}, flood)...)
	c.expect(t, slices.Repeat([]string{noService}, flood)...)
	c.asks(t, ping, pong)
}

// What is refused and could be sent is sent, before its peer is given up for it.
func TestRefusalsOfOneRead(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *Config, _ *shards.Config) { c.InFlight, c.BadRequests = 1, 1<<30 })
	c := dial(t, s.addr)
	c.send(t, slices.Repeat([]string{nonsense, `{"service_code":8,"content":{}}`}, 2*minRefusals)...)
	c.expect(t, slices.Repeat([]string{state400, noService}, 2*minRefusals)...)
	c.asks(t, ping, pong)
}

// A peer that floods without end is given up, though its first request is still
// open; the request's answer then has nowhere to go, and harms nobody.
func TestFloodOfRefusalsIsBounded(t *testing.T) {
	t.Parallel()
	for name, requests := range map[string][]string{
		"of one kind": slices.Repeat([]string{`{"service_code":8,"content":{}}`}, 100),
		"of two":      slices.Repeat([]string{nonsense, `{"service_code":8,"content":{}}`}, 50),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBlocked(t, func(c *Config, _ *shards.Config) { c.UnreadBytes, c.InFlight = 256<<10, 1024 })
			c := dial(t, b.addr)
			c.send(t, b.p.says(b.stuck, "1"))
			flood, refused, places := frames(requests...), 0, 0
			eventually(t, "the connection is closed", func() bool {
				_, err := c.conn.Write(flood)
				open := b.withConn(t, c, func(c *conn) {
					refused, places = max(refused, c.refusals), max(places, c.replies.len())
				})
				return err != nil && !open
			})
			if refused > 256<<10/minReplyBytes+1 || places > 2*1024 {
				t.Errorf("%d refusals at %d places were owed", refused, places)
			}
			b.shard.release()
			b.blocker.expect(t, sent(1))
			b.blocker.asks(t, b.p.says(b.stuck, "2"), sent(3))
		})
	}
}

// Below the disk's floor writes are answered 507 and reads go on; above it
// writes are taken again.
func TestDiskFloor(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000})
	s := start(t, func(c *Config, sc *shards.Config) {
		c.DiskFloor, c.FirstFrame, sc.FS = 1000, patience, mem
	})
	c := dial(t, s.addr)
	p := c.newcomer(t)
	chat := c.newChat(t, p)
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 999})
	eventually(t, "the floor is seen", s.diskFull.Load)
	c.send(t, p.says(chat, "1"), p.creates(), p.joins(chat), stranger().registers(), p.reads(chat, -1, 1), p.logsIn(), ping)
	c.expect(t, state507, state507, state507, state507, `{"state_code":200,"content":{"values":[]}}`, success, pong)
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1000})
	eventually(t, "the room is seen", func() bool { return !s.diskFull.Load() })
	c.asks(t, p.says(chat, "1"), sent(1))
}

// A connection that has to end, for a frame that cannot be trusted or for too
// much nonsense, ends behind what it is owed; what it sends meanwhile is thrown
// away.
func TestEndBehindOpenRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  []byte
		want []string
	}{
		{"an empty frame", []byte{0, 0, 0, 0}, []string{state413}},
		{"a huge frame", []byte{255, 255, 255, 255}, []string{state413}},
		{"nonsense", frames(nonsense, nonsense, nonsense), []string{state400, state400, state400}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := startBlocked(t, func(c *Config, _ *shards.Config) { c.BadRequests = 3 })
			c := dial(t, b.addr)
			c.send(t, nonsense, nonsense, b.p.says(b.stuck, "1"), ping) // 400s in a row, but only two
			if _, err := c.conn.Write(append(test.end, frames(ping, b.p.says(b.free, "no"))...)); err != nil {
				t.Fatal(err)
			}
			c.expect(t, state400, state400)
			eventually(t, "it ends", func() (ends bool) {
				b.withConn(t, c, func(c *conn) { ends = c.phase == ending })
				return ends
			})
			c.send(t, slices.Repeat([]string{b.p.says(b.free, "no")}, 1000)...)
			b.shard.release()
			c.expect(t, sent(2), pong)
			c.expect(t, test.want...)
			if _, err := c.read(); !errors.Is(err, io.EOF) {
				t.Errorf("then %v, want the end of the stream", err)
			}
			b.blocker.expect(t, sent(1))
			b.blocker.asks(t, b.p.says(b.free, "yes"), sent(1))
		})
	}
}

// Only 400s in a row end a connection: a request between them that is under way
// breaks the row, a create of the wrong members is one of them.
func TestBadRequestsInARow(t *testing.T) {
	t.Parallel()
	b := startBlocked(t, func(c *Config, _ *shards.Config) { c.BadRequests = 3 })
	const notPair = `{"state_code":400,"content":{"msg":"member must name exactly one other user where is_group is false"}}`
	c := dial(t, b.addr)
	c.send(t, nonsense, nonsense, b.p.says(b.stuck, "1"), nonsense, b.p.pairsWith(), ping, nonsense)
	c.expect(t, state400, state400)
	eventually(t, "all are taken in", func() bool { return b.inFlight(t, c) == 5 })
	b.shard.release()
	c.expect(t, sent(2), state400, notPair, pong, state400)
	c.send(t, b.p.pairsWith(b.p), nonsense, ping)
	c.expect(t, notPair, state400)
	c.expectEnd(t)
}
