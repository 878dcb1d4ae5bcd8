package throng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The sizes of a connection's read buffer, in bytes. It starts small, since there
// may be ten thousand of them, and doubles.
const (
	answerBytes = 96        // a short answer has less
	firstBytes  = 4 << 10   // to begin with, at least
	readBytes   = 64 << 10  // grown to, where reads fill it
	keepBytes   = 256 << 10 // a larger one, grown for one long frame, is given up after it

	headerBytes = 4
	maxBytes    = 1 << 30 // of a frame: what a server can be told to allow; beyond it the stream is no Throng's
)

var errHungUp = errors.New("the server has closed the connection")

// frames cuts a connection's stream into frames, in one buffer. It belongs to one
// goroutine.
type frames struct {
	from       io.Reader
	least      int // bytes of the buffer
	buf        []byte
	start, end int  // what has come and is not yet cut
	full       bool // the last read filled the buffer
	lent       bool // the buffer is another's
}

// newFrames makes room for the short answers of a whole window, within bounds. A
// read that took a part of them would leave a small rest to the next one, which
// costs as much; and in a closed loop what was once answered in two parts is asked
// in two from then on.
func newFrames(from io.Reader, window int) frames {
	return frames{from: from, least: min(max(firstBytes, window*answerBytes), readBytes)}
}

// next cuts the next frame. A nil body means that none has come whole: fill, and
// try again. The body is valid until fill.
func (f *frames) next() (body []byte, err error) {
	held := f.buf[f.start:f.end]
	size, err := frameBytes(held)
	if err != nil || size == 0 || size > len(held) {
		return nil, err
	}
	f.start += size
	return held[headerBytes:size:size], nil
}

// fill reads once. What was cut before is gone.
func (f *frames) fill() error {
	f.makeRoom()
	n, err := f.from.Read(f.buf[f.end:])
	f.end += n
	f.full = f.end == len(f.buf)
	switch {
	case n > 0:
		return nil // an error comes again
	case errors.Is(err, io.EOF):
		return errHungUp
	default:
		return err
	}
}

// borrow reads into another's buffer until giveBack, where what is held is little:
// of a long frame the rest comes into a buffer of its own.
func (f *frames) borrow(buf []byte) {
	if held := f.end - f.start; held <= len(buf)/2 {
		copy(buf, f.buf[f.start:f.end])
		f.buf, f.start, f.end, f.lent = buf, 0, held, true
	}
}

// giveBack keeps what is held in memory of its own: none where that is nothing.
func (f *frames) giveBack() {
	if held := f.buf[f.start:f.end]; f.lent || len(held) == 0 {
		f.buf, f.start, f.end, f.lent = append([]byte(nil), held...), 0, len(held), false
	}
}

// makeRoom moves what is held to the buffer's start, and sees that there is room
// behind it. The buffer only doubles, whatever a header announces: it grows with
// the bytes that come.
func (f *frames) makeRoom() {
	held := f.buf[f.start:f.end]
	size := max(len(f.buf), f.least)
	switch need, _ := frameBytes(held); {
	case len(held) == 0 && size > keepBytes:
		size = f.least
	case need > len(f.buf), f.full && len(f.buf) < readBytes:
		size = max(2*len(f.buf), f.least)
	}
	if size == len(f.buf) {
		copy(f.buf, held)
	} else {
		f.buf, f.lent = append(make([]byte, 0, size), held...)[:size], false
	}
	f.start, f.end = 0, len(held)
}

// frameBytes is the size, with its header, of the frame that held begins with; 0
// where the header has not come whole.
func frameBytes(held []byte) (int, error) {
	if len(held) < headerBytes {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(held)
	if length == 0 || length > maxBytes {
		return 0, fmt.Errorf("a frame of %d bytes: this is no Throng", length)
	}
	return headerBytes + int(length), nil
}
