// Package versus compares servers on the same work, side by side: in each round
// every contestant does every work in turn, each on a server that is started afresh
// for it and stopped behind it, one at a time, so that none takes from another and
// all share the machine's good and bad minutes. What counts is the ratio to a reference within a round, and its
// median over the rounds.
package versus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng/bench"
	"throng/bench/report"
	"throng/bench/target"
)

// Server is a contestant that was started and is ready.
type Server struct {
	Target  target.Target
	Addr    string
	Pid     int
	Tree    bool   // its descendants do its work
	DataDir string // whose disk is measured
	Config  string // how it was started
	Stop    func() // ends it, and removes what it left
}

// Contestant is a kind of server, which can be started to keep either promise.
type Contestant struct {
	Name    string // throng, redis, nats, postgres
	Start   func(ctx context.Context, p Promise) (*Server, error)
	Without map[string]string // works that it cannot do, by name, and why
}

// Promise is what an acknowledgement means.
type Promise string

// The promises.
const (
	Durable Promise = "durable" // synced before the acknowledgement
	Relaxed Promise = "relaxed" // not synced before it
)

// Work is one row of the table.
type Work struct {
	Name     string
	Promise  Promise
	Settings report.Settings
}

// Works are the rows, with what they have in common.
func Works(common report.Settings) []Work {
	send := func(name string, p Promise, pipeline int) Work {
		s := common
		s.Workload, s.Pipeline = bench.WorkSend, pipeline
		return Work{Name: name, Promise: p, Settings: s}
	}
	read := common
	read.Workload, read.Mode, read.Pipeline = bench.WorkRead, bench.ModeLast, 16
	read.Count, read.Fill = lastCount, fill
	return []Work{
		send("durable send, P1", Durable, 1),
		send(referenceWork, Durable, 16),
		send("durable send, P64", Durable, 64),
		send("send, no sync before ack, P16", Relaxed, 16),
		{Name: ReadWork, Promise: Durable, Settings: read},
	}
}

// What the figures are ratios to, the work that not every server can do, and how
// reads are done.
const (
	referenceWork = "durable send, P16"
	Reference     = "redis"
	ReadWork      = "read last 20, P16"

	lastCount = 20
	fill      = 100 // messages in each chat before reads
)

// Options say how to compare.
type Options struct {
	Contestants []Contestant
	Works       []Work
	Rounds      int
	Timeout     time.Duration
	Ledger      int
	Lines       []string      // of the corpus, see bench.Config
	Pause       time.Duration // before each contestant, for the disk to come to rest
	Progress    func(round int, contestant, work string, p bench.Progress)
}

// Result is what one contestant did of one work in one round.
type Result struct {
	Round      int
	Contestant string
	Work       Work
	Config     string // how the server was started
	Report     *report.Report
}

// Run carries the rounds out. done is called with each result as it comes. A stop
// ends it behind the work under way.
func Run(ctx context.Context, o Options, stop <-chan struct{}, done func(Result) error) error {
	if len(o.Contestants) == 0 || o.Rounds < 1 {
		return fmt.Errorf("%w: nothing to compare", bench.ErrConfig)
	}
	for round := range o.Rounds {
		for i := range o.Contestants {
			// Each round begins with another one: who is first has no advantage in all.
			c := o.Contestants[(i+round)%len(o.Contestants)]
			if err := o.contest(ctx, round+1, c, stop, done); err != nil {
				return fmt.Errorf("round %d, %s: %w", round+1, c.Name, err)
			}
		}
	}
	return nil
}

// contest lets one contestant do all works of a round.
func (o *Options) contest(ctx context.Context, round int, c Contestant, stop <-chan struct{}, done func(Result) error) error {
	for _, work := range o.Works {
		if stopped(stop) {
			return nil
		}
		if c.Without[work.Name] != "" {
			continue
		}
		if err := o.once(ctx, round, c, work, stop, done); err != nil {
			return fmt.Errorf("%s: %w", work.Name, err)
		}
	}
	return nil
}

// once lets one contestant do one work, on an empty server.
func (o *Options) once(ctx context.Context, round int, c Contestant, work Work, stop <-chan struct{}, done func(Result) error) error {
	select {
	case <-time.After(o.Pause):
	case <-ctx.Done():
		return ctx.Err()
	}
	server, err := c.Start(ctx, work.Promise)
	if err != nil {
		return err
	}
	defer server.Stop()
	config := bench.Config{
		Settings: work.Settings, Target: server.Target, Addr: server.Addr, Timeout: o.Timeout, LedgerEntries: o.Ledger, Lines: o.Lines,
		Pid: server.Pid, Tree: server.Tree, DataDir: server.DataDir,
	}
	if o.Progress != nil {
		config.Progress = func(p bench.Progress) { o.Progress(round, c.Name, work.Name, p) }
	}
	r, err := bench.Run(ctx, config, stop)
	if errors.Is(err, bench.ErrStopped) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.Interrupted {
		return nil
	}
	if r.Verdict != nil && !r.Verdict.OK {
		return fmt.Errorf("%w: %d faults, as %q", ErrFaults, r.Verdict.Faults, r.Verdict.Examples)
	}
	return done(Result{Round: round, Contestant: c.Name, Work: work, Config: server.Config, Report: r})
}

// ErrFaults marks a contestant that lost, duplicated or reordered messages.
var ErrFaults = errors.New("verification failed")

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
