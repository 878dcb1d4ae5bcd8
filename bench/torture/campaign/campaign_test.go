package campaign

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// watched is a test whose failure and log belong to us.
type watched struct {
	testing.TB
	failed  bool
	log     []string
	cleanup []func()
}

func (w *watched) Failed() bool     { return w.failed }
func (w *watched) Helper()          {}
func (w *watched) Cleanup(f func()) { w.cleanup = append(w.cleanup, f) }
func (w *watched) Log(args ...any)  { w.log = append(w.log, fmt.Sprint(args...)) }
func (w *watched) Logf(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *watched) Errorf(format string, args ...any) {
	w.failed = true
	w.Logf(format, args...)
}

// end is the end of the watched test; it returns its log.
func (w *watched) end() string {
	for _, f := range slices.Backward(w.cleanup) {
		f()
	}
	return strings.Join(w.log, "\n")
}

// alone clears the environment of what the run of this test is told.
func alone(t *testing.T) {
	for _, name := range []string{roundsVar, seedVar, tallyVar, onlyVar} {
		t.Setenv(name, "")
	}
}

// run runs a campaign whose round number fail fails, and returns the numbers of the
// rounds, what each drew first, and the log.
func run(t *testing.T, fail int) (rounds []int, drawn []uint64, log string) {
	t.Helper()
	w := &watched{TB: t}
	c := Start(w, "tried", Short(3))
	for c.Next() {
		rounds, drawn = append(rounds, c.Round()), append(drawn, c.Rand().Uint64())
		c.Add("acknowledged", 10)
		if c.Round() == fail {
			w.Errorf("broken")
		}
	}
	return rounds, drawn, w.end()
}

func TestAPlainRunIsShort(t *testing.T) {
	alone(t)
	rounds, drawn, log := run(t, -1)
	if !slices.Equal(rounds, []int{0, 1, 2}) || drawn[0] == drawn[1] {
		t.Errorf("rounds %v drew %v", rounds, drawn)
	}
	if !strings.Contains(log, "tried: 3 rounds in ") || !strings.Contains(log, ": 30 acknowledged") {
		t.Errorf("summary %q", log)
	}
}

func TestASeedAndARoundDrawTheSameAgain(t *testing.T) {
	alone(t)
	t.Setenv(seedVar, "7")
	_, first, _ := run(t, -1)
	t.Setenv(onlyVar, "2")
	rounds, again, _ := run(t, -1)
	if !slices.Equal(rounds, []int{2}) || !slices.Equal(again, first[2:]) {
		t.Errorf("rounds %v drew %v, the first time %v", rounds, again, first)
	}
}

func TestCountsAccumulateOverRuns(t *testing.T) {
	alone(t)
	t.Setenv(tallyVar, filepath.Join(t.TempDir(), "new", "tally.json"))
	t.Setenv(roundsVar, "2")
	run(t, -1)
	t.Setenv(roundsVar, "5")
	rounds, _, log := run(t, -1)
	if !slices.Equal(rounds, []int{2, 3, 4}) || !strings.Contains(log, "tried: 5 rounds") || !strings.Contains(log, ": 50 acknowledged") {
		t.Errorf("rounds %v, then %q", rounds, log)
	}
	if rounds, _, _ := run(t, -1); len(rounds) != 0 {
		t.Errorf("rounds %v though the goal is reached", rounds)
	}
}

func TestAFailedRoundIsNotCountedAndSaysHowToRepeatIt(t *testing.T) {
	alone(t)
	t.Setenv(seedVar, "7")
	t.Setenv(roundsVar, "4")
	t.Setenv(tallyVar, filepath.Join(t.TempDir(), "tally.json"))
	rounds, _, log := run(t, 1)
	if !slices.Equal(rounds, []int{0, 1}) {
		t.Errorf("rounds %v, want none behind the failure", rounds)
	}
	for _, want := range []string{"THRONG_TORTURE_SEED=7 THRONG_TORTURE_ONLY=1", "tried: 1 rounds", ": 10 acknowledged"} {
		if !strings.Contains(log, want) {
			t.Errorf("log %q lacks %q", log, want)
		}
	}
	if rounds, _, _ := run(t, -1); !slices.Equal(rounds, []int{1, 2, 3}) {
		t.Errorf("later rounds %v, want the failed one again", rounds)
	}
}

// Campaigns of several packages run at once and share the file.
func TestATallyKeepsWhatOthersWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally.json")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 5 {
				if err := store(file, "commit", fmt.Sprint(i), count{Rounds: n + 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for i := range 8 {
		if c, err := load(file, "commit", fmt.Sprint(i)); err != nil || c.Rounds != 5 {
			t.Errorf("campaign %d: %+v, %v", i, c, err)
		}
	}
}

func TestWhatMakesNoSenseIsNotOverlooked(t *testing.T) {
	alone(t)
	for _, name := range []string{roundsVar, seedVar, onlyVar} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "many")
			if err := (&Campaign{t: t, only: -1}).configure(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v, want one that names %s", err, name)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "tally.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(tallyVar, file)
	if err := (&Campaign{t: t, only: -1}).configure(); err == nil {
		t.Error("a tally that cannot be read is taken for an empty one")
	}
}
