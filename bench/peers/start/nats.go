package start

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	natsModule  = "github.com/nats-io/nats-server/v2"
	natsVersion = "v2.15.2" // what is built where none is found
	natsProgram = "nats-server"
	natsBuild   = 10 * time.Minute // the most that building it may take
)

// natsVariable is the environment variable that names the program to use.
const natsVariable = "THRONG_NATS_SERVER"

// NATSOptions is what varies of NATS's configuration.
type NATSOptions struct {
	// Sync is JetStream's sync_interval: "always" (before each acknowledgement) or a
	// duration. Empty: always.
	Sync string
}

// NATS starts nats-server with JetStream and its monitoring port, both on the
// loopback interface, in a new directory below base; all but sync_interval is as
// shipped. The program is the one that THRONG_NATS_SERVER names, else the one on
// the PATH, else one that is built by the go command, once, in the user's cache
// directory.
func NATS(ctx context.Context, base string, o NATSOptions) (*Server, error) {
	program, err := natsServer(ctx)
	if err != nil {
		return nil, err
	}
	monitor, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	if o.Sync == "" {
		o.Sync = "always"
	}
	return run(ctx, base, &plan{
		kind: "nats", program: program, version: []string{"--version"},
		ready: "Server is ready",
		prepare: func(_ context.Context, root string) error {
			return writeNATSConfig(root, monitor, o)
		},
		command: func(root string, port int) ([]string, string, string) {
			url := "nats://" + loopback(port) + "?monitor=" + loopback(monitor)
			arguments := []string{"--config", natsConfigFile(root), "--addr", "127.0.0.1", "--port", fmt.Sprint(port)}
			return arguments, url, fmt.Sprintf("jetstream {\n    sync_interval: %q\n}\n", o.Sync)
		},
	})
}

func natsConfigFile(root string) string { return filepath.Join(root, "nats.conf") }

func writeNATSConfig(root string, monitor int, o NATSOptions) error {
	config := fmt.Sprintf("http: %q\njetstream {\n    store_dir: %q\n    sync_interval: %q\n}\n",
		loopback(monitor), dataDir(root), o.Sync)
	if err := os.WriteFile(natsConfigFile(root), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write the configuration of nats-server: %w", err)
	}
	return nil
}

// natsServer finds the program, or builds it.
func natsServer(ctx context.Context) (string, error) {
	if named := os.Getenv(natsVariable); named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("%s=%s: %w", natsVariable, named, err)
		}
		return path, nil
	}
	cache, err := natsCache()
	if err != nil {
		return "", err
	}
	program, err := locate(natsProgram, filepath.Join(cache, natsProgram))
	if err == nil {
		return program, nil
	}
	return buildNATS(ctx, cache)
}

// natsCache is the directory that the program is built in.
func natsCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	return filepath.Join(dir, "throng-bench", "nats-server-"+natsVersion), nil
}

// buildNATS builds the program from its module into dir. It runs outside of any
// module, so that nobody's go.mod decides over its dependencies.
func buildNATS(ctx context.Context, dir string) (string, error) {
	install := []string{"go", "install", natsModule + "@" + natsVersion}
	tool, err := exec.LookPath(install[0])
	if err != nil {
		return "", fmt.Errorf("%s: %w: put it on the PATH, name it in %s, or build it where go is: GOBIN=%s %s",
			natsProgram, ErrMissing, natsVariable, dir, strings.Join(install, " "))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a directory for %s: %w", natsProgram, err)
	}
	ctx, cancel := context.WithTimeout(ctx, natsBuild)
	defer cancel()
	build := exec.CommandContext(ctx, tool, install[1:]...)
	build.Dir = dir
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w: %s: %w\n%s", natsProgram, ErrMissing, strings.Join(install, " "), err, out)
	}
	return filepath.Join(dir, natsProgram), nil
}
