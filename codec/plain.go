package codec

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/bytedance/sonic/utf8"
)

// The plain way to read a reply: it takes what reply.go writes, byte by byte, and
// nothing else. Whatever it takes it has checked in full, but for the values of a
// page, which appendPlain checks. The cutters serve plain_request.go too.

// maxPlainDigits is how many digits a number may have here: as many as an int64.
const maxPlainDigits = 19

// getChatHead is how the page of a GetChat begins; others begin with success.
const getChatHead = `{"state_code":200,"content":{"values":[`

// readPlain reads a success, and reports whether the body is one in plain form.
func (a *Answer) readPlain(body []byte) bool {
	*a = Answer{State: StateOK, body: body}
	if values := after(body, getChatHead); values != nil {
		return a.beginPlain(values)
	}
	rest := after(body, success)
	if n := after(rest, `,"index":`); n != nil {
		a.Index, rest = cutInteger(n)
	} else if values := after(rest, `,"values":[`); values != nil {
		return a.beginPlain(values)
	} else if n := after(rest, `,"chat":`); n != nil {
		a.Chat, rest = cutInteger(n)
	} else if n := after(rest, `,"token":`); n != nil {
		a.Token, rest = cutInteger(n)
	} else if n := after(rest, `,"time":`); n != nil {
		a.Time, rest = cutInteger(n)
	}
	return string(rest) == "}}"
}

// sentHead is how the answer of a Send that has succeeded begins, in plain form.
const sentHead = success + `,"index":`

// ReadSent reads the index out of the answer to a Send, and reports whether that is
// a success in plain form. Where it is none, [Answer.Read] must tell what it is. An
// Answer is much to fill for a single number, with which a load is answered a
// million times a second.
func ReadSent(body []byte) (index int64, ok bool) {
	index, rest := cutInteger(after(body, sentHead))
	return index, string(rest) == "}}"
}

// beginPlain begins a page with what stands behind its bracket.
func (a *Answer) beginPlain(values []byte) bool {
	a.Paged, a.plain, a.values = true, true, values
	return bytes.HasSuffix(values, []byte(messagesTail))
}

// appendPlain appends the messages of values, which go to the end of the body,
// and reports whether they are all in plain form.
func appendPlain(dst []Shown, values []byte) ([]Shown, bool) {
	for rest := values; string(rest) != messagesTail; {
		dst = append(dst, Shown{})
		if rest = cutMessage(rest, &dst[len(dst)-1]); rest == nil {
			return dst, false
		}
		if next := after(rest, `,{`); next != nil {
			rest = rest[1:]
		} else if string(rest) != messagesTail {
			return dst, false
		}
	}
	return dst, true
}

// The cutters take a piece off rest, and return what is left: nil where the piece
// is not there, as it is of a nil rest, so that only the last needs a look.

// after takes a fixed piece.
func after(rest []byte, piece string) []byte {
	if len(rest) < len(piece) || string(rest[:len(piece)]) != piece {
		return nil
	}
	return rest[len(piece):]
}

// cutMessage takes one value of a page.
func cutMessage(rest []byte, m *Shown) []byte {
	m.Sender, rest = cutText(after(rest, `{"id":"`))
	if len(m.Sender) != uuidBytes {
		return nil
	}
	if name := after(rest, `,"name":"`); name != nil {
		m.Name, rest = cutText(name)
	}
	m.Text, rest = cutText(after(rest, `,"content":"`))
	m.Index, rest = cutInteger(after(rest, `,"index":`))
	m.Time, rest = cutInteger(after(rest, `,"time":`))
	return after(rest, `}`)
}

// cutInteger takes a number that is 0 or above.
func cutInteger(rest []byte) (n int64, left []byte) {
	var size int
	if len(rest) >= 24 {
		n, size = leadingInteger(rest)
	} else { // near the end of rest
		for size < len(rest) && rest[size]-'0' < 10 && size <= maxPlainDigits {
			n = n*10 + int64(rest[size]-'0')
			size++
		}
	}
	if size == 0 || size > maxPlainDigits || size > 1 && rest[0] == '0' || n < 0 { // 19 digits are below 2^64
		return 0, nil
	}
	return n, rest[size:]
}

