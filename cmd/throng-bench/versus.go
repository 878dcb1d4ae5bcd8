package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"throng/bench"
	"throng/bench/load"
	"throng/bench/report"
	"throng/bench/system"
	"throng/bench/versus"
)

type versusCommand struct {
	Peers       []string      `group:"where" default:"redis,nats,postgres" help:"Servers to compare with, of redis, nats and postgres. The reference of all ratios is redis."`
	Rounds      int           `group:"load" default:"3" help:"Rounds. The table shows the median of their ratios, and the range."`
	Duration    time.Duration `group:"load" short:"d" default:"5s" help:"Measured time of each work in each round."`
	Warmup      time.Duration `group:"load" default:"1s" help:"Time of load before the measured time."`
	Connections int           `group:"load" short:"c" default:"50" help:"Connections."`
	Pause       time.Duration `group:"load" default:"1s" help:"Rest before each start, for the disk."`
	Work        []string      `group:"load" placeholder:"TEXT" help:"Only the works whose names contain one of these: 'P16', 'read'."`
	Seed        uint64        `group:"load" placeholder:"N" help:"Seed of every choice; printed. 0: another one each time."`
	peopleFlags
	Dir        string        `group:"where" placeholder:"DIR" type:"existingdir" help:"Where the servers' temporary directories are made: its disk is what is measured. Default: the system's."`
	Timeout    time.Duration `group:"where" default:"30s" help:"An answer that takes longer ends its connection."`
	Verify     bool          `group:"report" default:"true" negatable:"" help:"Verify each run, of the peers as well; on unless --verify=false."`
	Ledger     int           `group:"report" default:"20000000" placeholder:"N" help:"Operations that verification remembers, some 48 bytes each."`
	Markdown   string        `group:"report" placeholder:"FILE" help:"Write the table to a file too."`
	Out        string        `group:"report" placeholder:"DIR" type:"existingdir" help:"Write the report of each run there, in JSON, for compare."`
	NoProgress bool          `group:"report" help:"Show no progress. There is none either where standard error is no terminal."`
}

func (c *versusCommand) run(ctx context.Context, t terminal) error {
	ctx, stop, release := interruptible(ctx)
	defer release()
	options, err := c.options(ctx, t)
	if err != nil {
		return err
	}
	bar := t.progress(c.NoProgress, &bench.Config{Settings: report.Settings{Duration: c.Duration, Warmup: c.Warmup}})
	options.Progress = func(round int, contestant, work string, p bench.Progress) {
		p.Step = fmt.Sprintf("round %d of %d, %s, %s: %s", round, c.Rounds, contestant, work, p.Step)
		bar.show(p)
	}
	system.RaiseFiles()
	table := versus.Table{Contestants: options.Contestants, Works: options.Works}
	err = versus.Run(ctx, options, stop, func(r versus.Result) error {
		r.Report.Command = t.command()
		table.Results = append(table.Results, r)
		return c.keep(&r)
	})
	bar.end()
	if err := errors.Join(table.Write(t.out), writeFile(c.Markdown, table.Write)); err != nil {
		return err
	}
	switch {
	case errors.Is(err, versus.ErrFaults):
		return errors.Join(errFaults, err)
	case err != nil:
		return causeOf(ctx, err)
	}
	return c.interrupted(stop)
}

func (c *versusCommand) interrupted(stop <-chan struct{}) error {
	select {
	case <-stop:
		return fmt.Errorf("%w: the results are partial", errInterrupted)
	default:
		return nil
	}
}

// keep writes one run's report down.
func (c *versusCommand) keep(r *versus.Result) error {
	if c.Out == "" {
		return nil
	}
	name := strings.NewReplacer(" ", "-", ",", "").Replace(r.Work.Name)
	path := filepath.Join(c.Out, fmt.Sprintf("%s-%s-%d.json", r.Contestant, name, r.Round))
	return writeFile(path, func(w io.Writer) error { return report.Write(w, r.Report) })
}

func (c *versusCommand) options(ctx context.Context, t terminal) (o versus.Options, err error) {
	sizes, err := load.ParseSizes(c.Size)
	if err != nil {
		return o, fmt.Errorf("%w: --size: %w", errUsage, err)
	}
	common := report.Settings{
		Connections: c.Connections, Duration: c.Duration, Warmup: c.Warmup,
		Chats: c.Chats, Users: c.Users, Members: min(c.Members, c.Users), Zipf: c.Zipf,
		SizeMin: sizes.Min, SizeMax: sizes.Max, Verify: c.Verify, Seed: cmp.Or(c.Seed, rand.Uint64()>>seedShift),
	}
	o = versus.Options{Rounds: c.Rounds, Timeout: c.Timeout, Ledger: c.Ledger, Pause: c.Pause}
	if c.Corpus != "" {
		common.Corpus = filepath.Base(c.Corpus)
		if o.Lines, err = readCorpus(c.Corpus); err != nil {
			return o, fmt.Errorf("%w: --corpus: %w", errUsage, err)
		}
	}
	for _, work := range versus.Works(common) {
		if c.wants(work.Name) {
			o.Works = append(o.Works, work)
		}
	}
	if len(o.Works) == 0 {
		return o, fmt.Errorf("%w: no work's name contains any of %q", errUsage, c.Work)
	}
	o.Contestants, err = c.contestants(ctx, t)
	return o, err
}

func (c *versusCommand) wants(work string) bool {
	for _, part := range c.Work {
		if strings.Contains(work, part) {
			return true
		}
	}
	return len(c.Work) == 0
}
