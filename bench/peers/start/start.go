// Package start runs the real servers that Throng is compared with: it finds
// their binaries, starts each on a free port of the loopback interface with a
// documented configuration and a directory of its own, and stops it again.
//
// A server is owned by who started it and ends with this process, however that
// ends. Directories are removed by Stop.
package start

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrMissing says that a server's program is not on this machine. The error that
// wraps it names where it was looked for.
var ErrMissing = errors.New("not on this machine")

// Server is a running server.
type Server struct {
	Kind    string // redis, nats, postgres
	URL     string // what the package of that name opens
	Pid     int
	DataDir string // holds all that the server writes
	Version string // as its program tells
	Config  string // the configuration, as its documentation would write it: for the report

	process *process
	root    string // removed by Stop; DataDir is in it
}

// plan is how to start one server, once its program is found.
type plan struct {
	kind    string
	program string
	version []string // arguments that make the program tell its version
	ready   string   // a part of the line that it logs once it serves
	user    *account // whom it runs as; nil: as this process

	// prepare makes the directory ready; nil: nothing is to be done.
	prepare func(ctx context.Context, root string) error
	// command is what runs: the configuration for a port and a directory.
	command func(root string, port int) (arguments []string, url, config string)
}

// maxTries bounds the starts of one server: its port is free when it is chosen,
// and may be taken when the server asks for it.
const maxTries = 3

// readyTime bounds the wait for a server that starts.
const readyTime = 30 * time.Second

// run starts a server in a new directory below base, "" being the system's own for
// temporary files.
func run(ctx context.Context, base string, p *plan) (*Server, error) {
	version, err := exec.CommandContext(ctx, p.program, p.version...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", p.program, err)
	}
	root, err := makeRoot(base, p)
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: p.kind, Version: strings.TrimSpace(string(version)), DataDir: dataDir(root), root: root}
	if err := s.start(ctx, p); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.kind, err), os.RemoveAll(root))
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, p *plan) error {
	if p.prepare != nil {
		if err := p.prepare(ctx, s.root); err != nil {
			return err
		}
	}
	for try := 1; ; try++ {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		arguments, url, config := p.command(s.root, port)
		s.URL, s.Config = url, config
		if s.process, err = launch(p, s.DataDir, arguments); err != nil {
			return err
		}
		s.Pid = s.process.pid
		err = s.process.await(ctx, readyTime)
		if err == nil {
			return nil
		}
		if stillborn := s.process.kill(); !stillborn || try == maxTries {
			return fmt.Errorf("%w; it logged:\n%s", err, s.Log())
		}
	}
}

// Log is the end of what the server has logged, logBytes at most.
func (s *Server) Log() string { return s.process.log.String() }

// Exited is closed when the server has ended, for whatever reason.
func (s *Server) Exited() <-chan struct{} { return s.process.exited }

// Kill ends the server at once, as a crash does, and waits for its end. Its
// directory stays until Stop.
func (s *Server) Kill() { s.process.kill() }

// Stop ends the server, politely until ctx is done and then by force, and removes
// its directory. It may be called again, and after Kill.
func (s *Server) Stop(ctx context.Context) error {
	s.process.stop(ctx)
	if err := os.RemoveAll(s.root); err != nil {
		return fmt.Errorf("remove the directory of %s: %w", s.Kind, err)
	}
	return nil
}

// makeRoot makes the server's directory, owned by whom it runs as.
func makeRoot(base string, p *plan) (string, error) {
	root, err := os.MkdirTemp(base, p.kind+"-")
	if err != nil {
		return "", fmt.Errorf("make a directory for %s: %w", p.kind, err)
	}
	if err := furnish(root, p.user); err != nil {
		return "", errors.Join(err, os.RemoveAll(root))
	}
	return root, nil
}

func furnish(root string, user *account) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find the way to %q: %w", root, err)
	}
	if err := os.Mkdir(dataDir(root), 0o700); err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	if user == nil {
		return nil
	}
	if err := user.reaches(filepath.Dir(root)); err != nil {
		return err
	}
	return errors.Join(user.takes(root), user.takes(dataDir(root)))
}

func dataDir(root string) string { return filepath.Join(root, "data") }

// freePort finds a port of the loopback interface that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	var how net.ListenConfig
	l, err := how.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// locate finds a program on the PATH, or else by the patterns; of several that match
// the last in lexical order: the newest, where they differ by a version of two digits.
func locate(name string, patterns ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", pattern, err)
		}
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	where := append([]string{"the PATH"}, patterns...)
	return "", fmt.Errorf("%s: %w (looked in %s)", name, ErrMissing, strings.Join(where, ", "))
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
