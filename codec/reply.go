package codec

import (
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/google/uuid"
)

// A reply is a frame that holds {"state_code":S,"content":{...}}. Each appender
// below appends one whole frame to dst and returns it, like append. The texts
// msg and cause are the server's own and need no escaping.

const (
	uuidBytes = 36
	success   = `{"state_code":200,"content":{"msg":"success"`
)

// AppendSuccess appends the reply of a request that has nothing else to tell.
func AppendSuccess(dst []byte) []byte { return appendSuccess(dst, "", 0) }

// AppendSent appends a Send's reply: the message's index.
func AppendSent(dst []byte, index int64) []byte { return appendSuccess(dst, `,"index":`, index) }

// AppendCreated appends a Create's reply: the chat's id.
func AppendCreated(dst []byte, chat int64) []byte { return appendSuccess(dst, `,"chat":`, chat) }

// AppendIssued appends the reply of a Register that asked for a token.
func AppendIssued(dst []byte, token int64) []byte { return appendSuccess(dst, `,"token":`, token) }

// AppendPong appends a Ping's reply: the server's time in Unix milliseconds.
func AppendPong(dst []byte, ms int64) []byte { return appendSuccess(dst, `,"time":`, ms) }

func appendSuccess(dst []byte, key string, n int64) []byte {
	start := len(dst)
	dst = append(beginFrame(dst), success...)
	if key != "" {
		dst = strconv.AppendInt(append(dst, key...), n, 10)
	}
	return endFrame(append(dst, "}}"...), start)
}

// AppendFailed appends the reply of a well-formed request to which the
// service's rule says no.
func AppendFailed(dst []byte, cause string) []byte {
	start := len(dst)
	dst = append(beginFrame(dst), `{"state_code":200,"content":{"msg":"failed","cause":"`...)
	dst = append(append(dst, cause...), `"}}`...)
	return endFrame(dst, start)
}

// AppendError appends the reply of any state but 200.
func AppendError(dst []byte, state State, msg string) []byte {
	start := len(dst)
	return endFrame(append(appendError(dst, state, msg), "}}"...), start)
}

// AppendBusy appends a 429: nothing was done, and the client may try again
// after retryAfter milliseconds.
func AppendBusy(dst []byte, msg string, retryAfter int64) []byte {
	start := len(dst)
	dst = append(appendError(dst, StateBusy, msg), `,"retry_after_ms":`...)
	return endFrame(append(strconv.AppendInt(dst, retryAfter, 10), "}}"...), start)
}

func appendError(dst []byte, state State, msg string) []byte {
	dst = append(beginFrame(dst), `{"state_code":`...)
	dst = strconv.AppendInt(dst, int64(state), 10)
	dst = append(dst, `,"content":{"msg":"`...)
	return append(append(dst, msg...), '"')
}

// Message is one message as a reader sees it.
type Message struct {
	Sender uuid.UUID
	Name   Text // the sender's; shown by Receive only. Empty: shown as its id
	Text   Text
	Index  int64
	Time   int64 // Unix milliseconds
}

// Chat is one chat as its member sees it.
type Chat struct {
	ID      int64
	Name    Text
	IsGroup bool
	Users   []uuid.UUID // by rising id; a large group's first ones
	Members int64       // how many there are in all
	Last    int64       // index of the newest message; 0: none
}

// Page is the reply of a read while it is being built: a frame whose values
// grow until they are all there or the next would pass the body's limit.
type Page struct {
	buf     []byte
	start   int // of the frame in buf
	end     int // of the values, by the body's limit
	service Service
	values  int
	cut     bool
}

// What follows a page's values, at most.
const (
	messagesTail = `]}}`
	chatsTail    = `],"more":false}}`
)

// NewPage begins the reply of a GetChat, Receive or FindChats behind dst, with
// a body of at most limit bytes (but never less than one value).
func NewPage(dst []byte, service Service, limit int) Page {
	tail := len(messagesTail)
	if service == FindChats {
		tail = len(chatsTail)
	}
	p := Page{start: len(dst), end: len(dst) + headerBytes + limit - tail, service: service}
	p.buf = append(beginFrame(dst), `{"state_code":200,"content":{`...)
	if service == Receive {
		p.buf = append(p.buf, `"msg":"success",`...)
	}
	p.buf = append(p.buf, `"values":[`...)
	return p
}

