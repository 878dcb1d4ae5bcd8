package check_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"throng/bench/check"
	"throng/bench/target"
)

// draws chooses a number from 0 to n-1.
type draws func(n int) int

// simulation is a server that keeps its promises, and its clients, in one thread:
// operations begin, take effect and end in any order that there can be. It writes
// the story down.
type simulation struct {
	story
	draw    draws
	now     int64
	texts   uint64
	flights []flight
}

// flight is an operation that has begun and not ended, by its place in the ledgers.
type flight struct {
	session, at int
	read        bool
	done        bool // it has taken effect
	index       int64
}

func simulate(options check.Options, sessions int, draw draws) *simulation {
	return &simulation{
		story: story{options: options, ledgers: make([]check.Ledger, sessions), logs: make([][]entry, options.Chats)},
		draw:  draw,
	}
}

// run lets a number of things happen, and then all that is in flight end.
func (s *simulation) run(steps int) {
	for range steps {
		s.now += int64(s.draw(2)) // or in the same moment
		if n := len(s.flights); n < 2 || n < 8 && s.draw(3) == 0 {
			s.begin()
		} else {
			s.step(s.draw(n))
		}
	}
	for len(s.flights) > 0 {
		s.step(0)
	}
	s.now++
}

// forget begins a new round.
func (s *simulation) forget() { s.ledgers = make([]check.Ledger, len(s.ledgers)) }

func (s *simulation) begin() {
	f := flight{session: s.draw(len(s.ledgers)), read: s.draw(3) == 0}
	chat := uint32(s.draw(len(s.logs)))
	l := &s.ledgers[f.session]
	if f.read {
		f.at = len(l.Reads)
		l.Reads = append(l.Reads, check.Read{Chat: chat, Began: s.now, End: -1})
	} else {
		f.at = len(l.Sends)
		s.texts++
		l.Sends = append(l.Sends, check.Send{Chat: chat, Began: s.now, Hash: s.texts})
	}
	s.flights = append(s.flights, f)
}

// step moves an operation on: it takes effect, or ends.
func (s *simulation) step(i int) {
	f := &s.flights[i]
	switch {
	case f.done && f.read:
		s.ledgers[f.session].Reads[f.at].Ended = s.now
	case f.done:
		s.answer(f)
	case f.read:
		s.show(&s.ledgers[f.session].Reads[f.at])
	default:
		s.store(f)
	}
	if f.done {
		s.flights = slices.Delete(s.flights, i, i+1)
		return
	}
	f.done = true
}

// store carries a send out; now and then it is refused, index 0.
func (s *simulation) store(f *flight) {
	send := s.ledgers[f.session].Sends[f.at]
	if s.draw(8) == 0 {
		return
	}
	f.index = s.newest(int(send.Chat)) + 1
	if !s.options.Dense {
		f.index += int64(s.draw(5))
	}
	s.logs[send.Chat] = append(s.logs[send.Chat], entry{f.index, send.Hash})
}

// answer ends a send, or its connection does, stored or not.
func (s *simulation) answer(f *flight) {
	send := &s.ledgers[f.session].Sends[f.at]
	switch {
	case s.draw(8) == 0: // Unknown
	case f.index == 0:
		send.Ended, send.Outcome = s.now, check.Refused
	default:
		send.Ended, send.Outcome, send.Index = s.now, check.Acked, f.index
	}
}

// show carries a read out.
func (s *simulation) show(r *check.Read) {
	log := s.logs[r.Chat]
	p := check.Page{Forward: s.draw(2) == 0, Count: 1 + s.draw(5), Dense: s.options.Dense, Index: -1}
	if p.Forward {
		p.Index = int64(s.draw(len(log) + 2))
		from, _ := slices.BinarySearchFunc(log, p.Index, func(e entry, index int64) int { return cmp.Compare(e.index, index) })
		log = log[from:min(from+p.Count, len(log))]
	} else {
		log = slices.Clone(log[max(len(log)-p.Count, 0):])
		slices.Reverse(log)
	}
	var shown []target.Message
	for _, e := range log {
		shown = append(shown, target.Message{Index: e.index, Hash: e.hash})
	}
	read, fault := p.Read(shown)
	if fault != "" {
		panic("a right page is faulted: " + fault)
	}
	read.Chat, read.Began = r.Chat, r.Began
	*r = read
}

