package check_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"throng/bench/check"
)

type faults = map[check.Rule]int64

func TestACalmStoryHasNoFault(t *testing.T) {
	s := calm()
	v := s.judge(t)
	if !v.OK() || v.Total() != 0 || len(v.Examples) != 0 {
		t.Errorf("faults %v: %q", v.Faults, v.Examples)
	}
	got := []int64{v.Sends, v.Acked, v.Unknown, v.Found, v.Reads, v.Clipped, v.Messages, int64(v.Chats)}
	if want := []int64{9, 6, 2, 1, 3, 0, 7, 3}; !slices.Equal(got, want) {
		t.Errorf("sends, acked, unknown, found, reads, clipped, messages, chats: %v, want %v", got, want)
	}
}

// Each fault is found, and named for what it is: nothing else is blamed but what
// follows from it.
func TestEachFaultIsFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		mutate func(s *story)
		want   faults
	}{
		{"the newest message is not stored", func(s *story) { s.logs[0] = s.logs[0][:5]; s.forget() }, faults{check.Lost: 1}},
		{"a message in the middle is not stored", func(s *story) {
			s.logs[0] = slices.Delete(s.logs[0], 4, 5)
			s.forget()
		}, faults{check.Lost: 1, check.Gap: 1}},
		{"nothing is stored", func(s *story) { s.logs[1] = nil }, faults{check.Lost: 1}},
		{"an index that cannot be is acknowledged", func(s *story) {
			s.send(6).Index = 0
			s.logs[0] = s.logs[0][:5]
			s.forget()
		}, faults{check.Lost: 1}},
		{"another text is stored", func(s *story) { s.logs[0][4].hash = stranger; s.forget() }, faults{check.WrongText: 1, check.Phantom: 1}},
		{"another chat's text is stored", func(s *story) {
			s.logs[0][4].hash = elsewhere
			s.forget()
		}, faults{check.WrongText: 1, check.Foreign: 1}},
		{"two messages are stored in each other's place", func(s *story) {
			s.logs[0][3].hash, s.logs[0][4].hash = s.logs[0][4].hash, s.logs[0][3].hash
			s.forget()
		}, faults{check.Misplaced: 2}},
		{"the wrong index is acknowledged", func(s *story) { s.send(6).Index = 7 }, faults{check.Misplaced: 1}},

		{"an index is left out", func(s *story) { s.logs[0][5].index = 7; s.send(6).Index = 7; s.forget() }, faults{check.Gap: 1}},
		{"the first index is left out", func(s *story) { s.logs[1][0].index = 2; s.ledgers[1].Sends[2].Index = 2 }, faults{check.Gap: 1}},
		{"the log shows a message twice", func(s *story) { s.logs[0] = slices.Insert(s.logs[0], 5, s.logs[0][4]) }, faults{check.Disorder: 1}},
		{"the log shows an index with two texts", func(s *story) {
			s.logs[0] = slices.Insert(s.logs[0], 5, entry{5, stranger})
		}, faults{check.TwoTexts: 1}},
		{"an index is acknowledged twice, both are stored", func(s *story) { s.send(6).Index = 5 }, faults{check.TwoTexts: 1}},
		{"an index is acknowledged twice, one is stored", func(s *story) {
			s.send(6).Index = 5
			s.logs[0] = s.logs[0][:5]
			s.forget()
		}, faults{check.TwoTexts: 1}},
		{"an index is acknowledged twice, none is stored", func(s *story) {
			s.send(6).Index = 5
			s.logs[0] = s.logs[0][:4]
			s.forget()
		}, faults{check.TwoTexts: 1, check.Lost: 1}},

		{"a send that began after an acknowledgement has a smaller index", func(s *story) {
			s.send(5).Began, s.send(5).Ended = 66, 70
		}, faults{check.Inverted: 1}},
		{"a read showed a message before its send began", func(s *story) { s.send(6).Began, s.send(6).Ended = 106, 107 }, faults{check.Inverted: 1}},
		{"so with a message that was not acknowledged", func(s *story) { s.send(3).Began = 39 }, faults{check.Inverted: 1}},

		{"a read lacks an acknowledged message", func(s *story) { s.read(56, 58, 4, 4, 4) }, faults{check.Stale: 1}},
		{"a read shows an empty chat, though there is an acknowledged message", func(s *story) { s.read(56, 58, 0, 0, 0) }, faults{check.Stale: 1}},
		{"a read lacks what a read before it has shown", func(s *story) { s.read(39, 40, 1, 2, 2) }, faults{check.Stale: 1}},

		{"what a read showed is not in the log", func(s *story) { s.late().Digest++ }, faults{check.Changed: 1}},
		{"what a read showed is removed", func(s *story) {
			s.logs[0] = s.logs[0][:5]
			s.send(6).Outcome = check.Unknown
		}, faults{check.Vanished: 1}},
		{"a read showed far more than there is, before most was sent", func(s *story) {
			s.ledgers[1].Reads[2] = check.Read{Began: 12, Ended: 13, Low: 50, High: 50, End: -1}
		}, faults{check.Vanished: 1}},
		{"all that a read showed is removed", func(s *story) {
			s.logs[1] = nil
			s.ledgers[1].Sends[2].Outcome = check.Unknown
			s.ledgers[1].Reads[2] = check.Read{Began: 50, Ended: 51, Low: 1, High: 1, End: 1, Chat: 1}
		}, faults{check.Vanished: 1}},

		{"an acknowledged message is stored again", func(s *story) { s.append(0, 102) }, faults{check.Duplicate: 1}},
		{"an acknowledged message is stored twice more", func(s *story) { s.append(0, 102); s.append(0, 102) }, faults{check.Duplicate: 2}},
		{"a message without an answer is stored twice", func(s *story) { s.append(0, unanswered) }, faults{check.Duplicate: 1}},
		{"a misplaced message is stored again", func(s *story) {
			s.send(6).Index = 8
			s.append(0, 106)
		}, faults{check.Misplaced: 1, check.Duplicate: 1}},
		{"a refused message is stored", func(s *story) { s.append(0, refused) }, faults{check.StoredRefused: 1}},
		{"a refused message is stored twice", func(s *story) {
			s.append(0, refused)
			s.append(0, refused)
		}, faults{check.StoredRefused: 1, check.Duplicate: 1}},
		{"a text that nobody sent is stored", func(s *story) { s.append(2, stranger) }, faults{check.Phantom: 1}},
		{"a text is stored in another chat as well", func(s *story) { s.append(2, 101) }, faults{check.Foreign: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := calm()
			c.mutate(s)
			v := s.judge(t)
			if !maps.Equal(v.Faults, c.want) {
				t.Errorf("faults %v, want %v:\n%s", v.Faults, c.want, strings.Join(v.Examples, "\n"))
			}
			for rule := range c.want {
				if !slices.ContainsFunc(v.Examples, func(e string) bool { return strings.HasPrefix(e, string(rule)+": chat ") }) {
					t.Errorf("no example of %q in %q", rule, v.Examples)
				}
			}
		})
	}
}

