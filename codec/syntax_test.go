package codec

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a body must be before any field of it counts: JSON to the letter, valid
// UTF-8, no deeper than the limit; and what its strings mean.

const (
	noObject  = "the body is not a JSON object"
	noUTF8    = "the body is not valid UTF-8"
	badEscape = "the body holds a malformed escape"
	deep      = "the body nests too deep"

	joinBody = `{"service_code":6,"content":{"token":7,"chat":9}}`
	sendBody = `{"service_code":5,"content":{"token":7,"chat":9,"msg":"a\n\u4e2d中","ref":"r"},"x":[1.5e3,"y",{"z":null}]}`
)

func TestDecodeTakesOneJSONObjectAndNothingElse(t *testing.T) {
	for _, body := range []string{
		``, ` `, "\n", `true`, `1`, `"x"`, `[]`, `[` + joinBody + `]`, `{`, `}`, `{}}`, `{]`, `"`, "\x00",
		"\ufeff" + joinBody, joinBody + "\ufeff", // byte order marks
		joinBody + joinBody, joinBody + `,`, joinBody + `}`, joinBody + ` x`, joinBody + "\x00", joinBody + `0`, joinBody + `//`,
		`,` + joinBody, `/**/` + joinBody, "\v" + joinBody, joinBody + "\f", "\u00a0" + joinBody, "\u2028" + joinBody,
		`{'service_code':6,'content':{}}`, `{service_code:6,"content":{}}`,
		`{"service_code":6,"content":{"token":7,"chat":9},}`, `{"service_code":6,"content":{"token":7,"chat":9,}}`,
		`{"service_code":6 "content":{"token":7,"chat":9}}`, `{"service_code":6,"content":{"token":7 "chat":9}}`,
		`{"service_code":6,,"content":{"token":7,"chat":9}}`, `{"service_code" 6,"content":{}}`, `{"service_code":,"content":{}}`,
		`{"service_code":6,"content":{"token":7,"chat":9}`, `{"service_code":6,"content":{"token":7,"chat":9]}`,
	} {
		refused(t, DefaultLimits, body, StateBadRequest, noObject)
	}
	refused(t, DefaultLimits, `{}`, StateBadRequest, "content is missing")
	refused(t, DefaultLimits, `null`, StateBadRequest, "content is missing") // read like an empty object
}

// malformed are values that are no JSON, though some parsers take them.
var malformed = []string{
	`01`, `-01`, `00`, `-`, `+1`, `.5`, `1.`, `1.e1`, `1e`, `1e+`, `--1`, `0x1`, `1_000`, `1.2.3`, `1e5e5`, `NaN`, `Infinity`, `-Infinity`,
	`nul`, `nulll`, `tru`, `True`, `truefalse`, `true false`, `1 2`, `12a`, `undefined`, `'a'`, `"a`, `"a"b`, `a"`,
	`[`, `]`, `[1,]`, `[,1]`, `[1 2]`, `[}`, `[1]]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:2}`, `{"a":1 "b":2}`, `{"a":1,,"b":2}`, `{"a":1]`,
	"[1,\v2]", "[1,\f2]", "[1,\u00a02]", "\"\x00\"", "\"a\x1fb\"", "{\"\x01\":1}", "\"tab\tbed\"", "\"line\nfeed\"",
}

func TestDecodeRefusesMalformedValuesWhereverTheyStand(t *testing.T) {
	for _, place := range []string{
		`{"service_code":%,"content":{"token":7,"chat":9}}`,
		`{"service_code":%,"service_code":6,"content":{"token":7,"chat":9}}`,
		`{"x":%,"service_code":6,"content":{"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":7,"chat":9},"x":%}`,
		`{"service_code":6,"content":%}`,
		`{"service_code":6,"content":%,"content":{"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":%,"chat":9}}`,
		`{"service_code":6,"content":{"token":%,"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":7,"chat":9,"msg":%}}`,
		`{"service_code":6,"content":{"token":7,"chat":9,"x":[0,%]}}`,
		`{"service_code":6,"content":{"token":7,"chat":9,"x":{"y":%}}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":%}}`,
		`{"service_code":7,"content":{"token":7,"name":"n","is_group":%,"member":[]}}`,
		`{"service_code":7,"content":{"token":7,"name":"n","is_group":true,"member":%}}`,
		`{"service_code":7,"content":{"token":7,"name":"n","is_group":true,"member":[%]}}`,
		`{"service_code":7,"content":{"token":7,"name":"n","is_group":true,"member":[{"x":%,"id":"` + alice + `"}]}}`,
		`{"service_code":8,"content":{"x":%}}`,
	} {
		for _, value := range malformed {
			refused(t, DefaultLimits, strings.Replace(place, "%", value, 1), StateBadRequest, noObject)
		}
	}
}

