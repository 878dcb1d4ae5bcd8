package codec

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/bytedance/sonic"
	"github.com/google/uuid"
)

// A request is read in one of two ways, which agree wherever both take it. The plain
// way (plain_request.go) knows the form that nearly all sends and reads have, and costs
// next to nothing. The other, here, takes all that docs/protocol.md allows, and tells
// all faults.

// Request is one decoded request. Only the fields of its Service are set; all
// are within their ranges. Text, Name, Ref and Members alias the frame or the
// Decoder: copy them before the next Decode and before the frame is gone.
type Request struct {
	Service Service
	Token   int64     // all but Ping; 0 in a Register that asks for a random one
	ID      uuid.UUID // Login, Register
	Chat    int64     // GetChat, Send, Join, Receive
	Index   int64     // GetChat, Receive
	Count   int       // GetChat, Receive, FindChats: 1 … MaxCount
	After   int64     // FindChats: chat ids above it
	Text    Text      // Send
	Ref     Text      // Send; empty: none
	Name    Text      // Create; Register, empty: none
	IsGroup bool      // Create
	Members []uuid.UUID
}

// Fault is why a request was not decoded: the reply's state and message. The
// message names a field and never quotes the request.
type Fault struct {
	State State
	Msg   string
}

// raw is a JSON value that sonic has checked and not decoded; it aliases the
// frame. Empty: the key is absent. Kept raw, a null, a repeated key (the last
// counts) and a value of the wrong type stay visible, which a typed field hides.
type raw = sonic.NoCopyRawMessage

type envelope struct {
	Service raw `json:"service_code"`
	Content raw `json:"content"`
}

// content holds the fields of every service's content: a request reads the
// ones that are its own and ignores the others, whatever their type.
type content struct {
	Token   raw `json:"token"`
	ID      raw `json:"id"`
	Chat    raw `json:"chat"`
	Index   raw `json:"index"`
	Count   raw `json:"count"`
	After   raw `json:"after"`
	Msg     raw `json:"msg"`
	Ref     raw `json:"ref"`
	Name    raw `json:"name"`
	IsGroup raw `json:"is_group"`
	Member  raw `json:"member"`
}

// flat is an envelope read in one pass.
type flat struct {
	Service raw     `json:"service_code"`
	Content content `json:"content"`
}

type member struct {
	ID raw `json:"id"`
}

// Decoder decodes requests. It belongs to one goroutine.
type Decoder struct {
	limits Limits
	flat   flat
	env    envelope
	ids    []uuid.UUID
	fault  Fault // of the request being decoded; the first one counts
}

// NewDecoder returns a Decoder that holds requests to limits.
func NewDecoder(limits Limits) *Decoder { return &Decoder{limits: limits} }

// Decode reads one frame's body into req. It returns nil, or the fault to
// answer, valid until the next Decode; req is then of no use. Faults come in
// the protocol's order: the envelope, the service_code, the content, and last a
// text over its limit.
func (d *Decoder) Decode(body []byte, req *Request) *Fault {
	*req = Request{}
	if d.readPlain(body, req) {
		return nil
	}
	return d.decodeAny(body, req)
}

// decodeAny is Decode for a body in any form. req may hold what the plain way left.
func (d *Decoder) decodeAny(body []byte, req *Request) *Fault {
	*req = Request{}
	d.fault = Fault{}
	d.open(body)
	if d.fault.State == 0 {
		d.read(req)
	}
	if d.fault.State != 0 {
		return &d.fault
	}
	return nil
}

var contentKey = []byte(`"content"`)

// open parses the envelope into d.flat, once what sonic would let pass is ruled
// out: invalid UTF-8, deep nesting, and malformed escapes.
func (d *Decoder) open(body []byte) {
	escaped := bytes.IndexByte(body, '\\') >= 0
	switch {
	case !utf8.Valid(body):
		d.bad("the body is not valid UTF-8")
	case escaped && !wellEscaped(body):
		d.bad("the body holds a malformed escape")
	case tooDeep(body, d.limits.Nesting):
		d.bad("the body nests too deep")
	case !escaped && d.openOnce(body):
	default:
		d.openTwice(body)
	}
}

