package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng/bench/report"
	"throng/bench/system"
)

// Run puts the configured load on the target and reports what came of it. A stop
// ends the load early; what was measured until then is reported, verified like a
// whole run, and marked. When ctx is done all ends at once, with an error.
func Run(ctx context.Context, config Config, stop <-chan struct{}) (*report.Report, error) {
	c, err := assemble(ctx, config, stop)
	if err != nil {
		return nil, err
	}
	p := c.population
	ph, err := c.load(ctx, spanOf(&p.config.Settings), stop)
	r := p.report()
	if err == nil {
		ph.describe(r)
	}
	p.dismiss(c)
	if err != nil {
		return nil, err
	}
	return r, p.verify(ctx, r)
}

// ErrStopped says that a run was stopped before anything was measured.
var ErrStopped = errors.New("stopped before the load")

// beforeLoad returns the context of what precedes the load: a stop ends it.
func beforeLoad(ctx context.Context, stop <-chan struct{}) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-stop:
			cancel(ErrStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// assemble makes the population and a crew that is connected, and waits for the
// other generators, if there are any.
func assemble(ctx context.Context, config Config, stop <-chan struct{}) (*crew, error) {
	ctx, release := beforeLoad(ctx, stop)
	defer release()
	p, err := populate(ctx, config)
	if err != nil {
		return nil, orStopped(ctx, err)
	}
	c := p.newCrew(p.config.Rate, p.config.Pipeline, p.config.Connections)
	if err = c.connect(ctx, p.config.Connections, 0); err == nil {
		err = p.awaitStart(ctx)
	}
	if err != nil {
		c.close()
		return nil, orStopped(ctx, err)
	}
	return c, nil
}

// orStopped is ErrStopped where that is why something failed.
func orStopped(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStopped) {
		return cause
	}
	return err
}

// awaitStart waits for the other generators.
func (p *population) awaitStart(ctx context.Context) error {
	if p.config.Ready == nil {
		return nil
	}
	if err := p.config.Ready(ctx); err != nil {
		return fmt.Errorf("wait for the start: %w", err)
	}
	return nil
}

// report begins a report: all that is known without a load.
func (p *population) report() *report.Report {
	return &report.Report{
		Schema: report.Schema, Tool: system.Tool(), Settings: p.config.Settings,
		Machine: system.Machine(),
		Server: report.Server{
			Info: p.info, Addr: p.config.Addr, Local: p.config.Pid > 0, Disk: p.disk,
		},
	}
}

// describe writes down what was measured.
func (m *measured) describe(r *report.Report) {
	c := m.crew
	r.Started = m.started
	r.Elapsed = m.elapsed.Seconds()
	r.Total, r.Kinds = c.meter.figures(m.elapsed)
	r.Seconds = m.rows
	r.Interrupted = m.early
	r.Load = report.Load{
		Achieved: r.Total.PerS,
		CPU:      (m.usage[1].generator - m.usage[0].generator).Seconds(),
	}
	if c.open() {
		r.Load.Offered = float64(m.made) / r.Elapsed
		r.Load.Unsent = c.unsent()
		r.Load.LagP99 = report.Quantile(c.lag.histogram, 99)
		r.Load.LagMax = report.Quantile(c.lag.histogram, 100)
	}
	r.Server.CPU = max(0, m.usage[1].server.CPU-m.usage[0].server.CPU).Seconds()
	r.Server.Resident, r.Server.Peak = m.usage[1].server.Resident, m.usage[1].server.Peak
	m.warn(r)
}

// unsent is how many requests were due and never sent.
func (c *crew) unsent() (n int64) {
	for _, s := range c.sessions {
		s.mu.Lock()
		n += s.unsent
		s.mu.Unlock()
	}
	return n
}

// The generator is at fault where more than this goes wrong.
const (
	lagTolerated = 5 * time.Millisecond // at the 99th percentile
	cpuTolerated = 0.9                  // of all processors, for the generator alone
)

// warn says what makes the figures doubtful.
func (m *measured) warn(r *report.Report) {
	c := m.crew
	warn := func(doubt bool, format string, args ...any) {
		if doubt {
			r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
		}
	}
	warn(r.Load.LagP99 > lagTolerated.Seconds()*1e3,
		"the generator lagged behind its own schedule (p99 %s): it, not the server, limits this run", report.Millis(r.Load.LagP99))
	warn(r.Load.Unsent > 0, "%d requests were due and never sent: the server did not keep up, and the latencies of those that were are a lower bound", r.Load.Unsent)
	cores := r.Load.CPU / r.Elapsed
	warn(cores > cpuTolerated*float64(r.Machine.Cores), "the generator used %.1f of %d processors: it may be what was measured", cores, r.Machine.Cores)
	warn(c.losses > 0, "connections were lost %d times, the first by: %v", c.losses, c.lostOnce)
	warn(r.Total.OK == 0, "nothing succeeded")
	warn(r.Elapsed < 1 && r.Settings.Requests > 0, "the measured time was %.2f s: too short to say much", r.Elapsed)
}
