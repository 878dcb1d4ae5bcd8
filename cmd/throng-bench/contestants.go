package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"throng/bench/peers/start"
	"throng/bench/versus"
)

// contestants are Throng and those of the peers that were asked for that are on this
// machine. It tells of the others.
func (c *versusCommand) contestants(ctx context.Context, t terminal) ([]versus.Contestant, error) {
	list := []versus.Contestant{{Name: "throng", Start: c.startThrong}}
	for _, name := range c.Peers {
		peer, ok := c.peers()[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("%w: --peers: there is no %q; there are redis, nats and postgres", errUsage, name)
		}
		here, err := c.isHere(ctx, peer)
		if err != nil {
			return nil, err
		}
		if !here {
			_, _ = fmt.Fprintf(t.errs, "throng-bench: %s is left out: it is not on this machine\n", peer.Name)
			continue
		}
		list = append(list, peer)
	}
	return list, nil
}

// isHere starts a peer, and stops it, to see whether it is on this machine.
func (c *versusCommand) isHere(ctx context.Context, peer versus.Contestant) (bool, error) {
	server, err := peer.Start(ctx, versus.Durable)
	if errors.Is(err, start.ErrMissing) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("start %s: %w", peer.Name, err)
	}
	server.Stop()
	return true, nil
}

func (c *versusCommand) peers() map[string]versus.Contestant {
	return map[string]versus.Contestant{
		"redis": {Name: "redis", Start: func(ctx context.Context, p versus.Promise) (*versus.Server, error) {
			return c.startPeer(ctx, func() (*start.Server, error) {
				return start.Redis(ctx, c.Dir, start.RedisOptions{Fsync: of(p, "always", "everysec")})
			})
		}},
		"nats": {Name: "nats", Start: func(ctx context.Context, p versus.Promise) (*versus.Server, error) {
			return c.startPeer(ctx, func() (*start.Server, error) {
				return start.NATS(ctx, c.Dir, start.NATSOptions{Sync: of(p, "always", "2m")}) // its default
			})
		}, Without: map[string]string{versus.ReadWork: "JetStream has no read of a subject's last n"}},
		"postgres": {Name: "postgres", Start: func(ctx context.Context, p versus.Promise) (*versus.Server, error) {
			return c.startPeer(ctx, func() (*start.Server, error) {
				return start.Postgres(ctx, c.Dir, start.PostgresOptions{
					SynchronousCommit: of(p, "on", "off"), MaxConnections: c.Connections + spareConnections,
				})
			})
		}},
	}
}

// spareConnections are those beside the load's: to prepare, to fill, to read back.
const spareConnections = 50

func of(p versus.Promise, durable, relaxed string) string {
	if p == versus.Durable {
		return durable
	}
	return relaxed
}

// startPeer starts a real server of another kind and connects to it.
func (c *versusCommand) startPeer(ctx context.Context, run func() (*start.Server, error)) (*versus.Server, error) {
	server, err := run()
	if err != nil {
		return nil, err
	}
	at, err := openURL(ctx, server.URL)
	if err != nil {
		stopServer(server)
		return nil, err
	}
	at.pid, at.dataDir, at.server = server.Pid, server.DataDir, server
	return at.contestant(), nil
}

func (s *site) contestant() *versus.Server {
	return &versus.Server{
		Target: s.target, Addr: s.addr, Pid: s.pid, Tree: s.tree, DataDir: s.dataDir,
		Config: oneLine(s.server.Config), Stop: s.close,
	}
}

// oneLine puts a configuration of several lines into one.
func oneLine(config string) string {
	var lines []string
	for line := range strings.Lines(config) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.NewReplacer("{; ", "{ ", "; }", " }").Replace(strings.Join(lines, "; "))
}

func (c *versusCommand) startThrong(ctx context.Context, p versus.Promise) (*versus.Server, error) {
	at, err := startOwn(ctx, c.Dir, []string{"--sync", of(p, "always", "off")})
	if err != nil {
		return nil, err
	}
	return at.contestant(), nil
}
