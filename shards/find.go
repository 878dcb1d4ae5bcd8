package shards

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// Find is one FindChats on its way through all shards: every shard contributes
// a snapshot of what is durable there, and the reader of the last one merges
// them. All the batches that carry it point to the same Find.
type Find struct {
	User  uuid.UUID
	After int64 // chat ids above it
	Count int   // at most so many chats

	missing atomic.Int32 // shards that have not contributed
	abandon atomic.Bool
	parts   chan *pebble.Snapshot // one of each shard
}

// NewFind returns a Find to be submitted to all of the given number of shards.
func NewFind(user uuid.UUID, after int64, count, shards int) *Find {
	f := &Find{User: user, After: after, Count: count, parts: make(chan *pebble.Snapshot, shards)}
	f.missing.Store(int32(shards))
	return f
}

// contribute takes a shard's snapshot over and reports whether it was the last
// one, whose batch carries the answer.
func (f *Find) contribute(part *pebble.Snapshot) bool {
	f.parts <- part
	return f.missing.Add(-1) == 0
}

// Abandon notes, instead of a contribution, that a shard did not take the Find.
// It reports whether it was the last one: nobody else answers then.
func (f *Find) Abandon() bool {
	f.abandon.Store(true)
	last := f.missing.Add(-1) == 0
	if last {
		f.close()
	}
	return last
}

func (f *Find) refused() bool { return f.abandon.Load() }

// close lets the snapshots go.
func (f *Find) close() {
	for len(f.parts) > 0 {
		part := <-f.parts
		_ = part.Close() // cannot fail but for a second close
	}
}

// walk opens an iterator over the user's chats in every snapshot.
func (f *Find) walk() (*userWalks, error) {
	walks := &userWalks{}
	for range len(f.parts) {
		part := <-f.parts
		f.parts <- part
		it, err := part.NewIter(&pebble.IterOptions{
			LowerBound: userKey(f.User, f.After+1),
			UpperBound: userKey(f.User, -1), // all ones: above every chat id
		})
		if err != nil {
			walks.close()
			return nil, fmt.Errorf("walk a user's chats: %w", err)
		}
		it.First()
		walks.list = append(walks.list, userWalk{part, it})
	}
	return walks, nil
}

// userWalks merges the chats of one user over the shards.
type userWalks struct {
	list []userWalk
}

type userWalk struct {
	part *pebble.Snapshot
	it   *pebble.Iterator
}

// next returns the lowest chat id left and the snapshot that it is in.
func (w *userWalks) next() (chat int64, from *pebble.Snapshot, ok bool) {
	lowest := -1
	for i, walk := range w.list {
		if !walk.it.Valid() {
			continue
		}
		if id := userChat(walk.it.Key()); lowest < 0 || id < chat {
			lowest, chat = i, id
		}
	}
	if lowest < 0 {
		return 0, nil, false
	}
	w.list[lowest].it.Next()
	return chat, w.list[lowest].part, true
}

func (w *userWalks) failure() error {
	var faults []error
	for _, walk := range w.list {
		faults = append(faults, walk.it.Error())
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("walk a user's chats: %w", err)
	}
	return nil
}

func (w *userWalks) close() {
	for _, walk := range w.list {
		_ = walk.it.Close() // what it found wrong, failure has told
	}
}
