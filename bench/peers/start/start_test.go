package start_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"throng/bench/internal/peertest"
	"throng/bench/peers/start"
)

// lifeline makes the test binary a parent that starts a server and then waits to be
// killed.
const lifeline = "THRONG_TEST_LIFELINE_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(lifeline)
	if dir == "" {
		os.Exit(m.Run())
	}
	server, err := start.Redis(context.Background(), dir, start.RedisOptions{})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, server.Pid)
	select {}
}

type launcher func(ctx context.Context, base string) (*start.Server, error)

// each server with its shipped options.
var servers = map[string]launcher{
	"redis": func(ctx context.Context, base string) (*start.Server, error) {
		return start.Redis(ctx, base, start.RedisOptions{})
	},
	"nats": func(ctx context.Context, base string) (*start.Server, error) {
		return start.NATS(ctx, base, start.NATSOptions{})
	},
	"postgres": func(ctx context.Context, base string) (*start.Server, error) {
		return start.Postgres(ctx, base, start.PostgresOptions{})
	},
}

// answers reports whether somebody listens where the server's URL says.
func answers(t *testing.T, server *start.Server) bool {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func TestAServerServesUntilItIsStoppedAndLeavesNothing(t *testing.T) {
	for kind, run := range servers {
		t.Run(kind, func(t *testing.T) {
			server := peertest.Start(t, kind, run)
			if server.Kind != kind || server.Version == "" || server.Config == "" || server.Pid == 0 {
				t.Errorf("server: %+v", server)
			}
			if !answers(t, server) {
				t.Error("nobody listens")
			}
			if entries, err := os.ReadDir(server.DataDir); err != nil || len(entries) == 0 {
				t.Errorf("data directory: %v, %v", entries, err)
			}
			for range 2 { // once more does no harm
				if err := server.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Stat(server.DataDir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("data directory after Stop: %v", err)
			}
			if answers(t, server) {
				t.Error("somebody listens after Stop")
			}
		})
	}
}

func TestAServerThatDoesNotStopInTimeIsKilled(t *testing.T) {
	server := peertest.Start(t, "redis", servers["redis"])
	if err := syscall.Kill(server.Pid, syscall.SIGSTOP); err != nil { // it hears no request to end
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	<-server.Exited()
}

func TestAKilledServerLeavesItsDataUntilStop(t *testing.T) {
	server := peertest.Start(t, "redis", servers["redis"])
	server.Kill()
	<-server.Exited()
	if answers(t, server) {
		t.Error("somebody listens after Kill")
	}
	if _, err := os.Stat(server.DataDir); err != nil {
		t.Error(err)
	}
}

func TestAServerDoesNotOutliveItsParent(t *testing.T) {
	peertest.Start(t, "redis", servers["redis"]) // skips where there is none
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), lifeline+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if !lives(pid) {
		t.Fatal("no server")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed
	for tries := 0; lives(pid); tries++ {
		if tries == 3000 {
			t.Fatalf("server %d lives on", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// lives reports whether a process runs: one that has ended and was not waited for
// does not.
func lives(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(status), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestAServerThatRefusesItsConfigurationIsAnErrorWithItsLog(t *testing.T) {
	dir := t.TempDir()
	peertest.Start(t, "redis", servers["redis"]) // skips where there is none
	_, err := start.Redis(t.Context(), dir, start.RedisOptions{Fsync: "perhaps"})
	if err == nil || !strings.Contains(err.Error(), "appendfsync") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAProgramThatIsNowhereIsMissingAndTheErrorSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("THRONG_NATS_SERVER", "")
	for kind, advice := range map[string]string{"redis": "redis-server", "nats": "go install github.com/nats-io/nats-server/v2@"} {
		server, err := servers[kind](t.Context(), t.TempDir())
		if server != nil || !errors.Is(err, start.ErrMissing) || !strings.Contains(err.Error(), advice) {
			t.Errorf("%s: %v, error %v", kind, server, err)
		}
	}
}

func TestANamedProgramThatIsNotThereIsAnError(t *testing.T) {
	t.Setenv("THRONG_NATS_SERVER", "/nowhere/nats-server")
	if _, err := servers["nats"](t.Context(), t.TempDir()); err == nil || errors.Is(err, start.ErrMissing) {
		t.Errorf("error %v", err)
	}
}

func TestTheEnvironmentNamesTheProgram(t *testing.T) {
	program, err := exec.LookPath("true") // not a server: it ends at once
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("THRONG_NATS_SERVER", program)
	_, err = servers["nats"](t.Context(), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), program) {
		t.Errorf("error %v", err)
	}
}
