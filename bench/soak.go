package bench

import (
	"context"
	"fmt"
	"time"

	"throng/bench/report"
)

// DefaultRound is the time of load between two verifications of a soak.
const DefaultRound = time.Minute

// Soak loads for a long time and verifies round by round, so that what it must
// remember stays bounded: after each round the load pauses, what is new in every
// chat is read back and held against the ledgers, and the ledgers are emptied. At
// the end every chat is read back whole once more. The first fault ends it.
func Soak(ctx context.Context, config Config, stop <-chan struct{}) (*report.Report, error) {
	if config.Rounds == 0 {
		config.Rounds = DefaultRound
	}
	c, err := assemble(ctx, config, stop)
	if err != nil {
		return nil, err
	}
	defer c.close()
	p := c.population
	s := &soak{crew: c, report: p.report(), all: measured{crew: c}}
	if err := s.rounds(ctx, stop); err != nil {
		if len(s.report.Seconds) == 0 {
			return nil, err
		}
		return s.report, err
	}
	return s.report, p.conclude(ctx, s.report)
}

// soak is a soak under way.
type soak struct {
	*crew
	report *report.Report
	all    measured // of the rounds so far
}

func (s *soak) rounds(ctx context.Context, stop <-chan struct{}) error {
	left, began := s.config.Duration, s.now()
	for round := 1; left > 0; round++ {
		sp := span{duration: min(left, s.config.Rounds)}
		if round == 1 {
			sp.warmup, sp.ramp = s.config.Warmup, s.config.Ramp
		}
		ph, err := s.load(ctx, sp, stop)
		if err != nil {
			return err
		}
		left -= sp.duration
		s.add(ph, began)
		s.takeLedgers()
		clean, err := s.verifyRound(ctx, s.report)
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if !clean || ph.early {
			break
		}
	}
	return nil
}

// add sums a round up with those before it.
func (s *soak) add(ph *phase, began int64) {
	for i := range ph.rows {
		ph.rows[i].At += time.Duration(ph.start - began).Seconds()
	}
	all := &s.all
	if all.started.IsZero() {
		all.started = ph.started
	}
	all.rows = append(all.rows, ph.rows...)
	all.elapsed += ph.elapsed
	all.made += ph.made
	all.early = ph.early
	for i, u := range ph.usage {
		all.usage[i].generator += u.generator
		all.usage[i].server.CPU += u.server.CPU
		all.usage[i].server.Resident, all.usage[i].server.Peak = u.server.Resident, u.server.Peak
	}
	s.report.Warnings = nil // those of the rounds before come again if they still hold
	all.describe(s.report)
}
