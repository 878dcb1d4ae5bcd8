package bench

import (
	"context"
	"time"

	"throng/bench/report"
)

// Connect opens connections, logs a user in on each, and holds them idle: it
// measures how fast they come and what each costs the server.
func Connect(ctx context.Context, config Config, stop <-chan struct{}) (*report.Report, error) {
	rate := config.Rate
	config.Rate = 0 // of connections, not of requests
	p, err := populate(ctx, config)
	if err != nil {
		return nil, err
	}
	p.config.Rate = rate
	c := p.newCrew(0, 1, p.config.Connections)
	defer c.close()
	r := p.report()
	ph := &phase{measured: measured{crew: c, started: time.Now().UTC()}, stop: stop}
	before := c.usage()
	ph.start, ph.usage[0], ph.last = before.at, before, before
	c.measuredFrom.Store(ph.start)
	c.once = true
	c.budget.allowAll()
	if err := c.connect(ctx, p.config.Connections, rate); err != nil {
		return nil, err
	}
	c.settle(ctx)
	ph.usage[1] = c.usage()
	ph.elapsed = time.Duration(ph.usage[1].at - ph.usage[0].at)
	ph.row(measuring)
	ph.describe(r)
	r.Idle = &report.Idle{
		Connections: len(c.sessions), ConnectPerS: float64(r.Total.OK) / ph.elapsed.Seconds(), ResidentStart: before.server.Resident,
	}
	ph.hold(ctx, r)
	return r, ctx.Err()
}

// hold keeps the connections idle for a while, and tells what they cost and how
// many the server did not keep.
func (p *phase) hold(ctx context.Context, r *report.Report) {
	c := p.crew
	p.wait(ctx, c.config.Idle, ending)
	r.Idle.Dropped = c.losses
	after := c.usage().server.Resident
	r.Idle.ResidentIdle = after
	if r.Idle.ResidentStart > 0 {
		r.Idle.BytesEach = float64(after-r.Idle.ResidentStart) / float64(len(c.sessions))
	}
	r.Seconds = p.rows
	r.Interrupted = p.early
}
