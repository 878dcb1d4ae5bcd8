package crash_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The population of a world.
const (
	sessions = 6 // connections that send and read
	shared   = 3 // chats that all of them use, beside one of each one's own
	chats    = shared + sessions
)

// epoch is the beginning of the judge's clock.
var epoch = time.Now()

// now is nanoseconds on the judge's clock.
func now() int64 { return int64(time.Since(epoch)) }

// world is one data directory through the lives of several servers, and what
// their clients were told. It belongs to the test's goroutine.
type world struct {
	t      *testing.T
	dir    string
	args   []string
	server *realserver.Server
	tables tables

	users    []wire.User // of the sessions, in order
	chats    []int64     // shared ones first, then each session's own
	sessions []*session
	people   *people
	checker  *check.Checker
	stop     atomic.Bool // the load is to end by itself
}

// newWorld starts a server on a fresh directory and makes the population. With
// little memory its memtables are small, and tables are written all the time.
func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, tables: tables{}, dir: filepath.Join(t.ArtifactDir(), fmt.Sprintf("data-%016x", rng.Uint64()))}
	w.args = []string{"--shards", strconv.Itoa(1 + rng.IntN(4))}
	if rng.IntN(4) > 0 {
		w.args = append(w.args, "--memory", "64MiB")
	}
	w.checker = check.New(check.Options{Chats: chats, Dense: true, Workers: 2})
	w.people = &people{}
	w.start()
	w.populate()
	for i := range sessions {
		w.sessions = append(w.sessions, newSession(w, i))
	}
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.server = realserver.StartIn(w.t, w.dir, w.args...)
}

func (w *world) dial() *wire.Conn {
	w.t.Helper()
	c, err := wire.Dial(w.server.Addr())
	if err != nil {
		w.t.Fatalf("dial a server that is ready: %v", err)
	}
	return c
}

// populate registers the sessions' users and creates the chats.
func (w *world) populate() {
	w.t.Helper()
	c := w.dial()
	defer c.Close()
	var requests [][]byte
	for range sessions {
		u := wire.NewUser()
		w.users = append(w.users, u)
		requests = append(requests, u.Registration())
	}
	ask(w.t, c, requests, func(int, *codec.Answer) {})
	w.chats = w.freshChats(chats)
}

// freshChats makes n chats, of which all users are members.
func (w *world) freshChats(n int) (made []int64) {
	w.t.Helper()
	c := w.dial()
	defer c.Close()
	var all []uuid.UUID
	for _, u := range w.users {
		all = append(all, u.ID)
	}
	request := codec.AppendCreateRequest(nil, w.users[0].Token, codec.Text("crash"), true, all)
	ask(w.t, c, slices.Repeat([][]byte{request}, n), func(_ int, a *codec.Answer) {
		if !wire.Done(a) || a.Chat == 0 {
			w.t.Fatalf("create a chat: %s", wire.Describe(a))
		}
		made = append(made, a.Chat)
	})
	return made
}

// load sets everybody to work, until their connections end or stop is set. The
// function that it returns waits for that.
func (w *world) load() (wait func()) {
	w.stop.Store(false)
	addr := w.server.Addr()
	var all sync.WaitGroup
	for _, s := range w.sessions {
		all.Go(func() { s.run(addr) })
	}
	all.Go(func() { w.people.run(w, addr) })
	return all.Wait
}

// judge repeats what may be repeated, holds what everybody has seen against the
// server that now runs, and forgets it.
func (w *world) judge() check.Verdict {
	w.t.Helper()
	c := w.dial()
	newest := w.newest()
	for _, s := range w.sessions {
		s.settle(c, newest)
	}
	c.Close()
	return w.judgeUnrepeated()
}

// judgeUnrepeated is judge, but repeats no send.
func (w *world) judgeUnrepeated() check.Verdict {
	w.t.Helper()
	c := w.dial()
	defer c.Close()
	ledgers := make([]check.Ledger, 0, sessions)
	for _, s := range w.sessions {
		ledgers = append(ledgers, s.ledger)
	}
	w.people.judge(w.t, w, c)
	v, err := w.checker.Check(w.t.Context(), ledgers, w.log)
	w.pronounce(v, err)
	for _, s := range w.sessions {
		s.forget()
	}
	return v
}

// finish judges the whole of the directory, stops the server, and removes the
// directory unless something is wrong with it.
func (w *world) finish() check.Verdict {
	w.t.Helper()
	v, err := w.checker.Final(w.t.Context(), nil, w.log)
	w.pronounce(v, err)
	c := w.dial()
	w.people.judgeAll(w.t, w, c)
	c.Close()
	if status := w.server.Stop(w.t); status != 0 {
		w.t.Errorf("exit status %d", status)
	}
	if !w.t.Failed() {
		_ = os.RemoveAll(w.dir)
	}
	return v
}

// next is the world of the next round: this one, or none yet where it has lived
// long enough.
func (w *world) next(c *campaign.Campaign) *world {
	w.t.Helper()
	if c.Round()%livesOfAWorld != livesOfAWorld-1 {
		return w
	}
	w.finish()
	return nil
}

// last ends the world of the last round, if there is one.
func (w *world) last() {
	if w != nil && !w.t.Failed() {
		w.finish()
	}
}

func (w *world) pronounce(v check.Verdict, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("there is no verdict: %v", err)
	}
	for _, example := range v.Examples {
		w.t.Error(example)
	}
	if !v.OK() {
		w.t.Fatalf("%d faults; the data directory was %s", v.Total(), w.dir)
	}
}

// newest is the newest index that was acknowledged of each chat in this round; 0:
// none.
func (w *world) newest() (of [chats]int64) {
	for _, s := range w.sessions {
		for i := range s.ledger.Sends {
			if m := &s.ledger.Sends[i]; m.Outcome == check.Acked {
				of[m.Chat] = max(of[m.Chat], m.Index)
			}
		}
	}
	return of
}

// log reads a chat back, as check.Log has it.
func (w *world) log(chat int, after int64, visit func(int64, uint64) error) error {
	return wire.ReadBack(w.server.Addr(), w.users[0], w.chats[chat], after, visit)
}
