package bench

import (
	"context"
	"fmt"
	"time"

	"throng/bench/target"
)

// The load that fills chats: fast, and kind to what has a limit on what is in
// flight.
const (
	fillConnections = 8
	fillPipeline    = 64
)

// fill sends config.Fill messages to each chat, in turn, before the load. They are
// in the ledgers like all others.
func (p *population) fill(ctx context.Context) error {
	n := int64(p.config.Fill) * int64(p.config.Chats)
	if n == 0 {
		return nil
	}
	c := p.newCrew(0, fillPipeline, fillConnections)
	c.filling = true
	defer p.dismiss(c)
	if err := c.connect(ctx, fillConnections, 0); err != nil {
		return fmt.Errorf("fill the chats: %w", err)
	}
	c.answers.expect(n)
	c.budget.allow(n)
	c.refill()
	if err := c.await(ctx, n); err != nil {
		return fmt.Errorf("fill the chats: %w", err)
	}
	c.settle(ctx)
	c.meter.gather(measuring)
	sent := c.meter.total.of(target.Send, false)
	if sent.ok < n {
		return fmt.Errorf("fill the chats: of %d messages only %d were taken: %v", n, sent.ok, sent.errors)
	}
	return nil
}

// await waits until n requests are answered.
func (c *crew) await(ctx context.Context, n int64) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.answers.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			c.giveUp()
			if c.gone() {
				return fmt.Errorf("the server is gone: %w", c.firstLoss())
			}
			c.tell(Progress{Step: StepFill, Done: int(n - c.answers.left.Load()), All: int(n)})
		}
	}
}