// What overlaps may have happened in either order, and what is not known is no
// fault.
func TestWhatMayBeIsNoFault(t *testing.T) {
	for _, c := range []struct {
		name   string
		mutate func(s *story)
	}{
		{"a send that began when another with a greater index ended", func(s *story) { s.forget(); s.send(5).Began, s.send(5).Ended = 65, 70 }},
		{"a send that began when a read that showed it ended", func(s *story) { s.send(6).Began, s.send(6).Ended = 105, 107 }},
		{"so one without an answer", func(s *story) { s.send(3).Began = 38 }},
		{"a read that began when a message that it lacks was acknowledged", func(s *story) { s.read(55, 58, 4, 4, 4) }},
		{"a read that began when a read of more ended", func(s *story) { s.read(38, 40, 1, 2, 2) }},
		{"a read that claims nothing of the newest messages", func(s *story) { s.read(100, 105, 1, 2, -1) }},
		{"an empty read from beyond the newest", func(s *story) { s.read(100, 105, 0, 0, 6) }},
		{"an empty read that claims nothing", func(s *story) { s.read(100, 105, 0, 0, -1) }},
		{"an unanswered send that is stored long after it began", func(s *story) { s.append(0, never) }},
		{"a stranger's text, where not all sends are known", func(s *story) { s.options.Partial = true; s.append(0, stranger) }},
		{"an index left out, where indexes need only rise", func(s *story) {
			s.options.Dense = false
			s.logs[0][5].index, s.send(6).Index = 1000, 1000
			s.late().High, s.late().End, s.late().Digest = 1000, 1000, s.digest(0, 4, 1000)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := calm()
			c.mutate(s)
			if v := s.judge(t); !v.OK() {
				t.Errorf("faults %v:\n%s", v.Faults, strings.Join(v.Examples, "\n"))
			}
		})
	}
}

