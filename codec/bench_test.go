package codec

import (
	"bytes"
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Each benchmark does its work as throng does it, and as encoding/json does it with
// plain structs, which is less strict than the protocol. Decode does it a third time:
// as throng decodes what is not in plain form.

// stdRequest is a request as encoding/json reads it; a nil is absent.
type stdRequest struct {
	Service *int64 `json:"service_code"`
	Content *struct {
		Token   *int64     `json:"token"`
		ID      *uuid.UUID `json:"id"`
		Chat    *int64     `json:"chat"`
		Index   *int64     `json:"index"`
		Count   *int64     `json:"count"`
		After   *int64     `json:"after"`
		Msg     *string    `json:"msg"`
		Ref     *string    `json:"ref"`
		Name    *string    `json:"name"`
		IsGroup *bool      `json:"is_group"`
		Member  []struct {
			ID *uuid.UUID `json:"id"`
		} `json:"member"`
	} `json:"content"`
}

func BenchmarkDecode(b *testing.B) {
	if err := Warm(); err != nil {
		b.Fatal(err)
	}
	decode := func(name, body string) {
		b.Run(name, func(b *testing.B) {
			b.Run("throng", func(b *testing.B) { benchmarkDecode(b, body, (*Decoder).Decode) })
			b.Run("throng-any-form", func(b *testing.B) { benchmarkDecode(b, body, (*Decoder).decodeAny) })
			b.Run("encoding-json", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				data := []byte(body)
				for b.Loop() {
					var req stdRequest
					if err := stdjson.Unmarshal(data, &req); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
	for _, r := range requests {
		decode(strings.ReplaceAll(r.name, " ", "-"), request(r.service, object(r.fields)))
	}
	decode("send-64B", bodyOf(b, AppendSendRequest(nil, MaxToken, MaxChat, Text(strings.Repeat("x", 64)), nil), nil))
	decode("get-20", bodyOf(b, AppendReadRequest(nil, GetChat, MaxToken, MaxChat, -1, 20), nil))
	for _, text := range []struct{ name, quoted string }{
		{"100-letters", strings.Repeat("letters and", 10)[:100]},
		{"1KiB-Chinese", strings.Repeat("中", 1024/3)},
		{"1KiB-Chinese-escaped", strings.Repeat(`\u4e2d`, 1024/3)},
		{"64KiB", strings.Repeat("x", 64<<10)},
	} {
		decode("send-"+text.name, request(Send, `{"token":1145141919810,"chat":1919810,"msg":"`+text.quoted+`"}`))
	}
}

func benchmarkDecode(b *testing.B, body string, decode func(*Decoder, []byte, *Request) *Fault) {
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	d := NewDecoder(DefaultLimits)
	data := []byte(body)
	var req Request
	for b.Loop() {
		if fault := decode(d, data, &req); fault != nil {
			b.Fatal(*fault)
		}
	}
}

// What encoding/json writes for each reply.
type (
	stdReply struct {
		State   State `json:"state_code"`
		Content any   `json:"content"`
	}
	stdOutcome struct {
		Msg        string `json:"msg"`
		Cause      string `json:"cause,omitempty"`
		Index      int64  `json:"index,omitempty"`
		Chat       int64  `json:"chat,omitempty"`
		Token      int64  `json:"token,omitempty"`
		Time       int64  `json:"time,omitempty"`
		RetryAfter int64  `json:"retry_after_ms,omitempty"`
	}
	stdMessages struct {
		Msg    string       `json:"msg,omitempty"`
		Values []stdMessage `json:"values"`
	}
	stdMessage struct {
		ID      uuid.UUID `json:"id"`
		Name    string    `json:"name,omitempty"`
		Content string    `json:"content"`
		Index   int64     `json:"index"`
		Time    int64     `json:"time"`
	}
	stdChats struct {
		Values []stdChat `json:"values"`
		More   bool      `json:"more"`
	}
	stdChat struct {
		ID      int64     `json:"id"`
		Name    string    `json:"name"`
		Type    string    `json:"type"`
		IsGroup bool      `json:"is_group"`
		Users   []stdUser `json:"usrs"`
		Last    int64     `json:"last"`
		Members int64     `json:"members"`
	}
	stdUser struct {
		ID uuid.UUID `json:"id"`
	}
)

func BenchmarkAppend(b *testing.B) {
	reply := func(name string, throng func(dst []byte) []byte, content func() stdReply) {
		want := bodyOf(b, throng(nil), nil)
		if got, err := stdjson.Marshal(content()); err != nil || !bytes.Equal(got, []byte(want)) {
			b.Fatalf("%s: encoding/json writes\n%s, throng\n%s", name, got, want)
		}
		b.Run(name, func(b *testing.B) {
			b.Run("throng", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(want)))
				var dst []byte
				for b.Loop() {
					dst = throng(dst[:0])
				}
			})
			b.Run("encoding-json", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(want)))
				var dst []byte
				for b.Loop() {
					body, err := stdjson.Marshal(content())
					if err != nil {
						b.Fatal(err)
					}
					dst = AppendFrame(dst[:0], body)
				}
			})
		})
	}
	outcome := func(name string, throng func(dst []byte) []byte, state State, content stdOutcome) {
		reply(name, throng, func() stdReply { return stdReply{state, content} })
	}
	outcome("success", AppendSuccess, StateOK, stdOutcome{Msg: "success"})
	outcome("sent", func(dst []byte) []byte { return AppendSent(dst, 114) }, StateOK, stdOutcome{Msg: "success", Index: 114})
	outcome("created", func(dst []byte) []byte { return AppendCreated(dst, MaxChat) }, StateOK, stdOutcome{Msg: "success", Chat: MaxChat})
	outcome("issued", func(dst []byte) []byte { return AppendIssued(dst, MaxToken) }, StateOK, stdOutcome{Msg: "success", Token: MaxToken})
	outcome("pong", func(dst []byte) []byte { return AppendPong(dst, 1.7e12) }, StateOK, stdOutcome{Msg: "success", Time: 1.7e12})
	outcome("failed", func(dst []byte) []byte { return AppendFailed(dst, "no") }, StateOK, stdOutcome{Msg: "failed", Cause: "no"})
	outcome("error", func(dst []byte) []byte { return AppendError(dst, StateNotFound, "no such chat") }, StateNotFound, stdOutcome{Msg: "no such chat"})
	outcome("busy", func(dst []byte) []byte { return AppendBusy(dst, "busy", 50) }, StateBusy, stdOutcome{Msg: "busy", RetryAfter: 50})

	const n, text = 50, `a message of some length, 你好 \"quoted\"`
	messages, chats := make([]Message, n), make([]Chat, n)
	for i := range messages {
		messages[i] = Message{Sender: aliceID, Name: Text("小明"), Text: Text(text), Index: int64(i + 1), Time: 1.7e12}
		chats[i] = Chat{ID: MaxChat - int64(i), Name: Text("25岁"), IsGroup: true, Users: []uuid.UUID{aliceID, bobID}, Members: 2, Last: 9}
	}
	read := func(service Service) func(dst []byte) []byte {
		return func(dst []byte) []byte {
			p := NewPage(dst, service, 2<<20)
			if service == FindChats {
				for i := range chats {
					p.Chat(&chats[i])
				}
				return p.Finish()
			}
			for i := range messages {
				p.Message(&messages[i])
			}
			return p.Finish()
		}
	}
	var unescaped string
	if err := stdjson.Unmarshal([]byte(`"`+text+`"`), &unescaped); err != nil {
		b.Fatal(err)
	}
	stdRead := func(service Service) func() stdReply {
		msg, name := "", ""
		if service == Receive {
			msg, name = "success", "小明"
		}
		return func() stdReply {
			values := make([]stdMessage, n)
			for i := range messages {
				m := &messages[i]
				values[i] = stdMessage{m.Sender, name, unescaped, m.Index, m.Time}
			}
			return stdReply{StateOK, stdMessages{msg, values}}
		}
	}
	reply("get-chat-50", read(GetChat), stdRead(GetChat))
	reply("receive-50", read(Receive), stdRead(Receive))
	reply("find-chats-50", read(FindChats), func() stdReply {
		values := make([]stdChat, n)
		for i := range chats {
			c := &chats[i]
			values[i] = stdChat{c.ID, string(c.Name), "chat", c.IsGroup, []stdUser{{c.Users[0]}, {c.Users[1]}}, c.Last, c.Members}
		}
		return stdReply{StateOK, stdChats{values, false}}
	})
}

func BenchmarkCut(b *testing.B) {
	body := []byte(request(Send, object(requests[4].fields)))
	var stream []byte
	for range 64 {
		stream = AppendFrame(stream, body)
	}
	for _, split := range []struct {
		name string
		size int
	}{{"64-in-one-read", len(stream)}, {"split-reads", len(body)}} {
		b.Run(split.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(stream)))
			c := NewCutter(DefaultLimits.Frame)
			for b.Loop() {
				frames := 0
				for at := 0; at < len(stream); at += split.size {
					data := stream[at:min(at+split.size, len(stream))]
					for {
						frame, rest, err := c.Cut(data)
						if err != nil {
							b.Fatal(err)
						}
						if frame == nil {
							break
						}
						frames++
						data = rest
					}
				}
				if frames != 64 {
					b.Fatal(frames)
				}
			}
		})
	}
}
