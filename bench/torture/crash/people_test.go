package crash_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"throng/bench/torture/wire"
	"throng/codec"
)

// people is what was acknowledged of users, members and pairs, under load. It
// belongs to the goroutine of run, and to the test's between two runs.
type people struct {
	known   []person // all, those of this round from fresh on
	fresh   int
	doubted []wire.User // whose registration has no answer
}

// person is a registered user and what it has been told.
type person struct {
	wire.User
	joined int64 // a chat; 0: none
	pair   int64 // its chat with the world's first user; 0: none
	group  int64 // that it created; 0: none
}

// run registers users, one after the other, until the connection ends or the
// world says stop. Each joins a chat and creates two.
func (p *people) run(w *world, addr string) {
	c, err := wire.Dial(addr)
	if err != nil {
		return // the server has ended already
	}
	defer c.Close()
	for err == nil && !w.stop.Load() {
		err = p.step(w, c)
	}
}

func (p *people) step(w *world, c *wire.Conn) error {
	u := wire.NewUser()
	a, err := c.Call(u.Registration())
	if err != nil {
		p.doubted = append(p.doubted, u)
		return err
	}
	if !wire.Done(a) {
		return p.unless(w, a)
	}
	p.known = append(p.known, person{User: u})
	return p.settleIn(w, c, &p.known[len(p.known)-1])
}

// settleIn lets a new user join a chat and create two, in one pipeline: the three
// have nothing to do with each other.
func (p *people) settleIn(w *world, c *wire.Conn, who *person) error {
	chat := w.chats[rand.IntN(len(w.chats))]
	out := codec.AppendJoinRequest(nil, who.Token, chat)
	out = append(out, who.pairRequest(w)...)
	out = append(out, codec.AppendCreateRequest(nil, who.Token, codec.Text("its own"), true, nil)...)
	if _, err := c.Write(out); err != nil {
		return err
	}
	for _, enter := range []func(*codec.Answer){
		func(*codec.Answer) { who.joined = chat },
		func(a *codec.Answer) { who.pair = a.Chat },
		func(a *codec.Answer) { who.group = a.Chat },
	} {
		a, err := c.Next()
		if err != nil {
			return err
		}
		if !wire.Done(a) {
			if err := p.unless(w, a); err != nil {
				return err
			}
			continue
		}
		enter(a)
	}
	return nil
}

func (p *person) pairRequest(w *world) []byte {
	return codec.AppendCreateRequest(nil, p.Token, codec.Text("pair"), false, []uuid.UUID{w.users[0].ID})
}

// unless complains of an answer that is no refusal.
func (p *people) unless(w *world, a *codec.Answer) error {
	if !wire.Refused(a) {
		w.t.Errorf("an answer that nothing calls for: %s", wire.Describe(a))
	}
	return nil
}

// judge holds those of this round against a server that has just opened.
func (p *people) judge(t *testing.T, w *world, c *wire.Conn) {
	t.Helper()
	p.settleDoubts(t, c)
	judgePeople(t, w, c, p.known[p.fresh:])
	p.fresh = len(p.known)
}

// judgeAll does it for those of all rounds.
func (p *people) judgeAll(t *testing.T, w *world, c *wire.Conn) {
	t.Helper()
	judgePeople(t, w, c, p.known)
}

// settleDoubts repeats registrations that had no answer. Whether or not the first
// attempt was done, the user can log in then.
func (p *people) settleDoubts(t *testing.T, c *wire.Conn) {
	t.Helper()
	var requests [][]byte
	for _, u := range p.doubted {
		requests = append(requests, u.Registration())
		p.known = append(p.known, person{User: u})
	}
	p.doubted = nil
	ask(t, c, requests, func(_ int, a *codec.Answer) {
		if a.State != codec.StateOK {
			t.Errorf("a registration, repeated: %s", wire.Describe(a))
		}
	})
}

func judgePeople(t *testing.T, w *world, c *wire.Conn, all []person) {
	t.Helper()
	var requests [][]byte
	var judges []func(*codec.Answer)
	expect := func(request []byte, what string, chat int64) {
		requests = append(requests, request)
		judges = append(judges, func(a *codec.Answer) {
			if !wire.Done(a) || chat != 0 && a.Chat != chat {
				t.Errorf("%s was acknowledged; now: %s (chat %d)", what, wire.Describe(a), a.Chat)
			}
		})
	}
	for i := range all {
		who := &all[i]
		expect(codec.AppendLoginRequest(nil, who.ID, who.Token), "a user", 0)
		if who.joined != 0 {
			expect(codec.AppendReadRequest(nil, codec.GetChat, who.Token, who.joined, -1, 1), "a member", 0)
		}
		if who.group != 0 {
			expect(codec.AppendReadRequest(nil, codec.GetChat, who.Token, who.group, -1, 1), "a group", 0)
		}
		if who.pair != 0 {
			expect(who.pairRequest(w), "a pair", who.pair)
		}
	}
	ask(t, c, requests, func(i int, a *codec.Answer) { judges[i](a) })
}
