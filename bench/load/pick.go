package load

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
)

const (
	// MaxPicked is the most that a Picker chooses from.
	MaxPicked = 1 << 30

	// MaxExponent bounds the exponent of Zipf's law: at 20 the first of all is chosen
	// 999,999 times of a million.
	MaxExponent = 20
)

// Picker chooses among n chats, by their ordinals 0 … n-1: all alike, or by Zipf's
// law, in which the k-th most popular is chosen as often as 1/k^s.
//
// Which chat is the k-th most popular is decided by a bijection of ranks and
// ordinals that the seed draws. Without it the hottest chats would be those that
// were made first, together, by neighbouring users: with it they are spread over
// members, shards and keys like any others. Pickers of equal n, s and seed agree
// on it, so that every session of a run finds the same chats hot.
//
// A Picker takes constant memory, and is safe for concurrent use.
type Picker struct {
	n    uint64
	zipf zipf
	skew bool // by zipf; else uniform
	scramble
}

// NewPicker returns a chooser among n chats, 1 … MaxPicked, with the exponent s,
// 0 (uniform) … MaxExponent.
func NewPicker(n int, s float64, seed uint64) (*Picker, error) {
	if n < 1 || n > MaxPicked {
		return nil, fmt.Errorf("can choose among 1 to %d, not %d", MaxPicked, n)
	}
	if !(s >= 0 && s <= MaxExponent) {
		return nil, fmt.Errorf("the exponent of Zipf's law must be 0 to %d, not %g", MaxExponent, s)
	}
	p := &Picker{n: uint64(n), skew: s > 0, scramble: newScramble(uint64(n), seed)}
	if p.skew {
		p.zipf = newZipf(uint64(n), s)
	}
	return p, nil
}

// Next chooses.
func (p *Picker) Next(rng *rand.Rand) int {
	if !p.skew {
		return int(rng.Uint64N(p.n))
	}
	return p.ordinal(p.zipf.rank(rng))
}

// Pick chooses, and draws 64 bits for whatever is to be chosen next. Where all chats
// are alike both come out of one draw: of its product with n the upper word is the
// choice, and the lower tells where within the choice's share the draw fell. Neither
// is off by more than n in 2^64.
func (p *Picker) Pick(rng *rand.Rand) (chat int, more uint64) {
	if p.skew {
		return p.Next(rng), rng.Uint64()
	}
	upper, lower := bits.Mul64(rng.Uint64(), p.n)
	return int(upper), lower
}

// Ordinal returns which is the k-th most popular, from 0.
func (p *Picker) Ordinal(k int) int { return p.ordinal(uint64(k)) }

// zipf draws ranks by rejection-inversion: W. Hörmann and G. Derflinger,
// "Rejection-inversion to generate variates from monotone discrete
// distributions", ACM TOMACS 6(3), 1996. A point is drawn under the curve x^-s,
// whose integral can be inverted, and rounded to a rank; it is rejected where it
// lies above the bar of that rank. At any s and n less than a quarter is.
type zipf struct {
	n         float64
	s         float64
	low, high float64 // of the integral: ranks 1 and n
	sure      float64 // a point this close above its rank is never rejected
}

func newZipf(n uint64, s float64) zipf {
	z := zipf{n: float64(n), s: s}
	z.low = z.integral(1.5) - 1
	z.high = z.integral(z.n + 0.5)
	z.sure = 2 - z.inverse(z.integral(2.5)-z.bar(2))
	return z
}

// rank draws a rank from 0.
func (z *zipf) rank(rng *rand.Rand) uint64 {
	for {
		u := z.high + rng.Float64()*(z.low-z.high)
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.sure || u >= z.integral(k+0.5)-z.bar(k) {
			return uint64(k) - 1
		}
	}
}

func (z *zipf) bar(k float64) float64 { return math.Exp(-z.s * math.Log(k)) }

// integral is that of x^-s from 1: (x^(1-s) - 1) / (1-s), and log x where s is 1.
// Written by expm1 it is exact near 1 too.
func (z *zipf) integral(x float64) float64 {
	log := math.Log(x)
	t := (1 - z.s) * log
	if math.Abs(t) < nearZero {
		return log * (1 + t/2)
	}
	return math.Expm1(t) / (1 - z.s)
}

// inverse of integral.
func (z *zipf) inverse(y float64) float64 {
	t := (1 - z.s) * y
	if math.Abs(t) < nearZero {
		return math.Exp(y * (1 - t/2))
	}
	return math.Exp(math.Log1p(max(t, -1)) / (1 - z.s))
}

// nearZero is where the first two terms of a series are all that a float64 holds.
const nearZero = 1e-8

// scramble is a bijection of 0 … n-1: one of the power of two that is next above,
// of multiplications by odd numbers and shifted xors, walked on until it falls
// below n again. That takes two steps on average at most, and ends always: at the
// latest where the cycle comes back to its start.
type scramble struct {
	n, mask     uint64
	shift       int
	add         uint64
	first, then uint64 // odd
}

func newScramble(n, seed uint64) scramble {
	width := bits.Len64(n - 1)
	return scramble{
		n: n, mask: 1<<width - 1, shift: (width + 1) / 2,
		add: mixBits(seed), first: mixBits(seed+1) | 1, then: mixBits(seed+2) | 1,
	}
}

func (s *scramble) ordinal(rank uint64) int {
	for x := rank; ; {
		x = (x + s.add) * s.first & s.mask
		x ^= x >> s.shift
		x = x * s.then & s.mask
		x ^= x >> s.shift
		if x < s.n {
			return int(x)
		}
	}
}
