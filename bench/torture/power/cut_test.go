package power_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
	"throng/bench/torture/power"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The bounds of what is drawn.
const (
	mostLoad      = 300 * time.Millisecond
	mostOpening   = 60 * time.Millisecond
	mostDrain     = 20 * time.Millisecond
	afterCut      = 20 * time.Millisecond // what a server would still answer, wrongly
	livesOfAWorld = 25                    // cuts of one disk
)

// world is one disk through many cuts.
type world struct {
	t        *testing.T
	dir      string
	args     []string
	mount    *power.Mount
	server   *realserver.Server
	users    []wire.User
	chats    []int64
	sessions []*session
	fresh    []person
	checker  *check.Checker
}

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), args: []string{"--shards", strconv.Itoa(1 + rng.IntN(2)), "--memory", "64MiB"}}
	w.checker = check.New(check.Options{Chats: chats, Dense: true, Workers: 2})
	w.mount = mount(t, power.NewDisk(), w.dir)
	w.start()
	w.populate()
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.server = realserver.StartIn(w.t, filepath.Join(w.dir, "data"), w.args...)
}

func (w *world) dial() *wire.Conn {
	w.t.Helper()
	c, err := wire.Dial(w.server.Addr())
	must(w.t, err)
	return c
}

func (w *world) populate() {
	w.t.Helper()
	c := w.dial()
	defer c.Close()
	var all []uuid.UUID
	for range sessions {
		u := wire.NewUser()
		w.users, all = append(w.users, u), append(all, u.ID)
		w.expect(c, u.Registration(), "register")
	}
	for range chats {
		request := codec.AppendCreateRequest(nil, w.users[0].Token, codec.Text("power"), true, all)
		w.chats = append(w.chats, w.expect(c, request, "create").Chat)
	}
	for i, u := range w.users {
		rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
		w.sessions = append(w.sessions, &session{user: u, chats: w.chats, rng: rng})
	}
}

func (w *world) expect(c *wire.Conn, request []byte, what string) *codec.Answer {
	w.t.Helper()
	a, err := c.Call(request)
	must(w.t, err)
	if !wire.Done(a) {
		w.t.Fatalf("%s: %d %s%s", what, a.State, a.Msg, a.Cause)
	}
	return a
}

// load sets everybody to work until their connections end.
func (w *world) load() (wait func()) {
	var all sync.WaitGroup
	addr := w.server.Addr()
	for _, s := range w.sessions {
		all.Go(func() { s.run(addr) })
	}
	all.Go(func() { w.fresh = append(w.fresh, people(addr, w.chats)...) })
	return all.Wait
}

// cut cuts the power, kills the server, and mounts what survived.
func (w *world) cut(rng *rand.Rand) {
	w.t.Helper()
	w.mount.Disk.Cut(rng.IntN(2) == 0)
	time.Sleep(afterCut)
	_ = syscall.Kill(w.server.Pid(), syscall.SIGKILL) // it may have ended at the first error
	w.mount.Disk.Release()
	w.server.TryKill(w.t)
	must(w.t, w.mount.Unmount())
	w.mount = mount(w.t, w.mount.Disk.Survivor(rng), w.dir)
}

// judge holds what everybody saw against the server that now runs.
func (w *world) judge() check.Verdict {
	w.t.Helper()
	var ledgers []check.Ledger
	for _, s := range w.sessions {
		must(w.t, s.fault)
		ledgers = append(ledgers, s.ledger)
		s.ledger = check.Ledger{}
	}
	v, err := w.checker.Check(w.t.Context(), ledgers, w.log)
	must(w.t, err)
	c := w.dial()
	defer c.Close()
	for _, p := range w.fresh {
		w.expect(c, codec.AppendLoginRequest(nil, p.ID, p.Token), "log in")
		for _, chat := range []int64{p.group, p.joined} {
			if chat == 0 {
				continue
			}
			a, err := c.Call(codec.AppendReadRequest(nil, codec.GetChat, p.Token, chat, -1, 1))
			must(w.t, err)
			if !a.Paged {
				w.t.Errorf("a member was acknowledged; now: %d %s", a.State, a.Msg)
			}
		}
	}
	w.fresh = nil
	return v
}

// log reads a chat back, as check.Log has it.
func (w *world) log(chat int, after int64, visit func(int64, uint64) error) error {
	return wire.ReadBack(w.server.Addr(), w.users[0], w.chats[chat], after, visit)
}

