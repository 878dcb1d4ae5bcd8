package hostile_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
	"throng/bench/torture/hostile/proxy"
	"throng/bench/torture/wire"
)

const (
	// A chat of fewer than 1,000 messages knows all its refs, however late a repeat
	// comes.
	chaosRoom = 900
	// roundsOfAServer is how many rounds one server lives.
	roundsOfAServer = 50
	chaosPatience   = 400 * time.Millisecond
	chaosSteps      = 8 // of each session in a round
	slicedBytes     = 4 << 10
)

// Through a network that delays, slices, throttles, swallows, half-closes and
// resets, every send gets its answer in the end, is in its chat once, however often it was
// repeated and however late a copy of it came, and the checker agrees.
func TestTheWorkloadGetsThroughBadNetworks(t *testing.T) {
	t.Parallel()
	server := realserver.Start(t)
	c := campaign.Start(t, "chaos", campaign.Short(2))
	for c.Next() {
		if c.Round()%roundsOfAServer == roundsOfAServer-1 {
			server.Kill(t)
			server = realserver.Start(t)
		}
		chaosRound(t, c, server)
	}
}

func chaosRound(t *testing.T, c *campaign.Campaign, server *realserver.Server) {
	t.Helper()
	w := newCrowd(t, server.Addr())
	draw := storm(c.Rand())
	p, err := proxy.Start(server.Addr(), func() proxy.Weather {
		if w.stop.Load() {
			return proxy.Weather{} // the storm is over
		}
		return draw()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w.addr, w.room, w.patience = p.Addr(), chaosRoom, chaosPatience
	w.work()
	w.awaitSteps(chaosSteps)
	w.rest()
	w.repeatAll()
	v := w.judge((*check.Checker).Final)
	if v.Unknown > 0 || v.Acked != v.Sends || v.Acked == 0 {
		t.Errorf("of %d sends, %d were acknowledged and %d have no answer", v.Sends, v.Acked, v.Unknown)
	}
	w.count(c, v)
	c.Add("resets", p.Met(proxy.Reset))
	c.Add("half-closes", p.Met(proxy.HalfClose))
	c.Add("black holes", p.Met(proxy.Hole))
}

// awaitSteps waits until each session has had so many pipelines answered.
func (w *crowd) awaitSteps(n int64) {
	w.t.Helper()
	guard := time.Now().Add(wire.HangGuard)
	for i, s := range w.sessions {
		for s.steps.Load() < n {
			if time.Now().After(guard) {
				w.t.Fatalf("session %d gets no further than %d pipelines", i, s.steps.Load())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// repeatAll repeats everything, past the network.
func (w *crowd) repeatAll() {
	w.t.Helper()
	c, err := wire.Dial(w.server)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	for _, s := range w.sessions {
		if err := s.repeatAll(c); err != nil {
			w.t.Fatalf("repeat: %v", err)
		}
	}
}

// storm returns what draws the weather of connections.
func storm(rng *rand.Rand) func() proxy.Weather {
	return func() proxy.Weather {
		return proxy.Weather{Up: badWay(rng), Down: badWay(rng)}
	}
}

// badWay draws what one direction meets: mostly one trouble or two, and now and
// then none.
func badWay(rng *rand.Rand) (way proxy.Way) {
	soon := func() int64 { return 1 + rng.Int64N(48<<10) } // bytes
	if rng.IntN(3) == 0 {
		way.Latency = time.Duration(rng.IntN(20)) * time.Millisecond
		way.Jitter = time.Duration(rng.IntN(10)) * time.Millisecond
	}
	if rng.IntN(3) == 0 {
		way.Slice, way.Sliced = 1+rng.IntN(3)*rng.IntN(300), slicedBytes // often a single byte
	}
	if way.Slice == 0 && rng.IntN(4) == 0 { // a sleep a byte would be another thing
		way.Rate = 256<<10 + rng.IntN(1<<20)
	}
	switch rng.IntN(6) {
	case 0, 1:
		way.Reset = soon()
	case 2:
		way.HalfClose = soon()
	case 3:
		way.Hole, way.HoleFor = soon(), time.Duration(rng.IntN(1000))*time.Millisecond
	}
	return way
}
