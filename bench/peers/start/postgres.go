package start

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// PostgresOptions is what varies of PostgreSQL's configuration.
type PostgresOptions struct {
	SynchronousCommit string // on, off, …; empty: on
	MaxConnections    int    // 0: 200; each is a process of the server
}

const (
	postgresUser        = "throng"
	postgresDatabase    = "postgres" // the one that initdb makes
	postgresConnections = 200
	postgresBuffers     = "256MB" // shared_buffers: the default of 128 MB is for machines that the server shares
)

// Postgres makes a new cluster below base and starts it: it listens on the loopback
// interface alone and trusts who connects, synchronous_commit, shared_buffers and
// max_connections are set, all else is as shipped. Where this process is root the
// server runs as user postgres or, failing that, nobody, who must be able to reach
// base.
func Postgres(ctx context.Context, base string, o PostgresOptions) (*Server, error) {
	program, err := locate("postgres", "/usr/lib/postgresql/*/bin/postgres", "/usr/pgsql-*/bin/postgres")
	if err != nil {
		return nil, err
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if o.SynchronousCommit == "" {
		o.SynchronousCommit = "on"
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = postgresConnections
	}
	return run(ctx, base, &plan{
		kind: "postgres", program: program, version: []string{"--version"}, user: user,
		ready:   "database system is ready to accept connections",
		prepare: func(ctx context.Context, root string) error { return initdb(ctx, program, root, user) },
		command: func(root string, port int) ([]string, string, string) {
			url := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", postgresUser, loopback(port), postgresDatabase)
			return postgresCommand(root, port, o), url, strings.Join(postgresSettings(o), "\n") + "\n"
		},
	})
}

func postgresSettings(o PostgresOptions) []string {
	return []string{
		"synchronous_commit=" + o.SynchronousCommit,
		"shared_buffers=" + postgresBuffers,
		"max_connections=" + strconv.Itoa(o.MaxConnections),
	}
}

func postgresCommand(root string, port int, o PostgresOptions) []string {
	arguments := []string{
		"-D", dataDir(root), "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
	}
	for _, s := range postgresSettings(o) {
		arguments = append(arguments, "-c", s)
	}
	return arguments
}

// initdb makes the cluster. What it writes itself is not synced: no message is in
// it yet.
func initdb(ctx context.Context, postgres, root string, user *account) error {
	// A link on the PATH may lead to it; initdb stands beside the program itself.
	program, err := filepath.EvalSymlinks(postgres)
	if err != nil {
		return fmt.Errorf("follow %q: %w", postgres, err)
	}
	program = filepath.Join(filepath.Dir(program), "initdb")
	cmd := exec.CommandContext(ctx, program, "-D", dataDir(root), "-U", postgresUser,
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Dir = root
	if user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user.credential()}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}
