package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// feed gives the pieces of a stream to c as a connection does, one read each,
// and returns copies of the frames that it cuts.
func feed(c *Cutter, pieces ...[]byte) (frames []string, err error) {
	for _, data := range pieces {
		for {
			body, rest, err := c.Cut(data)
			if err != nil {
				return frames, err
			}
			if body == nil {
				break
			}
			frames = append(frames, string(body))
			data = rest
		}
	}
	return frames, nil
}

// frame is body as a frame.
func frame(body string) []byte { return AppendFrame(nil, []byte(body)) }

// header announces a body of length bytes and brings none.
func header(length uint32) []byte { return binary.BigEndian.AppendUint32(nil, length) }

// bytewise splits stream into pieces of one byte.
func bytewise(stream []byte) [][]byte { return slices.Collect(slices.Chunk(stream, 1)) }

const cutLimit = 8 // bytes of a body in these tests

func TestCutterCutsAStreamIntoItsFrames(t *testing.T) {
	tests := []struct {
		name    string
		pieces  [][]byte
		frames  []string
		partial bool
		err     error
	}{
		{name: "nothing", pieces: [][]byte{nil, {}}},
		{name: "one frame in one read", pieces: [][]byte{frame("hello")}, frames: []string{"hello"}},
		{
			name:   "several frames in one read",
			pieces: [][]byte{slices.Concat(frame("a"), frame("bc"), frame("def"))},
			frames: []string{"a", "bc", "def"},
		},
		{
			name:    "a read that ends inside the second frame",
			pieces:  [][]byte{slices.Concat(frame("a"), frame("bcd")[:6])},
			frames:  []string{"a"},
			partial: true,
		},
		{
			name:   "a read that ends one frame and holds another two",
			pieces: [][]byte{frame("abc")[:5], slices.Concat(frame("abc")[5:], frame("d"), frame("e"))},
			frames: []string{"abc", "d", "e"},
		},
		{
			name:   "a header split over three reads",
			pieces: [][]byte{{0}, {0, 0}, {2, 'h', 'i'}},
			frames: []string{"hi"},
		},
		{
			name:   "reads that bring nothing between those that do",
			pieces: [][]byte{{0, 0}, nil, {0, 2}, nil, {'h'}, nil, {'i'}, nil},
			frames: []string{"hi"},
		},
		{
			name:   "header and body in a read each",
			pieces: [][]byte{header(2), []byte("hi"), header(2), []byte("ho")},
			frames: []string{"hi", "ho"},
		},
		{name: "one byte at a time", pieces: bytewise(slices.Concat(frame("ab"), frame("c"))), frames: []string{"ab", "c"}},
		{name: "a body of one byte", pieces: [][]byte{frame("x")}, frames: []string{"x"}},
		{name: "a body at the limit", pieces: [][]byte{frame("12345678")}, frames: []string{"12345678"}},
		{name: "a body that is not JSON", pieces: [][]byte{frame("\x00\xff\n")}, frames: []string{"\x00\xff\n"}},
		{name: "a header not yet whole", pieces: [][]byte{{0xff, 0xff, 0xff}}, partial: true},
		{name: "a body not yet begun", pieces: [][]byte{header(8)}, partial: true},

		{name: "length 0", pieces: [][]byte{header(0)}, err: ErrFrameLength},
		{name: "length 0 behind a frame", pieces: [][]byte{slices.Concat(frame("a"), header(0), frame("b"))}, frames: []string{"a"}, err: ErrFrameLength},
		{name: "length 0, one byte at a time", pieces: bytewise(header(0)), err: ErrFrameLength},
		{name: "one over the limit", pieces: [][]byte{frame("123456789")}, err: ErrFrameLength},
		{name: "one over the limit, its header split", pieces: [][]byte{{0, 0}, {0, 9}}, err: ErrFrameLength},
		{name: "the longest length", pieces: [][]byte{header(math.MaxUint32)}, err: ErrFrameLength},
		{name: "a length with the sign bit", pieces: [][]byte{header(1 << 31)}, err: ErrFrameLength},
		{name: "an HTTP request", pieces: [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}, err: ErrFrameLength},
		{name: "a TLS hello", pieces: [][]byte{{0x16, 0x03, 0x01, 0x02, 0x00, 0x01}}, err: ErrFrameLength},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := NewCutter(cutLimit)
			frames, err := feed(&c, test.pieces...)
			if !slices.Equal(frames, test.frames) || !errors.Is(err, test.err) {
				t.Fatalf("cut %q, %v; want %q, %v", frames, err, test.frames, test.err)
			}
			if err == nil && c.Partial() != test.partial {
				t.Errorf("Partial() = %v, want %v", c.Partial(), test.partial)
			}
		})
	}
}

