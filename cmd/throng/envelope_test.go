// What a well-framed body must be: one JSON object in valid UTF-8, with exact keys and plain integers. Everything else
// is a 400 that names the field where there is one to name, never quotes the parser, and leaves the connection open.

package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// malformed sends a body that must get a 400, and checks that the connection is still served.
func (c *client) malformed(t *testing.T, body, field string) {
	t.Helper()
	r := c.ask(t, body)
	if r.code != 400 {
		t.Fatalf("%q: reply %s, want 400", brief(body), r)
	}
	msg := refused(t, r, 400)
	if !strings.Contains(msg, field) {
		t.Errorf("%s: %q does not name %q", brief(body), msg, field)
	}
	for _, parser := range []string{"invalid char", "Syntax", "syntax error", "sonic", "ismatch type", "cannot unmarshal"} {
		if strings.Contains(msg, parser) {
			t.Errorf("%s: %q quotes the parser", brief(body), msg)
		}
	}
	c.served(t)
}

func TestABodyThatIsNoObjectIs400(t *testing.T) {
	c := start(t).dial(t)
	for _, body := range []string{
		" ", "null", "true", "5", `"text"`, "[]", `[{"service_code":100,"content":{}}]`, "{", "}", "{}x", "service_code",
		pingRequest + pingRequest, pingRequest + "x", pingRequest + "\x00", pingRequest + ",", "\ufeff" + pingRequest,
		"\x0c" + pingRequest, "\x00" + pingRequest, pingRequest[:len(pingRequest)-1], "'" + pingRequest + "'",
		`{"service_code":100 "content":{}}`, `{"service_code":100,"content":{},}`, `{service_code:100,"content":{}}`,
		`{"service_code":100,,"content":{}}`, `{"service_code" 100,"content":{}}`, `{/**/"service_code":100,"content":{}}`,
		"{\"service_code\":100,\"content\":{}} // done", `{"service_code":100,"content":{]}`,
	} {
		t.Run(body, func(t *testing.T) { c.malformed(t, body, "") })
	}
}

func TestWhitespaceAroundTokensIsPlainJSON(t *testing.T) {
	c := start(t).dial(t)
	succeeded(t, c.ask(t, " \r\n\t{ \"service_code\"\t:\n100 ,\r\"content\" : { } } \n\r\t "))
}

func TestTheEnvelopeNeedsBothItsFields(t *testing.T) {
	c := start(t).dial(t)
	for _, test := range []struct{ body, field string }{
		{`{}`, "is missing"}, // one of the two
		{`{"content":{}}`, "service_code"},
		{`{"service_code":null,"content":{}}`, "service_code"},
		{`{"service_code":"100","content":{}}`, "service_code"},
		{`{"service_code":100.0,"content":{}}`, "service_code"},
		{`{"service_code":1e2,"content":{}}`, "service_code"},
		{`{"service_code":true,"content":{}}`, "service_code"},
		{`{"service_code":{},"content":{}}`, "service_code"},
		{`{"service_code":[100],"content":{}}`, "service_code"},
		{`{"service_code":18446744073709551716,"content":{}}`, "service_code"}, // 2^64 + 100
		{`{"service_code":-9223372036854775809,"content":{}}`, "service_code"},
		{`{"service_code":100}`, "content"},
		{`{"service_code":100,"content":null}`, "content"},
		{`{"service_code":100,"content":[]}`, "content"},
		{`{"service_code":100,"content":"{}"}`, "content"},
		{`{"service_code":100,"content":5}`, "content"},
		{`{"service_code":100,"content":false}`, "content"},
	} {
		t.Run(test.body, func(t *testing.T) { c.malformed(t, test.body, test.field) })
	}
}

func TestAnUnassignedServiceCodeIs404(t *testing.T) {
	c := start(t).dial(t)
	for _, code := range []string{
		"0", "-0", "8", "10", "99", "101", "-1", "-100", "256", "257", "356", "65637", "4294967396", "9223372036854775807",
		"-9223372036854775808",
	} {
		t.Run(code, func(t *testing.T) {
			refused(t, c.ask(t, `{"service_code":`+code+`,"content":{}}`), 404)
		})
	}
}

