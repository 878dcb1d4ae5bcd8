package codec

import (
	stdjson "encoding/json"
	"strings"
	"testing"
)

// What a client does for each request and each reply, beside what encoding/json
// needs for the replies.

func BenchmarkRequest(b *testing.B) {
	text := Text(strings.Repeat("x", 64))
	for _, r := range []struct {
		name   string
		append func(dst []byte) []byte
	}{
		{"send-64B", func(dst []byte) []byte { return AppendSendRequest(dst, MaxToken, MaxChat, text, nil) }},
		{"read", func(dst []byte) []byte { return AppendReadRequest(dst, GetChat, MaxToken, MaxChat, -1, 20) }},
		{"login", func(dst []byte) []byte { return AppendLoginRequest(dst, aliceID, MaxToken) }},
	} {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = r.append(dst[:0])
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	if err := WarmAnswers(); err != nil {
		b.Fatal(err)
	}
	page := func(service Service, n int, text string) []byte {
		p := NewPage(nil, service, unlimited)
		for i := range n {
			p.Message(&Message{Sender: aliceID, Name: Text("小明"), Text: Text(text), Index: int64(12345 + i), Time: 1.7e12})
		}
		return p.Finish()
	}
	ascii, chinese := strings.Repeat("letters ", 8), strings.Repeat("中", 21)
	for _, r := range []struct {
		name  string
		frame []byte
	}{
		{"sent", AppendSent(nil, 1234567)},
		{"busy", AppendBusy(nil, "the mailbox is full", 50)},
		{"get-chat-20-64B", page(GetChat, 20, ascii)},
		{"get-chat-20-64B-lines", page(GetChat, 20, ascii[:30]+`\n`+ascii[32:])},
		{"get-chat-20-63B-Chinese", page(GetChat, 20, chinese)},
		{"receive-20-64B", page(Receive, 20, ascii)},
		{"get-chat-20-64B-any-form", append(page(GetChat, 20, ascii), ' ')},
	} {
		body := r.frame[headerBytes:]
		b.Run(r.name, func(b *testing.B) {
			b.Run("throng", func(b *testing.B) { benchmarkAnswer(b, body) })
			b.Run("encoding-json", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					var got struct {
						State   State `json:"state_code"`
						Content struct {
							stdOutcome
							Values []stdMessage `json:"values"`
						} `json:"content"`
					}
					if err := stdjson.Unmarshal(body, &got); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func benchmarkAnswer(b *testing.B, body []byte) {
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	var a Answer
	var messages []Shown
	for b.Loop() {
		err := a.Read(body)
		if err == nil && a.Paged {
			messages, err = a.Messages(messages[:0])
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if n := len(messages); n > 0 {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/message")
	}
}
