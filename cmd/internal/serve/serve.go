// Package serve wires a server together: flags to configuration, configuration
// to a store and an engine. Every binary that starts a server does it here.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"throng/codec"
	"throng/engine"
	"throng/shards"
)

// Command is the serve command: its flags, with their defaults and help. Each
// flag can be given as an environment variable too; the flag wins.
type Command struct {
	Listen            string `default:"127.0.0.1:7114" placeholder:"HOST:PORT" help:"Address to listen on; port 0 takes any."`
	Data              string `default:"./throng-data" placeholder:"DIR" help:"Data directory; made where there is none."`
	Shards            Count  `default:"0" help:"Shards, 1 to 16, fixed when the data directory is made. 0: as it was made, or one for two cores, at least one."`
	Loops             Count  `default:"0" help:"Event loops, at most 64. 0: one per core, but one where there is one shard and at most two cores. One loop over one shard makes the commits itself: faster there, but nobody is served while the disk stalls; otherwise loops never wait for the disk."`
	Memory            Size   `default:"1GiB" help:"Memory for caches, memtables and journals."`
	Sync              string `default:"always" placeholder:"always|off" help:"Sync to disk before a write is acknowledged. off loses acknowledged writes in a crash: for measuring only."`
	DebugListen       string `placeholder:"HOST:PORT" help:"Loopback address on which Go's profiles are served over HTTP, under /debug/pprof/; port 0 takes any. Default: nowhere."`
	InsecurePlaintext bool   `help:"Listen on an address that others can reach. The protocol is not encrypted, and tokens cross it in clear: put TLS in front."`

	MaxRequest          Size     `group:"limits" default:"1MiB" help:"Bytes of a request's body."`
	MaxText             Size     `group:"limits" default:"64KiB" help:"Bytes of a message's text."`
	MaxName             Size     `group:"limits" default:"256" help:"Bytes of a user's or a chat's name."`
	MaxRef              Size     `group:"limits" default:"64" help:"Bytes of a ref."`
	MaxNesting          Count    `group:"limits" default:"4096" help:"Depth of a request's JSON, at most 4096."`
	MaxReply            Size     `group:"limits" default:"2MiB" help:"Bytes of a reply's body; longer lists are cut."`
	MaxInFlight         Count    `group:"limits" default:"16384" help:"Requests in flight on a connection."`
	MaxInFlightBytes    Size     `group:"limits" default:"8MiB" help:"Bytes of the requests in flight on a connection."`
	MaxUnread           Size     `group:"limits" default:"8MiB" help:"Bytes of replies that a peer has not taken: reads are refused beyond it, and a quarter later the connection is closed."`
	MaxHeld             Size     `group:"limits" default:"1GiB" help:"Bytes that all connections together make the server hold: requests half sent or in flight, replies not taken. Beyond it, connections with more than their share are refused."`
	MaxBadRequests      Count    `group:"limits" default:"100" help:"Consecutive malformed requests before a connection is closed."`
	MailboxRequests     Count    `group:"limits" default:"65536" help:"Requests waiting for a shard; and, apart from them, as many reads waiting for its readers."`
	MailboxBytes        Size     `group:"limits" default:"64MiB" help:"Bytes of the requests waiting for a shard."`
	MaxConnections      Count    `group:"limits" default:"10000" help:"Connections; fewer where the limit of open files is small."`
	FirstFrameTimeout   Duration `group:"limits" default:"30s" help:"Time for a new connection's first request."`
	PartialFrameTimeout Duration `group:"limits" default:"30s" help:"Time for a request to come whole."`
	IdleTimeout         Duration `group:"limits" default:"0s" help:"Time without a byte from the peer and with nothing owed to it; 0: no limit."`
	DiskFloor           Size     `group:"limits" default:"256MiB" help:"Free disk space below which writes are refused; 0: no floor."`
	DrainTimeout        Duration `group:"limits" default:"10s" help:"Time to finish requests at shutdown."`
}

// Exit statuses of a server.
const (
	StatusOK         = 0
	StatusFailed     = 1 // could not start, or ended unasked
	StatusUsage      = 2 // the command line or the configuration is at fault
	StatusDiskFailed = 3 // the disk failed a write: ended at once, nothing acknowledged since
)

// ErrConfig marks faults of the configuration.
var ErrConfig = errors.New("configuration")