func TestKeysAreCaseSensitive(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	for _, test := range []struct{ body, field string }{
		{`{"Service_code":100,"content":{}}`, "service_code"},
		{`{"SERVICE_CODE":100,"content":{}}`, "service_code"},
		{`{"service_code":100,"Content":{}}`, "content"},
		{fmt.Sprintf(`{"service_code":4,"content":{"Token":%d}}`, u.token), "token"},
		{fmt.Sprintf(`{"service_code":4,"content":{"TOKEN":%d}}`, u.token), "token"},
		{fmt.Sprintf(`{"service_code":1,"content":{"token":%d,"Id":%q}}`, u.token, u.id), "id"},
	} {
		t.Run(test.body, func(t *testing.T) { c.malformed(t, test.body, test.field) })
	}
	body := fmt.Sprintf(`{"service_code":4,"Content":5,"content":{"token":%d,"Token":"x","tOKEN":1},"Service_code":"x"}`, u.token)
	chats(t, c.ask(t, body))
}

func TestEscapedKeysAreTheSameKeys(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	succeeded(t, c.ask(t, fmt.Sprintf(
		`{"\u0073ervice\u005Fcode":1,"c\u006Fntent":{"\u0069d":%q,"\u0074\u006f\u006b\u0065\u006e":%d}}`, u.id, u.token,
	)))
	// The escaped key is a duplicate of the plain one, so it counts.
	failed(t, c.ask(t, fmt.Sprintf(`{"service_code":1,"content":{"id":%q,"token":%d,"t\u006fken":%d}}`, u.id, u.token, u.token+1<<41)))
}

func TestOfADuplicateKeyTheLastCounts(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	right, wrong := fmt.Sprintf(`"token":%d`, u.token), fmt.Sprintf(`"token":%d`, u.token+1<<41)
	id := fmt.Sprintf(`"id":%q`, u.id)

	succeeded(t, c.ask(t, `{"service_code":8,"content":{},"service_code":100}`))
	refused(t, c.ask(t, `{"service_code":100,"content":{},"service_code":8}`), 404)
	succeeded(t, c.ask(t, `{"service_code":1,"content":{`+id+`,`+wrong+`,`+right+`}}`))
	failed(t, c.ask(t, `{"service_code":1,"content":{`+id+`,`+right+`,`+wrong+`}}`))
	succeeded(t, c.ask(t, fmt.Sprintf(`{"service_code":1,"content":{"id":%q,%s,%s}}`, v.id, right, id)))
	c.malformed(t, `{"service_code":100,"content":{},"service_code":null}`, "service_code")
	c.malformed(t, `{"service_code":100,"content":{},"content":null}`, "content")
	c.malformed(t, `{"service_code":1,"content":{`+id+`,`+right+`,"token":null}}`, "token")
	c.malformed(t, `{"service_code":1,"content":{`+id+`,`+right+`,"id":null}}`, "id")
}

// The last content counts as a whole: nothing of an earlier one shows through.
func TestADuplicateContentReplacesTheFirst(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	whole := fmt.Sprintf(`{"id":%q,"token":%d}`, u.id, u.token)
	succeeded(t, c.ask(t, `{"service_code":1,"content":{"id":"x","token":-5},"content":`+whole+`}`))
	c.malformed(t, fmt.Sprintf(`{"service_code":1,"content":%s,"content":{"id":%q}}`, whole, u.id), "token")
	c.malformed(t, `{"service_code":1,"content":`+whole+`,"content":{}}`, "")
	c.malformed(t, `{"service_code":1,"content":`+whole+`,"content":[]}`, "content")
	succeeded(t, c.ask(t, `{"content":{"id":"x"},"service_code":8,"content":`+whole+`,"service_code":1}`))
}

