package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"throng/bench"
	"throng/bench/report"
)

// hangGuard ends a wait that would never end. No test asserts how long anything takes.
const hangGuard = 20 * time.Second

var secret = []byte("sixteen bytes at least")

// serve runs an agent on loopback.
func serve(t *testing.T, run Runner) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		a := Agent{Secret: secret, Run: run, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		if err := a.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); serving.Wait() })
	return listener.Addr().String()
}

// settings are of a run that two agents can share.
func settings() report.Settings {
	return report.Settings{
		Workload: bench.WorkSend, Connections: 4, Chats: 10, Users: 10, Members: 2, Pipeline: 1,
		Requests: 100, SizeMin: 64, SizeMax: 64, Seed: 5,
	}
}

// partOf is a report of a job that took every request with success, in the times given.
func partOf(job Job, ns ...int64) *report.Report {
	h := report.NewHistogram()
	for _, n := range ns {
		report.Record(h, n)
	}
	r := &report.Report{Schema: report.Schema, Settings: job.Settings, Elapsed: 1}
	r.Total = report.Figures{
		Kind: "total", Requests: job.Settings.Requests, OK: job.Settings.Requests, PerS: float64(job.Settings.Requests),
		Latency: report.Summarize(h),
	}
	r.Kinds = []report.Figures{r.Total}
	r.Kinds[0].Kind = "send"
	return r
}

// No agent begins before all are ready, and the merged report has the sum of their counts and the percentiles of all their
// latencies together: half of 1 ms and half of 9 ms have their 90th percentile at 9 ms, which no average of percentiles
// would tell of a job that is divided unevenly.
func TestAgentsStartTogetherAndTheirHistogramsAreMerged(t *testing.T) {
	var ready, early atomic.Int32
	agent := func(ns int64) string {
		return serve(t, func(ctx context.Context, job Job, begin func(context.Context) error, tell func(bench.Progress), _ <-chan struct{}) (*report.Report, error) {
			ready.Add(1)
			if err := begin(ctx); err != nil {
				return nil, err
			}
			if ready.Load() != 2 {
				early.Add(1)
			}
			tell(bench.Progress{Step: bench.StepLoad, Second: &report.Second{At: 1, OK: 50, P99: float64(ns) / 1e6}})
			return partOf(job, ns, ns), nil
		})
	}
	var told []report.Second
	c := Coordinator{Addrs: []string{agent(1e6), agent(9e6)}, Secret: secret}
	r, err := c.Run(context.Background(), Job{Settings: settings()}, func(p bench.Progress) { told = append(told, *p.Second) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if early.Load() > 0 {
		t.Error("an agent began before the other was ready")
	}
	if r.Total.OK != 100 || r.Settings.Connections != 4 || r.Settings.Chats != 10 {
		t.Errorf("merged: %d successes of %+v", r.Total.OK, r.Settings)
	}
	if p50, p90 := r.Total.Latency.P50, r.Total.Latency.P90; p50 > 1.01 || p90 < 8.9 {
		t.Errorf("of two latencies of 1 ms and two of 9 ms p50 is %g and p90 is %g", p50, p90)
	}
	if len(told) != 1 || told[0].OK != 100 || told[0].P99 != 9 {
		t.Errorf("told of %+v", told)
	}
}

// Who does not know the secret is turned away, on either side, before anything is done.
func TestWithoutTheSecretNothingIsDone(t *testing.T) {
	var jobs atomic.Int32
	addr := serve(t, func(context.Context, Job, func(context.Context) error, func(bench.Progress), <-chan struct{}) (*report.Report, error) {
		jobs.Add(1)
		return nil, errors.New("no job is expected")
	})
	c := Coordinator{Addrs: []string{addr}, Secret: []byte("another secret, as long")}
	if _, err := c.Run(context.Background(), Job{Settings: settings()}, nil, nil); !errors.Is(err, ErrSecret) {
		t.Errorf("a coordinator with another secret: %v", err)
	}
	if jobs.Load() > 0 {
		t.Error("a job of who does not know the secret was begun")
	}
}

// A message that is changed, or said again, on its way is not taken.
func TestMessagesThatWereTamperedWithAreRefused(t *testing.T) {
	for name, tamper := range map[string]func(first, second []byte) []byte{
		"changed":   func(first, _ []byte) []byte { first[len(first)-3] ^= 1; return first },
		"repeated":  func(first, _ []byte) []byte { return append(first, first...) },
		"reordered": func(first, second []byte) []byte { return append(second, first...) },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			defer theirs.Close()
			links := make(chan *link, 1)
			go func() {
				l, err := greetTogether(theirs, false)
				if err != nil {
					t.Error(err)
				}
				links <- l
			}()
			sender, err := greetTogether(ours, true)
			if err != nil {
				t.Fatal(err)
			}
			receiver := <-links
			record := &recorder{}
			sender.conn = record
			if err := errors.Join(sender.send(message{Hello: true}), sender.send(message{Stop: true})); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = ours.Write(tamper(record.frames[0], record.frames[1]))
				_ = ours.Close()
			}()
			for range 2 {
				if _, err = receiver.receive(); err != nil {
					break
				}
			}
			if !errors.Is(err, ErrSecret) {
				t.Errorf("taken: %v", err)
			}
		})
	}
}

