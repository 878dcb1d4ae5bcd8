package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"throng/codec"
)

// Every key begins with a byte that says what it is of; numbers in keys are
// big-endian, so that keys sort as the numbers do.
//
//	in a shard
//	'c' chat 8             → a chat
//	'm' chat 8, user 16    → a member of it
//	'r' chat 8, user 16, ref → the last message that the user sent with that ref
//	'u' user 16, chat 8    → nothing: the user is a member of the chat
//	'v'                    → how far messages are filed: see filed
//	'w' chat 8, epoch 4    → nothing: the epoch has messages of the chat
//	'x' epoch 4, inverted, chat 8, index 8 → messages of the chat from that index on: a pack
//	'y' chat 8             → the newest message of the chat that is filed
//
//	in a shard, from formats 1 to 3
//	't' chat 8, index 8    → a message of the chat: of what is filed, the oldest
//	's'                    → the number of the last commit whose messages are filed
//
//	in a shard, from formats 3 to 6
//	'j' commit 8           → the messages of a commit that are not filed yet
//
//	among the accounts
//	'i' user 16            → an account, found by its id
//	'k' mac 32             → an account, found by its token's HMAC
//
//	in both
//	'n'                    → the number of the last commit that wrote any of this; before
//	                         format 7, of the last commit
//
// Every value begins with its version. A newer one is an error, never a guess.
//
//	chat     version 1, group 1 (0 or 1), members uvarint, name
//	member   version 1, name
//	message  version 1, time uvarint, sender 16, text
//	pack     version 2, messages 1, and of each: bytes uvarint, it; or one message, as above
//	ref      version 1, index uvarint
//	journal  version 1, records: see segment (formats 3 to 6)
//	by id    version 1, name
//	by token version 1, user 16, name
//	numbers  version 1, number 8
//	filed    version 1, number of a commit 8, epoch 4, bytes 8, 1: noted, 2: packed (before format 5, none),
//	         number of a commit 8, where its messages are being written into memtables
//	newest   version 1, index uvarint, time uvarint
//
// Names, refs and texts are codec.Text. An empty user's name means that the id
// stands for it.
const (
	chatPrefix    = 'c'
	memberPrefix  = 'm'
	refPrefix     = 'r'
	userPrefix    = 'u'
	idPrefix      = 'i'
	tokenPrefix   = 'k'
	numberPrefix  = 'n'
	journalPrefix = 'j'
	filedPrefix   = 'v'
	epochPrefix   = 'w'
	messagePrefix = 'x'
	newestPrefix  = 'y'

	formerMessagePrefix = 't'
	formerFiledPrefix   = 's'

	chatKeyBytes    = 1 + 8
	memberKeyBytes  = 1 + 8 + 16
	messageKeyBytes = 1 + 4 + 8 + 8
	epochKeyBytes   = 1 + 8 + 4
	userKeyBytes    = 1 + 16 + 8
	journalKeyBytes = 1 + 8

	formerMessageKeyBytes = 1 + 8 + 8

	recordVersion = 1
	packVersion   = 2
)

var (
	numberKey = []byte{numberPrefix}
	filedKey  = []byte{filedPrefix}

	formerFiledKey = []byte{formerFiledPrefix}
)

var errRecord = errors.New("a record does not decode")

func chatKey(chat int64) []byte { return appendChat(make([]byte, 0, memberKeyBytes), chatPrefix, chat) }

func appendChat(dst []byte, prefix byte, chat int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefix), uint64(chat))
}

func memberKey(chat int64, user uuid.UUID) []byte {
	return append(appendChat(make([]byte, 0, memberKeyBytes), memberPrefix, chat), user[:]...)
}

// messageKey is where a filed message is. Newer epochs sort before older ones, next to
// what they are filed with: no table lies over epochs that it has nothing of. Of
// epoch former, the key is as formats 1 to 3 made it.
func messageKey(epoch uint32, chat, index int64) []byte {
	return appendMessageKey(make([]byte, 0, messageKeyBytes), epoch, chat, index)
}

func appendMessageKey(dst []byte, epoch uint32, chat, index int64) []byte {
	if epoch == former {
		return binary.BigEndian.AppendUint64(appendChat(dst, formerMessagePrefix, chat), uint64(index))
	}
	dst = binary.BigEndian.AppendUint32(append(dst, messagePrefix), ^epoch)
	dst = binary.BigEndian.AppendUint64(dst, uint64(chat))
	return binary.BigEndian.AppendUint64(dst, uint64(index))
}

// messageIndex reads the index back out of a message's key.
func messageIndex(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[len(key)-8:])) }

// messageChat reads the chat back out of it.
func messageChat(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[len(key)-16:])) }

