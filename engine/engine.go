// Package engine is the way of a request between a socket and its shard: it
// accepts connections, cuts and decodes requests, checks them against the
// protocol's limits, hands the operations to package shards, and writes the
// replies back in the order of the requests.
//
// # Who owns what
//
// A loop is one gnet event-loop goroutine. It owns its connections: their
// unread bytes, the order of their replies, their limits and timers, and the
// cache of users by token. Nothing else touches them, so nothing in them is
// locked. Two things cross goroutines: batches of operations, handed to a
// shard's mailbox, one for each read and shard; and the same batches, answered,
// in the loop's outbox, one wake for each drain.
//
// A loop never waits for a shard, but for the one that leads, below: a full mailbox is a
// 429. A shard does wait for a loop whose outbox is full; since the loop does not wait for
// it in turn, it empties it.
//
// # The loop that leads
//
// Where there is one loop and one shard, as on two cores by default, the loop is the
// shard's writer too. What a round of the loop brings, from all connections that had
// something, it leaves in the mailbox; at the round's end it carries that out itself,
// makes the commit and syncs it (shards.Store.Lead), and has the answers in its hand:
//
//	round: read, read, … ─→ mailbox ─→ Lead: apply, sync ─→ replies, one write each
//
// So no thread is woken for a send, neither for the commit nor for the answer. That is
// half of the processor time where few are in flight, and lets the other core do the
// rest: filing, and clients. In turn the loop waits for the disk: while that stalls nobody
// is served, be it a ping or a refusal, and the timers of connections stand still. The same
// goes for what it looks up of chats that are not in memory; once that is so much that it is
// left for another commit, the shard's own goroutine does it, as it does all while it is at
// it. Reads that are not remembered, and the accounts, have their own goroutines as ever.
//
// # A request
//
//	OnTraffic → cut → decode → limits → user (cache, else accounts) → batch of
//	its shard ⇒ … ⇒ outbox → its place among the replies → one write
//
// A request whose user the cache does not know waits, with all that follow it on
// its connection, until the accounts have answered. A create goes to the
// accounts first, for its members' names, and then to the new chat's shard.
//
// It is the only package that imports gnet.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"throng/codec"
	"throng/shards"
)

// The defaults of Config.
const (
	DefaultConnections   = 10000
	DefaultInFlight      = 16384
	DefaultInFlightBytes = 8 << 20
	DefaultUnreadBytes   = 8 << 20
	DefaultHeldBytes     = 1 << 30
	DefaultBadRequests   = 100
	DefaultFrameTimeout  = 30 * time.Second
	DefaultDrainTimeout  = 10 * time.Second
)

// MaxLoops is the most that Config.Loops may be.
const MaxLoops = 64

const (
	// A connection that is being closed sends what it owes, then FIN, and then
	// throws away what still comes, for so long: a close with unread bytes would
	// make the kernel drop the replies on their way.
	lingerTimeout = time.Second
	// A peer that does not take what it is owed is given up after so long.
	closeTimeout = 10 * time.Second
	// A connection is closed where its unread replies pass the limit by a quarter.
	unreadGrace = 4

	tickInterval    = time.Second // of timers
	minTickInterval = 10 * time.Millisecond
	drainPoll       = 5 * time.Millisecond
	diskInterval    = 100 * time.Millisecond // between two looks at the disk
	keepAlive       = 2 * time.Minute        // after which a silent peer's kernel is probed

	retryAfter = 100 // milliseconds, told with a 429

	maxLeadCores = 2 // nothing was measured on more

	readBytes     = 64 << 10 // gnet's own default
	leadReadBytes = 512 << 10
)

// Config says how a Server serves. The zero value of a field means its default,
// but for IdleTimeout and DiskFloor, where it means off.
type Config struct {
	Claim         *Claim        // of the port, where the caller holds it already
	Listen        string        // host:port; port 0: any; not used where there is a Claim
	Limits        codec.Limits  // of a request
	Connections   int           // open at once; a further one is closed on arrival
	InFlight      int           // requests of a connection whose replies are not written
	InFlightBytes int           // bytes of those requests
	UnreadBytes   int           // bytes of replies that the peer has not taken
	HeldBytes     int64         // bytes of all connections: requests half sent or in flight, replies not taken
	BadRequests   int           // consecutive 400s before the connection is closed
	FirstFrame    time.Duration // from opening to the first whole frame
	PartialFrame  time.Duration // from a frame's first byte to its last
	IdleTimeout   time.Duration // without a byte from the peer and with nothing owed
	DrainTimeout  time.Duration // that Run may take to finish what is in flight, stalls of a loop that leads apart
	DiskFloor     uint64        // bytes free on the data's disk, below which writes are refused
	Loops         int           // event loops, up to MaxLoops; default one per core, or the one that leads: see above
	Logger        *slog.Logger
	Now           func() time.Time  // the clock of messages
	Ready         func(addr string) // called once, when the port is open
}

