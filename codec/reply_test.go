package codec

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// bodyOf takes the one frame apart that an appender put behind dst.
func bodyOf(t rapid.TB, frame, dst []byte) string {
	t.Helper()
	behind, found := bytes.CutPrefix(frame, dst)
	if !found {
		t.Fatalf("what was there before is lost: %q", frame)
	}
	c := NewCutter(1 << 30)
	body, rest, err := c.Cut(behind)
	if body == nil || len(rest) > 0 || err != nil {
		t.Fatalf("%q is not one frame: rest %q, %v", behind, rest, err)
	}
	if !stdjson.Valid(body) {
		t.Fatalf("%q is not JSON", body)
	}
	return string(body)
}

// compact drops the spaces that a documented form is laid out with.
func compact(t *testing.T, documented string) string {
	t.Helper()
	var b bytes.Buffer
	if err := stdjson.Compact(&b, []byte(documented)); err != nil {
		t.Fatalf("%s: %v", documented, err)
	}
	return b.String()
}

// page builds a page of the given values with limit bytes of body and reports
// how many it took.
func page(dst []byte, service Service, limit int, messages []Message, chats []Chat) (frame []byte, taken int) {
	p := NewPage(dst, service, limit)
	for i := range messages {
		if !p.Message(&messages[i]) {
			return p.Finish(), taken
		}
		taken++
	}
	for i := range chats {
		if !p.Chat(&chats[i]) {
			return p.Finish(), taken
		}
		taken++
	}
	return p.Finish(), taken
}

// text is a string's Text.
func text(s string) Text { return Text(escape(s)) }

const unlimited = 1 << 30

