package engine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"throng/codec"
	"throng/shards"
)

// A chat's members are those asked for, once each, without its creator.
func TestOthersOf(t *testing.T) {
	t.Parallel()
	me, a, b, c := uuid.UUID{1}, uuid.UUID{0, 1}, uuid.UUID{2}, uuid.UUID{2, 1}
	for _, test := range []struct {
		name          string
		members, want []uuid.UUID
	}{
		{"nobody", nil, nil},
		{"only the creator", []uuid.UUID{me, me}, nil},
		{"one", []uuid.UUID{a}, []uuid.UUID{a}},
		{"by rising id", []uuid.UUID{c, a, b}, []uuid.UUID{a, b, c}},
		{"each once", []uuid.UUID{b, a, b, a, b}, []uuid.UUID{a, b}},
		{"the creator between them", []uuid.UUID{c, me, a, me, c}, []uuid.UUID{a, c}},
	} {
		asked := slices.Clone(test.members)
		if got := othersOf(asked, me); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if !slices.Equal(asked, test.members) {
			t.Errorf("%s: the decoder's own slice was changed", test.name)
		}
	}
}

// What draw returns is in its range and may be any number of it.
func TestDraw(t *testing.T) {
	t.Parallel()
	for _, highest := range []uint64{1, 3, codec.MaxChat, codec.MaxToken} {
		var bits int64
		for range 1000 {
			n := draw(highest)
			if n < 1 || uint64(n) > highest {
				t.Fatalf("draw(%d) returned %d", highest, n)
			}
			bits |= n
		}
		if uint64(bits) != highest {
			t.Errorf("1000 draws up to %d never set the bits %b", highest, highest&^uint64(bits))
		}
	}
}

// What is kept is a copy, and nothing that is kept behind it reaches into it.
func TestKeep(t *testing.T) {
	t.Parallel()
	frame := []byte("onetwothree")
	var arena []byte
	var kept []codec.Text
	for _, part := range []codec.Text{frame[:3], nil, frame[3:6], frame[6:]} {
		var text codec.Text
		arena, text = keep(arena, part)
		kept = append(kept, text)
	}
	clear(frame)
	_ = append(kept[0], "xx"...)
	for i, want := range []string{"one", "", "two", "three"} {
		if string(kept[i]) != want {
			t.Errorf("text %d reads %q, want %q", i, kept[i], want)
		}
	}
}

// A pair whose id belongs to another chat gets the next one, again from either
// side, and where all are taken the answer is an error.
func TestPairWhoseIDIsTaken(t *testing.T) {
	inBothModes(t, takenPairs)
}

func takenPairs(t *testing.T, mode option) {
	s := start(t, mode)
	c := dial(t, s.addr)
	for _, taken := range []int{0, 1, 2, maxCreateTries} {
		a, b := c.newcomer(t), c.newcomer(t)
		for attempt := range taken {
			s.occupy(t, s.store.PairChat(a.id, b.id, attempt))
		}
		want := createdAs(s.store.PairChat(a.id, b.id, taken))
		c.send(t, a.pairsWith(b), b.pairsWith(a), a.pairsWith(b, a, b))
		c.expect(t, want, want, want)
	}
	a, b := c.newcomer(t), c.newcomer(t)
	for attempt := range maxCreateTries + 1 {
		s.occupy(t, s.store.PairChat(a.id, b.id, attempt))
	}
	c.asks(t, a.pairsWith(b), state500)
}

// inbox is an Outbox whose owner takes the batches from a channel.
type inbox chan *shards.Batch

func (in inbox) Put(batches []*shards.Batch) {
	for _, b := range batches {
		in <- b
	}
}

