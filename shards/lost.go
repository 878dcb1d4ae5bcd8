package shards

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// leaveOut makes the store agree again where messages are filed whose commits the log
// has lost, and whoever runs it goes on without them: messages of chats that there
// are not, and of each chat those from the first on whose sender is no member. All of
// them are of the commits that are lost. What can stay of those stays. It reads all
// messages, and is the writer.
func (db *database) leaveOut() error {
	db.journal.fileAll() // or what it has of a chat could end before what is filed
	so, err := db.filed()
	if err != nil {
		return err
	}
	walk := db.messages()
	defer walk.close()
	for _, prefix := range []byte{epochPrefix, formerMessagePrefix} {
		it, err := iterate(db.pebble, []byte{prefix}, []byte{prefix + 1})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			chat := int64(binary.BigEndian.Uint64(it.Key()[1:]))
			if err := db.leaveOutOf(walk, chat); err != nil {
				return errors.Join(fmt.Errorf("chat %d: %w", chat, err), it.Close())
			}
			ok = it.SeekGE(appendChat(nil, prefix, chat+1))
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return fmt.Errorf("walk the chats that have messages: %w", err)
		}
	}
	// From now on the log knows as many commits as are filed.
	so.commit = db.commits
	if err := db.pebble.Set(filedKey, so.encode(), pebble.Sync); err != nil {
		return err
	}
	return db.pebble.Flush() // see filer.take
}

// leaveOutOf is leaveOut for one chat.
func (db *database) leaveOutOf(walk *messages, chat int64) error {
	from, err := db.firstLost(walk, chat)
	if from == 0 || err != nil {
		return err
	}
	if err := walk.findEpochs(chat); err != nil {
		return err
	}
	for _, epoch := range append(walk.epochs, former) {
		before, err := walk.first(epoch, chat, 0, from-1)
		if err == nil {
			err = db.pebble.DeleteRange(messageKey(epoch, chat, from), messageKey(epoch, chat, -1), pebble.NoSync)
		}
		if err == nil && before == 0 && epoch != former {
			err = db.pebble.Delete(epochKey(chat, epoch), pebble.NoSync)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// firstLost returns the index of the first message of a chat that must go; 0: none.
func (db *database) firstLost(walk *messages, chat int64) (index int64, err error) {
	record, err := db.chatRecord(chat)
	if err != nil {
		return 0, err
	}
	if record == nil {
		return 1, nil
	}
	last, _, err := walk.last(chat)
	if err != nil {
		return 0, err
	}
	members := map[uuid.UUID]bool{}
	var fault error
	err = walk.window(chat, 1, last, false, func(at int64, m *message) bool {
		member, known := members[m.sender]
		if !known {
			member, fault = db.isMember(chat, m.sender)
			members[m.sender] = member
		}
		if !member && fault == nil {
			index = at
		}
		return member && fault == nil
	})
	return index, errors.Join(fault, err)
}
