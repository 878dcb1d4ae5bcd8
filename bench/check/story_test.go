package check_test

import (
	"slices"
	"testing"

	"throng/bench/check"
)

// entry is a message of a log.
type entry struct {
	index int64
	hash  uint64
}

// story is what happened, as far as a checker is told.
type story struct {
	options check.Options
	ledgers []check.Ledger
	logs    [][]entry // by chat
}

// log reads the story's logs back.
func (s *story) log(chat int, after int64, visit func(int64, uint64) error) error {
	for _, e := range s.logs[chat] {
		if e.index <= after {
			continue
		}
		if err := visit(e.index, e.hash); err != nil {
			return err
		}
	}
	return nil
}

// judge checks a story in one round.
func (s *story) judge(t testing.TB) check.Verdict {
	t.Helper()
	v, err := check.New(s.options).Check(t.Context(), s.ledgers, s.log)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newest is the newest index of a chat, 0 where it is empty.
func (s *story) newest(chat int) int64 {
	if log := s.logs[chat]; len(log) > 0 {
		return log[len(log)-1].index
	}
	return 0
}

// digest is that of a range of a chat's log.
func (s *story) digest(chat int, low, high int64) (digest uint64) {
	for _, e := range s.logs[chat] {
		if low <= e.index && e.index <= high {
			digest += check.Digest(e.index, e.hash)
		}
	}
	return digest
}

// append puts a text at a chat's end.
func (s *story) append(chat int, hash uint64) {
	s.logs[chat] = append(s.logs[chat], entry{s.newest(chat) + 1, hash})
}

// The texts of the calm story.
const (
	unanswered = 103 // stands at index 3
	never      = 108 // unanswered too, and nowhere
	refused    = 109
	elsewhere  = 201 // in chat 1
	stranger   = 999
)

// calm is a story without faults. In chat 0 the messages 1 to 6 were sent one after
// the other, the i-th from 10*i to 10*i+5, with text 100+i; all but the third were
// answered. One read showed the first three while the fourth was not yet begun,
// another the last three when all was over.
func calm() *story {
	s := &story{
		options: check.Options{Chats: 3, Dense: true, Workers: 2},
		logs:    [][]entry{{}, {{1, elsewhere}}, {}},
	}
	var sends []check.Send
	for i := int64(1); i <= 6; i++ {
		hash := uint64(100 + i)
		s.append(0, hash)
		send := check.Send{Began: 10 * i, Ended: 10*i + 5, Index: i, Hash: hash, Outcome: check.Acked}
		if hash == unanswered {
			send.Ended, send.Index, send.Outcome = 0, 0, check.Unknown
		}
		sends = append(sends, send)
	}
	s.ledgers = []check.Ledger{
		{Sends: sends},
		{
			Sends: []check.Send{
				{Began: 20, Hash: never, Outcome: check.Unknown},
				{Began: 30, Ended: 31, Hash: refused, Outcome: check.Refused},
				{Began: 40, Ended: 41, Hash: elsewhere, Index: 1, Chat: 1, Outcome: check.Acked},
			},
			Reads: []check.Read{
				{Began: 36, Ended: 38, Low: 1, High: 3, Digest: s.digest(0, 1, 3), End: 3},
				{Began: 100, Ended: 105, Low: 4, High: 6, Digest: s.digest(0, 4, 6), End: 6},
				{Began: 100, Ended: 105, Chat: 2},
			},
		},
	}
	return s
}

// send returns chat 0's send of the i-th message.
func (s *story) send(i int) *check.Send { return &s.ledgers[0].Sends[i-1] }

// late is the read of chat 0 when all was over.
func (s *story) late() *check.Read { return &s.ledgers[1].Reads[1] }

// read adds a read of chat 0 that shows a range of the log.
func (s *story) read(began, ended, low, high, end int64) {
	s.ledgers[1].Reads = append(s.ledgers[1].Reads, check.Read{
		Began: began, Ended: ended, Low: low, High: high, Digest: s.digest(0, low, high), End: end,
	})
}

// forget takes the late read back.
func (s *story) forget() { s.ledgers[1].Reads = slices.Delete(s.ledgers[1].Reads, 1, 2) }
