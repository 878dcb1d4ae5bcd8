package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/bytedance/sonic"
)

// A reply is read in one of two ways, which agree wherever both take it. The
// plain way (plain.go) knows the very bytes that reply.go writes, and costs next
// to nothing. The other, here, takes all that docs/protocol.md allows a server to
// write: any order of keys, white space, fields that nobody knows.

// Answer is one reply as its client reads it. Only what the reply says is set.
// Msg and Cause alias the body.
type Answer struct {
	State      State
	Failed     bool  // State is 200, but the service's rule says no: see Cause
	Paged      bool  // it has the values of a read: see Messages
	Msg        Text  // of a State other than 200; for people
	Cause      Text  // of Failed; for people
	Index      int64 // Send: of the message
	Chat       int64 // Create: the chat's id
	Token      int64 // Register: the one that the server issued
	Time       int64 // Ping: the server's, Unix milliseconds
	RetryAfter int64 // StateBusy: milliseconds

	body   []byte
	values raw  // of a page; where plain, from behind its bracket to the end of the body
	plain  bool // values have not been looked into
}

// Shown is one message of a page. Its texts alias the reply's body, but for those
// that came in another form than the canonical.
type Shown struct {
	Sender Text // the sender's id: 36 characters, not looked into
	Name   Text // the sender's; Receive only
	Text   Text
	Index  int64
	Time   int64 // Unix milliseconds
}

// What makes a reply malformed.
var (
	errNotUTF8   = errors.New("malformed reply: not valid UTF-8")
	errNotJSON   = errors.New("malformed reply: not a JSON object of the protocol")
	errNoValues  = errors.New("malformed reply: no values where a read wants them")
	errNoOutcome = errors.New("malformed reply: neither success nor failed")
)

func errField(key string) error { return fmt.Errorf("malformed reply: bad or missing %s", key) }

// answer is an envelope; outcome holds the fields of every service's content,
// and a page's values those of shown. See raw for why none is decoded.
type (
	answer struct {
		State   raw `json:"state_code"`
		Content raw `json:"content"`
	}
	outcome struct {
		Msg        raw `json:"msg"`
		Cause      raw `json:"cause"`
		Index      raw `json:"index"`
		Chat       raw `json:"chat"`
		Token      raw `json:"token"`
		Time       raw `json:"time"`
		RetryAfter raw `json:"retry_after_ms"`
		Values     raw `json:"values"`
	}
	shown struct {
		Sender raw `json:"id"`
		Name   raw `json:"name"`
		Text   raw `json:"content"`
		Index  raw `json:"index"`
		Time   raw `json:"time"`
	}
)

// WarmAnswers does for a client what [Warm] does for a server: call it once,
// before the first reply is read and the first Text made.
func WarmAnswers() error {
	for _, t := range []reflect.Type{
		reflect.TypeFor[answer](), reflect.TypeFor[outcome](), reflect.TypeFor[[]shown](), reflect.TypeFor[string](),
	} {
		if err := sonic.Pretouch(t); err != nil {
			return fmt.Errorf("compile the JSON decoder of %v: %w", t, err)
		}
	}
	return nil
}

// Read reads one frame's body, which must not change for as long as the Answer is
// used. An error means that the body is no reply of the protocol; the Answer is
// then of no use. The values of a page are not looked into before Messages.
func (a *Answer) Read(body []byte) error {
	if a.readPlain(body) {
		return nil
	}
	return a.readAny(body)
}

// Messages appends the messages of a GetChat's or a Receive's page to dst, in the
// order shown, and returns it. On an error dst is returned as it was.
func (a *Answer) Messages(dst []Shown) ([]Shown, error) {
	if a.plain {
		if all, ok := appendPlain(dst, a.values); ok {
			return all, nil
		}
		if err := a.readAny(a.body); err != nil {
			return dst, err
		}
	}
	return a.appendAny(dst)
}

