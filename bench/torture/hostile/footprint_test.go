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

	// What attacks leave to Go's garbage stays until Go collects, in an idle process two
	// to three minutes on, and goes back to the kernel as the machine has time: so every
	// restRounds the server is left alone for restTime, and what it has then it keeps.
	restRounds = 60
	restTime   = 4 * time.Minute

	// growth is how much more it may keep in the end than at first, in per cent.
	growth = 25
)

// footprint is what memory a server has resident, in bytes.
type footprint struct {
	first, highest atomic.Int64 // of all looks

	rounds int     // that have ended; the test's, like all below
	rests  []int64 // what it has kept in each rest
}

// look notes and returns what the process has now. One goroutine looks at a time.
func (f *footprint) look(pid int) (now int64, err error) {
	use, err := system.ProcessUsage(pid, false)
	if err != nil {
		return 0, fmt.Errorf("the server is gone: %w", err)
	}
	f.first.CompareAndSwap(0, use.Resident)
	f.highest.Store(max(f.highest.Load(), use.Resident))
	return use.Resident, nil
}

// endRound notes that a round has ended, and reports whether a rest is due.
func (f *footprint) endRound() (rest bool) {
	f.rounds++
	return f.rounds >= warmRounds && (f.rounds-warmRounds)%restRounds == 0
}

// grown says what is wrong so far; "" where nothing is.
func (f *footprint) grown() string {
	if highest := f.highest.Load(); highest > explained {
		return fmt.Sprintf("the server has had %d MiB resident; its configuration explains %d MiB", highest>>20, explained>>20)
	}
	if first, last := f.kept(); last > first+first*growth/100 {
		return fmt.Sprintf("the server's memory grows: %d rounds, %d MiB kept at first, %d MiB in the end",
			f.rounds, first>>20, last>>20)
	}
	return ""
}

// kept is what it has kept in the first rest and in the last; 0 where there is none.
func (f *footprint) kept() (first, last int64) {
	if len(f.rests) == 0 {
		return 0, 0
	}
	return f.rests[0], f.rests[len(f.rests)-1]
}

// weigh holds the server's memory against what is explained and against what it has
// kept before, and enters it: the sums are the values of the run that has ended last.
func (s *siege) weigh(c *campaign.Campaign) {
	s.t.Helper()
	rest := s.resident.endRound()
	if rest {
		time.Sleep(restTime)
	}
	now, err := s.resident.look(s.process.Pid())
	if err != nil {
		s.t.Fatal(err)
	}
	if rest {
		s.resident.rests = append(s.resident.rests, now)
		s.t.Logf("after %d rounds and a rest the server keeps %d MiB", s.resident.rounds, now>>20)
	}
	if fault := s.resident.grown(); fault != "" {
		s.t.Error(fault)
	}
	enter := func(what string, bytes int64) { c.Add(what, bytes>>20-c.Total(what)) }
	first, last := s.resident.kept()
	enter("MiB resident at the start", s.resident.first.Load())
	enter("MiB resident at most", s.resident.highest.Load())
	enter("MiB kept in the first rest", first)
	enter("MiB kept in the last rest", last)
}

// watch notes what memory the server has resident, until stop is called.
func (s *siege) watch() (stop func()) {
	over := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			if _, err := s.resident.look(s.process.Pid()); err != nil {
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

// Memory that is kept and rises is a fault; one that stays is none, below what is
// explained.
func TestMemoryThatGrowsIsSeen(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		rests   []int64
		highest int64
		fault   bool
	}{
		"none":        {},
		"one rest":    {rests: []int64{200 * mib}},
		"flat":        {rests: []int64{200 * mib, 210 * mib, 190 * mib}},
		"rising":      {rests: []int64{200 * mib, 230 * mib, 260 * mib}, fault: true},
		"unexplained": {highest: explained + 1, fault: true},
	} {
		f := footprint{rests: test.rests}
		f.highest.Store(test.highest)
		if fault := f.grown(); (fault != "") != test.fault {
			t.Errorf("%s: %q", name, fault)
		}
	}
	var f footprint
	var due []int
	for f.rounds < warmRounds+2*restRounds {
		if f.endRound() {
			due = append(due, f.rounds)
		}
	}
	if want := []int{warmRounds, warmRounds + restRounds, warmRounds + 2*restRounds}; !slices.Equal(due, want) {
		t.Errorf("rests are due after %v rounds, not %v", due, want)
	}
}
