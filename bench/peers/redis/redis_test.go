package redis_test

import (
	"context"
	"strings"
	"testing"

	"throng/bench/internal/conformance"
	"throng/bench/internal/peertest"
	"throng/bench/peers/redis"
	"throng/bench/peers/start"
	"throng/bench/target"
)

func serve(tb testing.TB, o start.RedisOptions) *start.Server {
	tb.Helper()
	return peertest.Start(tb, "redis", func(ctx context.Context, base string) (*start.Server, error) {
		return start.Redis(ctx, base, o)
	})
}

func open(tb testing.TB, url string) target.Target {
	tb.Helper()
	r, err := redis.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestRedisKeepsWhatTargetsPromise(t *testing.T) {
	server := serve(t, start.RedisOptions{})
	conformance.Run(t, conformance.Server{
		Open: func(tb testing.TB) target.Target { return open(tb, server.URL) },
		Kill: server.Kill,
	})
}

func TestTheDurabilityIsReadBackFromTheServer(t *testing.T) {
	for _, fsync := range []string{"always", "everysec"} {
		server := serve(t, start.RedisOptions{Fsync: fsync})
		r := open(t, server.URL)
		info, err := r.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		if want := "appendonly=yes appendfsync=" + fsync; info.Durability != want {
			t.Errorf("durability %q, want %q", info.Durability, want)
		}
		if info.Kind != "redis" || !strings.Contains(server.Version, "v="+info.Version+" ") || info.Dense {
			t.Errorf("told: %+v; the program: %s", info, server.Version)
		}
		if got := info.Settings["auto-aof-rewrite-percentage"]; got != "0" {
			t.Errorf("auto-aof-rewrite-percentage %q", got)
		}
	}
}

func TestAnAddressThatIsNotRedisIsRefused(t *testing.T) {
	for _, url := range []string{"nats://127.0.0.1:1", "127.0.0.1:6379", "redis://127.0.0.1:1"} {
		if r, err := redis.Open(t.Context(), url); err == nil {
			r.Close()
			t.Errorf("%s opened", url)
		}
	}
}

// replies is a sink for one batch of answers.
type replies chan []target.Reply

func (r replies) Replies(batch []target.Reply) { r <- append([]target.Reply(nil), batch...) }
func (r replies) Lost(error)                   {}

func TestAReadFromAMessagesNumberIsRefused(t *testing.T) {
	r := open(t, serve(t, start.RedisOptions{}).URL)
	defer r.Close()
	if err := r.Prepare(t.Context(), target.Plan{Chats: 1, Users: 1, Members: 1}, nil); err != nil {
		t.Fatal(err)
	}
	sink := make(replies, 1)
	conn, err := r.Dial(t.Context(), target.Dial{Window: 8}, sink)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, op := range []target.Op{
		{Kind: target.Read, Index: 5, Count: 1},
		{Kind: target.Read, Index: -2, Count: 1},
		{Kind: target.Read, Index: 0, Count: 1},
		{Kind: target.Receive, Index: 2, Count: 1},
		{Kind: target.Receive, Index: -1, Count: 1},
	} {
		if err := conn.Submit([]target.Op{op}); err != nil {
			t.Fatal(err)
		}
		if got := <-sink; len(got) != 1 || got[0].Status != target.Refused || got[0].Error == "" {
			t.Errorf("%v from %d: %+v", op.Kind, op.Index, got)
		}
	}
}
