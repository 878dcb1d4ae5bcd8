package codec

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Every table here goes through agree, so that each of its rows is also held
// against the reference decoder and against the other number of passes.

const (
	alice = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	bob   = "00000000-0000-0000-0000-000000000b0b"
)

var aliceID, bobID = uuid.MustParse(alice), uuid.MustParse(bob)

// field is a key and a JSON value of an object.
type field struct{ key, value string }

// requests holds a good request of each service, with every field it knows.
var requests = []struct {
	name     string
	service  Service
	fields   []field
	optional []string // keys that may be absent
	want     plain
}{
	{
		"login", Login,
		[]field{{"id", `"` + alice + `"`}, {"token", "1145141919810"}},
		nil,
		plain{Service: Login, ID: aliceID, Token: 1145141919810},
	},
	{
		"register", Register,
		[]field{{"id", `"` + alice + `"`}, {"token", "7"}, {"name", `"小明"`}},
		[]string{"token", "name"},
		plain{Service: Register, ID: aliceID, Token: 7, Name: "小明"},
	},
	{
		"get chat", GetChat,
		[]field{{"token", "7"}, {"chat", "1919810"}, {"index", "-1"}, {"count", "20"}},
		[]string{"count"},
		plain{Service: GetChat, Token: 7, Chat: 1919810, Index: -1, Count: 20},
	},
	{
		"find chats", FindChats,
		[]field{{"token", "7"}, {"after", "114514"}, {"count", "20"}},
		[]string{"after", "count"},
		plain{Service: FindChats, Token: 7, After: 114514, Count: 20},
	},
	{
		"send", Send,
		[]field{{"token", "7"}, {"chat", "9"}, {"msg", `"hi"`}, {"ref", `"r1"`}},
		[]string{"ref"},
		plain{Service: Send, Token: 7, Chat: 9, Text: "hi", Ref: "r1"},
	},
	{
		"join", Join,
		[]field{{"token", "7"}, {"chat", "9"}},
		nil,
		plain{Service: Join, Token: 7, Chat: 9},
	},
	{
		"create", Create,
		[]field{{"token", "7"}, {"name", `"25岁"`}, {"is_group", "true"}, {"member", `[{"id":"` + alice + `"},{"id":"` + bob + `"}]`}},
		nil,
		plain{Service: Create, Token: 7, Name: "25岁", IsGroup: true, Members: []uuid.UUID{aliceID, bobID}},
	},
	{
		"receive", Receive,
		[]field{{"token", "7"}, {"chat", "9"}, {"index", "114"}, {"count", "20"}},
		[]string{"count"},
		plain{Service: Receive, Token: 7, Chat: 9, Index: 114, Count: 20},
	},
	{"ping", Ping, nil, nil, plain{Service: Ping}},
}

