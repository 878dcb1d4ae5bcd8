package load

import (
	"bytes"
	"compress/flate"
	"slices"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// blockBytes is about what a store compresses at a time.
const blockBytes = 32 << 10

// ratio returns how much smaller text becomes, block by block.
func ratio(t *testing.T, text []byte, compress func(block []byte) int) float64 {
	t.Helper()
	whole, small := 0, 0
	for block := range slices.Chunk(text, blockBytes) {
		whole += len(block)
		small += compress(block)
	}
	return float64(whole) / float64(small)
}

func flateSize(t *testing.T) func(block []byte) int {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	return func(block []byte) int {
		out.Reset()
		w.Reset(&out)
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Len()
	}
}

func zstdSize(t *testing.T) func(block []byte) int {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return func(block []byte) int { return len(w.EncodeAll(block, nil)) }
}

// messages returns a quarter of a MiB of messages in one language, a line each.
func messages(s *script, l *language) (text []byte) {
	rng := NewRand(1, 1)
	for len(text) < 8*blockBytes {
		text = append(s.message(text, l, rng), '\n')
	}
	return text
}

// Made-up text compresses as much as real text does. The bands are those of
// sentences of real blogs and forums, in order and shuffled, deflated in blocks of
// 32 KiB: Chinese 1.7-2.1, Japanese 2.2-2.6, Russian 2.6-2.9, Hebrew 2.3-2.8 (for
// Arabic, of which we had none), Hungarian 2.1-2.4 (for Spanish), English prose
// 2.2-2.8 and chats a bit less; of five languages mixed 1.8. Devanagari, at three
// bytes a character of which one tells something, is far above all.
func TestScriptCompressesAsRealTextDoes(t *testing.T) {
	s := newScript()
	bands := []struct {
		what      string
		low, high float64
	}{
		{"English", 2.1, 2.8},
		{"Spanish", 2.0, 2.5},
		{"Russian", 2.5, 3.1},
		{"Chinese", 1.7, 2.1},
		{"Japanese", 2.2, 2.6},
		{"Arabic", 2.3, 3.1},
		{"Hindi", 3.0, 4.2},
	}
	if len(bands) != len(s.languages) {
		t.Fatalf("%d languages, %d bands", len(s.languages), len(bands))
	}
	for i, band := range bands {
		text := messages(s, &s.languages[i])
		if got := ratio(t, text, flateSize(t)); got < band.low || got > band.high {
			t.Errorf("%s: deflated to 1/%.2f, want 1/%.1f to 1/%.1f", band.what, got, band.low, band.high)
		}
		if got := ratio(t, text, zstdSize(t)); got < band.low-0.25 || got > band.high+0.25 {
			t.Errorf("%s: zstd makes 1/%.2f of it, want 1/%.1f to 1/%.1f, give or take", band.what, got, band.low, band.high)
		}
	}
}

// The texts of a run, languages mixed and with their ids before them, do as well:
// short ones as the chats of many people, long ones as prose.
func TestTextsCompressAsRealTextDoes(t *testing.T) {
	for _, c := range []struct {
		size      int
		ids       bool
		low, high float64
	}{
		{64, false, 1.6, 2.1},
		{64, true, 1.6, 2.3},
		{1024, true, 1.7, 2.3},
		{32 << 10, true, 1.9, 2.7},
	} {
		deal := texts(t, TextConfig{Sizes: Sizes{c.size, c.size}, Seed: 1, IDs: c.ids}).Deal(NewRand(1, 1))
		var text []byte
		for id := uint64(3 << 40); len(text) < 8*blockBytes; id++ {
			text = append(deal.Append(text, id), '\n')
		}
		if got := ratio(t, text, flateSize(t)); got < c.low || got > c.high {
			t.Errorf("texts of %d bytes, ids %v: deflated to 1/%.2f, want 1/%.1f to 1/%.1f", c.size, c.ids, got, c.low, c.high)
		}
	}
}

// Each language is written in its script, and what no dictionary has is there too:
// emoji, links, numbers and code.
func TestScriptHasItsScripts(t *testing.T) {
	s := newScript()
	scripts := []*unicode.RangeTable{
		unicode.Latin, unicode.Latin, unicode.Cyrillic, unicode.Han, unicode.Katakana, unicode.Arabic, unicode.Devanagari,
	}
	for i, script := range scripts {
		text := messages(s, &s.languages[i])
		if !utf8.Valid(text) || bytes.ContainsRune(text, utf8.RuneError) {
			t.Fatalf("language %d is no UTF-8", i)
		}
		inScript, all := 0, 0
		for _, r := range string(text) {
			if unicode.IsLetter(r) {
				all++
				if unicode.Is(script, r) {
					inScript++
				}
			}
		}
		if inScript < all/3 {
			t.Errorf("language %d: %d of %d letters are of its script", i, inScript, all)
		}
		for _, part := range []string{"😀", "https://www.", ".50", ":30", "2026-", "if err := "} {
			if !bytes.Contains(text, []byte(part)) {
				t.Errorf("language %d: no %q in a quarter of a MiB", i, part)
			}
		}
	}
}

// The lists of words are what they are taken for: some hundred words each, without
// white space in them.
func TestWordLists(t *testing.T) {
	for i, l := range languages() {
		if n := len(l.words); n < 250 || n > vocabulary {
			t.Errorf("language %d has %d words", i, n)
		}
		for _, piece := range slices.Concat(l.words, l.pieces) {
			if piece == "" || bytes.ContainsAny([]byte(piece), " \t\n") || !utf8.ValidString(piece) {
				t.Errorf("language %d has the word %q", i, piece)
			}
		}
	}
}

// A sentence that begins with a letter begins with a capital, where there are any.
func TestCapitalize(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"word", "Word"},
		{"Word", "Word"},
		{"ñu", "Ñu"},
		{"привет", "Привет"},
		{"12:30", "12:30"},
		{"ıx", "ıx"}, // its capital is shorter
		{"你好", "你好"},
	} {
		if got := capitalize([]byte("- "+c.text), 2); string(got) != "- "+c.want {
			t.Errorf("%q becomes %q", c.text, got)
		}
	}
}
