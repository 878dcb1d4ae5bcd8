package throng

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/bench/target"
	"throng/codec"
)

// answering is a server that begins to read when it is told to, and answers the
// n-th request of a connection with index n. Each body goes to look before.
func answering(t *testing.T, begin <-chan struct{}, look func(body []byte)) *Target {
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
			go func() {
				<-begin
				answerAll(conn, look)
			}()
		}
	}()
	tg := open(t, listener.Addr().String())
	tg.plan, tg.users, tg.chats = target.Plan{Users: 1, Chats: 1, Members: 1}, []user{newUser()}, []chat{newChat(1)}
	return tg
}

func answerAll(conn net.Conn, look func(body []byte)) {
	defer conn.Close()
	for index := int64(1); ; index++ {
		var header [headerBytes]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[:]))
		if _, err := io.ReadFull(conn, body); err != nil {
			return
		}
		look(body)
		if _, err := conn.Write(sent(index)); err != nil {
			return
		}
	}
}

func begun() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func dial(t *testing.T, tg *Target) (target.Conn, *client) {
	t.Helper()
	c := newClient()
	conn, err := tg.Dial(t.Context(), target.Dial{Window: windowSteps, Timeout: hangGuard}, c)
	if err != nil {
		t.Fatal(err)
	}
	return conn, c
}

// large is sends that no socket has room for, each with a text of its own.
func large(n int) (ops []target.Op) {
	for i := range n {
		ops = append(ops, target.Op{Kind: target.Send, Text: codec.Text(strings.Repeat(fmt.Sprintf("%08d", i), 64<<10))})
	}
	return ops
}

// What a server that does not read has no room for is kept, and comes whole and in
// order when it reads.
func TestSubmitDoesNotWaitForTheServer(t *testing.T) {
	const half = 16 // 8 MiB
	ops, begin, at := large(2*half), make(chan struct{}), 0
	var tg *Target
	tg = answering(t, begin, func(body []byte) {
		want := codec.AppendSendRequest(nil, tg.users[0].token, 1, ops[at].Text, nil)[headerBytes:]
		if at++; !bytes.Equal(body, want) {
			t.Errorf("request %d comes with %d bytes, not as it was sent", at, len(body))
		}
	})
	conn, c := dial(t, tg)
	defer conn.Close()
	for _, part := range [][]target.Op{ops[:half], ops[half:]} {
		if err := conn.Submit(part); err != nil {
			t.Fatal(err)
		}
	}
	close(begin)
	for next := int64(1); next <= 2*half; {
		select {
		case replies := <-c.replies:
			for _, r := range replies {
				if r.Index != next {
					t.Fatalf("answer %d has index %d", next, r.Index)
				}
				next++
			}
		case <-time.After(hangGuard):
			t.Fatalf("no answer %d", next)
		}
	}
}

// A connection that owes its server requests ends by Close all the same, and those
// that share its loop go on meanwhile.
func TestOneThatIsNotReadIsInNobodysWay(t *testing.T) {
	tg, silent := answering(t, begun(), func([]byte) {}), answering(t, make(chan struct{}), func([]byte) {})
	reading := tg.addr
	tg.addr = silent.addr
	stuck, c := dial(t, tg)
	tg.addr = reading
	if err := stuck.Submit(large(64)); err != nil {
		t.Fatal(err)
	}
	for range 4 * loopsFor(runtime.GOMAXPROCS(0)) {
		ask(t, tg, large(1)...)
	}
	_ = stuck.Close()
	if err := ending(t, c); err != nil {
		t.Errorf("a connection that was closed is lost by %v", err)
	}
	if err := stuck.Submit(large(1)); err == nil {
		t.Error("a connection that has ended takes requests")
	}
}

// Close may come at any time. The end is told once, and never does a request go to
// another connection, which has got the descriptor meanwhile.
func TestCloseDuringSubmit(t *testing.T) {
	const senders, rounds = 8, 30
	var tg [senders]*Target
	var all sync.WaitGroup
	for i := range senders {
		text := codec.Text(strings.Repeat(fmt.Sprint(i), 100))
		tg[i] = answering(t, begun(), func(body []byte) {
			if !bytes.Contains(body, text) {
				t.Errorf("the server of sender %d gets %.200q", i, body)
			}
		})
		all.Go(func() {
			for range rounds {
				conn, c := dial(t, tg[i])
				var submits sync.WaitGroup
				submits.Go(func() {
					for range windowSteps {
						_ = conn.Submit([]target.Op{{Kind: target.Send, Text: text}})
					}
				})
				time.Sleep(time.Millisecond)
				_ = conn.Close()
				_ = conn.Close()
				if err := ending(t, c); err != nil {
					t.Errorf("a connection that was closed is lost by %v", err)
				}
				submits.Wait()
				select {
				case err := <-c.lost:
					t.Errorf("the end is told twice, then by %v", err)
				default:
				}
			}
		})
	}
	all.Wait()
}

// Many connections share a few loops, which end with them.
func TestLoopsEndWithTheirConnections(t *testing.T) {
	const many = 1000
	tg := answering(t, begun(), func([]byte) {})
	conns, clients := make([]target.Conn, many), make([]*client, many)
	for i := range conns {
		conns[i], clients[i] = dial(t, tg)
	}
	if n := len(tg.loops.running); n != loopsFor(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d connections are served by %d loops", many, n)
	}
	for round := int64(1); round <= 3; round++ {
		for _, conn := range conns {
			if err := conn.Submit([]target.Op{{Kind: target.Send, Text: codec.Text("hello")}}); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range clients {
			select {
			case replies := <-c.replies:
				if len(replies) != 1 || replies[0].Index != round {
					t.Fatalf("connection %d is answered %+v in round %d", i, replies, round)
				}
			case <-time.After(hangGuard):
				t.Fatalf("connection %d is not answered", i)
			}
		}
	}
	for i, conn := range conns {
		_ = conn.Close()
		if err := ending(t, clients[i]); err != nil {
			t.Errorf("connection %d is lost by %v", i, err)
		}
	}
	tg.loops.mu.Lock()
	defer tg.loops.mu.Unlock()
	if len(tg.loops.running) > 0 {
		t.Errorf("%d loops run without connections", len(tg.loops.running))
	}
}
