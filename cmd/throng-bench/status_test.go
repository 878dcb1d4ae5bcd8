// Scripts depend on exit statuses: each is shown here by what leads to it.

package main_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFaultsOfTheCommandLineEndWithStatus2AndSayWhich(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "too short")
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "send"},
		{with("sned"), "sned"},
		{with("send", "--nope"), "--nope"},
		{with("send", "-n", "many"), "many"},
		{with("send", "--size", "0"), "--size"},
		{with("send", "--size", "small", "--source", "192.0.2.1"), "--size"},
		{with("send", "--size", "small", "--source", "192.0.2.1"), "--source"}, // all faults at once
		{with("send", "--source", "127.0.0.9-2"), "--source"},
		{with("send", "--arrival", "sometimes"), "--arrival"},
		{with("send", "--corpus", "/nowhere"), "--corpus"},
		{with("send", "--dir", "/nowhere"), "--dir"},
		{with("mixed", "--mix", "send:20"), "--mix"},
		{with("mixed", "--mix", "shout=1"), "shout"},
		{with("capacity", "--slo", "p99"), "--slo"},
		{with("capacity", "--slo", "p99<2x"), "--slo"},
		{with("read", "--mode", "backwards"), "--mode"},
		{with("read", "--service", "4"), "--service"},
		{with("send", "--agents", "127.0.0.1:1"), "--addr or --target"},
		{with("soak", "-d", "1h"), "--rate"},
		{with("soak", "-r", "100"), "--duration"},
		{with("send", "--addr", "127.0.0.1:1", "--target", "redis://127.0.0.1:1"), "--addr and --target"},
		{with("send", "--addr", "127.0.0.1:1", "--server-flags", "--sync off"), "--server-flags"},
		{with("send", "--target", "gopher://127.0.0.1:1"), "gopher"},
		{with("send", "--target", "127.0.0.1:1"), "127.0.0.1:1"},
		{with("send", "--addr", "127.0.0.1:1", "--agents", "127.0.0.1:1"), "--secret-file"},
		{with("send", "--addr", "127.0.0.1:1", "--agents", "127.0.0.1:1", "--secret-file", secret), "16"},
		{with("agent"), "--secret-file"},
		{with("agent", "--secret-file", secret), "16"},
		{with("compare"), "report"},
		{with("compare", "a.json", "--fail-if", "p99"), "p99"},
		{with("compare", "=a.json"), "label"},
		{with("versus", "--peers", "gopher"), "gopher"},
		{with("versus", "--work", "P17"), "P17"},
		{with("versus", "--size", "none"), "--size"},
	} {
		got := run(t, c.args...)
		got.ends(t, usage, c.says)
		if got.out != "" {
			t.Errorf("%q printed %q", c.args, got.out)
		}
	}
}

func TestSettingsThatContradictEachOtherEndWithStatus2BeforeAnyLoad(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{})
	for says, args := range map[string][]string{
		"connections":    with("-c", "0"),
		"which one":      with("-n", "10", "-d", "1s"),
		"--verify=false": with("--size", "10"),
		"members":        with("--members", "0"),
		"rate":           with("-r", "-1"),
		"ramp":           with("-d", "1s", "--ramp", "5s"),
	} {
		run(t, with("send", "--addr", relay.addr(), args)...).ends(t, usage, says)
	}
	if relay.sent() > 0 {
		t.Error("there was load")
	}
}

func TestAServerThatIsNotThereEndsWithStatus1(t *testing.T) {
	t.Parallel()
	gone, p := serve(t)
	p.signal(t, syscall.SIGTERM)
	p.wait(t)
	run(t, with("send", brief, "--addr", gone)...).ends(t, failed, "refused")
	for _, scheme := range []string{"throng", "redis", "nats", "postgres"} {
		run(t, with("send", brief, "--target", scheme+"://"+gone)...).ends(t, failed, gone)
	}
}

func TestAServerThatIsKilledUnderTheLoadEndsWithStatus1(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	tty := openConsole(t)
	p := launch{errs: tty}.begin(t, with(endless, "--dir", dir)...)
	tty.awaitLoad(t, p)
	for _, pid := range servers(t, dir) {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	if status := p.wait(t); status != failed {
		t.Errorf("status %d", status)
	}
	eventually(t, "the log of the server", tty.holds("the server has ended, its log"))
	vacant(t, dir)
}

func TestAServerThatChangesAMessageEndsWithStatus3(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{alter: 200})
	path := filepath.Join(t.TempDir(), "r.json")
	got := run(t, with("send", brief, "--addr", relay.addr(), "--json", path)...)
	got.ends(t, faults, "verification failed")
	r := readReport(t, path)
	if r.Verdict == nil || r.Verdict.OK || r.Verdict.Faults == 0 || len(r.Verdict.Examples) == 0 {
		t.Errorf("verdict %+v", r.Verdict)
	}
	run(t, with("send", brief, "--addr", relay.addr(), "--verify=false")...).ends(t, done)
}

func TestRefusalsAreCountedByKindAndAreNoFault(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{refuse: 10})
	r := measure(t, with("send", brief, "--addr", relay.addr())...)
	if r.Total.Errors["404"] != 50 || r.Total.OK != 450 || !r.Verdict.OK {
		t.Errorf("errors %v, %d successes, verdict %+v", r.Total.Errors, r.Total.OK, r.Verdict)
	}
}

func TestARunWithoutASingleSuccessEndsWithStatus1(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{refuse: 1})
	got := run(t, with("send", "-n", "20", "-c", "2", "--warmup", "0s", people, "--addr", relay.addr())...)
	got.ends(t, failed, "nothing succeeded")
}

func TestAnswersThatTakeLongerThanTheTimeoutAreErrorsOfThatKind(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{silence: 1})
	got := run(t, with("send", "-n", "20", "-c", "2", "--warmup", "0s", people, "--addr", relay.addr(), "--timeout", "50ms", "--verify=false")...)
	got.ends(t, failed, "nothing succeeded")
	if !strings.Contains(got.out, "× timeout") || !strings.Contains(got.out, "no answer for 50ms") {
		t.Errorf("it printed %s", got.out)
	}
}

func TestAnObjectiveThatNoRateMeetsEndsWithStatus4(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	path := filepath.Join(t.TempDir(), "r.json")
	got := run(t, with("capacity", people, "-c", "2", "--addr", server, "--slo", "p50<1ns", "--trial", "100ms", "--most", "400", "--json", path)...)
	got.ends(t, expectation, "no rate met the objective")
	for _, trial := range readReport(t, path).Curve {
		if trial.Held || trial.Why == "" {
			t.Errorf("trial %+v", trial)
		}
	}
}

func TestVersionAndServeEndWithStatus0(t *testing.T) {
	t.Parallel()
	if got := run(t, "version"); got.status != done || got.errs != "" || got.out == "" {
		t.Errorf("version: %+v", got)
	}
	_, p := serve(t)
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != done {
		t.Errorf("serve ends with %d", status)
	}
}
