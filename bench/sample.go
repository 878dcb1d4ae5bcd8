package bench

import (
	"sync/atomic"

	"throng/bench/check"
)

// sample is which chats are verified: all of them, until the ledgers are full;
// then every other one, and so on. A chat is verified whole or not at all, since
// half of its history proves nothing.
type sample struct {
	off   bool // nothing is verified
	quota int  // entries of one session's ledger
	bits  atomic.Uint32
}

func (s *sample) init(c *Config) {
	s.off = !c.Verify
	s.quota = max(1, c.LedgerEntries/(c.Connections+fillConnections))
}

// has reports whether a chat is verified.
func (s *sample) has(chat uint32) bool {
	// Chats are picked by ordinal with some rule of popularity: mix before choosing.
	h, bits := uint64(chat)*0x9e3779b97f4a7c15, s.bits.Load()
	return !s.off && bits < maxSampleBits && h>>40&(1<<bits-1) == 0
}

// maxSampleBits is where halving ends and nothing is verified any more.
const maxSampleBits = 24

// halve leaves every other chat out, unless another session just did.
func (s *sample) halve(bits uint32) {
	if bits < maxSampleBits {
		s.bits.CompareAndSwap(bits, bits+1)
	}
}

// admits reports whether an operation on a chat goes into the ledger. Its caller
// holds mu.
func (s *session) admits(chat uint32) bool {
	sample := &s.crew.sample
	if !sample.has(chat) {
		return false
	}
	for s.ledger.entries >= sample.quota {
		bits := sample.bits.Load()
		if bits == maxSampleBits {
			return false
		}
		if bits == s.sampled {
			sample.halve(bits)
		}
		s.compact()
	}
	return sample.has(chat)
}

// compact drops the chats that are not verified any more. Requests in flight find
// their entries again.
func (s *session) compact() {
	s.sampled = s.crew.sample.bits.Load()
	before := s.ledger.parts
	s.ledger = ledger{}
	next := s.flights.head
	for _, part := range before {
		for i := range part.Sends {
			old := &part.Sends[i]
			var kept *check.Send
			if s.crew.sample.has(old.Chat) {
				kept = s.ledger.send(*old)
			}
			// The flights that have an entry are in the ledger's order.
			for next < s.flights.tail && s.flights.at(next).entry == nil {
				next++
			}
			if next < s.flights.tail && s.flights.at(next).entry == old {
				s.flights.at(next).entry = kept
				next++
			}
		}
		for _, read := range part.Reads {
			if s.crew.sample.has(read.Chat) {
				s.ledger.read(read)
			}
		}
	}
}
