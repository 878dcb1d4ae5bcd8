package shards

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"throng/codec"
)

// view is what can be read of a database: what is committed. A commit is there once it is
// synced, its messages a little after all else.
type view struct {
	from    pebble.Reader
	journal *journal // has the messages that are not filed
	noted   bool     // see filed
}

// get calls use with key's value, valid only during the call, and reports
// whether there is one.
func (v view) get(key []byte, use func(value []byte) error) (bool, error) {
	value, closer, err := v.from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read a %q record: %w", key[0], err)
	}
	if err = errors.Join(use(value), closer.Close()); err != nil {
		return false, fmt.Errorf("read a %q record: %w", key[0], err)
	}
	return true, nil
}

// chatRecord returns a chat's record, nil where there is no such chat.
func (v view) chatRecord(id int64) (*chatRecord, error) {
	c := &chatRecord{}
	found, err := v.get(chatKey(id), c.decode)
	if !found {
		return nil, err
	}
	return c, nil
}

// chat returns a chat with its newest message's index and time, nil where there
// is none.
func (v view) chat(id int64) (*chat, error) {
	record, err := v.chatRecord(id)
	if record == nil {
		return nil, err
	}
	c := &chat{id: id, record: record}
	c.last, c.lastTime, err = v.newest(id)
	return c, err
}

// newest returns the index and time of a chat's newest message; 0: there is none.
func (v view) newest(chat int64) (index, time int64, err error) {
	walk := v.messages()
	defer walk.close()
	return walk.last(chat)
}

// newestFiled returns the index and time of the newest message of a chat that is filed.
// 0: none is noted.
func (v view) newestFiled(chat int64) (index, time int64, err error) {
	_, err = v.get(newestKey(chat), func(value []byte) (err error) {
		index, time, err = decodeNewest(value)
		return err
	})
	return index, time, err
}

func (v view) isMember(chat int64, user uuid.UUID) (bool, error) {
	return v.get(memberKey(chat, user), func([]byte) error { return nil })
}

// memberName returns the name of a chat's member, and whether it is one.
func (v view) memberName(chat int64, user uuid.UUID) (name codec.Text, found bool, err error) {
	return v.name(memberKey(chat, user))
}

// accountName returns the name of a user, and whether it is registered.
func (v view) accountName(id uuid.UUID) (name codec.Text, found bool, err error) {
	return v.name(idKey(id))
}

func (v view) name(key []byte) (name codec.Text, found bool, err error) {
	found, err = v.get(key, func(value []byte) (err error) {
		name, err = decodeName(value)
		return err
	})
	return name, found, err
}

// account returns the account that a token belongs to, and whether there is one.
func (v view) account(token mac) (u account, found bool, err error) {
	found, err = v.get(tokenKey(token), func(value []byte) (err error) {
		u, err = decodeAccount(value)
		return err
	})
	return u, found, err
}

// ref returns the index of the last message that was sent with a ref; 0: none.
func (v view) ref(key []byte) (index int64, err error) {
	_, err = v.get(key, func(value []byte) (err error) {
		index, err = decodeRef(value)
		return err
	})
	return index, err
}

// commitNumber returns the number of the last commit; 0: none has one.
func (v view) commitNumber() (uint64, error) { return v.number(numberKey) }

// filed returns how far messages are filed; commit 0: none is.
func (v view) filed() (f filed, err error) {
	found, err := v.get(filedKey, f.decode)
	if found || err != nil {
		return f, err
	}
	if f.commit, err = v.number(formerFiledKey); err != nil {
		return f, err
	}
	it, err := v.iterate([]byte{formerMessagePrefix}, []byte{formerMessagePrefix + 1})
	if err != nil {
		return f, err
	}
	f.noted = !it.First()
	return f, errors.Join(it.Error(), it.Close())
}

func (v view) number(key []byte) (number uint64, err error) {
	_, err = v.get(key, func(value []byte) (err error) {
		number, err = decodeNumber(value)
		return err
	})
	return number, err
}

// users returns a chat's members by rising id, at most so many.
func (v view) users(chat int64, most int) (users []uuid.UUID, err error) {
	it, err := v.iterate(appendChat(nil, memberPrefix, chat), appendChat(nil, memberPrefix, chat+1))
	if err != nil {
		return nil, err
	}
	defer closeWalk(it)
	for ok := it.First(); ok && len(users) < most; ok = it.Next() {
		users = append(users, uuid.UUID(it.Key()[memberKeyBytes-16:]))
	}
	return users, it.Error()
}

// chatsOf walks the chats that a user is in, by rising id, from above after on.
func (v view) chatsOf(user uuid.UUID, after int64) (userChats, error) {
	it, err := v.iterate(userKey(user, after+1), userKey(user, -1)) // all ones: above every id
	if err != nil {
		return userChats{}, err
	}
	it.First()
	return userChats{it}, nil
}

func (v view) iterate(low, high []byte) (*pebble.Iterator, error) {
	return iterate(v.from, low, high)
}

func iterate(from pebble.Reader, low, high []byte) (*pebble.Iterator, error) {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return nil, fmt.Errorf("walk %q records: %w", low[0], err)
	}
	return it, nil
}

// closeWalk gives an iterator back; what it found wrong, its Error has told.
func closeWalk(it *pebble.Iterator) { _ = it.Close() }

// userChats is a walk over chat ids.
type userChats struct {
	it *pebble.Iterator
}

// id returns the id that the walk stands at; false: it is at its end.
func (w userChats) id() (int64, bool) {
	if !w.it.Valid() {
		return 0, false
	}
	return userChat(w.it.Key()), true
}

func (w userChats) next() { w.it.Next() }

func (w userChats) failure() error { return w.it.Error() }

func (w userChats) close() { closeWalk(w.it) }
