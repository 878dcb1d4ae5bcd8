package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// count is what a campaign has come to.
type count struct {
	Rounds  int              `json:"rounds"`
	Seconds float64          `json:"seconds"` // of all rounds together
	Sums    map[string]int64 `json:"sums,omitempty"`
}

// add counts one more round.
func (c *count) add(of map[string]int64, took time.Duration) {
	c.Rounds++
	c.Seconds += took.Seconds()
	if c.Sums == nil {
		c.Sums = map[string]int64{}
	}
	for what, n := range of {
		c.Sums[what] += n
	}
}

func (c *count) took() time.Duration { return time.Duration(c.Seconds * float64(time.Second)) }

// sums are those of one round.
type sums struct {
	mu sync.Mutex
	of map[string]int64
}

func (s *sums) add(what string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]int64{}
	}
	s.of[what] += n
}

func (s *sums) take() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.of)
}

// tally is the file's content: counts by commit and campaign.
type tally map[string]map[string]count

// load returns a campaign's count; that of one which has not begun is empty.
func load(file, commit, name string) (count, error) {
	t, err := read(file)
	return t[commit][name], err
}

// store puts a campaign's count into the file, beside those of others, which may
// be written at the same time. The file is whole at any moment.
func store(file, commit, name string, c count) error {
	unlock, err := lock(file + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	t, err := read(file)
	if err != nil {
		return err
	}
	if t[commit] == nil {
		t[commit] = map[string]count{}
	}
	t[commit][name] = c
	return write(file, t)
}

func read(file string) (tally, error) {
	t := tally{}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		return nil, fmt.Errorf("read the tally %s: %w", file, err)
	}
	return t, nil
}

func write(file string, t tally) error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("write the tally: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write the tally: %w", err)
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the tally: %w", err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("write the tally: %w", err)
	}
	return nil
}

// lock holds a file until unlock, against other processes too.
func lock(file string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("lock the tally: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the tally: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock the tally: %w", err)
	}
	return func() { _ = f.Close() }, nil // which lets go of it
}

// unknown is the commit of a checkout that git does not know.
const unknown = "unknown"

// sources is what makes one build differ from another.
var sources = []string{":/*.go", ":/*.s", ":/go.mod", ":/go.sum"}

// commit names what is tested: HEAD, and +dirty where the sources are not what it
// holds. A test binary is stamped with neither, so git is asked.
func commit(ctx context.Context) string {
	head, err := git(ctx, "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return unknown
	}
	changed, err := git(ctx, append([]string{"status", "--porcelain", "--"}, sources...)...)
	if err != nil || changed != "" {
		head += "+dirty"
	}
	return head
}

// git asks about the checkout that the test runs in, whoever owns it.
func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "--no-optional-locks"}, args...)...).Output()
	return strings.TrimSpace(string(out)), err
}