func TestADuplicateMemberReplacesTheFirst(t *testing.T) {
	c := start(t).dial(t)
	all := c.registerAll(t, 4)
	body := func(lists string) string {
		return fmt.Sprintf(`{"service_code":7,"content":{"token":%d,"name":"n","is_group":true,%s}}`, all[0].token, lists)
	}
	member := func(u user) string { return fmt.Sprintf(`{"id":%q}`, u.id) }

	r := c.ask(t, body(`"member":[`+member(all[1])+`,`+member(all[2])+`],"member":[`+member(all[3])+`]`))
	succeeded(t, r)
	if usrs := c.findChats(t, all[0])[0].usrs; fmt.Sprint(usrs) != fmt.Sprint([]string{all[0].id, all[3].id}) {
		t.Errorf("members %q, want the creator and %q", usrs, all[3].id)
	}
	if list := c.findChats(t, all[1]); len(list) != 0 {
		t.Errorf("a member of the first list alone is in %v", list)
	}
	c.malformed(t, body(`"member":[`+member(all[1])+`],"member":[{}]`), "id")
	c.malformed(t, body(`"member":[`+member(all[1])+`],"member":null`), "member")
	succeeded(t, c.ask(t, body(`"member":[`+member(all[1])+`,{"id":"x","id":"`+all[2].id+`"}]`)))
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	c := start(t).dial(t)
	for _, value := range []string{
		"null", "true", "-1.5e-10", "1e999", "123456789012345678901234567890", `""`, `"\ud83d\ude00 中文 \u0000"`, "[]", "{}",
		`[[[{"a":[{}]}]]]`, `{"token":5,"token":"x","content":{"service_code":8}}`, `"}{]["`, `"\"}"`, `"\\"`,
	} {
		t.Run(value, func(t *testing.T) {
			succeeded(t, c.ask(t, `{"extra":`+value+`,"service_code":100,"content":{"extra":`+value+`},"":`+value+`}`))
		})
	}
}

// A field that is ignored must still be JSON: the body is one object, or it is none.
func TestIgnoredFieldsMustBeJSONToo(t *testing.T) {
	c := start(t).dial(t)
	for _, value := range []string{
		"", "01", "-01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "tru", "True",
		"nul", "nulll", "undefined", "'x'", `"x`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\`, "[1,]", "[1 2]", "[,]", "[1", "[1}", "{a:1}",
		`{"a":1,}`, `{"a" 1}`, `{"a":}`, `{"a"}`, `{"a":1 "b":2}`, `{1:2}`, `{,}`, "1 2", "/**/1", "1//", "\"\n\"", "\"\t\"",
		"\"\x00\"", "\"\x1f\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe4\xb8\"",
		"\"\xf0\x9f\x98\"", "\xa0", "\u00a01", "{\"\x01\":1}", "{\"\xff\":1}", `{"\u12":1}`, "１",
	} {
		for _, place := range []string{
			`{"extra":%s,"service_code":100,"content":{}}`,
			`{"service_code":100,"content":{"extra":%s}}`,
			`{"service_code":100,"content":{},"extra":[{"deep":[%s ]}]}`,
		} {
			if value == "" && strings.Contains(place, "[%s") {
				continue // "[ ]" is an array
			}
			body := fmt.Sprintf(place, value)
			t.Run(fmt.Sprintf("%q", body), func(t *testing.T) { c.malformed(t, body, "") })
		}
	}
}

// A string is checked the same wherever it stands.
func TestInvalidTextInAFieldIs400(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for _, text := range []string{
		"\xff", "a\x80", "\xc0\xaf", "\xed\xb0\x80", "\xf5\x80\x80\x80", "中\xe4\xb8", "\x00", "\n", "\t", "\x1f", "tail\xf0\x9f\x98",
		`\x41`, `\u00`, `\uzzzz`, `\`, `\'`, `\0`, `\u{1F600}`,
	} {
		body := fmt.Sprintf(`{"service_code":5,"content":{"token":%d,"chat":%d,"msg":%s}}`, u.token, chat, quoted(text))
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) { c.malformed(t, body, "") })
	}
	if list := c.newest(t, u, chat, 1); len(list) != 0 {
		t.Errorf("a refused message is there: %v", list)
	}
}

// validContents holds, for each service, a content that is well-formed, so that one field at a time can be spoilt.
func validContents(u, v user, chat int64) map[int]fields {
	return map[int]fields{
		login:    {"id": u.id, "token": u.token},
		register: {"id": u.id, "token": u.token, "name": "n"},
		getChat:  {"token": u.token, "chat": chat, "index": 1, "count": 1},
		find:     {"token": u.token, "after": 0, "count": 1},
		send:     {"token": u.token, "chat": chat, "msg": "m", "ref": "r"},
		join:     {"token": u.token, "chat": chat},
		create:   {"token": u.token, "name": "n", "is_group": true, "member": members(v)},
		receive:  {"token": u.token, "chat": chat, "index": 1, "count": 1},
	}
}

