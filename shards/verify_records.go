package shards

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// records walks the records of one prefix in the order of their keys.
type records struct {
	iter *pebble.Iterator
	more bool
}

func (v view) records(prefix byte) (*records, error) {
	iter, err := v.from.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return nil, fmt.Errorf("read %q records: %w", prefix, err)
	}
	return &records{iter: iter, more: iter.First()}, nil
}

func (r *records) next() { r.more = r.iter.Next() }

// close returns what ended the walk before its time.
func (r *records) close() error { return errors.Join(r.iter.Error(), r.iter.Close()) }

// chat reads the chat out of a key of a prefix that sorts by chat.
func (r *records) chat() (id uint64, key []byte) {
	key = r.iter.Key()
	if len(key) < chatKeyBytes {
		return 0, nil
	}
	return binary.BigEndian.Uint64(key[1:]), key
}

// each calls check for all of a prefix.
func (v *verifier) each(from view, prefix byte, check func(key, value []byte)) error {
	r, err := from.records(prefix)
	if err != nil {
		return err
	}
	for ; r.more; r.next() {
		v.record()
		check(r.iter.Key(), r.iter.Value())
	}
	return r.close()
}

// of calls check for the records of one chat, and tells of those before it, whose
// chat there is not.
func (v *verifier) of(r *records, chat uint64, check func(key, value []byte)) {
	for ; r.more; r.next() {
		id, key := r.chat()
		if id > chat {
			return
		}
		v.record()
		if id < chat || key == nil {
			v.fault("a record %x is of no chat", r.iter.Key())
			continue
		}
		check(key, r.iter.Value())
	}
}

// checkAccounts has every account by token found by its id, under its name, and
// none else.
func (v *verifier) checkAccounts(db view) error {
	tokens, ids := int64(0), int64(0)
	err := v.each(db, tokenPrefix, func(key, value []byte) {
		tokens++
		u, err := decodeAccount(value)
		name, found, lookup := db.accountName(u.id)
		switch err := errors.Join(err, lookup); {
		case err != nil:
			v.fault("an account %x: %v", key, err)
		case !found || string(name) != string(u.name):
			v.fault("user %v has a token, but no account by id that agrees", u.id)
		}
	})
	if err != nil {
		return err
	}
	err = v.each(db, idPrefix, func(key, value []byte) {
		ids++
		if _, err := decodeName(value); err != nil || len(key) != 1+16 {
			v.fault("a user %x: %v", key, errRecord)
		}
	})
	if ids != tokens {
		v.fault("%d users by id, %d by token", ids, tokens)
	}
	v.report.Users = ids
	return err
}

// shardWalk is where the walks of a shard stand, side by side in order of the chats.
type shardWalk struct {
	db                   view
	chats, members, refs *records
	messages             *messages
}

func (w *shardWalk) open() (err error) {
	w.messages = w.db.messages()
	if w.chats, err = w.db.records(chatPrefix); err != nil {
		return err
	}
	if w.members, err = w.db.records(memberPrefix); err != nil {
		return err
	}
	w.refs, err = w.db.records(refPrefix)
	return err
}

// close returns what ended any of the walks before its time.
func (w *shardWalk) close() (err error) {
	w.messages.close()
	for _, walk := range []*records{w.chats, w.members, w.refs} {
		if walk != nil {
			err = errors.Join(err, walk.close())
		}
	}
	return err
}

// checkShard checks every chat, that each record belongs to one, and the users' index.
func (v *verifier) checkShard(db view) (err error) {
	w := &shardWalk{db: db}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(); err != nil {
		return err
	}
	for ; w.chats.more; w.chats.next() {
		v.record()
		v.checkChat(w)
	}
	if err := v.checkJournal(w); err != nil {
		return err
	}
	if err := v.checkFiled(w); err != nil {
		return err
	}
	for _, rest := range []*records{w.members, w.refs} {
		for ; rest.more; rest.next() {
			v.fault("a record %x is of no chat", rest.iter.Key())
		}
	}
	return v.each(db, userPrefix, func(key, _ []byte) {
		if len(key) != userKeyBytes {
			v.fault("a record %x of the users' index: %v", key, errRecord)
			return
		}
		user, chat := uuid.UUID(key[1:17]), userChat(key)
		if is, err := db.isMember(chat, user); err != nil || !is {
			v.fault("user %v has chat %d, which has no such member (%v)", user, chat, err)
		}
	})
}

