// Package realserver starts the real `throng serve` for tests of the harness,
// which may not import the server. It is test support only.
//
// The binary is built once for each package's tests, when the first of them wants
// it. A package that uses it hands over its TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(realserver.Main(m)) }
package realserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hangGuard ends a wait that would never end; nothing is measured by it.
const hangGuard = 60 * time.Second

// built is the binary of this process's tests. There is one, and go test gives no
// other place that outlives a single test.
var built binary

// binary is `throng`, once it is built.
type binary struct {
	once sync.Once
	dir  string // made by Main
	err  error
}

// Main runs the tests and removes what was built for them. It returns the exit
// status.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "throng-realserver-")
	if err != nil {
		panic(fmt.Sprintf("realserver: %v", err))
	}
	defer func() { _ = os.RemoveAll(dir) }()
	built.dir = dir
	return m.Run()
}

// path builds the binary where it is not built yet.
func (b *binary) path() (string, error) {
	path := filepath.Join(b.dir, "throng")
	b.once.Do(func() {
		if b.dir == "" {
			b.err = errors.New("this package's TestMain must call realserver.Main")
			return
		}
		if out, err := exec.Command("go", "build", "-o", path, "throng/cmd/throng").CombinedOutput(); err != nil {
			b.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	return path, b.err
}

// Server is one running server. Its methods may be called by one goroutine at a
// time.
type Server struct {
	Dir   string            // its data directory
	Ready map[string]string // the key=value words of its ready line: listen, data, shards, sync, json

	cmd  *exec.Cmd
	log  *output
	done chan struct{} // closed when the process has ended

	awaited bool // the test has seen it end
}

// Start starts a server on a fresh directory and a free port of loopback, waits
// until it is ready, and kills it when the test is over. args go behind
// --listen and --data.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return StartIn(t, filepath.Join(t.TempDir(), "data"), args...)
}

// StartIn starts a server on a directory, of an earlier one for instance, and
// waits until it is ready.
func StartIn(t testing.TB, dir string, args ...string) *Server {
	t.Helper()
	s := Launch(t, dir, args...)
	s.AwaitReady(t)
	return s
}

// StartWithFiles is Start, for a server that may have so many files open, sockets
// included.
func StartWithFiles(t testing.TB, files int, args ...string) *Server {
	t.Helper()
	limit := fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files)
	s := launch(t, []string{"sh", "-c", limit}, filepath.Join(t.TempDir(), "data"), args)
	s.AwaitReady(t)
	return s
}

// Launch starts a server on a directory and does not wait for it: AwaitReady does,
// and until then there is no Ready.
func Launch(t testing.TB, dir string, args ...string) *Server {
	t.Helper()
	return launch(t, nil, dir, args)
}

// launch starts a server; before is what its command line begins with.
func launch(t testing.TB, before []string, dir string, args []string) *Server {
	t.Helper()
	path, err := built.path()
	if err != nil {
		t.Fatalf("realserver: %v", err)
	}
	s := &Server{Dir: dir, log: newOutput(), done: make(chan struct{})}
	line := slices.Concat(before, []string{path, "serve", "--listen", "127.0.0.1:0", "--data", dir}, args)
	s.cmd = exec.Command(line[0], line[1:]...)
	s.cmd.Env = environment()
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("realserver: %v", err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.done)
	}()
	t.Cleanup(func() { s.end(t) })
	return s
}

// environment is ours without the settings of a throng.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "THRONG_") {
			env = append(env, v)
		}
	}
	return env
}

// AwaitReady waits for the ready line and fills Ready. That the server ends first
// ends the test.
func (s *Server) AwaitReady(t testing.TB) {
	t.Helper()
	select {
	case line := <-s.log.ready:
		s.Ready = make(map[string]string)
		for word := range strings.FieldsSeq(line) {
			if key, value, ok := strings.Cut(word, "="); ok {
				s.Ready[key] = value
			}
		}
	case <-s.done:
		t.Fatalf("realserver: it ended before it was ready:\n%s", s.log)
	case <-time.After(hangGuard):
		t.Fatalf("realserver: it is not ready:\n%s", s.log)
	}
}

// Addr is where it listens, host:port.
func (s *Server) Addr() string { return s.Ready["listen"] }

// Pid is its process.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Signal sends its process a signal.
func (s *Server) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatalf("realserver: %v", err)
	}
}

// Kill kills it without warning, and waits for its end.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.Signal(t, syscall.SIGKILL)
	s.await(t)
}

// TryKill kills it, and waits for its end. It returns whether the kill is what
// ended it: false where it had ended by itself before.
func (s *Server) TryKill(t testing.TB) bool {
	t.Helper()
	_ = s.cmd.Process.Kill() // it may have ended
	s.await(t)
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// SaidReady reports whether its ready line has come.
func (s *Server) SaidReady() bool { return strings.Contains(s.log.String(), "throng ready ") }

// Output is what it has said so far.
func (s *Server) Output() string { return s.log.String() }

// Stop asks it to drain, waits for its end, and returns its exit status.
func (s *Server) Stop(t testing.TB) int {
	t.Helper()
	s.Signal(t, syscall.SIGTERM)
	s.await(t)
	return s.cmd.ProcessState.ExitCode()
}

// AwaitEnd waits until it ends by itself, and returns its exit status.
func (s *Server) AwaitEnd(t testing.TB) int {
	t.Helper()
	s.await(t)
	return s.cmd.ProcessState.ExitCode()
}

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

func (s *Server) await(t testing.TB) {
	t.Helper()
	select {
	case <-s.done:
		s.awaited = true
	case <-time.After(hangGuard):
		t.Fatalf("realserver: it does not end:\n%s", s.log)
	}
}

func (s *Server) end(t testing.TB) {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.done
	if failed := s.cmd.ProcessState.ExitCode() > 0; t.Failed() && (failed || !s.awaited) { // of a thousand that were killed, all would be too much
		t.Logf("the server's output:\n%s", s.log)
	}
}

// output collects what the server says, and hands out its ready line.
type output struct {
	ready chan string

	mu   sync.Mutex
	text bytes.Buffer
	told bool
}

func newOutput() *output { return &output{ready: make(chan string, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.told {
		return len(p), nil
	}
	if _, rest, ok := strings.Cut(o.text.String(), "throng ready "); ok {
		if line, _, whole := strings.Cut(rest, "\n"); whole {
			o.told = true
			o.ready <- line
		}
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
