package bench

import (
	"context"
	"errors"
	"time"

	"throng/bench/report"
)

// Connect opens connections, logs a user in on each, and holds them idle: it
// measures how fast they come and what each costs the server.
func Connect(ctx context.Context, config Config, stop <-chan struct{}) (*report.Report, error) {
	rate := config.Rate
	config.Rate = 0 // of connections, not of requests
	before, release := beforeLoad(ctx, stop)
	defer release()
	p, err := populate(before, config)
	if err == nil {
		err = p.awaitStart(before)
	}
	if err != nil {
		return nil, orStopped(before, err)
	}
	p.config.Rate = rate
	c := p.newCrew(0, 1, p.config.Connections)
	defer c.close()
	r := p.report()
	ph := &phase{measured: measured{crew: c, started: time.Now().UTC()}, stop: stop}
	use := c.usage()
	ph.start, ph.usage[0], ph.last = use.at, use, use
	c.measuredFrom.Store(ph.start)
	c.once = true
	c.budget.allowAll()
	err = c.connect(before, p.config.Connections, rate)
	if ph.early = errors.Is(err, ErrStopped); err != nil && !ph.early {
		return nil, err
	}
	c.settle(ctx)
	ph.usage[1] = c.usage()
	ph.elapsed = time.Duration(ph.usage[1].at - ph.usage[0].at)
	ph.row(measuring)
	ph.describe(r)
	r.Idle = &report.Idle{
		Connections: c.connected(), ConnectPerS: float64(r.Total.OK) / ph.elapsed.Seconds(), ResidentStart: use.server.Resident,
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
	if n := r.Idle.Connections; r.Idle.ResidentStart > 0 && n > 0 {
		r.Idle.BytesEach = float64(after-r.Idle.ResidentStart) / float64(n)
	}
	r.Seconds = p.rows
	r.Interrupted = p.early
}

// connected is how many sessions have had a connection: all, unless a stop came
// before the last.
func (c *crew) connected() (n int) {
	for _, s := range c.sessions {
		if s.link.Load() != nil {
			n++
		}
	}
	return n
}
