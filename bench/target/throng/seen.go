package throng

import "throng/bench/target"

const (
	// seenPages is how many pages are remembered.
	seenPages = 4096
	// maxSeen is how many messages a remembered page has at most.
	maxSeen = 128
)

// seen remembers what answers to reads said. Where many ask for the newest messages of a
// chat, the same answer comes again and again, byte for byte, and to take it apart each
// time costs the generator more than the server spends on it. An answer is known again
// by its length and 64 bits of xxHash over all of it, which is what a text is known by.
// It belongs to one loop.
type seen struct {
	pages [seenPages]seenPage // each at the place that its hash gives
}

type seenPage struct {
	hash     uint64
	bytes    int // of the answer; 0: none
	messages []target.Message
}

// at returns where an answer is remembered, or is to be, and whether it is.
func (s *seen) at(body []byte) (p *seenPage, known bool) {
	hash := target.Hash(body)
	p = &s.pages[hash%seenPages]
	if p.bytes > 0 && p.bytes == len(body) && p.hash == hash {
		return p, true
	}
	p.hash, p.bytes, p.messages = hash, 0, p.messages[:0]
	return p, false
}

// remember notes what the answer said for whose body at returned p.
func (p *seenPage) remember(body []byte, messages []target.Message) {
	if len(messages) <= maxSeen {
		p.bytes, p.messages = len(body), append(p.messages, messages...)
	}
}