func (c *Config) fill() error {
	c.Limits = cmp.Or(c.Limits, codec.DefaultLimits)
	c.Connections = cmp.Or(c.Connections, DefaultConnections)
	c.InFlight = cmp.Or(c.InFlight, DefaultInFlight)
	c.InFlightBytes = cmp.Or(c.InFlightBytes, DefaultInFlightBytes)
	c.UnreadBytes = cmp.Or(c.UnreadBytes, DefaultUnreadBytes)
	c.HeldBytes = cmp.Or(c.HeldBytes, DefaultHeldBytes)
	c.BadRequests = cmp.Or(c.BadRequests, DefaultBadRequests)
	c.FirstFrame = cmp.Or(c.FirstFrame, DefaultFrameTimeout)
	c.PartialFrame = cmp.Or(c.PartialFrame, DefaultFrameTimeout)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, DefaultDrainTimeout)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Ready == nil {
		c.Ready = func(string) {}
	}
	var faults []error
	if c.Loops > MaxLoops {
		faults = append(faults, fmt.Errorf("%d event loops are more than %d", c.Loops, MaxLoops))
	}
	for _, limit := range []struct {
		name  string
		value int64
	}{
		{"connections", int64(c.Connections)},
		{"event loops", int64(c.Loops)},
		{"requests in flight", int64(c.InFlight)},
		{"bytes in flight", int64(c.InFlightBytes)},
		{"unread bytes", int64(c.UnreadBytes)},
		{"bytes held", c.HeldBytes},
		{"bad requests", int64(c.BadRequests)},
		{"first frame timeout", int64(c.FirstFrame)},
		{"partial frame timeout", int64(c.PartialFrame)},
		{"drain timeout", int64(c.DrainTimeout)},
	} {
		if limit.value < 0 {
			faults = append(faults, fmt.Errorf("the limit of %s is negative", limit.name))
		}
	}
	return errors.Join(faults...)
}

// Server serves the protocol over one Store.
type Server struct {
	config Config
	store  *shards.Store
	leads  bool      // there is one loop and one shard, and the loop leads the shard's commits
	start  time.Time // the loops count their time from it

	connections atomic.Int64
	panics      atomic.Int64
	held        held
	draining    atomic.Bool
	diskFull    atomic.Bool
	ready       sync.Once

	engine gnet.Engine // set by OnBoot
	booted chan struct{}

	mu    sync.Mutex
	loops map[gnet.EventLoop]*loop
}

// New returns a Server over store, which must outlive it.
func New(config Config, store *shards.Store) (*Server, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	config.Loops = cmp.Or(config.Loops, defaultLoops(runtime.GOMAXPROCS(0), store.Shards()))
	s := &Server{
		config: config,
		leads:  config.Loops == 1 && store.Shards() == 1,
		store:  store,
		start:  time.Now(),
		booted: make(chan struct{}),
		loops:  make(map[gnet.EventLoop]*loop),
	}
	s.held.init(&config)
	return s, nil
}

// readBuffer is how much a loop takes of a connection at once. What it leaves in the socket
// of a peer that sends much misses the commit of a loop that leads.
func (s *Server) readBuffer() int {
	if s.leads {
		return leadReadBytes
	}
	return readBytes
}

// defaultLoops is one that leads where that was found to be better than one for each core
// (../docs/performance.md).
func defaultLoops(cores, shards int) int {
	if shards == 1 && cores <= maxLeadCores {
		return 1
	}
	return min(cores, MaxLoops)
}

