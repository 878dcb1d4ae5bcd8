package bench_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/bench"
	"throng/bench/internal/fake"
	"throng/bench/report"
	"throng/bench/target"
)

// An open loop offers what it was asked to offer, however the requests follow one another, and a number of requests is
// that number.
func TestAnOpenLoopOffersItsRate(t *testing.T) {
	for _, arrival := range []string{"constant", "poisson"} {
		t.Run(arrival, func(t *testing.T) {
			config := small(bench.WorkSend)
			config.Rate, config.Arrival, config.Requests, config.Warmup = 2000, arrival, 3000, 200*time.Millisecond
			r, _ := measure(t, config)
			if r.Total.Requests < config.Requests || r.Total.OK != r.Total.Requests {
				t.Errorf("%d requests, %d successes, want %d", r.Total.Requests, r.Total.OK, config.Requests)
			}
			due := int64(0)
			for _, s := range r.Seconds {
				due += s.Due
			}
			if due < config.Requests {
				t.Errorf("the seconds tell of %d requests that were due", due)
			}
			// Five standard deviations of a Poisson process; a constant one has none.
			if tolerance := 5 * math.Sqrt(3000) / 3000; math.Abs(r.Load.Offered/config.Rate-1) > tolerance {
				t.Errorf("offered %g/s of %g/s", r.Load.Offered, config.Rate)
			}
			if r.Total.Service == nil || r.Total.Service.P50 > r.Total.Latency.P50 {
				t.Errorf("from due %+v, from sending %+v", r.Total.Latency, r.Total.Service)
			}
		})
	}
}

// What was due and never sent is told: a server that cannot keep up must not look as if it could.
func TestWhatWasNeverSentIsTold(t *testing.T) {
	config := small(bench.WorkSend)
	config.Connections, config.Pipeline = 2, 1
	config.Rate, config.Requests, config.Duration = 1000, 0, time.Second
	r, _ := measure(t, config, fake.Delay(20*time.Millisecond)) // 100 a second, no more
	if r.Load.Unsent == 0 || r.Load.Achieved > r.Load.Offered/2 {
		t.Errorf("%d unsent, %g/s of %g/s", r.Load.Unsent, r.Load.Achieved, r.Load.Offered)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "never sent") {
		t.Errorf("warnings %q", r.Warnings)
	}
}

// The warm-up is loaded, shown, and counts in no figure.
func TestTheWarmupIsNotMeasured(t *testing.T) {
	config := small(bench.WorkSend)
	config.Requests, config.Duration, config.Warmup = 0, 1200*time.Millisecond, 1200*time.Millisecond
	config.Rate = 1000
	r, _ := measure(t, config)
	warm, measured := int64(0), int64(0)
	for _, s := range r.Seconds {
		if s.Measured {
			measured += s.OK
		} else if s.At < 1.5 {
			warm += s.OK
		}
	}
	if warm == 0 || measured == 0 {
		t.Fatalf("%d successes while warming up, %d measured", warm, measured)
	}
	if r.Total.OK >= warm+measured || r.Verdict.Sends <= r.Total.OK {
		t.Errorf("%d warm, %d measured, %d in the total, %d verified", warm, measured, r.Total.OK, r.Verdict.Sends)
	}
}

// A stop ends the load; what was measured is reported, verified, and marked.
func TestAStoppedRunIsReported(t *testing.T) {
	config := small(bench.WorkSend)
	config.Requests, config.Duration, config.Rate = 0, time.Hour, 2000
	stop := make(chan struct{})
	config.Progress = func(p bench.Progress) {
		if p.Second != nil && p.Elapsed > 900*time.Millisecond {
			select {
			case <-stop:
			default:
				close(stop)
			}
		}
	}
	server := fake.Start(t)
	config.Target = connect(t, server)
	r, err := bench.Run(t.Context(), config, stop)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Total.OK == 0 || r.Verdict == nil || !r.Verdict.OK {
		t.Errorf("interrupted %v, %d successes, verdict %+v", r.Interrupted, r.Total.OK, r.Verdict)
	}
}

// A stop ends whatever comes before the load at once, too: nothing was measured, and nobody waits.
func TestAStopBeforeTheLoadEndsTheRun(t *testing.T) {
	slo, err := report.ParseSLO("p99<1s")
	if err != nil {
		t.Fatal(err)
	}
	capacity := func(ctx context.Context, c bench.Config, stop <-chan struct{}) (*report.Report, error) {
		return bench.FindCapacity(ctx, c, bench.Capacity{SLO: slo}, stop)
	}
	for name, run := range map[string]runner{"run": bench.Run, "soak": bench.Soak, "capacity": capacity} {
		for _, step := range []string{bench.StepFill, bench.StepConnect, bench.StepLoad} {
			if step == bench.StepLoad && name != "capacity" {
				continue // what was measured is reported
			}
			config := small(bench.WorkMixed)
			config.Mix = map[string]int{"send": 1}
			config.Fill, config.Requests, config.Duration = 100_000, 0, time.Hour
			config.Target = connect(t, fake.Start(t, fake.Delay(20*time.Millisecond)))
			if step == bench.StepLoad {
				config.Fill = 1
			}
			stop := make(chan struct{})
			var once sync.Once
			config.Progress = func(p bench.Progress) {
				if p.Step == step {
					once.Do(func() { close(stop) })
				}
			}
			if _, err := run(t.Context(), config, stop); !errors.Is(err, bench.ErrStopped) {
				t.Errorf("%s, stopped at %s: %v", name, step, err)
			}
		}
	}
}

