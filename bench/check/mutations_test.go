package check_test

import (
	"slices"

	"throng/bench/check"
)

// mutation breaks one promise in a story; false where there is nothing to break.
type mutation struct {
	name  string
	rule  check.Rule
	apply func(s *story, draw draws) bool
}

func mutations() []mutation {
	return []mutation{
		{"an acknowledged message is removed", check.Lost, func(s *story, draw draws) bool {
			send := s.pick(draw, check.Acked)
			if send == nil {
				return false
			}
			at := s.at(send)
			s.logs[send.Chat] = slices.Delete(s.logs[send.Chat], at, at+1)
			return true
		}},
		{"an acknowledged message has another text", check.WrongText, func(s *story, draw draws) bool {
			send := s.pick(draw, check.Acked)
			if send == nil {
				return false
			}
			s.logs[send.Chat][s.at(send)].hash = stranger << 32
			return true
		}},
		{"two acknowledged messages are swapped", check.Misplaced, func(s *story, draw draws) bool {
			a, b := s.pair(draw)
			if a == nil {
				return false
			}
			log := s.logs[a.Chat]
			log[s.at(a)].hash, log[s.at(b)].hash = b.Hash, a.Hash
			return true
		}},
		{"an index is acknowledged twice", check.TwoTexts, func(s *story, draw draws) bool {
			a, b := s.pair(draw)
			if a == nil {
				return false
			}
			a.Index = b.Index
			return true
		}},
		{"the log shows an index with two texts", check.TwoTexts, func(s *story, draw draws) bool {
			chat := draw(len(s.logs))
			if len(s.logs[chat]) == 0 {
				return false
			}
			at := draw(len(s.logs[chat]))
			s.logs[chat] = append(s.logs[chat], entry{s.logs[chat][at].index, stranger << 32})
			return true
		}},
		{"the log shows a message again", check.Disorder, func(s *story, draw draws) bool {
			chat := draw(len(s.logs))
			if len(s.logs[chat]) == 0 {
				return false
			}
			s.logs[chat] = append(s.logs[chat], s.logs[chat][draw(len(s.logs[chat]))])
			return true
		}},
		{"an index is left out", check.Gap, func(s *story, draw draws) bool {
			if !s.options.Dense {
				return false
			}
			chat := draw(len(s.logs))
			s.logs[chat] = append(s.logs[chat], entry{s.newest(chat) + 2, stranger << 32})
			return true
		}},
		{"a message is overtaken by a later one", check.Inverted, func(s *story, draw draws) bool {
			a, b := s.pair(draw)
			if a == nil {
				return false
			}
			first, last := a, b
			if a.Index > b.Index {
				first, last = b, a
			}
			first.Began = last.Ended + 1
			first.Ended = first.Began + 1
			return true
		}},
		{"a read lacks an acknowledged message", check.Stale, func(s *story, draw draws) bool {
			send := s.pick(draw, check.Acked)
			if send == nil {
				return false
			}
			s.ledgers[0].Reads = append(s.ledgers[0].Reads, check.Read{
				Chat: send.Chat, Began: send.Ended + 1, Ended: send.Ended + 2, End: send.Index - 1,
			})
			return true
		}},
		{"a read lacks what an earlier one has shown", check.Stale, func(s *story, draw draws) bool {
			r := s.shown(draw)
			if r == nil {
				return false
			}
			s.ledgers[0].Reads = append(s.ledgers[0].Reads, check.Read{
				Chat: r.Chat, Began: r.Ended + 1, Ended: r.Ended + 2, End: r.High - 1,
			})
			return true
		}},
		{"a read has shown another text", check.Changed, func(s *story, draw draws) bool {
			r := s.shown(draw)
			if r == nil {
				return false
			}
			r.Digest += check.Digest(r.High, stranger) - check.Digest(r.High, s.logs[r.Chat][s.atIndex(r.Chat, r.High)].hash)
			return true
		}},
		{"a read has shown what is not there any more", check.Vanished, func(s *story, draw draws) bool {
			chat := draw(len(s.logs))
			next := s.newest(chat) + 1
			s.ledgers[0].Reads = append(s.ledgers[0].Reads, check.Read{Chat: uint32(chat), Low: next, High: next, End: -1})
			return true
		}},
		{"a stored message is stored again", check.Duplicate, func(s *story, draw draws) bool {
			chat := draw(len(s.logs))
			if len(s.logs[chat]) == 0 {
				return false
			}
			s.append(chat, s.logs[chat][draw(len(s.logs[chat]))].hash)
			return true
		}},
		{"a refused message is stored", check.StoredRefused, func(s *story, draw draws) bool {
			send := s.pick(draw, check.Refused)
			if send == nil {
				return false
			}
			s.append(int(send.Chat), send.Hash)
			return true
		}},
		{"a text that nobody sent is stored", check.Phantom, func(s *story, draw draws) bool {
			s.append(draw(len(s.logs)), stranger<<32)
			return true
		}},
		{"a text is stored in another chat", check.Foreign, func(s *story, draw draws) bool {
			send := s.pick(draw, check.Acked)
			if send == nil || len(s.logs) == 1 {
				return false
			}
			s.append((int(send.Chat)+1)%len(s.logs), send.Hash)
			return true
		}},
	}
}

// pick chooses a send with an outcome, nil where there is none.
func (s *story) pick(draw draws, outcome check.Outcome) *check.Send {
	var list []*check.Send
	for l := range s.ledgers {
		for i := range s.ledgers[l].Sends {
			if send := &s.ledgers[l].Sends[i]; send.Outcome == outcome {
				list = append(list, send)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[draw(len(list))]
}

// pair chooses two acknowledged sends to one chat, nil where there are none.
func (s *story) pair(draw draws) (a, b *check.Send) {
	if a = s.pick(draw, check.Acked); a == nil {
		return nil, nil
	}
	for l := range s.ledgers {
		for i := range s.ledgers[l].Sends {
			if b = &s.ledgers[l].Sends[i]; b != a && b.Outcome == check.Acked && b.Chat == a.Chat {
				return a, b
			}
		}
	}
	return nil, nil
}

// shown chooses a read that shows something, nil where there is none.
func (s *story) shown(draw draws) *check.Read {
	var list []*check.Read
	for l := range s.ledgers {
		for i := range s.ledgers[l].Reads {
			if r := &s.ledgers[l].Reads[i]; r.High > 0 {
				list = append(list, r)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[draw(len(list))]
}

// at is where an acknowledged message stands in its log.
func (s *story) at(send *check.Send) int { return s.atIndex(send.Chat, send.Index) }

func (s *story) atIndex(chat uint32, index int64) int {
	return slices.IndexFunc(s.logs[chat], func(e entry) bool { return e.index == index })
}
