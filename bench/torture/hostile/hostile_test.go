package hostile_test

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
)

// The server's limits of memory are small, so that what the attacks cost shows.
func besieged() []string {
	return []string{
		"--memory", strconv.Itoa(memory), "--shards", strconv.Itoa(shardCount), "--debug-listen", "127.0.0.1:0",
	}
}

// impatient is besieged, with short timeouts.
func impatient() []string {
	return append(besieged(), "--first-frame-timeout", frameTimeout.String(), "--partial-frame-timeout", frameTimeout.String())
}

// explained is what a server may take by its configuration, in bytes: its memory,
// its mailboxes, and for each peer that does its worst what may be in flight and unread. The
// collector lets garbage grow to as much again.
const explained = 2 * (memory + (shardCount+1)*mailboxBytes + worstPeers*(inFlightBytes+unreadBytes+unreadBytes/4))

// worstPeers is how many peers of one round are at those limits at once.
const worstPeers = 36

// One attack after the other, and several at once, for as long as the campaign
// wants: the server is there, its honest clients lose no connection and no
// message, and its memory stays within what its configuration explains. One server
// lives through all rounds: however many, its memory does not grow.
func TestNoClientTakesTheServerDown(t *testing.T) {
	t.Parallel()
	s := newSiege(t, realserver.Start(t, besieged()...))
	c := campaign.Start(t, "hostile", modestRounds)
	for c.Next() {
		s.round(c, drawn(c))
		s.weigh(c)
	}
	if !t.Failed() {
		used, err := s.used()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("in the end the server uses %d MiB", used>>20)
		s.judge((*check.Checker).Final)
		if status := s.process.Stop(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
}

// drawn is a round's attacks: in the first all that can be made side by side and end
// soon, in the second those that cannot, and then three at random, or one that is made alone.
func drawn(c *campaign.Campaign) (list []attack) {
	switch c.Round() {
	case 0, 1:
		for _, a := range attacks {
			if a.alone == (c.Round() == 1) && !a.late {
				list = append(list, a)
			}
		}
	default:
		list = append(list, attacks[c.Rand().IntN(len(attacks))])
		for range 2 {
			if more := attacks[c.Rand().IntN(len(attacks))]; !list[0].alone && !more.alone {
				list = append(list, more)
			}
		}
	}
	for _, a := range list {
		c.Add(a.name, 1)
	}
	return list
}

// A flood beyond the descriptors of a server that has few: those that it has no
// room for are closed, and the crowd goes on. So it does among drips behind that, which
// are closed in their time.
func TestAFloodBeyondTheDescriptorsLeavesTheCrowdAlone(t *testing.T) {
	t.Parallel()
	c := campaign.Start(t, "descriptors", campaign.Short(1))
	for c.Next() {
		files := 700 + c.Rand().IntN(500) // room for the drips
		s := newSiege(t, realserver.StartWithFiles(t, files, impatient()...))
		s.round(c, []attack{{name: "flood", run: beyond(files)}, {name: "resets", run: resets}})
		s.round(c, []attack{{name: "drips", run: drips}})
		if status := s.process.Stop(t); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
}

// beyond is a flood of more connections than a process may have files.
func beyond(files int) func(ctx context.Context, s *siege, rng *rand.Rand) error {
	return func(ctx context.Context, s *siege, rng *rand.Rand) error {
		return s.flood(ctx, files+200+rng.IntN(1000), 1, files-sessions)
	}
}
