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
	"throng/bench/target"
)

// Whatever a server does wrong to its messages, the verdict says so, and says what; and a right server is found right.
func TestVerdictTellsWhatTheServerDidWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fake.Fault
		mixed bool   // it takes reads to show
		want  string // in the verdict
	}{
		{"lost", fake.Drop(50), false, "lost"},
		{"duplicated", fake.Duplicate(50), false, "duplicate"},
		{"reordered", fake.Reorder(50), false, "wrong place"},
		{"another text", fake.WrongText(50), false, "wrong text"},
		{"an index twice", fake.ReuseIndex(50), false, "two texts"},
		{"an index left out", fake.Gap(50), false, "gap"},
		{"from nobody", fake.Phantom(50), false, "phantom"},
		{"answers swapped", fake.SwapReplies(50), false, "wrong place"},
		{"read too little", fake.StaleReads(50), true, "stale read"},
		{"shown and gone", fake.Vanish(50), true, "lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := small(bench.WorkSend)
			if c.mixed {
				config.Workload, config.Mix = bench.WorkMixed, map[string]int{"send": 1, "read": 1}
			}
			r, server := measure(t, config, c.fault)
			if server.Struck() == 0 {
				t.Fatal("the server did nothing wrong")
			}
			v := r.Verdict
			if v == nil || v.OK || v.Faults == 0 || len(v.Examples) == 0 || !strings.Contains(v.Note, c.want) {
				t.Errorf("verdict %+v, want %q in it", v, c.want)
			}
		})
	}
}

func TestVerdictOfARightServerIsClean(t *testing.T) {
	config := small(bench.WorkMixed)
	config.Mix, config.Fill = map[string]int{"send": 2, "read": 1, "receive": 1}, 20
	r, _ := measure(t, config)
	v := r.Verdict
	if v == nil || !v.OK || v.Unknown != 0 || v.Acked != v.Sends || v.Reads == 0 || v.Chats != config.Chats {
		t.Fatalf("verdict %+v", v)
	}
	if want := kind(t, r, "send").OK + int64(config.Fill*config.Chats); v.Sends != want || v.Messages != want {
		t.Errorf("%d sends and %d messages verified, want %d", v.Sends, v.Messages, want)
	}
	if r.Total.Requests != config.Requests || r.Total.OK != config.Requests || len(r.Warnings) > 1 {
		t.Errorf("%d requests, %d successes, warnings %q", r.Total.Requests, r.Total.OK, r.Warnings)
	}
}

