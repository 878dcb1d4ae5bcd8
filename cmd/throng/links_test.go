package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The server is no place for the clients of the servers that it is compared with, nor for the harness: none of them is
// linked into it.
func TestNoPeersClientIsLinkedIntoTheServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "throng/cmd/throng").Output()
	must(t, err)
	packages := strings.Fields(string(out))
	if len(packages) < 100 {
		t.Fatalf("only %d packages are linked: %q", len(packages), packages)
	}
	for _, path := range packages {
		for _, foreign := range []string{
			"throng/bench", "github.com/redis/", "github.com/nats-io/", "github.com/jackc/", "github.com/HdrHistogram/",
		} {
			if strings.HasPrefix(path, foreign) {
				t.Errorf("%s is linked into the server", path)
			}
		}
	}
}