var (
	someMessages = []Message{
		{Sender: aliceID, Name: text(`小"明`), Text: text("内容1\n"), Index: 114, Time: 1919810},
		{Sender: bobID, Text: text("\x00😀"), Index: 115, Time: 1919811},
	}
	someChats = []Chat{
		{ID: 114514, Name: text(`25岁，是\`), IsGroup: true, Users: []uuid.UUID{bobID, aliceID}, Members: 1001, Last: 9},
		{ID: MaxChat, Users: []uuid.UUID{bobID, aliceID}, Members: 2},
		{ID: 3, Name: text("empty"), IsGroup: true},
	}
)

func TestRepliesAreAsDocumented(t *testing.T) {
	withPage := func(service Service, messages []Message, chats []Chat) func([]byte) []byte {
		return func(dst []byte) []byte {
			frame, _ := page(dst, service, unlimited, messages, chats)
			return frame
		}
	}
	tests := []struct {
		name   string
		append func(dst []byte) []byte
		want   string
	}{
		{"success", AppendSuccess, `{"state_code":200,"content":{"msg":"success"}}`},
		{"sent", func(dst []byte) []byte { return AppendSent(dst, 114) }, `{"state_code":200,"content":{"msg":"success","index":114}}`},
		{"created", func(dst []byte) []byte { return AppendCreated(dst, MaxChat) }, `{"state_code":200,"content":{"msg":"success","chat":9007199254740991}}`},
		{"issued", func(dst []byte) []byte { return AppendIssued(dst, MaxToken) }, `{"state_code":200,"content":{"msg":"success","token":9223372036854775807}}`},
		{"pong", func(dst []byte) []byte { return AppendPong(dst, 1700000000000) }, `{"state_code":200,"content":{"msg":"success","time":1700000000000}}`},
		{"failed", func(dst []byte) []byte { return AppendFailed(dst, "id or token is wrong") }, `{"state_code":200,"content":{"msg":"failed","cause":"id or token is wrong"}}`},
		{"bad request", func(dst []byte) []byte { return AppendError(dst, StateBadRequest, "chat is missing") }, `{"state_code":400,"content":{"msg":"chat is missing"}}`},
		{"unauthorized", func(dst []byte) []byte { return AppendError(dst, StateUnauthorized, "m") }, `{"state_code":401,"content":{"msg":"m"}}`},
		{"not found", func(dst []byte) []byte { return AppendError(dst, StateNotFound, "m") }, `{"state_code":404,"content":{"msg":"m"}}`},
		{"too large", func(dst []byte) []byte { return AppendError(dst, StateTooLarge, "m") }, `{"state_code":413,"content":{"msg":"m"}}`},
		{"busy", func(dst []byte) []byte { return AppendBusy(dst, "mailbox is full", 50) }, `{"state_code":429,"content":{"msg":"mailbox is full","retry_after_ms":50}}`},
		{"internal", func(dst []byte) []byte { return AppendError(dst, StateInternal, "m") }, `{"state_code":500,"content":{"msg":"m"}}`},
		{"draining", func(dst []byte) []byte { return AppendError(dst, StateDraining, "m") }, `{"state_code":503,"content":{"msg":"m"}}`},
		{"disk full", func(dst []byte) []byte { return AppendError(dst, StateDiskFull, "m") }, `{"state_code":507,"content":{"msg":"m"}}`},

		{"get chat, empty", withPage(GetChat, nil, nil), `{"state_code":200,"content":{"values":[]}}`},
		{"receive, empty", withPage(Receive, nil, nil), `{"state_code":200,"content":{"msg":"success","values":[]}}`},
		{"find chats, empty", withPage(FindChats, nil, nil), `{"state_code":200,"content":{"values":[],"more":false}}`},
		{"get chat", withPage(GetChat, someMessages, nil), `{"state_code":200,"content":{"values":[
			{"id":"` + alice + `","content":"内容1\n","index":114,"time":1919810},
			{"id":"` + bob + `","content":"\u0000😀","index":115,"time":1919811}]}}`},
		{"receive", withPage(Receive, someMessages, nil), `{"state_code":200,"content":{"msg":"success","values":[
			{"id":"` + alice + `","name":"小\"明","content":"内容1\n","index":114,"time":1919810},
			{"id":"` + bob + `","name":"` + bob + `","content":"\u0000😀","index":115,"time":1919811}]}}`},
		{"find chats", withPage(FindChats, nil, someChats), `{"state_code":200,"content":{"values":[
			{"id":114514,"name":"25岁，是\\","type":"chat","is_group":true,"usrs":[{"id":"` + bob + `"},{"id":"` + alice + `"}],"last":9,"members":1001},
			{"id":9007199254740991,"name":"","type":"user","is_group":false,"usrs":[{"id":"` + bob + `"},{"id":"` + alice + `"}],"last":0,"members":2},
			{"id":3,"name":"empty","type":"chat","is_group":true,"usrs":[],"last":0,"members":0}],"more":false}}`},
		{"find chats, cut", func(dst []byte) []byte {
			p := NewPage(dst, FindChats, unlimited)
			p.Chat(&someChats[2])
			p.More()
			return p.Finish()
		}, `{"state_code":200,"content":{"values":[{"id":3,"name":"empty","type":"chat","is_group":true,"usrs":[],"last":0,"members":0}],"more":true}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := compact(t, test.want)
			for _, dst := range [][]byte{nil, []byte("a reply before"), make([]byte, 0, 4096)} {
				if body := bodyOf(t, test.append(dst), dst); body != want {
					t.Errorf("appends %s\n   want %s", body, want)
				}
			}
		})
	}
}

// Whatever the values, a page's body is at most its limit and one value more
// would pass it; a first value is there however long it is.
func TestPageIsCutAtItsLimit(t *testing.T) {
	message := rapid.Custom(func(t *rapid.T) Message {
		return Message{
			Sender: aliceID, Name: text(rapid.String().Draw(t, "name")), Text: text(rapid.String().Draw(t, "text")),
			Index: rapid.Int64Min(1).Draw(t, "index"), Time: rapid.Int64Min(0).Draw(t, "time"),
		}
	})
	chat := rapid.Custom(func(t *rapid.T) Chat {
		return Chat{
			ID: rapid.Int64Range(1, MaxChat).Draw(t, "id"), Name: text(rapid.String().Draw(t, "name")), IsGroup: rapid.Bool().Draw(t, "group"),
			Users: make([]uuid.UUID, rapid.IntRange(0, 5).Draw(t, "users")), Last: rapid.Int64Min(0).Draw(t, "last"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		var messages []Message
		var chats []Chat
		service := rapid.SampledFrom([]Service{GetChat, Receive, FindChats}).Draw(t, "service")
		if service == FindChats {
			chats = rapid.SliceOfN(chat, 1, 6).Draw(t, "chats")
		} else {
			messages = rapid.SliceOfN(message, 1, 6).Draw(t, "messages")
		}
		size := func(n int) int { // of a body that holds the first n
			frame, _ := page(nil, service, unlimited, messages[:min(n, len(messages))], chats[:min(n, len(chats))])
			return len(frame) - headerBytes
		}
		count := len(messages) + len(chats)
		n := rapid.IntRange(1, count).Draw(t, "n")
		limit := size(n) + rapid.IntRange(-3, 3).Draw(t, "slack")
		dst := []byte("before")
		frame, taken := page(dst, service, limit, messages, chats)
		body := bodyOf(t, frame, dst)
		if taken < 1 || taken > 1 && size(taken) > limit || taken < count && size(taken+1) <= limit {
			t.Fatalf("takes %d of %d in %d bytes, limit %d; one more has %d", taken, count, size(taken), limit, size(taken+1))
		}
		if len(body) > max(limit, size(1)) {
			t.Fatalf("a body of %d bytes, limit %d", len(body), limit)
		}
		var reply struct {
			Content struct {
				Values []stdjson.RawMessage `json:"values"`
				More   *bool                `json:"more"`
			} `json:"content"`
		}
		if err := stdjson.Unmarshal([]byte(body), &reply); err != nil {
			t.Fatal(err)
		}
		if len(reply.Content.Values) != taken {
			t.Fatalf("shows %d values of the %d taken", len(reply.Content.Values), taken)
		}
		switch more := reply.Content.More; {
		case service != FindChats && more != nil:
			t.Fatalf("a page of messages has a more")
		case service == FindChats && (more == nil || *more != (taken < count)):
			t.Fatalf("more is %v with %d of %d", more, taken, count)
		}
	})
}

func TestPageAtTheVeryByte(t *testing.T) {
	for _, service := range []Service{GetChat, Receive, FindChats} {
		t.Run(fmt.Sprint(service), func(t *testing.T) {
			messages, chats := someMessages, []Chat(nil)
			if service == FindChats {
				messages, chats = nil, someChats[:2]
			}
			full, _ := page(nil, service, unlimited, messages, chats)
			first, _ := page(nil, service, unlimited, messages[:min(1, len(messages))], chats[:min(1, len(chats))])
			size := len(full) - headerBytes
			if frame, taken := page(nil, service, size, messages, chats); taken != 2 || !bytes.Equal(frame, full) {
				t.Errorf("at the limit it takes %d: %q", taken, frame)
			}
			cut := strings.Replace(bodyOf(t, first, nil), `"more":false`, `"more":true`, 1)
			for _, limit := range []int{size - 1, size - 2, len(first) - headerBytes, len(first) - headerBytes - 1, 1, 0} {
				frame, taken := page(nil, service, limit, messages, chats)
				if body := bodyOf(t, frame, nil); taken != 1 || body != cut {
					t.Errorf("with %d bytes it takes %d: %q", limit, taken, body)
				}
			}
		})
	}
}

func TestRepliesWriteUUIDsInLowerCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		if got := string(appendID([]byte("x"), id)); got != "x"+id.String() {
			t.Fatalf("%s is written %s", id, got)
		}
	})
}

