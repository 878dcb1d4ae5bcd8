// This file starts and ends the program for every test of this package (exec_test.go is what it starts), and looks at
// what it leaves behind: processes, files, reports.

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"throng/bench/report"
)

// hangGuard ends a wait that would never end. No test asserts how long anything takes.
const hangGuard = 2 * time.Minute

// The exit statuses that users know.
const (
	done        = 0
	failed      = 1
	usage       = 2
	faults      = 3
	expectation = 4
	interrupted = 130
)

// people is a population that is there at once.
var people = []string{"--chats", "10", "--users", "10", "--members", "3"}

// brief is a run that is over at once.
var brief = append([]string{"-n", "500", "--warmup", "0s", "-c", "4"}, people...)

// with makes one command line of several parts.
func with(parts ...any) (args []string) {
	for _, part := range parts {
		switch p := part.(type) {
		case string:
			args = append(args, p)
		case []string:
			args = append(args, p...)
		default:
			panic(fmt.Sprintf("with: %T", part))
		}
	}
	return args
}

// process is the program at work.
type process struct {
	cmd       *exec.Cmd
	out, errs *output
	ended     chan struct{} // closed when it has ended
}

// launch says how to start the program.
type launch struct {
	env       []string
	out, errs *console // where its streams go instead of process.out and process.errs; nil: there. It runs under that of errs
}

// begin starts the program. It does not outlive the test.
func begin(t testing.TB, args ...string) *process { return launch{}.begin(t, args...) }

func (l launch) begin(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], args...), out: newOutput(), errs: newOutput(), ended: make(chan struct{})}
	p.cmd.Env = environment(l.env)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.errs
	if l.out != nil {
		p.cmd.Stdout = l.out.slave
	}
	if l.errs != nil {
		p.cmd.Stderr = l.errs.slave
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: syscall.Stderr}
	}
	lifeline, err := p.cmd.StdinPipe()
	must(t, err)
	must(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() { p.end(t, lifeline) })
	return p
}

// environment is ours without any setting of Throng's, plus those of the test.
func environment(extra []string) []string {
	env := []string{"THRONG_TEST_EXEC=1", "THRONG_TEST_LIFELINE=1"}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name == "NO_COLOR" || strings.HasPrefix(name, "THRONG_") && name != "THRONG_NATS_SERVER" {
			continue
		}
		env = append(env, v)
	}
	return append(env, extra...)
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	must(t, p.cmd.Process.Signal(s))
}

// wait waits for the end and returns the exit status; -1: a signal ended it.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(hangGuard):
		t.Fatalf("throng-bench %q does not end:\n%s", p.cmd.Args[1:], p.errs)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// end is the cleanup: no process outlives its test, and none may have panicked or raced unseen.
func (p *process) end(t testing.TB, lifeline io.Closer) {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
	_ = lifeline.Close()
	for _, bad := range []string{"DATA RACE", "panic", "goroutine 1 ["} {
		if strings.Contains(p.errs.String(), bad) {
			t.Errorf("standard error holds %q", bad)
		}
	}
	if t.Failed() && p.errs.String() != "" {
		t.Logf("throng-bench %q said:\n%s", p.cmd.Args[1:], p.errs)
	}
}

// result is what a command that ran to its end left behind.
type result struct {
	status    int
	out, errs string
}

// run runs a command to its end.
func run(t testing.TB, args ...string) result {
	t.Helper()
	p := begin(t, args...)
	status := p.wait(t)
	return result{status, p.out.String(), p.errs.String()}
}

// ends checks the exit status, and that an error is told in one message without a stack.
func (r result) ends(t testing.TB, status int, words ...string) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d; it said:\n%s%s", r.status, status, r.out, r.errs)
	}
	if status == done {
		return
	}
	if !strings.HasPrefix(r.errs, "throng-bench: ") || strings.Contains(r.errs, "goroutine ") {
		t.Errorf("standard error %q, want \"throng-bench: …\"", r.errs)
	}
	for _, word := range words {
		if !strings.Contains(r.errs, word) {
			t.Errorf("standard error %q does not say %q", r.errs, word)
		}
	}
}

// measure runs a workload to its end and returns its report.
func measure(t testing.TB, args ...string) *report.Report {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	run(t, append(args, "--json", path)...).ends(t, done)
	return readReport(t, path)
}

func readReport(t testing.TB, path string) *report.Report {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	r, err := report.Read(f)
	must(t, err)
	return r
}

// verified checks that a run was verified, that all went well, and how many requests were measured.
func verified(t testing.TB, r *report.Report, requests int64) {
	t.Helper()
	if r.Total.Requests != requests || r.Total.OK != requests || len(r.Total.Errors) != 0 {
		t.Errorf("%d requests, %d of them successful, errors %v; want %d", r.Total.Requests, r.Total.OK, r.Total.Errors, requests)
	}
	if r.Verdict == nil || !r.Verdict.OK {
		t.Fatalf("verdict %+v", r.Verdict)
	}
}

// scratch makes a directory for the program to make its own in.
func scratch(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "scratch")
	must(t, os.Mkdir(dir, 0o755))
	return dir
}

// servers lists the running servers whose data is below a directory.
func servers(t testing.TB, dir string) (pids []int) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, path := range lines {
		line, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(line), "\x00serve\x00") || !strings.Contains(string(line), dir) {
			continue // it has ended, or is another one: one that has ended and was not waited for has no command line
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		must(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// vacant checks that no server is left, and no file.
func vacant(t testing.TB, dir string) {
	t.Helper()
	if left := servers(t, dir); len(left) > 0 {
		t.Errorf("servers are left: %v", left)
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) > 0 {
		t.Errorf("files are left: %v", left)
	}
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func newOutput() *output { return &output{} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// readyWord waits for a ready line, "… ready listen=127.0.0.1:7114 …", and returns the word of a key.
func (p *process) readyWord(t testing.TB, key string) (value string) {
	t.Helper()
	eventually(t, "a ready line", func() bool {
		if !p.running() {
			t.Fatalf("it ended before it was ready: %s", p.errs)
		}
		line, _, whole := strings.Cut(p.out.String(), "\n")
		for word := range strings.FieldsSeq(line) {
			if text, ok := strings.CutPrefix(word, key+"="); ok && whole {
				value = text
			}
		}
		return whole
	})
	return value
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually repeats a step until it reports true.
func eventually(t testing.TB, what string, step func() bool) {
	t.Helper()
	for deadline := time.Now().Add(hangGuard); time.Now().Before(deadline); {
		if step() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(errors.New("still waiting: " + what))
}
