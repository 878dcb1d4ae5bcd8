package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"throng/bench/peers/nats"
	"throng/bench/peers/postgres"
	"throng/bench/peers/redis"
	"throng/bench/peers/start"
	"throng/bench/system"
	"throng/bench/target"
	"throng/bench/target/throng"
)

// site is the server that a run is put on, wherever it came from.
type site struct {
	target  target.Target
	url     string // what an agent connects to
	addr    string
	pid     int           // of the server's process, where it is on this machine
	tree    bool          // its descendants do its work
	dataDir string        // on the disk that is measured
	server  *start.Server // started here; nil: it ran before
}

func (s *site) close() {
	_ = s.target.Close() // all is answered
	if s.server != nil {
		stopServer(s.server)
	}
}

// errGone is why a load ends when its server has.
var errGone = errors.New("the load was given up")

// watched ends with the server that was started here: without it there is nothing
// to measure, for however long the load was to be.
func (s *site) watched(ctx context.Context) (_ context.Context, over func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.server != nil {
		go func() {
			select {
			case <-s.server.Exited():
				cancel(errGone)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// explain adds what a server that was started here has said to an error that its end
// may have caused.
func (s *site) explain(err error) error {
	if s.server == nil {
		return err
	}
	select {
	case <-s.server.Exited():
		return fmt.Errorf("%w; the server has ended, its log:\n%s", err, s.server.Log())
	default:
		return err
	}
}

// open finds or starts the server that the flags name.
func (c *whereFlags) open(ctx context.Context) (*site, error) {
	switch {
	case c.Addr != "" && c.Target != "":
		return nil, fmt.Errorf("%w: --addr and --target name two servers", errUsage)
	case c.Addr != "" || c.Target != "":
		if c.ServerFlags != "" {
			return nil, fmt.Errorf("%w: --server-flags are for a server that is started here", errUsage)
		}
		target := c.Target
		if c.Addr != "" {
			target = "throng://" + c.Addr
		}
		s, err := openURL(ctx, target)
		if err == nil && s.pid > 0 {
			s.dataDir = c.Dir
		}
		return s, err
	}
	return startOwn(ctx, c.Dir, strings.Fields(c.ServerFlags))
}

// openURL connects to a server that runs.
func openURL(ctx context.Context, text string) (*site, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: %q is no URL of a server: throng://127.0.0.1:7114, redis://…, nats://…, postgres://…", errUsage, text)
	}
	s := &site{url: text, addr: u.Host, tree: u.Scheme == "postgres"}
	switch u.Scheme {
	case "throng":
		s.target, err = throng.New(u.Host)
	case "redis":
		s.target, err = redis.Open(ctx, text)
	case "nats":
		s.target, err = nats.Open(ctx, text)
	case "postgres", "postgresql":
		s.target, err = postgres.Open(ctx, text)
	default:
		return nil, fmt.Errorf("%w: there is no target %s://", errUsage, u.Scheme)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s", u.Redacted()), err)
	}
	s.pid, _ = system.FindListener(u.Host)
	return s, nil
}
