package engine

import (
	"sync/atomic"
	"testing"
	"time"

	"throng/codec"
	"throng/shards"
)

// bug is a clock that panics once when it is planted: the engine reads it on the
// loops, in the handling of requests.
type bug struct{ planted atomic.Bool }

func (b *bug) use(c *Config, _ *shards.Config) {
	c.Now = func() time.Time {
		if b.planted.Swap(false) {
			panic("the planted bug")
		}
		return time.Now()
	}
}

// A panic in the handling of what one read brought costs that connection, with
// nothing of it done, and is counted. The server goes on for all others.
func TestPanicInTraffic(t *testing.T) {
	t.Parallel()
	var bug bug
	s := start(t, oneLoop, bug.use)
	c, other := dial(t, s.addr), dial(t, s.addr)
	p := c.newcomer(t)
	chat := c.newChat(t, p)
	for i := range 3 {
		victim := dial(t, s.addr)
		victim.asks(t, p.logsIn(), success)
		bug.planted.Store(true)
		victim.send(t, p.says(chat, "not to be sent"), ping)
		victim.expect(t, state500)
		victim.expectEnd(t)
		other.send(t, p.says(chat, "hello"), ping)
		other.expect(t, sent(i+1), pong)
		s.complaints.expect(t, "the planted bug")
	}
	if n := s.panics.Load(); n != 3 {
		t.Errorf("%d panics counted, want 3", n)
	}
	if n := s.connections.Load(); n != 2 {
		t.Errorf("%d connections are counted, want 2", n)
	}
}

// Of the requests that one read brought, those before the one that panics are
// told what was done, as far as that is known; it itself is told 500.
func TestPanicTellsWhatIsKnown(t *testing.T) {
	t.Parallel()
	b := startBlocked(t)
	waiting := stranger() // whose register is under way, or so it seems
	for _, c := range []struct{ requests, want []string }{
		{[]string{b.p.logsIn(), ping}, []string{state500}},
		{[]string{ping, nonsense, b.p.logsIn(), ping}, []string{pong, state400, state500}},
		{[]string{ping, waiting.registers(), b.p.logsIn()}, []string{pong}}, // of the second nothing is known
	} {
		victim := dial(t, b.addr)
		victim.asks(t, ping, pong)
		var users *shards.Recent[int64, user]
		b.onLoops(t, func(l *loop) { users, l.users = l.users, nil }) // to look a user up panics
		victim.send(t, c.requests...)
		victim.expect(t, c.want...)
		victim.expectEnd(t)
		b.onLoops(t, func(l *loop) { l.users = users })
		b.complaints.expect(t, "nil pointer")
	}
	b.shard.release()
	b.blocker.expect(t, sent(1))
	b.blocker.send(t, b.p.logsIn(), waiting.registers())
	b.blocker.expect(t, success, success) // it was not handed over
}

// A panic while answers are taken home costs the connection that they belong
// to. The others that are answered in the same drain get theirs.
func TestPanicInDrain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		plant     func(c *conn)
		complaint string
	}{
		{"with a parked request", func(c *conn) { c.parked[0].body = []byte("not JSON") }, "no longer decodes"},
		{"with a place", func(c *conn) { c.replies.at(c.replies.head).creation = nil }, "nil pointer"},
		{"while replies are written", func(c *conn) { c.budget = nil }, "nil pointer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk := newSlowDisk()
			s := start(t, oneLoop, disk.use)
			victim, registering := dial(t, s.addr), dial(t, s.addr)
			p, q := registering.newcomer(t), registering.newcomer(t)
			chat := registering.newChat(t, p)
			var others []*client
			for range 5 {
				others = append(others, dial(t, s.addr))
			}
			accounts := disk.hang(t, accountsActor)
			registering.send(t, stranger().registers())
			await(t, accounts.begun, "the accounts' sync")
			// All of these wait for the accounts, and come home together.
			for _, c := range others {
				c.send(t, p.creates(q), q.logsIn())
			}
			victim.send(t, p.creates(q), q.logsIn())
			eventually(t, "all wait for the accounts", func() bool { return s.inFlight(t, victim) == 2 })
			s.withConn(t, victim, test.plant)
			accounts.release()
			victim.expectEnd(t)
			registering.expect(t, success)
			for _, c := range others {
				c.expect(t, created, success)
				c.asks(t, p.logsIn(), success)
			}
			registering.asks(t, p.says(chat, "hello"), sent(1))
			s.complaints.expect(t, test.complaint)
			if n := s.panics.Load(); n != 1 {
				t.Errorf("%d panics counted, want 1", n)
			}
		})
	}
}