// greetTogether greets over a pipe without a buffer, on which both sides cannot write first.
func greetTogether(conn net.Conn, coordinator bool) (*link, error) {
	return greet(buffered{conn}, secret, coordinator)
}

// buffered writes in the background.
type buffered struct{ net.Conn }

func (b buffered) Write(p []byte) (int, error) {
	copied := append([]byte(nil), p...)
	go func() { _, _ = b.Conn.Write(copied) }()
	return len(p), nil
}

// recorder keeps what is written.
type recorder struct {
	net.Conn
	frames [][]byte
}

func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

func (r *recorder) Write(p []byte) (int, error) {
	r.frames = append(r.frames, append([]byte(nil), p...))
	return len(p), nil
}

// An agent that fails ends the run on all of them, and the error says which and why.
func TestAnAgentThatFailsEndsTheRun(t *testing.T) {
	gone := make(chan struct{})
	waits := serve(t, func(ctx context.Context, _ Job, begin func(context.Context) error, _ func(bench.Progress), _ <-chan struct{}) (*report.Report, error) {
		err := begin(ctx)
		close(gone)
		return nil, err
	})
	fails := serve(t, func(context.Context, Job, func(context.Context) error, func(bench.Progress), <-chan struct{}) (*report.Report, error) {
		return nil, errors.New("the server is not there")
	})
	c := Coordinator{Addrs: []string{waits, fails}, Secret: secret}
	_, err := c.Run(context.Background(), Job{Settings: settings()}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), fails) || !strings.Contains(err.Error(), "the server is not there") {
		t.Errorf("error %v", err)
	}
	select {
	case <-gone:
	case <-time.After(hangGuard):
		t.Error("the other agent waits for ever")
	}
}

// A stop reaches every agent, and what they measured until then is reported.
func TestAStopReachesEveryAgent(t *testing.T) {
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Add(2)
	agent := func() string {
		return serve(t, func(ctx context.Context, job Job, begin func(context.Context) error, _ func(bench.Progress), stop <-chan struct{}) (*report.Report, error) {
			if err := begin(ctx); err != nil {
				return nil, err
			}
			running.Done()
			select {
			case <-stop:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			r := partOf(job, 1e6)
			r.Interrupted = true
			return r, nil
		})
	}
	c := Coordinator{Addrs: []string{agent(), agent()}, Secret: secret}
	go func() {
		running.Wait()
		close(stop)
	}()
	r, err := c.Run(context.Background(), Job{Settings: settings()}, nil, stop)
	if err != nil || !r.Interrupted {
		t.Errorf("report %+v, error %v", r, err)
	}
}
