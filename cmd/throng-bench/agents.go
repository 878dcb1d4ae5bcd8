package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"throng/bench"
	"throng/bench/agent"
	"throng/bench/report"
	"throng/bench/system"
)

// agentFlags let other machines generate the load.
type agentFlags struct {
	Agents []string `group:"where" placeholder:"HOST:PORT" help:"Let these agents generate the load together, each a share of it (see throng-bench agent)."`
	Secret string   `group:"where" name:"secret-file" type:"existingfile" placeholder:"FILE" help:"The secret of the agents: a file of 16 bytes at least."`
}

// readSecret reads a secret, without the line break that an editor leaves.
func readSecret(path string) ([]byte, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: agents need a --secret-file", errUsage)
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	secret = bytes.TrimRight(secret, "\r\n")
	if len(secret) < agent.MinSecret {
		return nil, fmt.Errorf("%w: the secret has %d bytes; %d are the least", errUsage, len(secret), agent.MinSecret)
	}
	return secret, nil
}

// runner lets the agents run what would have been run here.
func (c *agentFlags) runner(url string) (runner, error) {
	secret, err := readSecret(c.Secret)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, config bench.Config, stop <-chan struct{}) (*report.Report, error) {
		coordinator := agent.Coordinator{Addrs: c.Agents, Secret: secret}
		job := agent.Job{
			Target: url, Settings: config.Settings, Lines: config.Lines,
			Timeout: config.Timeout, Ledger: config.LedgerEntries, Sources: config.Sources,
		}
		return coordinator.Run(ctx, job, config.Progress, stop)
	}, nil
}

type agentCommand struct {
	Listen string `default:"127.0.0.1:7115" placeholder:"HOST:PORT" help:"Address to wait at. Whoever knows the secret lets this machine put load on any address: choose both with care."`
	Secret string `name:"secret-file" required:"" type:"existingfile" placeholder:"FILE" help:"The secret that a coordinator must know: a file of 16 bytes at least."`
}

func (c *agentCommand) run(ctx context.Context, t terminal) error {
	secret, err := readSecret(c.Secret)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	system.RaiseFiles()
	var how net.ListenConfig
	listener, err := how.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("wait for coordinators: %w", err)
	}
	if _, err := fmt.Fprintf(t.out, "throng-bench agent ready listen=%s\n", listener.Addr()); err != nil {
		return errors.Join(fmt.Errorf("print: %w", err), listener.Close())
	}
	a := agent.Agent{Secret: secret, Run: carryOut, Log: slog.New(slog.NewTextHandler(t.errs, nil))}
	return a.Serve(ctx, listener)
}

// carryOut runs the share that a coordinator has given to this agent.
func carryOut(ctx context.Context, job agent.Job, ready func(context.Context) error, tell func(bench.Progress), stop <-chan struct{}) (*report.Report, error) {
	at, err := openURL(ctx, job.Target)
	if err != nil {
		return nil, err
	}
	defer at.close()
	config := bench.Config{
		Settings: job.Settings, Target: at.target, Addr: at.addr, Sources: job.Sources, Lines: job.Lines,
		Timeout: job.Timeout, LedgerEntries: job.Ledger, Pid: at.pid, Tree: at.tree, Ready: ready, Progress: tell,
	}
	switch job.Settings.Workload {
	case bench.WorkSoak:
		return bench.Soak(ctx, config, stop)
	case bench.WorkConnect:
		return bench.Connect(ctx, config, stop)
	}
	return bench.Run(ctx, config, stop)
}
