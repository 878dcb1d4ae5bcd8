package shards

import (
	"encoding/binary"
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
	it, err := iterate(db.pebble, []byte{messagePrefix}, []byte{messagePrefix + 1})
	if err != nil {
		return err
	}
	defer closeWalk(it)
	for ok := it.First(); ok; {
		chat := int64(binary.BigEndian.Uint64(it.Key()[1:]))
		from, err := db.firstLost(it, chat)
		if err != nil {
			return fmt.Errorf("chat %d: %w", chat, err)
		}
		if from > 0 {
			if err := db.pebble.DeleteRange(messageKey(chat, from), messageKey(chat, -1), pebble.NoSync); err != nil {
				return fmt.Errorf("chat %d: %w", chat, err)
			}
		}
		ok = it.SeekGE(messageKey(chat, -1)) // all ones: behind its last
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("walk messages: %w", err)
	}
	// From now on the log knows as many commits as are filed.
	if err := db.pebble.Set(filedKey, encodeNumber(db.commits), pebble.Sync); err != nil {
		return err
	}
	return db.pebble.Flush() // see filer.take
}

// firstLost returns the index of the first message of a chat, at whose first message
// it stands, that must go; 0: none.
func (db *database) firstLost(it *pebble.Iterator, chat int64) (index int64, err error) {
	record, err := db.chatRecord(chat)
	if err != nil {
		return 0, err
	}
	if record == nil {
		return messageIndex(it.Key()), nil
	}
	members := map[uuid.UUID]bool{}
	last := messageKey(chat, -1)
	for ok := true; ok && string(it.Key()) < string(last); ok = it.Next() {
		var m message
		if err := decodeAt(it, &m); err != nil {
			return 0, err
		}
		member, known := members[m.sender]
		if !known {
			if member, err = db.isMember(chat, m.sender); err != nil {
				return 0, err
			}
			members[m.sender] = member
		}
		if !member {
			return messageIndex(it.Key()), nil
		}
	}
	return 0, it.Error()
}
