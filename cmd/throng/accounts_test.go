// Register and login: an id and a token belong to one user each, for good; an id may be written in either case.

package main_test

import (
	"strings"
	"testing"
)

func TestRegisterRefusesWhatIsInUseWithOneCause(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	causes := []string{
		failed(t, c.call(t, register, fields{"id": u.id, "token": newUser().token})),
		failed(t, c.call(t, register, fields{"id": newUser().id, "token": u.token})),
		failed(t, c.call(t, register, fields{"id": u.id, "token": u.token})),
		failed(t, c.call(t, register, fields{"id": u.id, "token": v.token})),
		failed(t, c.call(t, register, fields{"id": u.id})),
		failed(t, c.call(t, register, fields{"id": strings.ToUpper(u.id), "token": newUser().token})),
	}
	for _, cause := range causes {
		if cause != causes[0] {
			t.Errorf("causes %q, want one", causes)
		}
	}
}

// A refused registration takes nothing: neither its id nor its token is in use after it.
func TestARefusedRegistrationTakesNothing(t *testing.T) {
	c := start(t).dial(t)
	u, free := c.register(t), newUser()
	failed(t, c.call(t, register, fields{"id": u.id, "token": free.token}))
	failed(t, c.call(t, register, fields{"id": free.id, "token": u.token}))
	refused(t, c.call(t, find, fields{"token": free.token}), 401)
	succeeded(t, c.ask(t, free.registration()))
	succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
}

// Two registrations of one id, or one token, in the same write: one of them wins.
func TestOfTwoRegistrationsInOneWriteTheFirstWins(t *testing.T) {
	c := start(t).dial(t)
	u, v := newUser(), newUser()
	sameID, sameToken := u, v
	sameID.token, sameToken.id = newUser().token, newUser().id
	replies := c.pipeline(t, u.registration(), sameID.registration(), v.registration(), sameToken.registration())
	succeeded(t, replies[0])
	failed(t, replies[1])
	succeeded(t, replies[2])
	failed(t, replies[3])
}

func TestLoginKnowsRightFromWrong(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
	causes := []string{
		failed(t, c.call(t, login, fields{"id": u.id, "token": v.token})),
		failed(t, c.call(t, login, fields{"id": u.id, "token": newUser().token})),
		failed(t, c.call(t, login, fields{"id": newUser().id, "token": u.token})),
		failed(t, c.call(t, login, fields{"id": newUser().id, "token": newUser().token})),
	}
	for _, cause := range causes {
		if cause != causes[0] {
			t.Errorf("causes %q tell a stranger which half was right", causes)
		}
	}
}

func TestAnIDIsReadInAnyCaseAndWrittenInLower(t *testing.T) {
	c := start(t).dial(t)
	id := "ABCDEF01-5EED-4BAD-8BAD-abcdefABCDEF"
	u := newUser()
	u.id = id
	succeeded(t, c.ask(t, u.registration()))
	u.id = strings.ToLower(id)
	succeeded(t, c.call(t, login, fields{"id": strings.ToUpper(id), "token": u.token}))
	succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))

	by := c.register(t)
	capital := u
	capital.id = strings.ToUpper(id)
	chat := c.group(t, by, capital, u)
	if list := c.findChats(t, u); len(list) != 1 || list[0].members != 2 || list[0].usrs[1] != u.id {
		t.Errorf("chats of %s: %+v", u.id, list)
	}
	c.post(t, u, chat, "hello")
	m := messages(t, receive, c.ask(t, by.window(receive, chat, 1, 1)))[0]
	if m.ID != u.id || m.Name != u.id {
		t.Errorf("sent by %q, named %q, want %q", m.ID, m.Name, u.id)
	}
}

func TestAnyUUIDIsAnID(t *testing.T) {
	c := start(t).dial(t)
	for _, id := range []string{"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"} {
		u := newUser()
		u.id = id
		succeeded(t, c.ask(t, u.registration()))
		succeeded(t, c.call(t, login, fields{"id": id, "token": u.token}))
	}
}

func TestAnIssuedTokenIsTheUsersOwn(t *testing.T) {
	c := start(t).dial(t)
	seen := map[int64]bool{}
	for range 20 {
		u := newUser()
		r := c.call(t, register, fields{"id": u.id})
		succeeded(t, r)
		u.token = number(t, r.content["token"])
		if len(r.content) != 2 || u.token <= 0 || seen[u.token] {
			t.Fatalf("reply %s, want a token that nobody has", r)
		}
		seen[u.token] = true
		succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
		c.findChats(t, u)
	}
}

// A success that carried a chosen token back would put it into logs: only an issued one is in the reply.
func TestAChosenTokenIsNotInTheReply(t *testing.T) {
	c := start(t).dial(t)
	if r := c.ask(t, newUser().registration()); len(r.content) != 1 {
		t.Errorf("reply %s, want msg alone", r)
	}
}

func TestANameIsWhatOneRegisteredWithElseTheID(t *testing.T) {
	c := start(t).dial(t)
	reader := c.register(t)
	chat := c.group(t, reader)
	for _, name := range []string{"", "n", "田所 🦀", " ", `"\` + "\n\x00", strings.Repeat("n", 256), strings.Repeat("中", 85) + "n"} {
		u := newUser()
		succeeded(t, c.call(t, register, fields{"id": u.id, "token": u.token, "name": name}))
		succeeded(t, c.call(t, join, fields{"token": u.token, "chat": chat}))
		index := c.post(t, u, chat, "hello")
		want := name
		if name == "" {
			want = u.id
		}
		m := messages(t, receive, c.ask(t, reader.window(receive, chat, index, 1)))
		if len(m) != 1 || m[0].Name != want || m[0].ID != u.id {
			t.Errorf("%q is shown as %+v", want, m)
		}
	}
}

func TestANameOverTheLimitIs400(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	for _, name := range []string{strings.Repeat("n", 257), strings.Repeat("中", 86)} {
		other := newUser()
		msg := refused(t, c.call(t, register, fields{"id": other.id, "token": other.token, "name": name}), 400)
		if !strings.Contains(msg, "name") {
			t.Errorf("%q does not say name", msg)
		}
		failed(t, c.call(t, login, fields{"id": other.id, "token": other.token}))
		content := fields{"token": u.token, "name": name, "is_group": true, "member": members()}
		if msg := refused(t, c.call(t, create, content), 400); !strings.Contains(msg, "name") {
			t.Errorf("%q does not say name", msg)
		}
	}
	if list := c.findChats(t, u); len(list) != 0 {
		t.Errorf("a refused group is there: %v", list)
	}
}

func TestAccountsSurviveAKill(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := newUser()
	u.name = "田所"
	succeeded(t, c.ask(t, u.registration()))
	v := newUser()
	r := c.call(t, register, fields{"id": v.id})
	succeeded(t, r)
	v.token = number(t, r.content["token"])
	s.kill(t)

	c = startIn(t, s.dir).dial(t)
	succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
	succeeded(t, c.call(t, login, fields{"id": v.id, "token": v.token}))
	failed(t, c.call(t, login, fields{"id": v.id, "token": u.token}))
	failed(t, c.ask(t, u.registration()))
	chat := c.group(t, u, v)
	c.post(t, u, chat, "hello")
	if m := messages(t, receive, c.ask(t, v.window(receive, chat, 1, 1))); m[0].Name != u.name {
		t.Errorf("%q is shown as %q", u.name, m[0].Name)
	}
}