// required are the fields that a service cannot do without.
var required = map[int][]string{
	login: {"id", "token"}, register: {"id"}, getChat: {"token", "chat", "index"}, find: {"token"},
	send: {"token", "chat", "msg"}, join: {"token", "chat"}, create: {"token", "name", "is_group", "member"},
	receive: {"token", "chat", "index"},
}

// with is the content with one field replaced.
func (f fields) with(key string, value any) fields {
	other := f.without(key)
	other[key] = value
	return other
}

func (f fields) without(key string) fields {
	other := fields{}
	for k, v := range f {
		if k != key {
			other[k] = v
		}
	}
	return other
}

// wrongValues holds, for each field, the JSON values that it must not take.
func wrongValues(field string) []string {
	numbers := []string{`"1"`, "1.0", "1e3", "1E0", "1.5", "0.0", "true", "[]", "{}", "[1]", `""`}
	texts := []string{"1", "true", "[]", "{}", `["x"]`, "0"}
	switch field {
	case "token":
		return append(numbers, "0", "-0", "-1", "9223372036854775808", "18446744073709551617", "-9223372036854775808")
	case "chat":
		return append(numbers, "0", "-0", "-1", "9007199254740992", "9223372036854775807", "18446744073709551617")
	case "after":
		return append(numbers, "-1", "9007199254740992", "9223372036854775807", "-9223372036854775808")
	case "index":
		return append(numbers, "9223372036854775808", "-9223372036854775809", "18446744073709551617")
	case "count":
		return append(numbers, "0", "-0", "-1", "-50", "-9223372036854775808")
	case "is_group":
		return []string{`"true"`, "1", "0", "[]", "{}", `""`}
	case "member":
		return []string{
			"{}", `"x"`, "1", "true", "[1]", "[null]", `["x"]`, "[[]]", "[{}]", `[{"id":null}]`, `[{"id":5}]`, `[{"Id":"x"}]`,
			`[{"id":"x"}]`, `[{"id":""}]`,
		}
	case "id":
		return append(texts, wrongIDs()...)
	case "msg":
		return append(texts, `""`)
	default:
		return texts
	}
}

// wrongIDs are UUIDs in any other form than the 36 characters.
func wrongIDs() []string {
	return []string{
		`""`, `"x"`, `"6f1c1b9e3c9b4f5e8a440d6c5a1f0a01"`, `"{6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a01}"`,
		`"urn:uuid:6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a01"`, `"6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a0"`,
		`"6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a011"`, `" 6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a01"`,
		`"6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a0g"`, `"6f1c1b9e_3c9b_4f5e_8a44_0d6c5a1f0a01"`,
		`"6f1c1b9e-3c9b4-f5e-8a44-0d6c5a1f0a01"`, `"6f1c1b9e-3c9b-4f5e-8a44-0d6c5a1f0a中"`, `"------------------------------------"`,
	}
}

func TestEveryRequiredFieldIsMissedByName(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	for service, content := range validContents(u, v, c.group(t, u)) {
		for _, field := range required[service] {
			t.Run(fmt.Sprintf("service %d without %s", service, field), func(t *testing.T) {
				c.malformed(t, request(service, content.without(field)), field)
				c.malformed(t, request(service, content.with(field, nil)), field)
			})
		}
	}
}

func TestEveryFieldHasOneTypeAndARange(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	chat := c.group(t, u)
	for service, content := range validContents(u, v, chat) {
		for field := range content {
			for _, value := range wrongValues(field) {
				t.Run(fmt.Sprintf("service %d, %s %s", service, field, value), func(t *testing.T) {
					c.malformed(t, request(service, content.with(field, json.RawMessage(value))), nameOf(field))
				})
			}
		}
	}
	if list := c.newest(t, u, chat, 1); len(list) != 0 {
		t.Errorf("a refused message is there: %v", list)
	}
	if list := c.findChats(t, v); len(list) != 0 {
		t.Errorf("a refused group is there: %v", list)
	}
}

