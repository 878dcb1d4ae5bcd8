package check_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"throng/bench/check"
)

// rounds is the calm story's checker after its round, and the story, which can go
// on: its ledgers are empty again, its logs what they were.
func rounds(t *testing.T) (*check.Checker, *story) {
	t.Helper()
	s := calm()
	c := check.New(s.options)
	v, err := c.Check(t.Context(), s.ledgers, s.log)
	if err != nil || !v.OK() {
		t.Fatalf("the first round: %v, %q", err, v.Examples)
	}
	s.ledgers = make([]check.Ledger, 2)
	return c, s
}

// say adds an acknowledged send to chat 0, the next message of its log.
func (s *story) say(began int64, hash uint64) {
	s.append(0, hash)
	s.ledgers[0].Sends = append(s.ledgers[0].Sends, check.Send{
		Began: began, Ended: began + 5, Index: s.newest(0), Hash: hash, Outcome: check.Acked,
	})
}

func TestALaterRoundReadsOnlyWhatIsNew(t *testing.T) {
	c, s := rounds(t)
	s.say(200, 107)
	after := map[int]int64{}
	s.options.Workers = 1
	v, err := c.Check(t.Context(), s.ledgers, func(chat int, from int64, visit func(int64, uint64) error) error {
		if chat == 0 {
			after[chat] = from
		}
		return s.log(chat, from, visit)
	})
	if err != nil || !v.OK() || v.Messages != 1 || v.Sends != 1 || after[0] != 6 {
		t.Errorf("%v, %+v, read after %v", err, v, after)
	}
}

func TestFaultsOfLaterRounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		goOn  func(s *story)
		round faults // found by Check
		final faults // found by Final instead
	}{
		{"nothing happens", func(*story) {}, faults{}, faults{}},
		{"a message more", func(s *story) { s.say(200, 107) }, faults{}, faults{}},
		{"an unanswered send of the first round turns up", func(s *story) { s.append(0, never) }, faults{}, faults{}},
		{"it turns up twice", func(s *story) {
			s.append(0, never)
			s.append(0, never)
		}, faults{check.Duplicate: 1}, faults{check.Duplicate: 1}},
		{"an old message is stored again", func(s *story) { s.append(0, 102) }, faults{check.Phantom: 1}, faults{check.Phantom: 1}},
		{"an index is left out between the rounds", func(s *story) {
			s.logs[0] = append(s.logs[0], entry{8, 107})
			s.ledgers[0].Sends = []check.Send{{Began: 200, Ended: 205, Index: 8, Hash: 107, Outcome: check.Acked}}
		}, faults{check.Gap: 1}, faults{check.Gap: 1}},
		{"an index of the first round is given again", func(s *story) {
			s.ledgers[0].Sends = []check.Send{{Began: 200, Ended: 205, Index: 4, Hash: 107, Outcome: check.Acked}}
		}, faults{check.TwoTexts: 1}, faults{check.TwoTexts: 1}},
		{"a new message is lost", func(s *story) { s.say(200, 107); s.logs[0] = s.logs[0][:6] }, faults{check.Lost: 1}, faults{check.Lost: 1}},
		{
			"a read lacks a message of the first round", func(s *story) { s.read(200, 205, 1, 5, 5) },
			faults{check.Stale: 1},
			faults{check.Stale: 1},
		},
		{"a read reaches back, and shows what is there", func(s *story) { s.say(200, 107); s.read(210, 211, 2, 7, 7) }, faults{}, faults{}},
		{"a read reaches back, and shows what is not there", func(s *story) {
			s.read(200, 205, 2, 6, 6)
			s.ledgers[1].Reads[0].Digest++
		}, faults{}, faults{check.Changed: 1}},
		{"an old message changes", func(s *story) { s.logs[0][1].hash = stranger }, faults{}, faults{check.Changed: 1}},
		{"an old message changes under a read", func(s *story) { s.read(200, 205, 3, 6, 6); s.logs[0][1].hash = stranger }, faults{}, faults{check.Changed: 1}},
		{"the log is cut off", func(s *story) { s.logs[0] = s.logs[0][:4] }, faults{}, faults{check.Vanished: 1}},
		{"a whole chat is gone", func(s *story) { s.logs[1] = nil }, faults{}, faults{check.Vanished: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, want := range map[string]faults{"round": c.round, "final": c.final} {
				checker, s := rounds(t)
				c.goOn(s)
				check := checker.Check
				if name == "final" {
					check = checker.Final
				}
				v, err := check(t.Context(), s.ledgers, s.log)
				if err != nil || !maps.Equal(v.Faults, want) {
					t.Errorf("%s: %v, faults %v, want %v:\n%s", name, err, v.Faults, want, strings.Join(v.Examples, "\n"))
				}
			}
		})
	}
}

