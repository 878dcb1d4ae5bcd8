package hostile_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"throng/bench/check"
	"throng/bench/torture/campaign"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The population of a crowd.
const (
	sessions = 6 // connections that send and read
	shared   = 3 // chats that all of them use, beside one of each one's own
	prey     = shared + sessions
	chats    = prey + 1 // the last is the attackers'
)

// maxFaults is how many faults are told; a crowd that has more is as broken.
const maxFaults = 20

// epoch is the beginning of the judge's clock.
var epoch = time.Now()

// now is nanoseconds on the judge's clock.
func now() int64 { return int64(time.Since(epoch)) }

// crowd is the honest workload on one server: sessions, their users and chats, and
// the judge. It belongs to the test's goroutine, but for what is said otherwise.
type crowd struct {
	t      *testing.T
	server string // where it listens: what is judged is read there
	addr   string // where sessions connect

	users    []wire.User // of the sessions, in order
	chats    []int64     // shared ones first, then each session's own, then the attackers'
	sessions []*session
	checker  *check.Checker

	patience time.Duration // of a session with a pipeline
	pause    time.Duration // between two pipelines of a session
	room     int64         // sends of one chat, at most; 0: no bound

	stop, abandoned atomic.Bool // the load is to end when all is answered; at once
	admitted        [chats]atomic.Int64
	working         sync.WaitGroup

	mu        sync.Mutex // guards what follows: sessions and attackers write it
	faults    []string
	confessed check.Ledger // what attackers sent to their chat
}

// newCrowd makes the population on a server.
func newCrowd(t *testing.T, server string) *crowd {
	t.Helper()
	w := &crowd{t: t, server: server, addr: server, patience: wire.HangGuard}
	if err := w.populate(); err != nil {
		t.Fatalf("populate: %v", err)
	}
	for i := range sessions {
		w.sessions = append(w.sessions, newSession(w, i))
	}
	w.checker = check.New(check.Options{Chats: chats, Dense: true, Workers: 2})
	t.Cleanup(func() {
		w.abandoned.Store(true)
		w.working.Wait()
	})
	return w
}

// populate registers the sessions' users and creates the chats, of which all are
// members.
func (w *crowd) populate() error {
	c, err := wire.Dial(w.server)
	if err != nil {
		return err
	}
	defer c.Close()
	var registrations [][]byte
	var members []uuid.UUID
	for range sessions {
		u := wire.NewUser()
		w.users, members = append(w.users, u), append(members, u.ID)
		registrations = append(registrations, u.Registration())
	}
	if err := c.Succeed(registrations, func(int, *codec.Answer) {}); err != nil {
		return err
	}
	creates := make([][]byte, chats)
	for i := range creates {
		creates[i] = codec.AppendCreateRequest(nil, w.users[0].Token, text("hostile"), true, members)
	}
	return c.Succeed(creates, func(_ int, a *codec.Answer) { w.chats = append(w.chats, a.Chat) })
}

// work sets all sessions to work.
func (w *crowd) work() {
	w.stop.Store(false)
	for _, s := range w.sessions {
		w.working.Go(s.run)
	}
}

// rest lets the sessions end, with an answer to everything.
func (w *crowd) rest() {
	w.t.Helper()
	w.stop.Store(true)
	ended := make(chan struct{})
	go func() {
		w.working.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(wire.HangGuard):
		w.t.Fatal("the sessions do not get their answers")
	}
}

// stepsOn is how many pipelines of each session make it go on.
const stepsOn = 3

// goesOn waits until each session has had some pipelines answered that were begun
// since now. Any goroutine may call it.
func (w *crowd) goesOn(ctx context.Context) error {
	for i, s := range w.sessions {
		guard := time.Now().Add(wire.HangGuard)
		enough := s.steps.Load() + 1 + stepsOn // one may have begun before
		for s.steps.Load() < enough {
			if time.Now().After(guard) {
				return fmt.Errorf("session %d does not go on", i)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// admit takes room in a chat for one more send.
func (w *crowd) admit(chat uint32) bool {
	return w.room == 0 || w.admitted[chat].Add(1) <= w.room
}

// fault notes what no server may answer.
func (w *crowd) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < maxFaults {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// confess notes what an attacker has sent to the attackers' chat: it is judged
// like everything else.
func (w *crowd) confess(sends []check.Send) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.confessed.Sends = append(w.confessed.Sends, sends...)
}

// judge holds what everybody has seen against the server, and forgets it.
func (w *crowd) judge(how func(*check.Checker, context.Context, []check.Ledger, check.Log) (check.Verdict, error)) check.Verdict {
	w.t.Helper()
	ledgers := []check.Ledger{w.confessed}
	for _, s := range w.sessions {
		ledgers = append(ledgers, s.ledger)
		if len(s.owed) > 0 {
			w.fault("%d sends never got an answer", len(s.owed))
		}
	}
	v, err := how(w.checker, w.t.Context(), ledgers, w.log)
	if err != nil {
		w.t.Fatalf("there is no verdict: %v", err)
	}
	for _, fault := range append(w.faults, v.Examples...) {
		w.t.Error(fault)
	}
	if !v.OK() {
		w.t.Fatalf("%d faults", v.Total())
	}
	w.confessed = check.Ledger{}
	return v
}

// count enters a round's verdict and what the sessions met into a campaign.
func (w *crowd) count(c *campaign.Campaign, v check.Verdict) {
	c.Add("sends", v.Sends)
	c.Add("acknowledged", v.Acked)
	c.Add("reads", v.Reads)
	c.Add("faults", v.Total())
	for _, s := range w.sessions {
		c.Add("connections lost", int64(s.lost))
		c.Add("repeats", int64(s.repeated))
		c.Add("answers of 429", int64(s.refused))
		s.forget()
	}
}

// log reads a chat back, as check.Log has it.
func (w *crowd) log(chat int, after int64, visit func(int64, uint64) error) error {
	return wire.ReadBack(w.server, w.users[0], w.chats[chat], after, visit)
}