// occupy makes a group of a chat id that the test chose.
func (s *server) occupy(t tb, chat int64) {
	t.Helper()
	in := make(inbox, 1)
	b := &shards.Batch{Home: in, Budget: shards.NewBudget(1), Ops: []shards.Op{{
		Kind: shards.Create, Chat: chat, Group: true, Members: []shards.Member{{ID: uuid.New()}},
	}}}
	if !s.store.Submit(s.store.ShardOf(chat), b) {
		t.Fatal("the mailbox is full")
	}
	if got := await(t, in, "the chat").Ops[0].Answer.Status; got != shards.OK {
		t.Fatalf("status %d", got)
	}
}

// A group whose id was drawn before is drawn again. Not parallel: it loads the
// dice of the whole process.
func TestGroupWhoseIDIsTaken(t *testing.T) {
	dice := &loadedDice{fair: rand.Reader}
	rand.Reader = dice
	t.Cleanup(func() { rand.Reader = dice.fair })
	s := start(t)
	c := dial(t, s.addr)
	p := c.newcomer(t)

	const first, second = 0xabcdef, 0x123456
	dice.load(0, first, first, first, first|1<<60, second)
	c.asks(t, p.creates(), createdAs(first)) // 0 is no chat id
	c.asks(t, p.creates(), createdAs(second))

	dice.load(slices.Repeat([]uint64{first}, maxCreateTries+1)...)
	c.asks(t, p.creates(), state500)
	c.asks(t, p.creates(), created)
}

// loadedDice answers draws of 8 bytes with what it was loaded with.
type loadedDice struct {
	fair io.Reader

	mu    sync.Mutex
	rolls []uint64
}

func (d *loadedDice) load(rolls ...uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rolls = rolls
}

func (d *loadedDice) Read(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(p) != 8 || len(d.rolls) == 0 {
		return d.fair.Read(p)
	}
	binary.BigEndian.PutUint64(p, d.rolls[0])
	d.rolls = d.rolls[1:]
	return len(p), nil
}

// Unknown tokens cost their own connection a look at the accounts each, and
// nobody else anything, however long the accounts take.
func TestStormOfUnknownTokens(t *testing.T) {
	t.Parallel()
	const storm = 3000
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use)
	known, storming, registering := dial(t, s.addr), dial(t, s.addr), dial(t, s.addr)
	p := known.newcomer(t)
	chat := known.newChat(t, p)

	accounts := disk.hang(t, accountsActor)
	registering.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	for range storm {
		storming.send(t, stranger().says(chat, "let me in"))
	}
	eventually(t, "the storm waits for the accounts", func() bool { return s.inFlight(t, storming) == storm })
	for i := range 100 {
		known.send(t, ping, p.logsIn(), p.says(chat, "hello"), p.findsChats(codec.MaxChat), p.creates())
		known.expect(t, pong, success, sent(i+1), noChats, created)
	}
	accounts.release()
	registering.expect(t, success)
	storming.expect(t, slices.Repeat([]string{state401}, storm)...)
	s.withConn(t, storming, func(c *conn) {
		if c.parked != nil || c.inFlightBytes != 0 {
			t.Errorf("%d requests still parked, %d bytes in flight", len(c.parked), c.inFlightBytes)
		}
	})
}

// Requests behind one whose user is being looked up wait for it, known or not,
// and keep their order; a user that was found is known from then on.
func TestParkedRequestsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use)
	c, other := dial(t, s.addr), dial(t, s.addr)
	p, q := c.newcomer(t), c.newcomer(t)
	chat := c.newChat(t, p)

	accounts := disk.hang(t, accountsActor)
	other.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	nobody := stranger()
	c.send(t,
		p.says(chat, "1"),
		nobody.says(chat, "-"),
		p.says(chat, "2"),
		q.joins(chat),
		ping,
		nobody.logsIn(),
		q.says(chat, "3"),
		nonsense,
		p.creates(nobody),
		p.says(chat, "4"))
	c.expect(t, sent(1)) // it went before
	accounts.release()
	c.expect(t, state401, sent(2), success, pong, failedLogin, sent(3), state400, failedMember, sent(4))
	s.onLoops(t, func(l *loop) {
		if _, known := l.users.Get(q.token); !known {
			t.Error("the user that was looked up is not remembered")
		}
		if _, known := l.users.Get(nobody.token); known {
			t.Error("nobody is remembered")
		}
	})
}