// Run serves until ctx is done, then drains. It prints one line to out when the
// server is ready, and logs to errs.
func (c *Command) Run(ctx context.Context, out, errs io.Writer) error {
	log := slog.New(slog.NewTextHandler(errs, nil))
	if err := c.check(); err != nil {
		return err
	}
	if err := codec.Warm(); err != nil {
		return err
	}
	files, err := openFiles()
	if err != nil {
		return err
	}
	claim, err := engine.NewClaim(c.Listen) // before a data directory is made or touched
	if err != nil {
		return err
	}
	defer claim.Release()
	debug := ""
	if c.DebugListen != "" {
		d, err := startDebug(c.DebugListen, log)
		if err != nil {
			return err
		}
		defer d.close()
		debug = d.addr()
	}
	store, err := shards.Open(c.storeConfig(log, files))
	if err != nil {
		return err
	}
	connections, err := c.connections(log, files, store.Shards())
	if err != nil {
		return errors.Join(err, store.Close())
	}
	config := c.engineConfig(log, claim, connections)
	config.Ready = func(addr string) { c.printReady(out, log, addr, debug, store.Shards()) }
	server, err := engine.New(config, store)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(server.Run(ctx), store.Close())
}

func (c *Command) printReady(out io.Writer, log *slog.Logger, addr, debug string, shards int) {
	line := fmt.Sprintf("throng ready listen=%s data=%s shards=%d sync=%s json=%s",
		addr, c.Data, shards, c.Sync, codec.Engine())
	if debug != "" {
		line += " debug=" + debug
	}
	if c.Sync == "off" {
		line += " warning=acknowledged-writes-can-be-lost"
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		log.Warn("the ready line could not be printed", "error", err)
	}
	if codec.Engine() != "sonic" {
		log.Warn("sonic has no native code here: JSON is slower", "engine", codec.Engine())
	}
}

// check reports every fault of the configuration at once.
func (c *Command) check() error {
	faults := c.badFlags()
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	fault(c.Data == "", "--data: no directory is given")
	fault(c.Sync != "always" && c.Sync != "off", fmt.Sprintf("--sync: must be always or off, not %q", c.Sync))
	for _, err := range []error{c.checkListen(), c.checkDebugListen()} {
		if err != nil {
			faults = append(faults, err)
		}
	}
	for _, b := range c.bounds() {
		outside := b.value < b.low || b.value > b.high
		fault(b.read.err == nil && outside,
			fmt.Sprintf("--%s: must be %d to %d, not %d", b.flag, b.low, b.high, b.value))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w:\n%w", ErrConfig, errors.Join(faults...))
	}
	return nil
}

