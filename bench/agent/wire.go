package agent

import (
	"bufio"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Both sides begin with a nonce in clear:
//
//	+-------------------+------------------+
//	| magic: "throng-1" | nonce: 32 bytes  |
//	+-------------------+------------------+
//
// From then on each message is
//
//	+----------------------+--------------+-----------------------+
//	| length: uint32, big- | MAC: 32      | body: `length` bytes, |
//	| endian, body only    | bytes        | a message in JSON     |
//	+----------------------+--------------+-----------------------+
//
// where the MAC is HMAC-SHA-256 over the message's number in its direction, the
// length and the body, under a key for that direction which HKDF derives from the
// secret and both nonces. Who does not know the secret can neither say anything
// nor repeat what was said. Nothing is encrypted.
const (
	magic      = "throng-1"
	nonceBytes = 32
	macBytes   = sha256.Size
	lenBytes   = 4

	maxMessage   = 128 << 20 // bytes: a corpus, or a report with its histograms
	maxUnknown   = 1 << 10   // bytes of the first message, from one who has not shown that it knows the secret
	greetTimeout = 10 * time.Second
	writeTimeout = 30 * time.Second

	// MinSecret is the least that a secret may have, in bytes.
	MinSecret = 16
)

// ErrSecret reports a peer that does not know the secret.
var ErrSecret = errors.New("the other side does not know the secret")

// link is an authenticated connection. One goroutine may receive while others send.
type link struct {
	conn net.Conn
	in   *bufio.Reader
	mu   sync.Mutex // guards out
	out  direction
	from direction
	met  bool // the peer has shown that it knows the secret
}

// direction is the key of one direction and how many messages went in it.
type direction struct {
	key  []byte
	sent uint64
}

// greet exchanges nonces. The side that dialled is the coordinator.
func greet(conn net.Conn, secret []byte, coordinator bool) (*link, error) {
	if err := conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return nil, fmt.Errorf("set the deadline: %w", err)
	}
	hello := append([]byte(magic), make([]byte, nonceBytes)...)
	_, _ = rand.Read(hello[len(magic):]) // it never fails
	if _, err := conn.Write(hello); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	other := make([]byte, len(hello))
	if _, err := io.ReadFull(conn, other); err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	if string(other[:len(magic)]) != magic {
		return nil, errors.New("the other side is no throng-bench of this version")
	}
	l := &link{conn: conn, in: bufio.NewReader(conn)}
	return l, errors.Join(l.derive(secret, hello, other, coordinator), conn.SetDeadline(time.Time{}))
}

// derive makes the keys of both directions.
func (l *link) derive(secret, ours, theirs []byte, coordinator bool) (err error) {
	salt, out, in := slices.Concat(ours, theirs), "to agent", "to coordinator"
	if !coordinator {
		salt, out, in = slices.Concat(theirs, ours), in, out
	}
	if l.out.key, err = hkdf.Key(sha256.New, secret, salt, out, sha256.Size); err != nil {
		return fmt.Errorf("derive a key: %w", err)
	}
	if l.from.key, err = hkdf.Key(sha256.New, secret, salt, in, sha256.Size); err != nil {
		return fmt.Errorf("derive a key: %w", err)
	}
	return nil
}

// mac is that of the direction's next message.
func (d *direction) mac(header, body []byte) []byte {
	h := hmac.New(sha256.New, d.key)
	h.Write(binary.BigEndian.AppendUint64(nil, d.sent))
	h.Write(header)
	h.Write(body)
	d.sent++
	return h.Sum(nil)
}

// send writes one message.
func (l *link) send(m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("a message of %d bytes is over the limit of %d", len(body), maxMessage)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	frame = append(frame, l.out.mac(frame, body)...)
	if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := l.conn.Write(append(frame, body...)); err != nil {
		return fmt.Errorf("send to %s: %w", l.conn.RemoteAddr(), err)
	}
	return nil
}

// receive reads one message. A wrong MAC is ErrSecret, and the end of the link.
func (l *link) receive() (m message, err error) {
	var head [lenBytes + macBytes]byte
	if _, err := io.ReadFull(l.in, head[:]); err != nil {
		return m, fmt.Errorf("receive from %s: %w", l.conn.RemoteAddr(), err)
	}
	length, most := binary.BigEndian.Uint32(head[:lenBytes]), uint32(maxMessage)
	if !l.met {
		most = maxUnknown
	}
	if length > most {
		return m, ErrSecret
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(l.in, body); err != nil {
		return m, fmt.Errorf("receive from %s: %w", l.conn.RemoteAddr(), err)
	}
	if !hmac.Equal(head[lenBytes:], l.from.mac(head[:lenBytes], body)) {
		return m, ErrSecret
	}
	l.met = true
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("a message from %s: %w", l.conn.RemoteAddr(), err)
	}
	return m, nil
}
