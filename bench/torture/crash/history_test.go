package crash_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"throng/bench/torture/campaign"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The shape of a small history: what porcupine can judge in no time.
const (
	historyChats   = 3
	historyClients = 4
	historyLives   = 3  // servers, all but the last of which are killed
	clientSteps    = 10 // of a client in each life, at most
	historyRead    = 4  // messages of a read
)

// step is the input of one operation on a chat: an append where text is given, else
// a read of the newest messages.
type step struct {
	chat int
	text string // codeBytes long
}

// outcome is its output.
type outcome struct {
	unknown bool   // an append that has no answer: done or not
	index   int64  // of an append
	count   int    // of a read, as asked
	shown   string // texts, oldest first
}

// codeBytes is the length of each text: a chat is the texts one behind the other.
const codeBytes = 8

// chatModel is a chat as docs/protocol.md has it: an append returns the next index,
// a read of the last k shows the last k. An append without an answer ends when all
// is over, so it may be placed anywhere, or at the end, where nobody looks.
var chatModel = porcupine.Model{
	Partition: byChat,
	Init:      func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		log, in, out := state.(string), input.(step), output.(outcome)
		if in.text == "" {
			return strings.HasSuffix(log, out.shown) && len(out.shown) == min(len(log), out.count*codeBytes), log
		}
		log += in.text
		return out.unknown || out.index == int64(len(log)/codeBytes), log
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
}

func byChat(history []porcupine.Operation) [][]porcupine.Operation {
	parts := make([][]porcupine.Operation, historyChats)
	for _, op := range history {
		chat := op.Input.(step).chat
		parts[chat] = append(parts[chat], op)
	}
	return parts
}

// history is what the clients of some fresh chats have done and seen.
type history struct {
	w     *world
	chats []int64
	texts int // made so far

	mu  sync.Mutex
	ops []porcupine.Operation
}

// Single chats are linearizable, through kills as well: what clients that work
// side by side have sent and read is what one client, one after the other, could have.
func TestSmallHistoriesOfAChatAreLinearizable(t *testing.T) {
	c := campaign.Start(t, "histories", campaign.Short(2))
	var w *world
	for c.Next() {
		if w == nil {
			w = newWorld(t, c.Rand())
		}
		h := &history{w: w, chats: w.freshChats(historyChats)}
		h.live(c)
		c.Add("operations", int64(len(h.ops)))
		if verdict := porcupine.CheckOperationsTimeout(chatModel, h.ops, wire.HangGuard); verdict != porcupine.Ok {
			t.Errorf("%s: one client could not have seen this history, or it was not judged in time:\n%s", verdict, h)
		}
		w = w.next(c)
	}
	w.last()
}

// live runs the clients through the lives of several servers, and reads every chat
// in the end.
func (h *history) live(c *campaign.Campaign) {
	h.w.t.Helper()
	for life := range historyLives {
		wait := h.run(c.Rand())
		if life < historyLives-1 {
			time.Sleep(time.Duration(c.Rand().IntN(40_000)) * time.Microsecond)
			h.w.kill()
			c.Add("kills", 1)
		}
		wait()
		if life < historyLives-1 {
			h.w.start()
		}
	}
	last := h.w.dial()
	defer last.Close()
	for chat := range h.chats {
		if err := h.read(last, 0, chat, codec.MaxCount); err != nil {
			h.w.t.Errorf("the last read: %v", err)
		}
	}
}

// run sets the clients to work on the server that runs now.
func (h *history) run(rng *rand.Rand) (wait func()) {
	addr := h.w.server.Addr()
	var all sync.WaitGroup
	for client := range historyClients {
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		all.Go(func() { h.work(addr, client, own) })
	}
	return all.Wait
}

// work is one client: one request at a time, until its connection ends.
func (h *history) work(addr string, client int, rng *rand.Rand) {
	c, err := wire.Dial(addr)
	if err != nil {
		return // the server has ended already
	}
	defer c.Close()
	for range clientSteps {
		chat := rng.IntN(historyChats)
		if rng.IntN(3) == 0 {
			err = h.read(c, client, chat, 1+rng.IntN(historyRead))
		} else {
			err = h.append(c, client, chat)
		}
		if err != nil {
			return
		}
	}
}

