// `throng verify`: what it says of directories that are whole, damaged, in use or not there, and that it writes to none.

package main_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// verifies runs `throng verify` and returns its exit status and all that it printed.
func verifies(t *testing.T, dir string) (status int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "verify", "--data", dir)
	cmd.Env = append(os.Environ(), "THRONG_TEST_EXEC=1")
	text, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range keys(listing(t, dir)) {
		info, err := os.Stat(path)
		must(t, err)
		if !info.IsDir() {
			data, err := os.ReadFile(path)
			must(t, err)
			all[path] = string(data)
		}
	}
	return all
}

func TestVerifySaysWhatIsDamagedAndWritesNothing(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	by := c.register(t)
	c.post(t, by, c.group(t, by), "to be verified")
	if status, said := verifies(t, s.dir); status != 2 || !strings.Contains(said, "in use") {
		t.Errorf("of a directory in use it ends with %d: %s", status, said)
	}
	s.stop(t)

	before := files(t, s.dir)
	status, said := verifies(t, s.dir)
	if status != 0 || !strings.Contains(said, "faults=0") || !strings.Contains(said, "users=1 chats=1 members=1 messages=1") || strings.Contains(said, "\r") {
		t.Errorf("of a whole directory it ends with %d: %s", status, said)
	}
	if !maps.Equal(before, files(t, s.dir)) {
		t.Error("it changed files")
	}

	manifests, err := filepath.Glob(filepath.Join(s.dir, "shard-*", "MANIFEST-*"))
	must(t, err)
	for _, path := range manifests {
		data := []byte(before[path])
		data[len(data)-1] ^= 1
		must(t, os.WriteFile(path, data, 0o600))
	}
	before = files(t, s.dir)
	if status, said := verifies(t, s.dir); status != 1 || !strings.Contains(said, "is damaged") {
		t.Errorf("of a damaged directory it ends with %d: %s", status, said)
	}
	if !maps.Equal(before, files(t, s.dir)) {
		t.Error("it changed files of the damaged directory")
	}
}

func TestVerifyOfNoDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if status, said := verifies(t, dir); status != 2 || !strings.Contains(said, "no data directory") {
		t.Errorf("it ends with %d: %s", status, said)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it made the directory")
	}
}
