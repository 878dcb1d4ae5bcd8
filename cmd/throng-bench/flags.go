package main

import (
	"time"
)

// whereFlags say what is put under load.
type whereFlags struct {
	Addr        string        `group:"where" placeholder:"HOST:PORT" help:"A Throng that runs already. Without it and --target, one is started on a temporary directory, and stopped."`
	Target      string        `group:"where" placeholder:"URL" help:"Another server: throng://, redis://, nats:// or postgres://."`
	ServerFlags string        `group:"where" placeholder:"FLAGS" help:"Flags of the Throng that is started, as of throng serve: '--shards 4 --sync off'."`
	Dir         string        `group:"where" placeholder:"DIR" type:"existingdir" help:"Where the temporary directory of the Throng that is started is made: its disk is what is measured. Default: the system's."`
	Source      string        `group:"where" placeholder:"IPS" help:"Local addresses to connect from, in turn, for more connections than one has ports: 127.0.0.2-9 or a list."`
	Timeout     time.Duration `group:"where" default:"30s" help:"An answer that takes longer ends its connection."`
}

// loadFlags say how much is asked, and when.
type loadFlags struct {
	Connections int           `group:"load" short:"c" default:"50" help:"Connections."`
	Pipeline    int           `group:"load" default:"16" help:"Requests in flight on a connection, at most."`
	Rate        float64       `group:"load" short:"r" placeholder:"N" help:"Open loop: requests a second of all connections together, due by a schedule that does not wait for answers. 0: closed loop, each answer makes the next request due."`
	Arrival     string        `group:"load" default:"constant" enum:"constant,poisson" help:"How the requests of an open loop follow one another: constant or poisson."`
	Ramp        time.Duration `group:"load" default:"0s" help:"Time over which the rate (closed loop: the number of active connections) rises from 0."`
	Warmup      time.Duration `group:"load" default:"1s" help:"Time of load before the measured time."`
	Duration    time.Duration `group:"load" short:"d" placeholder:"TIME" help:"Measured time. Default: 10s, unless --requests is given."`
	Requests    int64         `group:"load" short:"n" placeholder:"N" help:"Measure so many requests instead of a time."`
	Seed        uint64        `group:"load" placeholder:"N" help:"Seed of every choice; printed. 0: another one each time."`
}

// peopleFlags say who talks, where, and what.
type peopleFlags struct {
	Chats   int     `group:"people" default:"1000" help:"Chats, made before the load."`
	Users   int     `group:"people" default:"1000" help:"Users, registered before the load."`
	Members int     `group:"people" default:"10" help:"Members of each chat. Any of them asks, by chance."`
	Zipf    float64 `group:"people" default:"0" placeholder:"S" help:"Choose chats by Zipf's law with this exponent (.99 is usual); 0: all alike."`
	Size    string  `group:"people" default:"64" placeholder:"BYTES" help:"Size of a text, or the range that it is drawn from: 64, 16-1024, 1KiB."`
	Corpus  string  `group:"people" placeholder:"FILE" type:"existingfile" help:"Take texts from the lines of a file. Default: made by the seed, in several scripts."`
}

// reportFlags say what becomes of the figures.
type reportFlags struct {
	Verify     bool   `group:"report" default:"true" negatable:"" help:"Read everything back in the end and prove that nothing acknowledged was lost, duplicated, reordered or changed; on unless --verify=false."`
	Ledger     int    `group:"report" default:"20000000" placeholder:"N" help:"Operations that verification remembers, some 48 bytes each. Beyond it, fewer chats are verified."`
	JSON       string `group:"report" name:"json" placeholder:"FILE" help:"Write everything, for compare."`
	CSV        string `group:"report" name:"csv" placeholder:"FILE" help:"Write a line a second."`
	HDR        string `group:"report" name:"hdr" placeholder:"FILE" help:"Write an HdrHistogram log."`
	HTML       string `group:"report" name:"html" placeholder:"FILE" help:"Write a page with plots, in one file."`
	NoProgress bool   `group:"report" help:"Show no progress. There is none either where standard error is no terminal."`
}
