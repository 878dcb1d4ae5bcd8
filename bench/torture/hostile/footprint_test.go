package hostile_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throng/bench/report"
	"throng/bench/system"
	"throng/bench/torture/campaign"
	"throng/bench/torture/wire"
)

// What the memory of a server that lives through a campaign is held against.
const (
	watchTime = time.Second / 20 // between two looks

	warmRounds  = 30 // fill the caches and count for nothing
	weighRounds = 10 // after which it is weighed again

	// growth is how much more it may use in the end than at first, in per cent.
	growth = 25
)

// footprint is what memory a server has resident, in bytes.
type footprint struct {
	first, highest atomic.Int64 // of all looks

	rounds int       // that have ended; the test's, like all below
	used   []float64 // what it has used each time when it was weighed
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

// endRound notes that a round has ended, and reports whether to weigh.
func (f *footprint) endRound() (weigh bool) {
	f.rounds++
	return f.rounds >= warmRounds && (f.rounds-warmRounds)%weighRounds == 0
}

// grown says what is wrong so far; "" where nothing is.
func (f *footprint) grown() string {
	if highest := f.highest.Load(); highest > explained {
		return fmt.Sprintf("the server has had %d MiB resident; its configuration explains %d MiB", highest>>20, explained>>20)
	}
	if first, last := f.ends(); last > first+first*growth/100 {
		return fmt.Sprintf("the server's memory grows: %d rounds, %d MiB used at first, %d MiB in the end",
			f.rounds, first>>20, last>>20)
	}
	return ""
}

// ends is what it used at first and in the end, medians of some: between two rounds a
// server still tidies up. 0: too few.
func (f *footprint) ends() (first, last int64) {
	const some = 3
	if len(f.used) < some {
		return 0, 0
	}
	return int64(report.Median(f.used[:some])), int64(report.Median(f.used[len(f.used)-some:]))
}

// weigh holds the server's memory against what is explained and against what it has
// used before, and enters it: the sums are the values of the run that has ended last.
func (s *siege) weigh(c *campaign.Campaign) {
	s.t.Helper()
	weigh := s.resident.endRound()
	if weigh {
		used, err := s.used()
		if err != nil {
			s.t.Fatal(err)
		}
		s.resident.used = append(s.resident.used, float64(used))
		s.t.Logf("after %d rounds the server uses %d MiB", s.resident.rounds, used>>20)
	}
	if fault := s.resident.grown(); fault != "" {
		s.t.Error(fault)
	}
	enter := func(what string, bytes int64) { c.Add(what, bytes>>20-c.Total(what)) }
	first, last := s.resident.ends()
	enter("MiB resident at the start", s.resident.first.Load())
	enter("MiB resident at most", s.resident.highest.Load())
	enter("MiB used at first", first)
	enter("MiB used in the end", last)
}

// used is what memory the server has that is of use: all that is resident, but for
// what Go's heap has free once it is collected. Go gives that back as it has time.
func (s *siege) used() (bytes int64, err error) {
	var free int64
	for range 2 { // what a sync.Pool holds outlives one collection
		if free, err = freeHeap(s.process.Ready["debug"]); err != nil {
			return 0, err
		}
	}
	resident, err := s.resident.look(s.process.Pid())
	return resident - free, err
}

// freeHeap has a server collect its garbage, and returns how many resident bytes its
// heap has free then.
func freeHeap(debug string) (int64, error) {
	client := http.Client{Timeout: wire.HangGuard}
	answer, err := client.Get("http://" + debug + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, fmt.Errorf("ask for the heap: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	var idle, released int64
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "# HeapIdle = %d", &idle) // most lines are others
		_, _ = fmt.Sscanf(lines.Text(), "# HeapReleased = %d", &released)
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read the heap's profile: %w", err)
	}
	if idle == 0 {
		return 0, errors.New("the heap's profile does not say what is idle")
	}
	return idle - released, nil
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

// Memory that is used and rises is a fault; one that stays is none, below what is
// explained, and one that is high for once is none.
func TestMemoryThatGrowsIsSeen(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		used    []float64 // MiB
		highest int64
		fault   bool
	}{
		"none":        {},
		"too few":     {used: []float64{100, 900}},
		"flat":        {used: []float64{200, 210, 190, 205, 215, 190}},
		"a peak":      {used: []float64{200, 210, 190, 205, 800, 190}},
		"a late one":  {used: []float64{200, 210, 190, 205, 190, 800}},
		"rising":      {used: []float64{200, 230, 260, 290, 320}, fault: true},
		"unexplained": {highest: explained + 1, fault: true},
	} {
		var f footprint
		for _, use := range test.used {
			f.used = append(f.used, use*mib)
		}
		f.highest.Store(test.highest)
		if fault := f.grown(); (fault != "") != test.fault {
			t.Errorf("%s: %q", name, fault)
		}
	}
	var f footprint
	var due []int
	for f.rounds < warmRounds+2*weighRounds {
		if f.endRound() {
			due = append(due, f.rounds)
		}
	}
	if want := []int{warmRounds, warmRounds + weighRounds, warmRounds + 2*weighRounds}; !slices.Equal(due, want) {
		t.Errorf("it is weighed after %v rounds, not %v", due, want)
	}
}
