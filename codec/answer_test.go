package codec

import (
	stdjson "encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// seen is all that a client learns from a reply, in plain strings.
type seen struct {
	Answer   told
	Messages []told
}

// told holds the fields of an Answer, or of a Shown.
type told struct {
	State                                State
	Failed, Paged                        bool
	Msg, Cause                           string
	Index, Chat, Token, Time, RetryAfter int64
	Sender, Name, Text                   string
}

// The ways to read a reply: the two, apart, and as a client does it.

func plainly(a *Answer, body []byte) (shown []Shown, ok bool) {
	if ok = a.readPlain(body); ok && a.Paged {
		shown, ok = appendPlain(nil, a.values)
	}
	return shown, ok
}

func anyhow(a *Answer, body []byte) ([]Shown, bool) {
	err := a.readAny(body)
	return readPage(a, err)
}

func whole(a *Answer, body []byte) ([]Shown, bool) {
	err := a.Read(body)
	return readPage(a, err)
}

func readPage(a *Answer, err error) (shown []Shown, ok bool) {
	if err == nil && a.Paged {
		shown, err = a.Messages(nil)
	}
	return shown, err == nil
}

func look(read func(*Answer, []byte) ([]Shown, bool), body string) (s seen, ok bool) {
	var a Answer
	shown, ok := read(&a, []byte(body))
	if !ok {
		return seen{}, false
	}
	s.Answer = told{
		State: a.State, Failed: a.Failed, Paged: a.Paged, Msg: string(a.Msg), Cause: string(a.Cause),
		Index: a.Index, Chat: a.Chat, Token: a.Token, Time: a.Time, RetryAfter: a.RetryAfter,
	}
	for _, m := range shown {
		s.Messages = append(s.Messages, told{Sender: string(m.Sender), Name: string(m.Name), Text: string(m.Text), Index: m.Index, Time: m.Time})
	}
	return s, true
}

// answered reads body in every way, checks that they agree, and returns what it
// says, and whether it is in plain form.
func answered(t rapid.TB, body string) (s seen, isPlain, ok bool) {
	t.Helper()
	quick, isPlain := look(plainly, body)
	s, ok = look(anyhow, body)
	if isPlain && (!ok || !reflect.DeepEqual(quick, s)) {
		t.Fatalf("%q\nin plain form reads as %+v\nin any form as %+v, %v", body, quick, s, ok)
	}
	// What looks like a page at both ends, and is something else, is refused when its messages are asked for.
	both, bothOK := look(whole, body)
	if index, sent := ReadSent([]byte(body)); sent && (!ok || !reflect.DeepEqual(s, seen{Answer: told{State: StateOK, Index: index}})) {
		t.Fatalf("%q\nreads as a message's index, %d\nin any form as %+v, %v", body, index, s, ok)
	}
	if bothOK != ok && s.Answer.Paged || bothOK && !reflect.DeepEqual(both, s) {
		t.Fatalf("%q\nreads as %+v, %v\nin any form as %+v, %v", body, both, bothOK, s, ok)
	}
	return s, isPlain, ok
}

func TestAnswersToldByTheServerAreRead(t *testing.T) {
	page := func(service Service, messages ...Message) []byte {
		frame, _ := page(nil, service, unlimited, messages, nil)
		return frame
	}
	one, other := told{Sender: alice, Text: `内容1\n`, Index: 114, Time: 1919810}, told{Sender: bob, Text: `\u0000😀`, Index: 115, Time: 1919811}
	oneNamed, otherNamed := one, other
	oneNamed.Name, otherNamed.Name = `小\"明`, bob
	tests := []struct {
		name    string
		frame   []byte
		plainly bool
		want    seen
	}{
		{"success", AppendSuccess(nil), true, seen{Answer: told{State: 200}}},
		{"sent", AppendSent(nil, 114), true, seen{Answer: told{State: 200, Index: 114}}},
		{"created", AppendCreated(nil, MaxChat), true, seen{Answer: told{State: 200, Chat: MaxChat}}},
		{"issued", AppendIssued(nil, 1e17), true, seen{Answer: told{State: 200, Token: 1e17}}},
		{"issued, the largest", AppendIssued(nil, MaxToken), true, seen{Answer: told{State: 200, Token: MaxToken}}},
		{"pong", AppendPong(nil, 1700000000000), true, seen{Answer: told{State: 200, Time: 1700000000000}}},
		{"failed", AppendFailed(nil, "no"), false, seen{Answer: told{State: 200, Failed: true, Cause: "no"}}},
		{"not found", AppendError(nil, StateNotFound, "no such chat"), false, seen{Answer: told{State: 404, Msg: "no such chat"}}},
		{"busy", AppendBusy(nil, "busy", 50), false, seen{Answer: told{State: 429, Msg: "busy", RetryAfter: 50}}},
		{"get chat, empty", page(GetChat), true, seen{Answer: told{State: 200, Paged: true}}},
		{"get chat", page(GetChat, someMessages...), true, seen{told{State: 200, Paged: true}, []told{one, other}}},
		{"receive, empty", page(Receive), true, seen{Answer: told{State: 200, Paged: true}}},
		{"receive", page(Receive, someMessages...), true, seen{told{State: 200, Paged: true}, []told{oneNamed, otherNamed}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := bodyOf(t, test.frame, nil)
			got, isPlain, ok := answered(t, body)
			if _, sent := ReadSent([]byte(body)); sent != (test.name == "sent") {
				t.Errorf("%s\nis read as the answer of a Send that has succeeded: %v", body, sent)
			}
			if !ok || isPlain != test.plainly || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s\nreads as %+v, plainly %v, %v\n    want %+v, plainly %v", body, got, isPlain, ok, test.want, test.plainly)
			}
		})
	}
}

