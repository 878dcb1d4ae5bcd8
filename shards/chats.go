package shards

import (
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"throng/codec"
)

// chats is the state of a shard: which chats there are, who is in them, and how
// far each has come. It is a cache of what the store holds, ahead of it by the
// drain that is being applied.
type chats struct {
	store   chatStore
	chats   *Recent[int64, *chat]
	members *Recent[memberID, struct{}]
	refs    *refCache
}

// chat is one chat as its writer knows it.
type chat struct {
	chatRecord
	id       int64
	last     int64 // index of the newest message; 0: none
	lastTime int64 // its time, Unix milliseconds
}

type memberID struct {
	chat int64
	user uuid.UUID
}

// What an entry of each cache costs, with names of common length; measured
// roughly, to divide a shard's memory.
const (
	chatBytes   = 400
	memberBytes = 100
	refBytes    = 120
)

func newChats(db *database, memory int64) *chats {
	third := memory / 3
	return &chats{
		store:   chatStore{db},
		chats:   NewRecent[int64, *chat](int(third / chatBytes)),
		members: NewRecent[memberID, struct{}](int(third / memberBytes)),
		refs:    newRefCache(int(third / refBytes)),
	}
}

func (s *chats) trim() {
	s.chats.Trim()
	s.members.Trim()
	s.refs.trim()
}

func (s *chats) reset() {
	s.chats.Reset()
	s.members.Reset()
	s.refs.reset()
}

func (s *chats) apply(op *Op, w *pebble.Batch) error {
	switch op.Kind {
	case Send:
		return s.send(op, w)
	case GetChat, Receive:
		return s.read(op)
	case Join:
		return s.join(op, w)
	case Create:
		return s.create(op, w)
	case FindChats:
		return nil // publish takes the snapshot, a reader does the rest
	}
	panic("shards: not an operation of a shard")
}

func (s *chats) send(op *Op, w *pebble.Batch) error {
	c, err := s.chatFor(op)
	if c == nil || err != nil {
		return err
	}
	var known *refs
	key := refKey{}
	if len(op.Ref) > 0 {
		if known, err = s.refsOf(c); err != nil {
			return err
		}
		key = s.refs.key(op.User, op.Ref)
		if index, ok := known.find(key, c.last); ok {
			op.Answer = Answer{Status: OK, Index: index}
			return nil
		}
	}
	m := message{time: max(op.Time, c.lastTime), sender: op.User, ref: op.Ref, text: op.Text}
	if err := s.store.putMessage(w, c.id, c.last+1, &m); err != nil {
		return err
	}
	c.last++
	c.lastTime = m.time
	if known != nil {
		s.refs.add(known, key, c.last)
	}
	op.Answer = Answer{Status: OK, Index: c.last}
	return nil
}

// read checks that the user may read the chat and fixes the window; a reader
// does the rest. The window ends at the last message there is now: durable once
// this drain is committed, which comes before any reader sees the operation.
func (s *chats) read(op *Op) error {
	c, err := s.chatFor(op)
	if c == nil || err != nil {
		return err
	}
	if op.Kind == GetChat {
		op.from, op.to = windowBack(op.Index, op.Count, c.last)
	} else {
		op.from, op.to = windowForth(op.Index, op.Count, c.last)
	}
	return nil
}

func (s *chats) join(op *Op, w *pebble.Batch) error {
	c, err := s.chat(op.Chat)
	if err != nil {
		return err
	}
	if c == nil {
		op.Answer.Status = NoChat
		return nil
	}
	member, err := s.isMember(c.id, op.User)
	if err != nil {
		return err
	}
	switch {
	case member:
		op.Answer.Status = OK
		return nil
	case !c.group:
		op.Answer.Status = NoChat
		return nil
	}
	record := c.chatRecord
	record.members++
	if err := s.addMember(w, c.id, Member{op.User, op.Name}); err != nil {
		return err
	}
	if err := s.store.putChat(w, c.id, &record); err != nil {
		return err
	}
	c.chatRecord = record
	op.Answer.Status = OK
	return nil
}

func (s *chats) create(op *Op, w *pebble.Batch) error {
	c, err := s.chat(op.Chat)
	if err != nil {
		return err
	}
	if c != nil {
		return s.found(op, c)
	}
	c = &chat{id: op.Chat, chatRecord: chatRecord{
		group:   op.Group,
		members: int64(len(op.Members)),
		name:    append(codec.Text(nil), op.Name...),
	}}
	for _, m := range op.Members {
		if err := s.addMember(w, c.id, m); err != nil {
			return err
		}
	}
	if err := s.store.putChat(w, c.id, &c.chatRecord); err != nil {
		return err
	}
	s.chats.Put(c.id, c)
	op.Answer = Answer{Status: OK, Index: c.id}
	return nil
}

// found answers a Create whose id has a chat: the pair that was asked for, or
// another chat.
func (s *chats) found(op *Op, c *chat) error {
	op.Answer = Answer{Status: OK, Index: c.id}
	if c.group || op.Group {
		op.Answer = Answer{Status: Collision}
	}
	for _, m := range op.Members {
		member, err := s.isMember(c.id, m.ID)
		if err != nil {
			return err
		}
		if !member {
			op.Answer = Answer{Status: Collision}
		}
	}
	return nil
}

func (s *chats) addMember(w *pebble.Batch, chat int64, m Member) error {
	if err := s.store.putMember(w, chat, m); err != nil {
		return err
	}
	s.members.Put(memberID{chat, m.ID}, struct{}{})
	return nil
}