func TestCutterDoesNotCareWhereAStreamIsSplit(t *testing.T) {
	bodies := []string{"a", "12345678", "{}", "中", "xyz"}
	var stream []byte
	for _, body := range bodies {
		stream = append(stream, frame(body)...)
	}
	for i := range len(stream) + 1 {
		for j := i; j <= len(stream); j++ {
			c := NewCutter(cutLimit)
			frames, err := feed(&c, stream[:i], stream[i:j], stream[j:])
			if err != nil || !slices.Equal(frames, bodies) || c.Partial() {
				t.Fatalf("split at %d and %d: cut %q, %v, partial %v", i, j, frames, err, c.Partial())
			}
		}
	}
}

func TestCutterIsPartialFromAFramesFirstByteToItsLast(t *testing.T) {
	c := NewCutter(cutLimit)
	if c.Partial() {
		t.Fatal("partial before the first byte")
	}
	stream := slices.Concat(frame("abc"), frame("de"))
	ends := []int{7, 13}
	for i, b := range stream {
		body, rest, err := c.Cut([]byte{b})
		whole := slices.Contains(ends, i+1)
		if err != nil || (body != nil) != whole || len(rest) > 0 {
			t.Fatalf("byte %d: body %q, rest %q, %v", i, body, rest, err)
		}
		if c.Partial() == whole {
			t.Errorf("byte %d: Partial() = %v", i, c.Partial())
		}
	}
	if body, rest, err := c.Cut(nil); body != nil || rest != nil || err != nil || c.Partial() {
		t.Errorf("after the last frame: body %q, rest %q, %v, partial %v", body, rest, err, c.Partial())
	}
}

// A frame that came in pieces is the Cutter's own copy: the reads' buffers are
// used again while the frame is being served.
func TestCutterKeepsABodyUntilTheNextCut(t *testing.T) {
	c := NewCutter(cutLimit)
	read := make([]byte, 0, 16)
	cut := func(piece []byte) (body, rest []byte) {
		t.Helper()
		read = append(read[:0], piece...)
		body, rest, err := c.Cut(read)
		if err != nil {
			t.Fatal(err)
		}
		return body, slices.Clone(rest)
	}
	cut(frame("first")[:6])
	body, rest := cut(slices.Concat(frame("first")[6:], frame("second")))
	clear(read[:cap(read)])
	if string(body) != "first" {
		t.Fatalf("body is %q once the read's buffer was cleared", body)
	}
	second, _ := cut(rest)
	if string(second) != "second" {
		t.Fatalf("the next body is %q", second)
	}
}

