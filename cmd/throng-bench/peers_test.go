// The other servers, as they are on this machine: measured by URL, and all in one command.

package main_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"throng/bench/peers/start"
)

// peers says how each is started and what it then tells of itself.
var peers = map[string]struct {
	start      func(ctx context.Context, base string) (*start.Server, error)
	durability string
	reads      bool
}{
	"redis": {func(ctx context.Context, base string) (*start.Server, error) {
		return start.Redis(ctx, base, start.RedisOptions{Fsync: "everysec"})
	}, "appendonly=yes appendfsync=everysec", true},
	"nats": {func(ctx context.Context, base string) (*start.Server, error) {
		return start.NATS(ctx, base, start.NATSOptions{Sync: "always"})
	}, "sync_interval=always", false},
	"postgres": {func(ctx context.Context, base string) (*start.Server, error) {
		return start.Postgres(ctx, base, start.PostgresOptions{SynchronousCommit: "off"})
	}, "synchronous_commit=off", true},
}

// startPeer starts a real server. Where it is not on the machine the test is skipped, by name, unless
// THRONG_TEST_REQUIRE lists it.
func startPeer(t testing.TB, kind string) *start.Server {
	t.Helper()
	server, err := peers[kind].start(t.Context(), openDir(t))
	required := slices.Contains(strings.Split(os.Getenv("THRONG_TEST_REQUIRE"), ","), kind)
	if errors.Is(err, start.ErrMissing) && !required {
		t.Skipf("%s is %v", kind, err)
	}
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop(context.WithoutCancel(t.Context()))) })
	return server
}

// openDir makes a directory that a server can reach whatever user it runs as, unlike that of TempDir.
func openDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "throng-bench-") //nolint:usetesting // TempDir's parent is closed to other users
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

func TestEachOtherServerIsMeasuredAndItsDurabilityReadBackFromIt(t *testing.T) {
	t.Parallel()
	for kind, peer := range peers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url := startPeer(t, kind).URL
			r := measure(t, with("send", brief, "--target", url)...)
			verified(t, r, 500)
			if r.Settings.Target != kind || r.Server.Kind != kind || r.Server.Version == "" || !r.Server.Local {
				t.Errorf("target %s, server %+v", r.Settings.Target, r.Server)
			}
			if !strings.Contains(r.Server.Durability, peer.durability) {
				t.Errorf("durability %q, want %q", r.Server.Durability, peer.durability)
			}
			if !peer.reads {
				run(t, with("read", brief, "--target", url)...).ends(t, usage, "cannot read")
				return
			}
			r = measure(t, with("read", brief, "--target", url, "--fill", "20", "--count", "5")...)
			verified(t, r, 500)
			if r.Total.Messages != 500*5 {
				t.Errorf("reads showed %d messages", r.Total.Messages)
			}
		})
	}
}

func TestVersusPrintsTheTableOfRatiosAndKeepsEveryReport(t *testing.T) {
	t.Parallel()
	startPeer(t, "redis") // or there is nothing to compare with
	dir, out := scratch(t), t.TempDir()
	table := filepath.Join(t.TempDir(), "table.md")
	got := run(t, with("versus", people, "--peers", "redis", "--rounds", "1", "-d", "300ms", "--warmup", "0s", "--pause", "0s",
		"-c", "8", "--work", "P16", "--dir", dir, "--markdown", table, "--out", out)...)
	got.ends(t, done)
	vacant(t, dir)
	for _, word := range []string{"| throng", "| redis", "| durable send, P16", "| read last 20, P16", "1.00 (1.00-1.00)", "sync=always", "appendfsync=always"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("the table does not say %q:\n%s", word, got.out)
		}
	}
	if strings.Contains(got.out, "P64") || contents(t, table) != got.out {
		t.Errorf("it printed:\n%s\nand wrote:\n%s", got.out, contents(t, table))
	}
	reports, err := filepath.Glob(filepath.Join(out, "*.json"))
	must(t, err)
	if len(reports) != 2*3 {
		t.Errorf("reports: %v, want one for each of two servers and three works", reports)
	}
	for _, path := range reports {
		if r := readReport(t, path); r.Verdict == nil || !r.Verdict.OK || r.Total.OK == 0 {
			t.Errorf("%s: verdict %+v, %d successes", path, r.Verdict, r.Total.OK)
		}
	}
}

func TestCtrlCEndsVersusWithTheServerThatRuns(t *testing.T) {
	t.Parallel()
	dir, tty := scratch(t), openConsole(t)
	p := launch{errs: tty}.begin(t, with("versus", people, "--peers", "redis", "-d", "1h", "--warmup", "0s", "--pause", "0s", "-c", "4", "--work", "P16", "--dir", dir)...)
	tty.awaitLoad(t, p)
	if len(servers(t, dir)) != 1 {
		t.Errorf("servers: %v, want Throng's, which is the first", servers(t, dir))
	}
	tty.types(t, "\x03")
	if status := p.wait(t); status != interrupted {
		t.Errorf("status %d: %s", status, tty)
	}
	vacant(t, dir)
}