// chatFor returns op's chat where op's user is a member of it; else it answers
// op and returns nil.
func (s *chats) chatFor(op *Op) (*chat, error) {
	c, err := s.chat(op.Chat)
	if err != nil {
		return nil, err
	}
	if c != nil {
		member, err := s.isMember(op.Chat, op.User)
		if err != nil {
			return nil, err
		}
		if member {
			return c, nil
		}
	}
	op.Answer.Status = NoChat
	return nil, nil
}

// chat returns a chat, nil where there is none.
func (s *chats) chat(id int64) (*chat, error) {
	if c, ok := s.chats.Get(id); ok {
		return c, nil
	}
	c, err := s.store.loadChat(id)
	if c != nil {
		s.chats.Put(id, c)
	}
	return c, err
}

func (s *chats) isMember(chat int64, user uuid.UUID) (bool, error) {
	id := memberID{chat, user}
	if _, ok := s.members.Get(id); ok {
		return true, nil
	}
	member, err := s.store.isMember(chat, user)
	if member {
		s.members.Put(id, struct{}{})
	}
	return member, err
}

// refsOf returns the refs of the chat's last messages. What the store does not
// show yet, the messages of this drain, has none: the first that had one would
// have loaded them.
func (s *chats) refsOf(c *chat) (*refs, error) {
	if r, ok := s.refs.get(c.id); ok {
		return r, nil
	}
	r := newRefs()
	err := s.store.since(c.id, max(1, c.last-refWindow+1), func(index int64, m *message) {
		if len(m.ref) > 0 {
			s.refs.add(r, s.refs.key(m.sender, m.ref), index)
		}
	})
	if err != nil {
		return nil, err
	}
	s.refs.put(c.id, r)
	return r, nil
}

// windowBack returns the indexes from … to that GetChat shows, where last is the
// newest there is: count of them, ending at index. An index past the newest
// reads as the newest; -1 is the newest, -n the n-th newest; 0, and -n beyond
// the first, give an empty window (from > to).
func windowBack(index int64, count int, last int64) (from, to int64) {
	switch {
	case index == 0:
		return 1, 0
	case index < 0:
		to = last + 1 + index // last ≥ 0: no overflow, not for MinInt64 either
	default:
		to = min(index, last)
	}
	if to < 1 {
		return 1, 0
	}
	return max(1, to-int64(count)+1), to
}

// windowForth returns the indexes that Receive shows: count of them from index
// on, where 0 reads as 1 and past the newest is empty; or, with -n, the count
// that end at the n-th newest, where -n beyond the first reads as the first.
func windowForth(index int64, count int, last int64) (from, to int64) {
	if last == 0 {
		return 1, 0
	}
	if index < 0 {
		to = max(1, last+1+index)
		return max(1, to-int64(count)+1), to
	}
	from = max(1, index)
	if from > last {
		return 1, 0
	}
	return from, min(last, from+int64(count)-1)
}

// refWindow is how many of a chat's last messages a ref is remembered for.
const refWindow = 1000

// refKey stands for a sender and its ref: two keyed 64-bit hashes, so that no
// client can make two of them meet.
type refKey [2]uint64

// refs is the refs among one chat's last refWindow messages.
type refs struct {
	index map[refKey]int64
	order []refEntry // by rising index; what left the window is cut off now and then
}

type refEntry struct {
	key   refKey
	index int64
}

func newRefs() *refs { return &refs{index: make(map[refKey]int64)} }

// find returns the index of the message with this key, if it is among the last
// refWindow up to last.
func (r *refs) find(key refKey, last int64) (int64, bool) {
	index, ok := r.index[key]
	return index, ok && index > last-refWindow
}

func (r *refs) add(key refKey, index int64) {
	for len(r.order) > 0 && r.order[0].index <= index-refWindow {
		if old := r.order[0]; r.index[old.key] == old.index {
			delete(r.index, old.key)
		}
		r.order = r.order[1:]
	}
	r.index[key] = index
	r.order = append(r.order, refEntry{key, index})
}

// refCache holds the refs of the chats where refs are in use, bounded by the
// number of refs, not of chats.
type refCache struct {
	chats *Recent[int64, *refs]
	max   int // refs added before the old generation is dropped
	added int
	seeds [2]maphash.Seed
}

func newRefCache(maxRefs int) *refCache {
	return &refCache{
		chats: NewRecent[int64, *refs](maxRefs),
		max:   max(1, maxRefs/2),
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
}

func (c *refCache) key(sender uuid.UUID, ref codec.Text) (k refKey) {
	for i, seed := range c.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		h.Write(sender[:])
		h.Write(ref)
		k[i] = h.Sum64()
	}
	return k
}

// get counts refs that come up from the old generation once more: a chat in use
// takes them along into every new one.
func (c *refCache) get(chat int64) (*refs, bool) {
	if r, ok := c.chats.young[chat]; ok {
		return r, true
	}
	r, ok := c.chats.Get(chat)
	if ok {
		c.added += len(r.order)
	}
	return r, ok
}

func (c *refCache) put(chat int64, r *refs) { c.chats.Put(chat, r) }

func (c *refCache) add(r *refs, key refKey, index int64) {
	r.add(key, index)
	c.added++
}

func (c *refCache) trim() {
	c.chats.Trim()
	if c.added >= c.max {
		c.chats.rotate()
		c.added = 0
	}
}

func (c *refCache) reset() {
	c.chats.Reset()
	c.added = 0
}
