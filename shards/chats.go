package shards

import (
	"slices"

	"github.com/google/uuid"

	"throng/codec"
)

// chats is the state of a shard: which chats there are, who is in them, and how
// far each has come. It is a cache of what the store holds, ahead of it by the
// drain that is being applied.
type chats struct {
	store   view
	chats   *Recent[int64, *chat]
	members *Recent[memberID, struct{}]
	refs    map[string]int64 // of the messages of this drain, by their keys
	missed  int
}

// chat is one chat as its writer knows it.
type chat struct {
	id       int64
	record   *chatRecord // nil: not needed yet
	last     int64       // index of the newest message; 0: none
	lastTime int64       // its time, Unix milliseconds

	// known are members that were asked about or came, at most maxKnown; those
	// of a larger chat are in chats.members besides.
	known []uuid.UUID
}

type memberID struct {
	chat int64
	user uuid.UUID
}

// What an entry of each cache costs beside names, in bytes, maps included.
const (
	chatBytes   = 140
	recordBytes = 80
	knownBytes  = 24
	memberBytes = 100
)

// maxKnown is how many members are looked for one after the other, which is faster
// than a map, and takes a quarter of its memory.
const maxKnown = 32

// refWindow is how many of a chat's last messages a ref is remembered for.
const refWindow = 1000

func newChats(store view, memory int64) *chats {
	return &chats{
		store:   store,
		chats:   NewRecent[int64, *chat](memory * 3 / 4),
		members: NewRecent[memberID, struct{}](memory / 4),
		refs:    make(map[string]int64),
	}
}

func (s *chats) misses() int { return s.missed }

func (s *chats) trim() {
	s.chats.Trim()
	s.members.Trim()
	clear(s.refs)
	s.missed = 0
}

func (s *chats) reset() {
	s.chats.Reset()
	s.members.Reset()
	clear(s.refs)
	s.missed = 0
}

func (s *chats) apply(op *Op, w *writes) error {
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
		return nil // a reader of the last shard does it
	}
	panic("shards: not an operation of a shard")
}

func (s *chats) send(op *Op, w *writes) error {
	c, err := s.chatFor(op)
	if c == nil || err != nil {
		return err
	}
	if len(op.Ref) > 0 {
		return s.sendOnce(c, op, w)
	}
	s.append(c, op, w)
	return nil
}

// sendOnce is send for a message with a ref.
func (s *chats) sendOnce(c *chat, op *Op, w *writes) error {
	key := refKey(c.id, op.User, op.Ref)
	index, err := s.ref(key)
	if err != nil {
		return err
	}
	if index > 0 && index > c.last-refWindow {
		op.Answer = Answer{Status: OK, Index: index}
		return nil
	}
	s.append(c, op, w)
	s.refs[string(key)] = c.last
	return w.ref(key, c.last)
}

