package hostile_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"throng/bench/system"
	"throng/bench/torture/wire"
	"throng/codec"
)

const (
	dialsAtOnce = 64
	asksAgain   = 100  // of an idle crowd's connections
	ownFiles    = 4000 // of this process, beside the crowd's sockets: of other tests too
)

// overcrowd holds more connections than the server takes: 10,000 are idle and
// answered when they speak, the rest is closed on arrival. Where this machine
// gives a process fewer files, both numbers are smaller.
func overcrowd(ctx context.Context, s *siege, rng *rand.Rand) error {
	files := int(system.RaiseFiles())
	n := min(maxConnections+1+rng.IntN(1000), files-ownFiles)
	return s.flood(ctx, n, min(n, maxConnections, files/2)-lingering, maxConnections-sessions)
}

// flood opens n connections, of which the server is to serve least to most, and
// holds them while the crowd goes on.
func (s *siege) flood(ctx context.Context, n, least, most int) error {
	held := s.hold(n)
	defer func() {
		for _, c := range held {
			c.Reset()
		}
	}()
	if len(held) < least || len(held) > most {
		return fmt.Errorf("%d of %d connections are served, want %d to %d", len(held), n, least, most)
	}
	if err := s.goesOn(ctx); err != nil {
		return err
	}
	for i := 0; i < len(held); i += max(1, len(held)/asksAgain) {
		if err := errors.Join(goOn(held[i]), answered(held[i])); err != nil {
			return fmt.Errorf("an idle connection is not served: %w", err)
		}
	}
	return nil
}

// lingering is how many connections of earlier attacks may still count at the cap.
const lingering = 400

// hold opens n connections and returns those that were served.
func (s *siege) hold(n int) (held []*wire.Conn) {
	var next atomic.Int64
	var mu sync.Mutex
	var dialling sync.WaitGroup
	for range dialsAtOnce {
		dialling.Go(func() {
			for next.Add(1) <= int64(n) {
				c, err := wire.Dial(s.server)
				if err != nil {
					continue
				}
				if answered(c) != nil {
					c.Reset()
					continue
				}
				mu.Lock()
				held = append(held, c)
				mu.Unlock()
			}
		})
	}
	dialling.Wait()
	return held
}

// answered asks for a ping. It takes the answer off the socket itself: thousands
// of connections would have a buffer each.
func answered(c *wire.Conn) error {
	if _, err := c.Write(codec.AppendPingRequest(nil)); err != nil {
		return err
	}
	var header [4]byte
	if _, err := io.ReadFull(c.TCPConn, header[:]); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, c.TCPConn, int64(binary.BigEndian.Uint32(header[:])))
	return err
}

// busyPipeline is the requests in flight of a peer of busyShard.
const busyPipeline = 16

// busyShard keeps one shard and the accounts at work: large creates, pages of large
// messages and large sends to one chat, as fast as answers come. The peers go on
// until the crowd has.
func busyShard(ctx context.Context, s *siege, rng *rand.Rand) error {
	over := make(chan struct{})
	n := s.many(rng, 3, 8)
	faults := make([]error, n)
	var begun, all sync.WaitGroup
	for i := range n {
		begun.Add(1)
		all.Go(func() { faults[i] = s.busy(ctx, over, begun.Done, i) })
	}
	begun.Wait()
	err := s.goesOn(ctx)
	close(over)
	all.Wait()
	for _, fault := range faults {
		if err == nil {
			err = fault
		}
	}
	return err
}

// busy is one peer of busyShard. It calls begun when its first answers have come,
// or will not come.
func (s *siege) busy(ctx context.Context, over <-chan struct{}, begun func(), i int) error {
	var once sync.Once
	defer once.Do(begun)
	var out []byte
	for k := range busyPipeline {
		out = append(out, s.dear(i+k)...)
	}
	c, err := wire.Dial(s.server)
	if err != nil {
		return err
	}
	defer c.Reset()
	return until(ctx, over, func() error {
		defer once.Do(begun)
		return errors.Join(goOn(c), large(c, out))
	})
}

// large asks for what is dear, and takes in the answers.
func large(c *wire.Conn, out []byte) error {
	wrote := write(c, out)
	for range busyPipeline {
		a, err := c.Next()
		if err != nil {
			c.Reset() // wakes the writer
			_ = wrote()
			return err
		}
		if a.State != codec.StateOK && a.State != codec.StateBusy {
			_ = wrote()
			return fmt.Errorf("a dear request is answered %s", wire.Describe(a))
		}
	}
	return wrote()
}

// strangers is the ids that nobody has registered of a create.
const strangers = 5000

// dear is a request that costs much.
func (s *siege) dear(kind int) []byte {
	switch kind % 4 {
	case 0:
		return codec.AppendCreateRequest(nil, s.attacker.Token, text("large"), true, s.bystanders)
	case 1: // the accounts look all of them up, in vain
		members := make([]uuid.UUID, strangers)
		for i := range members {
			members[i] = uuid.New()
		}
		return codec.AppendCreateRequest(nil, s.attacker.Token, text("none"), true, members)
	default:
		return s.page()
	}
}