// What comes in by a request goes out by a reply, and means the same.
func TestTextsRoundTrip(t *testing.T) {
	d := NewDecoder(DefaultLimits)
	rapid.Check(t, func(t *rapid.T) {
		s := anyString.Filter(func(s string) bool { return s != "" && len(s) <= DefaultLimits.Name }).Draw(t, "s")
		var req Request
		body := request(Send, `{"token":7,"chat":9,"msg":"`+escapeAnyhow(t, s)+`"}`)
		if fault := d.Decode([]byte(body), &req); fault != nil {
			t.Fatalf("%s\nanswered %v", body, *fault)
		}
		type reply struct {
			Content struct {
				Values []struct{ Name, Content string } `json:"values"`
			} `json:"content"`
		}
		var messages, chats reply
		frame, _ := page(nil, Receive, unlimited, []Message{{Name: req.Text, Text: req.Text}}, nil)
		if err := stdjson.Unmarshal([]byte(bodyOf(t, frame, nil)), &messages); err != nil {
			t.Fatal(err)
		}
		if v := messages.Content.Values[0]; v.Name != s || v.Content != s {
			t.Fatalf("%q goes out as %q by %q", s, v.Content, v.Name)
		}
		frame, _ = page(nil, FindChats, unlimited, nil, []Chat{{Name: req.Text}})
		if err := stdjson.Unmarshal([]byte(bodyOf(t, frame, nil)), &chats); err != nil {
			t.Fatal(err)
		}
		if v := chats.Content.Values[0]; v.Name != s {
			t.Fatalf("a chat named %q is shown as %q", s, v.Name)
		}
	})
}