// Message adds m; false means that it did not fit and the page is full.
func (p *Page) Message(m *Message) bool {
	before := p.next()
	p.buf = append(p.buf, `{"id":"`...)
	p.buf = appendID(p.buf, m.Sender)
	if p.service == Receive {
		p.buf = append(p.buf, `","name":"`...)
		p.buf = appendName(p.buf, m.Name, m.Sender)
	}
	p.buf = append(p.buf, `","content":"`...)
	p.buf = append(p.buf, m.Text...)
	p.buf = append(p.buf, `","index":`...)
	p.buf = strconv.AppendInt(p.buf, m.Index, 10)
	p.buf = append(p.buf, `,"time":`...)
	p.buf = strconv.AppendInt(p.buf, m.Time, 10)
	p.buf = append(p.buf, '}')
	return p.fits(before)
}

// Chat adds c; false means that it did not fit and the page is full.
func (p *Page) Chat(c *Chat) bool {
	before := p.next()
	p.buf = append(p.buf, `{"id":`...)
	p.buf = strconv.AppendInt(p.buf, c.ID, 10)
	p.buf = append(p.buf, `,"name":"`...)
	p.buf = append(p.buf, c.Name...)
	if c.IsGroup {
		p.buf = append(p.buf, `","type":"chat","is_group":true,"usrs":[`...)
	} else {
		p.buf = append(p.buf, `","type":"user","is_group":false,"usrs":[`...)
	}
	for i, id := range c.Users {
		if i > 0 {
			p.buf = append(p.buf, ',')
		}
		p.buf = append(p.buf, `{"id":"`...)
		p.buf = append(appendID(p.buf, id), `"}`...)
	}
	p.buf = append(p.buf, `],"last":`...)
	p.buf = strconv.AppendInt(p.buf, c.Last, 10)
	p.buf = append(p.buf, `,"members":`...)
	p.buf = strconv.AppendInt(p.buf, c.Members, 10)
	p.buf = append(p.buf, '}')
	return p.fits(before)
}

// More tells the client of a FindChats that there are further chats.
func (p *Page) More() { p.cut = true }

// Finish ends the frame and returns dst with it.
func (p *Page) Finish() []byte {
	p.buf = append(p.buf, ']')
	if p.service == FindChats {
		p.buf = append(p.buf, `,"more":`...)
		p.buf = strconv.AppendBool(p.buf, p.cut)
	}
	return endFrame(append(p.buf, "}}"...), p.start)
}

// next makes room for a value and returns where the buffer stood before it.
func (p *Page) next() int {
	before := len(p.buf)
	if p.values > 0 {
		p.buf = append(p.buf, ',')
	}
	return before
}

// fits keeps the value just added, or takes it back where it passed the limit.
func (p *Page) fits(before int) bool {
	if len(p.buf) > p.end && p.values > 0 {
		p.buf = p.buf[:before]
		p.cut = true
		return false
	}
	p.values++
	return true
}

func appendName(dst []byte, name Text, id uuid.UUID) []byte {
	if len(name) == 0 {
		return appendID(dst, id)
	}
	return append(dst, name...)
}

// hexPairs are the two digits of each byte.
var hexPairs = func() (pairs [256][2]byte) {
	for i := range pairs {
		hex.Encode(pairs[i][:], []byte{byte(i)})
	}
	return pairs
}()

// appendID appends the text of an id, of which a page of messages has many.
func appendID(dst []byte, id uuid.UUID) []byte {
	dst = slices.Grow(dst, uuidBytes)
	text := dst[len(dst) : len(dst)+uuidBytes]
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = hexPairs[b][0], hexPairs[b][1]
		at += 2
	}
	return dst[:len(dst)+uuidBytes]
}