// Whatever the messages, a page is read in plain form as it was written.
func TestPagesAreReadAsTheyWereWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		service := rapid.SampledFrom([]Service{GetChat, Receive}).Draw(t, "service")
		var messages []Message
		var want []told
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			m := Message{
				Sender: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "sender")), Name: text(anyString.Draw(t, "name")), Text: text(anyString.Draw(t, "text")),
				Index: rapid.Int64Range(0, 1e18-1).Draw(t, "index"), Time: rapid.Int64Range(0, 1e18-1).Draw(t, "time"),
			}
			w := told{Sender: m.Sender.String(), Text: string(m.Text), Index: m.Index, Time: m.Time}
			if service == Receive {
				if w.Name = string(m.Name); w.Name == "" {
					w.Name = w.Sender
				}
			}
			messages, want = append(messages, m), append(want, w)
		}
		frame, _ := page(nil, service, unlimited, messages, nil)
		body := bodyOf(t, frame, nil)
		got, isPlain, ok := answered(t, body)
		if !ok || !isPlain || !reflect.DeepEqual(got.Messages, want) {
			t.Fatalf("%s\nreads as %+v, plainly %v\n    want %+v", body, got.Messages, isPlain, want)
		}
	})
}

// However a server lays its replies out, they mean the same.
func TestAnswersInOtherFormsReadTheSame(t *testing.T) {
	sent := seen{Answer: told{State: 200, Index: 7}}
	shown := seen{told{State: 200, Paged: true}, []told{{Sender: alice, Text: `a\"b`, Index: 7, Time: 9}}}
	value := `"id":"` + alice + `","content":"a\"b","index":7,"time":9`
	tests := []struct {
		name, body string
		want       seen
	}{
		{"key order", `{"content":{"index":7,"msg":"success"},"state_code":200}`, sent},
		{"white space", ` {"state_code" : 200, "content":{"msg":"success",` + "\n\t" + `"index":7}} `, sent},
		{"unknown keys", `{"v":1,"state_code":200,"content":{"msg":"success","index":7,"x":[{"index":8}]}}`, sent},
		{"escaped key and word", `{"state_code":200,"content":{"\u006dsg":"succes\u0073","index":7}}`, sent},
		{"the last of two counts", `{"state_code":200,"content":{"msg":"success","index":6,"index":7}}`, sent},
		{"the last content counts", `{"state_code":200,"content":{"index":6,"chat":3},"content":{"msg":"success","index":7}}`, sent},
		{"null is absent", `{"state_code":200,"content":{"msg":"success","index":7,"chat":null,"values":null}}`, sent},
		{"other key order in a page", `{"state_code":200,"content":{"values":[{"time":9,"index":7,"content":"a\"b","id":"` + alice + `"}]}}`, shown},
		{"a page with white space", `{"state_code":200,"content":{"values":[ {` + value + `} ]}}`, shown},
		{"a page with another key", `{"state_code":200,"content":{"values":[{` + value + `,"edited":false}]}}`, shown},
		{"a text in other escapes", `{"state_code":200,"content":{"values":[{"id":"` + alice + `","content":"\u0061\u0022b","index":7,"time":9}]}}`, shown},
		{"the last values count", `{"state_code":200,"content":{"values":[{` + value + `}],"values":[]}}`, seen{Answer: told{State: 200, Paged: true}}},
		{"an error behind a page", `{"state_code":200,"content":{"values":[]},"state_code":404,"content":{"msg":"m","values":[]}}`, seen{Answer: told{State: 404, Msg: "m"}}},
		{"no time", `{"state_code":200,"content":{"values":[{"id":"` + alice + `","content":"a\"b","index":7}]}}`, seen{told{State: 200, Paged: true}, []told{{Sender: alice, Text: `a\"b`, Index: 7}}}},
		{"an error without a word", `{"state_code":500,"content":{}}`, seen{Answer: told{State: 500}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, isPlain, ok := answered(t, test.body)
			if !ok || isPlain || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s\nreads as %+v, plainly %v, %v\n    want %+v", test.body, got, isPlain, ok, test.want)
			}
		})
	}
}

