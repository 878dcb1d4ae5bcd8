package codec

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Which way a body goes. That both ways agree on it, agree sees to, in every table of
// the package and in FuzzDecode.

// isPlain reports whether body is read the plain way.
func isPlain(limits Limits, body string) bool {
	var req Request
	return NewDecoder(limits).readPlain([]byte(body), &req)
}

// plainBodies are plain, and what they mean.
var plainBodies = []struct {
	name, body string
	want       plain
}{
	{
		"send", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "hi"},
	},
	{
		"send, safe to repeat", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","ref":"r1"}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "hi", Ref: "r1"},
	},
	{
		"an empty ref", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","ref":""}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "hi"},
	},
	{
		"other scripts", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"你好 é 👋🏽","ref":"文"}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "你好 é 👋🏽", Ref: "文"},
	},
	{
		"canonical escapes", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"a\n\"\\\r\t\u0000\u001f","ref":"\\"}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "a\n\"\\\r\t\x00\x1f", Ref: `\`},
	},
	{
		"JSON in a text", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"[[[{},\"content\":{"}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: `[[[{},"content":{`},
	},
	{
		"the largest numbers", `{"service_code":3,"content":{"token":9223372036854775807,"chat":9007199254740991,"index":9223372036854775807,"count":9223372036854775807}}`,
		plain{Service: GetChat, Token: MaxToken, Chat: MaxChat, Index: math.MaxInt64, Count: 1000},
	},
	{
		"get chat", `{"service_code":3,"content":{"token":7,"chat":9,"index":-1,"count":20}}`,
		plain{Service: GetChat, Token: 7, Chat: 9, Index: -1, Count: 20},
	},
	{
		"no count", `{"service_code":3,"content":{"token":7,"chat":9,"index":-0}}`,
		plain{Service: GetChat, Token: 7, Chat: 9, Count: 50},
	},
	{
		"receive", `{"service_code":9,"content":{"token":7,"chat":9,"index":114,"count":1000}}`,
		plain{Service: Receive, Token: 7, Chat: 9, Index: 114, Count: 1000},
	},
	{
		"another order", `{"content":{"ref":"r","msg":"hi","chat":9,"token":7},"service_code":5}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "hi", Ref: "r"},
	},
	{
		"white space", "\r\n{ \"service_code\":\t9 ,\n \"content\": { \"index\": -9223372036854775807 , \"chat\": 9,\"token\": 7\n} } \t",
		plain{Service: Receive, Token: 7, Chat: 9, Index: math.MinInt64 + 1, Count: 50},
	},
	{
		"as Python writes it", `{"service_code": 5, "content": {"token": 7, "chat": 9, "msg": "hi"}}`,
		plain{Service: Send, Token: 7, Chat: 9, Text: "hi"},
	},
}

func TestPlainRequestsAreReadThePlainWay(t *testing.T) {
	for _, test := range plainBodies {
		t.Run(test.name, func(t *testing.T) {
			if !isPlain(DefaultLimits, test.body) {
				t.Errorf("%s is not plain", test.body)
			}
			good(t, DefaultLimits, test.body, test.want)
		})
	}
}

func TestOtherRequestsAreLeftToTheOtherWay(t *testing.T) {
	bodies := []string{
		``, ` `, `{`, `{}`, `[]`, `null`, `{"service_code":5}`, `{"content":{}}`,
		`{"service_code":5,"content":{}}`, `{"service_code":5,"content":null}`, `{"service_code":5,"content":[]}`,
		`{"service_code":null,"content":{"token":7,"chat":9,"msg":"hi"}}`,
		`{"content":{"token":7,"chat":9,"msg":"hi"}}`,
		`{"content":{"token":7,"chat":9,"index":1}}`,

		// Fields that nobody knows.
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"},"x":1}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","x":1}}`,

		// Of another service.
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","index":1}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":1,"ref":"r"}}`,

		// Twice.
		`{"service_code":5,"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"},"content":{}}`,
		`{"service_code":5,"content":{"token":7,"chat":9},"content":{"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","token":8}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","ref":"r","ref":null}}`,

		// And something behind.
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"}} {}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"}},`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi",}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"},}`,

		// Escapes.
		`{"service_code":5,"\u0063ontent":{"token":7,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"m\u0073g":"hi"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"\/"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"\u4e2d"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"\u000a"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","ref":"\ud800"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"\x"}}`,

		// Faults.
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":""}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":7}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":null}}`,
		`{"service_code":5,"content":{"token":0,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":7,"chat":0,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":7,"chat":9007199254740992,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":-7,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":"7","chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":9223372036854775808,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":9999999999999999999,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":18446744073709551623,"chat":9,"msg":"hi"}}`,
		`{"service_code":5,"content":{"token":07,"chat":9,"msg":"hi"}}`,
		`{"service_code":5.0,"content":{"token":7,"chat":9,"msg":"hi"}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":1.0}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":1e3}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":- 1}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":-}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":--1}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":-01}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":-9223372036854775809}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"count":1}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":1,"count":0}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":1,"count":-1}}`,

		// Good, and rare.
		`{"service_code":3,"content":{"token":7,"chat":9,"index":1,"count":null}}`,
		`{"service_code":3,"content":{"token":7,"chat":9,"index":-9223372036854775808}}`,
		`{"service_code" :3,"content":{"token":7,"chat":9,"index":1}}`,
		`{"service_code":3,"content":{"token" :7,"chat":9,"index":1}}`,

		// No white space of JSON's.
		"\ufeff" + `{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi"}}`,
		"{\v\"service_code\":5,\"content\":{\"token\":7,\"chat\":9,\"msg\":\"hi\"}}",

		// No text of JSON's.
		"{\"service_code\":5,\"content\":{\"token\":7,\"chat\":9,\"msg\":\"a\nb\"}}",
		"{\"service_code\":5,\"content\":{\"token\":7,\"chat\":9,\"msg\":\"a\x1fb\"}}",
		"{\"service_code\":5,\"content\":{\"token\":7,\"chat\":9,\"msg\":\"a\xffb\"}}",
		"{\"service_code\":5,\"content\":{\"token\":7,\"chat\":9,\"msg\":\"hi\",\"ref\":\"\xe4\xb8\"}}",
		"{\"service_code\":5,\"content\":{\"token\":7,\"chat\":9,\"msg\":\"\xed\xa0\x80 long enough\"}}",
	}
	for _, r := range requests {
		if !slices.Contains([]Service{Send, GetChat, Receive}, r.service) {
			bodies = append(bodies, request(r.service, object(r.fields)))
		}
	}
	for _, body := range bodies {
		if isPlain(DefaultLimits, body) {
			t.Errorf("%q is plain", body)
		}
		agree(t, DefaultLimits, []byte(body))
		agree(t, tight, []byte(body))
	}
}

