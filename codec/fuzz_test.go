package codec

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/uuid"
)

// tight are limits that a fuzzer reaches, and within which a test can see.
var tight = Limits{Frame: 1 << 20, Text: 12, Name: 8, Ref: 4, Nesting: 5}

// plain is a Request in plain strings, its own copy of everything.
type plain struct {
	Service         Service
	Token           int64
	ID              uuid.UUID
	Chat            int64
	Index           int64
	Count           int
	After           int64
	Text, Ref, Name string
	IsGroup         bool
	Members         []uuid.UUID
}

// FuzzDecode holds the Decoder against encoding/json: it never takes what
// encoding/json refuses, and agrees on the state and on every value. It holds its
// ways against each other too: plain, in one pass and in two.
func FuzzDecode(f *testing.F) {
	for _, body := range seeds {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		agree(t, DefaultLimits, body)
		agree(t, tight, body)
	})
}

// agree decodes body and returns what came out, after checking all that must
// hold of any body: that the reference decoder says the same, that every way of
// reading the body says the same, that every Text is canonical, and that a fault
// quotes nothing.
func agree(t testing.TB, limits Limits, body []byte) (plain, *Fault) {
	t.Helper()
	given := bytes.Clone(body)
	d := NewDecoder(limits)
	var req Request
	fault := d.Decode(body, &req)
	if !bytes.Equal(body, given) {
		t.Fatalf("Decode changed the body\n%q to\n%q", given, body)
	}
	checkAnyForm(t, limits, body, &req, fault)

	want, state := reference(limits, body)
	if fault != nil {
		if fault.State != state {
			t.Errorf("%q\nanswered %d %q, the reference says %d", body, fault.State, fault.Msg, state)
		}
		if !faultMsg.MatchString(fault.Msg) {
			t.Errorf("%q\nanswered %q, which is none of the messages known", body, fault.Msg)
		}
		return plain{}, fault
	}
	if state != StateOK {
		t.Fatalf("%q\nis accepted, the reference says %d", body, state)
	}
	got := inPlain(t, &req)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nreads as %+v\n    want %+v", body, got, want)
	}
	return got, nil
}

// checkAnyForm compares req and fault, which came of body, maybe the plain way, with
// what comes of it the other way, in the passes that it chooses and in two.
func checkAnyForm(t testing.TB, limits Limits, body []byte, req *Request, fault *Fault) {
	t.Helper()
	var other Request
	otherFault := NewDecoder(limits).decodeAny(body, &other)
	if !reflect.DeepEqual(fault, otherFault) || !reflect.DeepEqual(*req, other) {
		t.Errorf("%q\nreads as %+v, %v\nthe other way %+v, %v", body, *req, fault, other, otherFault)
	}
	checkTwoPasses(t, limits, body, &other, otherFault)
}

// checkTwoPasses compares req and fault, which came of body, with what comes of
// reading body in two passes.
func checkTwoPasses(t testing.TB, limits Limits, body []byte, req *Request, fault *Fault) {
	t.Helper()
	if !utf8.Valid(body) || !wellEscaped(body) || tooDeep(body, limits.Nesting) {
		return // neither pass is reached
	}
	d := NewDecoder(limits)
	var twice Request
	d.openTwice(body)
	if d.fault.State == 0 {
		d.read(&twice)
	}
	switch {
	case fault == nil && d.fault.State != 0:
		t.Errorf("%q\nis accepted, in two passes it is %v", body, d.fault)
	case fault != nil && *fault != d.fault:
		t.Errorf("%q\nanswered %v, in two passes %v", body, *fault, d.fault)
	case fault == nil && !reflect.DeepEqual(*req, twice):
		t.Errorf("%q\nreads as %+v\nin two passes %+v", body, *req, twice)
	}
}

// inPlain unescapes req's texts with encoding/json, and checks on the way that
// each is the canonical form of its string.
func inPlain(t testing.TB, req *Request) plain {
	t.Helper()
	unescape := func(text Text) (s string) {
		if err := stdjson.Unmarshal([]byte(`"`+string(text)+`"`), &s); err != nil {
			t.Errorf("text %q is not the inside of a JSON string: %v", text, err)
		}
		if canonical := escape(s); string(text) != canonical {
			t.Errorf("text %q is not canonical: %q", text, canonical)
		}
		return s
	}
	return plain{
		Service: req.Service, Token: req.Token, ID: req.ID, Chat: req.Chat,
		Index: req.Index, Count: req.Count, After: req.After,
		Text: unescape(req.Text), Ref: unescape(req.Ref), Name: unescape(req.Name),
		IsGroup: req.IsGroup, Members: slices.Clone(req.Members),
	}
}

