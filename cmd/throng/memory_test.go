// What the server's C library keeps: with cgo, Pebble's cache and memtables are its.

package main_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
)

// arenaBytes is what glibc reserves for an arena, and the boundary at which it begins (HEAP_MAX_SIZE in its malloc).
const arenaBytes = 64 << 20

// libraryBytes is how far below the stack the C library's memory begins, with what chance adds to its place. Go's
// heap looks like an arena where chance, since Go 1.26, has it begin at such a boundary; it lies farther below.
const libraryBytes = 2 << 40

// arenas counts the places, besides the first, in which the server's C library keeps what is freed.
func (s *server) arenas(t testing.TB) (count int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", s.cmd.Process.Pid))
	must(t, err)
	var begun, end uint64 // of the used part of what may be an arena
	var candidates []uint64
	var stack uint64
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var access string
		_, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &access)
		must(t, err)
		switch {
		case strings.HasPrefix(access, "rw-p") && from%arenaBytes == 0:
			begun, end = from, to
		case strings.HasPrefix(access, "---p") && from == end && to == begun+arenaBytes:
			candidates = append(candidates, begun)
		case strings.HasSuffix(strings.TrimSpace(line), "[stack]"):
			stack = from
		}
	}
	for _, begun := range candidates {
		if begun+libraryBytes > stack {
			count++
		}
	}
	return count
}

// Each arena keeps what was freed in it, so a cache that is full in one grows in another: memory would go on rising.
func TestPebblesMemoryIsInOnePlace(t *testing.T) {
	s := start(t)
	var posting sync.WaitGroup
	for range 8 {
		c := s.dial(t)
		u := c.register(t)
		chat := c.group(t, u)
		posting.Go(func() {
			for range 50 {
				c.post(t, u, chat, "hello")
			}
		})
	}
	posting.Wait()
	if n := s.arenas(t); n > 0 {
		t.Errorf("%d arenas of malloc besides the first", n)
	}
}