// Whatever happens to a byte of a plain body, both ways agree on what comes of it.
func TestPlainRequestsWithAnyByteSpoilt(t *testing.T) {
	bytes := []string{
		"", "\x00", "\x1f", "\x7f", "\x80", "\xc3", "\xff", "中", " ", "\t", "\n", "\r", "\v", "!", `"`, `\`, "/", ",", ":",
		"{", "}", "[", "]", "-", "+", ".", "0", "9", "e", "E", "x", "n", "u", "T", `\n`, `\"`, `\u0000`, `\u0041`,
	}
	for _, test := range plainBodies {
		for i := range len(test.body) + 1 {
			head, tail := test.body[:i], test.body[i:]
			agree(t, DefaultLimits, []byte(head))
			for _, b := range bytes {
				agree(t, tight, []byte(head+b+tail))
				if tail != "" {
					agree(t, DefaultLimits, []byte(head+b+tail[1:]))
				}
			}
		}
	}
}

func TestPlainRequestsKeepTheLimits(t *testing.T) {
	send := func(msg, ref string) string {
		return `{"service_code":5,"content":{"token":7,"chat":9,"msg":"` + msg + `","ref":"` + ref + `"}}`
	}
	shallow := tight
	shallow.Nesting = plainNesting - 1
	long := send("", "r")
	fill := strings.Repeat("x", plainBytes-len(long))
	for _, test := range []struct {
		name   string
		limits Limits
		body   string
		plain  bool
		fault  string
	}{
		{"a text at its limit", tight, send("123456789012", "r"), true, ""},
		{"a text over it", tight, send("1234567890123", "r"), false, "msg is over its limit of 12 bytes"},
		{"a text over it but for its escapes", tight, send(`1234567890\n`, "r"), true, ""},
		{"a text over it because of its escapes", tight, send(`12345678901\n`, "r"), false, ""},
		{"a text over it in spite of its escapes", tight, send(`123456789012\n`, "r"), false, "msg is over its limit of 12 bytes"},
		{"a ref at its limit", tight, send("a", "1234"), true, ""},
		{"a ref over it", tight, send("a", "12345"), false, "ref is over its limit of 4 bytes"},
		{"a ref over it because of its escapes", tight, send("a", `123\n`), false, ""},
		{"nesting", shallow, send("a", "r"), false, deep},
		{"a body as long as plain ones may be", DefaultLimits, send(fill, "r"), true, ""},
		{"a longer one", DefaultLimits, send(fill+"x", "r"), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := isPlain(test.limits, test.body); got != test.plain {
				t.Errorf("%s is plain: %v", clip(test.body), got)
			}
			got := ""
			if _, fault := agree(t, test.limits, []byte(test.body)); fault != nil {
				got = fault.Msg
			}
			if got != test.fault {
				t.Errorf("%s\nanswered %q, want %q", clip(test.body), got, test.fault)
			}
		})
	}
}

