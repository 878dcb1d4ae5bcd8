// A drain ends the server in order: it answers what it has taken in, refuses the rest, and loses nothing. The crash loops
// of the real binary are in bench/torture/crash.

package main_test

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A server that has nothing to do ends at once, and its directory opens again.
func TestADrainWithoutLoadEndsInOrder(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, 100)
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	c.closed(t)
	if list := startIn(t, s.dir).dial(t).history(t, u, chat); len(list) != 100 {
		t.Errorf("%d messages, want 100", len(list))
	}
}

// A drain answers what it has taken in: every request of the pipeline is answered, or the connection breaks in order.
func TestADrainAnswersWhatItHasTaken(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	bodies := make([]string, 5000)
	for i := range bodies {
		bodies[i] = u.message(chat, strconv.Itoa(i+1))
	}
	c.write(t, frames(bodies...))
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	acked := int64(0)
	for {
		r, err := c.tryRead()
		if err != nil {
			break
		}
		if r.code == 503 {
			refused(t, r, 503)
			continue
		}
		if acked++; postedAt(t, r) != acked {
			t.Fatalf("reply %s, want index %d", r, acked)
		}
	}
	list := startIn(t, s.dir).dial(t).history(t, u, chat)
	if int64(len(list)) < acked {
		t.Errorf("%d messages, %d were acknowledged", len(list), acked)
	}
}

// While the server drains, whoever asks for more is told so, or is hung up on: no other answer.
func TestADrainTellsNewRequests503(t *testing.T) {
	eventually(t, "a request during a drain gets its 503", func() bool {
		s := start(t)
		busy, other := s.dial(t), s.dial(t)
		u := busy.register(t)
		chat := busy.group(t, u)
		busy.write(t, frames(slices.Repeat([]string{u.message(chat, strings.Repeat("x", 400))}, 16_000)...))
		must(t, s.cmd.Process.Signal(syscall.SIGTERM))
		told := false
		for {
			r, err := other.tryAsk(pingRequest)
			if err != nil {
				break
			}
			if r.code == 503 {
				refused(t, r, 503)
				told = true
			} else if succeeded(t, r); told {
				t.Fatalf("a success, %s, behind a 503", r)
			}
		}
		s.await(t)
		return told
	})
}
