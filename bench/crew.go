package bench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"throng/bench/report"
	"throng/bench/target"
)

// crew is the sessions that put one load on a population.
type crew struct {
	*population

	rate     float64 // requests a second of all sessions; 0: a closed loop
	pipeline int     // requests in flight of a session
	filling  bool    // every chat in turn is sent a message
	once     bool    // each session asks once and no more

	sessions []*session
	meter    *meter
	lag      lag
	budget   budget
	answers  answers

	up           atomic.Int64 // connections that stand
	downSince    atomic.Int64 // when the last of them ended
	due          atomic.Int64 // open loop: what has become due since the last row
	measuredFrom atomic.Int64 // what was due before it is not measured
	ending       atomic.Bool  // nothing more is sent
	redialling   sync.WaitGroup
	redials      context.Context // done when nothing is dialled again
	endRedials   context.CancelFunc
	alive        sync.WaitGroup // connections that have not ended

	mu       sync.Mutex
	closing  bool  // a connection that ends is not dialled again
	lostOnce error // why the first connection was lost
	losses   int
}

func (p *population) newCrew(rate float64, pipeline, connections int) *crew {
	redials, end := context.WithCancel(context.Background())
	return &crew{
		population: p, rate: rate, pipeline: pipeline,
		meter: newMeter(connections, rate > 0), lag: lag{histogram: report.NewHistogram()},
		redials: redials, endRedials: end,
	}
}

func (c *crew) open() bool { return c.rate > 0 }

// budget is how many requests a closed loop may still send.
type budget struct {
	unlimited atomic.Bool
	taken     atomic.Int64
	limit     atomic.Int64
}

// take grants up to n requests and the place of the first.
func (b *budget) take(n int64) (first, granted int64) {
	if n <= 0 {
		return 0, 0
	}
	if b.unlimited.Load() {
		return 0, n
	}
	limit := b.limit.Load()
	if b.taken.Load() >= limit {
		return 0, 0
	}
	first = b.taken.Add(n) - n
	return first, max(0, min(n, limit-first))
}

func (b *budget) allow(n int64) {
	b.taken.Store(0)
	b.limit.Store(n)
	b.unlimited.Store(false)
}

func (b *budget) allowAll() { b.unlimited.Store(true) }

// lag is how late requests were sent that could have been sent when they were due:
// the generator's own fault.
type lag struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
}

func (l *lag) record(late []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ns := range late {
		report.Record(l.histogram, ns)
	}
}

// connect makes n sessions and dials them, some at a time, and at a rate a second
// where that is not 0. The first that cannot be dialled ends it.
func (c *crew) connect(ctx context.Context, n int, rate float64) error {
	for i := range n {
		c.sessions = append(c.sessions, c.newSession(i))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	places, began := make(chan struct{}, dialsAtOnce), time.Now()
	for i, s := range c.sessions {
		if rate > 0 {
			sleep(ctx, time.Until(began.Add(time.Duration(float64(i)/rate*float64(time.Second)))))
		}
		places <- struct{}{} // each dial ends by itself, or with ctx
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-places }()
			if err := s.dial(ctx); err != nil {
				cancel(fmt.Errorf("connection %d of %d: %w", i+1, n, err))
			}
		})
		if i%dialsAtOnce == 0 {
			c.tell(Progress{Step: StepConnect, Done: i, All: n})
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

// sleep returns when the time is over or ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// newSession makes the i-th session of the crew.
func (c *crew) newSession(i int) *session {
	s := &session{crew: c, rec: c.meter.recorder(i), choice: c.work.choice(c.numbered)}
	c.numbered++
	s.how = target.Dial{Window: c.pipeline, Pages: c.config.Verify, Timeout: c.config.Timeout}
	if n := len(c.config.Sources); n > 0 {
		s.how.Source = c.config.Sources[i%n]
	}
	return s
}

// lost takes note of a connection that has ended, and dials it again unless the
// run is over. Its caller holds the session's lock.
func (c *crew) lost(s *session, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.losses++
	if c.lostOnce == nil {
		c.lostOnce = err
	}
	c.redialling.Go(func() { c.redial(s) })
}

// The pause between two attempts to connect again, at first and at most.
const (
	redialFirst = 20 * time.Millisecond
	redialMost  = time.Second
)

func (c *crew) redial(s *session) {
	for pause := redialFirst; c.redials.Err() == nil; pause = min(2*pause, redialMost) {
		ctx, cancel := context.WithTimeout(c.redials, c.config.Timeout)
		err := s.dial(ctx)
		cancel()
		if err == nil {
			return
		}
		sleep(c.redials, pause)
	}
}

// close ends every connection. When it returns, nothing touches the sessions any
// more.
func (c *crew) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.endRedials()
	for _, s := range c.sessions {
		s.close()
	}
	c.redialling.Wait()
	for _, s := range c.sessions { // those that were being dialled meanwhile
		s.close()
	}
	c.alive.Wait()
}

// takeLedgers moves what the sessions have seen to the population, to be verified.
// A send whose answer is still owed stays one without an answer.
func (c *crew) takeLedgers() {
	for _, s := range c.sessions {
		s.mu.Lock()
		c.ledgers = append(c.ledgers, s.ledger.parts...)
		s.ledger = ledger{}
		for i := s.flights.head; i < s.flights.tail; i++ {
			s.flights.at(i).entry = nil
		}
		c.faults.add(&s.faults)
		s.mu.Unlock()
	}
}

// firstLoss is why the first connection was lost.
func (c *crew) firstLoss() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lostOnce
}

// gone reports whether there has been no connection for Timeout.
func (c *crew) gone() bool {
	return c.up.Load() == 0 && c.now()-c.downSince.Load() > int64(c.config.Timeout)
}

// refill lets every session send what it may.
func (c *crew) refill() {
	for _, s := range c.sessions {
		s.refill()
	}
}

// end lets no session send any more.
func (c *crew) end() {
	c.ending.Store(true)
	c.budget.allow(0)
	c.answers.counting.Store(false)
}

// settle waits until every answer has come, and gives up the connections that owe
// one for too long, so that no request is left without an outcome.
func (c *crew) settle(ctx context.Context) {
	deadline := time.Now().Add(c.config.Timeout + settleGrace)
	for time.Now().Before(deadline) && ctx.Err() == nil && !c.idle() {
		c.giveUp()
		time.Sleep(settlePause)
	}
}

const (
	settlePause = 2 * time.Millisecond
	settleGrace = 2 * time.Second // for the end of a connection that is given up to be told
)

func (c *crew) idle() bool {
	return !slices.ContainsFunc(c.sessions, func(s *session) bool { return !s.idle() })
}

// giveUp ends the connections that have owed an answer for too long.
func (c *crew) giveUp() {
	before := c.now() - int64(c.config.Timeout)
	for _, s := range c.sessions {
		s.giveUp(before)
	}
}

// sever ends all connections.
func (c *crew) sever() {
	for _, s := range c.sessions {
		s.giveUp(math.MaxInt64)
	}
}
