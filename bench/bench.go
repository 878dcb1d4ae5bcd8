// Package bench is the load harness: it puts a load on a chat server, measures
// what comes back, and proves that nothing was lost, duplicated or reordered.
//
// It is a client like any other and imports nothing of the server but codec. Its
// parts stand in packages of their own:
//
//	target   what a load can be put on; throng/bench/peers has the other servers
//	load     what is asked and when: pure
//	check    whether the server kept its promises: pure
//	report   the figures, how they are written down and compared
//	system   the machine and the processes on it
//
// This package runs them. Its owners:
//
//   - A session is one connection with its requests in flight, the state of its
//     choices and its ledger, under one mutex: held by the reader while it takes
//     in a batch of replies and sends as many again, and by the pacer while it
//     sends what is due.
//   - The pacer, one thread, turns the schedule of an open loop into requests that
//     are due at sessions. In a closed loop there is none: an answer makes the
//     next request due.
//   - The meter gathers, each second, what sessions have recorded.
//
// # What a latency is
//
// In an open loop requests are due by a schedule that does not wait for the
// server, and a latency runs from that moment, whether or not the request could
// be sent then: a server that stalls for two seconds shows two seconds, in every
// request that was due meanwhile (what is called coordinated omission is left no
// place). The time from sending to answer is shown beside it. In a closed loop a
// request is due when it is sent, and both are one.
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"throng/bench/load"
	"throng/bench/report"
	"throng/bench/target"
)

// Limits and defaults of a run.
const (
	DefaultTimeout       = 30 * time.Second
	DefaultLedgerEntries = 20_000_000

	maxConnections = 1 << 20 // a text's id has 20 bits for the session
	maxPipeline    = 1 << 16
	maxBacklog     = 1 << 20 // due requests that wait for a place in one session's window
	dialsAtOnce    = 64
)

// Config is what to run. Settings are what decides the figures; the rest is where
// and how. The zero value of a field means its default.
type Config struct {
	report.Settings

	Target  target.Target
	Addr    string   // as shown in the report
	Sources []net.IP // local addresses, used in turn; none: the system chooses
	Lines   []string // of the corpus; none: texts are made by seed

	Timeout       time.Duration // an answer that takes longer ends its connection
	LedgerEntries int           // sends and reads that a verified run holds, some 48 bytes each; beyond, fewer chats are verified

	Pid     int    // the server's process on this machine; 0: it is elsewhere, or unknown
	Tree    bool   // its descendants count as well
	DataDir string // the server's, on this machine: whose disk is measured

	// Ready, where set, is called when all is prepared and connected, and the load
	// begins when it returns: several generators start together.
	Ready func(ctx context.Context) error

	// Progress, where set, is told of each second, and of the steps before the load.
	Progress func(Progress)
}

// The steps of a run, in their order.
const (
	StepPrepare = "prepare"
	StepFill    = "fill"
	StepConnect = "connect"
	StepLoad    = "load"
	StepVerify  = "verify"
)

// Progress is how far a run has come.
type Progress struct {
	Step      string
	Done, All int // of the step; All 0: unknown
	Second    *report.Second
	Elapsed   time.Duration // of the load
}

// check fills in defaults and reports every fault at once.
func (c *Config) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.LedgerEntries = cmp.Or(c.LedgerEntries, DefaultLedgerEntries)
	fault(c.Connections < 1 || c.Connections > maxConnections, "connections must be 1 to %d, not %d", maxConnections, c.Connections)
	fault(c.Pipeline < 1 || c.Pipeline > maxPipeline, "the pipeline must be 1 to %d, not %d", maxPipeline, c.Pipeline)
	fault(c.Rate < 0 || c.Rate > load.MaxRate, "the rate must be 0 to %g a second, not %g", float64(load.MaxRate), c.Rate)
	fault(c.Duration < 0 || c.Requests < 0 || c.Warmup < 0 || c.Ramp < 0, "times and numbers must not be negative")
	fault(c.Duration == 0 && c.Requests == 0, "neither a duration nor a number of requests is given")
	fault(c.Duration != 0 && c.Requests != 0, "a duration and a number of requests are given: which one?")
	fault(c.Ramp > c.Warmup+c.Duration, "the ramp is longer than the run")
	fault(c.Chats < 1 || c.Chats > maxChats, "chats must be 1 to %d, not %d", maxChats, c.Chats)
	fault(c.Users < 1 || c.Users > maxUsers, "users must be 1 to %d, not %d", maxUsers, c.Users)
	fault(c.Members < 1 || c.Members > c.Users, "members must be 1 to the number of users (%d), not %d", c.Users, c.Members)
	fault(c.Zipf < 0, "the exponent of Zipf's law must not be negative")
	fault(c.SizeMin < 1 || c.SizeMax < c.SizeMin, "text sizes must be 1 byte and up, the smaller first")
	fault(c.Verify && c.SizeMin < load.IDBytes,
		"texts must have %d bytes at least to be told apart in a verified run; use --verify=false", load.IDBytes)
	fault(c.Fill < 0, "the number of messages to fill chats with must not be negative")
	return errors.Join(faults...)
}

const (
	maxChats = 10_000_000
	maxUsers = 10_000_000
	maxCount = 1000
)

// ErrConfig marks faults of what was asked for.
var ErrConfig = errors.New("settings")
