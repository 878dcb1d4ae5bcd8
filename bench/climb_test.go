package bench

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"throng/bench/report"
)

// A search finds the highest rate that holds, to within its precision, whatever
// that is, and never tries more than there is.
func TestClimbFindsTheHighestRateThatHolds(t *testing.T) {
	const most = 100_000
	for _, limit := range []float64{most / 200, most / 20, most / 3, most / 2, .9 * most, most, 2 * most} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			best, trials := 0.0, 0
			err := climb(most, func(rate float64) (bool, error) {
				trials++
				if rate > most {
					t.Errorf("tried %g of at most %d", rate, most)
				}
				if rate > limit {
					return false, nil
				}
				best = max(best, rate)
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want := math.Min(limit, most)
			if best < want/precision || best > want {
				t.Errorf("found %g, want %g", best, want)
			}
			if trials > maxTrials {
				t.Errorf("%d trials", trials)
			}
		})
	}
}

// A rate that never holds ends the search; so do a stop and an error.
func TestClimbEnds(t *testing.T) {
	trials := 0
	count := func(err error) func(float64) (bool, error) {
		return func(float64) (bool, error) { trials++; return false, err }
	}
	if err := climb(1e6, count(nil)); err != nil || trials == maxTrials {
		t.Errorf("nothing holds: %v after %d trials", err, trials)
	}
	trials = 0
	if err := climb(1e6, count(ErrStopped)); err != nil || trials != 1 {
		t.Errorf("stopped: %v after %d trials", err, trials)
	}
	broken := errors.New("broken")
	if err := climb(1e6, count(broken)); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
}

// A rate does not hold where so many requests were never sent that the percentile would be theirs.
func TestWhatWasNeverSentMissesAnObjective(t *testing.T) {
	slo, err := report.ParseSLO("p99<20ms")
	if err != nil {
		t.Fatal(err)
	}
	h := report.NewHistogram()
	for range 990 {
		report.Record(h, 1e6)
	}
	s := &capacitySearch{Capacity: Capacity{SLO: slo}}
	for unsent, held := range map[int64]bool{0: true, 5: true, 15: false} {
		r := &report.Report{Elapsed: 1, Total: report.Figures{OK: 990, Latency: report.Summarize(h)}}
		r.Load.Offered, r.Load.Unsent = float64(990+unsent), unsent
		if why := s.judge(r); (why == "") != held {
			t.Errorf("%d of %d never sent: %q", unsent, 990+unsent, why)
		}
		r.Load.LagP99 = 2 * lagTolerated.Seconds() * 1e3
		if why := s.judge(r); (why != "") != strings.Contains(why, "the generator was late") {
			t.Errorf("%d of %d never sent by a late generator: %q", unsent, 990+unsent, why)
		}
	}
}
