package bench

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

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
			p.init()
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

// A request that finds the backlog full is over: a run of a number of requests would wait for it for ever.
func TestARequestThatFindsNoRoomIsOver(t *testing.T) {
	c := &crew{population: &population{}, rate: 1}
	s := &session{crew: c}
	for range maxBacklog {
		s.backlog.push(0)
	}
	c.answers.expect(1)
	s.enqueue([]int64{5})
	select {
	case <-c.answers.done:
	default:
		t.Error("it is waited for")
	}
	if c.sessions = []*session{s}; c.unsent() != 1 {
		t.Errorf("%d requests were never sent, want 1", c.unsent())
	}
}

// The lag is the generator's own fault: what had to wait for a connection, or was due in the warm-up, does not count.
func TestLagIsOfTheGeneratorAlone(t *testing.T) {
	config := Config{Target: anything{}, Settings: report.Settings{
		Workload: WorkSend, Connections: 1, Pipeline: 8, Requests: 1, Chats: 1, Users: 1, Members: 1, SizeMin: 64, SizeMax: 64,
	}}
	p := &population{config: config, epoch: time.Now().Add(-time.Hour), plan: target.Plan{Users: 1, Chats: 1, Members: 1}}
	p.init()
	var err error
	if p.work, err = newWork(&config, p.plan, true); err != nil {
		t.Fatal(err)
	}
	c := p.newCrew(1000, 8, 1)
	due := c.now() - int64(time.Minute)
	s := c.newSession(0)
	c.sessions = []*session{s}
	s.enqueue([]int64{due}) // there is no connection
	if err := s.dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lag := report.Quantile(c.lag.histogram, 100); s.flights.len() != 1 || lag > 1000 {
		t.Errorf("%d requests were sent, with a lag of %g ms", s.flights.len(), lag)
	}
	c.measuredFrom.Store(c.now())
	before := c.lag.histogram.TotalCount()
	s.enqueue([]int64{due})
	if n := c.lag.histogram.TotalCount() - before; s.flights.len() != 2 || n != 0 {
		t.Errorf("%d requests were sent; %d of the warm-up have a lag", s.flights.len(), n)
	}
}

// One batch answers requests of several times and kinds: each has its own latencies, and its kind's.
func TestABatchOfAnswersIsToldApart(t *testing.T) {
	const second = int64(time.Second)
	c := (&population{}).newCrew(1, 8, 1)
	s := &session{crew: c, rec: c.meter.recorder(0)}
	for _, f := range []flight{
		{kind: target.Send, due: 8 * second, sent: 9 * second},
		{kind: target.Send, due: 6 * second, sent: 9 * second},
		{kind: target.Send, due: 6 * second, sent: 7 * second},
		{kind: target.Read, due: 6 * second, sent: 7 * second},
		{kind: target.Read, due: 6 * second, sent: 7 * second},
	} {
		s.flights.push(f)
	}
	s.account(make([]target.Reply, 5), 10*second)

	sends, reads := s.rec.live.measured[target.Send], s.rec.live.measured[target.Read]
	if sends.ok != 3 || reads.ok != 2 || s.flights.len() != 0 {
		t.Errorf("%d sends and %d reads have succeeded, %d requests are in flight", sends.ok, reads.ok, s.flights.len())
	}
	for _, h := range []struct {
		of   string
		from *hdrhistogram.Histogram
		want float64 // seconds, the mean
	}{
		{"sends from due", sends.due, (2 + 4 + 4) / 3.},
		{"sends from sending", sends.service, (1 + 1 + 3) / 3.},
		{"reads from due", reads.due, 4},
		{"reads from sending", reads.service, 3},
	} {
		if got := h.from.Mean() / float64(second); math.Abs(got-h.want) > .01 {
			t.Errorf("%s take %.2f s on average, want %.2f", h.of, got, h.want)
		}
	}
}
