// What is shown at a terminal, and what is not where there is none.

package main_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const escape = "\x1b["

func TestProgressIsShownAtATerminalAlone(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	oneSecond := with("send", "-d", "1s", "--warmup", "0s", "-c", "4", people, "--addr", server)

	tty := openConsole(t)
	p := launch{errs: tty}.begin(t, oneSecond...)
	if status := p.wait(t); status != done {
		t.Fatalf("status %d: %s", status, tty)
	}
	eventually(t, "a line with rate and p99", func() bool { return loadLine.MatchString(tty.String()) })
	if strings.Contains(tty.String(), "\n") {
		t.Errorf("progress is more than one line: %q", tty)
	}

	silent := openConsole(t)
	p = launch{errs: silent}.begin(t, with("send", brief, "--addr", server, "--no-progress")...)
	if status := p.wait(t); status != done || silent.String() != "" {
		t.Errorf("--no-progress: status %d, %q", status, silent)
	}

	got := run(t, with("send", brief, "--addr", server)...)
	if got.status != done || got.errs != "" || strings.Contains(got.out, escape) {
		t.Errorf("without a terminal: status %d, standard error %q, standard output %q", got.status, got.errs, got.out)
	}
}

func TestTheTableHasColoursAtATerminalUnlessNoColorIsSet(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	for env, coloured := range map[string]bool{"": true, "NO_COLOR=1": false} {
		tty := openConsole(t)
		p := launch{out: tty, env: []string{env}}.begin(t, with("send", brief, "--addr", server)...)
		if status := p.wait(t); status != done {
			t.Fatalf("status %d", status)
		}
		eventually(t, "the table", tty.holds("verified"))
		if strings.Contains(tty.String(), escape) != coloured {
			t.Errorf("%q: %q", env, tty)
		}
	}
}

func TestCtrlCReportsWhatWasMeasuredAndTakesTheServerAway(t *testing.T) {
	t.Parallel()
	dir, files := scratch(t), t.TempDir()
	path := func(name string) string { return filepath.Join(files, name) }
	tty := openConsole(t)
	p := launch{errs: tty}.begin(t, with(endless, "--dir", dir, "--json", path("r.json"), "--csv", path("r.csv"), "--hdr", path("r.hdr"), "--html", path("r.html"))...)
	tty.awaitLoad(t, p)
	tty.types(t, "\x03") // which the terminal turns into a signal to all that runs in its foreground
	if status := p.wait(t); status != interrupted {
		t.Fatalf("status %d: %s", status, tty)
	}
	vacant(t, dir)
	r := readReport(t, path("r.json"))
	if !r.Interrupted || r.Total.OK == 0 {
		t.Errorf("interrupted %v with %d successes", r.Interrupted, r.Total.OK)
	}
	verified(t, r, r.Total.Requests) // the server was not interrupted
	if !strings.Contains(p.out.String(), "partial") || !strings.Contains(p.out.String(), "no fault") {
		t.Errorf("it printed: %s", p.out)
	}
	for _, name := range []string{"r.csv", "r.hdr", "r.html"} {
		if contents(t, path(name)) == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

func TestARequestToTerminateIsAsGoodAsCtrlC(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{})
	p := begin(t, with(endless, "--addr", relay.addr())...)
	eventually(t, "the load", func() bool { return relay.sent() >= 100 })
	p.signal(t, syscall.SIGTERM)
	if status := p.wait(t); status != interrupted || !strings.Contains(p.out.String(), "partial") {
		t.Errorf("status %d; it printed: %s", status, p.out)
	}
}

func TestASecondSignalEndsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	server, _ := serve(t)
	relay := startRelay(t, server, fault{silence: 100}) // the answers that the first one waits for never come
	p := begin(t, with(endless, "--addr", relay.addr(), "--timeout", "24h")...)
	eventually(t, "the load", func() bool { return relay.sent() >= 100 })
	p.signal(t, syscall.SIGINT)
	p.signal(t, syscall.SIGTERM) // another one, since two alike may be delivered as one
	if status := p.wait(t); status != interrupted {
		t.Errorf("status %d: %s", status, p.errs)
	}
	if !strings.Contains(p.errs.String(), "no results") || p.out.String() != "" {
		t.Errorf("it printed %s and said %s", p.out, p.errs)
	}
}
