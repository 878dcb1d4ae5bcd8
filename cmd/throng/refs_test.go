// A ref makes a send safe to repeat: the same sender, chat and ref among the chat's last 1,000 messages is the same
// message, in one write or after a crash.

package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// postRef sends with a ref and returns the index.
func (c *client) postRef(t testing.TB, by user, chat int64, text, ref string) int64 {
	t.Helper()
	return postedAt(t, c.ask(t, by.messageWithRef(chat, text, ref)))
}

func TestARepeatedRefIsTheSameMessage(t *testing.T) {
	c := start(t).dial(t)
	u, v := c.register(t), c.register(t)
	chat, other := c.group(t, u, v), c.group(t, u)
	for _, test := range []struct {
		name string
		by   user
		chat int64
		ref  string
		want int64
	}{
		{"the first", u, chat, "a", 1},
		{"again", u, chat, "a", 1},
		{"another ref", u, chat, "b", 2},
		{"another sender", v, chat, "a", 3},
		{"another chat", u, other, "a", 1},
		{"another case", u, chat, "A", 4},
		{"with a space", u, chat, "a ", 5},
		{"with a NUL", u, chat, "a\x00", 6},
		{"the first once more", u, chat, "a", 1},
		{"the other sender's again", v, chat, "a", 3},
		{"the other chat's again", u, other, "a", 1},
		{"64 bytes", u, chat, strings.Repeat("r", 64), 7},
		{"64 bytes again", u, chat, strings.Repeat("r", 64), 7},
		{"63 bytes", u, chat, strings.Repeat("r", 63), 8},
		{"Chinese", u, chat, strings.Repeat("中", 21), 9},
		{"Chinese again", u, chat, strings.Repeat("中", 21), 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := c.postRef(t, test.by, test.chat, test.name, test.ref); got != test.want {
				t.Errorf("index %d, want %d", got, test.want)
			}
		})
	}
	if list := c.history(t, u, chat); len(list) != 9 || list[0].Content != "the first" {
		t.Errorf("the chat holds %v", list)
	}
}

func TestAnEmptyRefIsNone(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for want := int64(1); want <= 3; want++ {
		if got := c.postRef(t, u, chat, "m", ""); got != want {
			t.Errorf("index %d, want %d", got, want)
		}
	}
}

func TestARefOverItsLimitIs400(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for _, ref := range []string{strings.Repeat("r", 65), strings.Repeat("中", 22), strings.Repeat("r", 10_000)} {
		if msg := refused(t, c.ask(t, u.messageWithRef(chat, "m", ref)), 400); !strings.Contains(msg, "ref") {
			t.Errorf("%q does not say ref", msg)
		}
	}
	if list := c.newest(t, u, chat, 1); len(list) != 0 {
		t.Errorf("a refused message is there: %v", list)
	}
}

// The ref of a message that was refused is free.
func TestARefusedSendLeavesItsRefFree(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	refused(t, c.ask(t, u.messageWithRef(chat, "", "r")), 400)
	refused(t, c.ask(t, u.messageWithRef(chat, strings.Repeat("x", maxText+1), "r")), 413)
	c.postRef(t, u, chat, "m", "r")
	c.reads(t, u, chat, 1, "m")
}

// Repeats in one write meet before the first is on disk.
func TestARepeatInTheSameWriteIsTheSameMessage(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	bodies := []string{}
	for i := range 500 {
		bodies = append(bodies, u.messageWithRef(chat, fmt.Sprint(i), fmt.Sprint(i%100)))
	}
	for i, r := range c.pipeline(t, bodies...) {
		if got, want := postedAt(t, r), int64(i%100+1); got != want {
			t.Fatalf("send %d is at %d, want %d", i, got, want)
		}
	}
	if list := c.history(t, u, chat); len(list) != 100 {
		t.Errorf("%d messages, want 100", len(list))
	}
}

// Many connections send the same at once, as clients do that retry after a broken connection.
func TestARepeatFromOtherConnectionsIsTheSameMessage(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	const repeats, refs = 8, 50
	crowd := make([]*client, repeats)
	for i := range crowd {
		crowd[i] = s.dial(t)
		for ref := range refs {
			crowd[i].write(t, frames(u.messageWithRef(chat, "m", fmt.Sprint(ref))))
		}
	}
	at := make([]int64, refs)
	for _, other := range crowd {
		for ref := range refs {
			index := postedAt(t, other.read(t))
			if at[ref] != 0 && at[ref] != index {
				t.Fatalf("ref %d is at %d and %d", ref, at[ref], index)
			}
			at[ref] = index
		}
	}
	if list := c.history(t, u, chat); len(list) != refs {
		t.Errorf("%d messages, want %d", len(list), refs)
	}
}

// The thousandth newest message still counts, the one before it no longer: warm, and read back from disk.
func TestARefIsRememberedForAThousandMessages(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			s := start(t)
			c := s.dial(t)
			u := c.register(t)
			chat := c.group(t, u)
			c.postRef(t, u, chat, "first", "first")
			c.postRef(t, u, chat, "second", "second")
			c.postAll(t, u, chat, 998) // 1,000 messages: the first is the thousandth newest
			reopen := func() {
				if restart {
					s.kill(t)
					s = startIn(t, s.dir)
					c = s.dial(t)
				}
			}
			reopen()
			if got := c.postRef(t, u, chat, "again", "first"); got != 1 {
				t.Fatalf("the thousandth newest is repeated at %d, want 1", got)
			}
			c.post(t, u, chat, "pushes the first out")
			reopen()
			if got := c.postRef(t, u, chat, "anew", "first"); got != 1002 {
				t.Fatalf("beyond the thousandth the ref is appended at %d, want 1002", got)
			}
			reopen()
			if got := c.postRef(t, u, chat, "again", "first"); got != 1002 {
				t.Fatalf("the new one is repeated at %d, want 1002", got)
			}
			if got := c.postRef(t, u, chat, "anew", "second"); got != 1003 {
				t.Fatalf("the second is appended at %d, want 1003", got)
			}
			c.reads(t, u, chat, 1002, "anew")
		})
	}
}

func TestARefSurvivesAKill(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.post(t, u, chat, "without a ref")
	at := c.postRef(t, u, chat, "m", "r")
	c.postAll(t, u, chat, 100)
	s.kill(t)
	c = startIn(t, s.dir).dial(t)
	if got := c.postRef(t, u, chat, "other text", "r"); got != at {
		t.Errorf("after a restart at %d, before at %d", got, at)
	}
	c.reads(t, u, chat, at, "m")
}
