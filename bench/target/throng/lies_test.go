package throng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"throng/bench/target"
	"throng/codec"
)

// liar is a server that writes what a test tells it to, whatever it is asked: a
// piece for each request. With no piece left, it closes the connection.
func liar(t *testing.T, pieces ...[]byte) *Target {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			go lie(conn, pieces)
		}
	}()
	tg := open(t, listener.Addr().String())
	tg.plan, tg.users, tg.chats = target.Plan{Users: 1, Chats: 1, Members: 1}, []user{newUser()}, []chat{newChat(1)}
	return tg
}

func lie(conn net.Conn, pieces [][]byte) {
	defer conn.Close()
	defer hangUp(conn)
	for _, piece := range pieces {
		var header [headerBytes]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(header[:]))); err != nil {
			return
		}
		if _, err := conn.Write(piece); err != nil {
			return
		}
	}
}

// hangUp closes as a server does that has read everything: a reset would take
// answers with it.
func hangUp(conn net.Conn) {
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

func sent(index int64) []byte { return codec.AppendSent(nil, index) }

// page is a Receive's reply that shows messages of the given indexes.
func page(indexes ...int64) []byte {
	p := codec.NewPage(nil, codec.Receive, 1<<20)
	for _, index := range indexes {
		p.Message(&codec.Message{Text: codec.Text(fmt.Sprint("text ", index)), Index: index})
	}
	return p.Finish()
}

// An answer that cannot be one ends the connection, with the reason; the answers
// before it count, and what was asked behind it is lost.
func TestAnswersThatCannotBeEndTheConnection(t *testing.T) {
	send, read, ping := target.Op{Kind: target.Send}, target.Op{Kind: target.Receive, Index: 1, Count: 9}, target.Op{Kind: target.Ping}
	frame := func(body string) []byte { return codec.AppendFrame(nil, []byte(body)) }
	for _, test := range []struct {
		name    string
		ops     []target.Op
		pieces  [][]byte
		replies int
		why     string
	}{
		{"closed at once", []target.Op{send}, nil, 0, "closed"},
		{"closed behind an answer", []target.Op{send, send}, [][]byte{sent(1)}, 1, "closed"},
		{"closed within an answer", []target.Op{send, send}, [][]byte{sent(1), sent(2)[:30]}, 1, "closed"},
		{"not JSON", []target.Op{send, send}, [][]byte{sent(1), frame("no")}, 1, "answer to a send: malformed reply"},
		{"an empty frame", []target.Op{send, send}, [][]byte{sent(1), {0, 0, 0, 0}}, 1, "no Throng"},
		{"a frame of 4 GiB", []target.Op{send, send}, [][]byte{sent(1), {255, 255, 255, 255}}, 1, "no Throng"},
		{"two answers to one request", []target.Op{send}, [][]byte{append(sent(1), sent(2)...), {}}, 1, "nothing that was asked"},
		{"a send without an index", []target.Op{send}, [][]byte{codec.AppendSuccess(nil), {}}, 0, "answer to a send: no index"},
		{"a read without values", []target.Op{ping, read}, [][]byte{codec.AppendPong(nil, 1), codec.AppendSuccess(nil), {}}, 1, "answer to a receive: no values"},
		{"a bad message within a page", []target.Op{read}, [][]byte{frame(`{"state_code":200,"content":{"msg":"success","values":[{"id":7}]}}`), {}}, 0, "answer to a receive: malformed reply"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient()
			conn, err := liar(t, test.pieces...).Dial(t.Context(), target.Dial{Window: len(test.ops), Pages: true}, c)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.Submit(test.ops) // the connection may have ended already
			err = ending(t, c)
			close(c.replies)
			replies := 0
			for batch := range c.replies {
				replies += len(batch)
			}
			if replies != test.replies || err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("after %d answers lost by %v; want %d, %q", replies, err, test.replies, test.why)
			}
			if err := conn.Submit(test.ops); err == nil {
				t.Error("a connection that has ended takes requests")
			}
		})
	}
}

