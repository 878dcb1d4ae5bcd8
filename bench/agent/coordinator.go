package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"throng/bench"
	"throng/bench/report"
)

// Coordinator runs one load on several agents.
type Coordinator struct {
	Addrs  []string // host:port
	Secret []byte
}

const dialTimeout = 10 * time.Second

// Run divides a job among the agents, starts them together, and merges what they
// report. A stop ends the load early on all of them; an agent that fails ends the
// run. tell is called with the second that all of them have reached.
func (c *Coordinator) Run(ctx context.Context, job Job, tell func(bench.Progress), stop <-chan struct{}) (*report.Report, error) {
	shares, err := divide(job.Settings, len(c.Addrs))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	crew := &gang{hands: make([]*hand, len(c.Addrs)), seconds: newSeconds(len(c.Addrs), tell), cancel: cancel}
	defer crew.close()
	for i, addr := range c.Addrs {
		part := job
		part.Settings = shares[i]
		h, err := c.hire(ctx, addr, part)
		if err != nil {
			return nil, fmt.Errorf("agent %s: %w", addr, err)
		}
		crew.hands[i] = h
	}
	// A link is closed where the run is over: whoever waits on it then returns.
	closed := context.AfterFunc(ctx, crew.close)
	defer closed()
	if err := crew.each(func(i int, h *hand) error { return h.awaitReady(crew, i) }); err != nil {
		return nil, err
	}
	if err := crew.each(func(_ int, h *hand) error { return h.link.send(message{Go: true}) }); err != nil {
		return nil, err
	}
	go crew.passOn(ctx, stop)
	if err := crew.each(func(i int, h *hand) error { return h.awaitReport(crew, i) }); err != nil {
		return nil, err
	}
	return report.Merge(crew.reports())
}

// gang is the agents at work.
type gang struct {
	hands   []*hand
	seconds *seconds
	cancel  context.CancelFunc
}

// hand is one agent at work.
type hand struct {
	addr   string
	link   *link
	report *report.Report
}

// hire connects to an agent, makes sure of it, and gives it its job.
func (c *Coordinator) hire(ctx context.Context, addr string, job Job) (*hand, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l, err := greet(conn, c.Secret, true)
	if err == nil {
		err = l.introduce(job)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &hand{addr: addr, link: l}, nil
}

// introduce sends the job once the agent has shown that it knows the secret.
func (l *link) introduce(job Job) error {
	if err := l.send(message{Hello: true}); err != nil {
		return err
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := l.receive(); err != nil {
		return err
	}
	if err := l.conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	return l.send(message{Job: &job})
}

// each does something with all agents at once. The first that fails ends the run.
func (g *gang) each(do func(i int, h *hand) error) error {
	faults := make([]error, len(g.hands))
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
	)
	for i, h := range g.hands {
		wg.Go(func() {
			if faults[i] = do(i, h); faults[i] != nil {
				once.Do(func() {
					first = fmt.Errorf("agent %s: %w", h.addr, faults[i])
					g.cancel()
				})
			}
		})
	}
	wg.Wait()
	return first
}

func (h *hand) awaitReady(g *gang, i int) error {
	return h.await(g, i, func(m message) bool { return m.Ready })
}

func (h *hand) awaitReport(g *gang, i int) error {
	return h.await(g, i, func(m message) bool {
		h.report = m.Report
		return m.Report != nil
	})
}

// await receives until a message is the one that is waited for.
func (h *hand) await(g *gang, i int, is func(message) bool) error {
	for {
		m, err := h.link.receive()
		switch {
		case err != nil:
			return err
		case m.Error != "":
			return errors.New(m.Error)
		case m.Second != nil:
			g.seconds.add(i, *m.Second)
		case is(m):
			return nil
		}
	}
}

// passOn tells the agents to stop.
func (g *gang) passOn(ctx context.Context, stop <-chan struct{}) {
	select {
	case <-stop:
		for _, h := range g.hands {
			_ = h.link.send(message{Stop: true}) // an agent that is gone is found by who waits for it
		}
	case <-ctx.Done():
	}
}

func (g *gang) close() {
	for _, h := range g.hands {
		if h != nil {
			_ = h.link.conn.Close()
		}
	}
}

func (g *gang) reports() []*report.Report {
	list := make([]*report.Report, len(g.hands))
	for i, h := range g.hands {
		list[i] = h.report
	}
	return list
}

// seconds sums up what the agents tell while they run. Its percentiles are the
// worst of the agents', for the eye only: the report has the merged ones.
type seconds struct {
	tell func(bench.Progress)

	mu   sync.Mutex
	rows []report.Second
	got  []int // by row: agents that have told of it
	next []int // by agent: its next row
}

func newSeconds(agents int, tell func(bench.Progress)) *seconds {
	return &seconds{tell: tell, next: make([]int, agents)}
}

func (s *seconds) add(agent int, row report.Second) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.next[agent]
	s.next[agent]++
	if i == len(s.rows) {
		s.rows, s.got = append(s.rows, row), append(s.got, 1)
	} else {
		sum := &s.rows[i]
		sum.OK += row.OK
		sum.Errors += row.Errors
		sum.P50, sum.P99, sum.Max = max(sum.P50, row.P50), max(sum.P99, row.P99), max(sum.Max, row.Max)
		s.got[i]++
	}
	if s.got[i] == len(s.next) && s.tell != nil {
		s.tell(bench.Progress{Step: bench.StepLoad, Second: &s.rows[i], Elapsed: time.Duration(s.rows[i].At * float64(time.Second))})
	}
}
