package fake_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"throng/bench/check"
	"throng/bench/internal/fake"
	"throng/bench/target"
	"throng/codec"
)

// run is a small load on one chat, as the checker is told of it: sends and reads in
// turn, two sends at once.
type run struct {
	t      testing.TB
	server *fake.Server
	client *client
	chat   int64
	now    int64
	sent   int
	ledger check.Ledger

	refused, cut, garbled int
	pageFaults            []string
}

func load(t testing.TB, faults ...fake.Fault) *run {
	s := fake.Start(t, faults...)
	r := &run{t: t, server: s, client: dial(t, s)}
	r.chat = r.client.group(1)
	for range 6 {
		r.send(2)
		r.read()
	}
	return r
}

// send sends texts at once and waits for the answers.
func (r *run) send(n int) {
	var bodies [][]byte
	for range n {
		r.now++
		r.sent++
		text := fmt.Sprint("text ", r.sent)
		bodies = append(bodies, request(codec.Send, `"token":1,"chat":%d,"msg":%q`, r.chat, text))
		r.ledger.Sends = append(r.ledger.Sends, check.Send{Began: r.now, Hash: target.Hash([]byte(text))})
	}
	r.client.submit(bodies...)
	for i := len(r.ledger.Sends) - n; i < len(r.ledger.Sends); i++ {
		send, answer := &r.ledger.Sends[i], r.answer()
		switch {
		case answer == nil:
		case answer.State == 200:
			send.Outcome, send.Index, send.Ended = check.Acked, answer.Content.Index, r.now
		default:
			send.Outcome, send.Ended = check.Refused, r.now
		}
	}
}

// answer reads a reply, nil where there is none to be understood.
func (r *run) answer() *reply {
	r.now++
	body, err := r.client.next()
	if err != nil {
		r.cut++
		r.client = dial(r.t, r.server)
		return nil
	}
	var a reply
	if json.Unmarshal(body, &a) != nil {
		r.garbled++
		return nil
	}
	if a.State == 429 {
		r.refused++
	}
	return &a
}

// read reads the newest messages.
func (r *run) read() {
	r.now++
	began := r.now
	r.client.submit(request(codec.GetChat, `"token":1,"chat":%d,"index":-1,"count":4`, r.chat))
	a := r.answer()
	if a == nil || a.State != 200 {
		return
	}
	var shown []target.Message
	for _, v := range a.Content.Values {
		shown = append(shown, target.Message{Index: v.Index, Hash: target.Hash([]byte(v.Content))})
	}
	read, fault := check.Page{Index: -1, Count: 4, Dense: true}.Read(shown)
	if fault != "" {
		r.pageFaults = append(r.pageFaults, fault)
		return
	}
	read.Began, read.Ended = began, r.now
	r.ledger.Reads = append(r.ledger.Reads, read)
}

// log reads the chat back.
func (r *run) log(_ int, after int64, visit func(int64, uint64) error) error {
	a := r.client.ask(codec.Receive, `"token":1,"chat":%d,"index":%d,"count":1000`, r.chat, after+1)
	for _, v := range a.Content.Values {
		if err := visit(v.Index, target.Hash([]byte(v.Content))); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) verdict() check.Verdict {
	r.t.Helper()
	c := check.New(check.Options{Chats: 1, Dense: true})
	v, err := c.Check(r.t.Context(), []check.Ledger{r.ledger}, r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

func TestARightServerHasNoFault(t *testing.T) {
	r := load(t)
	v := r.verdict()
	if !v.OK() || v.Acked != 12 || v.Reads != 6 || r.refused+r.cut+r.garbled+len(r.pageFaults)+r.server.Struck() != 0 {
		t.Errorf("%+v, %+v", v, r)
	}
}

// The checker names each fault for what it is.
func TestEachFaultOfTheLogIsFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fake.Fault
		want  []check.Rule
		pages bool // a read has shown it too
	}{
		{"drop", fake.Drop(5), []check.Rule{check.Gap, check.Lost}, true},
		{"duplicate", fake.Duplicate(5), []check.Rule{check.Duplicate}, false},
		{"reorder", fake.Reorder(5), []check.Rule{check.Changed, check.Misplaced}, false},
		{"wrong text", fake.WrongText(5), []check.Rule{check.Phantom, check.WrongText}, false},
		{"reused index", fake.ReuseIndex(5), []check.Rule{check.TwoTexts}, false},
		{"gap", fake.Gap(5), []check.Rule{check.Gap}, true},
		{"phantom", fake.Phantom(5), []check.Rule{check.Phantom}, false},
		{"stale read", fake.StaleReads(3), []check.Rule{check.Stale}, false},
		{"vanish", fake.Vanish(3), []check.Rule{check.Changed, check.Gap, check.Lost, check.Vanished}, true},
		{"swapped replies", fake.SwapReplies(3), []check.Rule{check.Misplaced}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := load(t, c.fault)
			v := r.verdict()
			if got := slices.Sorted(maps.Keys(v.Faults)); !slices.Equal(got, c.want) || r.server.Struck() != 2 {
				t.Errorf("found %q after %d strikes, want %q after 2: %q", got, r.server.Struck(), c.want, v.Examples)
			}
			if (len(r.pageFaults) > 0) != c.pages {
				t.Errorf("pages: %q, faults wanted: %v", r.pageFaults, c.pages)
			}
		})
	}
}