func (h *history) append(c *wire.Conn, client, chat int) error {
	h.mu.Lock()
	h.texts++
	text := fmt.Sprintf("%0*d", codeBytes, h.texts)
	h.mu.Unlock()
	began := now()
	a, err := c.Call(codec.AppendSendRequest(nil, h.w.users[client].Token, h.chats[chat], codec.Text(text), nil))
	switch {
	case err != nil:
		h.enter(client, began, math.MaxInt64, step{chat, text}, outcome{unknown: true})
	case wire.Done(a):
		h.enter(client, began, now(), step{chat, text}, outcome{index: a.Index})
	default:
		h.w.t.Errorf("an append: %s", wire.Describe(a))
	}
	return err
}

func (h *history) read(c *wire.Conn, client, chat, count int) error {
	began := now()
	a, err := c.Call(codec.AppendReadRequest(nil, codec.GetChat, h.w.users[client].Token, h.chats[chat], -1, count))
	if err != nil {
		return err
	}
	shown, err := a.Messages(nil)
	if err != nil {
		return fmt.Errorf("%w (%s)", err, wire.Describe(a))
	}
	var texts strings.Builder
	for i := range shown {
		texts.Write(shown[len(shown)-1-i].Text)
	}
	h.enter(client, began, now(), step{chat: chat}, outcome{count: count, shown: texts.String()})
	return nil
}

func (h *history) enter(client int, began, ended int64, in step, out outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Call: began, Return: ended, Input: in, Output: out})
}

// String lists the operations, for a failure.
func (h *history) String() string {
	var b strings.Builder
	for _, op := range h.ops {
		fmt.Fprintf(&b, "client %d %d-%d: %+v → %+v\n", op.ClientId, op.Call, op.Return, op.Input, op.Output)
	}
	return b.String()
}

// The model must be able to say no.
func TestTheModelOfAChatRefusesWhatNoChatDoes(t *testing.T) {
	said := func(began, ended int64, text string, out outcome) porcupine.Operation {
		return porcupine.Operation{Call: began, Return: ended, Input: step{0, text}, Output: out}
	}
	const a, b = "00000001", "00000002"
	first := said(1, 2, a, outcome{index: 1})
	for _, c := range []struct {
		what string
		ops  []porcupine.Operation
		want bool
	}{
		{"two appends and a read", []porcupine.Operation{first, said(3, 4, b, outcome{index: 2}), said(5, 6, "", outcome{count: 4, shown: a + b})}, true},
		{"an append that is read without an answer", []porcupine.Operation{said(1, math.MaxInt64, a, outcome{unknown: true}), said(5, 6, "", outcome{count: 4, shown: a})}, true},
		{"an append without an answer that nobody sees", []porcupine.Operation{said(1, math.MaxInt64, a, outcome{unknown: true}), said(5, 6, "", outcome{count: 4})}, true},
		{"an index that is given twice", []porcupine.Operation{first, said(3, 4, b, outcome{index: 1})}, false},
		{"a gap", []porcupine.Operation{first, said(3, 4, b, outcome{index: 3})}, false},
		{"a lost message", []porcupine.Operation{first, said(3, 4, "", outcome{count: 4})}, false},
		{"a message that vanishes", []porcupine.Operation{
			said(1, math.MaxInt64, a, outcome{unknown: true}),
			said(3, 4, "", outcome{count: 4, shown: a}), said(5, 6, "", outcome{count: 4}),
		}, false},
		{"another text", []porcupine.Operation{first, said(3, 4, "", outcome{count: 4, shown: b})}, false},
	} {
		if got := porcupine.CheckOperations(chatModel, c.ops); got != c.want {
			t.Errorf("%s: linearizable %t, want %t", c.what, got, c.want)
		}
	}
}