// Of connections that come slowly, a stop reports those that have come.
func TestAStopWhileConnectingIsReported(t *testing.T) {
	config := small(bench.WorkConnect)
	config.Connections, config.Pipeline, config.Requests, config.Verify, config.Rate = 10_000, 1, 10_000, false, 50
	config.Target = connect(t, fake.Start(t))
	stop := make(chan struct{})
	time.AfterFunc(500*time.Millisecond, func() { close(stop) })
	r, err := bench.Connect(t.Context(), config, stop)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Idle.Connections == 0 || r.Idle.Connections > 100 || r.Total.OK == 0 {
		t.Errorf("interrupted %v, idle %+v, %d logins", r.Interrupted, r.Idle, r.Total.OK)
	}
}

// Generators start together, whatever they do.
func TestEveryWorkloadWaitsForItsStart(t *testing.T) {
	for name, run := range map[string]runner{"run": bench.Run, "soak": bench.Soak, "connect": bench.Connect} {
		config := small(bench.WorkMixed)
		config.Mix = map[string]int{"login": 1}
		config.Requests, config.Duration = 0, time.Second
		config.Target = connect(t, fake.Start(t))
		not := errors.New("not now")
		config.Ready = func(context.Context) error { return not }
		if _, err := run(t.Context(), config, nil); !errors.Is(err, not) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Reads of every mode show what the chats were filled with.
func TestReadsOfEveryMode(t *testing.T) {
	for _, mode := range []string{bench.ModeLast, bench.ModeRandom, bench.ModeCatchUp} {
		for _, service := range []string{"read", "receive"} {
			t.Run(mode+" "+service, func(t *testing.T) {
				config := small(bench.WorkRead)
				config.Mode, config.Fill, config.Count, config.Requests = mode, 35, 10, 500
				config.Mix = map[string]int{service: 1}
				r, _ := measure(t, config)
				if r.Total.OK != config.Requests || r.Verdict.Reads != config.Requests || !r.Verdict.OK {
					t.Errorf("%d successes, verdict %+v", r.Total.OK, r.Verdict)
				}
				if r.Total.Messages == 0 || r.Total.Messages > config.Requests*int64(config.Count) {
					t.Errorf("%d messages shown", r.Total.Messages)
				}
				if mode == bench.ModeLast && r.Total.Messages != config.Requests*int64(config.Count) {
					t.Errorf("%d messages shown, want %d each", r.Total.Messages, config.Count)
				}
			})
		}
	}
}

func TestRegisterRegistersUsers(t *testing.T) {
	config := small(bench.WorkRegister)
	config.Verify = false
	r, _ := measure(t, config)
	if f := kind(t, r, "register"); f.OK != config.Requests || r.Verdict != nil {
		t.Errorf("registered %+v, verdict %+v", f, r.Verdict)
	}
}

// Each connection logs in once and is then held.
func TestConnectHoldsConnectionsIdle(t *testing.T) {
	config := small(bench.WorkConnect)
	config.Connections, config.Pipeline, config.Requests, config.Verify = 100, 1, 100, false
	config.Idle = 300 * time.Millisecond
	r := on(t, fake.Start(t), config, bench.Connect)
	if f := kind(t, r, "login"); f.OK != 100 || f.Requests != 100 {
		t.Errorf("logged in %+v", f)
	}
	if r.Idle == nil || r.Idle.Connections != 100 || r.Idle.Dropped != 0 || r.Idle.ConnectPerS == 0 {
		t.Errorf("idle %+v", r.Idle)
	}
}

// A soak verifies each round and the whole in the end, and the first fault ends it.
func TestSoakVerifiesRoundByRound(t *testing.T) {
	config := small(bench.WorkSoak)
	config.Rate, config.Requests = 2000, 0
	config.Duration, config.Rounds = 1200*time.Millisecond, 300*time.Millisecond
	r := on(t, fake.Start(t), config, bench.Soak)
	v := r.Verdict
	if v == nil || !v.OK || v.Sends != v.Acked || v.Messages != v.Sends || r.Elapsed < 1.1 {
		t.Fatalf("%g s, verdict %+v", r.Elapsed, v)
	}

	config.Duration = time.Hour
	server := fake.Start(t, fake.Drop(1000))
	r = on(t, server, config, bench.Soak)
	if r.Verdict.OK || !strings.Contains(r.Verdict.Note, "lost") || r.Elapsed > 60 {
		t.Errorf("%g s, verdict %+v", r.Elapsed, r.Verdict)
	}
}

// A search finds about what a server can do, shows how it went, and measures the best rate that held.
func TestCapacityFindsWhatHolds(t *testing.T) {
	slo, err := report.ParseSLO("p99<1s")
	if err != nil {
		t.Fatal(err)
	}
	config := small(bench.WorkCapacity)
	config.Connections, config.Pipeline, config.Requests = 4, 1, 0
	config.Duration = time.Second
	server := fake.Start(t, fake.Delay(20*time.Millisecond)) // 4 connections: 200 a second, no more
	config.Target = connect(t, server)
	r, err := bench.FindCapacity(t.Context(), config, bench.Capacity{SLO: slo, Trial: 300 * time.Millisecond, Most: 400}, nil)
	if err != nil {
		t.Fatal(err)
	}
	held, failed, best := 0, 0, 0.0
	for _, trial := range r.Curve {
		if trial.Held {
			held++
			best = max(best, trial.Rate)
		} else {
			failed++
			if trial.Why == "" {
				t.Errorf("a trial did not hold, and does not say why: %+v", trial)
			}
		}
	}
	if held == 0 || failed == 0 || r.Settings.Rate != best || r.Settings.Rate > 210 {
		t.Errorf("%d trials held, up to %g/s, %d did not; found %g/s of 200", held, best, failed, r.Settings.Rate)
	}
	if !r.Verdict.OK {
		t.Errorf("verdict %+v", r.Verdict)
	}
}

// A report's time is that of the load's start, since its seconds count from there.
func TestAReportIsDatedByTheStartOfTheLoad(t *testing.T) {
	config := small(bench.WorkSend)
	config.Requests, config.Duration = 0, 2*time.Second
	var began time.Time
	config.Ready = func(context.Context) error { began = time.Now(); return nil }
	r, _ := measure(t, config)
	if late := r.Started.Sub(began); late < 0 || late >= config.Duration {
		t.Errorf("dated %v after the start of a load of %v", late, config.Duration)
	}
}

// sparse is a server whose indexes are not dense.
type sparse struct{ target.Target }

func (s sparse) Describe(ctx context.Context) (target.Info, error) {
	info, err := s.Target.Describe(ctx)
	info.Dense = false
	return info, err
}

// Reads that name a message by its number are refused up front of a server that gives none: its refusals would be all
// that is measured.
func TestReadsByNumberNeedDenseIndexes(t *testing.T) {
	for mode, refused := range map[string]bool{bench.ModeLast: false, bench.ModeRandom: true, bench.ModeCatchUp: true} {
		config := small(bench.WorkRead)
		config.Mode, config.Fill = mode, 20
		config.Target = sparse{connect(t, fake.Start(t))}
		if _, err := bench.Run(t.Context(), config, nil); errors.Is(err, bench.ErrConfig) != refused || err != nil && !refused {
			t.Errorf("mode %s: %v", mode, err)
		}
	}
}

// Settings that make no sense are refused, all faults at once, and nothing is sent.
func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	target := connect(t, fake.Start(t))
	for name, spoil := range map[string]func(*bench.Config){
		"no connections":              func(c *bench.Config) { c.Connections = 0 },
		"no pipeline":                 func(c *bench.Config) { c.Pipeline = 0 },
		"no end":                      func(c *bench.Config) { c.Requests = 0 },
		"two ends":                    func(c *bench.Config) { c.Duration = time.Second },
		"no chats":                    func(c *bench.Config) { c.Chats = 0 },
		"more members than users":     func(c *bench.Config) { c.Members = 7 },
		"texts that cannot be told":   func(c *bench.Config) { c.SizeMin, c.SizeMax = 5, 5 },
		"sizes upside down":           func(c *bench.Config) { c.SizeMin, c.SizeMax = 50, 40 },
		"a mix of nothing":            func(c *bench.Config) { c.Mix = map[string]int{"send": 0} },
		"a mix of what there is not":  func(c *bench.Config) { c.Mix = map[string]int{"shout": 1} },
		"random reads of empty chats": func(c *bench.Config) { c.Mix, c.Mode = map[string]int{"read": 1}, bench.ModeRandom },
		"a negative rate":             func(c *bench.Config) { c.Rate = -1 },
	} {
		config := small(bench.WorkSend)
		config.Target = target
		spoil(&config)
		if _, err := bench.Run(t.Context(), config, nil); !errors.Is(err, bench.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