// What this package's own client sends is plain.
func TestRequestsOfTheClientArePlain(t *testing.T) {
	for _, n := range []int64{1, 12345678, 1234567890123456, MaxChat} {
		for _, frame := range [][]byte{
			AppendSendRequest(nil, n, n, text("中\n"), nil),
			AppendSendRequest(nil, MaxToken, n, text(`"`), text("r")),
			AppendReadRequest(nil, GetChat, n, n, -n, MaxCount),
			AppendReadRequest(nil, Receive, MaxToken, n, n, 1),
		} {
			if body := bodyOf(t, frame, nil); !isPlain(DefaultLimits, body) {
				t.Errorf("%s is not plain", body)
			}
		}
	}
}

func TestPlainRequestsCostNoMemory(t *testing.T) {
	d := NewDecoder(DefaultLimits)
	var req Request
	for _, test := range plainBodies {
		body := []byte(test.body)
		if n := testing.AllocsPerRun(100, func() { d.Decode(body, &req) }); n != 0 {
			t.Errorf("%s: %v allocations", test.name, n)
		}
	}
}

// A number of any length is plain up to the largest, and no longer.
func TestPlainIntegersOfEveryLength(t *testing.T) {
	for digits := 1; digits <= 40; digits++ {
		for _, n := range []string{strings.Repeat("9", digits), "1" + strings.Repeat("0", digits-1), "0" + strings.Repeat("1", digits-1)} {
			body := `{"service_code":3,"content":{"token":7,"chat":9,"index":` + n + `}}`
			_, err := strconv.ParseInt(n, 10, 64)
			if want := err == nil && (n[0] != '0' || n == "0"); isPlain(DefaultLimits, body) != want {
				t.Errorf("an index of %s is plain: %v", n, !want)
			}
			agree(t, DefaultLimits, []byte(body))
			agree(t, DefaultLimits, []byte(strings.Replace(body, n, "-"+n, 1)))
		}
	}
}
