package shards

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"
)

// Find is one FindChats on its way through all shards: every shard contributes
// what can be read there, and a reader of the last one merges them. All the
// batches that carry it point to the same Find.
type Find struct {
	User  uuid.UUID
	After int64 // chat ids above it
	Count int   // at most so many chats

	missing atomic.Int32 // shards that have not contributed
	abandon atomic.Bool
	parts   chan view // one of each shard
}

// NewFind returns a Find to be submitted to all of the given number of shards.
func NewFind(user uuid.UUID, after int64, count, shards int) *Find {
	f := &Find{User: user, After: after, Count: count, parts: make(chan view, shards)}
	f.missing.Store(int32(shards))
	return f
}

// contribute takes what can be read in a shard and reports whether it was the last
// one, whose batch carries the answer.
func (f *Find) contribute(part view) bool {
	f.parts <- part
	return f.missing.Add(-1) == 0
}

// Abandon notes, instead of a contribution, that a shard did not take the Find.
// It reports whether it was the last one: nobody else answers then.
func (f *Find) Abandon() bool {
	f.abandon.Store(true)
	return f.missing.Add(-1) == 0
}

func (f *Find) refused() bool { return f.abandon.Load() }

// walk opens a walk over the user's chats in every shard.
func (f *Find) walk() (merged, error) {
	var m merged
	for range len(f.parts) {
		part := <-f.parts
		chats, err := part.chatsOf(f.User, f.After)
		if err != nil {
			m.close()
			return nil, err
		}
		m = append(m, oneShard{part, chats})
	}
	return m, nil
}

// merged walks the chats of one user over all shards, by rising id.
type merged []oneShard

type oneShard struct {
	part  view
	chats userChats
}

// next returns the lowest chat id left and the view that it is in.
func (m merged) next() (chat int64, in view, ok bool) {
	lowest := -1
	for i, shard := range m {
		if id, more := shard.chats.id(); more && (lowest < 0 || id < chat) {
			lowest, chat = i, id
		}
	}
	if lowest < 0 {
		return 0, view{}, false
	}
	m[lowest].chats.next()
	return chat, m[lowest].part, true
}

func (m merged) failure() error {
	var faults []error
	for _, shard := range m {
		faults = append(faults, shard.chats.failure())
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("walk a user's chats: %w", err)
	}
	return nil
}

func (m merged) close() {
	for _, shard := range m {
		shard.chats.close()
	}
}
