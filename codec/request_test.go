package codec

import (
	"math"
	"reflect"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestRequestsAreAsDocumented(t *testing.T) {
	tests := []struct {
		name   string
		append func(dst []byte) []byte
		want   string
	}{
		{
			"login", func(dst []byte) []byte { return AppendLoginRequest(dst, aliceID, MaxToken) },
			`{"service_code":1,"content":{"id":"` + alice + `","token":9223372036854775807}}`,
		},
		{
			"register", func(dst []byte) []byte { return AppendRegisterRequest(dst, aliceID, 7, text(`小"明`)) },
			`{"service_code":2,"content":{"id":"` + alice + `","token":7,"name":"小\"明"}}`,
		},
		{
			"register, for a token", func(dst []byte) []byte { return AppendRegisterRequest(dst, aliceID, 0, nil) },
			`{"service_code":2,"content":{"id":"` + alice + `"}}`,
		},
		{
			"get chat", func(dst []byte) []byte { return AppendReadRequest(dst, GetChat, 7, MaxChat, -1, 20) },
			`{"service_code":3,"content":{"token":7,"chat":9007199254740991,"index":-1,"count":20}}`,
		},
		{
			"find chats", func(dst []byte) []byte { return AppendFindRequest(dst, 7, 9, 1000) },
			`{"service_code":4,"content":{"token":7,"after":9,"count":1000}}`,
		},
		{
			"send", func(dst []byte) []byte { return AppendSendRequest(dst, 7, 9, text("a\nb"), nil) },
			`{"service_code":5,"content":{"token":7,"chat":9,"msg":"a\nb"}}`,
		},
		{
			"send, safe to repeat", func(dst []byte) []byte { return AppendSendRequest(dst, 7, 9, text("hi"), text("r1")) },
			`{"service_code":5,"content":{"token":7,"chat":9,"msg":"hi","ref":"r1"}}`,
		},
		{
			"join", func(dst []byte) []byte { return AppendJoinRequest(dst, 7, 9) },
			`{"service_code":6,"content":{"token":7,"chat":9}}`,
		},
		{
			"create, alone", func(dst []byte) []byte { return AppendCreateRequest(dst, 7, text("25岁"), true, nil) },
			`{"service_code":7,"content":{"token":7,"name":"25岁","is_group":true,"member":[]}}`,
		},
		{
			"create", func(dst []byte) []byte { return AppendCreateRequest(dst, 7, nil, false, []uuid.UUID{aliceID, bobID}) },
			`{"service_code":7,"content":{"token":7,"name":"","is_group":false,"member":[{"id":"` + alice + `"},{"id":"` + bob + `"}]}}`,
		},
		{
			"receive", func(dst []byte) []byte { return AppendReadRequest(dst, Receive, 7, 9, 114, 1000) },
			`{"service_code":9,"content":{"token":7,"chat":9,"index":114,"count":1000}}`,
		},
		{"ping", AppendPingRequest, `{"service_code":100,"content":{}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, dst := range [][]byte{nil, []byte("a request before"), make([]byte, 0, 4096)} {
				if body := bodyOf(t, test.append(dst), dst); body != test.want {
					t.Errorf("appends %s\n   want %s", body, test.want)
				}
			}
		})
	}
}

// Whatever is asked within the ranges, the Decoder reads what was meant.
func TestDecoderReadsWhatIsAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyRequest(t)
		body := bodyOf(t, appendAny(nil, &want), nil)
		d := NewDecoder(Limits{Frame: 1 << 20, Text: 1 << 20, Name: 1 << 20, Ref: 1 << 20, Nesting: NestingCeiling})
		var req Request
		if fault := d.Decode([]byte(body), &req); fault != nil {
			t.Fatalf("%s\nis answered %v", body, *fault)
		}
		got := plain{
			req.Service, req.Token, req.ID, req.Chat, req.Index, req.Count, req.After,
			string(req.Text), string(req.Ref), string(req.Name), req.IsGroup, req.Members,
		}
		want.Text, want.Ref, want.Name = escape(want.Text), escape(want.Ref), escape(want.Name)
		if len(got.Members)+len(want.Members) == 0 {
			got.Members = want.Members // nil or empty, either means none
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\nreads as %+v\n    want %+v", body, got, want)
		}
	})
}

// anyRequest draws what a client may ask; texts are unescaped.
func anyRequest(t *rapid.T) (p plain) {
	services := []Service{Login, Register, GetChat, FindChats, Send, Join, Create, Receive, Ping}
	p.Service = rapid.SampledFrom(services).Draw(t, "service")
	token, chat := rapid.Int64Range(1, MaxToken), rapid.Int64Range(1, MaxChat)
	id := rapid.Custom(func(t *rapid.T) (id uuid.UUID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		return id
	})
	if p.Service != Ping {
		p.Token = token.Draw(t, "token")
	}
	switch p.Service {
	case Login:
		p.ID = id.Draw(t, "id")
	case Register:
		p.ID, p.Name = id.Draw(t, "id"), anyString.Draw(t, "name")
		p.Token *= rapid.Int64Range(0, 1).Draw(t, "own token")
	case GetChat, Receive:
		p.Chat, p.Index, p.Count = chat.Draw(t, "chat"), rapid.Int64().Draw(t, "index"), rapid.IntRange(1, MaxCount).Draw(t, "count")
	case FindChats:
		p.After, p.Count = rapid.Int64Range(0, MaxChat).Draw(t, "after"), rapid.IntRange(1, MaxCount).Draw(t, "count")
	case Send:
		p.Chat, p.Text, p.Ref = chat.Draw(t, "chat"), "a"+anyString.Draw(t, "text"), anyString.Draw(t, "ref")
	case Join:
		p.Chat = chat.Draw(t, "chat")
	case Create:
		p.Name, p.IsGroup = anyString.Draw(t, "name"), rapid.Bool().Draw(t, "group")
		p.Members = rapid.SliceOfN(id, 0, 5).Draw(t, "members")
	}
	return p
}

func appendAny(dst []byte, p *plain) []byte {
	switch p.Service {
	case Login:
		return AppendLoginRequest(dst, p.ID, p.Token)
	case Register:
		return AppendRegisterRequest(dst, p.ID, p.Token, text(p.Name))
	case GetChat, Receive:
		return AppendReadRequest(dst, p.Service, p.Token, p.Chat, p.Index, p.Count)
	case FindChats:
		return AppendFindRequest(dst, p.Token, p.After, p.Count)
	case Send:
		return AppendSendRequest(dst, p.Token, p.Chat, text(p.Text), text(p.Ref))
	case Join:
		return AppendJoinRequest(dst, p.Token, p.Chat)
	case Create:
		return AppendCreateRequest(dst, p.Token, text(p.Name), p.IsGroup, p.Members)
	default:
		return AppendPingRequest(dst)
	}
}

func TestNewTextIsCanonicalAndRefusesWhatIsNotUTF8(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anyString.Draw(t, "s")
		if got, err := NewText(s); err != nil || string(got) != escape(s) {
			t.Fatalf("NewText(%q) = %q, %v", s, got, err)
		}
		for _, bad := range []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "中"[:2]} {
			if got, err := NewText(s + bad); err == nil {
				t.Fatalf("NewText(%q) = %q", s+bad, got)
			}
		}
	})
}

func TestNumbersAreWrittenAsStrconvWritesThem(t *testing.T) {
	same := func(t rapid.TB, n int64) {
		digits, want := DigitsOf(n), "n="+strconv.FormatInt(n, 10)
		for _, got := range [][]byte{appendNumber([]byte("n="), n), digits.append([]byte("n="))} {
			if string(got) != want {
				t.Fatalf("%s is written %s", want, got)
			}
		}
	}
	same(t, 0)
	for n := int64(1); n <= MaxToken/10; n *= 10 { // every number of digits, and its borders
		for _, near := range []int64{n - 1, n, n + 1, 5*n + 7, -n} {
			same(t, near)
		}
	}
	for _, n := range []int64{math.MaxInt64, math.MinInt64, 99_999_999, 9_999_999_999_999_999} {
		same(t, n)
	}
	for pair := range int64(10_000) { // every group of four, in each of the lanes
		same(t, pair)
		same(t, 1e8+pair)
		same(t, 1e8+pair*1e4)
	}
	rapid.Check(t, func(t *rapid.T) { same(t, rapid.Int64().Draw(t, "n")) })
}
