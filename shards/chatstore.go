package shards

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// chatStore is the storage layout of a shard, and the seam behind which another
// may take its place: put into a batch of writes, load a chat, look a member
// up, walk messages. One key a message, as records.go draws them.
type chatStore struct {
	db *database
}

func (s chatStore) putMessage(w *pebble.Batch, chat, index int64, m *message) error {
	op := w.SetDeferred(messageKeyBytes, m.size())
	copy(op.Key, messageKey(chat, index))
	m.encode(op.Value)
	return op.Finish()
}

func (s chatStore) putChat(w *pebble.Batch, chat int64, c *chatRecord) error {
	return w.Set(chatKey(chat), c.encode(), nil)
}

func (s chatStore) putMember(w *pebble.Batch, chat int64, m Member) error {
	if err := w.Set(memberKey(chat, m.ID), encodeName(m.Name), nil); err != nil {
		return err
	}
	return w.Set(userKey(m.ID, chat), nil, nil)
}

func (s chatStore) isMember(chat int64, user uuid.UUID) (bool, error) {
	return get(s.db, memberKey(chat, user), func([]byte) error { return nil })
}

// loadChat returns a chat with its last index and time, nil where there is none.
func (s chatStore) loadChat(id int64) (*chat, error) {
	c := &chat{id: id}
	found, err := get(s.db, chatKey(id), c.decode)
	if !found {
		return nil, err
	}
	it, err := messageIter(s.db, id)
	if err != nil {
		return nil, err
	}
	defer it.close()
	c.last, c.lastTime, err = it.last()
	return c, err
}

// since calls use with the stored messages from index on, by rising index.
func (s chatStore) since(chat, index int64, use func(index int64, m *message)) error {
	it, err := messageIter(s.db, chat)
	if err != nil {
		return err
	}
	defer it.close()
	var m message
	for ok := it.SeekGE(messageKey(chat, index)); ok; ok = it.Next() {
		if err := it.decode(&m); err != nil {
			return err
		}
		use(messageIndex(it.Key()), &m)
	}
	return it.failure()
}

// loadRecord reads a chat's record, which must be there.
func loadRecord(from pebble.Reader, id int64, c *chatRecord) error {
	found, err := get(from, chatKey(id), c.decode)
	if err == nil && !found {
		err = fmt.Errorf("chat %d has members and no record", id)
	}
	return err
}

// messages walks the messages of a store.
type messages struct {
	*pebble.Iterator
}

// messageIter returns an iterator over one chat's messages.
func messageIter(from pebble.Reader, chat int64) (messages, error) {
	it, err := from.NewIter(&pebble.IterOptions{
		LowerBound: appendChat(nil, messagePrefix, chat),
		UpperBound: appendChat(nil, messagePrefix, chat+1),
	})
	if err != nil {
		return messages{}, fmt.Errorf("walk messages: %w", err)
	}
	return messages{it}, nil
}

// last returns the newest message's index and time; 0 where there is none.
func (it messages) last() (index, time int64, err error) {
	if !it.Last() {
		return 0, 0, it.failure()
	}
	var m message
	if err := it.decode(&m); err != nil {
		return 0, 0, err
	}
	return messageIndex(it.Key()), m.time, nil
}

// window calls use with the messages from … to of chat, by rising index, until
// it returns false. The message is valid during the call. Not to find every one
// of them is an error: a window lies within what is durable.
func (it messages) window(chat, from, to int64, use func(index int64, m *message) bool) error {
	it.SetBounds(messageKey(chat, from), messageKey(chat, to+1))
	var m message
	next := from
	for ok := it.First(); ok; ok = it.Next() {
		if err := it.expect(next, &m); err != nil {
			return err
		}
		if !use(next, &m) {
			return nil
		}
		next++
	}
	return it.complete(next == to+1)
}

// windowDown is window by falling index.
func (it messages) windowDown(chat, from, to int64, use func(index int64, m *message) bool) error {
	it.SetBounds(messageKey(chat, from), messageKey(chat, to+1))
	var m message
	next := to
	for ok := it.Last(); ok; ok = it.Prev() {
		if err := it.expect(next, &m); err != nil {
			return err
		}
		if !use(next, &m) {
			return nil
		}
		next--
	}
	return it.complete(next == from-1)
}

func (it messages) expect(index int64, m *message) error {
	if found := messageIndex(it.Key()); found != index {
		return fmt.Errorf("message %d is missing: %d stands in its place", index, found)
	}
	return it.decode(m)
}

func (it messages) complete(whole bool) error {
	if err := it.failure(); err != nil {
		return err
	}
	if !whole {
		return fmt.Errorf("messages are missing at the end of a window")
	}
	return nil
}

func (it messages) decode(m *message) error {
	value, err := it.ValueAndErr()
	if err == nil {
		err = m.decode(value)
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", messageIndex(it.Key()), err)
	}
	return nil
}

func (it messages) failure() error {
	if err := it.Error(); err != nil {
		return fmt.Errorf("walk messages: %w", err)
	}
	return nil
}

// close gives the iterator back; what it found wrong, failure has told.
func (it messages) close() { _ = it.Close() }
