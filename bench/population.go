package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"throng/bench/check"
	"throng/bench/report"
	"throng/bench/system"
	"throng/bench/target"
)

// population is what a run has made on the server, the users, the chats and their
// members, and all that was seen of it: one crew after the other works on it.
type population struct {
	config Config
	info   target.Info
	plan   target.Plan
	work   *work
	epoch  time.Time // of the run's clock
	disk   *report.Disk
	sample sample

	scratch  sync.Pool // of *scratch
	numbered int       // sessions so far, of all crews
	ledgers  []check.Ledger
	faults   faults // what single pages told

	verification verification
}

// init makes what needs no server.
func (p *population) init() {
	p.sample.init(&p.config)
	p.scratch.New = func() any { return new(scratch) }
}

// now is nanoseconds on the run's clock, which never goes back.
func (p *population) now() int64 { return int64(time.Since(p.epoch)) }

func (p *population) tell(progress Progress) {
	if p.config.Progress != nil {
		p.config.Progress(progress)
	}
}

// populate asks the server what it is, makes the population, and fills its chats.
func populate(ctx context.Context, config Config) (*population, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	p := &population{
		config: config, epoch: time.Now(),
		plan: target.Plan{Users: config.Users, Chats: config.Chats, Members: config.Members, Seed: config.Seed},
	}
	p.init()
	var err error
	if p.info, err = config.Target.Describe(ctx); err != nil {
		return nil, fmt.Errorf("ask the server what it is: %w", err)
	}
	p.config.Settings.Target = p.info.Kind
	if p.work, err = newWork(&p.config, p.plan, p.info.Dense); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := p.probeDisk(ctx); err != nil {
		return nil, err
	}
	tell := func(done, all int) { p.tell(Progress{Step: StepPrepare, Done: done, All: all}) }
	if err := config.Target.Prepare(ctx, p.plan, tell); err != nil {
		return nil, fmt.Errorf("prepare users and chats: %w", err)
	}
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *population) probeDisk(ctx context.Context) error {
	if p.config.DataDir == "" {
		return nil
	}
	disk, err := system.FsyncProbe(ctx, p.config.DataDir)
	p.disk = &disk
	return err
}

// dropLeftOut drops what the ledgers hold of chats that are not verified any more:
// who had room for them when another session had none has not noticed.
func (p *population) dropLeftOut() {
	for i := range p.ledgers {
		l := &p.ledgers[i]
		l.Sends = slices.DeleteFunc(l.Sends, func(s check.Send) bool { return !p.sample.has(s.Chat) })
		l.Reads = slices.DeleteFunc(l.Reads, func(r check.Read) bool { return !p.sample.has(r.Chat) })
	}
}

// dismiss ends a crew's connections and keeps what it has seen.
func (p *population) dismiss(c *crew) {
	c.close()
	c.takeLedgers()
}