// finish judges all that the world was ever told.
func (w *world) finish() {
	w.t.Helper()
	v, err := w.checker.Final(w.t.Context(), nil, w.log)
	must(w.t, err)
	w.pronounce(v)
	w.server.Stop(w.t)
	must(w.t, w.mount.Unmount())
}

func (w *world) pronounce(v check.Verdict) {
	w.t.Helper()
	if !v.OK() {
		w.t.Fatalf("%d faults:\n%s", v.Total(), strings.Join(examples(v), "\n"))
	}
}

func examples(v check.Verdict) (all []string) {
	for _, e := range v.Examples {
		all = append(all, fmt.Sprint(e))
	}
	return all
}

// The power goes at a random moment of the load, of an opening or of a drain, again
// and again: the server opens each time, and nothing that was acknowledged, or
// shown by a read, is gone; no index is used twice, and none is left out.
func TestNothingAcknowledgedIsLostByAPowerCut(t *testing.T) {
	c := campaign.Start(t, "power", campaign.Short(2))
	var w *world
	for c.Next() {
		if w == nil {
			w = newWorld(t, c.Rand())
		}
		w.round(c)
		if c.Round()%livesOfAWorld == livesOfAWorld-1 {
			w.finish()
			w = nil
		}
	}
	if w != nil && !t.Failed() {
		w.finish()
	}
}

// round cuts the power once under load, and perhaps once more in the opening.
func (w *world) round(c *campaign.Campaign) {
	w.t.Helper()
	rng := c.Rand()
	wait := w.load()
	time.Sleep(time.Duration(rng.Int64N(int64(mostLoad))))
	if rng.IntN(5) == 0 {
		w.server.Signal(w.t, syscall.SIGTERM)
		time.Sleep(time.Duration(rng.Int64N(int64(mostDrain))))
		c.Add("cuts in a drain", 1)
	}
	w.cut(rng)
	c.Add("cuts", 1)
	wait()
	for rng.IntN(4) == 0 {
		w.server = realserver.Launch(w.t, filepath.Join(w.dir, "data"), w.args...)
		time.Sleep(time.Duration(rng.Int64N(int64(mostOpening))))
		w.cut(rng)
		c.Add("cuts", 1)
		c.Add("cuts in an opening", 1)
	}
	w.start()
	v := w.judge()
	w.pronounce(v)
	c.Add("acknowledged", v.Acked)
	c.Add("left without an answer", v.Unknown)
	c.Add("lost", v.Faults[check.Lost]+v.Faults[check.WrongText]+v.Faults[check.Vanished])
	c.Add("indexes reused", v.Faults[check.TwoTexts])
	c.Add("gaps", v.Faults[check.Gap])
}

// bites is the cuts within which an unsynced server has surely lost something.
const bites = 20

// The disk bites: a server that acknowledges before it syncs loses messages in a
// power cut, or does not open any more.
func TestAServerThatDoesNotSyncLosesMessages(t *testing.T) {
	for i := range uint64(bites) {
		rng := rand.New(rand.NewPCG(i, 0))
		w := newWorld(t, rng)
		w.server.Stop(t) // users and chats are synced, messages will not be
		w.args = append(w.args, "--sync", "off")
		w.start()
		wait := w.load()
		time.Sleep(mostLoad / 2)
		w.cut(rng)
		wait()
		w.server = realserver.Launch(t, filepath.Join(w.dir, "data"), w.args...)
		lost := w.lost()
		w.server.TryKill(t)
		must(t, w.mount.Unmount())
		if lost > 0 {
			t.Logf("cut %d: %d acknowledged messages are lost", i+1, lost)
			return
		}
	}
	t.Errorf("%d power cuts lost nothing that was not synced", bites)
}

// lost is the acknowledged messages that are gone; a server that does not open has
// lost all of them.
func (w *world) lost() (n int64) {
	w.t.Helper()
	for until := time.Now().Add(wire.HangGuard); !w.server.SaidReady() && time.Now().Before(until); {
		if syscall.Kill(w.server.Pid(), 0) != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	var ledgers []check.Ledger
	for _, s := range w.sessions {
		ledgers = append(ledgers, s.ledger)
	}
	if !w.server.SaidReady() {
		for _, l := range ledgers {
			for i := range l.Sends {
				if l.Sends[i].Outcome == check.Acked {
					n++
				}
			}
		}
		return n
	}
	w.server.AwaitReady(w.t)
	v, err := w.checker.Check(w.t.Context(), ledgers, w.log)
	if err != nil {
		w.t.Logf("a cut that cannot be judged: %v", err)
		return 0
	}
	return v.Faults[check.Lost]
}
