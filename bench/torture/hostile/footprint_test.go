package hostile_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throng/bench/system"
	"throng/bench/torture/campaign"
)

// What the memory of a server that lives through a campaign is held against.
const (
	watchTime = time.Second / 20 // between two looks

	warmRounds = 30 // fill the caches and count for nothing

	// A round's garbage may outlive the round: Go collects when the heap has doubled, and
	// gives memory back as the machine has time. The lowest of so many rounds in a row is
	// what the server keeps, its floor.
	floorRounds = 10
	flatFloors  = 9 // tell whether it grows, at least
	// growth is how much more the floors may be in the last third than in the first, in
	// per cent.
	growth = 25
)

// footprint is what memory a server has resident, in bytes.
type footprint struct {
	first, highest atomic.Int64 // of all looks
	lowest         atomic.Int64 // of this round's; 0: there is none yet

	rounds []int64 // the lowest of each that has ended; the test's
}

// look notes what the process has now. One goroutine looks at a time.
func (f *footprint) look(pid int) error {
	use, err := system.ProcessUsage(pid, false)
	if err != nil {
		return fmt.Errorf("the server is gone: %w", err)
	}
	f.first.CompareAndSwap(0, use.Resident)
	f.highest.Store(max(f.highest.Load(), use.Resident))
	if lowest := f.lowest.Load(); lowest == 0 || use.Resident < lowest {
		f.lowest.Store(use.Resident)
	}
	return nil
}

// endRound takes a last look at a round.
func (f *footprint) endRound(pid int) error {
	err := f.look(pid)
	f.rounds = append(f.rounds, f.lowest.Swap(0))
	return err
}

// grown says what is wrong with the rounds so far; "" where nothing is.
func (f *footprint) grown() string {
	if highest := f.highest.Load(); highest > explained {
		return fmt.Sprintf("the server has had %d MiB resident; its configuration explains %d MiB", highest>>20, explained>>20)
	}
	floors := f.floors()
	first, last := thirds(floors)
	if len(floors) >= flatFloors && last > first+first*growth/100 {
		return fmt.Sprintf("the server's memory grows: %d rounds, %d MiB resident in the first third, %d MiB in the last",
			len(f.rounds), first>>20, last>>20)
	}
	return ""
}

// floors are the lowest of each floorRounds whole, of the rounds that count.
func (f *footprint) floors() (floors []int64) {
	for rounds := range slices.Chunk(f.rounds[min(warmRounds, len(f.rounds)):], floorRounds) {
		if len(rounds) == floorRounds {
			floors = append(floors, slices.Min(rounds))
		}
	}
	return floors
}

// thirds are the medians of the first third of what was measured, and of the last:
// 0 where there are not three.
func thirds(measured []int64) (first, last int64) {
	n := len(measured) / 3
	if n == 0 {
		return 0, 0
	}
	return median(measured[:n]), median(measured[len(measured)-n:])
}

func median(of []int64) int64 {
	return slices.Sorted(slices.Values(of))[len(of)/2]
}

// weigh holds the server's memory against what is explained and against earlier
// rounds, and enters it: the sums are the values of the run that has ended last.
func (s *siege) weigh(c *campaign.Campaign) {
	s.t.Helper()
	if err := s.resident.endRound(s.process.Pid()); err != nil {
		s.t.Fatal(err)
	}
	if fault := s.resident.grown(); fault != "" {
		s.t.Error(fault)
	}
	enter := func(what string, bytes int64) { c.Add(what, bytes>>20-c.Total(what)) }
	first, last := thirds(s.resident.floors())
	enter("MiB resident at the start", s.resident.first.Load())
	enter("MiB resident at most", s.resident.highest.Load())
	enter("MiB resident at the floor of the first third", first)
	enter("MiB resident at the floor of the last third", last)
}

// watch notes what memory the server has resident, until stop is called.
func (s *siege) watch() (stop func()) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			if err := s.resident.look(s.process.Pid()); err != nil {
				s.fault("%v", err)
			}
			select {
			case <-time.After(watchTime):
			case <-over:
				return
			}
		}
	})
	return func() { close(over); watching.Wait() }
}

// Memory that rises from round to round is a fault, once there are rounds enough to
// tell; a flat one that a single round has driven up is none, below what is explained.
func TestMemoryThatGrowsIsSeen(t *testing.T) {
	rounds := func(n int, of func(i int) int64) (lowest []int64) {
		for i := range n {
			lowest = append(lowest, of(i))
		}
		return lowest
	}
	const enough = warmRounds + flatFloors*floorRounds
	flat := func(i int) int64 { return 200<<20 + int64(i%7)<<20 }
	rising := func(i int) int64 { return flat(i) + int64(i)<<21 }
	once := func(i int) int64 {
		if i == enough-1 {
			return 10 * flat(i)
		}
		return flat(i)
	}
	littered := func(i int) int64 { // with garbage, more and more of it, but for one round in ten
		if i%floorRounds == 0 {
			return flat(i)
		}
		return rising(i)
	}
	warming := func(i int) int64 {
		if i < warmRounds {
			return flat(i) / 10
		}
		return flat(i)
	}
	for name, test := range map[string]struct {
		rounds  []int64
		highest int64
		fault   bool
	}{
		"none":               {},
		"flat":               {rounds: rounds(enough, flat)},
		"driven up once":     {rounds: rounds(enough, once)},
		"rising as it warms": {rounds: rounds(enough, warming)},
		"littered":           {rounds: rounds(enough, littered)},
		"rising":             {rounds: rounds(enough, rising), fault: true},
		"too few":            {rounds: rounds(enough-1, rising)},
		"unexplained":        {highest: explained + 1, fault: true},
	} {
		f := footprint{rounds: test.rounds}
		f.highest.Store(test.highest)
		if fault := f.grown(); (fault != "") != test.fault {
			t.Errorf("%s: %q", name, fault)
		}
	}
}
