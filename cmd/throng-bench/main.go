// Command throng-bench puts a load on a chat server, measures it, and proves that
// nothing was lost: docs/benchmarking.md shows how, and how to read what it prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"throng/bench"
	"throng/cmd/internal/serve"
)

// Exit statuses. They are part of the interface: scripts depend on them.
const (
	statusOK          = 0
	statusFailed      = 1 // could not run, or not to the end
	statusUsage       = 2 // the command line is at fault
	statusFaults      = 3 // verification found a fault
	statusExpectation = 4 // --fail-if or the objective of a search did not hold
	statusInterrupted = 130
)

// The errors behind the statuses above. What was measured has been printed.
var (
	errUsage       = errors.New("usage")
	errFaults      = errors.New("verification failed")
	errExpectation = errors.New("an expectation did not hold")
	errInterrupted = errors.New("interrupted")
)

type commands struct {
	Send     sendCommand     `cmd:"" help:"Append messages to chats."`
	Read     readCommand     `cmd:"" help:"Read messages from chats that were filled before."`
	Mixed    mixedCommand    `cmd:"" help:"Send and read by weights."`
	Connect  connectCommand  `cmd:"" help:"Connect and log in, then hold the connections idle."`
	Register registerCommand `cmd:"" help:"Register users."`
	Soak     soakCommand     `cmd:"" help:"Load at a constant rate for hours, and verify round by round."`
	Capacity capacityCommand `cmd:"" help:"Search for the highest rate that meets an objective."`
	Compare  compareCommand  `cmd:"" help:"Compare the reports of runs."`
	Versus   versusCommand   `cmd:"" help:"Compare Throng with other servers, all started here, in interleaved rounds."`
	Agent    agentCommand    `cmd:"" help:"Wait for a throng-bench elsewhere that wants this machine to generate a part of its load."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
	Serve    serve.Command   `cmd:"" hidden:"" help:"Start the server: what a run without --addr does in a process of its own."`
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	chosen, err := parse(args, out, errs)
	if err != nil {
		return status(err, errs)
	}
	if chosen == nil {
		return statusOK
	}
	if c, ok := chosen.(*serve.Command); ok {
		return runServe(ctx, c, out, errs)
	}
	return status(chosen.(command).run(ctx, terminal{out: out, errs: errs, args: args}), errs)
}

// command is a subcommand with its flags.
type command interface {
	run(ctx context.Context, t terminal) error
}

// status prints an error and returns the status that it ends with.
func status(err error, errs io.Writer) int {
	if err == nil {
		return statusOK
	}
	_, _ = fmt.Fprintln(errs, "throng-bench: "+strings.TrimSpace(err.Error())) // there is nobody left to tell
	switch {
	case errors.Is(err, errUsage), errors.Is(err, bench.ErrConfig):
		return statusUsage
	case errors.Is(err, errFaults):
		return statusFaults
	case errors.Is(err, errExpectation):
		return statusExpectation
	case errors.Is(err, errInterrupted), errors.Is(err, bench.ErrStopped):
		return statusInterrupted
	}
	return statusFailed
}

// runServe is the server that a run starts for itself. It drains at SIGTERM.
func runServe(ctx context.Context, c *serve.Command, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := c.Run(ctx, out, errs)
	if err != nil {
		_, _ = fmt.Fprintln(errs, serve.Say(err))
	}
	return serve.Status(err)
}

const description = `A load harness for chat servers: it measures latency from the moment when a request was due, and proves that nothing was lost, duplicated or reordered.

Without --addr and --target it starts a Throng of its own on a temporary directory, and stops it.

Exit status: 0 done; 1 could not run; 2 the command line is at fault; 3 verification found a fault; 4 an expectation (--fail-if, an objective) did not hold; 130 interrupted, the results are partial.

Examples:
  throng-bench send -d 10s --html report.html
  throng-bench send --rate 50000 --arrival poisson --pipeline 64 -d 30s
  throng-bench mixed --mix send=20,read=70,receive=10 --zipf 0.99
  throng-bench capacity --slo 'p99<20ms'
  throng-bench send --target redis://127.0.0.1:6379 --json redis.json
  throng-bench compare throng=a.json,b.json redis=c.json,d.json
  throng-bench versus --peers redis,nats,postgres --rounds 3`

// parse returns the command to carry out; nil where help was asked for.
func parse(args []string, out, errs io.Writer) (chosen any, err error) {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("throng-bench"),
		kong.Description(description),
		kong.DefaultEnvars("THRONG_BENCH"),
		kong.Writers(out, errs),
		kong.WithHyphenPrefixedParameters(true), // the value of --server-flags begins with a hyphen
		kong.ExplicitGroups(groups),
		kong.Exit(func(int) { panic(helped{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpWidth}))
	if err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	defer func() { // kong prints help in the middle of parsing and expects to end there
		if cause := recover(); cause != nil {
			if _, helped := cause.(helped); !helped {
				panic(cause)
			}
			chosen, err = nil, nil
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; see throng-bench --help", errUsage, err)
	}
	return parsed.Selected().Target.Addr().Interface(), nil
}

const helpWidth = 100

// helped is what ends parsing once help was printed.
type helped struct{}

// The groups of flags, in the order of the help.
var groups = []kong.Group{
	{Key: "load", Title: "Load"},
	{Key: "people", Title: "Chats, users and texts"},
	{Key: "where", Title: "Where"},
	{Key: "report", Title: "Report"},
	{Key: "limits", Title: "Limits"},
}
