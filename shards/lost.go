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
	return db.leaveOutRefs(walk)
}

// leaveOutRefs leaves out the refs of messages that there are not, or of another's.
func (db *database) leaveOutRefs(walk *messages) error {
	it, err := iterate(db.pebble, []byte{refPrefix}, []byte{refPrefix + 1})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = db.leaveOutRef(walk, it)
	}
	return errors.Join(err, it.Error(), it.Close())
}

func (db *database) leaveOutRef(walk *messages, it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	index, err := decodeRef(value)
	if err != nil {
		return err
	}
	chat := int64(binary.BigEndian.Uint64(it.Key()[1:]))
	sender := uuid.UUID(it.Key()[memberKeyBytes-16 : memberKeyBytes])
	last, _, err := walk.last(chat)
	if err != nil {
		return err
	}
	theirs := false
	if index <= last {
		theirs, err = walk.sentBy(chat, index, sender)
	}
	if theirs || err != nil {
		return err
	}
	return db.pebble.Delete(it.Key(), pebble.NoSync)
}

// leaveOutOf is leaveOut for one chat, all of it or nothing.
func (db *database) leaveOutOf(walk *messages, chat int64) error {
	from, time, err := db.firstLost(walk, chat)
	if from == 0 || err != nil {
		return err
	}
	if err := walk.findEpochs(chat); err != nil {
		return err
	}
	batch := db.pebble.NewBatch()
	if from == 1 {
		err = batch.Delete(newestKey(chat), nil)
	} else {
		err = batch.Set(newestKey(chat), encodeNewest(from-1, time), nil)
	}
	for n := range len(walk.epochs) + 1 {
		epoch := walk.epoch(n)
		err = errors.Join(err, batch.DeleteRange(messageKey(epoch, chat, from), messageKey(epoch, chat, -1), nil))
		stays, fault := walk.cut(batch, epoch, chat, from)
		err = errors.Join(err, fault)
		if !stays && epoch != former {
			err = errors.Join(err, batch.Delete(epochKey(chat, epoch), nil))
		}
	}
	if err == nil {
		err = db.pebble.Apply(batch, pebble.NoSync)
	}
	return errors.Join(err, batch.Close())
}

// cut has the last pack of an epoch that begins before message from of a chat end before
// it, and reports whether there is one.
func (w *messages) cut(batch *pebble.Batch, epoch uint32, chat, from int64) (stays bool, err error) {
	if err := w.stored(epoch, chat, from-1); err != nil {
		return false, err
	}
	if stays, err = w.read(w.it.Last()); !stays || err != nil || w.pack.last() < from {
		return stays, err
	}
	return true, batch.Set(messageKey(epoch, chat, w.pack.first), w.pack.encode(nil, from-1), nil)
}

// firstLost returns the index of the first message of a chat that must go, and the time
// of the one before it; 0: none must.
func (db *database) firstLost(walk *messages, chat int64) (index, time int64, err error) {
	record, err := db.chatRecord(chat)
	if err != nil {
		return 0, 0, err
	}
	if record == nil {
		return 1, 0, nil
	}
	last, _, err := walk.last(chat)
	if err != nil {
		return 0, 0, err
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
		if index == 0 {
			time = m.time
		}
		return member && fault == nil
	})
	if err = errors.Join(fault, err); err != nil || index > 0 {
		return index, time, err
	}
	// A filing that wrote into memtables may have come further than what is left of the log.
	filed, _, err := walk.lastFiled(chat)
	if filed > last {
		index = last + 1
	}
	return index, time, err
}
