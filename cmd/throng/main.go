// Command throng is the chat server and the newcomer's client for it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"throng/cmd/internal/serve"
)

type commands struct {
	Serve   serve.Command  `cmd:"" help:"Start the server."`
	Call    callCommand    `cmd:"" help:"Send requests to a server and print its replies."`
	Verify  verifyCommand  `cmd:"" help:"Check a data directory that no server has open."`
	Version versionCommand `cmd:"" help:"Print the version and what it was built with."`
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run carries out one command line and returns the exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	command, err := parse(args, out, errs)
	if err == nil && command != nil {
		err = command(ctx, in, out, errs)
	}
	if err != nil {
		_, _ = fmt.Fprintln(errs, serve.Say(err)) // there is nobody left to tell
	}
	return serve.Status(err)
}

type command func(ctx context.Context, in io.Reader, out, errs io.Writer) error

// parse returns the command to carry out; none where help was asked for.
func parse(args []string, out, errs io.Writer) (chosen command, err error) {
	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("throng"),
		kong.Description("A chat server for crowds: every chat an ordered, gapless, durable log.\n\n"+
			"Each flag can be given as an environment variable too (--listen as THRONG_LISTEN); the flag wins."),
		kong.DefaultEnvars("THRONG"),
		kong.Writers(out, errs),
		kong.WithHyphenPrefixedParameters(true), // -1 is a value like another, and then out of range
		kong.ExplicitGroups([]kong.Group{{Key: "limits", Title: "Limits"}}),
		kong.Exit(func(int) { panic(helped{}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
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
		return nil, fmt.Errorf("%w: %w; see throng --help", serve.ErrConfig, err)
	}
	switch parsed.Selected().Name {
	case "serve":
		return cli.serve, nil
	case "call":
		return cli.Call.run, nil
	case "verify":
		return cli.Verify.run, nil
	default:
		return cli.Version.run, nil
	}
}

// serve runs the server until a signal asks it to drain; a second one kills it.
func (c *commands) serve(ctx context.Context, _ io.Reader, out, errs io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return c.Serve.Run(ctx, out, errs)
}

// helped is what ends parsing once help was printed.
type helped struct{}
