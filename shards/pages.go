package shards

import (
	"hash/maphash"
	"slices"
	"sync"
)

// pages remembers replies to reads that come again and again: of a chat that a crowd
// follows, everyone asks for the same newest messages. A message never changes once it
// is durable, nor does the name of its sender, so that the reply to a window is the
// same for ever and nothing in here is ever out of date.
//
// A window is remembered when it is asked for a second time: what is read once costs
// no more than a look. The readers and the writer of a shard share one; it is safe for concurrent use.
type pages struct {
	mu      sync.Mutex
	replies *Recent[pageID, []byte]
	seed    maphash.Seed
	asked   [askedWindows]uint64 // hashes of windows that were asked for of late, at their place
}

// pageID says what a read asks for: messages from … to of a chat.
type pageID struct {
	chat, from, to int64
	kind           Kind // GetChat and Receive show them in another form
}

func pageOf(op *Op) pageID { return pageID{op.Chat, op.from, op.to, op.Kind} }

const (
	// askedWindows is how many windows pages knows to have been asked for before.
	askedWindows = 4096
	// maxPage is the largest reply that is remembered; to build a larger one is little
	// beside what it costs to send it.
	maxPage = 64 << 10 // bytes
	// pageBytes is what a reply costs beside its own bytes, map and rounding included.
	pageBytes = 200
)

func newPages(memory int64) *pages {
	return &pages{replies: NewRecent[pageID, []byte](memory), seed: maphash.MakeSeed()}
}

// look returns the reply to a window where it is remembered, as get does, and does not
// take the question for one that may come again.
func (p *pages) look(id pageID) (reply []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reply, _ = p.replies.Get(id)
	return reply
}

// get returns the reply to a window, framed, which nobody may write to; nil: it is not
// remembered. Then again reports whether it is worth remembering.
func (p *pages) get(id pageID) (reply []byte, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reply, ok := p.replies.Get(id); ok {
		return reply, false
	}
	hash := maphash.Comparable(p.seed, id)
	place := &p.asked[hash%askedWindows]
	again = *place == hash
	*place = hash
	return nil, again
}

// put remembers a copy of the reply to a window.
func (p *pages) put(id pageID, reply []byte) {
	if len(reply) > maxPage {
		return
	}
	reply = slices.Clone(reply)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replies.Put(id, reply, pageBytes+int64(len(reply)))
	p.replies.Trim()
}
