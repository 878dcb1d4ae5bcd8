package main

import (
	"context"
	"fmt"
	"time"

	"throng/bench"
	"throng/bench/report"
)

// loadCommand is what the workloads have in common.
type loadCommand struct {
	loadFlags
	peopleFlags
	whereFlags
	reportFlags
	agentFlags
}

type sendCommand struct{ loadCommand }

func (c *sendCommand) run(ctx context.Context, t terminal) error {
	return c.execute(ctx, t, report.Settings{Workload: bench.WorkSend}, bench.Run)
}

type readCommand struct {
	loadCommand
	readFlags
	Service int `group:"load" default:"3" enum:"3,9" help:"Which of the protocol's reads: 3, newest first, or 9, oldest first."`
}

type readFlags struct {
	Mode  string `group:"load" default:"last" enum:"last,random,catchup" help:"What is read: the last messages, some from anywhere, or all from the first on, page by page."`
	Count int    `group:"load" default:"20" help:"Messages of a read, 1 to 1000."`
	Fill  int    `group:"people" default:"100" help:"Messages in each chat before the load."`
}

func (c *readCommand) run(ctx context.Context, t terminal) error {
	s := report.Settings{Workload: bench.WorkRead, Mode: c.Mode, Count: c.Count, Fill: c.Fill, Mix: map[string]int{"read": 1}}
	if c.Service == 9 || c.Mode == bench.ModeCatchUp { // who catches up reads forward
		s.Mix = map[string]int{"receive": 1}
	}
	return c.execute(ctx, t, s, bench.Run)
}

type mixedCommand struct {
	loadCommand
	readFlags
	Mix string `group:"load" default:"send=20,read=70,receive=10" help:"Weights of the kinds of requests: send, read, receive, login, ping."`
}

func (c *mixedCommand) run(ctx context.Context, t terminal) error {
	mix, err := parseMix(c.Mix)
	if err != nil {
		return err
	}
	s := report.Settings{Workload: bench.WorkMixed, Mode: c.Mode, Count: c.Count, Fill: c.Fill, Mix: mix}
	return c.execute(ctx, t, s, bench.Run)
}

type registerCommand struct {
	loadFlags
	whereFlags
	reportFlags
	agentFlags
}

func (c *registerCommand) run(ctx context.Context, t terminal) error {
	l := loadCommand{loadFlags: c.loadFlags, peopleFlags: nobody, whereFlags: c.whereFlags, reportFlags: c.reportFlags, agentFlags: c.agentFlags}
	l.Verify = false
	return l.execute(ctx, t, report.Settings{Workload: bench.WorkRegister}, bench.Run)
}

// nobody is the least population that there can be.
var nobody = peopleFlags{Chats: 1, Users: 1, Members: 1, Size: "64"}

type connectCommand struct {
	Connections int           `group:"load" short:"c" default:"5000" help:"Connections."`
	Rate        float64       `group:"load" short:"r" placeholder:"N" help:"Connections a second; 0: as fast as they come."`
	Idle        time.Duration `group:"load" default:"10s" help:"Time to hold them idle."`
	Seed        uint64        `group:"load" placeholder:"N" help:"Seed of every choice; printed. 0: another one each time."`
	whereFlags
	reportFlags
	agentFlags
}

func (c *connectCommand) run(ctx context.Context, t terminal) error {
	l := loadCommand{peopleFlags: nobody, whereFlags: c.whereFlags, reportFlags: c.reportFlags, agentFlags: c.agentFlags}
	l.loadFlags = loadFlags{Connections: c.Connections, Pipeline: 1, Rate: c.Rate, Requests: int64(c.Connections), Seed: c.Seed}
	l.Verify, l.Users = false, 1000
	return l.execute(ctx, t, report.Settings{Workload: bench.WorkConnect, Idle: c.Idle}, bench.Connect)
}

type soakCommand struct {
	loadCommand
	Round time.Duration `group:"load" default:"1m" help:"Time of load between two verifications."`
}

func (c *soakCommand) run(ctx context.Context, t terminal) error {
	switch {
	case c.Rate == 0:
		return fmt.Errorf("%w: a soak needs a --rate that it can hold for hours", errUsage)
	case c.Duration == 0:
		return fmt.Errorf("%w: a soak needs a --duration", errUsage)
	}
	return c.execute(ctx, t, report.Settings{Workload: bench.WorkSoak, Rounds: c.Round}, bench.Soak)
}

type capacityCommand struct {
	loadCommand
	readFlags
	SLO   string        `group:"load" name:"slo" default:"p99<20ms" help:"What must hold, several parted by commas: p99<20ms,errors<0.1%. Latencies are those from due."`
	Trial time.Duration `group:"load" default:"5s" help:"Measured time of each trial."`
	Most  float64       `group:"load" placeholder:"N" help:"The highest rate to try; 0: somewhat above what a closed loop reaches."`
	Mix   string        `group:"load" default:"send=1" help:"Weights of the kinds of requests: send, read, receive, login, ping."`
}

func (c *capacityCommand) run(ctx context.Context, t terminal) error {
	slo, err := report.ParseSLO(c.SLO)
	if err != nil {
		return fmt.Errorf("%w: --slo: %w", errUsage, err)
	}
	mix, err := parseMix(c.Mix)
	if err != nil {
		return err
	}
	if c.Rate != 0 || c.Requests != 0 || c.Duration != 0 || c.Ramp != 0 {
		return fmt.Errorf("%w: a search chooses its rates and lasts --trial for each: no --rate, --requests, --duration or --ramp", errUsage)
	}
	search := bench.Capacity{SLO: slo, Trial: c.Trial, Most: c.Most}
	c.Duration = c.Trial
	s := report.Settings{Workload: "capacity", Mode: c.Mode, Count: c.Count, Mix: mix}
	if mix["read"]+mix["receive"] > 0 {
		s.Fill = c.Fill
	}
	find := func(ctx context.Context, config bench.Config, stop <-chan struct{}) (*report.Report, error) {
		return bench.FindCapacity(ctx, config, search, stop)
	}
	return c.execute(ctx, t, s, find)
}