// messageEpoch reads the epoch back out of it.
func messageEpoch(key []byte) uint32 {
	if key[0] == formerMessagePrefix {
		return former
	}
	return ^binary.BigEndian.Uint32(key[1:])
}

// epochKey says that an epoch has messages of a chat.
func epochKey(chat int64, epoch uint32) []byte {
	return appendEpochKey(make([]byte, 0, epochKeyBytes), chat, epoch)
}

func appendEpochKey(dst []byte, chat int64, epoch uint32) []byte {
	return binary.BigEndian.AppendUint32(appendChat(dst, epochPrefix, chat), epoch)
}

// keyEpoch reads the epoch back out of it.
func keyEpoch(key []byte) uint32 { return binary.BigEndian.Uint32(key[epochKeyBytes-4:]) }

// newestKey is where the newest of a chat's messages is noted that are filed.
func newestKey(chat int64) []byte {
	return appendChat(make([]byte, 0, chatKeyBytes), newestPrefix, chat)
}

func refKey(chat int64, sender uuid.UUID, ref codec.Text) []byte {
	key := make([]byte, 0, memberKeyBytes+len(ref))
	return append(append(appendChat(key, refPrefix, chat), sender[:]...), ref...)
}

func userKey(user uuid.UUID, chat int64) []byte {
	key := append(append(make([]byte, 0, userKeyBytes), userPrefix), user[:]...)
	return binary.BigEndian.AppendUint64(key, uint64(chat))
}

// userChat reads the chat back out of a user's key.
func userChat(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[userKeyBytes-8:])) }

func idKey(id uuid.UUID) []byte { return append([]byte{idPrefix}, id[:]...) }

func tokenKey(m mac) []byte { return append([]byte{tokenPrefix}, m[:]...) }

// message is a message's record; text aliases the memory that it was decoded
// from.
type message struct {
	time   int64
	sender uuid.UUID
	text   codec.Text
}

func (m *message) size() int { return 1 + uvarintLen(uint64(m.time)) + 16 + len(m.text) }

// append encodes m, in m.size() bytes, behind dst.
func (m *message) append(dst []byte) []byte {
	dst = append(dst, recordVersion)
	dst = binary.AppendUvarint(dst, uint64(m.time))
	dst = append(dst, m.sender[:]...)
	return append(dst, m.text...)
}

func (m *message) decode(src []byte) error {
	r := recordReader{src: src}
	r.version()
	m.time = r.number()
	copy(m.sender[:], r.bytes(16))
	m.text = r.src
	return r.err
}

// pack is what is filed under one key: messages of a chat in a row. They share what a key
// costs in building a table, in merging it and in walking over it.
//
// Where a pack begins, the messages alone decide, but for the first of what a segment has:
// at an index that packMessages divides, and before and behind a message of more than
// packedBytes. So whoever files messages again, after a crash and with other segments,
// writes what replaces the packs of before.
type pack struct {
	first  int64
	values [][]byte // of messages; they alias what was read
}

const (
	packMessages = 16
	packedBytes  = 512
)

// decode reads what stands under a message's key.
func (p *pack) decode(key, value []byte) error {
	p.first, p.values = messageIndex(key), p.values[:0]
	if len(value) == 0 || value[0] != packVersion {
		p.values = append(p.values, value)
		return nil
	}
	r := recordReader{src: value[1:]}
	count := r.bytes(1)
	for len(r.src) > 0 {
		p.values = append(p.values, r.bytes(uint64(r.number())))
	}
	if r.err != nil || len(p.values) == 0 || len(p.values) != int(count[0]) {
		return fmt.Errorf("messages from %d on: %w", p.first, errRecord)
	}
	return nil
}

func (p *pack) last() int64 { return p.first + int64(len(p.values)) - 1 }

// message decodes a message that the pack has; m aliases what was read.
func (p *pack) message(index int64, m *message) error {
	if err := m.decode(p.values[index-p.first]); err != nil {
		return fmt.Errorf("message %d: %w", index, err)
	}
	return nil
}

// encode appends the values of the messages up to last to dst, as they are filed.
func (p *pack) encode(dst []byte, last int64) []byte {
	values := p.values[:last-p.first+1]
	if len(values) == 1 {
		return append(dst, values[0]...)
	}
	dst = append(dst, packVersion, byte(len(values)))
	for _, value := range values {
		dst = append(binary.AppendUvarint(dst, uint64(len(value))), value...)
	}
	return dst
}

// takes reports whether a message that follows on those of the pack belongs to it.
func (p *pack) takes(value []byte) bool {
	next := p.last() + 1
	return next%packMessages != 0 && len(value) <= packedBytes && len(p.values[0]) <= packedBytes
}

