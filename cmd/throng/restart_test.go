// A server that ended, however it ended, leaves its port free for the next: what is left of its connections in the
// kernel does not keep the port taken.

package main_test

import (
	"syscall"
	"testing"
)

func TestARestartFindsItsPortFree(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"drained": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := s.dial(t)
			u := c.register(t)
			chat := c.group(t, u)
			for i := range int64(3) {
				c.post(t, u, chat, "before the end") // with the connection open, and in TIME_WAIT after it
				must(t, s.cmd.Process.Signal(signal))
				s.await(t)
				s = launch{dir: s.dir, args: []string{"--listen", s.addr()}}.start(t)
				c = s.dial(t)
				if list := c.newest(t, u, chat, 1); list[0].Index != i+1 {
					t.Fatalf("after %d restarts the newest message is %d", i+1, list[0].Index)
				}
			}
		})
	}
}

// One request too many is refused in its turn and the connection goes on, however low the limits are.
func TestTheLowestLimitsStillAnswer(t *testing.T) {
	s := start(t, "--max-in-flight", "1", "--max-in-flight-bytes", "1", "--max-unread", "64", "--max-reply", "64")
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	replies := c.pipeline(t, u.message(chat, "1"), u.message(chat, "2"), u.message(chat, "3"), u.message(chat, "4"))
	if postedAt(t, replies[0]) != 1 {
		t.Errorf("the first was answered %s", replies[0])
	}
	for _, r := range replies[1:] {
		refused(t, r, 429)
	}
	c.post(t, u, chat, "5")
}
