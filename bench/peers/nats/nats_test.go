package nats_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"throng/bench/internal/conformance"
	"throng/bench/internal/peertest"
	"throng/bench/peers/nats"
	"throng/bench/peers/start"
	"throng/bench/target"
)

func serve(tb testing.TB, o start.NATSOptions) *start.Server {
	tb.Helper()
	return peertest.Start(tb, "nats", func(ctx context.Context, base string) (*start.Server, error) {
		return start.NATS(ctx, base, o)
	})
}

func open(tb testing.TB, url string) target.Target {
	tb.Helper()
	n, err := nats.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func describe(tb testing.TB, url string) target.Info {
	tb.Helper()
	n := open(tb, url)
	defer n.Close()
	info, err := n.Describe(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return info
}

func TestJetStreamKeepsWhatTargetsPromise(t *testing.T) {
	server := serve(t, start.NATSOptions{})
	conformance.Run(t, conformance.Server{
		Open: func(tb testing.TB) target.Target { return open(tb, server.URL) },
		Kill: server.Kill,
	})
}

func TestTheDurabilityIsReadBackFromTheServer(t *testing.T) {
	for sync, want := range map[string]string{"always": "always", "2m": "2m0s", "7s": "7s"} {
		server := serve(t, start.NATSOptions{Sync: sync})
		info := describe(t, server.URL)
		if info.Durability != "sync_interval="+want {
			t.Errorf("started with %s: durability %q", sync, info.Durability)
		}
		if info.Kind != "nats" || !strings.HasSuffix(server.Version, info.Version) || info.Dense {
			t.Errorf("told: %+v; the program: %s", info, server.Version)
		}
	}
}

func TestWithoutAMonitoringAddressTheDurabilityIsUnknown(t *testing.T) {
	address, _, _ := strings.Cut(serve(t, start.NATSOptions{}).URL, "?")
	if info := describe(t, address); !strings.Contains(info.Durability, "unknown") {
		t.Errorf("durability %q", info.Durability)
	}
}

func TestAMonitoringAddressOfAnotherServerIsAnError(t *testing.T) {
	one, other := serve(t, start.NATSOptions{}), serve(t, start.NATSOptions{})
	u, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	address, _, _ := strings.Cut(one.URL, "?")
	n := open(t, address+"?"+u.RawQuery)
	defer n.Close()
	if info, err := n.Describe(t.Context()); err == nil {
		t.Errorf("told: %+v", info)
	}
}

func TestAnAddressThatIsNotNATSIsRefused(t *testing.T) {
	for _, url := range []string{"redis://127.0.0.1:1", "127.0.0.1:4222", "nats://127.0.0.1:1"} {
		if n, err := nats.Open(t.Context(), url); err == nil {
			n.Close()
			t.Errorf("%s opened", url)
		}
	}
}

// replies is a sink for one batch of answers.
type replies chan []target.Reply

func (r replies) Replies(batch []target.Reply) { r <- append([]target.Reply(nil), batch...) }
func (r replies) Lost(error)                   {}

func TestATextOverTheServersLimitIsRefusedInItsTurn(t *testing.T) {
	n := open(t, serve(t, start.NATSOptions{}).URL)
	defer n.Close()
	if err := n.Prepare(t.Context(), target.Plan{Chats: 1, Users: 1, Members: 1}, nil); err != nil {
		t.Fatal(err)
	}
	sink := make(replies, 3)
	conn, err := n.Dial(t.Context(), target.Dial{Window: 3}, sink)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	short, long := []byte("short"), make([]byte, 2<<20) // max_payload is 1 MiB
	ops := []target.Op{{Text: short}, {Text: long}, {Text: short}}
	if err := conn.Submit(ops); err != nil {
		t.Fatal(err)
	}
	var got []target.Reply
	for len(got) < len(ops) {
		got = append(got, <-sink...)
	}
	if got[0].Status != target.OK || got[1].Error != "message too large" || got[2].Index != got[0].Index+1 {
		t.Errorf("answers: %+v", got)
	}
}