func decodeRef(src []byte) (index int64, err error) {
	r := recordReader{src: src}
	r.version()
	index = r.number()
	return index, r.err
}

func encodeNewest(index, time int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint([]byte{recordVersion}, uint64(index)), uint64(time))
}

func decodeNewest(src []byte) (index, time int64, err error) {
	r := recordReader{src: src}
	r.version()
	index, time = r.number(), r.number()
	return index, time, r.err
}

func encodeNumber(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{recordVersion}, number)
}

func decodeNumber(src []byte) (number uint64, err error) {
	r := recordReader{src: src}
	r.version()
	if b := r.bytes(8); r.err == nil {
		number = binary.BigEndian.Uint64(b)
	}
	return number, r.err
}

// filed says how far messages are filed: up to which commit, and how much the epoch
// has that is being filled (see segment.weight). Format 3 noted the commit only, and that
// before its messages where they were not taken in as tables: then the epoch is former.
type filed struct {
	commit uint64
	epoch  uint32
	bytes  uint64
	noted  bool // of every chat, the newest message that is filed is noted, or in the journal
	packed bool // the epoch that is being filled has packs; before format 6, single messages

	begun uint64 // messages may be in tables up to this commit; 0: up to commit
}

// unfiled returns the first commit that may have messages which are not filed, of those
// that the log knows. Where it has lost its end, all that it still knows is filed.
func (f filed) unfiled(commits uint64) uint64 {
	if f.epoch == former && f.commit <= commits {
		return 0
	}
	return f.commit + 1
}

func (f filed) encode() []byte {
	record := binary.BigEndian.AppendUint32(encodeNumber(f.commit), f.epoch)
	record = binary.BigEndian.AppendUint64(record, f.bytes)
	record = append(record, flag(f.noted)|flag(f.packed)<<1)
	if f.begun > 0 {
		record = binary.BigEndian.AppendUint64(record, f.begun)
	}
	return record
}

func (f *filed) decode(src []byte) error {
	r := recordReader{src: src}
	r.version()
	if b := r.bytes(8 + 4 + 8); r.err == nil {
		f.commit = binary.BigEndian.Uint64(b)
		f.epoch = binary.BigEndian.Uint32(b[8:])
		f.bytes = binary.BigEndian.Uint64(b[8+4:])
		if len(r.src) > 0 {
			flags := r.bytes(1)[0]
			f.noted, f.packed = flags&1 != 0, flags&2 != 0
		}
		if len(r.src) > 0 {
			if b := r.bytes(8); r.err == nil {
				f.begun = binary.BigEndian.Uint64(b)
			}
		}
	}
	return r.err
}

// chatRecord is what is stored of a chat itself.
type chatRecord struct {
	group   bool
	members int64
	name    codec.Text
}

func (c *chatRecord) encode() []byte {
	record := binary.AppendUvarint([]byte{recordVersion, flag(c.group)}, uint64(c.members))
	return append(record, c.name...)
}

func (c *chatRecord) decode(src []byte) error {
	r := recordReader{src: src}
	r.version()
	if group := r.bytes(1); r.err == nil {
		c.group = group[0] != 0
	}
	c.members = r.number()
	c.name = append(codec.Text(nil), r.src...)
	return r.err
}

func flag(is bool) byte {
	if is {
		return 1
	}
	return 0
}

func encodeName(name codec.Text) []byte { return append([]byte{recordVersion}, name...) }

// decodeName returns a copy of the name in a member's or an id's record.
func decodeName(src []byte) (codec.Text, error) {
	r := recordReader{src: src}
	r.version()
	return append(codec.Text(nil), r.src...), r.err
}

func encodeAccount(u *account) []byte {
	return append(append([]byte{recordVersion}, u.id[:]...), u.name...)
}

func decodeAccount(src []byte) (u account, err error) {
	r := recordReader{src: src}
	r.version()
	copy(u.id[:], r.bytes(16))
	u.name = append(codec.Text(nil), r.src...)
	return u, r.err
}

// recordReader takes a record apart; after the first fault it yields zeros.
type recordReader struct {
	src []byte // what is left
	err error
}

func (r *recordReader) version() {
	if v := r.bytes(1); r.err == nil && v[0] != recordVersion {
		r.fail()
	}
}

func (r *recordReader) bytes(n uint64) []byte {
	if n > uint64(len(r.src)) {
		r.fail()
		return nil
	}
	b := r.src[:n:n]
	r.src = r.src[n:]
	return b
}

// number reads a uvarint that is an int64 of 0 or above.
func (r *recordReader) number() int64 {
	v, n := binary.Uvarint(r.src)
	if n <= 0 || v > math.MaxInt64 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return int64(v)
}

func (r *recordReader) fail() { r.src, r.err = nil, errRecord }

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