// Sonic looks for malformed escapes, and for control characters behind a
// backslash, only in strings that it decodes, and by its own stride of 32 bytes.
func TestDecodeRefusesMalformedEscapesWhereverTheyStand(t *testing.T) {
	for _, place := range []string{
		`{"x":"%","service_code":6,"content":{"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":7,"chat":9},"x":"%"}`,
		`{"service_code":6,"content":{"token":7,"chat":9},"%":1}`,
		`{"service_code":6,"content":{"token":7,"chat":9,"x":{"%":1}}}`,
		`{"service_code":6,"content":{"token":7,"chat":9,"msg":"%"}}`,
		`{"service_code":6,"content":"%","content":{"token":7,"chat":9}}`,
		`{"service_code":5,"content":{"token":7,"chat":9,"msg":"%"}}`,
		`{"service_code":7,"content":{"token":7,"name":"n","is_group":true,"member":[{"x":"%","id":"` + alice + `"}]}}`,
	} {
		for _, escape := range []string{`\0`, `\x41`, `\'`, `\ `, `\U0041`, `\N`, `\u`, `\u12`, `\u12G4`, `\u-123`, `\u 123`, `\ud800\u`, `\ud800\x`, "\\\x01", "\\\n", `\中`} {
			for _, before := range []int{0, 1, 15, 30, 31, 32, 63, 64} {
				for _, after := range []int{0, 31, 40} {
					text := strings.Repeat("p", before) + escape + strings.Repeat("q", after)
					refused(t, DefaultLimits, strings.Replace(place, "%", text, 1), StateBadRequest, badEscape)
				}
			}
		}
	}
	refused(t, DefaultLimits, `{"service_code":6,"content":{"token":7,"chat":9}}\`, StateBadRequest, badEscape)
	refused(t, DefaultLimits, `{"service_code":6,"content":{"token":7,"chat":9}}\n`, StateBadRequest, noObject)
	refused(t, DefaultLimits, `{"service_code":6,"content":{"token":7,"chat":9,"x":"\`, StateBadRequest, badEscape)
	refused(t, DefaultLimits, `{"service_code":6,"content":{"token":7,"chat":9,"x":"\"}}`, StateBadRequest, noObject)
}

func TestDecodeRefusesABodyWithAnyByteSpoilt(t *testing.T) {
	for i := range len(sendBody) + 1 {
		head, tail := sendBody[:i], sendBody[i:]
		for c := range byte(' ') {
			body := head + string(rune(c)) + tail
			if strings.ContainsRune("\t\n\r", rune(c)) {
				agree(t, DefaultLimits, []byte(body)) // white space may stand between tokens
				continue
			}
			if _, fault := agree(t, DefaultLimits, []byte(body)); fault == nil || fault.State != StateBadRequest {
				t.Errorf("control character %#x at %d: %v", c, i, fault)
			}
		}
		for _, spoilt := range []string{"\x80", "\xff", "\xc0\xaf", "\xe4\xb8", "\xed\xa0\x80", "\xf4\x90\x80\x80"} {
			refused(t, DefaultLimits, head+spoilt+tail, StateBadRequest, noUTF8)
		}
		if i < len(sendBody) {
			if _, fault := agree(t, DefaultLimits, []byte(head)); fault == nil {
				t.Errorf("the first %d bytes alone are accepted", i)
			}
			agree(t, DefaultLimits, []byte(head+tail[1:])) // a byte lost
		}
	}
}

func TestDecodeLimitsNesting(t *testing.T) {
	nest := func(open, inner, end string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	places := []struct {
		name        string
		before, end string
		depth       int // of the place
		want        plain
	}{
		{"top level, ignored", `{"x":`, `,"service_code":6,"content":{"token":7,"chat":9}}`, 1, plain{Service: Join, Token: 7, Chat: 9}},
		{"top level, behind", `{"service_code":6,"content":{"token":7,"chat":9},"x":`, `}`, 1, plain{Service: Join, Token: 7, Chat: 9}},
		{"content, ignored", `{"service_code":6,"content":{"token":7,"chat":9,"x":`, `}}`, 2, plain{Service: Join, Token: 7, Chat: 9}},
		{"content, another service's", `{"service_code":6,"content":{"member":`, `,"token":7,"chat":9}}`, 2, plain{Service: Join, Token: 7, Chat: 9}},
		{"ping", `{"service_code":100,"content":{"x":`, `}}`, 2, plain{Service: Ping}},
		{"escaped key", `{"service_code":100,"content":{"\u0078":`, `}}`, 2, plain{Service: Ping}},
	}
	shapes := []struct{ name, open, inner, end string }{
		{"arrays", `[`, ``, `]`},
		{"arrays of numbers", `[1,`, `2`, `,3]`},
		{"objects", `{"k":`, `0`, `}`},
		{"both", `[{"k":`, `""`, `}]`},
	}
	for _, limits := range []Limits{DefaultLimits, tight, {Frame: 1 << 20, Text: 64, Name: 8, Ref: 4, Nesting: 64}} {
		for _, p := range places {
			for _, s := range shapes {
				t.Run(p.name+" "+s.name, func(t *testing.T) {
					levels := strings.Count(s.open, "[") + strings.Count(s.open, "{")
					n := (limits.Nesting - p.depth) / levels
					pad := strings.Repeat("[", (limits.Nesting-p.depth)%levels)
					end := strings.Repeat("]", len(pad))
					good(t, limits, p.before+pad+nest(s.open, s.inner, s.end, n)+end+p.end, p.want)
					refused(t, limits, p.before+"["+pad+nest(s.open, s.inner, s.end, n)+end+"]"+p.end, StateBadRequest, deep)
				})
			}
		}
		t.Run("brackets in strings do not count", func(t *testing.T) {
			brackets := strings.Repeat(`[{`, 2*limits.Nesting)
			good(t, limits, `{"x":"`+brackets+`","service_code":100,"content":{}}`, plain{Service: Ping})
			good(t, limits, `{"x":"\"`+brackets+`\\","`+brackets+`":"\\\"[","service_code":100,"content":{}}`, plain{Service: Ping})
		})
		t.Run("brackets closed again do not count", func(t *testing.T) {
			good(t, limits, `{"x":[`+strings.Repeat(`{},[],`, 2*limits.Nesting)+`0],"service_code":100,"content":{}}`, plain{Service: Ping})
		})
		t.Run("brackets never closed", func(t *testing.T) {
			for _, n := range []int{limits.Nesting, limits.Nesting + 1, 2 * limits.Nesting, 2*limits.Nesting + 1, 1 << 20} {
				for _, bracket := range []string{`[`, `{"x":`, `]`, `}`} {
					if _, fault := agree(t, limits, []byte(strings.Repeat(bracket, n))); fault == nil || fault.State != StateBadRequest {
						t.Errorf("%d times %s: %v", n, bracket, fault)
					}
				}
			}
		})
	}
}

// texts are JSON strings, what they mean, and their Text.
var texts = []struct{ name, quoted, means, text string }{
	{"a letter", `a`, "a", `a`},
	{"Chinese", `你好，世界`, "你好，世界", `你好，世界`},
	{"Chinese, escaped", `\u4f60\u597d`, "你好", `你好`},
	{"emoji", `👋🏽👨‍👩‍👧`, "👋🏽👨‍👩‍👧", `👋🏽👨‍👩‍👧`},
	{"emoji, escaped", `\ud83d\ude00`, "😀", `😀`},
	{"emoji, escaped in capitals", `\uD83D\uDE00`, "😀", `😀`},
	{"quote and backslash", `\"\\`, `"\`, `\"\\`},
	{"quote and backslash as code points", `\u0022\u005c\u005C`, `"\\`, `\"\\\\`},
	{"a slash, escaped and not", `\//\u002f`, "///", `///`},
	{"short escapes", `\b\f\n\r\t`, "\b\f\n\r\t", `\u0008\u000c\n\r\t`},
	{"control characters", `\u0000\u0001\u001f\u000A\u000a`, "\x00\x01\x1f\n\n", `\u0000\u0001\u001f\n\n`},
	{"delete and what HTML dislikes", "\x7f<>&'", "\x7f<>&'", "\x7f<>&'"},
	{"what HTML dislikes, escaped", `\u003c\u003e\u0026\u0027\u007f`, "<>&'\x7f", "<>&'\x7f"},
	{"separators of lines", "\u2028\u2029", "\u2028\u2029", "\u2028\u2029"},
	{"separators of lines, escaped", `\u2028\u2029`, "\u2028\u2029", "\u2028\u2029"},
	{"a letter, escaped", `\u0041\u00e9`, "Aé", `Aé`},
	{"code points that are none", "\ufffe\uffff\U0010ffff", "\ufffe\uffff\U0010ffff", "\ufffe\uffff\U0010ffff"},
	{"the replacement character", "\ufffd" + `\ufffd`, "\ufffd\ufffd", "\ufffd\ufffd"},
	{"a high surrogate alone", `\ud800`, "\ufffd", "\ufffd"},
	{"a low surrogate alone", `\udc00`, "\ufffd", "\ufffd"},
	{"surrogates the wrong way round", `\ude00\ud83d`, "\ufffd\ufffd", "\ufffd\ufffd"},
	{"a high surrogate before a pair", `\ud83d\ud83d\ude00`, "\ufffd😀", "\ufffd😀"},
	{"a high surrogate before a letter", `\ud83dx\ud83d\u0041`, "\ufffdx\ufffdA", "\ufffdx\ufffdA"},
	{"a high surrogate before an escape", `\ud83d\n\ud83d\"`, "\ufffd\n\ufffd\"", "\ufffd" + `\n` + "\ufffd" + `\"`},
	{"an escape's escape", `\\u0041\\n`, `\u0041\n`, `\\u0041\\n`},
	{"JSON in a string", `{\"a\":[1]}`, `{"a":[1]}`, `{\"a\":[1]}`},
	{"spaces", ` a  b `, " a  b ", ` a  b `},
}

func TestDecodeReadsTextsOfEveryKind(t *testing.T) {
	for _, test := range texts {
		t.Run(test.name, func(t *testing.T) {
			good(t, DefaultLimits, request(Send, `{"token":7,"chat":9,"msg":"`+test.quoted+`"}`), plain{Service: Send, Token: 7, Chat: 9, Text: test.means})
			good(t, DefaultLimits, request(Register, `{"id":"`+alice+`","name":"`+test.quoted+`"}`), plain{Service: Register, ID: aliceID, Name: test.means})
			body := []byte(request(Send, `{"token":7,"chat":9,"msg":"x`+test.quoted+`","ref":"`+test.quoted+`"}`))
			var req Request
			if fault := NewDecoder(DefaultLimits).Decode(body, &req); fault != nil {
				t.Fatal(*fault)
			}
			if string(req.Text) != "x"+test.text || string(req.Ref) != test.text {
				t.Errorf("texts are %q and %q, want %q", req.Text, req.Ref, test.text)
			}
		})
	}
}

// sized are strings of n bytes once unescaped, for an n that 12 divides.
func sized(n int) map[string]string {
	return map[string]string{
		"letters":               strings.Repeat("a", n),
		"Chinese":               strings.Repeat("中", n/3),
		"Chinese, escaped":      strings.Repeat(`\u4e2d`, n/3),
		"emoji":                 strings.Repeat("😀", n/4),
		"emoji, escaped":        strings.Repeat(`\ud83d\ude00`, n/4),
		"lone surrogates":       strings.Repeat(`\ud83d`, n/3),
		"control characters":    strings.Repeat(`\u0001`, n),
		"quotes":                strings.Repeat(`\"`, n),
		"one escape at the end": strings.Repeat("a", n-1) + `\n`,
	}
}

func TestDecodeLimitsTextsByTheirBytesUnescaped(t *testing.T) {
	limits := []Limits{{Frame: 1 << 20, Text: 24, Name: 24, Ref: 24, Nesting: 4096}, {Frame: 1 << 20, Text: 65532, Name: 252, Ref: 60, Nesting: 4096}}
	fields := []struct {
		key   string
		body  string
		limit func(Limits) int
		state State
		msg   string
	}{
		{"msg", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"%"}}`, func(l Limits) int { return l.Text }, StateTooLarge, "msg is over its limit of "},
		{"ref", `{"service_code":5,"content":{"token":7,"chat":9,"msg":"a","ref":"%"}}`, func(l Limits) int { return l.Ref }, StateBadRequest, "ref is over its limit of "},
		{"name of a chat", `{"service_code":7,"content":{"token":7,"name":"%","is_group":true,"member":[]}}`, func(l Limits) int { return l.Name }, StateBadRequest, "name is over its limit of "},
		{"name of a user", `{"service_code":2,"content":{"id":"` + alice + `","name":"%"}}`, func(l Limits) int { return l.Name }, StateBadRequest, "name is over its limit of "},
	}
	for _, l := range limits {
		for _, f := range fields {
			for name, text := range sized(f.limit(l)) {
				t.Run(f.key+" "+name, func(t *testing.T) {
					if _, fault := agree(t, l, []byte(strings.Replace(f.body, "%", text, 1))); fault != nil {
						t.Errorf("at the limit: %v", *fault)
					}
					msg := f.msg + strconv.Itoa(f.limit(l)) + " bytes"
					refused(t, l, strings.Replace(f.body, "%", text+"b", 1), f.state, msg)
					refused(t, l, strings.Replace(f.body, "%", `\t`+text, 1), f.state, msg)
				})
			}
		}
	}
	text := strings.Repeat("x", DefaultLimits.Text)
	good(t, DefaultLimits, request(Send, `{"token":7,"chat":9,"msg":"`+text+`"}`), plain{Service: Send, Token: 7, Chat: 9, Text: text})
	refused(t, DefaultLimits, request(Send, `{"token":7,"chat":9,"msg":"`+text+`x"}`), StateTooLarge, "msg is over its limit of 65536 bytes")
}

func TestDecodeTellsOfALongTextOnlyWhereNothingElseIsWrong(t *testing.T) {
	long := `"` + strings.Repeat("x", 13) + `"`
	send := []field{{"msg", long}, {"token", "7"}, {"chat", "9"}, {"ref", `"r"`}}
	refused(t, tight, request(Send, object(send)), StateTooLarge, "msg is over its limit of 12 bytes")
	for _, test := range []struct{ key, value, msg string }{
		{"token", "0", "token is out of its range"},
		{"chat", `"9"`, "chat must be an integer of 64 bits"},
		{"chat", `null`, "chat is missing"},
		{"ref", `5`, "ref must be a string"},
		{"ref", `"12345"`, "ref is over its limit of 4 bytes"},
	} {
		fields := slices.Clone(with(send, test.key, test.value))
		refused(t, tight, request(Send, object(fields)), StateBadRequest, test.msg)
	}
	refused(t, tight, request(8, object(send)), StateNotFound, "no such service_code")
	good(t, tight, request(Join, object(send)), plain{Service: Join, Token: 7, Chat: 9}) // it is not Join's text
}

func TestDecodeTakesEmptyStringsWhereTheyAreOptional(t *testing.T) {
	good(t, DefaultLimits, request(Send, `{"token":7,"chat":9,"msg":"a","ref":""}`), plain{Service: Send, Token: 7, Chat: 9, Text: "a"})
	good(t, DefaultLimits, request(Register, `{"id":"`+alice+`","name":""}`), plain{Service: Register, ID: aliceID})
	good(t, DefaultLimits, request(Create, `{"token":7,"name":"","is_group":true,"member":[]}`), plain{Service: Create, Token: 7, IsGroup: true})
	refused(t, DefaultLimits, request(Send, `{"token":7,"chat":9,"msg":""}`), StateBadRequest, "msg is empty")
}
