package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"throng/bench/peers/start"
	"throng/bench/target/throng"
)

// stopTimeout is how long a server may take to end before it is killed.
const stopTimeout = 30 * time.Second

// startOwn starts a Throng of our own, in a process of its own: this program,
// started again as its hidden command serve.
func startOwn(ctx context.Context, dir string, flags []string) (*site, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to start a server of its own: %w", err)
	}
	server, err := start.Throng(ctx, dir, program, flags)
	if err != nil {
		return nil, err
	}
	ready := server.Ready()
	t, err := throng.New(ready["listen"])
	if err != nil {
		stopServer(server)
		return nil, err
	}
	t.Version, t.Durability = version(), "sync="+ready["sync"]
	t.Settings = map[string]string{"shards": ready["shards"], "json": ready["json"]}
	return &site{
		target: t, url: server.URL, addr: ready["listen"], pid: server.Pid, dataDir: server.DataDir, server: server,
	}, nil
}

// stopServer ends a server that was started here, and removes its directory.
func stopServer(s *start.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	_ = s.Stop(ctx) // what is left of a temporary directory is no fault of the run
}
