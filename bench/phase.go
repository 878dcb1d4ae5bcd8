package bench

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"throng/bench/load"
	"throng/bench/report"
	"throng/bench/system"
)

// phase is one load on a run's population: warm-up, measured time, and the wait
// for the last answers.
type phase struct {
	measured
	span   span
	stop   <-chan struct{} // ends the load early
	start  int64           // on the run's clock
	last   usage           // at the end of the last row
	pacing sync.WaitGroup
	over   atomic.Bool // nothing more becomes due
}

// measured is what came of one or several phases of a crew.
type measured struct {
	crew    *crew
	started time.Time // of the load, the first where there are several
	rows    []report.Second
	usage   [2]usage // at the two ends of the measured time
	elapsed time.Duration
	made    int64 // open loop: requests that were due
	early   bool  // it was stopped
}

// span is how long a phase lasts.
type span struct {
	warmup, ramp time.Duration
	duration     time.Duration // measured; 0: until requests
	requests     int64         // measured
}

func spanOf(s *report.Settings) span { return span{s.Warmup, s.Ramp, s.Duration, s.Requests} }

// usage is what processes had used at some moment.
type usage struct {
	at        int64 // on the run's clock
	generator time.Duration
	server    system.Usage
}

// load puts a load on the server and waits for its last answers.
func (c *crew) load(ctx context.Context, span span, stop <-chan struct{}) (*phase, error) {
	p := &phase{measured: measured{crew: c}, span: span, stop: stop}
	p.started = time.Now().UTC()
	c.ending.Store(false)
	if err := p.begin(); err != nil {
		return nil, err
	}
	p.wait(ctx, p.span.warmup, warming)
	p.usage[0] = c.usage()
	p.measure(ctx)
	p.usage[1] = c.usage()
	p.elapsed = time.Duration(p.usage[1].at - p.usage[0].at)
	p.over.Store(true)
	p.endPacing(ctx)
	c.end()
	c.settle(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, s := range c.sessions {
		s.dropBacklog()
	}
	p.row(ending)
	return p, nil
}

// endPacing waits for whoever makes requests due. It may be writing to a server that
// does not read.
func (p *phase) endPacing(ctx context.Context) {
	over := make(chan struct{})
	go func() { p.pacing.Wait(); close(over) }()
	tick := time.NewTicker(longestNap)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		if ctx.Err() != nil {
			p.crew.sever()
		} else {
			p.crew.giveUp()
		}
	}
}

// begin lets the sessions ask.
func (p *phase) begin() error {
	c := p.crew
	p.last = c.usage()
	p.start = p.last.at
	c.measuredFrom.Store(p.start + int64(p.span.warmup))
	if p.span.requests > 0 {
		c.answers.expect(p.span.requests)
	}
	if c.open() {
		return p.pace()
	}
	if p.span.requests > 0 && p.span.warmup == 0 {
		c.budget.allow(p.span.requests)
	} else {
		c.budget.allowAll()
	}
	if p.span.requests > 0 && p.span.warmup > 0 {
		c.measuredFrom.Store(math.MaxInt64) // until the warm-up is over
	}
	p.pacing.Go(func() { p.ramp() })
	return nil
}

// pace starts the pacer.
func (p *phase) pace() error {
	c := p.crew
	arrival, err := load.ParseArrival(c.config.Arrival)
	if err != nil {
		return err
	}
	schedule, err := load.NewSchedule(c.rate, arrival, p.span.ramp, c.config.Seed)
	if err != nil {
		return err
	}
	pacer := &pacer{crew: c, schedule: schedule, start: p.start, limit: p.span.requests, due: make([][]int64, len(c.sessions))}
	p.pacing.Go(func() { p.made = pacer.until(p.over.Load) })
	return nil
}

// ramp lets the sessions of a closed loop begin, one after the other.
func (p *phase) ramp() {
	n := len(p.crew.sessions)
	for i, s := range p.crew.sessions {
		at := p.start + int64(p.span.ramp)*int64(i)/int64(n)
		for wait := at - p.crew.now(); wait > 0 && !p.over.Load(); wait = at - p.crew.now() {
			time.Sleep(min(time.Duration(wait), longestNap))
		}
		s.refill()
	}
}

// measure waits until the measured time, or the measured number, is over.
func (p *phase) measure(ctx context.Context) {
	c := p.crew
	if p.span.requests == 0 {
		p.wait(ctx, p.span.duration, measuring)
		return
	}
	if p.span.warmup > 0 && !c.open() {
		c.measuredFrom.Store(c.now()) // what is asked from now on
		c.budget.allow(p.span.requests)
		c.refill()
	}
	p.waitFor(ctx, c.answers.done, measuring)
}

func (p *phase) wait(ctx context.Context, d time.Duration, now stage) {
	if d == 0 {
		return
	}
	over, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	p.waitFor(ctx, over.Done(), now)
}

// waitFor gathers a row each second until the stage is over.
func (p *phase) waitFor(ctx context.Context, over <-chan struct{}, now stage) {
	if p.early {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.row(now)
			p.crew.giveUp()
			if p.span.requests == 0 || !p.crew.gone() {
				continue
			}
			p.early = true // or a number of requests would never be reached
		case <-over:
		case <-p.stop:
			p.early = true
		case <-ctx.Done():
			p.early = true
		}
		p.row(now)
		return
	}
}

// row gathers what was recorded since the last one.
func (p *phase) row(now stage) {
	second := p.crew.meter.gather(now)
	second.Due = p.crew.due.Swap(0)
	use := p.crew.usage()
	second.At = time.Duration(use.at - p.start).Seconds()
	second.Resident = use.server.Resident
	if span := use.at - p.last.at; span > 0 && p.last.at > 0 {
		second.CPU = max(0, float64(use.server.CPU-p.last.server.CPU)/float64(span)) // one that is gone has used none
	}
	p.last = use
	p.rows = append(p.rows, second)
	p.crew.tell(Progress{Step: StepLoad, Second: &second, Elapsed: time.Duration(use.at - p.start)})
}

// usage is what the generator and the server have used until now.
func (c *crew) usage() usage {
	u := usage{at: c.now(), generator: system.SelfCPU()}
	if c.config.Pid > 0 {
		u.server, _ = system.ProcessUsage(c.config.Pid, c.config.Tree) // a server that is gone has no usage
	}
	return u
}

// answers counts measured requests that are over, answered or lost, up to a number.
type answers struct {
	counting atomic.Bool
	left     atomic.Int64
	done     chan struct{} // closed when none is left; made before counting begins
}

// expect begins to count n of them.
func (a *answers) expect(n int64) {
	a.done = make(chan struct{})
	a.left.Store(n)
	a.counting.Store(true)
}

// count takes note of n more.
func (a *answers) count(n int) {
	if a.counting.Load() && a.left.Add(-int64(n)) <= 0 && a.counting.CompareAndSwap(true, false) {
		close(a.done)
	}
}
