package disk_test

import (
	"strings"
	"testing"

	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
)

// The sizes of a disk that is to run full, in bytes.
const (
	leastDisk = 24 << 20
	mostDisk  = 64 << 20
	spare     = 512 << 20 // of the disk that a server gets afterwards: twice the default floor
)

// A disk runs full under full load: the server ends, and says why. With space, the
// next one serves everything that was acknowledged, and goes on.
func TestNothingAcknowledgedIsLostOnAFullDisk(t *testing.T) {
	t.Parallel()
	c := campaign.Start(t, "fulldisk", campaign.Short(2))
	for c.Next() {
		t.Run("round", func(t *testing.T) { fillUp(t, c) })
	}
}

func fillUp(t *testing.T, c *campaign.Campaign) {
	rng := c.Rand()
	kind := []string{"tmpfs", "ext4"}[c.Round()%2]
	w := newWorld(t, newVolume(t, kind, leastDisk+rng.Int64N(mostDisk-leastDisk)), "--disk-floor", "0")
	w.load()
	w.awaitFailure(noSpace)
	w.collect()
	c.Add("full "+kind, 1)
	for range rng.IntN(3) {
		w.openFull(c)
	}
	w.volume = w.volume.grow(w.volume.size + spare)
	w.restart()
	enter(c, w.check())
	w.awaitWrites(c)
}

// awaitWrites has writes go on, now that there is space, and the server stop well.
func (w *world) awaitWrites(c *campaign.Campaign) {
	w.t.Helper()
	before := w.counts.acked.Load()
	w.load()
	w.eventually("with space there are writes", func() bool { return w.counts.acked.Load() > before+100 })
	w.rest()
	enter(c, w.check())
	if status := w.server.Stop(w.t); status != 0 {
		w.t.Errorf("exit status %d:\n%s", status, tail(w.server.Output()))
	}
}

// openFull starts a server where there is no space: it either serves or says why
// not, and in both cases leaves what is there.
func (w *world) openFull(c *campaign.Campaign) {
	w.t.Helper()
	w.server = realserver.Launch(w.t, w.volume.data(), arguments([]string{"--disk-floor", "0"})...)
	w.eventually("it is ready, or has ended", func() bool { return w.server.SaidReady() || ended(w.server) })
	if w.server.SaidReady() {
		c.Add("opened without space", 1)
		w.server.TryKill(w.t)
		return
	}
	c.Add("refused to open without space", 1)
	said := w.server.Output()
	if status := w.server.AwaitEnd(w.t); status != 1 && status != diskFailed || !strings.Contains(said, noSpace) {
		w.t.Errorf("exit status %d of a server without space:\n%s", status, tail(said))
	}
}

func ended(s *realserver.Server) bool {
	select {
	case <-s.Done():
		return true
	default:
		return false
	}
}

// noSpace is how the system says ENOSPC.
const noSpace = "no space left on device"
