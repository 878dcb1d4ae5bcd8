package shards

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/uuid"
)

// Whatever bytes stand where a record should be, reading them ends: in errRecord,
// or in a value whose numbers are not negative and which, written again, reads the
// same.
func FuzzRecords(f *testing.F) {
	for _, d := range decoders() {
		f.Add(d.record)
	}
	f.Add([]byte{recordVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}) // 2^64-1
	f.Fuzz(func(t *testing.T, record []byte) {
		checks := map[string]func([]byte) error{
			"message": rereadMessage, "chat": rereadChat, "account": rereadAccount, "name": rereadName, "ref": readRef,
		}
		for what, check := range checks {
			if err := check(record); err != nil && !errors.Is(err, errRecord) {
				t.Errorf("%s %x: %v", what, record, err)
			}
		}
	})
}

var (
	errNegative = errors.New("a negative number was read")
	errReread   = errors.New("written again, it reads otherwise")
)

// same reports errReread where it is not so.
func same(is bool) error {
	if !is {
		return errReread
	}
	return nil
}

func rereadMessage(record []byte) error {
	var m, again message
	if err := m.decode(record); err != nil {
		return err
	}
	if m.time < 0 {
		return errNegative
	}
	encoded := m.append(nil)
	return errors.Join(again.decode(encoded),
		same(again.time == m.time && again.sender == m.sender && bytes.Equal(again.text, m.text)))
}

func rereadChat(record []byte) error {
	var c, again chatRecord
	if err := c.decode(record); err != nil {
		return err
	}
	if c.members < 0 {
		return errNegative
	}
	return errors.Join(again.decode(c.encode()),
		same(again.group == c.group && again.members == c.members && bytes.Equal(again.name, c.name)))
}

func rereadAccount(record []byte) error {
	u, err := decodeAccount(record)
	if err != nil {
		return err
	}
	again, err := decodeAccount(encodeAccount(&u))
	return errors.Join(err, same(again.id == u.id && bytes.Equal(again.name, u.name)))
}

func rereadName(record []byte) error {
	name, err := decodeName(record)
	if err != nil {
		return err
	}
	again, err := decodeName(encodeName(name))
	return errors.Join(err, same(bytes.Equal(again, name)))
}

func readRef(record []byte) error {
	index, err := decodeRef(record)
	if err == nil && index < 0 {
		return errNegative
	}
	return err
}

// Keys give back what they were made of, sort as it does, and those of one kind or
// chat never lie among those of another.
func FuzzKeys(f *testing.F) {
	f.Add(int64(7), int64(8), int64(1), int64(2), alice[:])
	f.Add(int64(1), int64(1)<<53-1, int64(1), int64(1)<<62, bob[:])
	f.Fuzz(func(t *testing.T, chat, other, index, later int64, id []byte) {
		if chat < 1 || other <= chat || index < 1 || later <= index || len(id) != len(uuid.UUID{}) {
			return
		}
		user := uuid.UUID(id)
		if messageIndex(messageKey(1, chat, index)) != index || messageChat(messageKey(1, chat, index)) != chat || userChat(userKey(user, chat)) != chat {
			t.Errorf("the keys of message %d in chat %d do not give them back", index, chat)
		}
		ascending := [][]byte{
			messageKey(former, chat, index), messageKey(former, other, index),
			userKey(user, chat), userKey(user, other), userKey(user, -1),
			epochKey(chat, 1), epochKey(chat, 2), epochKey(other, 1),
			messageKey(2, chat, index), messageKey(2, chat, later), messageKey(2, chat+1, 0), messageKey(2, other, index),
			messageKey(1, chat, index), messageKey(1, other, index),
		}
		for i := range len(ascending) - 1 {
			if order := bytes.Compare(ascending[i], ascending[i+1]); order >= 0 {
				t.Errorf("keys %x and %x are out of order", ascending[i], ascending[i+1])
			}
		}
		if low, high := appendChat(nil, memberPrefix, chat), appendChat(nil, memberPrefix, chat+1); bytes.Compare(memberKey(chat, user), low) < 0 || bytes.Compare(memberKey(chat, user), high) >= 0 {
			t.Errorf("member %v of chat %d is outside of its chat's", user, chat)
		}
	})
}