func TestMalformedRepliesAreRefused(t *testing.T) {
	value := func(fields string) string { return `{"state_code":200,"content":{"values":[` + fields + `]}}` }
	good := `{"id":"` + alice + `","content":"a","index":7,"time":9}`
	bodies := []string{
		``, `{`, `null`, `[]`, `7`, `{}`, `{"state_code":200}`, `{"content":{"msg":"success"}}`,
		`{"state_code":200,"content":null}`, `{"state_code":200,"content":[]}`, `{"state_code":200,"content":{}}`,
		`{"state_code":"200","content":{"msg":"success"}}`, `{"state_code":-200,"content":{"msg":"success"}}`,
		`{"state_code":200.0,"content":{"msg":"success"}}`,
		`{"state_code":200,"content":{"msg":"maybe"}}`, `{"state_code":200,"content":{"msg":7}}`,
		`{"state_code":200,"content":{"msg":"success"}}x`, `{"state_code":200,"content":{"msg":"success"}`,
		`{"state_code":200,"content":{"msg":"success","index":-7}}`, `{"state_code":200,"content":{"msg":"success","index":07}}`,
		`{"state_code":200,"content":{"msg":"success","index":}}`, `{"state_code":200,"content":{"msg":"success","index":1e3}}`,
		`{"state_code":200,"content":{"msg":"success","index":9223372036854775808}}`,
		`{"state_code":200,"content":{"msg":"success","index":"7"}}`,
		`{"state_code":429,"content":{"msg":"m","retry_after_ms":true}}`,
		`{"state_code":200,"content":{"msg":"failed","cause":7}}`,
		`{"state_code":404,"content":{"msg":"` + "\xff" + `"}}`, `{"state_code":404,"content":{"msg":"\x"}}`,
		`{"state_code":404,"content":{"msg":"` + "\x01" + `"}}`,
		`{"state_code":404,"content":{"msg":"m","x":` + strings.Repeat("[", NestingCeiling) + strings.Repeat("]", NestingCeiling) + `}}`,
		`{"state_code":200,"content":{"msg":"success","values":{}}}`, `{"state_code":200,"content":{"values":7}}`,
		value(`7`), value(`null`), value(`{}`), value(`[]`), value(good + `,`), value(`,` + good), value(good + good),
		value(good + `,null`), value(good[:len(good)-1]), value(good + `}`),
		value(strings.Replace(good, `"a"`, `"a`+"\x1f"+`"`, 1)), value(strings.Replace(good, `"a"`, `"a`+"\xff"+`"`, 1)),
		value(strings.Replace(good, `"a"`, `"a\"`, 1)), value(strings.Replace(good, `"a"`, `"\ud8"`, 1)),
		value(strings.Replace(good, `"a"`, `null`, 1)), value(strings.Replace(good, `"a"`, `7`, 1)),
		value(strings.Replace(good, `7`, `-7`, 1)), value(strings.Replace(good, `7`, `null`, 1)), value(strings.Replace(good, `7`, ``, 1)),
		value(strings.Replace(good, alice, alice[1:], 1)), value(strings.Replace(good, `9}`, `9.5}`, 1)),
	}
	for _, body := range bodies {
		if got, _, ok := answered(t, body); ok {
			t.Errorf("%s\nreads as %+v", clip(body), got)
		}
	}
}