func (s *chats) append(c *chat, op *Op, w *writes) {
	m := message{time: max(op.Time, c.lastTime), sender: op.User, text: op.Text}
	w.message(c.id, c.last+1, &m)
	c.last++
	c.lastTime = m.time
	op.Answer = Answer{Status: OK, Index: c.last}
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

func (s *chats) join(op *Op, w *writes) error {
	c, err := s.recorded(op.Chat)
	if err != nil {
		return err
	}
	if c == nil {
		op.Answer.Status = NoChat
		return nil
	}
	member, err := s.isMember(c, op.User)
	if err != nil {
		return err
	}
	switch {
	case member:
		op.Answer.Status = OK
		return nil
	case !c.record.group:
		op.Answer.Status = NoChat
		return nil
	}
	record := *c.record
	record.members++
	if err := w.member(c.id, Member{op.User, op.Name}); err != nil {
		return err
	}
	if err := w.chat(c.id, &record); err != nil {
		return err
	}
	*c.record = record
	s.know(c, op.User)
	op.Answer.Status = OK
	return nil
}

func (s *chats) create(op *Op, w *writes) error {
	c, err := s.recorded(op.Chat)
	if err != nil {
		return err
	}
	if c != nil {
		return s.found(op, c)
	}
	c = &chat{id: op.Chat, record: &chatRecord{
		group:   op.Group,
		members: int64(len(op.Members)),
		name:    append(codec.Text(nil), op.Name...),
	}}
	for _, m := range op.Members {
		if err := w.member(c.id, m); err != nil {
			return err
		}
	}
	if err := w.chat(c.id, c.record); err != nil {
		return err
	}
	s.remember(c)
	for _, m := range op.Members {
		s.know(c, m.ID)
	}
	op.Answer = Answer{Status: OK, Index: c.id}
	return nil
}

// found answers a Create whose id has a chat: the pair that was asked for, or
// another chat.
func (s *chats) found(op *Op, c *chat) error {
	op.Answer = Answer{Status: OK, Index: c.id}
	if c.record.group || op.Group {
		op.Answer = Answer{Status: Collision}
	}
	for _, m := range op.Members {
		member, err := s.isMember(c, m.ID)
		if err != nil {
			return err
		}
		if !member {
			op.Answer = Answer{Status: Collision}
		}
	}
	return nil
}

// chatFor returns op's chat where op's user is a member of it; else it answers
// op and returns nil.
func (s *chats) chatFor(op *Op) (c *chat, err error) {
	c, cached := s.chats.Get(op.Chat)
	if !cached {
		return s.loadFor(op)
	}
	member, err := s.isMember(c, op.User)
	if err != nil {
		return nil, err
	}
	if !member {
		op.Answer.Status = NoChat
		return nil, nil
	}
	return c, nil
}

// loadFor is chatFor for a chat that is not cached. That it is there, its member shows.
func (s *chats) loadFor(op *Op) (*chat, error) {
	s.missed++
	member, err := s.store.isMember(op.Chat, op.User)
	if err != nil {
		return nil, err
	}
	if !member {
		op.Answer.Status = NoChat
		return nil, nil
	}
	c, err := s.load(op.Chat)
	if err != nil {
		return nil, err
	}
	s.know(c, op.User)
	return c, nil
}

// recorded returns a chat with its record, nil where there is none.
func (s *chats) recorded(id int64) (*chat, error) {
	c, cached := s.chats.Get(id)
	if cached && c.record != nil {
		return c, nil
	}
	s.missed++
	record, err := s.store.chatRecord(id)
	if record == nil || err != nil {
		return nil, err
	}
	if !cached {
		if c, err = s.load(id); err != nil {
			return nil, err
		}
	}
	c.record = record
	s.remember(c)
	return c, nil
}

// load finds what a chat's newest message is.
func (s *chats) load(id int64) (*chat, error) {
	s.missed++
	c := &chat{id: id}
	var err error
	c.last, c.lastTime, err = s.store.newest(id)
	return c, err
}

func (s *chats) remember(c *chat) {
	bytes := chatBytes + knownBytes*len(c.known)
	if c.record != nil {
		bytes += recordBytes + len(c.record.name)
	}
	s.chats.Put(c.id, c, int64(bytes))
}

func (s *chats) isMember(c *chat, user uuid.UUID) (bool, error) {
	if slices.Contains(c.known, user) {
		return true, nil
	}
	if len(c.known) == maxKnown {
		if _, ok := s.members.Get(memberID{c.id, user}); ok {
			return true, nil
		}
	}
	s.missed++
	member, err := s.store.isMember(c.id, user)
	if member {
		s.know(c, user)
	}
	return member, err
}

// know remembers a member of c.
func (s *chats) know(c *chat, user uuid.UUID) {
	if len(c.known) == maxKnown {
		s.members.Put(memberID{c.id, user}, struct{}{}, memberBytes)
		return
	}
	c.known = append(c.known, user)
	s.remember(c)
}

// ref returns the index of the last message with this ref; 0: none.
func (s *chats) ref(key []byte) (int64, error) {
	if index, ok := s.refs[string(key)]; ok {
		return index, nil
	}
	s.missed++
	return s.store.ref(key)
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