// badFlags returns what the flags' own types could not read.
func (c *Command) badFlags() []error {
	var faults []error
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		if flag, ok := v.Field(i).Addr().Interface().(interface{ fault() error }); ok {
			if err := flag.fault(); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return faults
}

func (c *Command) checkListen() error {
	loopback, err := isLoopback(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if !loopback && !c.InsecurePlaintext {
		return fmt.Errorf("--listen: %s can be reached from other machines, and the protocol is not encrypted: "+
			"tokens and messages would cross the network in clear; put TLS in front of a loopback address, "+
			"or accept that with --insecure-plaintext", c.Listen)
	}
	return nil
}

func (c *Command) checkDebugListen() error {
	if c.DebugListen == "" {
		return nil
	}
	loopback, err := isLoopback(c.DebugListen)
	if err != nil {
		return fmt.Errorf("--debug-listen: %w", err)
	}
	if !loopback {
		return fmt.Errorf("--debug-listen: %s can be reached from other machines, and profiles are for nobody there: "+
			"take a loopback address", c.DebugListen)
	}
	return nil
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, err
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback(), nil
}

func (c *Command) storeConfig(log *slog.Logger, files int) shards.Config {
	return shards.Config{
		Dir:             c.Data,
		Shards:          int(c.Shards.N),
		Memory:          c.Memory.N,
		NoSync:          c.Sync == "off",
		MailboxRequests: int(c.MailboxRequests.N),
		MailboxBytes:    c.MailboxBytes.N,
		ReplyBytes:      int(c.MaxReply.N),
		OpenFiles:       files,
		Logger:          log,
		Fatal: func(err error) {
			log.Error("the disk failed a write; ending at once", "error", err)
			os.Exit(StatusDiskFailed)
		},
	}
}

func (c *Command) engineConfig(log *slog.Logger, claim *engine.Claim, connections int) engine.Config {
	return engine.Config{
		Claim: claim,
		Limits: codec.Limits{
			Frame:   int(c.MaxRequest.N),
			Text:    int(c.MaxText.N),
			Name:    int(c.MaxName.N),
			Ref:     int(c.MaxRef.N),
			Nesting: int(c.MaxNesting.N),
		},
		Connections:   connections,
		InFlight:      int(c.MaxInFlight.N),
		InFlightBytes: int(c.MaxInFlightBytes.N),
		UnreadBytes:   int(c.MaxUnread.N),
		HeldBytes:     c.MaxHeld.N,
		BadRequests:   int(c.MaxBadRequests.N),
		FirstFrame:    c.FirstFrameTimeout.D,
		PartialFrame:  c.PartialFrameTimeout.D,
		IdleTimeout:   c.IdleTimeout.D,
		DrainTimeout:  c.DrainTimeout.D,
		DiskFloor:     uint64(c.DiskFloor.N),
		Loops:         int(c.Loops.N),
		Logger:        log,
	}
}

// File descriptors: an eighth for Pebble's tables, some for each database's log
// and what it is writing, and the rest for connections.
const (
	minTableFiles    = 32
	maxTableFiles    = 2048
	filesPerDatabase = 16
	otherFiles       = 64
	minConnections   = 16
)

// openFiles returns how many table files the store may keep open.
func openFiles() (int, error) {
	limit, err := fileLimit()
	return int(min(max(limit/8, minTableFiles), maxTableFiles)), err
}

func fileLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	return limit.Cur, nil
}

// connections returns how many connections the limit of open files leaves room
// for, at most those configured: beyond it, accepting one would end the engine.
func (c *Command) connections(log *slog.Logger, tableFiles, shardCount int) (int, error) {
	limit, err := fileLimit()
	if err != nil {
		return 0, err
	}
	room := int64(min(limit, 1<<40)) - int64(tableFiles+filesPerDatabase*(shardCount+1)+otherFiles)
	switch {
	case room < minConnections:
		return 0, fmt.Errorf("the limit of %d open files leaves no room for connections: raise it (ulimit -n)", limit)
	case room < c.MaxConnections.N:
		log.Warn("the limit of open files leaves room for fewer connections",
			"open_files", limit, "asked", c.MaxConnections.N, "connections", room)
		return int(room), nil
	}
	return int(c.MaxConnections.N), nil
}

// bound is a flag's value and its range.
type bound struct {
	flag             string
	read             flagFault // a value that was not read has no range
	value, low, high int64
}

func (c *Command) bounds() []bound {
	const most = 1 << 40
	count := func(flag string, v Count, low, high int64) bound { return bound{flag, v.flagFault, v.N, low, high} }
	size := func(flag string, v Size, low, high int64) bound { return bound{flag, v.flagFault, v.N, low, high} }
	list := []bound{
		size("memory", c.Memory, shards.MinMemory, most),
		size("max-request", c.MaxRequest, 64, 1<<30),
		size("max-text", c.MaxText, 1, 1<<30),
		size("max-name", c.MaxName, 1, 1<<20),
		size("max-ref", c.MaxRef, 1, 1<<20),
		count("max-nesting", c.MaxNesting, 2, codec.NestingCeiling),
		size("max-reply", c.MaxReply, 64, 1<<30),
		count("max-in-flight", c.MaxInFlight, 1, 1<<24),
		size("max-in-flight-bytes", c.MaxInFlightBytes, 1, most),
		size("max-unread", c.MaxUnread, c.MaxReply.N, most), // or no read could be answered
		size("max-held", c.MaxHeld, 1<<20, most),
		count("max-bad-requests", c.MaxBadRequests, 1, most),
		count("mailbox-requests", c.MailboxRequests, 1, 1<<24),
		size("mailbox-bytes", c.MailboxBytes, 1, most),
		count("max-connections", c.MaxConnections, 1, 1<<24),
	}
	if c.Shards.N != 0 {
		list = append(list, count("shards", c.Shards, shards.MinShards, shards.MaxShards))
	}
	if c.Loops.N != 0 {
		list = append(list, count("loops", c.Loops, 1, engine.MaxLoops))
	}
	for _, d := range []struct {
		flag string
		Duration
	}{
		{"first-frame-timeout", c.FirstFrameTimeout},
		{"partial-frame-timeout", c.PartialFrameTimeout},
		{"drain-timeout", c.DrainTimeout},
	} {
		list = append(list, bound{d.flag, d.flagFault, int64(d.D / time.Millisecond), 1, most})
	}
	return list
}

// Status returns the exit status for what Run returned.
func Status(err error) int {
	switch {
	case err == nil:
		return StatusOK
	case errors.Is(err, ErrConfig):
		return StatusUsage
	default:
		return StatusFailed
	}
}

// Say puts an error the way that the binaries print it.
func Say(err error) string { return "throng: " + strings.TrimSpace(err.Error()) }
