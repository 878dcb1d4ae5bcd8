package disk_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/target"
	"throng/bench/target/throng"
	"throng/bench/torture/campaign"
)

// hangGuard ends a wait that would never end; nothing is measured by it.
const hangGuard = 60 * time.Second

// The population of a world.
const (
	sessions = 4
	chats    = 6 // each session uses all of them
)

// leastMemory makes memtables small, so that tables are written all the time.
const leastMemory = "64MiB"

// world is a server on a volume, and what its clients were told.
type world struct {
	t      *testing.T
	volume *volume
	server *realserver.Server
	target *throng.Target
	judge  *check.Checker

	counts   counts
	sessions []*session
	ledgers  []check.Ledger // of sessions that have ended
}

// newWorld starts a server on a volume and makes the population.
func newWorld(t *testing.T, v *volume, args ...string) *world {
	t.Helper()
	w := &world{t: t, volume: v}
	w.server = realserver.StartIn(t, v.data(), arguments(args)...)
	var err error
	w.target, err = throng.New(w.server.Addr())
	must(t, err)
	t.Cleanup(func() { _ = w.target.Close() })
	must(t, w.target.Prepare(t.Context(), target.Plan{Users: sessions, Chats: chats, Members: sessions}, nil))
	w.judge = check.New(check.Options{Chats: chats, Dense: true, Workers: 2})
	return w
}

func arguments(more []string) []string {
	return append([]string{"--shards", "2", "--memory", leastMemory}, more...)
}

// restart starts a server on what the last one has left.
func (w *world) restart(args ...string) {
	w.t.Helper()
	w.server = realserver.StartIn(w.t, w.volume.data(), arguments(args)...)
	w.target.Move(w.server.Addr())
}

// load sets the sessions to work, until their connections end or rest is called.
func (w *world) load() {
	w.t.Helper()
	for i := range sessions {
		s := &session{user: i, counts: &w.counts, rng: rand.New(rand.NewPCG(rand.Uint64(), 0)), ended: make(chan struct{})}
		conn, err := w.target.Dial(w.t.Context(), target.Dial{Window: window, Pages: true, Timeout: hangGuard}, s)
		must(w.t, err)
		s.conn = conn
		w.sessions = append(w.sessions, s)
	}
	for _, s := range w.sessions { // all are connected: the first may be the server's end
		s.begin()
	}
}

// collect waits for the sessions' end and takes their ledgers.
func (w *world) collect() {
	w.t.Helper()
	for _, s := range w.sessions {
		w.await(s.ended, "a session's end")
		for _, fault := range s.faults {
			w.t.Errorf("session of user %d: %s", s.user, fault)
		}
		w.ledgers = append(w.ledgers, s.ledger)
	}
	w.sessions = nil
}

// rest lets the sessions end when all that they have asked is answered: every send
// must be.
func (w *world) rest() {
	w.t.Helper()
	for _, s := range w.sessions {
		s.stop.Store(true)
	}
	var all []*session
	all = append(all, w.sessions...)
	w.collect()
	for _, s := range all {
		if len(s.asked) > 0 {
			w.t.Errorf("%d operations of user %d have no answer, from a server that goes on", len(s.asked), s.user)
		}
	}
}

// check holds what everybody has seen against the server that now runs.
func (w *world) check() check.Verdict {
	w.t.Helper()
	v, err := w.judge.Final(w.t.Context(), w.ledgers, func(chat int, after int64, visit func(int64, uint64) error) error {
		return w.target.Log(w.t.Context(), chat, after, func(m target.Message) error { return visit(m.Index, m.Hash) })
	})
	must(w.t, err)
	w.ledgers = nil
	for _, example := range v.Examples {
		w.t.Error(example)
	}
	if !v.OK() {
		w.t.Fatalf("%d faults", v.Total())
	}
	return v
}

// enter enters a verdict.
func enter(c *campaign.Campaign, v check.Verdict) {
	c.Add("acknowledged", v.Acked)
	c.Add("left without an answer", v.Unknown)
	c.Add("stored without an answer", v.Found)
	c.Add("lost", v.Faults[check.Lost]+v.Faults[check.WrongText]+v.Faults[check.Vanished])
	c.Add("indexes reused", v.Faults[check.TwoTexts])
	c.Add("gaps", v.Faults[check.Gap])
}

// awaitFailure waits until the server has ended by itself, which must be with the
// status of a failed disk and a line that says one of words.
func (w *world) awaitFailure(words ...string) {
	w.t.Helper()
	status := w.server.AwaitEnd(w.t)
	said := w.server.Output()
	if status != diskFailed {
		w.t.Errorf("exit status %d, want %d:\n%s", status, diskFailed, tail(said))
	}
	for _, word := range words {
		if strings.Contains(said, word) {
			return
		}
	}
	w.t.Errorf("nothing of %q in what the server says:\n%s", words, tail(said))
}

// diskFailed is the exit status that docs/operating.md gives a failed disk.
const diskFailed = 3

// tail is the end of what a server has said.
func tail(said string) string { return said[max(0, len(said)-8<<10):] }

func (w *world) await(done <-chan struct{}, what string) {
	w.t.Helper()
	select {
	case <-done:
	case <-time.After(hangGuard):
		w.t.Fatalf("%s has not come; the server:\n%s", what, tail(w.server.Output()))
	}
}

// eventually waits until the condition holds, which it must.
func (w *world) eventually(what string, holds func() bool) {
	w.t.Helper()
	for until := time.Now().Add(hangGuard); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			w.t.Fatalf("it is not so: %s; the server:\n%s", what, tail(w.server.Output()))
		}
	}
}
