package hostile_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"throng/bench/check"
	"throng/bench/internal/realserver"
	"throng/bench/torture/campaign"
	"throng/bench/torture/wire"
	"throng/codec"
)

// The server's limits as a siege has them, where they say how much memory it may
// take. All but the first two are the defaults.
const (
	memory         = 128 << 20 // bytes
	shardCount     = 2
	mailboxBytes   = 64 << 20
	inFlightBytes  = 8 << 20
	unreadBytes    = 8 << 20
	requestBytes   = 1 << 20
	maxConnections = 10_000

	// frameTimeout is short, for a server of few peers: where many keep a machine
	// busy, an honest one's request may take longer.
	frameTimeout = 8 * time.Second
)

// What a siege is prepared with.
const (
	bigTexts  = 48     // messages of the attackers' chat
	bigText   = 60_000 // bytes of each
	bystander = 400    // users to be made members
)

// siege is one server under attack, with the crowd beside. It belongs to the
// test's goroutine; attacks are goroutines that call dial, goesOn and confess.
type siege struct {
	*crowd
	process    *realserver.Server
	attacker   wire.User
	bystanders []uuid.UUID
	serial     atomic.Int64 // of attackers' texts

	resident footprint // of process
	modest   bool      // the round is a short one
}

// modestRounds are a plain run's: its attacks are as small as they come. A campaign's
// others are drawn.
const modestRounds = 2

// many draws how many peers an attack has.
func (s *siege) many(rng *rand.Rand, least, most int) int {
	if s.modest {
		return least
	}
	return least + rng.IntN(most-least+1)
}

// newSiege prepares a siege of a server that has just started.
func newSiege(t *testing.T, server *realserver.Server) *siege {
	t.Helper()
	s := &siege{crowd: newCrowd(t, server.Addr()), process: server}
	s.attacker = s.users[0]
	s.pause = 5 * time.Millisecond
	if err := s.prepare(); err != nil {
		t.Fatalf("prepare: %v", err)
	}
	return s
}

// prepare fills the attackers' chat and registers the bystanders.
func (s *siege) prepare() error {
	c, err := wire.Dial(s.server)
	if err != nil {
		return err
	}
	defer c.Close()
	var registrations, fill [][]byte
	for range bystander {
		u := wire.NewUser()
		s.bystanders = append(s.bystanders, u.ID)
		registrations = append(registrations, u.Registration())
	}
	if err := c.Succeed(registrations, func(int, *codec.Answer) {}); err != nil {
		return err
	}
	sends := make([]check.Send, bigTexts)
	for i := range sends {
		var request []byte
		request, sends[i] = s.send(bigText)
		fill = append(fill, request)
	}
	err = c.Succeed(fill, func(i int, a *codec.Answer) {
		sends[i].Outcome, sends[i].Index, sends[i].Ended = check.Acked, a.Index, now()
	})
	s.confess(sends)
	return err
}

// send makes a send to the attackers' chat, of a text of so many bytes at least,
// and its entry in the ledger as long as there is no answer.
func (s *siege) send(size int) ([]byte, check.Send) {
	t := text(fmt.Sprintf("attack %d ", s.serial.Add(1)) + strings.Repeat("x", size))
	entry := check.Send{Began: now(), Chat: prey, Hash: hash(t)}
	return codec.AppendSendRequest(nil, s.attacker.Token, s.chats[prey], t, nil), entry
}

// page is a request of as many of the attackers' big messages as a reply holds. They
// are the chat's first: what attacks have sent since is small.
func (s *siege) page() []byte {
	return codec.AppendReadRequest(nil, codec.GetChat, s.attacker.Token, s.chats[prey], bigTexts, codec.MaxCount)
}

// round lets the crowd work while attacks are made, and judges.
func (s *siege) round(c *campaign.Campaign, attacks []attack) {
	s.t.Helper()
	before := s.steps()
	s.modest = c.Round() < modestRounds
	s.work()
	stopWatch := s.watch()
	s.make(c.Rand(), attacks)
	stopWatch()
	c.Add("honest pipelines during attacks", s.steps()-before)
	s.rest()
	for i, honest := range s.sessions {
		if honest.lost > 0 {
			s.t.Errorf("session %d was harmed: it lost %d connections", i, honest.lost)
		}
	}
	s.served()
	s.count(c, s.judge((*check.Checker).Check))
}

// attackGuard ends attacks that do not end: it is beyond their connections' guards.
const attackGuard = 5 * wire.HangGuard

// make makes attacks, side by side, and waits for their end.
func (s *siege) make(rng *rand.Rand, attacks []attack) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), attackGuard)
	defer cancel()
	if err := s.goesOn(ctx); err != nil { // all sessions are connected before it begins
		s.t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, a := range attacks {
		own := rand.New(rand.NewPCG(rng.Uint64(), 0))
		all.Go(func() {
			if err := a.run(ctx, s, own); err != nil {
				s.fault("%s: %v", a.name, err)
			}
		})
	}
	all.Wait()
	if err := s.goesOn(ctx); err != nil {
		s.t.Fatal(err)
	}
}

func (s *siege) steps() (n int64) {
	for _, honest := range s.sessions {
		n += honest.steps.Load()
	}
	return n
}

// served asks as someone who comes now, again and again where connections over
// the cap have not all gone yet.
func (s *siege) served() {
	s.t.Helper()
	guard := time.Now().Add(wire.HangGuard)
	for {
		err := ping(s.server)
		if err == nil {
			return
		}
		if time.Now().After(guard) {
			s.t.Fatalf("nobody new is served: %v", err)
		}
		time.Sleep(redialPause)
	}
}

func ping(addr string) error {
	c, err := wire.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Call(codec.AppendPingRequest(nil))
	return err
}
