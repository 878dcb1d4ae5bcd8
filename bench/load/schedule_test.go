package load

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func schedule(t *testing.T, rate float64, arrival Arrival, ramp time.Duration, seed uint64) *Schedule {
	t.Helper()
	s, err := NewSchedule(rate, arrival, ramp, seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The k-th request of a constant rate is due at k/rate.
func TestConstantArrivals(t *testing.T) {
	for _, c := range []struct {
		rate float64
		want []time.Duration
	}{
		{1, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}},
		{1000, []time.Duration{0, time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}},
		{3, []time.Duration{0, 333_333_333, 666_666_666, time.Second}},
		{0.1, []time.Duration{0, 10 * time.Second, 20 * time.Second}},
		{MaxRate, []time.Duration{0, 1, 2, 3}},
		{MinRate, []time.Duration{0, 1e15, 2e15}},
	} {
		s := schedule(t, c.rate, Constant, 0, 1)
		for k, want := range c.want {
			if got := s.Next(); got != want {
				t.Errorf("%g a second: request %d is due at %d, want %d", c.rate, k, got, want)
			}
		}
	}
}

// However many requests came before, the next is due when it would be due if it
// were computed from its number alone.
func TestConstantArrivalsDoNotDrift(t *testing.T) {
	for _, rate := range []int64{3, 7, 999, 12_345, 333_333, 1_000_003} {
		s := schedule(t, float64(rate), Constant, 0, 1)
		for k := range int64(500_000) {
			want := k * int64(time.Second) / rate
			if got := int64(s.Next()); got < want-1 || got > want+1 {
				t.Fatalf("%d a second: request %d is due at %d, want %d", rate, k, got, want)
			}
		}
	}
}

// What would be due beyond all time is due at its end, not at a time that has
// overflown.
func TestLastDueTime(t *testing.T) {
	s := schedule(t, MinRate, Constant, 0, 1)
	for s.next < 10_000 {
		s.Next()
	}
	if at := s.Next(); at != math.MaxInt64/2+1 || at+time.Hour < at {
		t.Errorf("a request is due at %d", at)
	}
}

// During the ramp the number of requests that are due by a time is the integral
// of the rate: rate·t²/(2·ramp). After it a request is due each 1/rate.
func TestRampFollowsTheIntegral(t *testing.T) {
	const rate, ramp = 1000, 10 * time.Second // 5000 requests within the ramp
	due := map[int]time.Duration{
		0: 0, 50: time.Second, 200: 2 * time.Second, 1250: 5 * time.Second, 5000: ramp,
		5001: ramp + time.Millisecond, 6000: ramp + time.Second, 15_000: ramp + 10*time.Second,
	}
	s, last := schedule(t, rate, Constant, ramp, 1), time.Duration(-1)
	for k := range 15_001 {
		got := s.Next()
		if want, told := due[k]; told && (got < want-1 || got > want+1) {
			t.Errorf("request %d is due at %v, want %v", k, got, want)
		}
		if got < last {
			t.Fatalf("request %d is due at %v, before the one that precedes it at %v", k, got, last)
		}
		last = got
	}
}

// Where the ramp ends, its rate is that of what follows: no gap and no burst.
func TestRampEndsSmoothly(t *testing.T) {
	for _, c := range []struct {
		rate float64
		ramp time.Duration
	}{{1000, time.Second}, {333.3, 700 * time.Millisecond}, {1e6, 13 * time.Millisecond}, {0.5, time.Minute}} {
		s := schedule(t, c.rate, Constant, c.ramp, 1)
		gap := time.Duration(float64(time.Second) / c.rate)
		before := s.at(s.knee - 1e-6)
		after := s.at(s.knee + 1e-6)
		if between := after - before; math.Abs(between-2e-6*s.gap) > 1e-3*s.gap {
			t.Errorf("%g after %v: %g ns pass at the end of the ramp where a millionth of %v should", c.rate, c.ramp, between, gap)
		}
		if at := s.at(s.knee); math.Abs(at-float64(c.ramp)) > 1 {
			t.Errorf("%g after %v: the ramp ends at %g ns", c.rate, c.ramp, at)
		}
	}
}

// The gaps of Poisson arrivals are exponential: each decile of that distribution
// holds a tenth of them.
func TestPoissonGapsAreExponential(t *testing.T) {
	const n, rate, deciles = 200_000, 50_000.0, 10
	s := schedule(t, rate, Poisson, 0, 7)
	observed, expected := make([]int, deciles), make([]float64, deciles)
	for last, k := time.Duration(0), 0; k < n; k++ {
		next := s.Next()
		quantile := -math.Expm1(-(next - last).Seconds() * rate)
		observed[min(int(quantile*deciles), deciles-1)]++
		last = next
	}
	for i := range expected {
		expected[i] = n / deciles
	}
	if !plausible(observed, expected) {
		t.Errorf("of %d gaps the deciles hold %v", n, observed)
	}
}

// Under a ramp the Poisson arrivals of each tenth of it are as many as the
// integral of the rate there says, but for chance.
func TestPoissonFollowsTheRamp(t *testing.T) {
	const rate, ramp, tenths = 20_000, 10 * time.Second, 10
	s := schedule(t, rate, Poisson, ramp, 7)
	observed, expected := make([]int, tenths), make([]float64, tenths)
	for at := s.Next(); at < ramp; at = s.Next() {
		observed[at*tenths/ramp]++
	}
	for i := range expected {
		expected[i] = float64(2*i+1) / (tenths * tenths) * rate * ramp.Seconds() / 2
	}
	if !plausible(observed, expected) {
		t.Errorf("the tenths of the ramp hold %v, want about %.0f", observed, expected)
	}
}

func TestScheduleFollowsFromItsSeed(t *testing.T) {
	times := func(arrival Arrival, seed uint64) (list []time.Duration) {
		s := schedule(t, 1000, arrival, time.Second, seed)
		for range 100 {
			list = append(list, s.Next())
		}
		return list
	}
	if !slices.Equal(times(Poisson, 1), times(Poisson, 1)) {
		t.Error("one seed gives two schedules")
	}
	if slices.Equal(times(Poisson, 1), times(Poisson, 2)) {
		t.Error("two seeds give one schedule")
	}
	if !slices.Equal(times(Constant, 1), times(Constant, 2)) {
		t.Error("constant arrivals depend on the seed")
	}
}

func TestScheduleRefusesWhatIsNoRate(t *testing.T) {
	for _, c := range []struct {
		rate float64
		ramp time.Duration
		want string
	}{
		{0, 0, "rate"},
		{MinRate / 2, 0, "rate"},
		{-1, 0, "rate"},
		{math.NaN(), 0, "rate"},
		{math.Inf(1), 0, "rate"},
		{2 * MaxRate, 0, "rate"},
		{1, -1, "ramp"},
	} {
		if _, err := NewSchedule(c.rate, Constant, c.ramp, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%g a second after %v: %v; want an error about the %s", c.rate, c.ramp, err, c.want)
		}
	}
}

func TestParseArrival(t *testing.T) {
	for _, a := range []Arrival{Constant, Poisson} {
		if got, err := ParseArrival(a.String()); got != a || err != nil {
			t.Errorf("%v is read as %v, %v", a, got, err)
		}
	}
	if got, err := ParseArrival(""); got != Constant || err != nil {
		t.Errorf("none is read as %v, %v", got, err)
	}
	if _, err := ParseArrival("Poisson!"); err == nil {
		t.Error("an unknown arrival is taken")
	}
}