func (v *verifier) checkChat(w *shardWalk) {
	number, key := w.chats.chat()
	id := int64(number)
	var c chatRecord
	if err := c.decode(w.chats.iter.Value()); err != nil || len(key) != chatKeyBytes {
		v.fault("chat %d: %v", id, errRecord)
	}
	v.report.Chats++
	if at := (&Store{config: v.config}).ShardOf(id); shardName(int(at)) != v.name {
		v.fault("chat %d belongs to %s", id, shardName(int(at)))
	}
	members := v.checkMembers(w, id)
	if members != c.members {
		v.fault("chat %d has %d members, its record says %d", id, members, c.members)
	}
	last := v.checkMessages(w, id)
	v.of(w.refs, number, func(key, value []byte) {
		v.report.Refs++
		index, err := decodeRef(value)
		if err != nil || len(key) < memberKeyBytes || index < 1 || index > last {
			v.fault("chat %d: a ref points at message %d of %d (%v)", id, index, last, err)
			return
		}
		v.checkRef(w.messages, id, index, uuid.UUID(key[chatKeyBytes:memberKeyBytes]))
	})
}

// checkJournal has every chat of which something is not filed exist.
func (v *verifier) checkJournal(w *shardWalk) error {
	for _, s := range w.messages.held.segments {
		for chat := range s.chats {
			c, err := w.db.chatRecord(chat)
			if err != nil {
				return err
			}
			if c == nil {
				v.fault("the journal has messages of chat %d, which there is not", chat)
			}
		}
	}
	return nil
}

// value returns a message's value in the store, and whether it is held.
func (h held) value(chat, index int64) (value []byte, found bool) {
	for _, s := range h.segments {
		offsets, records, first := s.find(nil, chat, index, index)
		if first == 0 {
			continue
		}
		if r, err := readRecord(records[offsets[0]:]); err == nil {
			return r.value, true
		}
	}
	return nil, false
}

// checkRef has a ref point at a message of whoever sent it.
func (v *verifier) checkRef(messages *messages, chat, index int64, sender uuid.UUID) {
	if theirs, err := messages.sentBy(chat, index, sender); err != nil || !theirs {
		v.fault("chat %d: a ref of %v points at message %d, which is not of them (%v)", chat, sender, index, err)
	}
}

// checkMembers counts a chat's members, each of which has the chat in its index.
func (v *verifier) checkMembers(w *shardWalk, id int64) (members int64) {
	v.of(w.members, uint64(id), func(key, value []byte) {
		members++
		v.report.Members++
		if _, err := decodeName(value); err != nil || len(key) != memberKeyBytes {
			v.fault("chat %d: a member %x: %v", id, key, errRecord)
			return
		}
		user := uuid.UUID(key[chatKeyBytes:])
		has, err := w.db.get(userKey(user, id), func([]byte) error { return nil })
		if err != nil || !has {
			v.fault("chat %d has the member %v, who does not have the chat (%v)", id, user, err)
		}
	})
	return members
}

// checkMessages has a chat's messages dense from 1, with times that do not go back,
// and returns the last index.
func (v *verifier) checkMessages(w *shardWalk, id int64) (last int64) {
	before := int64(0)
	newest, _, err := w.messages.last(id)
	if err == nil {
		err = w.messages.window(id, 1, newest, false, func(index int64, m *message) bool {
			v.record()
			v.report.Messages++
			if m.time < before {
				v.fault("chat %d: message %d is older than the one before it", id, index)
			}
			last, before = index, m.time
			return true
		})
	}
	if err != nil {
		v.fault("chat %d: %v", id, err)
	}
	return last
}

