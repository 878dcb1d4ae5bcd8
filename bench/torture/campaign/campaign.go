// Package campaign runs a test's rounds: a few in a plain `go test`, thousands
// where the environment says so, counted over as many runs as that takes. It is
// test support only, for whatever breaks the server at random.
//
//	c := campaign.Start(t, "kills", campaign.Short(3))
//	for c.Next() {
//		draw(c.Rand())
//		c.Add("acknowledged", n)
//	}
//
// The environment says how far to go:
//
//	THRONG_TORTURE_ROUNDS  the rounds to reach, those of earlier runs included
//	THRONG_TORTURE_TALLY   the file in which rounds and sums accumulate, by commit
//	THRONG_TORTURE_SEED    what the rounds draw from; by default another one each run
//	THRONG_TORTURE_ONLY    the number of the one round to run: to repeat a failure
//
// A round counts once it has ended without a failure. A failure ends the campaign
// and says how to repeat its round; a later run begins with that number again. At
// the end one line sums everything up, with the commit, fit to publish.
package campaign

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The environment's names.
const (
	roundsVar = "THRONG_TORTURE_ROUNDS"
	seedVar   = "THRONG_TORTURE_SEED"
	tallyVar  = "THRONG_TORTURE_TALLY"
	onlyVar   = "THRONG_TORTURE_ONLY"
)

// progressEvery is the time between two lines of progress, at least.
const progressEvery = 10 * time.Second

// Short is the number of rounds where the environment names none.
type Short int

// Campaign is a test's rounds. It belongs to the test's goroutine, but for Add.
type Campaign struct {
	t      testing.TB
	name   string
	commit string
	seed   uint64
	goal   int    // rounds to reach
	only   int    // the one round to run, or -1
	file   string // the tally's, absolute; empty: none
	done   count  // by this commit, with the rounds of earlier runs

	// Of the round that is under way.
	running bool
	round   int
	rng     *rand.Rand
	began   time.Time
	sums    sums

	told time.Time // the last line of progress
}

// Start begins a campaign, or takes up the one of that name that an earlier run of
// this commit has left in the tally. The name is a word; each campaign of a
// tally has its own. A setting that makes no sense ends the test.
func Start(t testing.TB, name string, short Short) *Campaign {
	t.Helper()
	c := &Campaign{t: t, name: name, seed: rand.Uint64(), goal: int(short), only: -1, told: time.Now()}
	if err := c.configure(); err != nil {
		t.Fatalf("campaign %s: %v", name, err)
	}
	t.Cleanup(c.finish)
	return c
}

// configure reads the environment and the tally.
func (c *Campaign) configure() error {
	if err := setting(roundsVar, func(s string) (err error) { c.goal, err = strconv.Atoi(s); return err }); err != nil {
		return err
	}
	if err := setting(seedVar, func(s string) (err error) { c.seed, err = strconv.ParseUint(s, 10, 64); return err }); err != nil {
		return err
	}
	if err := setting(onlyVar, func(s string) (err error) { c.only, err = strconv.Atoi(s); return err }); err != nil {
		return err
	}
	c.commit = commit(c.t.Context())
	if c.only >= 0 {
		c.goal = 1 // one that is repeated counts nowhere
		return nil
	}
	return setting(tallyVar, func(s string) (err error) {
		if c.file, err = filepath.Abs(s); err != nil {
			return err
		}
		c.done, err = load(c.file, c.commit, c.name)
		return err
	})
}

// setting hands a variable that is set to take.
func setting(name string, take func(string) error) error {
	value := os.Getenv(name)
	if value == "" {
		return nil
	}
	if err := take(value); err != nil {
		return fmt.Errorf("%s=%q: %w", name, value, err)
	}
	return nil
}

// Next ends the round that is under way and begins the next one. It is false when
// the rounds are done, or one has failed.
func (c *Campaign) Next() bool {
	c.t.Helper()
	c.complete()
	if c.t.Failed() || c.done.Rounds >= c.goal {
		return false
	}
	c.round = c.done.Rounds
	if c.only >= 0 {
		c.round = c.only
	}
	c.rng = rand.New(rand.NewPCG(c.seed, uint64(c.round)))
	c.sums, c.began, c.running = sums{}, time.Now(), true
	return true
}

// complete counts the round that is under way, unless it has failed.
func (c *Campaign) complete() {
	c.t.Helper()
	if !c.running || c.t.Failed() {
		return
	}
	c.running = false
	c.done.add(c.sums.take(), time.Since(c.began))
	if c.file != "" {
		if err := store(c.file, c.commit, c.name, c.done); err != nil {
			c.t.Errorf("campaign %s: %v", c.name, err)
		}
	}
	if time.Since(c.told) >= progressEvery {
		c.told = time.Now()
		c.t.Logf("%s: %d of %d rounds", c.name, c.done.Rounds, c.goal)
	}
}

// Round is the number of the round that is under way, from 0.
func (c *Campaign) Round() int { return c.round }

// Rand is what the round draws from, and nobody else: the same seed and round draw
// the same. It is not for several goroutines at once.
func (c *Campaign) Rand() *rand.Rand { return c.rng }

// Add adds to a sum of the summary line. Any goroutine may call it, until the round
// is over. What a round that fails has added is not counted.
func (c *Campaign) Add(what string, n int64) { c.sums.add(what, n) }

// Total is a sum of all rounds that are counted, those of earlier runs included.
func (c *Campaign) Total(what string) int64 { return c.done.Sums[what] }

// finish says how to repeat the round that failed, and sums up.
func (c *Campaign) finish() {
	if c.running && c.t.Failed() {
		c.t.Logf("%s: round %d failed; repeat it with %s=%d %s=%d", c.name, c.round, seedVar, c.seed, onlyVar, c.round)
	}
	c.t.Log(c.Summary())
}

// Summary is the line that says what was run and what it counted, by name.
func (c *Campaign) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rounds in %v, commit %s", c.name, c.done.Rounds, c.done.took().Round(time.Second), c.commit)
	for i, what := range slices.Sorted(maps.Keys(c.done.Sums)) {
		sep := ", "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%d %s", sep, c.done.Sums[what], what)
	}
	return b.String()
}
