package crash_test

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
)

// livesOfAWorld is the rounds that one data directory lives through: what it
// holds is read back in the end, and that is to stay cheap.
const livesOfAWorld = 25

// The load's time before a kill. Most kills come early, where there were most
// changes since the opening.
const (
	leastLoad = 20 * time.Millisecond
	mostLoad  = 500 * time.Millisecond
)

func loadTime(rng *rand.Rand) time.Duration {
	x := rng.Float64()
	return leastLoad + time.Duration(x*x*x*float64(mostLoad-leastLoad))
}

// The server is killed in the middle of its work, again and again on one
// directory: every acknowledged user, member, chat and message is there
// afterwards, every message at its index, the indexes dense, nothing that a read
// has shown is gone, and what was repeated by its ref is there once.
func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	c := campaign.Start(t, "kills", campaign.Short(4))
	var w *world
	for c.Next() {
		if w == nil {
			w = newWorld(t, c.Rand())
		}
		killOnce(c, w)
		enter(c, w.judge())
		w = w.next(c)
	}
	w.last()
}

// killOnce kills the server under load, in one of several ways, and starts the
// next one.
func killOnce(c *campaign.Campaign, w *world) {
	w.t.Helper()
	rng := c.Rand()
	wait := w.load()
	time.Sleep(loadTime(rng))
	switch rng.IntN(8) {
	case 0, 1:
		killInDrain(c, w)
	case 2, 3, 4:
		await(w.dir)
		time.Sleep(time.Duration(rng.IntN(500)) * time.Microsecond)
		w.kill()
		c.Add("kills as a table is written", 1)
	default:
		w.kill()
		c.Add("kills at random", 1)
	}
	wait()
	s := w.tables.look(w.dir)
	c.Add("tables written", s.written)
	c.Add("tables compacted away", s.compacted)
	c.Add("tables half written at a kill", s.half)
	for rng.IntN(4) == 0 {
		killInOpening(c, w)
	}
	w.start()
	c.Add("kills", 1)
}

// kill kills a server that has no reason to have ended.
func (w *world) kill() {
	w.t.Helper()
	if !w.server.TryKill(w.t) {
		w.t.Fatalf("the server had ended by itself:\n%s", w.server.Output())
	}
}

// killInDrain asks the server to drain, and does not wait for it.
func killInDrain(c *campaign.Campaign, w *world) {
	w.server.Signal(w.t, syscall.SIGTERM)
	time.Sleep(time.Duration(c.Rand().IntN(20_000)) * time.Microsecond)
	if w.server.TryKill(w.t) {
		c.Add("kills in a drain", 1)
	}
}

// killInOpening starts a server and kills it when it may not be ready yet.
func killInOpening(c *campaign.Campaign, w *world) {
	w.server = realserver.Launch(w.t, w.dir, w.args...)
	time.Sleep(time.Duration(c.Rand().IntN(100_000)) * time.Microsecond)
	w.kill()
	if !w.server.SaidReady() {
		c.Add("kills in opening", 1)
	}
}

// enter enters a verdict without faults.
func enter(c *campaign.Campaign, v check.Verdict) {
	c.Add("sends", v.Sends)
	c.Add("acknowledged", v.Acked)
	c.Add("left without an answer", v.Unknown)
	c.Add("stored without an answer", v.Found)
	c.Add("reads", v.Reads)
	c.Add("lost", v.Faults[check.Lost]+v.Faults[check.WrongText]+v.Faults[check.Vanished])
	c.Add("indexes reused", v.Faults[check.TwoTexts])
	c.Add("gaps", v.Faults[check.Gap])
	c.Add("other faults", v.Total()-v.Faults[check.Lost]-v.Faults[check.WrongText]-v.Faults[check.Vanished]-v.Faults[check.TwoTexts]-v.Faults[check.Gap])
}
