package load

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// plausible reports whether counts agree with the expected ones, by a chi-square
// test: false where pure chance would differ as much once in some ten thousand
// times (4 standard deviations, over the distribution's own skew). Each expected
// count should be 5 at least.
func plausible(observed []int, expected []float64) bool {
	chi := 0.0
	for i, want := range expected {
		chi += (float64(observed[i]) - want) * (float64(observed[i]) - want) / want
	}
	free := float64(len(expected) - 1)
	return chi <= free+4*math.Sqrt(2*free)+10
}

// exact returns the probability of each rank from 0, by its definition.
func exact(n int, s float64) []float64 {
	p, sum := make([]float64, n), 0.0
	for k := range p {
		p[k] = math.Pow(float64(k+1), -s)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
	}
	return p
}

// bins gathers ranks until they are expected 20 times at least, so that the long
// tail is tested as well.
func bins(counts []int, p []float64, draws int) (observed []int, expected []float64) {
	want, got := 0.0, 0
	for k := range p {
		want += p[k] * float64(draws)
		got += counts[k]
		if want >= 20 {
			observed, expected = append(observed, got), append(expected, want)
			want, got = 0, 0
		}
	}
	if last := len(expected) - 1; last >= 0 {
		observed[last] += got
		expected[last] += want
	}
	return observed, expected
}