// checkFiled has every filed message, also one that no window shows, be of a chat that
// there is, listed by its epoch, and the same as in the journal; and every epoch have
// messages of the chats that it lists.
func (v *verifier) checkFiled(w *shardWalk) error {
	of := struct { // the message before
		chat, last int64
		epoch      uint32
	}{chat: -1}
	for _, prefix := range []byte{formerMessagePrefix, messagePrefix} {
		length := messageKeyBytes
		if prefix == formerMessagePrefix {
			length = formerMessageKeyBytes
		}
		err := v.each(w.db, prefix, func(key, value []byte) {
			if len(key) != length {
				v.fault("a message %x: %v", key, errRecord)
				return
			}
			chat, epoch := messageChat(key), messageEpoch(key)
			if chat != of.chat || epoch != of.epoch {
				err := w.expectChat(chat, epoch)
				if err == nil && w.db.noted {
					err = w.expectNoted(chat)
				}
				if err == nil {
					of.last, _, err = w.messages.last(chat)
				}
				if err != nil {
					v.fault("a record %x: %v", key, err)
				}
				of.chat, of.epoch = chat, epoch
			}
			v.checkPack(w, key, value, of.last)
		})
		if err != nil {
			return err
		}
	}
	if w.db.noted {
		if err := v.checkNewest(w); err != nil {
			return err
		}
	}
	return v.each(w.db, epochPrefix, func(key, _ []byte) {
		if len(key) != epochKeyBytes {
			v.fault("a record %x of an epoch: %v", key, errRecord)
			return
		}
		chat, epoch := int64(binary.BigEndian.Uint64(key[1:])), keyEpoch(key)
		if first, err := w.messages.first(epoch, chat, 0, -2); first == 0 {
			v.fault("epoch %d lists chat %d, of which it has no message (%v)", epoch, chat, err)
		}
	})
}

// checkPack has the messages of a pack decode, be no newer than their chat's last, and be
// the same as in the journal.
func (v *verifier) checkPack(w *shardWalk, key, value []byte, last int64) {
	var p pack
	if err := p.decode(key, value); err != nil {
		v.fault("a message %x: %v", key, err)
		return
	}
	chat := messageChat(key)
	for i, value := range p.values {
		var m message
		index := p.first + int64(i)
		if err := m.decode(value); err != nil {
			v.fault("a message %x: %v", key, errRecord)
		}
		if index > last {
			v.fault("chat %d: message %d of epoch %d is behind its last, %d", chat, index, messageEpoch(key), last)
		}
		if other, found := w.messages.held.value(chat, index); found && !bytes.Equal(other, value) {
			v.fault("chat %d: message %d is another in the journal", chat, index)
		}
	}
}

// checkNewest has what is noted of the newest filed message of a chat be of that. Where
// filings ended in their midst, either may be older, but the journal has what the other
// has more.
func (v *verifier) checkNewest(w *shardWalk) error {
	return v.each(w.db, newestPrefix, func(key, value []byte) {
		index, time, err := decodeNewest(value)
		if err != nil || len(key) != chatKeyBytes {
			v.fault("a record %x of a newest message: %v", key, errRecord)
			return
		}
		chat := int64(binary.BigEndian.Uint64(key[1:]))
		last, at, err := w.messages.lastFiled(chat)
		if last != index && w.holds(chat, min(last, index)+1, max(last, index)) {
			return
		}
		if last != index || at != time {
			v.fault("chat %d: message %d of time %d is noted as the newest that is filed, %d of %d is (%v)",
				chat, index, time, last, at, err)
		}
	})
}

// holds reports whether the journal has the first and the last of some messages of a chat.
func (w *shardWalk) holds(chat, first, last int64) bool {
	_, begins := w.messages.held.value(chat, first)
	_, ends := w.messages.held.value(chat, last)
	return begins && ends
}

var (
	errNoChat = errors.New("it is of no chat")
	errNoList = errors.New("its epoch does not list its chat")
	errNoNote = errors.New("the newest of its chat is not noted")
)

// expectNoted is an error where it is not noted what the newest filed message of a
// chat is, and no filing ended in its midst, which the journal tells.
func (w *shardWalk) expectNoted(chat int64) error {
	index, _, err := w.db.newestFiled(chat)
	if _, held := w.messages.held.value(chat, 1); err == nil && index == 0 && !held {
		err = errNoNote
	}
	return err
}

// expectChat is an error where there is no such chat, or an epoch does not list it.
func (w *shardWalk) expectChat(chat int64, epoch uint32) error {
	record, err := w.db.chatRecord(chat)
	if err != nil || record == nil {
		return cmp.Or(err, errNoChat)
	}
	if epoch == former {
		return nil
	}
	listed, err := w.db.get(epochKey(chat, epoch), func([]byte) error { return nil })
	if err == nil && !listed {
		err = errNoList
	}
	return err
}
