package bench

import (
	"context"
	"testing"
	"time"

	"throng/bench/report"
	"throng/bench/target"
)

// nowhere is a connection on which nothing is sent.
type nowhere struct{ target.Conn }

func (nowhere) Submit([]target.Op) error { return nil }

// anything is a target that can do everything and does nothing.
type anything struct{ target.Target }

func (anything) Supports(target.Kind) bool { return true }

func (anything) Dial(context.Context, target.Dial, target.Sink) (target.Conn, error) {
	return nowhere{}, nil
}

// BenchmarkSession measures what a session costs by itself: to take 64 answers in and to make 64 requests. Its unit is
// one request.
func BenchmarkSession(b *testing.B) {
	const window = 64
	for name, verify := range map[string]bool{"ledger": true, "bare": false} {
		b.Run(name, func(b *testing.B) {
			config := Config{Target: anything{}, Settings: report.Settings{
				Workload: WorkSend, Connections: 1, Pipeline: window, Requests: 1, Chats: 1000, Users: 1000, Members: 10,
				SizeMin: 64, SizeMax: 64, Verify: verify, Seed: 1,
			}}
			if err := config.check(); err != nil {
				b.Fatal(err)
			}
			p := &population{config: config, epoch: time.Now(), plan: target.Plan{Users: 1000, Chats: 1000, Members: 10}}
			p.sample.init(&config)
			var err error
			if p.work, err = newWork(&config, p.plan, true); err != nil {
				b.Fatal(err)
			}
			c := p.newCrew(0, window, 1)
			if err := c.connect(b.Context(), 1, 0); err != nil {
				b.Fatal(err)
			}
			c.budget.allowAll()
			c.refill()
			replies := make([]target.Reply, window)
			for i := range replies {
				replies[i].Index = 1
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%window == 0 {
					c.sessions[0].Replies(replies)
				}
			}
		})
	}
}
