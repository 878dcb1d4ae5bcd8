package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"throng/bench/torture/hostile/proxy"
)

// hangGuard ends a wait that would never end; nothing is measured by it.
const hangGuard = 30 * time.Second

// said is what clients say: several pieces of the proxy.
var said = bytes.Repeat([]byte("to be or not to be, "), 8000)

// echo answers each connection with its own bytes, and ends when it ends. It counts
// the bytes that came.
func echo(t *testing.T) (addr string, came *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	came = new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, io.TeeReader(c, counter{came}))
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String(), came
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// through says everything to an echo behind weather and returns what came back, how
// that ended, and what the echo gets.
func through(t *testing.T, weather proxy.Weather) (p *proxy.Proxy, heard []byte, got *atomic.Int64, err error) {
	t.Helper()
	addr, came := echo(t)
	p, err = proxy.Start(addr, func() proxy.Weather { return weather })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(hangGuard))
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = c.Write(said)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	heard, err = io.ReadAll(c)
	<-wrote
	return p, heard, came, err
}

func TestWhatOnlyComesLateOrInSlicesComesWhole(t *testing.T) {
	for name, way := range map[string]proxy.Way{
		"fair":       {},
		"late":       {Latency: time.Millisecond, Jitter: time.Millisecond},
		"sliced":     {Slice: 1, Sliced: 2000},
		"throttled":  {Rate: 4 << 20},
		"black hole": {Hole: 50_000, HoleFor: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			p, heard, _, err := through(t, proxy.Weather{Up: way, Down: way})
			if err != nil || !bytes.Equal(heard, said) {
				t.Errorf("%d of %d bytes came back, or others: %v", len(heard), len(said), err)
			}
			if holes := p.Met(proxy.Hole); (holes > 0) != (way.Hole > 0) {
				t.Errorf("%d holes", holes)
			}
		})
	}
}

func TestAResetStrikesAtItsByte(t *testing.T) {
	p, heard, got, err := through(t, proxy.Weather{Up: proxy.Way{Reset: 70_001}})
	if !errors.Is(err, syscall.ECONNRESET) || !bytes.HasPrefix(said, heard) {
		t.Errorf("the client heard %d bytes, then %v; want a reset", len(heard), err)
	}
	if got.Load() > 70_001 || p.Met(proxy.Reset) != 1 {
		t.Errorf("the server got %d bytes, and %d resets struck", got.Load(), p.Met(proxy.Reset))
	}
}

// A receiver of half a connection sees its end; what it says itself still arrives.
func TestAHalfCloseStrikesAtItsByte(t *testing.T) {
	p, heard, got, err := through(t, proxy.Weather{Up: proxy.Way{HalfClose: 70_001}})
	if err != nil || got.Load() != 70_001 || !bytes.Equal(heard, said[:70_001]) {
		t.Errorf("the server got %d bytes, the client heard %d, %v", got.Load(), len(heard), err)
	}
	p2, heard, got, err := through(t, proxy.Weather{Down: proxy.Way{HalfClose: 5}})
	if err != nil || string(heard) != string(said[:5]) {
		t.Errorf("the client heard %d bytes, %v", len(heard), err)
	}
	guard := time.Now().Add(hangGuard)
	for got.Load() < int64(len(said)) {
		if time.Now().After(guard) {
			t.Fatalf("the server got %d bytes, want all", got.Load())
		}
		time.Sleep(time.Millisecond)
	}
	if p.Met(proxy.HalfClose) != 1 || p2.Met(proxy.HalfClose) != 1 {
		t.Error("not one half-close each")
	}
}

// A proxy that closes keeps nobody waiting, whatever it holds back.
func TestACloseEndsWhatIsHeldBack(t *testing.T) {
	addr, _ := echo(t)
	p, err := proxy.Start(addr, func() proxy.Weather {
		return proxy.Weather{Up: proxy.Way{Hole: 1, HoleFor: time.Hour}}
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(hangGuard))
	if _, err := c.Write(said[:10]); err != nil {
		t.Fatal(err)
	}
	for p.Met(proxy.Hole) == 0 {
		time.Sleep(time.Millisecond)
	}
	p.Close()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("the connection lives on, or what was held back came")
	}
}
