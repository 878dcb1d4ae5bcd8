// Package peertest starts the real servers for tests. Where one is not on the
// machine the test is skipped, by name, unless THRONG_TEST_REQUIRE says that it
// must not be.
package peertest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"throng/bench/peers/start"
)

// requireVariable is the environment variable that lists the servers, by commas,
// without which a test fails: redis, nats, postgres.
const requireVariable = "THRONG_TEST_REQUIRE"

// Start runs one server for a test, in a directory that any user may pass, and
// stops it when the test is over.
func Start(tb testing.TB, kind string, run func(ctx context.Context, base string) (*start.Server, error)) *start.Server {
	tb.Helper()
	server, err := run(tb.Context(), base(tb))
	switch {
	case err == nil:
	case errors.Is(err, start.ErrMissing) && !required(kind):
		tb.Skipf("%s is %v", kind, err)
	default:
		tb.Fatal(err)
	}
	tb.Cleanup(func() { stop(tb, server) })
	return server
}

func required(kind string) bool {
	return slices.Contains(strings.Split(os.Getenv(requireVariable), ","), kind)
}

// base makes a directory that a server can reach whatever user it runs as, unlike
// that of TempDir.
func base(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "throng-peer-") //nolint:usetesting // TempDir's parent is closed to other users
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// stopTime bounds the wait for a polite end.
const stopTime = 20 * time.Second

func stop(tb testing.TB, server *start.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), stopTime)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		tb.Error(err)
	}
	if tb.Failed() {
		tb.Logf("%s logged:\n%s", server.Kind, server.Log())
	}
}