// openOnce parses a body without escapes in one pass, as most are, and reports
// whether it may: where "content" stands twice, the second must replace the
// first, not be merged into it. A body that looks odd takes two passes too.
func (d *Decoder) openOnce(body []byte) bool {
	d.flat = flat{}
	c := &d.flat.Content
	return bytes.Count(body, contentKey) == 1 && unmarshal(body, &d.flat) && len(c.Token)+len(c.ID) > 0
}

func (d *Decoder) openTwice(body []byte) {
	d.flat, d.env = flat{}, envelope{}
	if !unmarshal(body, &d.env) {
		d.bad("the body is not a JSON object")
		return
	}
	d.flat.Service = d.env.Service
	switch c := d.env.Content; {
	case absent(c):
		d.missing("content")
	case c[0] != '{' || !unmarshal(c, &d.flat.Content):
		d.bad("content must be an object")
	}
}

// read takes the fields of the request's service out of d.flat.
func (d *Decoder) read(req *Request) {
	req.Service = Service(d.integer("service_code", d.flat.Service, math.MinInt64, math.MaxInt64))
	if d.fault.State != 0 {
		return
	}
	c := &d.flat.Content
	switch req.Service {
	case Login:
		req.ID, req.Token = d.id("id", c.ID), d.token(c)
	case Register:
		req.ID, req.Name = d.id("id", c.ID), d.optional("name", c.Name, d.limits.Name)
		if !absent(c.Token) {
			req.Token = d.token(c)
		}
	case GetChat, Receive:
		req.Token, req.Chat = d.token(c), d.chat(c)
		req.Index = d.integer("index", c.Index, math.MinInt64, math.MaxInt64)
		req.Count = d.count(c, defaultCount)
	case FindChats:
		req.Token, req.Count = d.token(c), d.count(c, MaxCount)
		if !absent(c.After) {
			req.After = d.integer("after", c.After, 0, MaxChat)
		}
	case Send:
		req.Token, req.Chat = d.token(c), d.chat(c)
		req.Ref = d.optional("ref", c.Ref, d.limits.Ref)
		req.Text = d.message(c)
	case Join:
		req.Token, req.Chat = d.token(c), d.chat(c)
	case Create:
		req.Token = d.token(c)
		req.Name = d.required("name", c.Name, d.limits.Name)
		req.IsGroup = d.boolean("is_group", c.IsGroup)
		req.Members = d.members(c)
	case Ping:
	default:
		d.fail(StateNotFound, "no such service_code")
	}
}

// The readers of single fields. Each returns a value within the field's range,
// or notes the fault; the first fault noted is the one answered.

func (d *Decoder) token(c *content) int64 { return d.integer("token", c.Token, 1, MaxToken) }

func (d *Decoder) chat(c *content) int64 { return d.integer("chat", c.Chat, 1, MaxChat) }

func (d *Decoder) count(c *content, otherwise int) int {
	if absent(c.Count) {
		return otherwise
	}
	return int(min(d.integer("count", c.Count, 1, math.MaxInt64), MaxCount))
}

func (d *Decoder) integer(field string, v raw, low, high int64) int64 {
	if absent(v) {
		d.missing(field)
		return 0
	}
	n, ok := parseInteger(v)
	switch {
	case !ok:
		d.bad(field + " must be an integer of 64 bits")
	case n < low || n > high:
		d.bad(field + " is out of its range")
	}
	return n
}

func (d *Decoder) boolean(field string, v raw) bool {
	switch {
	case absent(v):
		d.missing(field)
	case v[0] != 't' && v[0] != 'f':
		d.bad(field + " must be true or false")
	default:
		return v[0] == 't'
	}
	return false
}

// id takes a UUID in its 36-character form; uuid.Parse alone would take others.
func (d *Decoder) id(field string, v raw) uuid.UUID {
	text, _ := d.text(field, v)
	if d.fault.State != 0 {
		return uuid.Nil
	}
	id, err := uuid.ParseBytes(text)
	if len(text) != uuidBytes || err != nil {
		d.bad(field + " must be a UUID of 36 characters")
	}
	return id
}

