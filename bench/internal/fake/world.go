package fake

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"throng/codec"
)

// recentRefs is how many of a chat's newest messages a ref is looked for in.
const recentRefs = 1000

// maxShownUsers is how many of a chat's members a list of chats shows.
const maxShownUsers = 1000

// world is what the server keeps.
type world struct {
	byToken map[int64]uuid.UUID
	users   map[uuid.UUID]*user
	chats   map[int64]*chat
	pairs   map[[2]uuid.UUID]int64
}

// user is a registered user.
type user struct {
	token int64
	name  codec.Text // empty: shown as its id
}

// chat is one chat. Where faults have struck, its log may have holes.
type chat struct {
	name    codec.Text
	group   bool
	members map[uuid.UUID]bool
	log     []message // by rising index
	last    int64     // the newest index given
}

type message struct {
	codec.Message
	ref codec.Text
}

func newWorld() world {
	return world{
		byToken: map[int64]uuid.UUID{}, users: map[uuid.UUID]*user{},
		chats: map[int64]*chat{}, pairs: map[[2]uuid.UUID]int64{},
	}
}

// who returns the id of a token's user; one that is not registered gets one.
func (w *world) who(token int64) uuid.UUID {
	if id, known := w.byToken[token]; known {
		return id
	}
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], uint64(token))
	return id
}

// register makes a user; false where the id or the token is in use.
func (w *world) register(id uuid.UUID, token int64, name codec.Text) bool {
	if w.users[id] != nil {
		return false
	}
	if _, used := w.byToken[token]; used {
		return false
	}
	w.users[id] = &user{token, bytes.Clone(name)}
	w.byToken[token] = id
	return true
}

// freeToken returns a token that nobody has.
func (w *world) freeToken() int64 {
	for {
		token := 1 + rand.Int64N(codec.MaxToken)
		if _, used := w.byToken[token]; !used {
			return token
		}
	}
}

// create makes a chat and returns its id.
func (w *world) create(name codec.Text, group bool, members map[uuid.UUID]bool) int64 {
	for {
		id := 1 + rand.Int64N(codec.MaxChat)
		if w.chats[id] == nil {
			w.chats[id] = &chat{name: bytes.Clone(name), group: group, members: members}
			return id
		}
	}
}

// seen returns a chat that a user is a member of, else nil.
func (w *world) seen(id int64, by uuid.UUID) *chat {
	if c := w.chats[id]; c != nil && c.members[by] {
		return c
	}
	return nil
}

// chatsOf returns the ids of a user's chats above after, by rising id.
func (w *world) chatsOf(user uuid.UUID, after int64) (ids []int64) {
	for id, c := range w.chats {
		if id > after && c.members[user] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// add appends a message and returns its index.
func (c *chat) add(sender uuid.UUID, name, text, ref codec.Text) int64 {
	now := time.Now().UnixMilli()
	if n := len(c.log); n > 0 {
		now = max(now, c.log[n-1].Time)
	}
	c.last++
	c.log = append(c.log, message{
		Message: codec.Message{Sender: sender, Name: bytes.Clone(name), Text: bytes.Clone(text), Index: c.last, Time: now},
		ref:     bytes.Clone(ref),
	})
	return c.last
}

// repeated returns the index of the message that a sender sent with a ref, 0 where
// there is none of late.
func (c *chat) repeated(sender uuid.UUID, ref codec.Text) int64 {
	if len(ref) == 0 {
		return 0
	}
	recent := c.log[max(len(c.log)-recentRefs, 0):]
	at := slices.IndexFunc(recent, func(m message) bool { return m.Sender == sender && bytes.Equal(m.ref, ref) })
	if at < 0 {
		return 0
	}
	return recent[at].Index
}

// find returns where in the log the first message is whose index is not below one.
func (c *chat) find(index int64) int {
	at, _ := slices.BinarySearchFunc(c.log, index, func(m message, index int64) int { return cmp.Compare(m.Index, index) })
	return at
}

// between returns the messages from one index to another.
func (c *chat) between(from, to int64) []message {
	if from > to {
		return nil
	}
	return c.log[c.find(from):c.find(to+1)]
}

// remove takes a message out; its index stays empty.
func (c *chat) remove(index int64) {
	at := c.find(index)
	c.log = slices.Delete(c.log, at, at+1)
}

// sortedMembers returns a chat's members by rising id.
func (c *chat) sortedMembers() []uuid.UUID {
	return slices.SortedFunc(maps.Keys(c.members), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

// backward is the window of service 3 in a chat whose newest index is last; from is
// above to where it is empty.
func backward(index int64, count int, last int64) (from, to int64) {
	to = min(index, last)
	if index < 0 {
		to = index + last + 1
	}
	if to < 1 {
		return 1, 0
	}
	return max(to-int64(count)+1, 1), to
}

// forward is the window of service 9.
func forward(index int64, count int, last int64) (from, to int64) {
	if index > last {
		return 1, 0
	}
	if index >= 0 {
		from = max(index, 1)
		return from, min(last, from-1+int64(count))
	}
	to = min(max(index+last+1, 1), last)
	return max(to-int64(count)+1, 1), to
}
