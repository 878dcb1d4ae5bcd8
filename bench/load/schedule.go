package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Arrival says how the requests of an open loop follow one another.
type Arrival uint8

// The arrivals.
const (
	Constant Arrival = iota // evenly spaced
	Poisson                 // exponential gaps, as of many users who know nothing of each other
)

var arrivalNames = [...]string{"constant", "poisson"}

func (a Arrival) String() string { return arrivalNames[a] }

// ParseArrival returns the arrival of that name; empty is Constant.
func ParseArrival(name string) (Arrival, error) {
	switch name {
	case "", arrivalNames[Constant]:
		return Constant, nil
	case arrivalNames[Poisson]:
		return Poisson, nil
	}
	return 0, fmt.Errorf("arrival %q is neither constant nor poisson", name)
}

// Limits of a schedule.
const (
	MinRate = 1e-6 // the lowest rate of a schedule: a request in eleven days
	MaxRate = 1e9  // the highest: one a nanosecond, which is what due times are counted in

	// lastDue is the latest due time, some 146 years: what would be due later is due
	// then. It is half of what a Duration holds, so that a caller may add to it.
	lastDue = float64(math.MaxInt64 / 2)

	scheduleStream = 0x7363686564756c65 // apart from the streams of sessions
)

// Schedule is the due times of an open loop. They depend on nothing that happens
// to the requests. The number of requests that are due until t is the integral of
// the rate, which rises in a straight line from 0 over the ramp and is constant
// from then on; a request is due where that integral passes the next whole number
// (Constant), or the next point of a Poisson process of rate 1.
type Schedule struct {
	rng  *rand.Rand // nil: Constant
	gap  float64    // nanoseconds between requests at the full rate
	ramp float64    // nanoseconds
	knee float64    // requests that are due within the ramp
	next float64    // the integral at the next request
}

// NewSchedule returns the schedule of a total rate in requests a second,
// MinRate … MaxRate, that is reached after ramp. The seed decides the gaps of
// Poisson arrivals.
func NewSchedule(rate float64, arrival Arrival, ramp time.Duration, seed uint64) (*Schedule, error) {
	if !(rate >= MinRate && rate <= MaxRate) {
		return nil, fmt.Errorf("the rate must be %g to %g a second, not %g", MinRate, MaxRate, rate)
	}
	if ramp < 0 {
		return nil, fmt.Errorf("the ramp must not be negative: %v", ramp)
	}
	s := &Schedule{gap: float64(time.Second) / rate, ramp: float64(ramp)}
	s.knee = s.ramp / s.gap / 2
	if arrival == Poisson {
		s.rng = NewRand(seed, scheduleStream)
		s.next = s.rng.ExpFloat64()
	}
	return s, nil
}

// Next returns when the next request is due, since the start of the load. Times
// never fall. Of constant arrivals the k-th, from 0, is due at k/rate: it is
// computed from k, so that rounding (below a nanosecond for 50 days) never adds up.
func (s *Schedule) Next() time.Duration {
	at := s.at(s.next)
	if s.rng == nil {
		s.next++
	} else {
		s.next += s.rng.ExpFloat64()
	}
	return time.Duration(min(at, lastDue))
}

// at returns the nanosecond when n requests have become due: the inverse of
// t²/(2·ramp·gap) within the ramp, of (t - ramp/2)/gap after it.
func (s *Schedule) at(n float64) float64 {
	if n < s.knee {
		return math.Sqrt(2 * s.ramp * s.gap * n)
	}
	return s.ramp/2 + s.gap*n
}