// An answer that came before shows what it shows, and another one, however like it, not
// that.
func TestAnswersThatComeAgainAreReadAsTheyAre(t *testing.T) {
	pages := [][]int64{{1, 2}, {1, 2}, {1, 3}, {1, 2}, {}, {}, {2, 1}, {1, 3}}
	read := target.Op{Kind: target.Receive, Index: 1, Count: 9}
	var pieces [][]byte
	var ops []target.Op
	for _, indexes := range pages {
		pieces, ops = append(pieces, page(indexes...)), append(ops, read)
	}
	for i, reply := range ask(t, liar(t, pieces...), ops...) {
		var shown []int64
		for _, m := range reply.Page {
			shown = append(shown, m.Index)
			if m.Hash != target.Hash(fmt.Append(nil, "text ", m.Index)) {
				t.Errorf("answer %d: message %d has another text", i, m.Index)
			}
		}
		if !slices.Equal(shown, pages[i]) || reply.Status != target.OK {
			t.Errorf("answer %d shows %v, not %v", i, shown, pages[i])
		}
	}
}

func ending(t *testing.T, c *client) error {
	t.Helper()
	select {
	case err := <-c.lost:
		return err
	case <-time.After(hangGuard):
		t.Fatal("the connection does not end")
		return nil
	}
}

// Log shows what the server shows, and comes to an end whatever that is.
func TestLogShowsAnomaliesAndEnds(t *testing.T) {
	busy := codec.AppendBusy(nil, "busy", 1)
	for _, test := range []struct {
		name   string
		pieces [][]byte
		want   []int64
	}{
		{"a hole", [][]byte{page(1, 2), page(5, 6), page()}, []int64{1, 2, 5, 6}},
		{"a hole at the start", [][]byte{page(3), page()}, []int64{3}},
		{"the same page again", [][]byte{page(1, 2), page(1, 2)}, []int64{1, 2, 1, 2}},
		{"a page from before", [][]byte{page(1, 2, 3), page(2, 3), page()}, []int64{1, 2, 3, 2, 3}},
		{"disorder that goes on", [][]byte{page(2, 1), page(4, 3), page()}, []int64{2, 1, 4, 3}},
		{"busy between pages", [][]byte{busy, page(1), busy, busy, page(2), page()}, []int64{1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []int64
			err := liar(t, test.pieces...).Log(t.Context(), 0, 0, func(m target.Message) error {
				if want := target.Hash([]byte(fmt.Sprint("text ", m.Index))); m.Hash != want {
					t.Errorf("message %d has hash %x, want %x", m.Index, m.Hash, want)
				}
				got = append(got, m.Index)
				return nil
			})
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("shows %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestLogEndsWithAnErrorWhereTheLogIsNotWhole(t *testing.T) {
	look := errors.New("seen enough")
	for _, test := range []struct {
		name   string
		pieces [][]byte
		visit  error
		why    string
	}{
		{"the connection ends", [][]byte{page(1)}, nil, "closed"},
		{"a refusal", [][]byte{page(1), codec.AppendError(nil, codec.StateNotFound, "no such chat")}, nil, "after index 1: answered 404"},
		{"no page", [][]byte{sent(1)}, nil, "no values"},
		{"who looks has seen enough", [][]byte{page(1), page()}, look, "seen enough"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := liar(t, test.pieces...).Log(t.Context(), 0, 0, func(target.Message) error { return test.visit })
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("ends with %v, want %q", err, test.why)
			}
		})
	}
}

func TestPrepareSaysWhatFailed(t *testing.T) {
	for _, test := range []struct {
		name   string
		pieces [][]byte
		why    string
	}{
		{"id in use", [][]byte{codec.AppendFailed(nil, "the id or the token is in use")}, "register user 0: answered failed: the id or the token is in use"},
		{"a full disk", [][]byte{codec.AppendError(nil, codec.StateDiskFull, "full")}, "register user 0: answered 507"},
		{"the end", nil, "register user 0: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := liar(t, test.pieces...).Prepare(t.Context(), target.Plan{Users: 1, Chats: 1, Members: 1}, nil)
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("ends with %v, want %q", err, test.why)
			}
		})
	}
}