func drawsOf(t *rapid.T) draws {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "draw") }
}

func drawOptions(t *rapid.T) check.Options {
	return check.Options{
		Chats:   rapid.IntRange(1, 3).Draw(t, "chats"),
		Dense:   rapid.Bool().Draw(t, "dense"),
		Workers: rapid.IntRange(1, 2).Draw(t, "workers"),
	}
}

// A server that keeps its promises is never blamed, in however many rounds it is
// checked.
func TestNoRightHistoryIsAFault(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := simulate(drawOptions(t), rapid.IntRange(1, 4).Draw(t, "sessions"), drawsOf(t))
		c := check.New(s.options)
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			s.run(rapid.IntRange(0, 150).Draw(t, "steps"))
			mustBeClean(t, &s.story, c.Check)
			s.forget()
		}
		s.run(50)
		mustBeClean(t, &s.story, c.Final)
	})
}

func mustBeClean(t *rapid.T, s *story, judge func(ctx context.Context, ledgers []check.Ledger, log check.Log) (check.Verdict, error)) {
	t.Helper()
	v, err := judge(context.Background(), s.ledgers, s.log)
	if err != nil || !v.OK() || v.Sends != v.Acked+v.Unknown+count(s, check.Refused) {
		t.Fatalf("%v, %+v\n%+v\n%+v", err, v, s.ledgers, s.logs)
	}
}

func count(s *story, outcome check.Outcome) (n int64) {
	for _, l := range s.ledgers {
		for _, send := range l.Sends {
			if send.Outcome == outcome {
				n++
			}
		}
	}
	return n
}

// Whatever history there is, a fault in it is found.
func TestAFaultInAnyHistoryIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := simulate(drawOptions(t), rapid.IntRange(1, 4).Draw(t, "sessions"), drawsOf(t))
		s.run(rapid.IntRange(0, 200).Draw(t, "steps"))
		m := mutate(t, &s.story)
		v, err := check.New(s.options).Check(context.Background(), s.ledgers, s.log)
		if err != nil {
			t.Fatal(err)
		}
		if v.Faults[m.rule] == 0 {
			t.Fatalf("%s: faults %v, want %q\n%+v\n%+v", m.name, v.Faults, m.rule, s.ledgers, s.logs)
		}
	})
}

// mutate breaks a promise: one drawn, or the next that the story has room for.
func mutate(t *rapid.T, s *story) mutation {
	list := mutations()
	first := rapid.IntRange(0, len(list)-1).Draw(t, "mutation")
	for i := range list {
		if m := list[(first+i)%len(list)]; m.apply(s, drawsOf(t)) {
			return m
		}
	}
	t.Fatal("no story has room for no mutation: one of them only appends")
	return mutation{}
}

// A million sends of 64 sessions to 1000 chats, with a read to every second one.
func BenchmarkCheck(b *testing.B) {
	for name, chats := range map[string]int{"1000 chats": 1000, "1 chat": 1} {
		b.Run(name, func(b *testing.B) {
			s := million(chats)
			b.ReportAllocs()
			for b.Loop() {
				if v := s.judge(b); !v.OK() || v.Sends < 1e6 {
					b.Fatalf("%+v", v)
				}
			}
		})
	}
}

func million(chats int) *story {
	random := rand.New(rand.NewPCG(1, 2))
	s := simulate(check.Options{Chats: chats, Dense: true}, 64, random.IntN)
	for count := int64(0); count < 1e6; count = s.sends() {
		s.run(1_000_000)
	}
	return &s.story
}

func (s *simulation) sends() (n int64) {
	for _, l := range s.ledgers {
		n += int64(len(l.Sends))
	}
	return n
}