// The clock that messages are stamped with is read where answers come home too.
func TestPanicOfTheClockInDrain(t *testing.T) {
	t.Parallel()
	var bug bug
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use, bug.use)
	victim, other := dial(t, s.addr), dial(t, s.addr)
	p := other.newcomer(t)
	chat := other.newChat(t, p)
	accounts := disk.hang(t, accountsActor)
	other.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	victim.send(t, stranger().logsIn(), p.says(chat, "hello"))
	eventually(t, "it waits for the accounts", func() bool { return s.inFlight(t, victim) == 2 })
	bug.planted.Store(true)
	accounts.release()
	victim.expectEnd(t)
	other.expect(t, success)
	other.asks(t, p.says(chat, "hello"), sent(1))
	s.complaints.expect(t, "the planted bug")
}

// A panic in the sweep costs the connection that is swept.
func TestPanicInSweep(t *testing.T) {
	t.Parallel()
	s := start(t, oneLoop)
	victim, other := dial(t, s.addr), dial(t, s.addr)
	victim.asks(t, ping, pong)
	other.asks(t, ping, pong)
	s.withConn(t, victim, func(c *conn) { c.budget = nil })
	eventually(t, "the victim is closed", func() bool { return s.connections.Load() == 1 })
	other.asks(t, ping, pong)
	s.complaints.expect(t, "nil pointer")
}

// An operation that panics in its shard is answered 500, and its connection ends
// in good order: what it had asked besides is answered. Nobody else notices.
func TestPanicInAShard(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		plant     func(c *conn, place uint64, chat int64)
		complaint string
	}{
		{"where it is applied", func(c *conn, place uint64, _ int64) { // no shard knows such an operation
			c.add(0, shards.Op{Kind: 99, Tag: place}, 0)
		}, "not an operation of a shard"},
		{"where it reads", func(c *conn, place uint64, chat int64) { // nobody pays for it
			c.add(0, shards.Op{Kind: shards.GetChat, Tag: place, Chat: chat}, 0)
			c.loop.hand[0].Budget = nil
		}, "a read panicked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := startBlocked(t)
			victim := dial(t, b.addr)
			victim.send(t, ping, b.p.says(b.stuck, "1"))
			eventually(t, "it is taken in", func() bool { return b.inFlight(t, victim) == 1 })
			b.withConn(t, victim, func(c *conn) {
				place, r := c.replies.push()
				r.service = codec.Send
				test.plant(c, place, b.stuck)
				c.loop.hand[0].Ops[0].User = b.p.id
				c.handOver()
			})
			victim.send(t, b.p.says(b.stuck, "2"), ping, b.p.says(b.free, "1"))
			eventually(t, "it is taken in", func() bool { return b.inFlight(t, victim) == 5 })
			b.shard.release()
			victim.expect(t, pong, sent(2), state500, sent(3), pong, sent(1))
			victim.expectEnd(t)
			b.blocker.expect(t, sent(1))
			b.blocker.send(t, b.p.says(b.stuck, "3"), b.p.says(b.free, "2"))
			b.blocker.expect(t, sent(4), sent(2))
			b.complaints.expect(t, test.complaint)
			if n := b.panics.Load(); n != 0 {
				t.Errorf("%d panics of the engine counted, want none", n)
			}
		})
	}
}
