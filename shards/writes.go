package shards

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// writes collects what one commit is to make durable, all or nothing. With view
// it is the seam behind which the storage layout stands: what is put here is
// found there.
type writes struct {
	batch   *pebble.Batch
	journal *journal // takes the messages
}

func (w *writes) empty() bool { return w.batch.Empty() && len(w.journal.pending()) == 0 }

func (w *writes) reset() {
	w.batch.Reset()
	w.journal.drop()
}

func (w *writes) message(chat, index int64, m *message) { w.journal.message(chat, index, m) }

// ref notes which message of a chat a sender's ref belongs to.
func (w *writes) ref(key []byte, index int64) error {
	return w.batch.Set(key, binary.AppendUvarint([]byte{recordVersion}, uint64(index)), nil)
}

// number says which commit of its database this is: in the tables, it tells up to which
// commit they have what commits wrote.
func (w *writes) number(n uint64) error {
	return w.batch.Set(numberKey, encodeNumber(n), nil)
}

func (w *writes) chat(id int64, c *chatRecord) error {
	return w.batch.Set(chatKey(id), c.encode(), nil)
}

func (w *writes) member(chat int64, m Member) error {
	if err := w.batch.Set(memberKey(chat, m.ID), encodeName(m.Name), nil); err != nil {
		return err
	}
	return w.batch.Set(userKey(m.ID, chat), nil, nil)
}

func (w *writes) account(token mac, u *account) error {
	if err := w.batch.Set(idKey(u.id), encodeName(u.name), nil); err != nil {
		return err
	}
	return w.batch.Set(tokenKey(token), encodeAccount(u), nil)
}

// CreateBytes returns about what a Create of a chat with these members writes: it
// weighs more than the request that asked for it.
func CreateBytes(members []Member) int {
	bytes := 0
	for _, m := range members {
		bytes += memberKeyBytes + userKeyBytes + len(m.Name)
	}
	return bytes
}
