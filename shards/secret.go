package shards

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"

	"throng/codec"
)

const secretBytes = 32

// secret is the key of the data directory. Without it, tokens cannot be found
// and pairs cannot be found again.
type secret [secretBytes]byte

// mac is HMAC-SHA-256 (RFC 2104, FIPS 180-4).
type mac [sha256.Size]byte

// The first byte of what is hashed keeps the uses of the key apart.
const (
	tokenUse = 't'
	pairUse  = 'p'
	checkUse = 'c'
)

// token returns what stands for a token on disk.
func (s *secret) token(token int64) mac {
	return s.mac(binary.BigEndian.AppendUint64([]byte{tokenUse}, uint64(token)))
}

// pairChat returns the chat id of two users: the first 53 bits of the hash of
// their sorted ids and the attempt's number.
func (s *secret) pairChat(a, b uuid.UUID, attempt int) int64 {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	text := append(append([]byte{pairUse}, a[:]...), b[:]...)
	m := s.mac(binary.BigEndian.AppendUint64(text, uint64(attempt)))
	id := int64(binary.BigEndian.Uint64(m[:]) & codec.MaxChat)
	return max(id, 1) // 0 is no chat id
}

// check tells this key from any other, and nothing else of it.
func (s *secret) check() string {
	m := s.mac([]byte{checkUse})
	return hex.EncodeToString(m[:8])
}

func (s *secret) mac(text []byte) (m mac) {
	h := hmac.New(sha256.New, s[:])
	h.Write(text)
	h.Sum(m[:0])
	return m
}