// escape is the canonical form written down a second time: what JSON demands
// is escaped, in its short form where there is one that sonic knows.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ':
			const hex = "0123456789abcdef"
			b.WriteString(`\u00`)
			b.WriteByte(hex[r>>4])
			b.WriteByte(hex[r&15])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// faultMsg matches every message that a Fault may have: words of the server's
// own, the name of a field and a limit, so that nothing of a request shows.
var faultMsg = regexp.MustCompile(`^(` + strings.Join([]string{
	`the body is not valid UTF-8`,
	`the body holds a malformed escape`,
	`the body nests too deep`,
	`the body is not a JSON object`,
	`content is missing`,
	`content must be an object`,
	`no such service_code`,
	`msg is empty`,
	`member must be an array of objects`,
	`(service_code|token|id|chat|index|msg|name|is_group|member|member\.id) is missing`,
	`(service_code|token|chat|index|count|after) must be an integer of 64 bits`,
	`(token|chat|count|after) is out of its range`,
	`is_group must be true or false`,
	`(id|name|msg|ref|member\.id) must be a string`,
	`(id|member\.id) must be a UUID of 36 characters`,
	`(name|msg|ref) is over its limit of \d{1,5} bytes`,
}, `|`) + `)$`)

// reference reads a body as docs/protocol.md says it, by means of encoding/json
// and with no thought for speed.
func reference(limits Limits, body []byte) (plain, State) {
	if !utf8.Valid(body) || !stdjson.Valid(body) || nesting(body) > limits.Nesting {
		return plain{}, StateBadRequest
	}
	r := refReader{limits: limits, state: StateOK}
	envelope, ok := r.object(body)
	if !ok {
		return plain{}, StateBadRequest
	}
	r.fields = envelope
	service := r.integer("service_code", math.MinInt64, math.MaxInt64)
	r.need("content")
	if r.fields, ok = r.object(envelope["content"]); !ok || r.state != StateOK {
		return plain{}, StateBadRequest
	}
	want := r.content(Service(service))
	return want, r.state
}

// nesting is how deep the objects and arrays of a valid body nest.
func nesting(body []byte) (deepest int) {
	depth := 0
	tokens := stdjson.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	for {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) {
			return deepest
		}
		switch token {
		case stdjson.Delim('{'), stdjson.Delim('['):
			depth++
			deepest = max(deepest, depth)
		case stdjson.Delim('}'), stdjson.Delim(']'):
			depth--
		}
		if err != nil {
			return math.MaxInt // deeper than encoding/json itself goes
		}
	}
}

// refReader reads the fields of one object. A fault turns state from 200 to 400
// for good; tooLarge becomes 413 only if no fault does.
type refReader struct {
	limits   Limits
	fields   map[string]stdjson.RawMessage
	state    State
	tooLarge bool
}

func (r *refReader) content(service Service) (want plain) {
	want.Service = service
	switch service {
	case Login:
		want.ID, want.Token = r.id("id"), r.integer("token", 1, MaxToken)
	case Register:
		want.ID = r.id("id")
		if r.has("token") {
			want.Token = r.integer("token", 1, MaxToken)
		}
		if r.has("name") {
			want.Name = r.text("name", r.limits.Name)
		}
	case GetChat, Receive:
		want.Token, want.Chat = r.integer("token", 1, MaxToken), r.integer("chat", 1, MaxChat)
		want.Index = r.integer("index", math.MinInt64, math.MaxInt64)
		want.Count = r.count(50)
	case FindChats:
		want.Token, want.Count = r.integer("token", 1, MaxToken), r.count(1000)
		if r.has("after") {
			want.After = r.integer("after", 0, MaxChat)
		}
	case Send:
		want.Token, want.Chat = r.integer("token", 1, MaxToken), r.integer("chat", 1, MaxChat)
		want.Text = r.message("msg")
		if r.has("ref") {
			want.Ref = r.text("ref", r.limits.Ref)
		}
	case Join:
		want.Token, want.Chat = r.integer("token", 1, MaxToken), r.integer("chat", 1, MaxChat)
	case Create:
		want.Token, want.Name = r.integer("token", 1, MaxToken), r.text("name", r.limits.Name)
		want.IsGroup = r.boolean("is_group")
		want.Members = r.members("member")
	case Ping:
	default:
		r.state = StateNotFound
	}
	if r.state == StateOK && r.tooLarge {
		r.state = StateTooLarge
	}
	return want
}

func (r *refReader) bad() { r.state = StateBadRequest }

func (r *refReader) has(key string) bool {
	value, ok := r.fields[key]
	return ok && string(value) != "null"
}

// need faults a required field that is missing or null.
func (r *refReader) need(key string) stdjson.RawMessage {
	if !r.has(key) {
		r.bad()
		return nil
	}
	return r.fields[key]
}