func picker(t *testing.T, n int, s float64, seed uint64) *Picker {
	t.Helper()
	p, err := NewPicker(n, s, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is chosen is distributed as Zipf's law, or evenly, by its definition.
func TestPickerAgainstTheExactDistribution(t *testing.T) {
	const draws = 50_000
	for _, n := range []int{2, 10, 1000, 20_000} {
		for _, s := range []float64{0, 0.1, 0.5, 0.99, 1 - 1e-9, 1, 1 + 1e-9, 1.01, 1.5, 2, 3} {
			p, rng := picker(t, n, s, 11), NewRand(5, uint64(n))
			rankOf := make([]int, n)
			for k := range n {
				rankOf[p.Ordinal(k)] = k
			}
			counts := make([]int, n)
			for range draws {
				counts[rankOf[p.Next(rng)]]++
			}
			observed, expected := bins(counts, exact(n, s), draws)
			if !plausible(observed, expected) {
				t.Errorf("%d chats, exponent %g: the most popular are chosen %d times, want %.0f",
					n, s, observed[:min(len(observed), 6)], expected[:min(len(expected), 6)])
			}
		}
	}
}

// With each choice come bits that choose among anything else, whatever was chosen.
func TestWhatIsPickedTellsNothingOfTheBitsBesideIt(t *testing.T) {
	const draws, n, others = 200_000, 10, 7
	for _, s := range []float64{0, 0.99} {
		p, rng := picker(t, n, s, 11), NewRand(5, 3)
		rankOf := make([]int, n)
		for k := range n {
			rankOf[p.Ordinal(k)] = k
		}
		observed, expected := make([]int, n*others), make([]float64, n*others)
		for range draws {
			chat, more := p.Pick(rng)
			other, _ := bits.Mul64(more, others)
			observed[rankOf[chat]*others+int(other)]++
		}
		for k, share := range exact(n, s) {
			for other := range others {
				expected[k*others+other] = share * draws / others
			}
		}
		if !plausible(observed, expected) {
			t.Errorf("exponent %g: %d\nwant %.0f", s, observed, expected)
		}
	}
}

// The test of the distribution can tell an exponent from another that is near.
func TestChiSquareTellsExponentsApart(t *testing.T) {
	const n, draws = 1000, 200_000
	z, rng, counts := newZipf(n, 0.99), NewRand(5, 1), make([]int, n)
	for range draws {
		counts[int(z.rank(rng))]++
	}
	for _, c := range []struct {
		s    float64
		want bool
	}{{0.99, true}, {0.96, false}, {1.02, false}} {
		if observed, expected := bins(counts, exact(n, c.s), draws); plausible(observed, expected) != c.want {
			t.Errorf("draws by exponent 0.99 held against %g: plausible %v", c.s, !c.want)
		}
	}
}

// Ten million chats: each by its exact share, and none out of range.
func TestPickerOfVeryMany(t *testing.T) {
	const n, s, draws = 10_000_000, 0.99, 300_000
	z, rng, counts := newZipf(n, s), NewRand(5, 2), make([]int, n)
	for range draws {
		counts[z.rank(rng)]++
	}
	if observed, expected := bins(counts, exact(n, s), draws); !plausible(observed, expected) {
		t.Errorf("%d …, want %.0f …", observed[:4], expected[:4])
	}
}

func TestPickerOfOneAndAtTheExtremes(t *testing.T) {
	for _, c := range []struct {
		n int
		s float64
	}{{1, 0}, {1, 0.99}, {1, MaxExponent}, {2, MaxExponent}, {MaxPicked, 0}, {MaxPicked, 1e-300}, {MaxPicked, 0.99}, {MaxPicked, MaxExponent}} {
		p, rng := picker(t, c.n, c.s, 3), NewRand(1, 1)
		for range 1000 {
			if got := p.Next(rng); got < 0 || got >= c.n {
				t.Fatalf("%d chats, exponent %g: %d is chosen", c.n, c.s, got)
			}
		}
	}
}

// counter counts how often a source is drawn from.
type counter struct {
	rand.Source
	draws int
}

func (c *counter) Uint64() uint64 {
	c.draws++
	return c.Source.Uint64()
}

// The choice takes constant time: few draws are rejected, at any exponent.
func TestFewDrawsAreRejected(t *testing.T) {
	const ranks = 20_000
	for _, n := range []uint64{2, 3, 10, 1000, 10_000_000} {
		for _, s := range []float64{0.01, 0.5, 0.99, 1, 1.5, 2, 5, MaxExponent} {
			z, c := newZipf(n, s), &counter{Source: rand.NewPCG(1, 2)}
			rng := rand.New(c)
			for range ranks {
				z.rank(rng)
			}
			if c.draws > ranks*4/3 {
				t.Errorf("%d chats, exponent %g: %d draws for %d choices", n, s, c.draws, ranks)
			}
		}
	}
}

// Each chat has one rank, and each rank a chat.
func TestScrambleIsABijection(t *testing.T) {
	sizes := []int{255, 256, 257, 1000, 4096, 4097, 100_003, 1 << 17}
	for n := 1; n <= 70; n++ {
		sizes = append(sizes, n)
	}
	for _, n := range sizes {
		for seed := range uint64(4) {
			p := picker(t, n, 0, seed)
			seen := make([]bool, n)
			for k := range n {
				at := p.Ordinal(k)
				if at < 0 || at >= n || seen[at] {
					t.Fatalf("%d chats, seed %d: rank %d is chat %d, out of range or taken", n, seed, k, at)
				}
				seen[at] = true
			}
		}
	}
}

// The popular chats lie anywhere among all, whatever their number: each sixteenth
// of the ordinals has its share.
func TestPopularChatsAreSpread(t *testing.T) {
	const slices, popular = 16, 1600
	for _, n := range []int{1 << 16, 100_000, 1_000_000, 10_000_000} {
		observed, expected := make([]int, slices), make([]float64, slices)
		p := picker(t, n, 0.99, 42)
		for k := range popular {
			observed[p.Ordinal(k)*slices/n]++
		}
		for i := range expected {
			expected[i] = popular / slices
		}
		if !plausible(observed, expected) {
			t.Errorf("of %d chats the %d most popular lie %v", n, popular, observed)
		}
	}
}

// Sessions agree on which chats are popular, and each chooses for itself.
func TestPickersFollowFromTheirSeeds(t *testing.T) {
	choose := func(seed, stream uint64) (list []int) {
		p, rng := picker(t, 1000, 0.99, seed), NewRand(seed, stream)
		for range 100 {
			list = append(list, p.Next(rng))
		}
		return list
	}
	if !slices.Equal(choose(1, 1), choose(1, 1)) {
		t.Error("one seed gives two sequences")
	}
	if slices.Equal(choose(1, 1), choose(1, 2)) {
		t.Error("two streams give one sequence")
	}
	one, same, other := picker(t, 1000, 1, 1), picker(t, 1000, 1, 1), picker(t, 1000, 1, 2)
	agree := 0
	for k := range 1000 {
		if one.Ordinal(k) != same.Ordinal(k) {
			t.Fatalf("rank %d is two chats under one seed", k)
		}
		if one.Ordinal(k) == other.Ordinal(k) {
			agree++
		}
	}
	if agree > 20 {
		t.Errorf("two seeds agree on %d chats of 1000", agree)
	}
}

func TestPickerRefusesWhatItCannotChooseFrom(t *testing.T) {
	for _, c := range []struct {
		n int
		s float64
	}{{0, 0}, {-1, 0}, {MaxPicked + 1, 0}, {10, -0.1}, {10, MaxExponent + 1}, {10, math.NaN()}, {10, math.Inf(1)}} {
		if _, err := NewPicker(c.n, c.s, 1); err == nil {
			t.Errorf("%d chats, exponent %g: taken", c.n, c.s)
		}
	}
}
