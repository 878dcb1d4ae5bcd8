package proxy

import (
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// Weather is what a connection meets: Up from the client to the server, Down back.
type Weather struct{ Up, Down Way }

// Way is what the bytes of one direction meet. The zero value is a fair way.
// Counts of bytes are of this direction and from the connection's start; 0: never.
type Way struct {
	Latency time.Duration // by which each piece that was read comes late
	Jitter  time.Duration // more of it, at most
	Slice   int           // bytes of a write, at most; 0: as they came
	Sliced  int64         // so many bytes are sliced: a write a byte is dear
	Rate    int           // bytes a second; 0: no bound

	Hole      int64         // at so many bytes nothing passes
	HoleFor   time.Duration // for so long; then all of it does, also where its sender has gone
	HalfClose int64         // at so many bytes its receiver gets FIN and no more; its sender goes on
	Reset     int64         // at so many bytes both ends get RST
}

// Trouble is a kind of what can strike.
type Trouble int

// The kinds of trouble that are counted.
const (
	Hole Trouble = iota
	HalfClose
	Reset

	kinds
)

// pieceBytes is what a direction holds at most.
const pieceBytes = 32 << 10

// relay is one connection. Each of its sockets is read by one direction and
// written by the other.
type relay struct {
	proxy          *Proxy
	client, server *net.TCPConn
}

// reset ends both ends with RST.
func (r *relay) reset() {
	for _, c := range []*net.TCPConn{r.client, r.server} {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
}

// pump carries bytes from src to dst. A sender that ends makes the receiver see
// the end behind all that was sent; one that breaks is not told of otherwise.
func (r *relay) pump(dst, src *net.TCPConn, way Way) {
	buf := make([]byte, pieceBytes)
	passed := int64(0)
	for {
		n, err := src.Read(buf)
		if n > 0 && !r.deliver(dst, buf[:n], &way, passed) {
			break
		}
		passed += int64(n)
		if err != nil {
			break
		}
	}
	_ = dst.CloseWrite()
	_, _ = io.Copy(io.Discard, src) // else its end would be an RST
}

// deliver passes one piece, behind passed bytes, as the way has it. It is false
// when nothing more is to pass.
func (r *relay) deliver(dst *net.TCPConn, piece []byte, way *Way, passed int64) bool {
	strikes := func(at int64) bool { return at > 0 && passed < at && at <= passed+int64(len(piece)) }
	switch {
	case strikes(way.Reset):
		_, _ = dst.Write(piece[:way.Reset-passed])
		r.proxy.met[Reset].Add(1)
		r.reset()
		return false
	case strikes(way.HalfClose):
		_, _ = dst.Write(piece[:way.HalfClose-passed])
		r.proxy.met[HalfClose].Add(1)
		return false
	case strikes(way.Hole):
		r.proxy.met[Hole].Add(1)
		if !r.proxy.sleep(way.HoleFor) {
			return false
		}
	}
	late := way.Latency
	if way.Jitter > 0 {
		late += rand.N(way.Jitter)
	}
	return r.proxy.sleep(late) && r.write(dst, piece, way, passed)
}

// write writes a piece in slices, and no faster than the way's rate.
func (r *relay) write(dst *net.TCPConn, piece []byte, way *Way, passed int64) bool {
	for len(piece) > 0 {
		n := len(piece)
		if way.Slice > 0 && passed < way.Sliced {
			n = min(n, way.Slice)
		}
		if _, err := dst.Write(piece[:n]); err != nil {
			return false
		}
		piece, passed = piece[n:], passed+int64(n)
		if way.Rate > 0 && !r.proxy.sleep(time.Duration(n)*time.Second/time.Duration(way.Rate)) {
			return false
		}
	}
	return true
}

// sleep waits, unless the proxy closes.
func (p *Proxy) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-p.closing:
		return false
	}
}
