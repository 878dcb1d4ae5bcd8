// Every workload once, on one server that runs already: the hidden serve, on its own.

package main_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throng/bench/report"
)

// serve starts a server for several runs, and returns its address.
func serve(t testing.TB, flags ...string) (addr string, p *process) {
	t.Helper()
	p = begin(t, with("serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"), flags)...)
	addr = p.readyWord(t, "listen")
	return addr, p
}

// The workloads that a number of requests ends, and what each asks for.
var workloads = []struct {
	name     string
	args     []string
	kinds    string // of requests, in their order
	messages int64  // that its reads show; 0: it has none; -1: some
	is       func(*report.Report) bool
}{
	{"send closed", with("send", people), "send", 0, func(r *report.Report) bool {
		return r.Settings.Rate == 0 && r.Total.Service == nil && r.Total.BytesOut >= 500*64
	}},
	{"send constant", with("send", people, "--rate", "5000"), "send", 0, func(r *report.Report) bool {
		return r.Settings.Arrival == "constant" && r.Total.Service != nil && r.Load.Offered > 0
	}},
	{"send poisson", with("send", people, "-r", "5000", "--arrival", "poisson", "--ramp", "10ms", "--warmup", "10ms"), "send", 0, func(r *report.Report) bool {
		return r.Settings.Arrival == "poisson" && r.Total.Service != nil && r.Settings.Ramp > 0
	}},
	{"send by Zipf's law, sizes drawn", with("send", people, "--zipf", "0.99", "--size", "16-1KiB"), "send", 0, func(r *report.Report) bool {
		return r.Settings.Zipf == 0.99 && r.Settings.SizeMin == 16 && r.Settings.SizeMax == 1024
	}},
	{"read last, service 3", with("read", people, "--fill", "20", "--count", "5"), "read", 500 * 5, nil},
	{"read last, service 9", with("read", people, "--fill", "20", "--count", "5", "--service", "9"), "receive", 500 * 5, nil},
	{"read random, service 3", with("read", people, "--fill", "20", "--mode", "random"), "read", -1, nil},
	{"read random, service 9", with("read", people, "--fill", "20", "--mode", "random", "--service", "9"), "receive", -1, nil},
	{"read catch-up", with("read", people, "--fill", "20", "--count", "10", "--mode", "catchup"), "receive", -1, nil},
	{"mixed", with("mixed", people, "--fill", "20", "--mix", "send=20,read=60,receive=10,login=5,ping=5"), "send read receive login ping", -1, nil},
	{"register", with("register"), "register", 0, nil},
}

func TestEveryWorkloadRunsAndIsVerifiedWhereItCanBe(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			r := measure(t, with(w.args[0], "--warmup", "0s", w.args[1:], "-n", "500", "-c", "4", "--addr", addr)...)
			if w.name == "register" {
				r.Verdict = &report.Verdict{OK: r.Verdict == nil} // there is nothing to read back
			}
			verified(t, r, 500)
			var kinds []string
			for _, f := range r.Kinds {
				kinds = append(kinds, f.Kind)
			}
			if got := strings.Join(kinds, " "); got != w.kinds {
				t.Errorf("kinds %q, want %q", got, w.kinds)
			}
			if shown := r.Total.Messages; shown != w.messages && (w.messages != -1 || shown == 0) {
				t.Errorf("reads showed %d messages, want %d", shown, w.messages)
			}
			if w.is != nil && !w.is(r) {
				t.Errorf("settings %+v, load %+v, total %+v", r.Settings, r.Load, r.Total)
			}
		})
	}
}

func TestConnectHoldsItsConnectionsAndTellsTheirCost(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	r := measure(t, "connect", "--addr", addr, "-c", "200", "--idle", "50ms")
	if r.Idle == nil || r.Idle.Connections != 200 || r.Idle.Dropped != 0 || r.Idle.ConnectPerS == 0 || r.Idle.ResidentIdle == 0 {
		t.Errorf("idle: %+v", r.Idle)
	}
	if r.Total.OK != 200 || len(r.Kinds) != 1 || r.Kinds[0].Kind != "login" {
		t.Errorf("figures: %+v", r.Kinds)
	}
}

func TestASoakIsVerifiedRoundByRound(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	r := measure(t, with("soak", people, "-c", "4", "--addr", addr, "-r", "500", "-d", "300ms", "--round", "100ms", "--warmup", "0s")...)
	verified(t, r, r.Total.Requests)
	if r.Verdict.Sends < r.Total.Requests || r.Total.Requests == 0 {
		t.Errorf("%d requests, verdict %+v", r.Total.Requests, r.Verdict)
	}
}

func TestCapacityDrawsTheCurveUpToTheHighestRateThatHeld(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	path := filepath.Join(t.TempDir(), "r.json")
	got := run(t, with("capacity", people, "-c", "4", "--addr", addr, "--slo", "p99<30s,errors<1%", "--trial", "100ms", "--most", "160", "--json", path)...)
	r := readReport(t, path)
	var rates []string
	for _, trial := range r.Curve {
		rates = append(rates, fmt.Sprint(trial.Rate))
		if !trial.Held && trial.Why == "" {
			t.Errorf("a trial that did not hold does not tell why: %+v", trial)
		}
	}
	// A machine that is busy with something else may not hold even these.
	held := slices.ContainsFunc(r.Curve, func(c report.Capacity) bool { return c.Held })
	if held != (got.status == done) || !strings.HasPrefix(strings.Join(rates, " "), "10 ") || !strings.Contains(got.out, "offered") {
		t.Errorf("status %d after trials at %v; it printed:\n%s%s", got.status, rates, got.out, got.errs)
	}
	if r.Verdict == nil || !r.Verdict.OK {
		t.Errorf("verdict %+v", r.Verdict)
	}
	last := r.Curve[len(r.Curve)-1]
	if capped := last.Held && last.Rate == 160; capped != strings.Contains(strings.Join(r.Warnings, "\n"), "the limit may be above") {
		t.Errorf("after trials at %v, the last of which held: %v, the warnings are %q", rates, last.Held, r.Warnings)
	}
}
