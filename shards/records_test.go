package shards

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"throng/codec"
)

// Draws of what records are made of.
var (
	anyText = rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) codec.Text { return b })
	anyID   = rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) uuid.UUID { return uuid.UUID(b) })
	anyTime = rapid.OneOf(rapid.Int64Range(0, 300), rapid.Int64Range(0, math.MaxInt64))
)

func drawMessage(t *rapid.T) message {
	return message{
		time:   anyTime.Draw(t, "time"),
		sender: anyID.Draw(t, "sender"),
		text:   anyText.Draw(t, "text"),
	}
}

// A record reads back as it was written.
func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, read := drawMessage(t), message{}
		encoded := m.append(nil)
		if err := read.decode(encoded); err != nil {
			t.Fatal(err)
		}
		if read.time != m.time || read.sender != m.sender || !bytes.Equal(read.text, m.text) {
			t.Fatalf("message: %+v was read as %+v", m, read)
		}

		c, back := chatRecord{rapid.Bool().Draw(t, "group"), anyTime.Draw(t, "members"), anyText.Draw(t, "name")}, chatRecord{}
		if err := back.decode(c.encode()); err != nil {
			t.Fatal(err)
		}
		if back.group != c.group || back.members != c.members || !bytes.Equal(back.name, c.name) {
			t.Fatalf("chat: %+v was read as %+v", c, back)
		}

		u := account{anyID.Draw(t, "id"), anyText.Draw(t, "name")}
		got, err := decodeAccount(encodeAccount(&u))
		if err != nil || got.id != u.id || !bytes.Equal(got.name, u.name) {
			t.Fatalf("account: %+v was read as %+v, %v", u, got, err)
		}
		name, err := decodeName(encodeName(u.name))
		if err != nil || !bytes.Equal(name, u.name) {
			t.Fatalf("name: %q was read as %q, %v", u.name, name, err)
		}
	})
}

// What a record says of its size is its size, whatever the length of its
// numbers.
func TestMessageSize(t *testing.T) {
	for shift := range 63 {
		for _, time := range []int64{1<<shift - 1, 1 << shift} {
			m := message{time: time, text: codec.Text("text")}
			encoded := m.append(nil)
			if !bytes.HasSuffix(encoded, m.text) {
				t.Errorf("time %d: the record has no room for the text", time)
			}
		}
	}
}

// decoders are the readers of every kind of record, with a record to read.
func decoders() map[string]struct {
	record []byte
	decode func([]byte) error
} {
	type decoder = struct {
		record []byte
		decode func([]byte) error
	}
	m := message{time: 300, sender: alice}
	encoded := m.append(nil)
	c := chatRecord{group: true, members: 300}
	return map[string]decoder{
		"message": {encoded, func(b []byte) error { return new(message).decode(b) }},
		"chat":    {c.encode(), func(b []byte) error { return new(chatRecord).decode(b) }},
		"account": {encodeAccount(&account{id: alice}), func(b []byte) error { _, err := decodeAccount(b); return err }},
		"name":    {encodeName(nil), func(b []byte) error { _, err := decodeName(b); return err }},
	}
}

// A record that was cut short is an error. Those here end where their fixed
// part does: each byte counts.
func TestTruncatedRecordsAreErrors(t *testing.T) {
	for name, d := range decoders() {
		for n := range d.record {
			if err := d.decode(d.record[:n]); !errors.Is(err, errRecord) {
				t.Errorf("%s: %d of %d bytes: %v", name, n, len(d.record), err)
			}
		}
		if err := d.decode(d.record); err != nil {
			t.Errorf("%s: the whole record: %v", name, err)
		}
	}
}

// A record of another version is an error, never a guess.
func TestOtherVersionsAreErrors(t *testing.T) {
	for name, d := range decoders() {
		for _, version := range []byte{0, recordVersion + 1, 255} {
			record := slices.Clone(d.record)
			record[0] = version
			if err := d.decode(record); !errors.Is(err, errRecord) {
				t.Errorf("%s of version %d: %v", name, version, err)
			}
		}
	}
}

// A number that does not end, or is over 64 bits, is an error.
func TestNumbersThatDoNotEndAreErrors(t *testing.T) {
	for _, number := range [][]byte{{}, {200}, bytes.Repeat([]byte{0xff}, 9), bytes.Repeat([]byte{0xff}, 11)} {
		record := append([]byte{recordVersion}, number...)
		if err := new(message).decode(record); !errors.Is(err, errRecord) {
			t.Errorf("a time of %x: %v", number, err)
		}
		if _, err := decodeRef(record); !errors.Is(err, errRecord) {
			t.Errorf("a ref's index of %x: %v", number, err)
		}
	}
}