// A read of indexes that only rise must have shown all that lie between its ends.
func TestAReadOfSparseIndexesLacksOneInTheMiddle(t *testing.T) {
	s := calm()
	s.options.Dense = false
	for i := range s.logs[0] {
		s.logs[0][i].index *= 1000
	}
	for i := range s.ledgers[0].Sends {
		s.ledgers[0].Sends[i].Index *= 1000
	}
	s.ledgers[1].Reads = nil
	s.read(100, 105, 2000, 6000, 6000)
	if v := s.judge(t); !v.OK() {
		t.Fatalf("a whole read: %q", v.Examples)
	}
	s.ledgers[1].Reads[0].Digest -= check.Digest(4000, 104)
	if v := s.judge(t); !maps.Equal(v.Faults, faults{check.Changed: 1}) {
		t.Errorf("faults %v: %q", v.Faults, v.Examples)
	}
}

// An example is a line to act on: it names the chat, the times, what was expected
// and what was found.
func TestAnExampleTellsWhatIsWrong(t *testing.T) {
	s := calm()
	s.logs[0] = s.logs[0][:5]
	s.forget()
	s.send(6).Ended = 1_500_000_000
	v := s.judge(t)
	want := []string{"lost: chat 0: text 000000000000006a was acknowledged at 1.500000s with index 6, which is not in the log; it goes to 5"}
	if !slices.Equal(v.Examples, want) {
		t.Errorf("%q, want %q", v.Examples, want)
	}
}

// Of a million faults the first few of each rule are told, and those of one rule
// leave room for the others, whichever workers find them.
func TestExamplesAreFewAndOfEveryRule(t *testing.T) {
	const chats = 500
	var before []string
	for _, workers := range []int{1, 2, 7} {
		s := &story{options: check.Options{Chats: chats, Dense: true, Workers: workers}}
		for chat := range chats {
			s.logs = append(s.logs, []entry{{2, uint64(1000 + chat)}, {1, 1}})
		}
		s.ledgers = []check.Ledger{{
			Sends: []check.Send{{Chat: chats - 1, Index: 5, Hash: 5, Outcome: check.Acked}},
			Reads: []check.Read{{Chat: chats - 2, Low: 3, High: 3, End: -1}},
		}}
		v := s.judge(t)
		want := faults{check.Gap: chats, check.Disorder: chats, check.Phantom: chats, check.Lost: 1, check.Vanished: 1}
		if !maps.Equal(v.Faults, want) {
			t.Errorf("faults %v, want %v", v.Faults, want)
		}
		if len(v.Examples) != 14 || !strings.Contains(v.Examples[0], "chat 0:") {
			t.Errorf("%d examples: %s", len(v.Examples), strings.Join(v.Examples, "\n"))
		}
		if before != nil && !slices.Equal(v.Examples, before) {
			t.Errorf("%d workers tell of\n%s\nand one of\n%s", workers, strings.Join(v.Examples, "\n"), strings.Join(before, "\n"))
		}
		before = v.Examples
	}
}
