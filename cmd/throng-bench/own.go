package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"throng/bench/target/throng"
)

// ownServer is a Throng in a process of its own: this program, started again as
// its hidden command serve. It ends with us, even where we are killed: its
// standard input is a pipe that we hold.
type ownServer struct {
	cmd      *exec.Cmd
	lifeline io.Closer
	dir      string
	ready    map[string]string // the words of its ready line
	words    *tail
	done     chan struct{} // closed when the process has ended
}

const (
	readyTimeout = time.Minute      // opening a directory may replay logs
	stopTimeout  = 30 * time.Second // to drain; then it is killed

	lifelineEnv = "THRONG_BENCH_LIFELINE"
)

// startOwn starts a server on a temporary directory below dir and waits until it
// is ready.
func startOwn(ctx context.Context, dir string, flags []string) (*ownServer, error) {
	path, err := self()
	if err != nil {
		return nil, err
	}
	s := &ownServer{words: &tail{}, done: make(chan struct{})}
	if s.dir, err = os.MkdirTemp(dir, "throng-bench-*"); err != nil {
		return nil, fmt.Errorf("make a directory for the server: %w", err)
	}
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(s.dir, "data")}, flags...)
	s.cmd = exec.Command(path, args...)
	s.cmd.Env = append(os.Environ(), lifelineEnv+"=1")
	s.cmd.Stderr = s.words
	// A signal for us, from a terminal, is not for the server: it must see the run end.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.start(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start a server: %w", err)
	}
	return s, nil
}

func (s *ownServer) start(ctx context.Context) (err error) {
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if s.lifeline, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		in := bufio.NewReader(out)
		first, _ := in.ReadString('\n') // its end is the process's
		line <- first
		_, _ = io.Copy(io.Discard, in)
		_ = s.cmd.Wait()
		close(s.done)
	}()
	return s.awaitReady(ctx, line)
}

func (s *ownServer) awaitReady(ctx context.Context, line <-chan string) error {
	select {
	case text := <-line:
		rest, ok := strings.CutPrefix(strings.TrimSpace(text), "throng ready ")
		if !ok {
			<-s.done
			return errors.New(s.lastWords())
		}
		s.ready = map[string]string{}
		for word := range strings.FieldsSeq(rest) {
			key, value, _ := strings.Cut(word, "=")
			s.ready[key] = value
		}
		return nil
	case <-time.After(readyTimeout):
		return fmt.Errorf("it is not ready after %v: %s", readyTimeout, s.lastWords())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// site is the server as the target of a run.
func (s *ownServer) site() *site {
	t := throng.New(s.ready["listen"])
	t.Version, t.Durability = version(), "sync="+s.ready["sync"]
	t.Settings = map[string]string{"shards": s.ready["shards"], "json": s.ready["json"]}
	return &site{target: t, url: "throng://" + s.ready["listen"], addr: s.ready["listen"], pid: s.cmd.Process.Pid, dataDir: s.dir, own: s}
}

// stop lets the server drain, or kills it, and removes its directory.
func (s *ownServer) stop() {
	if s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // one that has ended is as good
		select {
		case <-s.done:
		case <-time.After(stopTimeout):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	if s.lifeline != nil {
		_ = s.lifeline.Close()
	}
	_ = os.RemoveAll(s.dir) // what is left of a temporary directory is no fault of the run
}

func (s *ownServer) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *ownServer) lastWords() string { return s.words.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}
