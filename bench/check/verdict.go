package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Rule names what a server promises, by the fault that breaks it. Its text is
// stable: reports count by it.
type Rule string

// The rules.
const (
	Lost      Rule = "lost"        // an acknowledged message is not in the log
	WrongText Rule = "wrong text"  // at an acknowledged message's index stands another text, and its own nowhere
	Misplaced Rule = "wrong place" // an acknowledged message stands at another index than was acknowledged

	Gap      Rule = "gap"       // the log leaves an index out
	Disorder Rule = "disorder"  // the log's indexes do not rise
	TwoTexts Rule = "two texts" // one index was given to two messages
	Inverted Rule = "inverted"  // a message has no higher index than one that was there before its send began

	Stale    Rule = "stale read" // a read lacks a message that was there before it began
	Vanished Rule = "vanished"   // a read showed an index that the log does not reach; or the log is shorter than it was
	Changed  Rule = "changed"    // what a read showed is not what the log holds there; or the log is not what it was

	Duplicate     Rule = "duplicate"      // a text is in the log more than once
	StoredRefused Rule = "stored refused" // a refused message is in the log
	Phantom       Rule = "phantom"        // the log holds a text that nobody sent
	Foreign       Rule = "foreign"        // the log holds a text that was sent to another chat
)

// Examples are few: a server that fails does so in one way a million times.
const (
	maxExamples  = 20
	maxOfOneRule = 4
)

// Verdict is what a check found.
type Verdict struct {
	Sends    int64 // intents
	Acked    int64 // of them, acknowledged
	Unknown  int64 // of them, without an answer
	Found    int64 // sends without an answer, of this round or earlier ones, that were in the log
	Reads    int64 // held against the history
	Clipped  int64 // of them, reaching back into earlier rounds: the texts they showed were not compared
	Messages int64 // read back
	Chats    int   // read back
	Faults   map[Rule]int64
	Examples []string // faults, a line each: of each rule the first, then of each the second …, at most 20
}

// OK reports whether the server kept its promises.
func (v *Verdict) OK() bool { return len(v.Faults) == 0 }

// Total is the number of faults.
func (v *Verdict) Total() (n int64) {
	for _, of := range v.Faults {
		n += of
	}
	return n
}

// Add adds another round's verdict: all is summed up but the chats, which are the
// same. A message that is read back again counts again.
func (v *Verdict) Add(later Verdict) {
	v.Sends += later.Sends
	v.Acked += later.Acked
	v.Unknown += later.Unknown
	v.Found += later.Found
	v.Reads += later.Reads
	v.Clipped += later.Clipped
	v.Messages += later.Messages
	v.Chats = max(v.Chats, later.Chats)
	for rule, n := range later.Faults {
		if v.Faults == nil {
			v.Faults = map[Rule]int64{}
		}
		v.Faults[rule] += n
	}
	room := max(maxExamples-len(v.Examples), 0)
	v.Examples = append(v.Examples, later.Examples[:min(room, len(later.Examples))]...)
}

// tally is a verdict in the making. Its examples are, of each rule, the first
// faults by chat: whichever workers find them.
type tally struct {
	Verdict
	examples map[Rule][]example
}

type example struct {
	chat int
	text string
}

func newTally() *tally {
	return &tally{Verdict: Verdict{Faults: map[Rule]int64{}}, examples: map[Rule][]example{}}
}

// fault counts a fault, and keeps its description where there is room. Those of one
// rule must come by rising chat.
func (t *tally) fault(chat int, rule Rule, format string, args ...any) {
	t.Faults[rule]++
	if len(t.examples[rule]) < maxOfOneRule {
		text := fmt.Sprintf("%s: chat %d: %s", rule, chat, fmt.Sprintf(format, args...))
		t.examples[rule] = append(t.examples[rule], example{chat, text})
	}
}

// merge adds another worker's findings: the lowest chats' examples stay.
func (t *tally) merge(other *tally) {
	t.Add(other.Verdict)
	for rule, more := range other.examples {
		all := slices.Concat(t.examples[rule], more)
		slices.SortStableFunc(all, func(a, b example) int { return cmp.Compare(a.chat, b.chat) })
		t.examples[rule] = all[:min(len(all), maxOfOneRule)]
	}
}

// verdict ends the tally.
func (t *tally) verdict() Verdict {
	v := t.Verdict
	if len(v.Faults) == 0 {
		v.Faults = nil
	}
	rules := slices.Sorted(maps.Keys(t.examples))
	for nth := range maxOfOneRule {
		for _, rule := range rules {
			if list := t.examples[rule]; nth < len(list) && len(v.Examples) < maxExamples {
				v.Examples = append(v.Examples, list[nth].text)
			}
		}
	}
	return v
}

// seconds writes a time down.
func seconds(at int64) string { return fmt.Sprintf("%.6fs", float64(at)/1e9) }