// A body's capacity ends with it, so that appending to it cannot run into the
// frame behind.
func TestCutterHandsOutBodiesThatDoNotOverlap(t *testing.T) {
	stream := slices.Concat(frame("ab"), frame("cd"), frame("ef"))
	for _, pieces := range [][][]byte{{stream}, {stream[:5], stream[5:]}} {
		c := NewCutter(cutLimit)
		for _, data := range pieces {
			body, rest, err := c.Cut(slices.Clone(data))
			for ; body != nil; body, rest, err = c.Cut(rest) {
				if cap(body) != len(body) {
					t.Errorf("body %q has room for %d bytes more", body, cap(body)-len(body))
				}
				if len(body) != 2 {
					t.Errorf("body %q", body)
				}
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCutterPaysOnlyForBytesThatHaveCome(t *testing.T) {
	t.Run("a header that announces a megabyte", func(t *testing.T) {
		c := NewCutter(1 << 20)
		if _, err := feed(&c, header(1<<20)); err != nil {
			t.Fatal(err)
		}
		if cap(c.partial) > 64 {
			t.Errorf("keeps %d bytes for 4", cap(c.partial))
		}
	})
	t.Run("whole frames", func(t *testing.T) {
		c := NewCutter(1 << 20)
		stream := slices.Concat(frame("one"), frame("two"))
		if n := testing.AllocsPerRun(100, func() {
			data := stream
			for {
				body, rest, err := c.Cut(data)
				if err != nil {
					t.Fatal(err)
				}
				if body == nil {
					return
				}
				data = rest
			}
		}); n != 0 {
			t.Errorf("%v allocations a read of whole frames", n)
		}
	})
	t.Run("an idle connection", func(t *testing.T) {
		c := NewCutter(1 << 20)
		long := frame(strings.Repeat("x", 1<<20))
		if frames, err := feed(&c, long[:99], long[99:]); err != nil || len(frames) != 1 {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		if cap(c.partial) != 0 {
			t.Errorf("keeps %d bytes after the last frame", cap(c.partial))
		}
	})
}

func TestAppendFrameIsWhatCutReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bodies := rapid.SliceOf(rapid.StringN(1, -1, 300)).Draw(t, "bodies")
		stream := []byte("kept")
		for _, body := range bodies {
			stream = AppendFrame(stream, []byte(body))
		}
		rest, found := bytes.CutPrefix(stream, []byte("kept"))
		c := NewCutter(300)
		frames, err := feed(&c, rest)
		if !found || err != nil || !slices.Equal(frames, bodies) || c.Partial() {
			t.Fatalf("%q came back as %q, %v, partial %v", bodies, frames, err, c.Partial())
		}
	})
}

// FuzzCutter: a stream gives the same frames, the same error and the same
// partial end however it is split, and they are the ones that the format says.
func FuzzCutter(f *testing.F) {
	f.Add(slices.Concat(frame("a"), frame("12345678"), frame("{}")), []byte{1, 3, 9})
	f.Add(slices.Concat(frame("ab"), header(0), frame("c")), []byte{5})
	f.Add(slices.Concat(frame("ab"), header(9)), []byte{0, 8, 1})
	f.Add(slices.Concat(frame("ab"), header(math.MaxUint32)), []byte{2, 2, 2, 2})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{1})
	f.Add(frame("abc")[:6], []byte{4})
	f.Fuzz(func(t *testing.T, stream, lengths []byte) {
		want, wantPartial, wantErr := cutWhole(stream)
		for _, pieces := range [][][]byte{{stream}, bytewise(stream), split(stream, lengths)} {
			c := NewCutter(cutLimit)
			frames, err := feed(&c, pieces...)
			if !slices.Equal(frames, want) || !errors.Is(err, wantErr) {
				t.Errorf("%q: cut %q, %v; want %q, %v", pieces, frames, err, want, wantErr)
			}
			if err == nil && c.Partial() != wantPartial {
				t.Errorf("%q: Partial() = %v", pieces, c.Partial())
			}
		}
	})
}

// cutWhole cuts a stream that is there whole.
func cutWhole(stream []byte) (frames []string, partial bool, err error) {
	for len(stream) >= 4 {
		n := int(binary.BigEndian.Uint32(stream))
		if n < 1 || n > cutLimit {
			return frames, false, ErrFrameLength
		}
		if len(stream) < 4+n {
			break
		}
		frames, stream = append(frames, string(stream[4:4+n])), stream[4+n:]
	}
	return frames, len(stream) > 0, nil
}

// split cuts stream into pieces of the given lengths, and the rest.
func split(stream, lengths []byte) (pieces [][]byte) {
	for _, n := range lengths {
		n := min(int(n), len(stream))
		pieces, stream = append(pieces, stream[:n]), stream[n:]
	}
	return append(pieces, stream)
}
