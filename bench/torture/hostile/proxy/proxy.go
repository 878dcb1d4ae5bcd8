// Package proxy is a bad network between a client and a server: it relays TCP
// connections over loopback and delays, slices, throttles, swallows, half-closes
// and resets what passes. It is test support only, for tests of the proof.
//
// A [Proxy] owns its listener and two goroutines for each connection, one a
// direction. What a connection meets is its [Weather], drawn when it comes.
package proxy

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Proxy relays connections to one server until it is closed.
type Proxy struct {
	listener net.Listener
	server   string
	draw     func() Weather
	relays   sync.WaitGroup
	closing  chan struct{}

	met [kinds]atomic.Int64

	mu   sync.Mutex
	open map[*relay]struct{} // nil: closed
}

// Start listens on a free port of loopback. Each connection that comes meets the
// weather that draw returns; draw is called by one goroutine.
func Start(server string, draw func() Weather) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{
		listener: listener, server: server, draw: draw,
		closing: make(chan struct{}), open: map[*relay]struct{}{},
	}
	p.relays.Go(p.accept)
	return p, nil
}

// Addr is where clients connect, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Met is how often a trouble has struck. What a connection did not live to meet
// does not count.
func (p *Proxy) Met(k Trouble) int64 { return p.met[k].Load() }

// Close ends all connections and waits for the goroutines. What is held back is
// not delivered any more.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	open := p.open
	p.open = nil
	p.mu.Unlock()
	close(p.closing)
	for r := range open {
		r.reset()
	}
	p.relays.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		weather := p.draw()
		p.relays.Go(func() { p.serve(client.(*net.TCPConn), weather) })
	}
}

// serve relays one connection until both directions have ended.
func (p *Proxy) serve(client *net.TCPConn, weather Weather) {
	conn, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	r := &relay{proxy: p, client: client, server: conn.(*net.TCPConn)}
	if !p.enter(r) {
		r.reset()
		return
	}
	var both sync.WaitGroup
	both.Go(func() { r.pump(r.server, r.client, weather.Up) })
	both.Go(func() { r.pump(r.client, r.server, weather.Down) })
	both.Wait()
	p.leave(r)
	_ = r.client.Close()
	_ = r.server.Close()
}

func (p *Proxy) enter(r *relay) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return false
	}
	p.open[r] = struct{}{}
	return true
}

func (p *Proxy) leave(r *relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, r)
}
