package load

import (
	"fmt"
	"math/rand/v2"
	"unicode/utf8"

	"throng/codec"
)

// A text is an id, unique in the run, and a body from a pool:
//
//	+--------------------------+-------+----------------------+
//	| id: 60 bits, 10 letters  | space | body, escaped        |
//	| of base64url, high first |       |                      |
//	+--------------------------+-------+----------------------+
//
// or a body alone, where texts need not be told apart.
const (
	IDBytes = idLetters + 1 // of a text's id and the space behind it
	IDBits  = idLetters * letterBits

	idLetters  = 10
	letterBits = 6
	letters    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" // RFC 4648, section 5
)

// The pool of bodies.
const (
	// PoolBytes bounds the bodies of a pool, unescaped. Escapes come on top: none
	// for most texts, five times as much for one of control characters only.
	PoolBytes = 16 << 20

	// maxBodies bounds the bodies of a pool. There are fewer where PoolBytes are not
	// enough: 256 of 64 KiB, 16 of 1 MiB. Of so many a block of 32 KiB that a store
	// compresses hardly ever meets one twice.
	maxBodies = 1 << 14

	textStream = 0x7465787473 // apart from the streams of sessions
)

// TextConfig says what texts are made of.
type TextConfig struct {
	Sizes Sizes    // of whole texts, unescaped
	Lines []string // that bodies are cut from; none: they are made up in several languages
	Seed  uint64   // of the bodies
	IDs   bool     // each text begins with its id; they then have IDBytes at least
}

// Texts makes the texts of messages out of a pool of bodies that is made once, and
// does not change. It is dealt from: see Deal.
type Texts struct {
	ids    bool
	bodies []byte   // one behind the other, escaped
	ends   []uint32 // where each ends in bodies; one more than there are: the first is 0
}

// NewTexts fills a pool.
func NewTexts(c TextConfig) (*Texts, error) { return newTexts(c, PoolBytes) }

func newTexts(c TextConfig, poolBytes int) (*Texts, error) {
	if err := c.Sizes.check(); err != nil {
		return nil, err
	}
	if c.IDs {
		if c.Sizes.Min < IDBytes {
			return nil, fmt.Errorf("texts that can be told apart have %d bytes at least, not %d", IDBytes, c.Sizes.Min)
		}
		c.Sizes.Min -= IDBytes
		c.Sizes.Max -= IDBytes
	}
	fill, err := c.source()
	if err != nil {
		return nil, err
	}
	t := &Texts{ids: c.IDs, ends: []uint32{0}}
	if err := t.fill(c.Sizes.spread(poolBytes), fill, NewRand(c.Seed, textStream)); err != nil {
		return nil, fmt.Errorf("make texts: %w", err)
	}
	return t, nil
}

// source appends size bytes at least of text.
type source func(dst []byte, size int, rng *rand.Rand) []byte

func (c *TextConfig) source() (source, error) {
	if len(c.Lines) == 0 {
		return newScript().append, nil
	}
	for i, line := range c.Lines {
		if line == "" || !utf8.ValidString(line) {
			return nil, fmt.Errorf("line %d of the corpus is empty or no UTF-8", i+1)
		}
	}
	return lines(c.Lines).append, nil
}

// lines is a corpus.
type lines []string

// append begins at any line and goes on through those behind it, so that a long
// text is as coherent as the corpus.
func (l lines) append(dst []byte, size int, rng *rand.Rand) []byte {
	at, end := rng.IntN(len(l)), len(dst)+size
	for dst = append(dst, l[at]...); len(dst) < end; dst = append(dst, l[at]...) {
		at = (at + 1) % len(l)
		dst = append(dst, ' ')
	}
	return dst
}

// spread returns the sizes of the bodies of a pool: as many as fit in, evenly over
// the range with both its ends. That is as good as drawing them, since they are
// shuffled, and better where they are few.
func (s Sizes) spread(poolBytes int) []int {
	mean := max((s.Min+s.Max+1)/2, 1)
	list := make([]int, min(maxBodies, poolBytes/mean))
	width, count := s.Max-s.Min+1, len(list)
	for i := range list {
		if count >= width {
			list[i] = s.Min + i*width/count
		} else {
			list[i] = s.Min + i*(width-1)/(count-1)
		}
	}
	return list
}

// fill makes the bodies, in any order of their sizes.
func (t *Texts) fill(sizes []int, from source, rng *rand.Rand) error {
	rng.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	sum := 0
	for _, size := range sizes {
		sum += size
	}
	t.bodies = make([]byte, 0, sum+sum/8) // room for escapes, of which most texts have few
	var body []byte
	for _, size := range sizes {
		body = cut(from(body[:0], size, rng), size)
		text, err := codec.NewText(string(body))
		if err != nil {
			return err
		}
		t.bodies = append(t.bodies, text...)
		t.ends = append(t.ends, uint32(len(t.bodies)))
	}
	return nil
}

// cut returns the first size bytes of text, a rune that would be torn replaced by
// dots. text has size bytes at least.
func cut(text []byte, size int) []byte {
	if len(text) == size {
		return text
	}
	end := size
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	for text = text[:end]; len(text) < size; {
		text = append(text, '.')
	}
	return text
}

// Deal is one session's way through the bodies. It deals them in their order: were
// each drawn, it would cost a miss or two of the processor's cache, which is more
// than all else that a session does for a message.
type Deal struct {
	texts *Texts
	next  int // body
	ids   idText
}

// Deal begins at a body that rng draws.
func (t *Texts) Deal(rng *rand.Rand) Deal {
	return Deal{texts: t, next: rng.IntN(len(t.ends) - 1), ids: newIDText(0)}
}

// Append appends a text: with the lowest IDBits of id, where texts have ids, and
// the next body. What it appends is a codec.Text.
func (d *Deal) Append(dst []byte, id uint64) codec.Text {
	t, i := d.texts, d.next
	if d.next++; d.next == len(t.ends)-1 {
		d.next = 0
	}
	if t.ids {
		dst = d.ids.append(dst, id)
	}
	return append(dst, t.bodies[t.ends[i]:t.ends[i+1]]...)
}

// idText writes ids. A session's follow one another, and of their letters mostly the
// last alone changes: the others are kept.
type idText struct {
	upper   uint64 // the id without its last letter's bits
	letters [idLetters - 1]byte
}

func newIDText(id uint64) idText {
	t := idText{upper: id >> letterBits}
	for i := range t.letters {
		t.letters[i] = letters[id>>(IDBits-letterBits*(i+1))%uint64(len(letters))]
	}
	return t
}

// append appends an id and the space behind it.
func (t *idText) append(dst []byte, id uint64) []byte {
	if id>>letterBits != t.upper {
		*t = newIDText(id)
	}
	return append(append(dst, t.letters[:]...), letters[id%uint64(len(letters))], ' ')
}
