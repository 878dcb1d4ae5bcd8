// This file starts and ends the real server for every test of this package (exec_test.go is what it starts);
// client_test.go talks to it. A test may kill its server, starve it of descriptors, or start a second one beside it.

package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hangGuard ends a wait that would never end. No test asserts how long anything takes.
const hangGuard = 20 * time.Second

// launch says how to start `throng serve`. The zero value is a server with defaults on a directory of its own.
type launch struct {
	dir   string   // data directory; "" makes one
	env   []string // THRONG_… settings
	files int      // RLIMIT_NOFILE, soft and hard; 0 leaves it alone
	args  []string // flags behind --listen and --data
}

// server is one running `throng serve`.
type server struct {
	dir   string
	ready map[string]string // the key=value words of its ready line

	cmd  *exec.Cmd
	errs *output
	done chan struct{} // closed when the process has ended
}

// severalShards are the flags of a server whose chats are spread, which by default they
// are on machines of four cores and more.
var severalShards = []string{"--shards", "3"}

// start runs a server on a fresh directory.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	return launch{args: args}.start(t)
}

// startIn runs a server on the directory of an earlier one.
func startIn(t testing.TB, dir string, args ...string) *server {
	t.Helper()
	return launch{dir: dir, args: args}.start(t)
}

// start runs the server and waits for its ready line.
func (l launch) start(t testing.TB) *server {
	t.Helper()
	if l.dir == "" {
		l.dir = filepath.Join(t.TempDir(), "data")
	}
	out := newOutput()
	s := &server{dir: l.dir, errs: newOutput(), done: make(chan struct{})}
	s.cmd = l.command()
	s.cmd.Stdout, s.cmd.Stderr = out, s.errs
	lifeline, err := s.cmd.StdinPipe()
	must(t, err)
	must(t, s.cmd.Start())
	go func() {
		_ = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() { s.end(t, lifeline) })
	s.ready = s.awaitReady(t, out)
	return s
}

// command is `throng serve`, ending with its standard input (see exec_test.go).
func (l launch) command() *exec.Cmd {
	env := append([]string{"THRONG_TEST_LIFELINE=1"}, l.env...)
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", l.dir}, l.args...)
	if l.files == 0 {
		return throngCommand(env, args...)
	}
	shell := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, l.files)
	cmd := exec.Command("sh", append([]string{"-c", shell, os.Args[0]}, args...)...)
	cmd.Env = environment(env)
	return cmd
}

func throngCommand(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environment(env)
	return cmd
}

// environment is ours without any THRONG_ setting, plus those of the test.
func environment(extra []string) []string {
	env := []string{"THRONG_TEST_EXEC=1"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "THRONG_") {
			env = append(env, v)
		}
	}
	return append(env, extra...)
}

func (s *server) awaitReady(t testing.TB, out *output) map[string]string {
	t.Helper()
	select {
	case line := <-out.firstLine:
		return readyWords(t, line)
	case <-s.done:
		t.Fatalf("the server ended before it was ready:\n%s", s.errs)
	case <-time.After(hangGuard):
		t.Fatalf("the server is not ready:\n%s", s.errs)
	}
	return nil
}

// readyWords splits "throng ready listen=127.0.0.1:7114 data=DIR …".
func readyWords(t testing.TB, line string) map[string]string {
	t.Helper()
	rest, ok := strings.CutPrefix(line, "throng ready ")
	if !ok {
		t.Fatalf("ready line %q", line)
	}
	words := make(map[string]string)
	for word := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(word, "=")
		words[key] = value
	}
	return words
}

func (s *server) addr() string { return s.ready["listen"] }

// kill is a power cut, as far as the process can tell.
func (s *server) kill(t testing.TB) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	s.await(t)
}

// stop asks for a drain and reports the exit status.
func (s *server) stop(t testing.TB) int {
	t.Helper()
	must(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.await(t)
	return s.cmd.ProcessState.ExitCode()
}

// freeze stops the server's every thread, and returns when the last has stopped: until thaw it writes nothing, and keeps
// its locks and its port.
func (s *server) freeze(t testing.TB) (thaw func()) {
	t.Helper()
	must(t, s.cmd.Process.Signal(syscall.SIGSTOP))
	must(t, unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WSTOPPED, nil))
	return func() {
		t.Helper()
		must(t, s.cmd.Process.Signal(syscall.SIGCONT))
	}
}

func (s *server) await(t testing.TB) {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(hangGuard):
		t.Fatalf("the server does not end:\n%s", s.errs)
	}
}

func (s *server) running() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// end is the cleanup: no process outlives its test, and none may have panicked or raced unseen.
func (s *server) end(t testing.TB, lifeline io.Closer) {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.done
	_ = lifeline.Close()
	log := s.errs.String()
	for _, bad := range []string{"DATA RACE", "panic", "goroutine 1 ["} {
		if strings.Contains(log, bad) {
			t.Errorf("the server's log holds %q", bad)
		}
	}
	if t.Failed() {
		t.Logf("the server's log:\n%s", log)
	}
}

// residentBytes is the server's resident memory.
func (s *server) residentBytes(t testing.TB) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	must(t, err)
	var total, resident int64
	_, err = fmt.Sscan(string(status), &total, &resident)
	must(t, err)
	return resident * int64(os.Getpagesize())
}

// result is what a command that ran to its end left behind.
type result struct {
	status    int
	out, errs string
}

// throng runs a command to its end.
func throng(t testing.TB, in string, args ...string) result {
	t.Helper()
	return finish(t, throngCommand(nil, args...), in)
}

func finish(t testing.TB, cmd *exec.Cmd, in string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(in), &out, &errs
	must(t, cmd.Start())
	guard := time.AfterFunc(hangGuard, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	if !guard.Stop() {
		t.Fatalf("throng %q does not end:\n%s", cmd.Args[1:], errs.String())
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// refused runs a server that must not start, and returns what it says.
func (l launch) refused(t testing.TB) string {
	t.Helper()
	if l.dir == "" {
		l.dir = filepath.Join(t.TempDir(), "data")
	}
	cmd := l.command()
	// Standard input stays open for as long as the guard allows: its end would end the server.
	lifeline, err := cmd.StdinPipe()
	must(t, err)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	must(t, cmd.Start())
	guard := time.AfterFunc(hangGuard, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	_ = lifeline.Close()
	if !guard.Stop() {
		t.Fatalf("a server that must not start did: %s", out.String())
	}
	refusal(t, result{cmd.ProcessState.ExitCode(), out.String(), errs.String()})
	return errs.String()
}

// refusal checks how an error ends a command: a status, one clear message, nothing on standard output.
func refusal(t testing.TB, r result) {
	t.Helper()
	if r.status == 0 || r.out != "" || !strings.HasPrefix(r.errs, "throng: ") {
		t.Fatalf("status %d, stdout %q, stderr %q, want a status other than 0 and \"throng: …\"", r.status, r.out, r.errs)
	}
	if strings.Contains(r.errs, "goroutine ") {
		t.Fatalf("a stack instead of a message: %s", r.errs)
	}
}

// output collects what a process writes, and hands out its first line.
type output struct {
	firstLine chan string

	mu   sync.Mutex
	text bytes.Buffer
	sent bool
}

func newOutput() *output { return &output{firstLine: make(chan string, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if line, _, whole := strings.Cut(o.text.String(), "\n"); whole && !o.sent {
		o.sent = true
		o.firstLine <- line
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
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
	t.Fatalf("still waiting: %s", what)
}