// object writes fields as a JSON object.
func object(fields []field) string {
	var pairs []string
	for _, f := range fields {
		pairs = append(pairs, strconv.Quote(f.key)+":"+f.value)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func request(service Service, content string) string {
	return fmt.Sprintf(`{"service_code":%d,"content":%s}`, service, content)
}

// with returns fields with key set to value; without, with key dropped.
func with(fields []field, key, value string) []field {
	return append(without(fields, key), field{key, value})
}

func without(fields []field, key string) []field {
	return slices.DeleteFunc(slices.Clone(fields), func(f field) bool { return f.key == key })
}

// good decodes body within limits and compares it with want.
func good(t *testing.T, limits Limits, body string, want plain) {
	t.Helper()
	got, fault := agree(t, limits, []byte(body))
	if fault != nil {
		t.Errorf("%s\nanswered %d %q", clip(body), fault.State, fault.Msg)
	} else if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nreads as %+v\n    want %+v", clip(body), got, want)
	}
}

// refused decodes body within limits and compares the fault.
func refused(t *testing.T, limits Limits, body string, state State, msg string) {
	t.Helper()
	switch got, fault := agree(t, limits, []byte(body)); {
	case fault == nil:
		t.Errorf("%s\nreads as %+v, want %d %q", clip(body), got, state, msg)
	case fault.State != state || fault.Msg != msg:
		t.Errorf("%s\nanswered %d %q, want %d %q", clip(body), fault.State, fault.Msg, state, msg)
	}
}

func clip(body string) string {
	if len(body) > 300 {
		return fmt.Sprintf("%s… (%d bytes)", body[:300], len(body))
	}
	return body
}

func TestDecodeReadsEveryService(t *testing.T) {
	for _, r := range requests {
		t.Run(r.name, func(t *testing.T) {
			good(t, DefaultLimits, request(r.service, object(r.fields)), r.want)
			reversed := slices.Clone(r.fields)
			slices.Reverse(reversed)
			good(t, DefaultLimits, fmt.Sprintf(`{"content":%s,"service_code":%d}`, object(reversed), r.service), r.want)
			spaced := strings.NewReplacer(":", " \t: ", ",", "\r\n, ", "{", "{\n", "}", " }").Replace(request(r.service, object(r.fields)))
			good(t, DefaultLimits, "\n"+spaced+"\t\r\n ", r.want)
		})
	}
}

func TestDecodeMissesFieldsThatAreAbsentOrNull(t *testing.T) {
	for _, r := range requests {
		for _, f := range r.fields {
			absent := request(r.service, object(without(r.fields, f.key)))
			null := request(r.service, object(with(r.fields, f.key, "null")))
			t.Run(r.name+" "+f.key, func(t *testing.T) {
				if !slices.Contains(r.optional, f.key) {
					refused(t, DefaultLimits, absent, StateBadRequest, f.key+" is missing")
					refused(t, DefaultLimits, null, StateBadRequest, f.key+" is missing")
					return
				}
				want := r.want
				switch f.key {
				case "token":
					want.Token = 0
				case "name":
					want.Name = ""
				case "ref":
					want.Ref = ""
				case "after":
					want.After = 0
				case "count":
					want.Count = map[Service]int{GetChat: 50, Receive: 50, FindChats: 1000}[r.service]
				}
				good(t, DefaultLimits, absent, want)
				good(t, DefaultLimits, null, want)
			})
		}
	}
	refused(t, DefaultLimits, `{"content":{}}`, StateBadRequest, "service_code is missing")
	refused(t, DefaultLimits, `{"content":{},"service_code":null}`, StateBadRequest, "service_code is missing")
	refused(t, DefaultLimits, `{"service_code":100}`, StateBadRequest, "content is missing")
	refused(t, DefaultLimits, `{"service_code":100,"content":null}`, StateBadRequest, "content is missing")
}

// The values of each field: what is no integer, and so on for each kind.
var (
	notIntegers = []string{
		`"1"`, `""`, `1.0`, `1.5`, `1e3`, `1E0`, `-1e-1`, `0.0`, `-0.0`, `1e400`, `true`, `false`, `[]`, `[1]`, `{}`, `"null"`,
		"9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "18446744073709551617",
		"184467440737095516150", "1" + strings.Repeat("0", 400), "-1" + strings.Repeat("0", 400),
	}
	notBooleans = []string{`0`, `1`, `"true"`, `"false"`, `""`, `[]`, `[true]`, `{}`}
	notStrings  = []string{`0`, `1`, `-1.5e3`, `true`, `false`, `[]`, `["a"]`, `{}`, `{"a":"b"}`}
	notUUIDs    = []string{
		`""`, `"UUID"`, `"6ba7b8109dad11d180b400c04fd430c8"`,
		`"{` + alice + `}"`, `"urn:uuid:` + alice + `"`, `"URN:UUID:` + alice + `"`, `" ` + alice + `"`, `"` + alice + `\n"`,
		`"` + alice[:35] + `"`, `"` + alice + `0"`, `"` + alice[:35] + `g"`, `"{` + alice[:34] + `}"`,
		`"6ba7b8109-dad-11d1-80b4-00c04fd430c8"`, `"6ba7b810_9dad_11d1_80b4_00c04fd430c8"`, `"------------------------------------"`,
		`"６ba7b810-9dad-11d1-80b4-00c04fd430"`,
	}
	notMembers = []string{
		`0`, `"[]"`, `true`, `{}`, `{"id":"` + alice + `"}`, `[1]`, `["` + alice + `"]`, `[[]]`, `[true]`,
		`[{"id":"` + alice + `"},"` + bob + `"]`, `[{"id":"` + alice + `"},[]]`,
	}
)

// outOfRange lists, and inRange too, the bounds of each integer.
var (
	outOfRange = map[string][]int64{
		"token": {0, -1, math.MinInt64},
		"chat":  {0, -1, math.MinInt64, 1 << 53, 1<<53 + 1, math.MaxInt64},
		"count": {0, -1, math.MinInt64},
		"after": {-1, math.MinInt64, 1 << 53, math.MaxInt64},
	}
	inRange = map[string][]int64{
		"token": {1, 2, math.MaxInt64 - 1, math.MaxInt64},
		"chat":  {1, 2, 1<<53 - 2, 1<<53 - 1},
		"index": {math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64},
		"count": {1, 2, 999, 1000, 1001, math.MaxInt32 + 1, math.MaxInt64},
		"after": {0, 1, 1<<53 - 1},
	}
)

func TestDecodeHoldsEveryFieldToItsTypeAndRange(t *testing.T) {
	for _, r := range requests {
		for _, f := range r.fields {
			set := func(value string) string { return request(r.service, object(with(r.fields, f.key, value))) }
			all := func(t *testing.T, values []string, msg string) {
				t.Helper()
				for _, value := range values {
					refused(t, DefaultLimits, set(value), StateBadRequest, f.key+msg)
				}
			}
			t.Run(r.name+" "+f.key, func(t *testing.T) {
				switch f.key {
				case "token", "chat", "index", "count", "after":
					all(t, notIntegers, " must be an integer of 64 bits")
					for _, n := range outOfRange[f.key] {
						all(t, []string{strconv.FormatInt(n, 10)}, " is out of its range")
					}
					for _, n := range inRange[f.key] {
						good(t, DefaultLimits, set(strconv.FormatInt(n, 10)), setInteger(r.want, f.key, n))
					}
				case "is_group":
					all(t, notBooleans, " must be true or false")
					want := r.want
					want.IsGroup = false
					good(t, DefaultLimits, set("false"), want)
				case "name", "msg", "ref":
					all(t, notStrings, " must be a string")
				case "id":
					all(t, notStrings, " must be a string")
					all(t, notUUIDs, " must be a UUID of 36 characters")
				case "member":
					all(t, notMembers, " must be an array of objects")
				default:
					t.Errorf("no table for %s", f.key)
				}
			})
		}
	}
}

func setInteger(p plain, key string, n int64) plain {
	switch key {
	case "token":
		p.Token = n
	case "chat":
		p.Chat = n
	case "index":
		p.Index = n
	case "count":
		p.Count = int(min(n, 1000))
	case "after":
		p.After = n
	}
	return p
}

func TestDecodeTakesZeroWithASign(t *testing.T) {
	good(t, DefaultLimits, `{"service_code":3,"content":{"token":7,"chat":9,"index":-0}}`, plain{Service: GetChat, Token: 7, Chat: 9, Count: 50})
	refused(t, DefaultLimits, `{"service_code":6,"content":{"token":-0,"chat":9}}`, StateBadRequest, "token is out of its range")
}

func TestDecodeReadsMembers(t *testing.T) {
	create := func(member string) string {
		return request(Create, `{"token":7,"name":"n","is_group":true,"member":`+member+`}`)
	}
	want := func(ids ...uuid.UUID) plain {
		return plain{Service: Create, Token: 7, Name: "n", IsGroup: true, Members: ids}
	}
	good(t, DefaultLimits, create(`[]`), want())
	good(t, DefaultLimits, create(` [ { "id" : "`+alice+`" } ] `), want(aliceID))
	good(t, DefaultLimits, create(`[{"id":"`+alice+`"},{"id":"`+alice+`"}]`), want(aliceID, aliceID))
	good(t, DefaultLimits, create(`[{"ID":1,"name":2,"id":"`+bob+`","x":[{"id":3}]}]`), want(bobID))
	good(t, DefaultLimits, create(`[{"\u0069d":"`+bob+`"}]`), want(bobID))
	good(t, DefaultLimits, create(`[{"id":1,"id":"`+alice+`"},{"id":"`+alice+`","\u0069\u0064":"`+bob+`"}]`), want(aliceID, bobID))

	const missing, notString = "member.id is missing", "member.id must be a string"
	refused(t, DefaultLimits, create(`[{}]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[null]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[{"id":"`+alice+`"},null]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[{"id":"`+alice+`"},{}]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[{"id":null}]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[{"id":"`+alice+`","id":null}]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[{"Id":"`+alice+`"}]`), StateBadRequest, missing)
	refused(t, DefaultLimits, create(`[{"id":7}]`), StateBadRequest, notString)
	refused(t, DefaultLimits, create(`[{"id":"`+alice+`","id":7}]`), StateBadRequest, notString)
	for _, id := range notUUIDs {
		refused(t, DefaultLimits, create(`[{"id":`+id+`}]`), StateBadRequest, "member.id must be a UUID of 36 characters")
	}
}

func TestDecodeReadsUUIDsInAnyCase(t *testing.T) {
	want := plain{Service: Login, ID: aliceID, Token: 7}
	for _, id := range []string{alice, strings.ToUpper(alice), "6Ba7b810-9DAD-11d1-80b4-00C04Fd430c8", `\u0036` + alice[1:], alice[:8] + `\u002d` + alice[9:]} {
		good(t, DefaultLimits, request(Login, `{"id":"`+id+`","token":7}`), want)
	}
	good(t, DefaultLimits, request(Login, `{"id":"00000000-0000-0000-0000-000000000000","token":7}`), plain{Service: Login, Token: 7})
}

func TestDecodeCountsTheLastOfADuplicateKey(t *testing.T) {
	join := plain{Service: Join, Token: 7, Chat: 9}
	for _, body := range []string{
		`{"service_code":6,"content":{"token":1,"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":null,"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":"x","token":1e9,"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"\u0074oken":1,"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":1,"\u0074oken":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":1,"chat":1},"content":{"token":7,"chat":9}}`,
		`{"service_code":6,"content":null,"content":{"token":7,"chat":9}}`,
		`{"service_code":6,"content":[{"token":1}],"content":{"token":7,"chat":9}}`,
		`{"service_code":6,"content":{"token":1},"c\u006fntent":{"token":7,"chat":9}}`,
		`{"service_code":6,"c\u006fntent":{"token":1},"content":{"token":7,"chat":9}}`,
		`{"service_code":8,"service_code":6,"content":{"token":7,"chat":9}}`,
		`{"service_code":"x","content":{"token":7,"chat":9},"service_code":6}`,
		`{"service_code":8,"content":{"token":7,"chat":9},"service\u005fcode":6}`,
	} {
		good(t, DefaultLimits, body, join)
	}
	for _, test := range []struct{ body, msg string }{
		{`{"service_code":6,"content":{"token":7,"chat":9,"token":null}}`, "token is missing"},
		{`{"service_code":6,"content":{"token":7,"chat":9,"chat":"9"}}`, "chat must be an integer of 64 bits"},
		{`{"service_code":6,"content":{"token":7,"chat":9},"content":{"chat":9}}`, "token is missing"},
		{`{"service_code":6,"content":{"token":7,"chat":9},"content":{}}`, "token is missing"},
		{`{"service_code":6,"content":{"token":7,"chat":9},"content":null}`, "content is missing"},
		{`{"service_code":6,"content":{"token":7,"chat":9},"content":[]}`, "content must be an object"},
		{`{"service_code":6,"content":{"token":7,"chat":9},"\u0063ontent":{"token":7}}`, "chat is missing"},
		{`{"service_code":6,"content":{"token":7,"chat":9},"service_code":null}`, "service_code is missing"},
	} {
		refused(t, DefaultLimits, test.body, StateBadRequest, test.msg)
	}
	good(t, DefaultLimits, request(Send, `{"token":7,"chat":9,"msg":"a","msg":"b","ref":"r","ref":null}`), plain{Service: Send, Token: 7, Chat: 9, Text: "b"})
}

func TestDecodeIgnoresWhatIsNotItsOwn(t *testing.T) {
	join := plain{Service: Join, Token: 7, Chat: 9}
	values := []string{
		`null`, `true`, `0`, `-1.5e+300`, `1e400`, `"s"`, `""`, `"\u0000\ud800"`, `[]`, `{}`, `[[{}],[null,{"token":1}]]`,
		`{"token":"x","content":{"chat":0},"service_code":[]}`, `"content"`, `{"content":"content"}`,
	}
	others := []string{
		"x", "", "TOKEN", "Token", "chat ", "Content", "SERVICE_CODE", "toke", "tokens", `\u0000`, "中", "state_code",
		"id", "index", "count", "after", "msg", "ref", "name", "is_group", "member", // of other services
	}
	for _, key := range others {
		for _, value := range values {
			good(t, DefaultLimits, `{"service_code":6,"content":{"`+key+`":`+value+`,"token":7,"chat":9}}`, join)
			good(t, DefaultLimits, `{"service_code":6,"content":{"token":7,"chat":9,"`+key+`":`+value+`}}`, join)
			good(t, DefaultLimits, `{"`+key+`":`+value+`,"service_code":6,"content":{"token":7,"chat":9}}`, join)
			good(t, DefaultLimits, `{"service_code":6,"content":{"token":7,"chat":9},"`+key+`":`+value+`}`, join)
		}
	}
	good(t, DefaultLimits, `{"token":1,"chat":1,"service_code":6,"content":{"token":7,"chat":9,"service_code":1,"content":{"token":2}}}`, join)
	good(t, DefaultLimits, `{"service_code":100,"content":{"token":"x","id":7,"msg":null}}`, plain{Service: Ping})
	good(t, DefaultLimits, request(Login, `{"id":"`+alice+`","token":7,"name":5}`), plain{Service: Login, ID: aliceID, Token: 7})

	refused(t, DefaultLimits, `{"service_code":6,"content":{"Token":7,"chat":9}}`, StateBadRequest, "token is missing")
	refused(t, DefaultLimits, `{"service_code":6,"token":7,"content":{"chat":9}}`, StateBadRequest, "token is missing")
	refused(t, DefaultLimits, `{"Service_code":6,"content":{"token":7,"chat":9}}`, StateBadRequest, "service_code is missing")
	refused(t, DefaultLimits, `{"service_code":6,"CONTENT":{"token":7,"chat":9}}`, StateBadRequest, "content is missing")
}

func TestDecodeKnowsOnlyItsServices(t *testing.T) {
	for _, code := range []Service{0, -1, 8, 10, 99, 101, 1000, 1 << 32, 1<<32 + 1, math.MinInt64, math.MaxInt64} {
		for _, content := range []string{`{}`, `{"token":"x","id":7,"msg":5}`, `{"token":7,"chat":9,"msg":"hi"}`} {
			refused(t, DefaultLimits, request(code, content), StateNotFound, "no such service_code")
		}
	}
	// Faults of the envelope come before.
	for _, value := range notIntegers {
		refused(t, DefaultLimits, `{"service_code":`+value+`,"content":{}}`, StateBadRequest, "service_code must be an integer of 64 bits")
	}
	for _, value := range []string{`[]`, `[{}]`, `"{}"`, `0`, `true`} {
		refused(t, DefaultLimits, `{"service_code":8,"content":`+value+`}`, StateBadRequest, "content must be an object")
	}
	refused(t, DefaultLimits, `{"service_code":8}`, StateBadRequest, "content is missing")
	refused(t, DefaultLimits, `{"service_code":8,"content":{"a":}}`, StateBadRequest, "the body is not a JSON object")
}

// A fault is told in the server's words alone.
func TestDecodeQuotesNothing(t *testing.T) {
	const secret = "31415926535897932"
	for _, r := range requests {
		for _, f := range r.fields {
			for _, value := range []string{secret + "00000", secret + ".5", `"` + secret + `"`, `["` + secret + `"]`, `{"` + secret + `":` + secret + `}`, secret + "x", `"` + secret, "-" + secret} {
				_, fault := agree(t, tight, []byte(request(r.service, object(with(r.fields, f.key, value)))))
				if fault != nil && strings.Contains(fault.Msg, secret[:4]) {
					t.Errorf("%s of %s: %q", f.key, r.name, fault.Msg)
				}
			}
		}
	}
}

func TestDecodeKeepsNothingOfTheRequestBefore(t *testing.T) {
	d := NewDecoder(DefaultLimits)
	var req Request
	behind := func(before, body string, want plain, msg string) {
		t.Helper()
		d.Decode([]byte(before), &req)
		switch fault := d.Decode([]byte(body), &req); {
		case fault == nil && msg == "":
			if got := inPlain(t, &req); !reflect.DeepEqual(got, want) {
				t.Errorf("%s\nbehind %s\nreads as %+v", body, before, got)
			}
		case fault == nil || fault.Msg != msg:
			t.Errorf("%s\nbehind %s\nanswered %v, want %q", body, before, fault, msg)
		}
	}
	// An escape anywhere makes a body take two passes.
	twice := func(body string) string { return strings.Replace(body, "{", `{"\u0078":0,`, 1) }
	for _, first := range requests {
		before := request(first.service, object(first.fields))
		for _, before := range []string{before, twice(before), `{"service_code":5,"content":{"token":7,"chat":9,"msg":5}}`} {
			for _, r := range requests {
				full := request(r.service, object(r.fields))
				behind(before, full, r.want, "")
				behind(before, twice(full), r.want, "")
				for _, f := range r.fields {
					if !slices.Contains(r.optional, f.key) {
						less := request(r.service, object(without(r.fields, f.key)))
						behind(before, less, plain{}, f.key+" is missing")
						behind(before, twice(less), plain{}, f.key+" is missing")
					}
				}
			}
			for _, way := range []func(string) string{strings.Clone, twice} {
				behind(before, way(`{"service_code":100}`), plain{}, "content is missing")
				behind(before, way(`{"content":{}}`), plain{}, "service_code is missing")
				behind(before, way(`{"service_code":7,"content":{"token":7,"name":"n","is_group":true,"member":[{}]}}`), plain{}, "member.id is missing")
			}
		}
	}
}

func TestWarm(t *testing.T) {
	if err := Warm(); err != nil {
		t.Fatal(err)
	}
	if engine := Engine(); engine != "sonic" {
		t.Errorf("the JSON engine is %s", engine)
	}
}
