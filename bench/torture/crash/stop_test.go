package crash_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"throng/bench/torture/campaign"
)

// A server that is stopped for a while, again and again, under load, goes on where
// it stood: no connection breaks, nothing is refused, and every send is answered.
func TestAStoppedServerGoesOnWhereItStood(t *testing.T) {
	c := campaign.Start(t, "stops", campaign.Short(1))
	var w *world
	for c.Next() {
		if w == nil {
			w = newWorld(t, c.Rand())
		}
		wait := w.load()
		for range 3 {
			pause(w, c.Rand())
			c.Add("stops", 1)
		}
		w.stop.Store(true)
		wait()
		v := w.judge()
		enter(c, v)
		if v.Unknown > 0 || v.Sends != v.Acked || v.Acked == 0 {
			t.Errorf("of %d sends, %d were acknowledged and %d have no answer", v.Sends, v.Acked, v.Unknown)
		}
		w = w.next(c)
	}
	w.last()
}

// pause lets a server work, and stops it for a while.
func pause(w *world, rng *rand.Rand) {
	w.t.Helper()
	time.Sleep(time.Duration(rng.IntN(50_000)) * time.Microsecond)
	w.server.Signal(w.t, syscall.SIGSTOP)
	time.Sleep(time.Duration(rng.IntN(100_000)) * time.Microsecond)
	w.server.Signal(w.t, syscall.SIGCONT)
}

// A server that is told to end, under load, answers whatever it has taken in, and
// ends with status 0: what was acknowledged is there, and a send whose answer did
// not come was not done.
func TestADrainLosesNeitherMessagesNorReplies(t *testing.T) {
	c := campaign.Start(t, "drains", campaign.Short(1))
	var w *world
	for c.Next() {
		if w == nil {
			w = newWorld(t, c.Rand())
		}
		wait := w.load()
		time.Sleep(loadTime(c.Rand()))
		if status := w.server.Stop(t); status != 0 {
			t.Errorf("exit status %d after SIGTERM:\n%s", status, w.server.Output())
		}
		wait()
		w.start()
		v := w.judgeUnrepeated()
		enter(c, v)
		if v.Found > 0 {
			t.Errorf("%d sends were done, but their answers were lost", v.Found)
		}
		w = w.next(c)
	}
	w.last()
}
