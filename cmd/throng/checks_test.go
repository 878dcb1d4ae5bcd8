// The state codes, and the order in which a request is checked: where two things are wrong with it, the earlier check
// answers. An answer that refuses leaves no trace.

package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const (
	nobody   = int64(1)<<50 + 1 // a token that nobody has
	nowhere  = int64(maxChat)   // a chat that nobody made
	overText = 64<<10 + 1       // one byte more than a message may hold
)

func TestTheEarlierCheckAnswers(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	chat := c.group(t, u)
	tooLong := strings.Repeat("x", overText)
	stranger := members(newUser())
	for _, test := range []struct {
		name string
		body string
		code int
	}{
		{"400 envelope before 404 service", `{"service_code":8}`, 400},
		{"400 envelope before 404 service, content's type", `{"service_code":8,"content":[]}`, 400},
		{"400 syntax before 404 service", `{"service_code":8,"content":{"token":01}}`, 400},
		{"400 invalid UTF-8 before 404 service", "{\"service_code\":8,\"content\":{\"x\":\"\xff\"}}", 400},
		{"400 nesting before 404 service", `{"service_code":8,"content":{"x":` + deep(5000) + `}}`, 400},
		{"404 service before 400 content", `{"service_code":8,"content":{"token":"x","chat":-1}}`, 404},
		{"404 service before 401 token", fmt.Sprintf(`{"service_code":8,"content":{"token":%d}}`, nobody), 404},
		{"404 service before 413 text", request(8, fields{"token": u.token, "chat": chat, "msg": tooLong}), 404},
		{"413 text before 401 token", request(send, fields{"token": nobody, "chat": chat, "msg": tooLong}), 413},
		{"413 text before 404 chat", request(send, fields{"token": u.token, "chat": nowhere, "msg": tooLong}), 413},
		{"400 content before 401 token", request(send, fields{"token": nobody, "chat": chat, "msg": ""}), 400},
		{"400 count before 401 token", request(getChat, fields{"token": nobody, "chat": chat, "index": 1, "count": 0}), 400},
		{"400 after before 401 token", request(find, fields{"token": nobody, "after": -1}), 400},
		{"400 content before 404 chat", request(send, fields{"token": u.token, "chat": nowhere, "msg": 5}), 400},
		{"400 ref before 404 chat", request(send, fields{"token": u.token, "chat": nowhere, "msg": "m", "ref": strings.Repeat("r", 65)}), 400},
		{"400 index before 404 chat", request(receive, fields{"token": u.token, "chat": nowhere, "index": json.RawMessage("1.0")}), 400},
		{"401 token before 404 chat, get", request(getChat, fields{"token": nobody, "chat": nowhere, "index": 1}), 401},
		{"401 token before 404 chat, send", request(send, fields{"token": nobody, "chat": nowhere, "msg": "m"}), 401},
		{"401 token before 404 chat, join", request(join, fields{"token": nobody, "chat": nowhere}), 401},
		{"401 token before 404 chat, receive", request(receive, fields{"token": nobody, "chat": nowhere, "index": 1}), 401},
		{"401 token before the pair's 400", pairRequest(nobody), 401},
		{"401 token before the failure of create", request(create, fields{"token": nobody, "name": "", "is_group": true, "member": stranger}), 401},
		{"400 content before the failure of login", request(login, fields{"id": newUser().id, "token": 0}), 400},
		{"400 content before the failure of register", request(register, fields{"id": u.id, "token": 0}), 400},
		{"400 name before the failure of register", request(register, fields{"id": u.id, "token": u.token, "name": 5}), 400},
		{"the pair's 400 before its failure", pairRequest(u.token, newUser(), newUser()), 400},
		{"the pair's 400 with one of them registered", pairRequest(u.token, v, newUser()), 400},
		{"the pair's failure", pairRequest(u.token, newUser()), 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := c.ask(t, test.body)
			if test.code == 200 {
				failed(t, r)
			} else {
				refused(t, r, test.code)
			}
			c.served(t)
		})
	}
	if list := c.newest(t, u, chat, 1); len(list) != 0 {
		t.Errorf("a refused message is there: %v", list)
	}
	if list := c.findChats(t, v); len(list) != 0 {
		t.Errorf("a refused pair is there: %v", list)
	}
}

