package disk_test

import (
	"strconv"
	"strings"
	"testing"

	"throng/bench/torture/campaign"
)

// floor is half of leastMemory, which is what memtables may hold, and something for
// what is written between two looks at the disk, in bytes.
const floor = 48 << 20

// A server under full load stops at its floor: it refuses writes with 507 and goes on
// reading, also after a kill, with not a byte left, and writes again once
// there is space. Every send has its answer.
func TestAFullDiskStopsAtTheFloorAndSpaceBringsWritesBack(t *testing.T) {
	t.Parallel()
	c := campaign.Start(t, "floor", campaign.Short(1))
	for c.Next() {
		t.Run("round", func(t *testing.T) { reachFloor(t, c) })
	}
}

func reachFloor(t *testing.T, c *campaign.Campaign) {
	rng := c.Rand()
	option := []string{"--disk-floor", strconv.Itoa(floor)}
	w := newWorld(t, newVolume(t, "tmpfs", floor+16<<20+rng.Int64N(48<<20)), option...)
	w.load()
	w.awaitRefusals(c)
	if rng.IntN(2) == 0 {
		w.stopShort()
		w.restart(option...)
		c.Add("kills below the floor", 1)
	} else {
		w.rest()
	}
	enter(c, w.check())

	filled := w.volume.fill(0)
	w.eventually("the floor is seen", w.belowFloor)
	w.load()
	w.awaitRefusals(c)
	w.rest()
	enter(c, w.check())

	filled.drop()
	w.volume = w.volume.grow(w.volume.size + spare)
	w.awaitWrites(c)
}

// awaitRefusals waits until writes were refused and reads were not.
func (w *world) awaitRefusals(c *campaign.Campaign) {
	w.t.Helper()
	full, read := w.counts.full.Load(), w.counts.read.Load()
	w.eventually("writes are refused", func() bool { return w.counts.full.Load() > full+100 })
	w.eventually("reads go on", func() bool { return w.counts.read.Load() > read+20 })
	c.Add("refused with 507", w.counts.full.Load()-full)
	c.Add("reads below the floor", w.counts.read.Load()-read)
}

// belowFloor reports whether the server's last word on it was that it refuses writes.
func (w *world) belowFloor() bool {
	said := w.server.Output()
	const word = "writes_refused="
	at := strings.LastIndex(said, word)
	return at >= 0 && strings.HasPrefix(said[at+len(word):], "true")
}

// stopShort kills the server; its sessions end with it.
func (w *world) stopShort() {
	w.t.Helper()
	if !w.server.TryKill(w.t) {
		w.t.Fatalf("the server had ended by itself:\n%s", tail(w.server.Output()))
	}
	w.collect()
}
