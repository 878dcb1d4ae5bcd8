package hostile_test

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"time"

	"throng/bench/torture/wire"
	"throng/codec"
)

const (
	floodBytes = 256 << 20 // of requests that a peer writes without reading an answer
	smallRead  = 64 << 10  // of a kernel's buffer of received bytes
	floodPart  = 200       // requests of a write
	sipEvery   = time.Millisecond
)

// dialNarrow connects with a kernel's buffer that holds little of what is not read.
func (s *siege) dialNarrow() (*wire.Conn, error) {
	c, err := wire.Dial(s.server)
	if err != nil {
		return nil, err
	}
	if err := c.SetReadBuffer(smallRead); err != nil {
		c.Reset()
		return nil, err
	}
	return c, nil
}

// silentReaders ask for gigabytes and read nothing. Each is closed.
func silentReaders(ctx context.Context, s *siege, rng *rand.Rand) error {
	part := repeat(s.page(), floodPart)
	return several(ctx, s, s.many(rng, 2, 6), func(int) error {
		c, err := s.dialNarrow()
		if err != nil {
			return err
		}
		defer c.Reset()
		return flooding(c, part, floodBytes)
	})
}

// slowReaders ask for gigabytes and take a byte now and then: that buys them nothing,
// each is closed.
func slowReaders(ctx context.Context, s *siege, rng *rand.Rand) error {
	part := repeat(s.page(), floodPart)
	return several(ctx, s, s.many(rng, 1, 4), func(int) error {
		c, err := s.dialNarrow()
		if err != nil {
			return err
		}
		defer c.Reset()
		sipped := make(chan struct{})
		go func() {
			defer close(sipped)
			for b := make([]byte, 1); ; time.Sleep(sipEvery) {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
		err = flooding(c, part, floodBytes)
		c.Reset() // ends the sips
		<-sipped
		return err
	})
}

// discarded bounds what a peer of nonsense writes, in bytes. A server that has said its
// last word throws away what still comes, for a second or two, as fast as it comes:
// 2 GiB were seen.
const discarded = 64 << 30

// deaf peers send what is refused and read no refusal. Each is closed.
func deaf(ctx context.Context, s *siege, rng *rand.Rand) error {
	nobody := wire.NewUser().Token
	wrong := [][]byte{
		codec.AppendSendRequest(nil, nobody, s.chats[prey], text("x"), nil),                   // 401
		codec.AppendReadRequest(nil, codec.GetChat, nobody, s.chats[prey], -1, 1),             // 401
		codec.AppendReadRequest(nil, codec.GetChat, s.attacker.Token, codec.MaxChat-1, -1, 1), // 404
		codec.AppendFrame(nil, []byte(`{"service_code":5}`)),                                  // 400
	}
	atMost := []int{floodBytes, floodBytes, floodBytes, discarded}
	first := rng.IntN(len(wrong))
	return several(ctx, s, s.many(rng, 1, len(wrong)), func(i int) error {
		c, err := s.dialNarrow()
		if err != nil {
			return err
		}
		defer c.Reset()
		kind := (first + i) % len(wrong)
		return flooding(c, repeat(wrong[kind], 5*floodPart), atMost[kind])
	})
}

// drips send nothing, half a length, a length, or all of a request but its last byte, and
// wait. Each is closed.
func drips(ctx context.Context, s *siege, rng *rand.Rand) error {
	whole := codec.AppendFrame(nil, make([]byte, requestBytes))
	small := codec.AppendPingRequest(nil)
	parts := [][]byte{nil, small[:2], small[:4], small[:len(small)-1], whole[:4]}
	large := rng.IntN(24) // a mebibyte but for its last byte
	return several(ctx, s, s.many(rng, 20, 200), func(i int) error {
		c, err := wire.Dial(s.server)
		if err != nil {
			return err
		}
		defer c.Reset()
		part := parts[i%len(parts)]
		if i < large {
			part = whole[:len(whole)-1]
		}
		if _, err := c.Write(part); err != nil {
			return err
		}
		return closed(c, nothing)
	})
}

// mostVanishing bounds what a peer reads of a reply before it vanishes, in bytes.
const mostVanishing = 128 << 10

// vanish asks for pages, reads a part of the first, and goes, in order or not.
func vanish(ctx context.Context, s *siege, rng *rand.Rand) error {
	reads := make([]int64, s.many(rng, 8, 24))
	for i := range reads {
		reads[i] = rng.Int64N(mostVanishing)
	}
	return several(ctx, s, len(reads), func(i int) error {
		c, err := wire.Dial(s.server)
		if err != nil {
			return err
		}
		if _, err := c.Write(repeat(s.page(), 1+i%8)); err != nil {
			return err
		}
		var header [4]byte // the first reply may be a short one: a server under attack refuses some
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return err
		}
		part := min(reads[i], int64(binary.BigEndian.Uint32(header[:])))
		if _, err := io.CopyN(io.Discard, c, part); err != nil {
			return err
		}
		if i%2 == 0 {
			return c.Close()
		}
		c.Reset()
		return nil
	})
}
