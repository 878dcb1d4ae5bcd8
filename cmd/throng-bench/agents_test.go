// Several generators, each a process, put one load on one server.

package main_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// beginAgent starts an agent and returns where it waits.
func beginAgent(t testing.TB, secret string) (p *process, addr string) {
	t.Helper()
	p = begin(t, "agent", "--listen", "127.0.0.1:0", "--secret-file", secret)
	addr = p.readyWord(t, "listen")
	return p, addr
}

func TestAgentsGiveOneReportThatIsVerifiedAndRefuseAWrongSecret(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	dir := t.TempDir()
	secret, wrong, path := filepath.Join(dir, "secret"), filepath.Join(dir, "wrong"), filepath.Join(dir, "r.json")
	write(t, secret, "correct horse battery staple\n")
	write(t, wrong, "incorrect horse battery staple\n")
	first, a := beginAgent(t, secret)
	second, b := beginAgent(t, secret)
	hired := with("send", brief, "--addr", addr, "--agents", a+","+b, "--json", path)

	run(t, with(hired, "--secret-file", wrong)...).ends(t, failed, "agent "+a)
	if !first.running() || !second.running() {
		t.Fatal("a wrong secret ends an agent")
	}

	got := run(t, with(hired, "--secret-file", secret)...)
	got.ends(t, done)
	r := readReport(t, path)
	verified(t, r, 500)
	s := &r.Settings
	if s.Agents != 2 || s.Connections != 4 || s.Chats != 10 || s.Requests != 500 || len(r.Others) != 1 {
		t.Errorf("settings %+v, %d machines", s, 1+len(r.Others))
	}
	if r.Verdict.Sends != 500 || r.Verdict.Chats != 10 {
		t.Errorf("verdict %+v, want the shares of both", r.Verdict)
	}
	for _, text := range []string{got.out, got.errs, contents(t, path)} {
		if strings.Contains(text, "horse") {
			t.Errorf("the secret is told: %s", text)
		}
	}
	for _, agent := range []*process{first, second} {
		if jobs := strings.Count(agent.errs.String(), "workload=send"); jobs != 1 {
			t.Errorf("%d jobs of an agent, want 1:\n%s", jobs, agent.errs)
		}
		agent.signal(t, syscall.SIGTERM)
		if status := agent.wait(t); status != done {
			t.Errorf("an agent ends with %d", status)
		}
	}
}

func TestCtrlCEndsTheLoadOfAllAgents(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	relay := startRelay(t, addr, fault{})
	dir := t.TempDir()
	secret, path := filepath.Join(dir, "secret"), filepath.Join(dir, "r.json")
	write(t, secret, "correct horse battery staple")
	agent, a := beginAgent(t, secret)
	p := begin(t, with(endless, "--addr", relay.addr(), "--agents", a, "--secret-file", secret, "--json", path)...)
	eventually(t, "the load", func() bool { return relay.sent() >= 100 })
	p.signal(t, syscall.SIGINT)
	if status := p.wait(t); status != interrupted {
		t.Fatalf("status %d", status)
	}
	r := readReport(t, path)
	if !r.Interrupted || r.Total.OK == 0 {
		t.Errorf("interrupted %v with %d successes", r.Interrupted, r.Total.OK)
	}
	verified(t, r, r.Total.Requests)
	if !agent.running() {
		t.Error("the agent has ended as well")
	}
}

func TestAgentsConnectTogether(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	secret, path := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "r.json")
	write(t, secret, "correct horse battery staple")
	_, a := beginAgent(t, secret)
	_, b := beginAgent(t, secret)
	run(t, with("connect", "-c", "31", "--idle", "10ms", "--addr", addr,
		"--agents", a+","+b, "--secret-file", secret, "--json", path)...).ends(t, done)
	r := readReport(t, path)
	if r.Settings.Agents != 2 || r.Total.OK != 31 || r.Idle == nil || r.Idle.Connections != 31 {
		t.Errorf("%d agents made %d logins: %+v", r.Settings.Agents, r.Total.OK, r.Idle)
	}
}

func TestAnAgentThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, "correct horse battery staple")
	run(t, with("send", brief, "--addr", addr, "--agents", "127.0.0.1:1", "--secret-file", secret)...).ends(t, failed, "127.0.0.1:1", "refused")
}
