// Package agent lets several generators, on several machines, put one load on one
// server. A coordinator ([Coordinator]) divides the settings among agents
// ([Agent]), lets them prepare, starts them together, and merges their reports:
// histograms are added, percentiles never averaged.
//
// An agent does what whoever knows its secret tells it: it opens connections and
// sends load where it is told to. It is off unless somebody starts one, and it
// listens on loopback unless it is told otherwise. The link is authenticated, see
// wire.go, not encrypted: there is nothing secret in it but the target's address.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"throng/bench"
	"throng/bench/report"
)

// Job is one generator's part of a run.
type Job struct {
	Target   string // URL
	Settings report.Settings
	Lines    []string // of the corpus
	Timeout  time.Duration
	Ledger   int
	Sources  []net.IP
}

// message is what goes over a link, in one of its forms.
type message struct {
	Hello  bool           `json:"hello,omitempty"` // either side's first: it knows the secret
	Job    *Job           `json:"job,omitempty"`
	Ready  bool           `json:"ready,omitempty"` // the agent has prepared
	Go     bool           `json:"go,omitempty"`    // all have
	Stop   bool           `json:"stop,omitempty"`  // end the load early
	Second *report.Second `json:"second,omitempty"`
	Step   string         `json:"step,omitempty"`
	Report *report.Report `json:"report,omitempty"`
	Error  string         `json:"error,omitempty"`
}

// Runner carries a job out: ready is called before the load, tell with progress,
// and stop ends the load early.
type Runner func(ctx context.Context, job Job, ready func(context.Context) error, tell func(bench.Progress), stop <-chan struct{}) (*report.Report, error)

// Agent carries out the jobs of coordinators, one at a time.
type Agent struct {
	Secret []byte
	Run    Runner
	Log    *slog.Logger
}

// Serve takes jobs from the listener until ctx is done. A job under way is then
// given up.
func (a *Agent) Serve(ctx context.Context, listener net.Listener) error {
	if len(a.Secret) < MinSecret {
		return fmt.Errorf("a secret must have %d bytes at least", MinSecret)
	}
	closed := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer closed()
	for {
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a coordinator: %w", err)
		}
		if err := a.serve(ctx, conn); err != nil {
			a.Log.Warn("a job ended", "coordinator", conn.RemoteAddr().String(), "error", err)
		}
		_ = conn.Close()
	}
}

// serve talks to one coordinator.
func (a *Agent) serve(ctx context.Context, conn net.Conn) error {
	l, err := greet(conn, a.Secret, false)
	if err != nil {
		return err
	}
	if err := l.send(message{Hello: true}); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(greetTimeout)); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := l.receive(); err != nil {
		return err
	}
	m, err := l.receive()
	if err != nil {
		return err
	}
	if m.Job == nil {
		return errors.New("a coordinator began without a job")
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	return a.carryOut(ctx, l, *m.Job)
}

// carryOut runs a job while it listens to the coordinator, whose end is the job's.
func (a *Agent) carryOut(ctx context.Context, l *link, job Job) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	orders := newOrders()
	var listening sync.WaitGroup
	listening.Go(func() {
		defer cancel()
		orders.listen(l)
	})
	a.Log.Info("a job", "coordinator", l.conn.RemoteAddr().String(), "workload", job.Settings.Workload, "target", job.Settings.Target)
	r, err := a.Run(ctx, job, func(ctx context.Context) error { return orders.awaitStart(ctx, l) }, tellTo(l), orders.stop)
	answer := message{Report: r}
	if err != nil {
		answer = message{Error: err.Error()}
	}
	err = errors.Join(err, l.send(answer))
	_ = l.conn.SetReadDeadline(time.Now().Add(greetTimeout)) // the coordinator closes; if not, we do
	listening.Wait()
	return err
}

// tellTo sends each second on.
func tellTo(l *link) func(bench.Progress) {
	return func(p bench.Progress) {
		if p.Second != nil {
			_ = l.send(message{Second: p.Second}) // a coordinator that is gone ends the job anyway
		}
	}
}

// orders is what a coordinator has said since the job.
type orders struct {
	start chan struct{}
	stop  chan struct{}
}

func newOrders() *orders { return &orders{make(chan struct{}), make(chan struct{})} }

func (o *orders) listen(l *link) {
	started, stopped := false, false
	for {
		m, err := l.receive()
		if err != nil {
			return
		}
		if m.Go && !started {
			started = true
			close(o.start)
		}
		if m.Stop && !stopped {
			stopped = true
			close(o.stop)
		}
	}
}

// awaitStart tells the coordinator that this generator is ready, and waits for the
// others.
func (o *orders) awaitStart(ctx context.Context, l *link) error {
	if err := l.send(message{Ready: true}); err != nil {
		return err
	}
	select {
	case <-o.start:
		return nil
	case <-o.stop:
		return errors.New("stopped before the start")
	case <-ctx.Done():
		return errors.New("the coordinator is gone")
	}
}