// Run serves until ctx is done, then drains: it takes no new connections,
// answers new requests with 503, finishes what is in flight and sends what is
// owed, all within DrainTimeout. Any other end is an error. It may be called
// once.
func (s *Server) Run(ctx context.Context) error {
	claim := s.config.Claim
	if claim == nil {
		var err error
		if claim, err = NewClaim(s.config.Listen); err != nil {
			return err
		}
		defer claim.Release()
	}
	addr := claim.Addr()
	if err := s.checkDisk(); err != nil {
		return err
	}
	drained := make(chan struct{})
	ended := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.watchDisk(ended) })
	go func() {
		defer close(drained)
		select {
		case <-ctx.Done():
			select {
			case <-s.booted:
				s.drain()
			case <-ended:
			}
		case <-ended:
		}
	}()
	err := gnet.Run(&handler{Server: s, addr: addr}, "tcp://"+addr,
		gnet.WithNumEventLoop(s.config.Loops),
		gnet.WithReadBufferCap(s.readBuffer()),
		// Each loop accepts for itself, and a flood beyond the cap of connections
		// is closed one by one; without it the flood runs into EMFILE, which ends
		// the engine.
		gnet.WithReusePort(true),
		// Else what is left of an earlier server's connections keeps the port taken.
		gnet.WithReuseAddr(true),
		gnet.WithTCPKeepAlive(keepAlive),
		gnet.WithTicker(true),
		gnet.WithLogger(gnetLogger{s.config.Logger}))
	stopping := s.draining.Load()
	close(ended)
	<-drained
	watching.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("serve %s: %w", addr, err)
	case !stopping:
		return fmt.Errorf("serve %s: the event loops ended unasked", addr)
	}
	return nil
}

// drain finishes what is in flight and then lets every connection end.
func (s *Server) drain() {
	s.draining.Store(true)
	deadline := time.Now().Add(s.config.DrainTimeout)
	if !s.poll(deadline, (*loop).settled) {
		s.config.Logger.Warn("not all requests in flight were finished in time", "timeout", s.config.DrainTimeout)
	}
	s.each(func(l *loop) bool { l.finishAll(); return true })
	s.poll(time.Now().Add(2*lingerTimeout), func(l *loop) bool { l.sweep(); return len(l.conns) == 0 })
	if err := s.engine.Stop(context.Background()); err != nil {
		s.config.Logger.Error("the event loops do not stop", "error", err)
	}
}

// poll asks every loop until all say yes; false: the deadline came first.
func (s *Server) poll(deadline time.Time, ask func(*loop) bool) bool {
	for !s.each(ask) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(drainPoll)
	}
	return true
}

// each runs ask on every loop's own goroutine and reports whether all said yes.
func (s *Server) each(ask func(*loop) bool) bool {
	loops := s.allLoops()
	answers := make(chan bool, len(loops))
	for _, l := range loops {
		if !l.execute(func() { answers <- ask(l) }) {
			answers <- true // the loop has ended
		}
	}
	all := true
	for range loops {
		select {
		case yes := <-answers:
			all = all && yes
		case <-time.After(closeTimeout): // the loop ended with the question in its queue
			return false
		}
	}
	return all
}

func (s *Server) allLoops() []*loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*loop
	for _, l := range s.loops {
		list = append(list, l)
	}
	return list
}

// loopOf returns the loop that runs el. Called on el's goroutine.
func (s *Server) loopOf(el gnet.EventLoop) *loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.loops[el]
	if !ok {
		l = newLoop(s, el)
		s.loops[el] = l
	}
	return l
}

// tick is called by a goroutine of its own, every interval that it returns.
func (s *Server) tick() time.Duration {
	for _, l := range s.allLoops() {
		if !l.sweeping.Swap(true) { // or they would pile up while the loop waits for the disk
			l.execute(func() {
				l.sweeping.Store(false)
				l.sweep()
			})
		}
	}
	shortest := min(s.config.FirstFrame, s.config.PartialFrame)
	if s.config.IdleTimeout > 0 {
		shortest = min(shortest, s.config.IdleTimeout)
	}
	return max(minTickInterval, min(tickInterval, shortest/4))
}

// watchDisk looks at the disk now and then, beside all that serves, until ended.
// How far the server may come below its floor is what it writes between two looks.
func (s *Server) watchDisk(ended <-chan struct{}) {
	ticker := time.NewTicker(diskInterval)
	defer ticker.Stop()
	failed := false
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
		}
		err := s.checkDisk()
		if err != nil && !failed {
			s.config.Logger.Error("the disk cannot be looked at", "error", err)
		}
		failed = err != nil
	}
}

// checkDisk notes whether the disk is below its floor, and ends the process where
// the data directory is gone.
func (s *Server) checkDisk() error {
	if err := s.store.CheckPresence(); err != nil {
		return err
	}
	if s.config.DiskFloor == 0 {
		return nil
	}
	free, err := s.store.FreeBytes()
	if err != nil {
		return err
	}
	full := free < s.config.DiskFloor
	if s.diskFull.Swap(full) != full {
		s.config.Logger.Warn("the disk crossed its floor", "writes_refused", full,
			"free_bytes", free, "floor_bytes", s.config.DiskFloor)
	}
	return nil
}
