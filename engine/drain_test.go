package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"throng/codec"
	"throng/shards"
)

// draining begins to stop a server and returns what Run will.
func (s *server) drainNow(t tb) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	eventually(t, "the server drains", s.Server.draining.Load)
	return ended
}

// What is accepted before a drain is finished and answered; what comes after is
// answered 503, in its turn; who connects is turned away; then Run ends.
func TestDrainFinishesWhatWasAccepted(t *testing.T) {
	t.Parallel()
	gaveUp := &complaints{least: slog.LevelWarn}
	b := startBlocked(t, func(c *Config, _ *shards.Config) { c.Logger = slog.New(gaveUp) })
	c, idle := dial(t, b.addr), dial(t, b.addr)
	idle.asks(t, ping, pong)
	c.send(t, b.p.says(b.stuck, "1"), b.p.reads(b.stuck, 2, 1), stranger().logsIn(), b.p.findsChats(codec.MaxChat))
	eventually(t, "it is accepted", func() bool { return b.inFlight(t, c) == 4 })

	ended := b.drainNow(t)
	c.send(t, b.p.says(b.free, "late"), ping)
	idle.asks(t, b.p.says(b.free, "late"), state503)
	dial(t, b.addr).expectEnd(t)
	eventually(t, "the late ones are refused", func() bool { return b.inFlight(t, c) == 5 })
	select {
	case err := <-ended:
		t.Fatal("Run ended with requests in flight: ", err)
	default:
	}
	b.shard.release()
	c.expect(t, sent(2), strings.Replace(
		`{"state_code":200,"content":{"values":[{"id":"ID","content":"1","index":2,"time":#}]}}`, "ID", b.p.id.String(), 1),
		failedLogin, noChats, state503, state503)
	b.blocker.expect(t, sent(1))
	for _, one := range []*client{c, b.blocker, idle} {
		if _, err := one.read(); !errors.Is(err, io.EOF) {
			t.Errorf("a drained connection ended with %v, want an orderly end", err)
		}
	}
	if err := await(t, ended, "the end of Run"); err != nil {
		t.Error(err)
	}
	if got := b.connections.Load(); got != 0 {
		t.Errorf("%d connections are left", got)
	}
	if said := gaveUp.take(); len(said) > 0 { // where it did, all may have come in time by luck
		t.Errorf("the drain complains: %q", said)
	}
}

// A request that takes two ways, such as a create, is finished too.
func TestDrainFinishesWhatIsHalfDone(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, disk.use)
	c, other := dial(t, s.addr), dial(t, s.addr)
	p, friend := c.newcomer(t), c.newcomer(t)
	accounts := disk.hang(t, accountsActor)
	other.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	c.send(t, p.creates(friend), friend.creates(p), stranger().registers())
	eventually(t, "it is accepted", func() bool { return s.inFlight(t, c) == 3 })
	ended := s.drainNow(t)
	accounts.release()
	c.expect(t, created, created, success)
	other.expect(t, success)
	if err := await(t, ended, "the end of Run"); err != nil {
		t.Error(err)
	}
}

// A drain waits no longer than it may for a peer that does not take what it is
// owed, nor for a shard that does not answer.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	briefly := func(c *Config, _ *shards.Config) { c.DrainTimeout = 100 * time.Millisecond }
	t.Run("a peer that does not read", func(t *testing.T) {
		t.Parallel()
		s := start(t, briefly)
		c := dial(t, s.addr)
		p := c.newcomer(t)
		chat := c.newChat(t, p)
		for i := range 20 {
			c.asks(t, p.says(chat, strings.Repeat("m", 60_000)), sent(i+1))
		}
		c.send(t, slices.Repeat([]string{p.reads(chat, -1, 20)}, 20)...)
		eventually(t, "replies are unread", func() (unread bool) {
			s.withConn(t, c, func(c *conn) { unread = c.sock.OutboundBuffered() > 0 && c.replies.empty() })
			return unread
		})
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a shard that does not answer", func(t *testing.T) {
		t.Parallel()
		b := startBlocked(t, briefly)
		c := dial(t, b.addr)
		c.send(t, ping, b.p.says(b.stuck, "1"), b.p.reads(b.stuck, -1, 1), ping)
		c.expect(t, pong)
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		c.expectEnd(t)
		b.shard.release() // its answers find no loop any more
	})
}

// A server that is told to end before it has begun ends.
func TestRunOfAnEndedContext(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	for range 3 {
		s := start(t) // for its store
		second, err := New(s.config, s.store)
		if err != nil {
			t.Fatal(err)
		}
		second.config.Ready = func(string) {}
		if err := second.Run(ended); err != nil {
			t.Error(err)
		}
	}
}

// A second server on a port that is in use is refused, and the first goes on.
func TestTwoServersOnOnePort(t *testing.T) {
	t.Parallel()
	s := start(t)
	config := s.config
	config.Listen = s.addr
	config.Ready = func(string) { t.Error("the second server is ready") }
	second, err := New(config, s.store)
	if err != nil {
		t.Fatal(err)
	}
	err = second.Run(t.Context())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "listen on "+s.addr) {
		t.Errorf("Run returned %v, want that %s is in use", err, s.addr)
	}
	for range 10 {
		dial(t, s.addr).asks(t, ping, pong)
	}
}

// Faults of the configuration are told all at once.
func TestConfigFaults(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Connections: -1, DrainTimeout: -1, UnreadBytes: -1}, nil)
	if err == nil {
		t.Fatal("New took it")
	}
	for _, fault := range []string{"connections", "drain timeout", "unread bytes"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q does not name the %s", err, fault)
		}
	}
}

// Running out of file descriptors ends gnet's engine without an error. Run must
// not call that a success. Not parallel: the limit is the process's.
func TestRunOutOfFiles(t *testing.T) {
	s := start(t)
	c := dial(t, s.addr)
	c.asks(t, ping, pong)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lowest, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	one := uint64(lowest.Fd()) + 1 // as many as are open, and one more
	lowest.Close()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: one, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}
	defer restore()
	if conn, err := net.Dial("tcp", s.addr); err == nil { // takes the one; the server may reset it
		defer conn.Close()
	}
	eventually(t, "accepting fails", s.complaints.any)
	restore()
	c.expectEnd(t)
	await(t, s.over, "the end of Run")
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "ended unasked") {
		t.Errorf("Run returned %v, want that the event loops ended unasked", err)
	}
	s.complaints.expect(t, "too many open files", // and gnet's own, on its way out
		"event-loop", "engine is being shutdown", "engine shutdown")
}

// After Run and Close nothing runs any more, whatever was going on. Not
// parallel: it looks at all goroutines.
func TestNothingRunsAfterwards(t *testing.T) {
	before := goleak.IgnoreCurrent()
	b := startBlocked(t, func(c *Config, _ *shards.Config) { c.DrainTimeout = 100 * time.Millisecond })
	var clients []*client
	for range 20 {
		c := dial(t, b.addr)
		c.send(t, b.p.says(b.stuck, "1"), stranger().logsIn(), b.p.findsChats(0), b.p.says(b.free, "1"), nonsense)
		clients = append(clients, c)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	for _, c := range append(clients, b.blocker) {
		_ = c.conn.Close()
	}
	for _, l := range b.allLoops() {
		if !l.outbox.closed {
			t.Error("a shard could wait for ever for a loop that has ended")
		}
	}
	b.shard.release()
	b.close(t)
	goleak.VerifyNone(t, before)
}