// nameOf is what a 400 must call the field: a fault in a member may be named by its id.
func nameOf(field string) string {
	if field == "member" {
		return ""
	}
	return field
}

// JSON itself forbids these, whatever the field.
func TestNumbersOutsideTheGrammarAre400(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for _, value := range []string{"01", "+1", "-", "0x1", "1_0", "1.", ".1", "NaN", "Infinity", "１", "--1", "1 1"} {
		body := fmt.Sprintf(`{"service_code":3,"content":{"token":%d,"chat":%d,"index":%s}}`, u.token, chat, value)
		t.Run(value, func(t *testing.T) { c.malformed(t, body, "") })
	}
}

func TestANullOptionalFieldCountsAsAbsent(t *testing.T) {
	c := start(t).dial(t)
	u := newUser()
	r := c.call(t, register, fields{"id": u.id, "token": nil, "name": nil})
	succeeded(t, r)
	u.token = number(t, r.content["token"])
	chat := c.group(t, u)
	for want := int64(1); want <= 2; want++ {
		r := c.call(t, send, fields{"token": u.token, "chat": chat, "msg": "m", "ref": nil})
		if got := postedAt(t, r); got != want {
			t.Errorf("index %d, want %d: a null ref is no ref", got, want)
		}
	}
	for _, service := range []int{getChat, receive} {
		r := c.call(t, service, fields{"token": u.token, "chat": chat, "index": -1, "count": nil})
		if list := messages(t, service, r); len(list) != 2 || list[0].ID != u.id {
			t.Errorf("service %d with a null count: %v", service, list)
		}
	}
	if list, _ := chats(t, c.call(t, find, fields{"token": u.token, "after": nil, "count": nil})); len(list) != 1 {
		t.Errorf("find chats with nulls: %v", list)
	}
}

// The ends of every range are inside it.
func TestTheEndsOfTheRangesAreWellFormed(t *testing.T) {
	c := start(t).dial(t)
	for _, token := range []int64{1, 1<<63 - 1, 1<<53 + 1} {
		u := newUser()
		u.token = token
		succeeded(t, c.ask(t, u.registration()))
		succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
	}
	u := c.register(t)
	for _, chat := range []int64{1, maxChat} {
		refused(t, c.call(t, join, fields{"token": u.token, "chat": chat}), 404)
	}
	for _, after := range []int64{0, maxChat} {
		chats(t, c.call(t, find, fields{"token": u.token, "after": after}))
	}
	chats(t, c.ask(t, fmt.Sprintf(`{"service_code":4,"content":{"token":%d,"after":-0}}`, u.token)))
}

func TestNestingIsCountedAndLimited(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	nest := func(depth int) string { // the body's own object is the first level
		return `{"service_code":100,"content":{},"extra":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
	}
	succeeded(t, c.ask(t, nest(4096)))
	c.malformed(t, nest(4097), "")
	c.malformed(t, nest(500_000), "")
	c.malformed(t, `{"service_code":100,"content":`+strings.Repeat(`{"a":`, 4096)+`1`+strings.Repeat(`}`, 4096)+`}`, "")
	c.malformed(t, strings.Repeat("[", 1<<20), "")
	c.malformed(t, strings.Repeat(`{"a":`, 1<<20/5), "")
	c.malformed(t, strings.Repeat(`{"content":`, 1<<20/11), "")
	succeeded(t, c.ask(t, `{"service_code":100,"content":{},"extra":"`+strings.Repeat(`[{`, 5000)+`"}`))
	succeeded(t, c.ask(t, `{"service_code":100,"content":{},"extra":[`+strings.Repeat(`[],{},`, 5000)+`0]}`))
	s.served(t)
}

func TestTheNestingLimitIsAFlag(t *testing.T) {
	c := start(t, "--max-nesting", "8").dial(t)
	succeeded(t, c.ask(t, `{"service_code":100,"content":{"x":[[[[[[]]]]]]}}`))
	c.malformed(t, `{"service_code":100,"content":{"x":[[[[[[[]]]]]]]}}`, "")
}