// Where the ledgers are too small for every chat, some chats are left out, whole, whoever has entries of them: the crew
// that filled the chats, sessions that had room, and earlier rounds. A right server is found right all the same.
func TestChatsThatAreLeftOutBlameNobody(t *testing.T) {
	filled := small(bench.WorkMixed)
	filled.Mix, filled.Fill = map[string]int{"send": 1, "read": 1}, 5
	filled.Chats = 40
	filled.LedgerEntries = 600 // 50 a session: the fill finds room, the load does not
	rounds := small(bench.WorkSoak)
	rounds.Rate, rounds.Requests = 2000, 0
	rounds.Duration, rounds.Rounds, rounds.Ramp = 900*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	rounds.LedgerEntries = 1200 // 100 a session: the first round, which rises from 0, finds room, the second does not
	for name, c := range map[string]struct {
		config bench.Config
		run    runner
	}{"filled": {filled, bench.Run}, "rounds": {rounds, bench.Soak}} {
		t.Run(name, func(t *testing.T) {
			r := on(t, fake.Start(t), c.config, c.run)
			if v := r.Verdict; !v.OK || v.Chats == 0 || v.Chats == c.config.Chats {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}

// Refusals are counted by kind, have no latency, and are no fault.
func TestRefusalsAreCounted(t *testing.T) {
	r, server := measure(t, small(bench.WorkSend), fake.Refuse(100))
	if n := r.Total.Errors["429"]; n == 0 || n != int64(server.Struck()) || r.Total.OK != r.Total.Requests-n {
		t.Errorf("%d refusals, %d counted: %+v", server.Struck(), n, r.Total)
	}
	if !r.Verdict.OK {
		t.Errorf("verdict %+v", r.Verdict)
	}
}

// A connection that ends in the middle costs what was in flight on it, is opened again, and what became of the messages
// is settled by the read-back: whether the server had stored them or not, that is no fault.
func TestLostConnectionsAreOpenedAgain(t *testing.T) {
	for name, fault := range map[string]fake.Fault{
		"before": fake.CutBefore(300), "after": fake.CutAfter(300), "garbage": fake.Garbage(300),
	} {
		t.Run(name, func(t *testing.T) {
			r, server := measure(t, small(bench.WorkSend), fault)
			if server.Struck() == 0 || r.Total.Errors["lost"] == 0 || r.Verdict.Unknown == 0 {
				t.Errorf("struck %d times, %+v, verdict %+v", server.Struck(), r.Total.Errors, r.Verdict)
			}
			if r.Total.Requests != 2000 || !r.Verdict.OK {
				t.Errorf("%d requests are over, verdict %+v", r.Total.Requests, r.Verdict)
			}
			if !strings.Contains(strings.Join(r.Warnings, "\n"), "lost") {
				t.Errorf("no warning: %q", r.Warnings)
			}
		})
	}
}

// A server that never answers costs its connection, not the run.
func TestAnAnswerThatDoesNotComeIsGivenUp(t *testing.T) {
	config := small(bench.WorkSend)
	config.Requests, config.Timeout, config.Verify = 200, 300*time.Millisecond, false
	r, _ := measure(t, config, fake.Stall(100, 3*time.Second))
	if r.Total.Errors["timeout"] == 0 || r.Total.Requests != config.Requests {
		t.Errorf("%d of %d requests are over: %v", r.Total.Requests, config.Requests, r.Total.Errors)
	}
}

// What is not answered when the load ends is not forgotten: a server that has stopped to answer would look as one that was
// asked less.
func TestWhatIsOwedAtTheEndIsCounted(t *testing.T) {
	config := small(bench.WorkSend)
	config.Requests, config.Duration = 0, 400*time.Millisecond
	config.Timeout, config.Verify = 300*time.Millisecond, false
	r, _ := measure(t, config, fake.Stall(100, 3*time.Second))
	if want := int64(config.Connections * config.Pipeline); r.Total.Errors["timeout"] != want || r.Total.Requests != r.Total.OK+want {
		t.Errorf("%d requests, %d successes, errors %v, want %d timeouts", r.Total.Requests, r.Total.OK, r.Total.Errors, want)
	}
}

// deaf is a server that takes nothing in: a write to it waits until the connection is closed.
type deaf struct{ target.Target }

type deafConn struct {
	target.Conn
	closed chan struct{}
	once   sync.Once
}

func (d deaf) Dial(ctx context.Context, how target.Dial, sink target.Sink) (target.Conn, error) {
	conn, err := d.Target.Dial(ctx, how, sink)
	return &deafConn{Conn: conn, closed: make(chan struct{})}, err
}

func (c *deafConn) Submit([]target.Op) error { <-c.closed; return errors.New("closed") }

func (c *deafConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A server that does not even read holds up its connections, not the harness; nor does it when all is to end at once.
func TestAServerThatDoesNotReadIsGivenUp(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		config := small(bench.WorkSend)
		config.Rate, config.Requests, config.Duration = rate, 0, 200*time.Millisecond
		config.Timeout, config.Verify = 300*time.Millisecond, false
		config.Target = deaf{connect(t, fake.Start(t))}
		r, err := bench.Run(t.Context(), config, nil)
		if err != nil || r.Total.Errors["timeout"] == 0 {
			t.Errorf("rate %g: %+v, %v", rate, r, err)
		}

		config.Timeout = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err = bench.Run(ctx, config, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("rate %g, ended: %v", rate, err)
		}
	}
}

// Whatever was due in the measured time has an outcome, or was never sent, in one load and in several.
func TestWhatWasDueIsAccountedFor(t *testing.T) {
	config := small(bench.WorkSoak)
	config.Connections, config.Pipeline, config.Verify = 2, 1, false
	config.Rate, config.Requests, config.Duration, config.Rounds = 1000, 0, 900*time.Millisecond, 300*time.Millisecond
	for name, run := range map[string]runner{"once": bench.Run, "rounds": bench.Soak} {
		r := on(t, fake.Start(t, fake.Delay(20*time.Millisecond)), config, run) // 100 a second, no more
		due := int64(math.Round(r.Load.Offered * r.Elapsed))
		if over := r.Total.Requests + r.Load.Unsent; r.Load.Unsent == 0 || over != due {
			t.Errorf("%s: %d were due, %d are over, %d never sent", name, due, r.Total.Requests, r.Load.Unsent)
		}
	}
}

// Every latency of a server that answers late is as long as that at least.
func TestDelaysAreMeasured(t *testing.T) {
	const delay = 20 * time.Millisecond
	config := small(bench.WorkSend)
	config.Requests = 500
	r, _ := measure(t, config, fake.Delay(delay))
	if least := delay.Seconds() * 1e3 * .999; r.Total.Latency.P50 < least || r.Total.Latency.Max < least {
		t.Errorf("of answers that take %v the median is %g ms", delay, r.Total.Latency.P50)
	}
}

// The point of an open loop: a server that stands still for two seconds has made every request wait that was due
// meanwhile, sent or not. The time from due shows that; the time from sending shows it of the few that were in flight.
func TestAStallShowsInTheLatencyFromDue(t *testing.T) {
	const rate, stall = 1000, 2 * time.Second
	config := small(bench.WorkSend)
	config.Rate, config.Requests, config.Duration = rate, 0, 4*time.Second
	r, _ := measure(t, config, fake.Stall(500, stall))

	whole := stall.Seconds() * 1e3 * .99
	if r.Total.Latency.Max < whole {
		t.Errorf("the longest latency is %g ms, of a stall of %v", r.Total.Latency.Max, stall)
	}
	// Half of the run's requests were due in the stall, and three quarters of those waited a quarter of it at least.
	slow := func(h string) int64 {
		histogram, err := decode(h)
		if err != nil {
			t.Fatal(err)
		}
		return histogram.above(stall / 4)
	}
	due, sent := slow(r.Total.Latency.Hdr), slow(r.Total.Service.Hdr)
	if inFlight := int64(config.Connections * config.Pipeline); sent > inFlight {
		t.Errorf("%d requests were slow from their sending; %d can be in flight", sent, inFlight)
	}
	if least := int64(rate*stall.Seconds()) * 3 / 4 * 9 / 10; due+r.Load.Unsent < least {
		t.Errorf("%d requests were slow from their due time, at least %d were due in the stall", due, least)
	}
	if !r.Verdict.OK { // some may be unsent where the machine is too busy to catch up
		t.Errorf("verdict %+v", r.Verdict)
	}
}

// A closed loop shows the same stall in no more requests than were in flight: it is why there is an open one.
func TestAClosedLoopHidesAStall(t *testing.T) {
	config := small(bench.WorkSend)
	r, _ := measure(t, config, fake.Stall(500, time.Second))
	histogram, err := decode(r.Total.Latency.Hdr)
	if err != nil {
		t.Fatal(err)
	}
	slow := histogram.above(500 * time.Millisecond)
	if inFlight := int64(config.Connections * config.Pipeline); slow == 0 || slow > inFlight {
		t.Errorf("%d requests were slow, %d in flight", slow, inFlight)
	}
}

// A number of requests is never reached where the server is gone for good: the run ends, and reports what there was.
func TestAServerThatIsGoneEndsARunThatCounts(t *testing.T) {
	config := small(bench.WorkSend)
	config.Requests, config.Timeout, config.Verify = 1e9, 500*time.Millisecond, false
	server := fake.Start(t)
	config.Progress = func(p bench.Progress) {
		if p.Second != nil && p.Second.OK > 0 {
			server.Close()
		}
	}
	r := on(t, server, config, bench.Run)
	if !r.Interrupted || r.Total.OK == 0 || r.Total.OK == config.Requests {
		t.Errorf("interrupted %v, %d successes", r.Interrupted, r.Total.OK)
	}
}
