package throng

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"throng/codec"
)

// chunks gives its pieces one a read, in as many reads as the buffer wants.
type chunks struct{ pieces [][]byte }

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	if c.pieces[0] = c.pieces[0][n:]; len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	return n, nil
}

// However the stream is split, the frames are those that were sent.
func TestFramesComeWholeHoweverTheyAreSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(1, 100), rapid.IntRange(1, 3*firstBytes), rapid.IntRange(keepBytes-9, keepBytes+9))
		var stream []byte
		var want [][]byte
		for i := range rapid.IntRange(1, 8).Draw(t, "frames") {
			body := bytes.Repeat([]byte{byte('a' + i)}, size.Draw(t, "size"))
			stream, want = codec.AppendFrame(stream, body), append(want, body)
		}
		var from chunks
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 9), rapid.IntRange(1, 1<<20)).Draw(t, "piece"))
			from.pieces, rest = append(from.pieces, rest[:n]), rest[n:]
		}
		f, lent := newFrames(&from, rapid.IntRange(0, 1000).Draw(t, "window")), []byte(nil)
		if rapid.Bool().Draw(t, "borrows") {
			lent = make([]byte, firstBytes)
		}
		for i, body := range want {
			if got, err := followingIn(&f, lent); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("frame %d has %d bytes, %v; want %d", i, len(got), err, len(body))
			}
		}
		if body, err := following(&f); body != nil || !errors.Is(err, errHungUp) {
			t.Fatalf("behind the last frame come %q, %v", body, err)
		}
	})
}

// following waits for the next frame.
func following(f *frames) (body []byte, err error) { return followingIn(f, nil) }

// followingIn reads into a buffer that others write to between two reads.
func followingIn(f *frames, lent []byte) (body []byte, err error) {
	for {
		if body, err := f.next(); body != nil || err != nil {
			return body, err
		}
		if lent != nil {
			f.giveBack()
			clear(lent)
			f.borrow(lent)
		}
		if err := f.fill(); err != nil {
			return nil, err
		}
	}
}

func TestTheBufferGrowsWithWhatComesAndIsGivenUpAfterwards(t *testing.T) {
	huge := bytes.Repeat([]byte("x"), 2<<20)
	small := codec.AppendFrame(nil, []byte("small"))
	from := &chunks{pieces: [][]byte{small, codec.AppendFrame(nil, huge), small, small}}
	f := newFrames(from, 1)
	for i, want := range []struct {
		body  []byte
		limit int // of the buffer, then
	}{{[]byte("small"), firstBytes}, {huge, 4 << 20}, {[]byte("small"), firstBytes}, {[]byte("small"), firstBytes}} {
		body, err := following(&f)
		if err != nil || !bytes.Equal(body, want.body) || len(f.buf) > want.limit {
			t.Fatalf("frame %d has %d bytes, %v, in a buffer of %d; want %d in %d at most", i, len(body), err, len(f.buf), len(want.body), want.limit)
		}
	}
	announced := newFrames(&chunks{pieces: [][]byte{{0x3f, 0xff, 0xff, 0xff}, []byte("a little")}}, 1)
	if _, err := following(&announced); !errors.Is(err, errHungUp) || len(announced.buf) > 4*firstBytes {
		t.Errorf("a frame that was only announced ends with %v and a buffer of %d bytes", err, len(announced.buf))
	}
}

func TestAReadErrorIsPassedOn(t *testing.T) {
	bad := errors.New("bad line")
	f := newFrames(iotest.ErrReader(bad), 1)
	if _, err := following(&f); !errors.Is(err, bad) {
		t.Errorf("ends with %v, want %v", err, bad)
	}
}
