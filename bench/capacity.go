package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng/bench/report"
)

// Capacity says how to search for the highest rate that holds.
type Capacity struct {
	SLO   report.SLO
	Trial time.Duration // measured time of each trial; 0: DefaultTrial
	Most  float64       // the highest rate to try; 0: what a closed loop reaches tells
}

// Defaults and limits of a search.
const (
	DefaultTrial = 5 * time.Second

	trialWarmup = time.Second
	probeTime   = 2 * time.Second
	probeMargin = 1.25 // above what the closed loop reached nothing is tried
	firstShare  = 16   // the first trial's part of the most
	maxTrials   = 24
	precision   = 1.05 // the search ends where what holds and what does not are this close
	keptUp      = 0.98 // of what is due must be done, if only after the end
)

// FindCapacity searches for the highest rate at which the target meets an
// objective. The report is that of the best trial, with the whole curve.
func FindCapacity(ctx context.Context, config Config, search Capacity, stop <-chan struct{}) (*report.Report, error) {
	if search.Trial == 0 {
		search.Trial = DefaultTrial
	}
	config.Duration, config.Requests, config.Rate, config.Ramp = search.Trial, 0, 0, 0
	before, release := beforeLoad(ctx, stop)
	defer release()
	p, err := populate(before, config)
	if err != nil {
		return nil, orStopped(before, err)
	}
	s := &capacitySearch{population: p, Capacity: search, stop: stop}
	if s.Most == 0 {
		if s.Most, err = s.probe(ctx); err != nil {
			return nil, err
		}
	}
	err = climb(s.Most, func(rate float64) (bool, error) { return s.trial(ctx, rate) })
	if err != nil && !errors.Is(err, errFaulty) {
		return nil, err
	}
	r := s.best
	if r == nil {
		r = s.last
	}
	if r == nil {
		return nil, ErrStopped
	}
	if s.best == nil {
		r.Warnings = append(r.Warnings, "no rate held: the figures are those of the last trial")
	}
	if s.best != nil && s.Most <= s.best.Settings.Rate {
		r.Warnings = append(r.Warnings, fmt.Sprintf("even the highest rate that was to be tried, %s, held: the limit may be above it", report.Rate(s.Most)))
	}
	r.Curve, r.Interrupted = s.curve, s.stopped()
	return r, p.conclude(ctx, r)
}

// errFaulty ends a search: a rate at which messages are lost is no rate.
var errFaulty = errors.New("verification found a fault")

// capacitySearch is a search under way.
type capacitySearch struct {
	*population
	Capacity
	stop  <-chan struct{}
	curve []report.Capacity
	best  *report.Report // of the highest rate that held
	last  *report.Report
}

func (s *capacitySearch) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// probe tells how far a closed loop comes, which no open loop can exceed by much.
func (s *capacitySearch) probe(ctx context.Context) (float64, error) {
	r, err := s.once(ctx, 0, span{warmup: s.config.Warmup, duration: probeTime})
	if err != nil {
		return 0, err
	}
	if s.stopped() {
		return 0, ErrStopped
	}
	if _, err := s.verifyRound(ctx, r); err != nil {
		return 0, err
	}
	if r.Total.PerS == 0 {
		return 0, fmt.Errorf("nothing succeeded at all: %v", r.Total.Errors)
	}
	return r.Total.PerS * probeMargin, nil
}

// once runs one load over the population.
func (s *capacitySearch) once(ctx context.Context, rate float64, span span) (*report.Report, error) {
	before, release := beforeLoad(ctx, s.stop)
	defer release()
	c := s.newCrew(rate, s.config.Pipeline, s.config.Connections)
	defer s.dismiss(c)
	if err := c.connect(before, s.config.Connections, 0); err != nil {
		return nil, err
	}
	ph, err := c.load(ctx, span, s.stop)
	if err != nil {
		return nil, err
	}
	r := s.report()
	r.Settings.Rate = rate
	ph.describe(r)
	return r, nil
}

// trial offers a rate and tells whether it held.
func (s *capacitySearch) trial(ctx context.Context, rate float64) (bool, error) {
	if s.stopped() {
		return false, ErrStopped
	}
	r, err := s.once(ctx, rate, span{warmup: s.config.Warmup, duration: s.Trial})
	if err != nil {
		return false, err
	}
	if r.Interrupted {
		return false, ErrStopped
	}
	// What a search of many trials must remember stays bounded: see Soak.
	if clean, err := s.verifyRound(ctx, r); err != nil || !clean {
		s.best, s.last = nil, r
		return false, errors.Join(err, errFaulty)
	}
	why := s.judge(r)
	s.last = r
	if why == "" && (s.best == nil || r.Settings.Rate > s.best.Settings.Rate) {
		s.best = r
	}
	s.curve = append(s.curve, report.Capacity{
		Rate: rate, Achieved: r.Load.Achieved, Held: why == "", Why: why,
		P50: r.Total.Latency.P50, P99: r.Total.Latency.P99, P999: r.Total.Latency.P999,
	})
	return why == "", nil
}

// judge returns why a trial did not hold; empty: it did. Where the generator itself
// was late, the reason says so: the server is not to blame then.
func (s *capacitySearch) judge(r *report.Report) string {
	why := s.missed(r)
	if why != "" && r.Load.LagP99 > lagTolerated.Seconds()*1e3 {
		why += fmt.Sprintf(" (but the generator was late by p99 %s)", report.Millis(r.Load.LagP99))
	}
	return why
}

func (s *capacitySearch) missed(r *report.Report) string {
	due := r.Load.Offered * r.Elapsed
	if done := float64(r.Total.OK); done < keptUp*due {
		return fmt.Sprintf("%.1f %% of what was due was done", 100*done/due)
	}
	figures := r.Total
	if r.Load.Unsent > 0 { // they would have been the latest of all
		latencies, err := figures.Latency.Histogram()
		if err != nil {
			panic("bench: a histogram of ours cannot be read: " + err.Error())
		}
		for range r.Load.Unsent {
			report.Record(latencies, report.HighestLatency)
		}
		figures.Latency = report.Summarize(latencies)
	}
	_, why := s.SLO.Holds(figures)
	return why
}