func TestAnAnswerWithoutAPageHasNoMessages(t *testing.T) {
	for _, frame := range [][]byte{AppendSuccess(nil), AppendFailed(nil, "no"), AppendError(nil, StateNotFound, "m")} {
		var a Answer
		if err := a.Read([]byte(bodyOf(t, frame, nil))); err != nil || a.Paged {
			t.Fatalf("%s: %v, paged %v", frame, err, a.Paged)
		}
		if shown, err := a.Messages([]Shown{{Index: 1}}); err == nil || len(shown) != 1 {
			t.Errorf("%s shows %v, %v", frame, shown, err)
		}
	}
}

// A page that turns out malformed leaves what was read before as it was.
func TestMessagesAppends(t *testing.T) {
	frame, _ := page(nil, GetChat, unlimited, someMessages, nil)
	body := bodyOf(t, frame, nil)
	before := []Shown{{Index: 1}}
	for _, test := range []struct {
		body string
		want int
	}{{body, 3}, {body + " ", 3}, {strings.Replace(body, `"time":1919811`, `"time":x`, 1), 1}} {
		var a Answer
		if err := a.Read([]byte(test.body)); err != nil {
			t.Fatal(err)
		}
		got, err := a.Messages(slices.Clone(before))
		if len(got) != test.want || got[0].Index != 1 || (err != nil) != (test.want == 1) {
			t.Errorf("%s\nappends to %+v, %v", test.body, got, err)
		}
	}
}

// FuzzAnswer: whatever comes, the two ways to read it agree, nothing panics, what
// is accepted is JSON, and every text is canonical.
func FuzzAnswer(f *testing.F) {
	if err := WarmAnswers(); err != nil {
		f.Fatal(err)
	}
	messages, _ := page(nil, GetChat, unlimited, someMessages, nil)
	named, _ := page(nil, Receive, unlimited, someMessages, nil)
	chats, _ := page(nil, FindChats, unlimited, nil, someChats)
	for _, frame := range [][]byte{
		AppendSuccess(nil), AppendSent(nil, 114), AppendCreated(nil, MaxChat), AppendIssued(nil, MaxToken), AppendPong(nil, 1.7e12),
		AppendFailed(nil, "no"), AppendError(nil, StateNotFound, "no such chat"), AppendBusy(nil, "busy", 50), messages, named, chats,
	} {
		f.Add(frame[headerBytes:])
	}
	f.Add([]byte(`{"state_code":200,"content":{"values":[{"id":"` + alice + `","content":"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t\u0008\u001f","index":1}],"values":[]}}`))
	f.Add([]byte(` {"content":{"msg":"success","index":0,"index":12345678},"state_code":200}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, _, ok := answered(t, string(body))
		if !ok {
			return
		}
		if !stdjson.Valid(body) {
			t.Fatalf("%q\nis no JSON and reads as %+v", body, got)
		}
		for _, m := range append(got.Messages, got.Answer) {
			for _, text := range []string{m.Msg, m.Cause, m.Sender, m.Name, m.Text} {
				var s string
				if err := stdjson.Unmarshal([]byte(`"`+text+`"`), &s); err != nil || escape(s) != text {
					t.Fatalf("%q\nhas the text %q, which is not canonical: %v", body, text, err)
				}
			}
		}
	})
}