func (r *refReader) object(value []byte) (fields map[string]stdjson.RawMessage, ok bool) {
	err := stdjson.Unmarshal(value, &fields)
	return fields, err == nil && fields != nil // nil: it is null
}

// into reads a field that must not be null into v.
func (r *refReader) into(key string, v any) {
	if value := r.need(key); value != nil && stdjson.Unmarshal(value, v) != nil {
		r.bad()
	}
}

func (r *refReader) integer(key string, low, high int64) (n int64) {
	r.into(key, &n)
	if n < low || n > high {
		r.bad()
	}
	return n
}

func (r *refReader) count(otherwise int) int {
	if !r.has("count") {
		return otherwise
	}
	return int(min(r.integer("count", 1, math.MaxInt64), 1000))
}

func (r *refReader) boolean(key string) (b bool) {
	r.into(key, &b)
	return b
}

func (r *refReader) text(key string, limit int) (s string) {
	r.into(key, &s)
	if len(s) > limit {
		r.bad()
	}
	return s
}

func (r *refReader) message(key string) (s string) {
	r.into(key, &s)
	if s == "" {
		r.bad()
	}
	r.tooLarge = len(s) > r.limits.Text
	return s
}

var refUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (r *refReader) id(key string) (id uuid.UUID) {
	var s string
	r.into(key, &s)
	if !refUUID.MatchString(s) {
		r.bad()
		return id
	}
	return uuid.MustParse(s)
}

func (r *refReader) members(key string) (ids []uuid.UUID) {
	var list []stdjson.RawMessage
	r.into(key, &list)
	for _, value := range list {
		fields, ok := r.object(value)
		if !ok {
			r.bad()
			continue
		}
		one := refReader{fields: fields, state: StateOK}
		ids = append(ids, one.id("id"))
		if one.state != StateOK {
			r.bad()
		}
	}
	return ids
}

// seeds: a good request of each service, and the kinds of oddity there are.
var seeds = []string{
	`{"service_code":1,"content":{"id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","token":1145141919810}}`,
	`{"service_code":2,"content":{"id":"6BA7B810-9DAD-11D1-80B4-00C04FD430C8","name":"\u4e2d文","token":null}}`,
	`{"service_code":3,"content":{"token":7,"chat":9,"index":-1,"count":20}}`,
	`{"service_code":4,"content":{"token":7,"after":0,"count":1001}}`,
	`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi \u00e9\ud83d\ude00\"\\\/\b\f\n\r\t","ref":"r1"}}`,
	`{"service_code":6,"content":{"token":9223372036854775807,"chat":9007199254740991}}`,
	`{"service_code":7,"content":{"token":7,"name":"","is_group":true,"member":[{"id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}]}}`,
	`{"service_code":9,"content":{"token":7,"chat":9,"index":-9223372036854775808}}`,
	`{"service_code":100,"content":{}}`,

	`{"content":{"ref":"r","msg":"a\n\"\u0001中","chat":9007199254740991,"token":9223372036854775807},"service_code":5}`,
	"{\"service_code\": 9, \"content\": {\n\"index\": -9223372036854775807 , \"count\": 9, \"chat\": 9, \"token\": 7}} ",
	`{"service_code":5,"content":{"token":7,"chat":9,"msg":"a","msg":"b","index":- 1}}`,

	`{"service_code":6,"content":{"token":1},"content":{"chat":2}}`,
	`{"service_code":6,"content":{"token":1,"token":2,"chat":1,"chat":null}}`,
	`{"service_code":6,"\u0063ontent":{"token":1},"content":{"token":1,"chat":1}}`,
	`{"service_code":6,"content":{"\u0074oken":3,"token":1,"chat":1,"Chat":2,"x":[{"content":1e3}]}}`,
	`{"service_code":7,"content":{"token":7,"name":"n","is_group":false,"member":[{"id":1,"id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},null]}}`,
	`{"service_code":5,"content":{"token":7,"chat":9,"msg":"\ud800\ud800\udc00\udc00\u0000"}}`,
	`{"service_code":5,"content":{"token":7,"chat":9,"msg":"` + "a\x01b" + `"}}`,
	`{"service_code":5,"content":{"token":7,"chat":9,"msg":"` + "a\xffb" + `"}}`,
	`{"service_code":3,"content":{"token":7.0,"chat":9e0,"index":-0,"count":0}}`,
	` {"service_code" : 100 ,` + "\t\r\n" + `"content" : { "a" : [[[[ ]]]] } } `,
	`{"service_code":8,"content":{}}]`,
	`{"service_code":100,"content":[]}`,
	`null`,
	`[]`,
	`{}`,
	``,
}