// That a token was nobody's holds for those who asked before: once its register
// is acknowledged, a login succeeds, though other requests of its connection,
// from before and after, are still being looked up.
func TestLoginAfterRegisterIsAcknowledged(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use)
	c, registering, other := dial(t, s.addr), dial(t, s.addr), dial(t, s.addr)
	p := stranger()
	// Each register makes one drain of the accounts, which hangs until the next is
	// on its way: c is looking somebody up all the time.
	hung := disk.hang(t, accountsActor)
	other.send(t, stranger().registers())
	await(t, hung.begun, "the accounts' sync")
	next := func(who *client, register string, looking ...string) {
		before := s.inFlight(t, c)
		who.send(t, register)
		eventually(t, "the register is taken in", func() bool { return s.inFlight(t, who) > 0 })
		c.send(t, looking...)
		eventually(t, "c looks somebody up", func() bool { return s.inFlight(t, c) == before+len(looking) })
		last := hung
		hung = disk.hang(t, accountsActor)
		last.release()
		await(t, hung.begun, "the accounts' next sync")
	}
	stale := dial(t, s.addr)
	next(stale, stranger().registers(), p.logsIn(), stranger().logsIn())
	other.expect(t, success)
	next(other, stranger().registers(), stranger().logsIn())
	stale.expect(t, success)
	c.expect(t, failedLogin, failedLogin)
	next(registering, p.registers(), stranger().logsIn())
	other.expect(t, success)
	c.expect(t, failedLogin)
	next(stale, stranger().registers(), stranger().logsIn())
	registering.expect(t, success)
	c.expect(t, failedLogin)
	if s.inFlight(t, c) == 0 {
		t.Fatal("c looks nobody up")
	}
	c.send(t, p.logsIn())
	eventually(t, "it is taken in", func() bool { return s.inFlight(t, c) == 2 })
	hung.release()
	stale.expect(t, success)
	c.expect(t, failedLogin, success)
}

// The same where the answer of before, that the token is nobody's, has come, and
// its loop was too busy to look at it: the login after the register asks anew.
func TestLoginOvertakesAnOldAnswer(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	clock := &stuckClock{}
	s := start(t, disk.use, clock.use, func(c *Config, _ *shards.Config) { c.Loops = 2 })
	c := dial(t, s.addr)
	c.asks(t, ping, pong)
	beside := s.dialOn(t, s.loopOfClient(t, c), true)
	elsewhere := s.dialOn(t, s.loopOfClient(t, c), false)
	p := stranger()

	accounts := disk.hang(t, accountsActor)
	elsewhere.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	c.send(t, p.logsIn())
	eventually(t, "it waits for the accounts", func() bool { return s.inFlight(t, c) == 1 })
	stuck := clock.stick(t)
	beside.send(t, ping) // keeps the loop
	await(t, stuck.begun, "the loop's look at the clock")
	accounts.release()
	elsewhere.expect(t, success)
	elsewhere.asks(t, p.registers(), success)
	c.send(t, p.logsIn())
	stuck.release()
	beside.expect(t, pong)
	c.expect(t, failedLogin, success)
}

// stuckClock is a clock that a test can make hang, for one look: it keeps the
// loop that looks.
type stuckClock struct{ next atomic.Pointer[hang] }

func (s *stuckClock) use(c *Config, _ *shards.Config) {
	c.Now = func() time.Time {
		if h := s.next.Swap(nil); h != nil {
			h.begin()
			<-h.over
		}
		return time.Now()
	}
}

func (s *stuckClock) stick(t tb) *hang {
	h := newHang(func() {})
	t.Cleanup(h.release)
	s.next.Store(h)
	return h
}

func (s *server) loopOfClient(t tb, c *client) (l *loop) {
	t.Helper()
	s.withConn(t, c, func(c *conn) { l = c.loop })
	return l
}

