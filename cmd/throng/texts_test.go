// A text comes back as it was sent, whatever it is made of, up to its limit in bytes of UTF-8.

package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const maxText = 64 << 10

func TestEveryKindOfTextComesBack(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	sent := []string{}
	for _, test := range []struct{ name, literal, want string }{
		{"one byte", `"a"`, "a"},
		{"a space", `" "`, " "},
		{"Chinese", `"25岁，是学生"`, "25岁，是学生"},
		{"escaped Chinese", `"25\u5c81\uff0C"`, "25岁，"},
		{"emoji", `"🦀👩‍👩‍👧‍👦🏳️‍🌈"`, "🦀👩‍👩‍👧‍👦🏳️‍🌈"},
		{"an escaped pair", `"\ud83e\udd80"`, "🦀"},
		{"the short escapes", `"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"},
		{"escaped control characters", `"\u0000\u0001\u001f\u007f"`, "\x00\x01\x1f\x7f"},
		{"raw delete and C1", "\"\x7f\u0080\u009f\"", "\x7f\u0080\u009f"},
		{"a NUL alone", `"\u0000"`, "\x00"},
		{"JSON in it", `"{\"state_code\":200}"`, `{"state_code":200}`},
		{"HTML in it", `"<script>&amp;</script>"`, "<script>&amp;</script>"},
		{"line separators", "\"\u2028\u2029\"", "\u2028\u2029"},
		{"a byte order mark", "\"\ufeff\"", "\ufeff"},
		{"noncharacters", "\"\ufffe\uffff\U0010ffff\"", "\ufffe\uffff\U0010ffff"},
		{"a replacement character", "\"\ufffd\"", "\ufffd"},
		{"a lone high surrogate", `"a\ud800b"`, "a\ufffdb"},
		{"a lone low surrogate", `"a\udc00b"`, "a\ufffdb"},
		{"surrogates in the wrong order", `"\udc00\ud800"`, "\ufffd\ufffd"},
		{"two high surrogates", `"\ud800\ud800"`, "\ufffd\ufffd"},
		{"a high surrogate before a pair", `"\ud800\ud83e\udd80"`, "\ufffd🦀"},
		{"a high surrogate before an escape", `"\ud83e\n"`, "\ufffd\n"},
		{"a high surrogate before a letter's escape", `"\ud83e\u0041"`, "\ufffdA"},
		{"a high surrogate at the end", `"\ud83e"`, "\ufffd"},
		{"right to left", `"שלום مرحبا"`, "שלום مرحبا"},
		{"combining", "\"e\u0301\"", "e\u0301"},
		{"whitespace", `"  \t "`, "  \t "},
		{"a backslash at the end", `"\\"`, `\`},
	} {
		t.Run(test.name, func(t *testing.T) {
			index := postedAt(t, c.call(t, send, fields{"token": u.token, "chat": chat, "msg": json.RawMessage(test.literal)}))
			sent = append(sent, test.want)
			c.reads(t, u, chat, index, test.want)
		})
	}
	s.kill(t)
	c = startIn(t, s.dir).dial(t)
	for i, want := range sent {
		c.reads(t, u, chat, int64(i)+1, want)
	}
}

// reads checks a text through both services.
func (c *client) reads(t *testing.T, by user, chat, index int64, want string) {
	t.Helper()
	for _, service := range []int{getChat, receive} {
		list := messages(t, service, c.ask(t, by.window(service, chat, index, 1)))
		if len(list) != 1 || list[0].Content != want || list[0].Index != index || list[0].ID != by.id {
			t.Errorf("service %d: %q, want %q at %d by %s", service, brief(fmt.Sprint(list)), brief(want), index, by.id)
		}
	}
}

func TestATextMayReachItsLimit(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for _, test := range []struct{ name, literal, want string }{
		{"ASCII", quoted(strings.Repeat("x", maxText)), strings.Repeat("x", maxText)},
		{"Chinese", quoted(strings.Repeat("中", maxText/3) + "x"), strings.Repeat("中", maxText/3) + "x"},
		{"emoji", quoted(strings.Repeat("🦀", maxText/4)), strings.Repeat("🦀", maxText/4)},
		{"escapes", quoted(strings.Repeat(`\u0041`, maxText)), strings.Repeat("A", maxText)},
		{"escaped controls", quoted(strings.Repeat(`\u0001`, maxText)), strings.Repeat("\x01", maxText)},
		{"escaped pairs", quoted(strings.Repeat(`\ud83e\udd80`, maxText/4)), strings.Repeat("🦀", maxText/4)},
		{"lone surrogates", quoted(strings.Repeat(`\udc00`, maxText/3) + "x"), strings.Repeat("\ufffd", maxText/3) + "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			index := postedAt(t, c.call(t, send, fields{"token": u.token, "chat": chat, "msg": json.RawMessage(test.literal)}))
			c.reads(t, u, chat, index, test.want)
		})
	}
}

func quoted(inside string) string { return `"` + inside + `"` }

// One byte over is a 413 for this message alone: nothing is appended, and the connection stays.
func TestATextOverItsLimitIs413AndTheConnectionStays(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for _, test := range []struct{ name, literal string }{
		{"ASCII", quoted(strings.Repeat("x", maxText+1))},
		{"Chinese", quoted(strings.Repeat("中", maxText/3) + "xx")},
		{"emoji", quoted(strings.Repeat("🦀", maxText/4) + "x")},
		{"escapes", quoted(strings.Repeat(`\u0041`, maxText+1))},
		{"escaped Chinese", quoted(strings.Repeat(`\u4e2d`, maxText/3) + "xx")},
		{"lone surrogates", quoted(strings.Repeat(`\udc00`, maxText/3) + "xx")},
		{"far over", quoted(strings.Repeat("x", 1<<20-200))},
	} {
		t.Run(test.name, func(t *testing.T) {
			content := fields{"token": u.token, "chat": chat, "msg": json.RawMessage(test.literal)}
			refused(t, c.call(t, send, content), 413)
			c.served(t)
		})
	}
	if list := c.newest(t, u, chat, 1); len(list) != 0 {
		t.Errorf("%d refused messages are there", len(list))
	}
	if index := c.post(t, u, chat, "next"); index != 1 {
		t.Errorf("the next index is %d: a refused message took one", index)
	}
}

func TestAnEmptyTextIs400(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	msg := refused(t, c.ask(t, u.message(chat, "")), 400)
	if !strings.Contains(msg, "msg") {
		t.Errorf("%q does not say msg", msg)
	}
}

func TestTheTextLimitIsAFlag(t *testing.T) {
	c := start(t, "--max-text", "1KiB").dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.post(t, u, chat, strings.Repeat("x", 1024))
	refused(t, c.ask(t, u.message(chat, strings.Repeat("x", 1025))), 413)
	c.post(t, u, chat, "x")
}

// Any string at all, as Go's encoder writes it.
func TestRandomTextsComeBack(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	random := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, 300)
	bodies := make([]string, len(texts))
	for i := range texts {
		texts[i] = randomText(random)
		bodies[i] = u.message(chat, texts[i])
	}
	for _, r := range c.pipeline(t, bodies...) {
		postedAt(t, r)
	}
	for i, m := range c.history(t, u, chat) {
		if m.Content != texts[i] {
			t.Errorf("sent %q, read %q", texts[i], m.Content)
		}
	}
}

func randomText(random *rand.Rand) string {
	planes := []int32{0x20, 0x80, 0x800, 0xd800, 0x10000, 0x110000}
	var b strings.Builder
	for range 1 + random.IntN(40) {
		b.WriteRune(random.Int32N(planes[random.IntN(len(planes))])) // a surrogate is written as U+FFFD
	}
	return b.String()
}