// Refusals, lost connections and garbage are seen by the client; the log is right
// all the same.
func TestEachFaultOfAnAnswerIsSeen(t *testing.T) {
	for _, c := range []struct {
		name                  string
		fault                 fake.Fault
		refused, cut, garbled int
		acked, found          int64
	}{
		{"refuse", fake.Refuse(4), 4, 0, 0, 9, 0},
		{"garbage", fake.Garbage(4), 0, 0, 4, 9, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := load(t, c.fault)
			v := r.verdict()
			if !v.OK() || v.Acked != c.acked || v.Found != c.found || r.refused != c.refused || r.cut != c.cut || r.garbled != c.garbled {
				t.Errorf("refused %d, cut %d, garbled %d; %+v", r.refused, r.cut, r.garbled, v)
			}
		})
	}
}

// A connection that is cut leaves it open whether the send was carried out.
func TestAConnectionIsCutBeforeOrAfterStoring(t *testing.T) {
	for name, c := range map[string]struct {
		fault fake.Fault
		found int64
	}{
		"before": {fake.CutBefore(2), 0},
		"after":  {fake.CutAfter(2), 1},
	} {
		r := &run{t: t, server: fake.Start(t, c.fault)}
		r.client = dial(t, r.server)
		r.chat = r.client.group(1)
		for range 3 {
			r.send(1)
		}
		if v := r.verdict(); !v.OK() || v.Unknown != 1 || v.Found != c.found || r.cut != 1 {
			t.Errorf("%s: cut %d, %+v", name, r.cut, v)
		}
	}
}

func TestEveryAnswerIsDelayed(t *testing.T) {
	const delay = 50 * time.Millisecond
	c := dial(t, fake.Start(t, fake.Delay(delay)))
	for range 3 {
		began := time.Now()
		c.ask(codec.Ping, "")
		if took := time.Since(began); took < delay {
			t.Errorf("answered after %v, want %v at least", took, delay)
		}
	}
}

// A stall holds the answers of every connection back, but no request.
func TestAStallHoldsAllAnswersBackOnce(t *testing.T) {
	const stall = 200 * time.Millisecond
	s := fake.Start(t, fake.Stall(3, stall))
	a, b := dial(t, s), dial(t, s)
	chat := a.group(1)
	a.send(1, chat, "1")
	a.send(1, chat, "2")
	began := time.Now()
	a.submit(request(codec.Send, `"token":1,"chat":%d,"msg":"3"`, chat))
	for s.Struck() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.submit(request(codec.Ping, ""))
	a.receive()
	b.receive()
	if took := time.Since(began); took < stall {
		t.Errorf("answered after %v, want %v at least", took, stall)
	}
	for i := range 5 {
		a.send(1, chat, fmt.Sprint("later ", i))
	}
	if s.Struck() != 1 {
		t.Errorf("stalled %d times", s.Struck())
	}
}