func deep(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

func pairRequest(token int64, others ...user) string {
	return request(create, fields{"token": token, "name": "pair", "is_group": false, "member": members(others...)})
}

func TestATokenOfNobodyIs401(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for service, content := range validContents(u, u, chat) {
		if service == login || service == register {
			continue // these never answer 401
		}
		t.Run(fmt.Sprintf("service %d", service), func(t *testing.T) {
			first := c.call(t, service, content.with("token", nobody))
			refused(t, first, 401)
			// Once more: an answer that was looked up before must be the same.
			if again := c.call(t, service, content.with("token", nobody)); again.body != first.body {
				t.Errorf("first %s, then %s", first, again)
			}
		})
	}
	failed(t, c.call(t, login, fields{"id": u.id, "token": nobody}))
}

// A token that was refused must work as soon as somebody has registered it.
func TestARefusedTokenWorksOnceRegistered(t *testing.T) {
	s := start(t)
	c, other := s.dial(t), s.dial(t)
	u := newUser()
	refused(t, c.call(t, find, fields{"token": u.token}), 401)
	succeeded(t, other.ask(t, u.registration()))
	c.findChats(t, u)
}

// A chat that one may not see and a chat that is not there give the same answer, byte by byte.
func TestAChatOutOfSightIsTheSame404AsNone(t *testing.T) {
	c := start(t).dial(t)
	all := c.registerAll(t, 3)
	stranger := all[2]
	group, pair := c.group(t, all[0], all[1]), c.pair(t, all[0], all[1])
	for service, content := range validContents(stranger, stranger, nowhere) {
		if _, has := content["chat"]; !has {
			continue
		}
		t.Run(fmt.Sprintf("service %d", service), func(t *testing.T) {
			none := c.call(t, service, content)
			refused(t, none, 404)
			hidden := []int64{pair, group}
			if service == join {
				hidden = hidden[:1] // anybody may join a group
			}
			for _, chat := range hidden {
				if r := c.call(t, service, content.with("chat", chat)); r.body != none.body {
					t.Errorf("a hidden chat answers %s, none %s", r, none)
				}
			}
		})
	}
}

// Whatever is asked, and however it is refused, the token must not come back: replies end up in logs.
func TestNoReplyEchoesAToken(t *testing.T) {
	c := start(t).dial(t)
	const digits = "7418529637418529"
	mine := digits + "1"
	u := c.register(t)
	chat := c.group(t, u)
	id := newUser().id
	for _, body := range []string{
		`{"service_code":2,"content":{"id":"` + id + `","token":` + mine + `}}`,
		`{"service_code":1,"content":{"id":"` + id + `","token":` + mine + `}}`,
		`{"service_code":1,"content":{"id":"` + id + `","token":` + digits + `2}}`,
		`{"service_code":2,"content":{"id":"` + id + `","token":` + mine + `}}`,
		`{"service_code":2,"content":{"id":"x","token":` + mine + `}}`,
		`{"service_code":4,"content":{"token":` + mine + `}}`,
		`{"service_code":4,"content":{"token":` + digits + `2}}`,
		`{"service_code":4,"content":{"token":` + mine + `.0}}`,
		`{"service_code":4,"content":{"token":"` + mine + `"}}`,
		`{"service_code":4,"content":{"token":-` + mine + `}}`,
		`{"service_code":4,"content":{"token":` + mine + mine + `}}`,
		`{"service_code":4,"content":{"token":[` + mine + `]}}`,
		`{"service_code":4,"content":{"token":` + mine + ` 5}}`,
		`{"service_code":"` + mine + `","content":{"token":` + mine + `}}`,
		`{"service_code":8,"content":{"token":` + mine + `}}`,
		`{"service_code":4,"content":{"token":` + mine + `}`,
		mine, `"` + mine + `"`, `{"token":` + mine + `x}`,
		fmt.Sprintf(`{"service_code":5,"content":{"token":%s,"chat":%d,"msg":"m"}}`, mine, chat),
		fmt.Sprintf(`{"service_code":5,"content":{"token":%s,"chat":%d,"msg":5}}`, mine, chat),
	} {
		if r := c.ask(t, body); strings.Contains(r.body, digits) {
			t.Errorf("%s: reply %s", body, r)
		}
	}
}

func TestPingTellsTheTime(t *testing.T) {
	c := start(t).dial(t)
	first := c.ask(t, pingRequest)
	succeeded(t, first)
	if len(first.content) != 2 {
		t.Errorf("reply %s, want msg and time", first)
	}
	second := c.ask(t, `{"content":{"token":"ignored"},"service_code":100}`)
	succeeded(t, second)
	if a, b := number(t, first.content["time"]), number(t, second.content["time"]); a <= 0 || b < a {
		t.Errorf("times %d and %d", a, b)
	}
}