// What is decoded from a store's memory does not point into it, but for
// messages, which say so.
func TestDecodedNamesAreCopies(t *testing.T) {
	name := codec.Text("name")
	u := account{id: alice, name: name}
	c := chatRecord{name: name}
	for what, read := range map[string]func(src []byte) codec.Text{
		"account": func(src []byte) codec.Text { got, _ := decodeAccount(src); return got.name },
		"name":    func(src []byte) codec.Text { got, _ := decodeName(src); return got },
		"chat":    func(src []byte) codec.Text { var got chatRecord; _ = got.decode(src); return got.name },
	} {
		src := map[string][]byte{"account": encodeAccount(&u), "name": encodeName(name), "chat": c.encode()}[what]
		got := read(src)
		clear(src)
		if !bytes.Equal(got, name) {
			t.Errorf("%s: the name changed with the record's memory: %q", what, got)
		}
	}
}

// Keys sort as their numbers do, and give them back.
func TestKeysSortAsNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anyChat := rapid.Int64Range(1, codec.MaxChat)
		anyIndex := rapid.OneOf(rapid.Int64Range(1, 300), rapid.Int64Range(1, math.MaxInt64-1))
		a, b := anyChat.Draw(t, "chat"), anyChat.Draw(t, "chat")
		i, j := anyIndex.Draw(t, "index"), anyIndex.Draw(t, "index")
		user := anyID.Draw(t, "user")
		anyEpoch := rapid.Uint32Range(former, math.MaxUint32-1)
		epoch, other := anyEpoch.Draw(t, "epoch"), anyEpoch.Draw(t, "another epoch")
		if got, want := bytes.Compare(messageKey(epoch, a, i), messageKey(epoch, a, j)), compare(i, j); got != want {
			t.Fatalf("messages %d and %d of chat %d compare as %d", i, j, a, got)
		}
		if got, want := bytes.Compare(userKey(user, a), userKey(user, b)), compare(a, b); got != want {
			t.Fatalf("chats %d and %d of a user compare as %d", a, b, got)
		}
		if a != b && compare(a, b) != bytes.Compare(messageKey(epoch, a, i), messageKey(epoch, b, j)) {
			t.Fatalf("messages of chats %d and %d are mixed", a, b)
		}
		if epoch != former && other != former && epoch != other &&
			(bytes.Compare(messageKey(epoch, a, i), messageKey(other, b, j)) < 0) != (epoch > other) {
			t.Fatalf("messages of epochs %d and %d are mixed", epoch, other)
		}
		if got, want := bytes.Compare(epochKey(a, epoch), epochKey(a, other)), compare(int64(epoch), int64(other)); got != want {
			t.Fatalf("epochs %d and %d of a chat compare as %d", epoch, other, got)
		}
		key := messageKey(epoch, a, i)
		if messageIndex(key) != i || messageChat(key) != a || messageEpoch(key) != epoch ||
			keyEpoch(epochKey(a, epoch)) != epoch || userChat(userKey(user, a)) != a {
			t.Fatal("a key does not give its number back")
		}
	})
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// The kinds of keys do not mix: a chat's record, its members and its messages
// each lie under a prefix of their own, and have the length drawn in records.go.
func TestKeyShapes(t *testing.T) {
	for prefix, key := range map[byte][]byte{
		chatPrefix:    chatKey(7),
		memberPrefix:  memberKey(7, alice),
		messagePrefix: messageKey(1, 7, 1),
		epochPrefix:   epochKey(7, 1),
		newestPrefix:  newestKey(7),

		formerMessagePrefix: messageKey(former, 7, 1),
		userPrefix:          userKey(alice, 7),
		idPrefix:            idKey(alice),
		tokenPrefix:         tokenKey(mac{}),
	} {
		length := map[byte]int{
			chatPrefix: chatKeyBytes, memberPrefix: memberKeyBytes, messagePrefix: messageKeyBytes,
			epochPrefix: epochKeyBytes, newestPrefix: chatKeyBytes, formerMessagePrefix: formerMessageKeyBytes,
			userPrefix: userKeyBytes, idPrefix: 17, tokenPrefix: 33,
		}[prefix]
		if key[0] != prefix || len(key) != length {
			t.Errorf("the key %x does not begin with %q or is not %d bytes long", key, prefix, length)
		}
	}
}
