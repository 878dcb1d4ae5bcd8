package load

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"throng/codec"
)

func texts(t testing.TB, c TextConfig) *Texts {
	t.Helper()
	made, err := newTexts(c, 1<<20) // a small pool, quickly made
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// unescape returns the string that a text stands for.
func unescape(t interface {
	Fatalf(format string, args ...any)
}, text codec.Text,
) string {
	var s string
	if err := json.Unmarshal([]byte(`"`+string(text)+`"`), &s); err != nil {
		t.Fatalf("%q is no text: %v", text, err)
	}
	return s
}

// awkward is a corpus that is hard to cut and to escape.
var awkward = []string{"\"quoted\\\"", "\x00\x01\x1b[33m\t\n\r\x1f\x7f", "日本語", "😀😀😀😀", "é", "a", "\u2028<&>"}

// A text has exactly the size that was asked for, whatever its script, and is
// valid UTF-8.
func TestTextsHaveTheirExactSize(t *testing.T) {
	for _, lines := range [][]string{nil, awkward} {
		for _, ids := range []bool{false, true} {
			for _, size := range []int{1, 2, 3, IDBytes, IDBytes + 1, 64, 300, 4096, 64 << 10} {
				if ids && size < IDBytes {
					continue
				}
				deal := texts(t, TextConfig{Sizes: Sizes{size, size}, Lines: lines, Seed: 1, IDs: ids}).Deal(NewRand(1, 1))
				for id := range uint64(50) {
					s := unescape(t, deal.Append(nil, id))
					if len(s) != size || !utf8.ValidString(s) {
						t.Fatalf("%q has %d bytes, want %d", s, len(s), size)
					}
				}
			}
		}
	}
}

// Of a range every part of it has its share, both ends included.
func TestTextSizesAreEvenlySpread(t *testing.T) {
	const draws, parts = 50_000, 10
	for _, sizes := range []Sizes{{16, 1015}, {1, 10}, {11, 16_394}, {100, 101}} {
		deal := texts(t, TextConfig{Sizes: sizes, Lines: []string{"abc"}, Seed: 1}).Deal(NewRand(1, 1))
		width := sizes.Max - sizes.Min + 1
		part := func(size int) int { return (size - sizes.Min) * min(parts, width) / width }
		observed, expected := make([]int, min(parts, width)), make([]float64, min(parts, width))
		least, most := sizes.Max, sizes.Min
		for range draws {
			size := len(deal.Append(nil, 0))
			observed[part(size)]++
			least, most = min(least, size), max(most, size)
		}
		for i := range expected {
			expected[i] = draws / float64(len(expected))
		}
		if !evenEnough(observed, expected) || least != sizes.Min || most != sizes.Max {
			t.Errorf("%v: sizes from %d to %d, their parts drawn %v", sizes, least, most, observed)
		}
	}
}

// evenEnough allows for a pool of few bodies, in which parts differ by one body.
func evenEnough(observed []int, expected []float64) bool {
	for i, want := range expected {
		if got := float64(observed[i]); got < 0.9*want || got > 1.1*want {
			return false
		}
	}
	return true
}

// A text begins with its id, in letters that need no escape, and is told from all
// others by it.
func TestTextsAreTold(t *testing.T) {
	deal := texts(t, TextConfig{Sizes: Sizes{IDBytes, 20}, Lines: []string{"same"}, Seed: 1, IDs: true}).Deal(NewRand(1, 1))
	for _, c := range []struct {
		id   uint64
		want string
	}{
		{0, "AAAAAAAAAA "},
		{1, "AAAAAAAAAB "},
		{63, "AAAAAAAAA_ "},
		{64, "AAAAAAAABA "},
		{62<<54 | 61, "-AAAAAAAA9 "},
		{1<<60 - 1, "__________ "},
		{1<<60 | 5, "AAAAAAAAAF "}, // the lowest bits alone
	} {
		if text := string(deal.Append(nil, c.id)); !strings.HasPrefix(text, c.want) {
			t.Errorf("id %d: %q, want %q at its start", c.id, text, c.want)
		}
	}
	seen := map[string]bool{}
	for _, ids := range []func(i uint64) uint64{ // the first as they follow one another in a run
		func(i uint64) uint64 { return i },
		func(i uint64) uint64 { return i << 40 },
		func(i uint64) uint64 { return 1<<60 - 1 - i<<20 },
	} {
		for i := range uint64(10_000) {
			seen[string(deal.Append(nil, ids(i))[:IDBytes])] = true
		}
	}
	if want := 3*10_000 - 1; len(seen) != want { // 0 was twice among them
		t.Errorf("%d ids, want %d", len(seen), want)
	}
}

// Append leaves what is there, and allocates nothing where there is room.
func TestTextsAppend(t *testing.T) {
	deal := texts(t, TextConfig{Sizes: Sizes{64, 64}, Lines: []string{"abc"}, Seed: 1, IDs: true}).Deal(NewRand(1, 1))
	if text := string(deal.Append([]byte("before:"), 1)); !strings.HasPrefix(text, "before:AAAAAAAAAB ") {
		t.Errorf("appended: %q", text)
	}
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { dst = deal.Append(dst[:0], 1) }); n != 0 {
		t.Errorf("a text costs %v allocations", n)
	}
}

