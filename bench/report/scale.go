package report

import (
	"math"
	"time"
)

// scale maps values to places along an axis, 0 to 1, and knows the axis's ticks.
type scale struct {
	low, high float64 // of what warp returns
	warp      func(float64) float64
	ticks     []tick
}

// tick is a mark on an axis.
type tick struct {
	At    float64 // 0 to 100
	Label string
	Minor bool // left out where there is little room
}

// place returns where a value stands, at most at the ends.
func (s *scale) place(x float64) float64 {
	if s.high <= s.low {
		return 0
	}
	return min(1, max(0, (s.warp(x)-s.low)/(s.high-s.low)))
}

func (s *scale) mark(x float64, label string, minor bool) {
	s.ticks = append(s.ticks, tick{At: 100 * s.place(x), Label: label, Minor: minor})
}

func unwarped(x float64) float64 { return x }

// The numbers of ticks that axes are made for.
const (
	linearTicks = 5
	timeTicks   = 8
	maxTicks    = 24 // of any axis
)

// linear is a scale from 0 to a round number of units not below high.
func linear(high, unit float64, write func(float64) string) *scale {
	if high <= 0 {
		high = unit
	}
	step := unit * roundStep(high/unit/linearTicks)
	s := &scale{high: step * math.Ceil(high/step*0.999), warp: unwarped}
	for i := range maxTicks {
		x := float64(i) * step
		if x > s.high*1.001 {
			break
		}
		s.mark(x, write(x), i%2 == 1)
	}
	return s
}

// roundStep returns the next of 1, 2, 2.5, 5 and 10 at any power of ten, from x up.
func roundStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if x <= m*power*1.001 {
			return m * power
		}
	}
	return 10 * power
}

// logarithmic is a scale with ticks at 1, 2 and 5 of each power of ten that holds low and
// high, both above 0.
func logarithmic(low, high float64, write func(float64) string) *scale {
	from, to := roundDown(low), roundUp(high)
	if from >= to {
		to = from * 10
	}
	s := &scale{low: math.Log10(from), high: math.Log10(to), warp: math.Log10}
	wide := s.high-s.low > 2.2
	for power := math.Floor(s.low); power <= s.high && len(s.ticks) < maxTicks; power++ {
		for _, m := range []float64{1, 2, 5} {
			x := m * math.Pow(10, power)
			if x < from*0.999 || x > to*1.001 || wide && m != 1 {
				continue
			}
			s.mark(x, write(x), m != 1)
		}
	}
	return s
}

// roundDown returns the last of 1, 2 and 5 at any power of ten, up to x.
func roundDown(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{5, 2} {
		if x >= m*power*0.999 {
			return m * power
		}
	}
	return power
}

// roundUp returns the next of 1, 2 and 5 at any power of ten, from x up.
func roundUp(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if x <= m*power*1.001 {
			return m * power
		}
	}
	return 10 * power
}

// maxNines is the deepest decade of percentiles that is drawn: 99.9999 %.
const maxNines = 6

// percentiles is the axis of HdrHistogram's plots: each further nine is as wide as the
// one before. It ends where a distribution of count values has no more to tell.
func percentiles(count int64) *scale {
	nines := min(maxNines, max(1, math.Log10(float64(max(1, count)))))
	s := &scale{high: nines, warp: func(percent float64) float64 {
		return -math.Log10(max(1e-12, 1-percent/100))
	}}
	names := []string{"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"}
	s.mark(0, names[0], false)
	if nines < 5 {
		s.mark(50, "50 %", true)
	}
	for i := 1; i <= int(nines); i++ {
		s.mark(100-math.Pow(10, float64(2-i)), names[i], false)
	}
	return s
}

// steps of an axis of time, in seconds.
func timeSteps() []float64 {
	return []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400}
}

// timeline is a scale of the seconds of a run.
func timeline(end float64) *scale {
	s := &scale{high: max(1, end), warp: unwarped}
	step := 0.0
	for _, step = range timeSteps() {
		if s.high/step <= timeTicks {
			break
		}
	}
	for i := range maxTicks {
		x := float64(i) * step
		if x > s.high {
			break
		}
		s.mark(x, clock(x), i%2 == 1)
	}
	return s
}

// clock writes a time of a run on an axis.
func clock(seconds float64) string {
	if seconds == 0 {
		return "0"
	}
	return span(time.Duration(seconds * float64(time.Second)))
}
