package engine

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// handler is what gnet calls. Every call but OnBoot and OnTick runs on the
// goroutine of the connection's loop.
type handler struct {
	*Server
	gnet.BuiltinEventEngine

	addr string
}

func (h *handler) OnBoot(engine gnet.Engine) gnet.Action {
	h.engine = engine
	close(h.booted)
	return gnet.None
}

// OnTick first runs when all loops listen.
func (h *handler) OnTick() (time.Duration, gnet.Action) {
	h.Server.ready.Do(func() { h.config.Ready(h.addr) })
	return h.tick(), gnet.None
}

// OnShutdown runs before the loops end and their descriptors are closed.
func (h *handler) OnShutdown(gnet.Engine) {
	for _, l := range h.allLoops() {
		l.outbox.close()
	}
}

func (h *handler) OnOpen(sock gnet.Conn) ([]byte, gnet.Action) {
	if h.connections.Add(1) > int64(h.config.Connections) || h.draining.Load() {
		h.connections.Add(-1)
		return nil, gnet.Close // no context: OnClose knows it by that
	}
	h.loopOf(sock.EventLoop()).open(sock)
	return nil, gnet.None
}

func (h *handler) OnTraffic(sock gnet.Conn) gnet.Action {
	c, ok := sock.Context().(*conn)
	if !ok {
		return gnet.Close
	}
	c.traffic()
	if c.phase == doomed {
		return gnet.Close
	}
	return gnet.None
}

func (h *handler) OnClose(sock gnet.Conn, _ error) gnet.Action {
	if c, ok := sock.Context().(*conn); ok {
		h.connections.Add(-1)
		c.loop.forget(c)
	}
	return gnet.None
}

// gnetLogger hands gnet's words on. gnet calls Fatalf nowhere that matters here,
// and how it ends shows in Run's result.
type gnetLogger struct{ log *slog.Logger }

func (l gnetLogger) Debugf(format string, args ...any) { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l gnetLogger) Infof(format string, args ...any)  { l.log.Debug(fmt.Sprintf(format, args...)) }
func (l gnetLogger) Warnf(format string, args ...any)  { l.log.Warn(fmt.Sprintf(format, args...)) }
func (l gnetLogger) Errorf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }
func (l gnetLogger) Fatalf(format string, args ...any) { l.log.Error(fmt.Sprintf(format, args...)) }