// leadingInteger is what the digits at the beginning of 24 bytes write, and how many they
// are. More than maxPlainDigits are too many: what they write is not told. No word
// waits for how many digits the one before it has.
func leadingInteger(rest []byte) (n int64, digits int) {
	_ = rest[23]
	first, second := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
	if n, digits = leadingDigits(first); digits < 8 {
		return n, digits
	}
	value, more := leadingDigits(second)
	n = n*powers[more] + value
	if more < 8 {
		return n, 8 + more
	}
	value, more = leadingDigits(binary.LittleEndian.Uint64(rest[16:]))
	return n*powers[more] + value, 16 + more
}

// cutText takes a Text and the quote behind it.
func cutText(rest []byte) (Text, []byte) {
	n := textBytes(rest)
	if n < 0 {
		return nil, nil
	}
	return Text(rest[:n:n]), rest[n+1:]
}

// Eight bytes are looked at in one step: a byte times ones is a word of it.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// stops marks, by its high bit, each byte of w where a Text may end: a quote, a
// backslash, a control character. Only the lowest mark is sure. Flipping one bit
// swaps the quote with the space, next to the control characters, so that one
// comparison finds both.
func stops(w uint64) uint64 {
	low, back := w^('"'^' ')*ones, w^'\\'*ones
	return ((low-(' '+1)*ones)&^low | (back-ones)&^back) & highs
}

// powers of ten, by how many digits they make room for.
var powers = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// leadingDigits is the number that the first digits of w write, and how many they
// are. Shifted to the end, behind zeros, any number of them is worth what eight
// are: neighbours are joined into pairs, pairs into fours, fours into the whole.
func leadingDigits(w uint64) (value int64, digits int) {
	w ^= '0' * ones
	others := (w + (0x80-10)*ones | w) & highs // the lowest mark is right
	digits = bits.TrailingZeros64(others) / 8
	w <<= 64 - 8*digits
	w = w*10 + w>>8
	w = w&0xff*1e6 + w>>16&0xff*1e4 + w>>32&0xff*100 + w>>48&0xff
	return int64(w), digits
}

// textBytes is the length of the Text that s begins with, up to its quote; -1
// where there is none: no quote, invalid UTF-8, a control character, or an escape
// that is not canonical.
func textBytes(s []byte) int {
	wide := uint64(0)
	for i := 0; ; {
		n, seen := unescapedBytes(s[i:])
		i, wide = i+n, wide|seen
		switch {
		case i < len(s) && s[i] == '"' && (wide&highs == 0 || utf8.Validate(s[:i])):
			return i
		case i < len(s) && s[i] == '\\':
			n := canonicalEscapeBytes(s[i:])
			if n == 0 {
				return -1
			}
			i += n
		default:
			return -1
		}
	}
}

// unescapedBytes is how many bytes of s come before a stop. wide has a high bit
// where one of them, or maybe of the next eight, is not ASCII.
func unescapedBytes(s []byte) (n int, wide uint64) {
	rest := s
	for len(rest) >= 8 {
		w := binary.LittleEndian.Uint64(rest)
		wide |= w
		if stop := stops(w); stop != 0 {
			return len(s) - len(rest) + bits.TrailingZeros64(stop)/8, wide
		}
		rest = rest[8:]
	}
	for len(rest) > 0 && rest[0] >= ' ' && rest[0] != '"' && rest[0] != '\\' { // near the end of s
		wide |= uint64(rest[0])
		rest = rest[1:]
	}
	return len(s) - len(rest), wide
}

// canonicalEscapeBytes is the length of the escape that s begins with, 0 where a
// Text would have it in another form: see quote.
func canonicalEscapeBytes(s []byte) int {
	switch n := escapeBytes(s); {
	case n == 2 && bytes.IndexByte([]byte(`"\nrt`), s[1]) >= 0:
		return n
	case n == 6 && string(s[2:4]) == "00":
		return canonicalControl(s[4], s[5])
	}
	return 0
}

// canonicalControl judges the two last digits of a \u00…: lower case, of a
// control character that has no short form.
func canonicalControl(high, low byte) int {
	switch {
	case high == '0' && (low == '9' || low == 'a' || low == 'd'): // \t, \n, \r
		return 0
	case (high == '0' || high == '1') && (low <= '9' || low >= 'a'):
		return 6
	}
	return 0
}