// Of a read that reaches below what a round has read back, the verdict says that
// it was not compared; the final round compares it.
func TestAClippedReadIsCounted(t *testing.T) {
	c, s := rounds(t)
	s.read(200, 205, 2, 6, 6)
	v, err := c.Check(t.Context(), s.ledgers, s.log)
	if err != nil || v.Clipped != 1 || v.Reads != 1 {
		t.Errorf("%v, %d of %d reads clipped, want 1 of 1", err, v.Clipped, v.Reads)
	}
	v, err = c.Final(t.Context(), s.ledgers, s.log)
	if err != nil || v.Clipped != 0 || v.Reads != 1 {
		t.Errorf("final: %v, %d of %d reads clipped, want 0 of 1", err, v.Clipped, v.Reads)
	}
}

// A send without an answer that has turned up is not looked for again.
func TestALingeringSendIsFoundOnce(t *testing.T) {
	c, s := rounds(t)
	s.append(0, never)
	v, err := c.Check(t.Context(), nil, s.log)
	if err != nil || v.Found != 1 || v.Unknown != 0 || v.Sends != 0 {
		t.Fatalf("%v, %+v: want it found, and counted as no send of this round", err, v)
	}
	s.append(0, never)
	v, err = c.Check(t.Context(), nil, s.log)
	if err != nil || !maps.Equal(v.Faults, faults{check.Phantom: 1}) {
		t.Errorf("again: %v, faults %v", err, v.Faults)
	}
}

// A check that could not be made can be made again.
func TestAnErrorLeavesTheCheckerAsItWas(t *testing.T) {
	c, s := rounds(t)
	s.say(200, 107)
	broken := errors.New("broken")
	_, err := c.Check(t.Context(), s.ledgers, func(chat int, after int64, visit func(int64, uint64) error) error {
		if chat == 2 {
			return broken
		}
		return s.log(chat, after, visit)
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "chat 2") {
		t.Fatalf("error %v, want %q and its chat", err, broken)
	}
	if v, err := c.Check(t.Context(), s.ledgers, s.log); err != nil || !v.OK() || v.Messages != 1 {
		t.Errorf("again: %v, %+v", err, v)
	}
}

func TestACheckEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := check.New(check.Options{Chats: 1, Dense: true})
	_, err := c.Check(ctx, nil, func(_ int, _ int64, visit func(int64, uint64) error) error {
		cancel()
		for i := int64(1); ; i++ { // a log without end
			if err := visit(i, uint64(i)); err != nil {
				return err
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestLedgersThatCannotBeAreTheCallersFault(t *testing.T) {
	acked := check.Send{Index: 1, Hash: 101, Outcome: check.Acked}
	for name, ledger := range map[string]check.Ledger{
		"a send to no chat":       {Sends: []check.Send{{Chat: 1}}},
		"a read of no chat":       {Reads: []check.Read{{Chat: 1}}},
		"two sends of one text":   {Sends: []check.Send{acked, acked}},
		"an outcome that is none": {Sends: []check.Send{{Outcome: 9}}},
	} {
		s := &story{options: check.Options{Chats: 1, Dense: true}, logs: [][]entry{{{1, 101}}}}
		if _, err := check.New(s.options).Check(t.Context(), []check.Ledger{ledger}, s.log); !errors.Is(err, check.ErrLedger) {
			t.Errorf("%s: error %v, want %v", name, err, check.ErrLedger)
		}
	}
}

func TestVerdictsOfRoundsAddUp(t *testing.T) {
	a := check.Verdict{Sends: 1, Acked: 1, Reads: 2, Messages: 3, Chats: 5, Faults: faults{check.Lost: 1}, Examples: []string{"a"}}
	b := check.Verdict{Sends: 4, Unknown: 2, Found: 1, Clipped: 1, Messages: 3, Chats: 5, Faults: faults{check.Lost: 2, check.Gap: 1}, Examples: make([]string, 30)}
	var sum check.Verdict
	sum.Add(a)
	sum.Add(b)
	if sum.Sends != 5 || sum.Acked != 1 || sum.Unknown != 2 || sum.Found != 1 || sum.Reads != 2 || sum.Clipped != 1 ||
		sum.Messages != 6 || sum.Chats != 5 || len(sum.Examples) != 20 || sum.OK() || sum.Total() != 4 {
		t.Errorf("%+v", sum)
	}
}
