// Package nats puts the harness's load on NATS JetStream, through nats.go.
//
// A run is one stream, THRONG_SEED, stored in a file; a chat is a subject of it,
// t.SEED.CHAT; a send is a publication that asks for an acknowledgement on a reply
// subject of its own, as JetStream's asynchronous publishers do. NATS knows no users
// and no members here: who asks is not looked at.
//
// A message's index is its sequence number in the stream. Indexes rise within a
// chat and are not dense. JetStream has no cheap way to the last messages of a
// subject, so chats are not read under load; the log is read back with direct gets.
package nats

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"throng/bench/target"
)

// server implements target.Target.
type server struct {
	url     string     // without our own parameters
	monitor string     // host:port of the monitoring endpoint; empty: unknown
	admin   *nats.Conn // for what is no load
	stream  string     // set by Prepare, then constant, as are the subjects
	chats   []string
}

// connectTime bounds the connection of Open.
const connectTime = 10 * time.Second

// Open connects to the server at a nats:// or tls:// URL, which may name a user and
// a password. ?monitor=HOST:PORT names the server's monitoring endpoint, without
// which nobody can tell how often it syncs.
func Open(ctx context.Context, address string) (target.Target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	if u.Scheme != "nats" && u.Scheme != "tls" {
		return nil, fmt.Errorf("nats: %s:// is not nats:// or tls://", u.Scheme)
	}
	s := &server{monitor: u.Query().Get("monitor")}
	u.RawQuery = ""
	s.url = u.String()
	if s.admin, err = s.connect(ctx, target.Dial{Timeout: connectTime}); err != nil {
		return nil, err
	}
	return s, nil
}

// dialer makes nats.go's connections under the dial's terms.
type dialer struct {
	ctx context.Context //nolint:containedctx // nats.go's dialer has no other way for it
	net.Dialer
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(d.ctx, network, address)
}

// connect opens a connection that ends when it is lost.
func (s *server) connect(ctx context.Context, how target.Dial, options ...nats.Option) (*nats.Conn, error) {
	d := &dialer{ctx: ctx, Dialer: net.Dialer{Timeout: how.Timeout}}
	if how.Source != nil {
		d.LocalAddr = &net.TCPAddr{IP: how.Source}
	}
	options = append(options, nats.SetCustomDialer(d), nats.NoReconnect())
	if how.Timeout > 0 {
		options = append(options, nats.Timeout(how.Timeout))
	}
	conn, err := nats.Connect(s.url, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	return conn, nil
}

// Supports implements target.Target.
func (s *server) Supports(k target.Kind) bool { return k == target.Send }

// Prepare implements target.Target: the run's stream is made anew.
func (s *server) Prepare(ctx context.Context, plan target.Plan, progress func(done, all int)) error {
	seed := strconv.FormatUint(plan.Seed, 10)
	stream, prefix := "THRONG_"+seed, "t."+seed+"."
	js, err := jetstream.New(s.admin)
	if err != nil {
		return fmt.Errorf("speak to JetStream: %w", err)
	}
	if err := js.DeleteStream(ctx, stream); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete stream %s: %w", stream, err)
	}
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: stream, Subjects: []string{prefix + ">"}, Storage: jetstream.FileStorage, Replicas: 1, AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("create stream %s: %w", stream, err)
	}
	s.stream, s.chats = stream, make([]string, plan.Chats)
	for i := range s.chats {
		s.chats[i] = prefix + strconv.Itoa(i)
	}
	if progress != nil {
		progress(1, 1)
	}
	return nil
}

// Close implements target.Target.
func (s *server) Close() error {
	s.admin.Close()
	return nil
}
