package hostile_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"throng/bench/target"
	"throng/bench/torture/wire"
	"throng/codec"
)

// attack is one way to be hostile. run makes it, waits in its midst until the
// crowd goes on, and reports what the server should not have done.
type attack struct {
	name  string
	alone bool // takes all connections that there are
	late  bool // ends with the server's timeouts
	run   func(ctx context.Context, s *siege, rng *rand.Rand) error
}

// attacks are all there are.
var attacks = []attack{
	{name: "silent readers", run: silentReaders},
	{name: "slow readers", run: slowReaders},
	{name: "drips", late: true, run: drips},
	{name: "a crowd beyond the cap", alone: true, run: overcrowd},
	{name: "pipelines of 100,000", run: longPipelines},
	{name: "resets", run: resets},
	{name: "vanishing in a reply", run: vanish},
	{name: "deaf to refusals", run: deaf},
	{name: "garbage", run: garbage},
	{name: "one busy shard", run: busyShard},
}

// hash is what a ledger has of a text.
func hash(t codec.Text) uint64 { return target.Hash(t) }

// several runs n peers of an attack side by side, lets the crowd go on among them, and
// returns their first fault.
func several(ctx context.Context, s *siege, n int, peer func(i int) error) error {
	faults := make([]error, n+1)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { faults[i] = peer(i) })
	}
	faults[n] = s.goesOn(ctx)
	all.Wait()
	for _, err := range faults {
		if err != nil {
			return err
		}
	}
	return nil
}

// flooding writes a part again and again and reads nothing, until the server ends
// the connection. So much without an end is a fault.
func flooding(c *wire.Conn, part []byte, atMost int) error {
	for written := 0; written < atMost; written += len(part) {
		if err := goOn(c); err != nil {
			return err
		}
		if _, err := c.Write(part); err != nil {
			if isTimeout(err) {
				return errors.New("a peer that does not read is neither read nor closed")
			}
			return nil
		}
	}
	return fmt.Errorf("%d bytes of requests, nothing read, and the connection still stands", atMost)
}

// goOn gives a connection that has got somewhere its whole life anew: the guard is
// for those that hang, and a busy machine makes everything slow.
func goOn(c *wire.Conn) error { return c.SetDeadline(time.Now().Add(wire.HangGuard)) }

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// closed waits for the connection's end and shows what comes before it to see.
func closed(c *wire.Conn, see func(*codec.Answer) error) error {
	for {
		a, err := c.Next()
		switch {
		case err == nil:
			if err := see(a); err != nil {
				return err
			}
		case isTimeout(err):
			return errors.New("the connection is not closed")
		default:
			return nil
		}
	}
}

// nothing is what a peer may see that asked nothing.
func nothing(a *codec.Answer) error { return fmt.Errorf("an answer to nothing: %s", wire.Describe(a)) }

// repeat concatenates a request n times.
func repeat(request []byte, n int) (all []byte) {
	for range n {
		all = append(all, request...)
	}
	return all
}

// write writes while its caller reads: the two ends must not wait for each other.
// What it returns waits for the write's end.
func write(c *wire.Conn, out []byte) (wrote func() error) {
	ended := make(chan error, 1)
	go func() {
		_, err := c.Write(out)
		ended <- err
	}()
	return func() error { return <-ended }
}

// until calls step until the context is done or over is closed.
func until(ctx context.Context, over <-chan struct{}, step func() error) error {
	for {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
			if err := step(); err != nil {
				return err
			}
		}
	}
}

// pauseUpTo sleeps for less than d.
func pauseUpTo(rng *rand.Rand, d time.Duration) { time.Sleep(time.Duration(rng.Int64N(int64(d)))) }
