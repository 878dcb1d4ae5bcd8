package codec

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"github.com/google/uuid"
)

// A request is a frame that holds {"service_code":N,"content":{...}}: what a
// client sends, and [Decoder] reads. Each appender below appends one whole frame
// to dst and returns it, like append. Texts are spliced as they are, and no value
// is held against its range: the server does that.

// AppendLoginRequest appends a Login.
func AppendLoginRequest(dst []byte, id uuid.UUID, token int64) []byte {
	start := len(dst)
	dst = append(appendRequest(dst, Login), `"id":"`...)
	dst = append(appendID(dst, id), `","token":`...)
	return endRequest(appendNumber(dst, token), start)
}

// AppendRegisterRequest appends a Register. A token of 0 asks the server for one;
// an empty name leaves the user with its id as name.
func AppendRegisterRequest(dst []byte, id uuid.UUID, token int64, name Text) []byte {
	start := len(dst)
	dst = append(appendRequest(dst, Register), `"id":"`...)
	dst = append(appendID(dst, id), '"')
	if token != 0 {
		dst = appendNumber(append(dst, `,"token":`...), token)
	}
	if len(name) > 0 {
		dst = append(append(dst, `,"name":"`...), name...)
		dst = append(dst, '"')
	}
	return endRequest(dst, start)
}

// AppendReadRequest appends a GetChat or a Receive: at most count messages from
// index on, backwards or forwards.
func AppendReadRequest(dst []byte, service Service, token, chat, index int64, count int) []byte {
	start := len(dst)
	dst = appendChat(appendToken(dst, service, token), chat)
	dst = appendNumber(append(dst, `,"index":`...), index)
	dst = appendNumber(append(dst, `,"count":`...), int64(count))
	return endRequest(dst, start)
}

// AppendFindRequest appends a FindChats: at most count chats whose ids are above
// after.
func AppendFindRequest(dst []byte, token, after int64, count int) []byte {
	start := len(dst)
	dst = appendToken(dst, FindChats, token)
	dst = appendNumber(append(dst, `,"after":`...), after)
	dst = appendNumber(append(dst, `,"count":`...), int64(count))
	return endRequest(dst, start)
}

// AppendSendRequest appends a Send. An empty ref is left out: sent again, the
// message then stands twice.
func AppendSendRequest(dst []byte, token, chat int64, text, ref Text) []byte {
	tokenDigits, chatDigits := DigitsOf(token), DigitsOf(chat)
	return AppendSend(dst, &tokenDigits, &chatDigits, text, ref)
}

// AppendSend is AppendSendRequest for who sends again and again as the same users
// to the same chats: their digits would be a third of what a request costs.
func AppendSend(dst []byte, token, chat *Digits, text, ref Text) []byte {
	start := len(dst)
	dst = append(beginFrame(dst), `{"service_code":5,"content":{"token":`...)
	dst = append(token.append(dst), `,"chat":`...)
	dst = append(chat.append(dst), `,"msg":"`...)
	dst = append(dst, text...)
	if len(ref) > 0 {
		dst = append(append(dst, `","ref":"`...), ref...)
	}
	return endFrame(append(dst, `"}}`...), start)
}

// AppendJoinRequest appends a Join.
func AppendJoinRequest(dst []byte, token, chat int64) []byte {
	start := len(dst)
	return endRequest(appendChat(appendToken(dst, Join, token), chat), start)
}

// AppendCreateRequest appends a Create: a group, or the pair of the asking user
// and the one of members.
func AppendCreateRequest(dst []byte, token int64, name Text, isGroup bool, members []uuid.UUID) []byte {
	start := len(dst)
	dst = append(appendToken(dst, Create, token), `,"name":"`...)
	dst = append(append(dst, name...), `","is_group":`...)
	dst = append(strconv.AppendBool(dst, isGroup), `,"member":[`...)
	for i, id := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":"`...)
		dst = append(appendID(dst, id), `"}`...)
	}
	return endRequest(append(dst, ']'), start)
}

// AppendPingRequest appends a Ping.
func AppendPingRequest(dst []byte) []byte {
	start := len(dst)
	return endRequest(appendRequest(dst, Ping), start)
}

// appendRequest begins a request up to its first field; endRequest ends it.
func appendRequest(dst []byte, service Service) []byte {
	dst = append(beginFrame(dst), `{"service_code":`...)
	dst = appendNumber(dst, int64(service))
	return append(dst, `,"content":{`...)
}

func endRequest(dst []byte, start int) []byte { return endFrame(append(dst, "}}"...), start) }

// appendToken begins a request of a user.
func appendToken(dst []byte, service Service, token int64) []byte {
	return appendNumber(append(appendRequest(dst, service), `"token":`...), token)
}

func appendChat(dst []byte, chat int64) []byte {
	return appendNumber(append(dst, `,"chat":`...), chat)
}

// appendNumber appends a number in digits. Tokens and chat ids are long, and one by
// one their digits would be half of what a request costs: eight are made at once.
func appendNumber(dst []byte, n int64) []byte {
	switch {
	case n < 0:
		return strconv.AppendInt(dst, n, 10)
	case n >= 1e8:
		return binary.LittleEndian.AppendUint64(appendNumber(dst, n/1e8), digitsOfEight(uint64(n%1e8)))
	}
	digits := digitsOfEight(uint64(n))
	zeros := bits.TrailingZeros64(digits&(0x0f*ones)|1<<56) / 8 // in front; the last digit always counts
	dst = binary.LittleEndian.AppendUint64(dst, digits>>(8*zeros))
	return dst[:len(dst)-zeros]
}

// digitsOfEight writes n, below 1e8, in eight digits, the first one lowest: it is
// split into two fours, each into two pairs, each into two digits, in lanes of one
// word. The divisions are by multiplying and shifting, exact for numbers so small.
func digitsOfEight(n uint64) uint64 {
	w := n/1e4 | n%1e4<<32
	pairs := w * 5243 >> 19 & (0x7f * (1<<32 + 1)) // by 100
	w = pairs | (w-pairs*100)<<16
	tens := w * 103 >> 10 & (0x0f * (1<<48 + 1<<32 + 1<<16 + 1)) // by 10
	return (tens | (w-tens*10)<<8) + '0'*ones
}

// Digits is a number as requests write it, for one that many requests repeat: its
// digits and sign from the first byte on, and how many they are in the last.
type Digits [24]byte

// DigitsOf returns the digits of n.
func DigitsOf(n int64) (d Digits) {
	d[len(d)-1] = byte(copy(d[:], appendNumber(nil, n)))
	return d
}

// append appends the digits. It writes all of d and takes back what is too much:
// three words are written faster than as many bytes as there are digits.
func (d *Digits) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, binary.LittleEndian.Uint64(d[:8]))
	dst = binary.LittleEndian.AppendUint64(dst, binary.LittleEndian.Uint64(d[8:16]))
	dst = binary.LittleEndian.AppendUint64(dst, binary.LittleEndian.Uint64(d[16:]))
	return dst[:len(dst)-len(d)+int(d[len(d)-1])]
}