// readAny reads a reply in any form. What sonic would let pass is ruled out
// first, as in [Decoder].
func (a *Answer) readAny(body []byte) error {
	*a = Answer{body: body}
	var env answer
	var c outcome
	switch {
	case !utf8.Valid(body):
		return errNotUTF8
	case bytes.IndexByte(body, '\\') >= 0 && !wellEscaped(body), tooDeep(body, NestingCeiling), !unmarshal(body, &env),
		absent(env.Content), env.Content[0] != '{', !unmarshal(env.Content, &c):
		return errNotJSON
	}
	state, err := integerOf("state_code", env.State)
	if a.State = State(state); err != nil || absent(env.State) {
		return errField("state_code")
	}
	return a.take(&c)
}

// take takes the fields of the content, whose State has been read.
func (a *Answer) take(c *outcome) error {
	for _, f := range []struct {
		key  string
		from raw
		to   *int64
	}{
		{"index", c.Index, &a.Index},
		{"chat", c.Chat, &a.Chat},
		{"token", c.Token, &a.Token},
		{"time", c.Time, &a.Time},
		{"retry_after_ms", c.RetryAfter, &a.RetryAfter},
	} {
		var err error
		if *f.to, err = integerOf(f.key, f.from); err != nil {
			return err
		}
	}
	var err error
	if a.Msg, err = textOf("msg", c.Msg); err != nil {
		return err
	}
	if a.State != StateOK {
		return nil
	}
	return a.takeOutcome(c)
}

// takeOutcome tells a success from a failure: a read may have values and no msg.
func (a *Answer) takeOutcome(c *outcome) (err error) {
	msg := string(a.Msg)
	a.Msg, a.Paged = nil, !absent(c.Values)
	switch {
	case msg == "failed":
		a.Failed, a.Paged = true, false
		a.Cause, err = textOf("cause", c.Cause)
	case msg != "success" && (!absent(c.Msg) || !a.Paged):
		err = errNoOutcome
	case a.Paged && c.Values[0] != '[':
		err = errField("values")
	}
	a.values = c.Values
	return err
}

// appendAny appends the messages of values in any form.
func (a *Answer) appendAny(dst []Shown) ([]Shown, error) {
	if !a.Paged {
		return dst, errNoValues
	}
	var values []shown
	if !unmarshal(a.values, &values) {
		return dst, errField("values")
	}
	all := dst
	for i := range values {
		m, err := values[i].read()
		if err != nil {
			return dst, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (v *shown) read() (m Shown, err error) {
	var faults [5]error
	m.Sender, faults[0] = textOf("id", v.Sender)
	m.Name, faults[1] = textOf("name", v.Name)
	m.Text, faults[2] = textOf("content", v.Text)
	m.Index, faults[3] = integerOf("index", v.Index)
	m.Time, faults[4] = integerOf("time", v.Time)
	for _, err := range faults {
		if err != nil {
			return m, err
		}
	}
	switch {
	case len(m.Sender) != uuidBytes:
		return m, errField("id")
	case absent(v.Text):
		return m, errField("content")
	case absent(v.Index):
		return m, errField("index")
	}
	return m, nil
}

// integerOf reads a number of a reply: 0 and up, and 0 where it is absent.
func integerOf(key string, v raw) (int64, error) {
	if absent(v) {
		return 0, nil
	}
	n, ok := parseInteger(v)
	if !ok || n < 0 {
		return 0, errField(key)
	}
	return n, nil
}

// textOf reads a string of a reply: nil where it is absent.
func textOf(key string, v raw) (Text, error) {
	switch {
	case absent(v):
		return nil, nil
	case v[0] != '"':
		return nil, errField(key)
	case bytes.IndexByte(v, '\\') < 0:
		return Text(v[1 : len(v)-1]), nil
	}
	text, _, err := canonical(v)
	if err != nil {
		return nil, errField(key)
	}
	return text, nil
}