func (d *Decoder) required(field string, v raw, limit int) Text {
	text, size := d.text(field, v)
	if size > limit {
		d.bad(field + " is over its limit of " + strconv.Itoa(limit) + " bytes")
	}
	return text
}

func (d *Decoder) optional(field string, v raw, limit int) Text {
	if absent(v) {
		return nil
	}
	return d.required(field, v, limit)
}

// message reads the text of a Send: the last field looked at, since a text over
// its limit is told only where nothing else is wrong.
func (d *Decoder) message(c *content) Text {
	text, size := d.text("msg", c.Msg)
	switch {
	case size > d.limits.Text:
		d.fail(StateTooLarge, "msg is over its limit of "+strconv.Itoa(d.limits.Text)+" bytes")
	case size == 0:
		d.bad("msg is empty")
	}
	return text
}

func (d *Decoder) members(c *content) []uuid.UUID {
	if absent(c.Member) {
		d.missing("member")
		return nil
	}
	var list []member // a fresh one: the parser does not clear elements it reuses
	if c.Member[0] != '[' || !unmarshal(c.Member, &list) {
		d.bad("member must be an array of objects")
		return nil
	}
	d.ids = d.ids[:0]
	for i := range list {
		if d.fault.State != 0 { // a frame of bad members costs no more than one
			return nil
		}
		d.ids = append(d.ids, d.id("member.id", list[i].ID))
	}
	return d.ids
}

// text returns a string's Text and its size in bytes once unescaped.
func (d *Decoder) text(field string, v raw) (Text, int) {
	if absent(v) {
		d.missing(field)
		return nil, 0
	}
	if v[0] != '"' {
		d.bad(field + " must be a string")
		return nil, 0
	}
	if bytes.IndexByte(v, '\\') < 0 {
		text := Text(v[1 : len(v)-1])
		return text, len(text)
	}
	text, size, err := canonical(v)
	if err != nil { // the escapes have been checked; refuse rather than trust
		d.bad(field + " must be a string")
	}
	return text, size
}

func (d *Decoder) missing(field string) { d.bad(field + " is missing") }

func (d *Decoder) bad(msg string) { d.fail(StateBadRequest, msg) }

func (d *Decoder) fail(state State, msg string) {
	if d.fault.State == 0 {
		d.fault = Fault{State: state, Msg: msg}
	}
}

// absent reports whether a field is not there or null.
func absent(v raw) bool { return len(v) == 0 || v[0] == 'n' }

// unmarshal parses data, which must not change while v's raw fields are used.
func unmarshal(data []byte, v any) bool {
	return json.UnmarshalFromString(unsafe.String(unsafe.SliceData(data), len(data)), v) == nil
}

// parseInteger reads a JSON number that is an integer: no fraction, no
// exponent, within an int64.
func parseInteger(v raw) (int64, bool) {
	digits, negative := v, v[0] == '-'
	if negative {
		digits = v[1:]
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' || n > math.MaxUint64/10-1 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true
	case !negative && n < 1<<63:
		return int64(n), true
	}
	return 0, false
}

// wellEscaped reports whether each backslash of body begins an escape of JSON.
// sonic looks only into the strings that it decodes: of those that it skips it
// takes any escape, and a raw control character behind a backslash.
func wellEscaped(body []byte) bool {
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 {
			return true
		}
		n := escapeBytes(body[i:])
		if n == 0 {
			return false
		}
		body = body[i+n:]
	}
}

// escapeBytes is the length of the escape that s begins with; 0: it is none.
func escapeBytes(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		var point [2]byte
		if len(s) < 6 {
			return 0
		}
		if _, err := hex.Decode(point[:], s[2:6]); err != nil {
			return 0
		}
		return 6
	}
	return 0
}

// tooDeep reports whether objects and arrays nest deeper than limit. Most bodies
// have too few brackets for that, and counting them is quick.
func tooDeep(body []byte, limit int) bool {
	if len(body) <= 2*limit || bytes.Count(body, []byte{'['})+bytes.Count(body, []byte{'{'}) <= limit {
		return false
	}
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
