package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"throng/bench"
	"throng/bench/load"
	"throng/bench/report"
	"throng/bench/system"
)

// runner is one of bench's ways to run.
type runner func(ctx context.Context, config bench.Config, stop <-chan struct{}) (*report.Report, error)

// execute runs a workload where the flags say, and reports.
func (c *loadCommand) execute(ctx context.Context, t terminal, s report.Settings, run runner) error {
	config, err := c.config(s)
	if err != nil {
		return err
	}
	if len(c.Agents) > 0 && c.Addr == "" && c.Target == "" {
		return fmt.Errorf("%w: agents need --addr or --target: a server that is started here would listen on loopback only", errUsage)
	}
	ctx, stop, release := interruptible(ctx)
	defer release()
	system.RaiseFiles()
	at, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer at.close()
	config.Target, config.Addr, config.Pid, config.Tree, config.DataDir = at.target, at.addr, at.pid, at.tree, at.dataDir
	progress := t.progress(c.NoProgress, &config)
	config.Progress = progress.show
	if len(c.Agents) > 0 {
		if run, err = c.agentFlags.runner(at.url); err != nil {
			return err
		}
	}
	ctx, over := at.watched(ctx)
	defer over()
	r, err := run(ctx, config, stop)
	progress.end()
	switch {
	case err != nil && (r == nil || ctx.Err() != nil):
		return at.explain(causeOf(ctx, err))
	case err != nil: // what was measured is worth having, though nothing proves it
		r.Warnings = append(r.Warnings, "the run did not come to its end: "+err.Error())
	}
	r.Command = t.command()
	return errors.Join(err, c.publish(t, r))
}

// interruptible ends the load at the first signal and everything at the second.
func interruptible(ctx context.Context) (_ context.Context, stop <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		select {
		case <-signals:
			close(stopped)
		case <-done:
			return
		}
		select {
		case <-signals:
			cancel(fmt.Errorf("%w twice: there are no results", errInterrupted))
		case <-done:
		}
	}()
	return ctx, stopped, func() { signal.Stop(signals); close(done); cancel(nil) }
}

// causeOf is why a context is done, where it is, and not just that a run ended with it.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// config reads the flags.
func (c *loadCommand) config(s report.Settings) (config bench.Config, err error) {
	s.Connections, s.Pipeline, s.Rate = c.Connections, c.Pipeline, c.Rate
	if s.Rate > 0 {
		s.Arrival = c.Arrival
	}
	s.Duration, s.Requests, s.Warmup, s.Ramp = c.Duration, c.Requests, c.Warmup, c.Ramp
	if s.Duration == 0 && s.Requests == 0 {
		s.Duration = defaultDuration
	}
	s.Chats, s.Users, s.Members, s.Zipf = c.Chats, c.Users, min(c.Members, c.Users), c.Zipf
	s.Verify = c.Verify
	s.Seed = cmp.Or(c.Seed, rand.Uint64()>>seedShift)
	config = bench.Config{Timeout: c.Timeout, LedgerEntries: c.Ledger}
	var faults []error
	sizes, err := load.ParseSizes(c.Size)
	if err != nil {
		faults = append(faults, fmt.Errorf("--size: %w", err))
	}
	s.SizeMin, s.SizeMax = sizes.Min, sizes.Max
	if config.Sources, err = system.ParseSources(c.Source); err != nil {
		faults = append(faults, fmt.Errorf("--source: %w", err))
	}
	if c.Corpus != "" {
		s.Corpus = filepath.Base(c.Corpus)
		if config.Lines, err = readCorpus(c.Corpus); err != nil {
			faults = append(faults, fmt.Errorf("--corpus: %w", err))
		}
	}
	config.Settings = s
	if err := errors.Join(faults...); err != nil {
		return config, fmt.Errorf("%w:\n%w", errUsage, err)
	}
	return config, nil
}

const (
	defaultDuration = 10 * time.Second
	seedShift       = 44 // a seed that was drawn has few digits, to be typed again
)

func parseMix(text string) (map[string]int, error) {
	mix, err := load.ParseMix(text)
	if err != nil {
		return nil, fmt.Errorf("%w: --mix: %w", errUsage, err)
	}
	return mix.Weights(), nil
}

// readCorpus reads the lines that texts are made of.
func readCorpus(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return load.ReadCorpus(f)
}