// dialOn dials until a connection is on the loop, or on another one.
func (s *server) dialOn(t tb, l *loop, same bool) *client {
	t.Helper()
	for {
		c := dial(t, s.addr)
		c.asks(t, ping, pong)
		if s.loopOfClient(t, c) == l == same {
			return c
		}
	}
}

// A connection that never comes to rest remembers of its lookups only those that
// a request waits for.
func TestLookupsAreForgotten(t *testing.T) {
	t.Parallel()
	s := start(t, oneLoop)
	c := dial(t, s.addr)
	const requests, ahead = 20_000, 200
	for i := range requests {
		c.send(t, stranger().logsIn())
		if i >= ahead {
			c.expect(t, failedLogin)
		}
		if i%1000 == 0 {
			s.withConn(t, c, func(c *conn) {
				if len(c.lookups) > len(c.parked) {
					t.Errorf("after %d requests %d lookups are remembered, for %d that wait", i, len(c.lookups), len(c.parked))
				}
			})
		}
	}
	c.expect(t, slices.Repeat([]string{failedLogin}, ahead)...)
}

// A user that the loop forgets while a request of its waits is looked up again.
func TestUserForgottenWhileParked(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use)
	c, other := dial(t, s.addr), dial(t, s.addr)
	p := c.newcomer(t)
	chat := c.newChat(t, p)
	accounts := disk.hang(t, accountsActor)
	other.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	c.send(t, stranger().logsIn(), p.says(chat, "1"), p.logsIn(), stranger().logsIn(), p.says(chat, "2"))
	eventually(t, "all wait", func() bool { return s.inFlight(t, c) == 5 })
	s.onLoops(t, func(l *loop) { l.users.Reset() })
	accounts.release()
	c.expect(t, failedLogin, sent(1), success, failedLogin, sent(2))
	s.withConn(t, c, func(c *conn) {
		if c.parked != nil || c.lookups != nil {
			t.Errorf("%d requests still parked, %d lookups remembered", len(c.parked), len(c.lookups))
		}
	})
}

// A create of many members asks for their names a few at a time, and needs all.
func TestCreateOfManyMembers(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := dial(t, s.addr)
	p := c.newcomer(t)
	var members []person
	var registers []string
	for range 2*resolveAtOnce + 1 {
		members = append(members, stranger())
		registers = append(registers, members[len(members)-1].registers())
	}
	c.send(t, registers...)
	c.expect(t, slices.Repeat([]string{success}, len(members))...)
	for _, n := range []int{1, resolveAtOnce, resolveAtOnce + 1, len(members)} {
		unknownFirst := append(slices.Clone(members[:n]), person{id: uuid.UUID{15: 1}})
		unknownLast := append(slices.Clone(members[:n]), person{id: uuid.Max})
		c.send(t, p.creates(members[:n]...), ping, p.creates(unknownFirst...), p.creates(unknownLast...))
		c.expect(t, created, pong, failedMember, failedMember)
		last := members[n-1]
		if found, want := string(c.call(t, last.findsChats(0))), fmt.Sprintf(`"members":%d}`, n+1); !strings.Contains(found, want) {
			t.Errorf("of %d members the last one finds %.300s, want %s", n, found, want)
		}
	}
}

// A batch that no mailbox has room for, and whose connection is gone meanwhile, is
// answered to nobody; a list of chats in it is given up all the same, or the
// snapshots that other shards hold for it would stay open.
func TestTurnedAwayWithoutAConnection(t *testing.T) {
	t.Parallel()
	c := newRefuser(Config{})
	c.phase = closed
	find := shards.NewFind(uuid.New(), 0, 1, 2)
	c.turnedAway(&shards.Batch{Ops: []shards.Op{
		{Kind: shards.Send, Tag: 5}, {Kind: shards.Lookup, Token: 1}, {Kind: shards.FindChats, Find: find},
	}})
	if last := find.Abandon(); !last {
		t.Error("the list of chats was not given up")
	}
}
