// Package throng puts a load on Throng itself, over its wire protocol: it is the
// harness's own client, and the one whose costs the harness knows (see
// BenchmarkGenerator).
//
// A [Target] owns the population of a run, the tokens of its users and the ids of
// its chats, and a few idle connections. The connections that it dials share a few
// event loops (loop.go), each a goroutine that waits in epoll: the loop reads, calls
// the sink, and closes; who submits, writes, and never waits. Both share a list of
// what was asked and what the socket had no room for, behind the connection's lock.
// A sink that waits makes all connections of its loop wait.
package throng

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"

	"throng/bench/target"
	"throng/codec"
)

// Unknown is what Describe says of what nobody has told the Target: the protocol
// has no request that asks for it.
const Unknown = "unknown (the wire does not tell)"

// Target is one Throng server. Set its fields before its first use; those left
// out are reported as Unknown, and never guessed.
type Target struct {
	Version    string            // as the server's ready line or `throng version` says
	Durability string            // as the server's ready line says: "sync=always"
	Settings   map[string]string // as its ready line says
	ReplyBytes int               // the server's limit of a reply's body; 0: the protocol's default. Decides which pages are Cut

	addr  string
	idle  pool
	loops loops
	out   sync.Pool // of *[]byte: the connections share a few buffers, each for the time of one write

	// Set by Prepare, read-only afterwards.
	plan  target.Plan
	users []user
	chats []chat // by ordinal
}

var _ target.Target = (*Target)(nil)

// New returns the server at addr, host:port. It connects to nothing yet.
func New(addr string) (*Target, error) {
	if err := codec.WarmAnswers(); err != nil {
		return nil, err
	}
	return &Target{addr: addr, out: sync.Pool{New: func() any { return new([]byte) }}}, nil
}

// Describe sees that a Throng is there, by a ping, and tells what the Target was
// told of it.
func (t *Target) Describe(ctx context.Context) (target.Info, error) {
	c, err := t.dialCaller(ctx)
	if err != nil {
		return target.Info{}, err
	}
	defer c.close()
	a, err := c.call(ctx, codec.AppendPingRequest(nil))
	if err != nil {
		return target.Info{}, err
	}
	if why := refusal(a); why != "" {
		return target.Info{}, fmt.Errorf("%s answers a ping with %s", t.addr, why)
	}
	return target.Info{
		Kind:       "throng",
		Version:    cmp.Or(t.Version, Unknown),
		Durability: cmp.Or(t.Durability, Unknown),
		Settings:   t.Settings,
		Dense:      true, // the protocol's promise
	}, nil
}

// Supports reports that Throng can do every kind of operation.
func (t *Target) Supports(k target.Kind) bool { return int(k) < target.Kinds }

// Close closes the idle connections. Those that Dial has opened are their users'.
func (t *Target) Close() error {
	t.idle.close()
	return nil
}

// connect opens a connection. Go sets TCP_NODELAY on it.
func (t *Target) connect(ctx context.Context, how target.Dial) (net.Conn, error) {
	dialer := net.Dialer{Timeout: how.Timeout}
	if how.Source != nil {
		dialer.LocalAddr = &net.TCPAddr{IP: how.Source}
	}
	conn, err := dialer.DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return conn, nil
}

// refusal says how an answer refuses; empty: it does not. There are few such
// texts, so that refusals can be counted by them.
func refusal(a *codec.Answer) string {
	switch {
	case a.Failed:
		return "failed: " + string(a.Cause)
	case a.State == codec.StateOK:
		return ""
	}
	return stateName(a.State)
}

// stateName writes the states that a load may meet in numbers without allocating.
func stateName(s codec.State) string {
	switch s {
	case codec.StateBusy:
		return "429"
	case codec.StateUnauthorized:
		return "401"
	case codec.StateNotFound:
		return "404"
	case codec.StateDraining:
		return "503"
	case codec.StateDiskFull:
		return "507"
	}
	return fmt.Sprint(int(s))
}
