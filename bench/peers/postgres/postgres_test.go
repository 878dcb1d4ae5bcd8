package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"throng/bench/internal/conformance"
	"throng/bench/internal/peertest"
	"throng/bench/peers/postgres"
	"throng/bench/peers/start"
	"throng/bench/target"
)

func serve(tb testing.TB, o start.PostgresOptions) *start.Server {
	tb.Helper()
	return peertest.Start(tb, "postgres", func(ctx context.Context, base string) (*start.Server, error) {
		return start.Postgres(ctx, base, o)
	})
}

func open(tb testing.TB, url string) target.Target {
	tb.Helper()
	p, err := postgres.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestPostgreSQLKeepsWhatTargetsPromise(t *testing.T) {
	server := serve(t, start.PostgresOptions{})
	conformance.Run(t, conformance.Server{
		Open: func(tb testing.TB) target.Target { return open(tb, server.URL) },
		Kill: server.Kill,
	})
}

func TestTheDurabilityIsReadBackFromTheServer(t *testing.T) {
	for _, commit := range []string{"on", "off"} {
		server := serve(t, start.PostgresOptions{SynchronousCommit: commit, MaxConnections: 20})
		p := open(t, server.URL)
		info, err := p.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if want := "synchronous_commit=" + commit + " fsync=on wal_sync_method="; !strings.HasPrefix(info.Durability, want) {
			t.Errorf("durability %q, want %q …", info.Durability, want)
		}
		if info.Kind != "postgres" || !strings.Contains(server.Version, info.Version) || !info.Dense {
			t.Errorf("told: %+v; the program: %s", info, server.Version)
		}
		if got := info.Settings["max_connections"]; got != "20" {
			t.Errorf("max_connections %q", got)
		}
	}
}

func TestAnAddressThatIsNotPostgreSQLIsRefused(t *testing.T) {
	for _, url := range []string{"redis://127.0.0.1:1", "127.0.0.1:5432", "postgres://u@127.0.0.1:1/d?sslmode=disable"} {
		if p, err := postgres.Open(t.Context(), url); err == nil {
			p.Close()
			t.Errorf("%s opened", url)
		}
	}
}

// sink hands on what comes.
type sink struct {
	replies chan target.Reply
	lost    chan error
}

func (s *sink) Replies(batch []target.Reply) {
	for _, r := range batch {
		s.replies <- r
	}
}
func (s *sink) Lost(err error) { s.lost <- err }

// prepared dials a server with one chat.
func prepared(t *testing.T, url string) (target.Conn, *sink) {
	t.Helper()
	p := open(t, url)
	t.Cleanup(func() { p.Close() })
	if err := p.Prepare(t.Context(), target.Plan{Chats: 1, Users: 1, Members: 1, Seed: 7}, nil); err != nil {
		t.Fatal(err)
	}
	s := &sink{replies: make(chan target.Reply, 100), lost: make(chan error, 1)}
	conn, err := p.Dial(t.Context(), target.Dial{Window: 100}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, s
}

// operate does something on a connection of its own.
func operate(t *testing.T, url, sql string) {
	t.Helper()
	c, err := pgconn.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if _, err := c.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestASendThatFailsTakesNoOtherWithIt(t *testing.T) {
	server := serve(t, start.PostgresOptions{})
	conn, s := prepared(t, server.URL)
	// Each send is a transaction: were the batch one, nothing of it would stand.
	operate(t, server.URL, "ALTER TABLE throng_7.messages ADD CHECK (body <> 'no')")
	var ops []target.Op
	for _, text := range []string{"one", "no", "two", "no", "three"} {
		ops = append(ops, target.Op{Kind: target.Send, Text: []byte(text)})
	}
	if err := conn.Submit(ops); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range ops {
		r := <-s.replies
		got = append(got, fmt.Sprintf("%d %d %s", r.Status, r.Index, r.Error))
	}
	want := []string{"0 1 ", "1 0 SQLSTATE 23514", "0 2 ", "1 0 SQLSTATE 23514", "0 3 "}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("answers %q, want %q", got, want)
	}
}

func TestANoticeToAnIdleConnectionDoesNotDisturbIt(t *testing.T) {
	server := serve(t, start.PostgresOptions{})
	conn, s := prepared(t, server.URL)
	// A setting that is reported to clients reaches those that are idle, unasked.
	operate(t, server.URL, "ALTER SYSTEM SET TimeZone TO 'Asia/Shanghai'")
	operate(t, server.URL, "SELECT pg_reload_conf()")
	for range 3 {
		if err := conn.Submit([]target.Op{{Kind: target.Send, Text: []byte("text")}}); err != nil {
			t.Fatal(err)
		}
		if r := <-s.replies; r.Status != target.OK {
			t.Fatalf("answer: %+v", r)
		}
	}
}

func TestAGoodbyeToAnIdleConnectionIsItsEnd(t *testing.T) {
	server := serve(t, start.PostgresOptions{})
	_, s := prepared(t, server.URL)
	operate(t, server.URL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err := <-s.lost; err == nil {
		t.Error("lost without an error")
	}
}
