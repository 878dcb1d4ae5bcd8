package hostile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"throng/bench/check"
	"throng/bench/torture/wire"
	"throng/codec"
)

// resets writes pipelines of sends that break off anywhere, and ends with RST.
// Whether a whole one of them was done, nobody knows.
func resets(ctx context.Context, s *siege, rng *rand.Rand) error {
	peers := make([]*rand.Rand, s.many(rng, 50, 200))
	for i := range peers {
		peers[i] = rand.New(rand.NewPCG(rng.Uint64(), 0))
	}
	return several(ctx, s, len(peers), func(i int) error {
		var out []byte
		var sends []check.Send
		for range 1 + peers[i].IntN(50) {
			request, entry := s.send(peers[i].IntN(2000))
			out, sends = append(out, request...), append(sends, entry)
		}
		s.confess(sends)
		c, err := wire.Dial(s.server)
		if err != nil {
			return err
		}
		defer c.Reset()
		if _, err := c.Write(out[:peers[i].IntN(len(out)+1)]); err != nil {
			return err
		}
		pauseUpTo(peers[i], 3*time.Millisecond)
		return nil
	})
}

// longPipeline is the requests of one write.
const longPipeline = 100_000

// longPipelines writes 100,000 requests at once, whose answers are all there and
// in their order: pings, and sends with rising indexes.
func longPipelines(ctx context.Context, s *siege, rng *rand.Rand) error {
	return several(ctx, s, s.many(rng, 1, 2), func(int) error {
		out, sends := s.alternating(longPipeline)
		c, err := wire.Dial(s.server) // behind the making of it, which takes its time
		if err != nil {
			return err
		}
		defer c.Reset()
		wrote := write(c, out)
		err = inOrder(c, sends)
		s.confess(sends)
		if err != nil {
			c.Reset() // wakes the writer
			_ = wrote()
			return err
		}
		return wrote()
	})
}

// alternating makes n requests, a ping and a send in turn.
func (s *siege) alternating(n int) (out []byte, sends []check.Send) {
	for i := range n {
		if i%2 == 0 {
			out = append(out, codec.AppendPingRequest(nil)...)
			continue
		}
		request, entry := s.send(0)
		out, sends = append(out, request...), append(sends, entry)
	}
	return out, sends
}

// looks is how many answers are taken in between two looks at the clock.
const looks = 1000

// inOrder takes in the answers to pings and sends in turn.
func inOrder(c *wire.Conn, sends []check.Send) error {
	last := int64(0)
	for i := range 2 * len(sends) {
		if i%looks == 0 {
			if err := goOn(c); err != nil {
				return err
			}
		}
		a, err := c.Next()
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, 2*len(sends), err)
		}
		m := &sends[i/2]
		switch {
		case a.State == codec.StateBusy:
			if i%2 == 1 {
				m.Outcome, m.Ended = check.Refused, now()
			}
		case i%2 == 0 && wire.Done(a) && a.Time > 0:
		case i%2 == 1 && wire.Done(a) && a.Index > last:
			m.Outcome, m.Index, m.Ended, last = check.Acked, a.Index, now(), a.Index
		default:
			return fmt.Errorf("answer %d of %d: %s, index %d behind %d", i, 2*len(sends), wire.Describe(a), a.Index, last)
		}
	}
	return nil
}

// garbage is what is no protocol of ours. Whatever it is, each answer is one, and
// the connection is closed.
func garbage(ctx context.Context, s *siege, rng *rand.Rand) error {
	pieces := make([][]byte, s.many(rng, 10, 50))
	for i := range pieces {
		pieces[i] = nonsense(rng, i%nonsenses)
	}
	return several(ctx, s, len(pieces), func(i int) error {
		c, err := wire.Dial(s.server)
		if err != nil {
			return err
		}
		defer c.Reset()
		if _, err := c.Write(pieces[i]); err != nil {
			return nil // closed in the middle of it
		}
		return closed(c, func(a *codec.Answer) error {
			switch a.State {
			case codec.StateBadRequest, codec.StateNotFound, codec.StateTooLarge:
				return nil
			}
			return fmt.Errorf("kind %d is answered %s", i%nonsenses, wire.Describe(a))
		})
	})
}

// nonsenses is the kinds of nonsense.
const nonsenses = 7

func nonsense(rng *rand.Rand, kind int) []byte {
	switch kind {
	case 0: // a length beyond the limit, and a body
		n := requestBytes + 1 + rng.Int64N(math.MaxUint32-requestBytes)
		return append(binary.BigEndian.AppendUint32(nil, uint32(n)), noise(rng, 1+rng.IntN(100_000))...)
	case 1: // no length
		return append(make([]byte, 4), codec.AppendPingRequest(nil)...)
	case 2: // noise
		return noise(rng, 4+rng.IntN(100_000))
	case 3: // frames of noise
		return frames(func() []byte { return noise(rng, 1+rng.IntN(300)) })
	case 4: // deeper than any request
		return frames(func() []byte { return bytes.Repeat([]byte("["), 1+rng.IntN(requestBytes/16)) })
	case 5: // a request that is cut somewhere
		whole := codec.AppendSendRequest(nil, 1, 1, text("x"), nil)[4:]
		return frames(func() []byte { return whole[:1+rng.IntN(len(whole)-1)] })
	default: // another protocol
		return []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
}

// badRequests is how many of them in a row end a connection.
const badRequests = 100

// frames makes more frames than the server bears.
func frames(body func() []byte) (out []byte) {
	for range badRequests + 20 {
		out = codec.AppendFrame(out, body())
	}
	return out
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
