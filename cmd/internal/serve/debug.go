package serve

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// debugHeaderTimeout is the time for a request's head to the debug server.
const debugHeaderTimeout = 5 * time.Second

// debugServer serves Go's profiles, as the package net/http/pprof describes them:
// heap, goroutines, processor time and the rest, under /debug/pprof/.
type debugServer struct {
	http     *http.Server
	listener net.Listener
}

// startDebug serves on addr, which must be loopback: profiles tell what the
// command line and the memory hold, and to ask for them costs time.
func startDebug(addr string, log *slog.Logger) (*debugServer, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--debug-listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	d := &debugServer{&http.Server{Handler: mux, ReadHeaderTimeout: debugHeaderTimeout}, listener}
	go func() {
		if err := d.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the profiles are not served any more", "error", err)
		}
	}()
	return d, nil
}

func (d *debugServer) addr() string { return d.listener.Addr().String() }

// close ends it at once, with what it is answering.
func (d *debugServer) close() { _ = d.http.Close() }
