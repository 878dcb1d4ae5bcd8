package engine

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs" //nolint:depguard // shards.Config.FS is one: the tests keep their disks in memory
	"go.uber.org/goleak"

	"throng/codec"
	"throng/shards"
)

// TestMain warms the decoders as the command does, and lets no goroutine
// outlive the tests but those that were there before: the two that gnet's pool
// starts at init. Where idle_test.go asks for it, the process is a server.
func TestMain(m *testing.M) {
	if err := codec.Warm(); err != nil {
		panic(err)
	}
	if dir := os.Getenv(childDir); dir != "" {
		serveAsChild(dir)
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// patience is how long a test waits for what must come. Nothing depends on it
// but when a broken test fails: where many are to fail, it can be set to less.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("THRONG_TEST_PATIENCE")); err == nil {
		return d
	}
	return time.Minute
}()

// tb is what testing.TB and rapid.T have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(func())
}

// An option adjusts how a test's server is configured.
type option func(*Config, *shards.Config)

// leading has the one loop lead the commits of the one shard.
func leading(c *Config, s *shards.Config) { c.Loops, s.Shards = 1, 1 }

// inBothModes runs a test of a server whose shards write for themselves, and of one whose
// loop leads.
func inBothModes(t *testing.T, test func(t *testing.T, mode option)) {
	t.Parallel()
	t.Run("shards of their own", func(t *testing.T) {
		t.Parallel()
		test(t, func(*Config, *shards.Config) {})
	})
	t.Run("a loop that leads", func(t *testing.T) {
		t.Parallel()
		test(t, leading)
	})
}

func oneLoop(c *Config, _ *shards.Config) { c.Loops = 1 }

// onDisk puts the server's data on a real disk.
func onDisk(t testing.TB) option {
	dir := t.TempDir()
	return func(_ *Config, c *shards.Config) { c.Dir, c.FS = dir, nil }
}

// server is a Server that runs in this process until the test ends. A test that
// it complains in, by an error in its log, fails, but for complaints that the
// test has taken.
type server struct {
	*Server
	addr       string
	complaints *complaints

	over   <-chan struct{} // Run has returned
	end    func() error    // lets Run drain, if it has not, and returns its error
	ended  bool            // by the test, which has looked at the error
	closed bool
}

// start runs a server: by default on a disk in memory, with two shards.
func start(t tb, adjust ...option) *server {
	t.Helper()
	said := &complaints{least: slog.LevelError}
	ready := make(chan string, 1)
	config := Config{
		Listen: "127.0.0.1:0",
		Logger: slog.New(said),
		Ready:  func(addr string) { ready <- addr },
	}
	storeConfig := shards.Config{
		Dir: "data", FS: vfs.NewMem(), Shards: 2, Memory: shards.MinMemory, Logger: slog.New(said),
	}
	for _, a := range adjust {
		a(&config, &storeConfig)
	}
	store, err := shards.Open(storeConfig)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{complaints: said}
	if s.Server, err = New(config, store); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan struct{})
	var result error // of Run, once it is over
	go func() {
		defer close(over)
		result = s.Run(ctx)
	}()
	s.over = over
	s.end = func() error {
		stop()
		await(t, over, "the end of Run")
		return result
	}
	t.Cleanup(func() { s.close(t) })
	select {
	case s.addr = <-ready:
	case <-over:
		s.ended = true
		t.Fatal("the server ended: ", result)
	}
	return s
}

// stop lets the server drain and returns what Run did.
func (s *server) stop() error {
	s.ended = true
	return s.end()
}

// close stops the server and closes its store. Both must succeed, or be the
// test's own business.
func (s *server) close(t tb) {
	t.Helper()
	if s.closed {
		return
	}
	s.closed = true
	if err := s.end(); err != nil && !s.ended {
		t.Errorf("Run ended with %v", err)
	}
	if err := s.store.Close(); err != nil {
		t.Errorf("the store closed with %v", err)
	}
	if said := s.complaints.take(); len(said) > 0 {
		t.Errorf("the server complained:\n%s", strings.Join(said, "\n"))
	}
}

// onLoops runs f on every loop that has had a connection.
func (s *server) onLoops(t tb, f func(*loop)) {
	t.Helper()
	if !s.each(func(l *loop) bool { f(l); return true }) {
		t.Fatal("a loop has ended")
	}
}

// withConn runs f on the loop of a client's connection; false: it is closed.
func (s *server) withConn(t tb, c *client, f func(*conn)) (open bool) {
	t.Helper()
	s.onLoops(t, func(l *loop) {
		for _, one := range l.conns {
			if one.sock.RemoteAddr().String() == c.conn.LocalAddr().String() {
				f(one)
				open = true
				return
			}
		}
	})
	return open
}

// inFlight returns how many of a client's requests are unanswered.
func (s *server) inFlight(t tb, c *client) (n int) {
	t.Helper()
	s.withConn(t, c, func(c *conn) { n = c.replies.len() })
	return n
}

// complaints collects what a server logs that is so bad at least.
type complaints struct {
	least slog.Level

	mu   sync.Mutex
	said []string
}

func (c *complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= c.least
}

func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, line)
	return nil
}

func (c *complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *complaints) WithGroup(string) slog.Handler      { return c }

func (c *complaints) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

func (c *complaints) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.said) > 0
}

// expect takes the complaints, each of which must hold the words.
func (c *complaints) expect(t tb, words ...string) {
	t.Helper()
	said := c.take()
	if len(said) != len(words) {
		t.Fatalf("%d complaints, want %d:\n%s", len(said), len(words), strings.Join(said, "\n"))
	}
	for i := range words {
		if !strings.Contains(said[i], words[i]) {
			t.Errorf("complaint %d is %q, want one of %q", i, said[i], words[i])
		}
	}
}

// await returns what comes out of a channel, which must come.
func await[T any](t tb, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("%s has not come", what)
		panic("unreachable")
	}
}

// eventually waits until the condition holds, which it must.
func eventually(t tb, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is not so: %s", what)
		}
	}
}
