package bench

import (
	"testing"

	"throng/bench/check"
)

// A full ledger halves the chats that are verified. Of those that stay nothing is
// lost, of the others nothing is left, and requests in flight find their entries
// again.
func TestSampleHalvesByWholeChats(t *testing.T) {
	const chats, perChat, quota = 64, 40, 600
	c := &crew{population: &population{}}
	c.sample.quota = quota
	s := &session{crew: c}
	sent := map[uint32]int{}
	for n := range chats * perChat {
		chat := uint32(n % chats)
		f := flight{chat: chat}
		if s.admits(chat) {
			f.entry = s.ledger.send(check.Send{Chat: chat, Hash: uint64(n)})
		}
		sent[chat]++
		s.flights.push(f)
		if s.flights.len() > 10 {
			f := s.flights.pop()
			if f.entry != nil {
				if f.entry.Chat != f.chat {
					t.Fatalf("a request to chat %d has the entry of chat %d", f.chat, f.entry.Chat)
				}
				f.entry.Outcome = check.Acked
			}
		}
	}
	if s.ledger.entries > quota {
		t.Errorf("%d entries, the quota is %d", s.ledger.entries, quota)
	}
	entries, owed := map[uint32]int{}, 0
	for _, part := range s.ledger.parts {
		for _, e := range part.Sends {
			entries[e.Chat]++
			if e.Outcome != check.Acked {
				owed++
			}
		}
	}
	verified := 0
	for chat := range uint32(chats) {
		want := 0
		if c.sample.has(chat) {
			want = sent[chat]
			verified++
		}
		if entries[chat] != want {
			t.Errorf("chat %d has %d entries, want %d", chat, entries[chat], want)
		}
	}
	if verified == 0 || verified == chats || owed > s.flights.len() {
		t.Errorf("%d chats verified, %d entries without an answer, %d in flight", verified, owed, s.flights.len())
	}
}

// One chat that alone is too much for the ledger is not verified at all, rather
// than by half.
func TestSampleGivesUpOnOneChatThatIsTooLarge(t *testing.T) {
	c := &crew{population: &population{}}
	c.sample.quota = 10
	s := &session{crew: c}
	for range 100 {
		if s.admits(0) {
			s.ledger.send(check.Send{})
		}
	}
	if c.sample.has(0) || s.ledger.entries > 0 {
		t.Errorf("verified %v with %d entries", c.sample.has(0), s.ledger.entries)
	}
}