// The pool keeps to its limit, and has as many bodies as fit in.
func TestPoolOfBodiesIsBounded(t *testing.T) {
	for _, c := range []struct {
		sizes  Sizes
		bodies int
	}{
		{Sizes{1, 1}, 1 << 14},
		{Sizes{64, 64}, 1 << 14},
		{Sizes{256, 256}, 1 << 14},
		{Sizes{2048, 2048}, 1 << 13},
		{Sizes{64 << 10, 64 << 10}, 256},
		{Sizes{1, 64 << 10}, 511},
		{Sizes{1 << 20, 1 << 20}, 16},
	} {
		bodies, sum := c.sizes.spread(PoolBytes), 0
		for _, size := range bodies {
			sum += size
		}
		if len(bodies) != c.bodies || sum > PoolBytes {
			t.Errorf("%v: %d bodies of %d bytes, want %d of %d at most", c.sizes, len(bodies), sum, c.bodies, PoolBytes)
		}
	}
}

// Bodies are the corpus, from the beginning of any line on, through those that
// follow it.
func TestTextsComeFromTheCorpus(t *testing.T) {
	corpus := []string{"one line", "two lines, the longer", "three"}
	round := strings.Join(append(corpus, corpus...), " ")
	deal := texts(t, TextConfig{Sizes: Sizes{20, 20}, Lines: corpus, Seed: 1}).Deal(NewRand(1, 1))
	starts := map[string]int{}
	for range 3000 {
		text := string(deal.Append(nil, 0))
		if !strings.Contains(round, text) {
			t.Fatalf("%q is not in the corpus", text)
		}
		starts[text[:3]]++
	}
	for _, start := range []string{"one", "two", "thr"} {
		if starts[start] < 800 {
			t.Errorf("%d of 3000 texts begin with %q", starts[start], start)
		}
	}
}

// Whatever the corpus: the size is exact, and no rune is torn.
func TestTextsOfAnyCorpus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		corpus := rapid.SliceOfN(rapid.StringN(1, 40, -1), 1, 5).Draw(t, "corpus")
		size := rapid.IntRange(1, 200).Draw(t, "size")
		seed := rapid.Uint64().Draw(t, "seed")
		fill, err := (&TextConfig{Lines: corpus}).source()
		if err != nil {
			t.Fatal(err)
		}
		body := string(cut(fill(nil, size, NewRand(seed, 1)), size))
		if len(body) != size || !utf8.ValidString(body) {
			t.Fatalf("%q has %d bytes, want %d", body, len(body), size)
		}
	})
}

func TestTextsFollowFromTheirSeed(t *testing.T) {
	draw := func(seed, stream uint64) (list []string) {
		deal := texts(t, TextConfig{Sizes: Sizes{64, 64}, Seed: seed}).Deal(NewRand(1, stream))
		for range 20 {
			list = append(list, string(deal.Append(nil, 0)))
		}
		return list
	}
	if !slices.Equal(draw(1, 1), draw(1, 1)) {
		t.Error("one seed gives two sequences of texts")
	}
	if slices.Equal(draw(1, 1), draw(2, 1)) || slices.Equal(draw(1, 1), draw(1, 2)) {
		t.Error("two seeds give one sequence of texts")
	}
}

func TestTextsRefuse(t *testing.T) {
	for _, c := range []struct {
		config TextConfig
		want   string
	}{
		{TextConfig{}, "1 to 1048576 bytes"},
		{TextConfig{Sizes: Sizes{10, 5}}, "smaller comes first"},
		{TextConfig{Sizes: Sizes{1, MaxTextBytes + 1}}, "1 to 1048576 bytes"},
		{TextConfig{Sizes: Sizes{IDBytes - 1, 64}, IDs: true}, "11 bytes at least, not 10"},
		{TextConfig{Sizes: Sizes{64, 64}, Lines: []string{"a", "\xff"}}, "line 2"},
		{TextConfig{Sizes: Sizes{64, 64}, Lines: []string{""}}, "line 1"},
	} {
		if _, err := NewTexts(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want an error with %q", c.config, err, c.want)
		}
	}
}
