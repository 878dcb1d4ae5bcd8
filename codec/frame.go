package codec

import (
	"encoding/binary"
	"errors"
)

// A frame is a body behind its length:
//
//	+----------------------+-------------------------------+
//	| length: uint32, big- | body: `length` bytes of UTF-8 |
//	| endian, body only    | JSON, one object              |
//	+----------------------+-------------------------------+
const headerBytes = 4

// ErrFrameLength reports a frame of length 0 or over the limit. Nothing after
// it in the stream can be trusted.
var ErrFrameLength = errors.New("frame length is 0 or over the limit")

// Cutter cuts the frames out of one connection's stream of bytes. It holds at
// most one partial frame, and only the bytes of it that have come: a header
// that announces a megabyte costs nothing.
type Cutter struct {
	limit   int    // bytes of a body
	partial []byte // the start of a frame whose end has not come
	whole   bool   // partial was handed out as a frame by the last Cut
}

// NewCutter returns a Cutter for bodies of 1 to limit bytes.
func NewCutter(limit int) Cutter { return Cutter{limit: limit} }

// Partial reports whether a frame has begun whose end has not come.
func (c *Cutter) Partial() bool { return len(c.partial) > 0 && !c.whole }

// Held returns the bytes of memory that the Cutter holds.
func (c *Cutter) Held() int { return cap(c.partial) }

// Cut takes the next frame out of data, which continues the stream where the
// last call's rest ended. A nil body means that data holds no further whole
// frame: its bytes are kept, and rest is empty. The body aliases data or the
// Cutter and is valid until the next Cut. After ErrFrameLength the Cutter is of
// no more use.
func (c *Cutter) Cut(data []byte) (body, rest []byte, err error) {
	if c.whole { // the caller is done with it; keep no memory for idle connections
		c.partial, c.whole = nil, false
	}
	if len(c.partial) == 0 {
		n, err := c.span(data)
		if err != nil {
			return nil, nil, err
		}
		if n > 0 && n <= len(data) {
			return data[headerBytes:n:n], data[n:], nil
		}
		c.partial = append(c.partial, data...)
		return nil, nil, nil
	}
	return c.join(data)
}

// join completes the partial frame with the bytes of it that data brings.
func (c *Cutter) join(data []byte) (body, rest []byte, err error) {
	if missing := headerBytes - len(c.partial); missing > 0 {
		take := min(missing, len(data))
		c.partial, data = append(c.partial, data[:take]...), data[take:]
	}
	n, err := c.span(c.partial)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, nil
	}
	take := min(n-len(c.partial), len(data))
	c.partial, data = append(c.partial, data[:take]...), data[take:]
	if len(c.partial) < n {
		return nil, nil, nil
	}
	c.whole = true
	return c.partial[headerBytes:n:n], data, nil
}

// span returns the bytes, header and body, of the frame that buf begins with;
// 0 where the header has not come whole.
func (c *Cutter) span(buf []byte) (int, error) {
	if len(buf) < headerBytes {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(buf)
	if length == 0 || uint64(length) > uint64(c.limit) {
		return 0, ErrFrameLength
	}
	return headerBytes + int(length), nil
}

// AppendFrame appends body as a frame: what a client sends.
func AppendFrame(dst, body []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body)))
	return append(dst, body...)
}

// beginFrame leaves room for a header; endFrame, given the length of dst before
// it, fills the header in once the body is known.
func beginFrame(dst []byte) []byte { return append(dst, 0, 0, 0, 0) }

func endFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-headerBytes))
	return dst
}
