package report

import (
	"math"
	"strings"
	"testing"
)

// ticksOf writes an axis: its ticks with their places in per cent.
func ticksOf(s *scale) string {
	var parts []string
	for _, t := range s.ticks {
		text := t.Label + "@" + coordinate(t.At)
		if t.Minor {
			text = "(" + text + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestAxesHaveRoundTicks(t *testing.T) {
	tests := []struct {
		name string
		axis *scale
		want string
	}{
		{"rates", linear(51_234, 1, axisRate), "0@0 (20 k@33.3) 40 k@66.7 (60 k@100)"},
		{"small rates", linear(7, 1, axisRate), "0@0 (2@25) 4@50 (6@75) 8@100"},
		{"nothing", linear(0, 1, axisRate), "0@0 (0.2@20) 0.4@40 (0.6@60) 0.8@80 (1@100)"},
		{"sizes", linear(300<<20, 1<<20, axisSize), "0 B@0 (100 MiB@33.3) 200 MiB@66.7 (300 MiB@100)"},
		{"latencies of a decade", logarithmic(1.1, 9, axisMillis), "1 ms@0 (2 ms@30.1) (5 ms@69.9) 10 ms@100"},
		{"latencies of many", logarithmic(.013, 900, axisMillis), "10 µs@0 100 µs@20 1 ms@40 10 ms@60 100 ms@80 1 s@100"},
		{"one latency", logarithmic(1, 1, axisMillis), "1 ms@0 (2 ms@30.1) (5 ms@69.9) 10 ms@100"},
		{"percentiles", percentiles(1000), "0 %@0 (50 %@10) 90 %@33.3 99 %@66.7 99.9 %@100"},
		{"percentiles of many", percentiles(1 << 40), "0 %@0 90 %@16.7 99 %@33.3 99.9 %@50 99.99 %@66.7 99.999 %@83.3 99.9999 %@100"},
		{"percentiles of one", percentiles(1), "0 %@0 (50 %@30.1) 90 %@100"},
		{"seconds", timeline(12), "0@0 (2 s@16.7) 4 s@33.3 (6 s@50) 8 s@66.7 (10 s@83.3) 12 s@100"},
		{"hours", timeline(4 * 3600), "0@0 (30 m@12.5) 1 h@25 (1 h 30 m@37.5) 2 h@50 (2 h 30 m@62.5) 3 h@75 (3 h 30 m@87.5) 4 h@100"},
		{"no time", timeline(0), "0@0 (1 s@100)"},
	}
	for _, tt := range tests {
		if got := ticksOf(tt.axis); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestAValueBeyondAnAxisStandsAtItsEnd(t *testing.T) {
	axis := linear(10, 1, axisRate)
	for x, want := range map[float64]float64{-1: 0, 0: 0, 5: .5, 10: 1, 11: 1} {
		if got := axis.place(x); got != want {
			t.Errorf("%g stands at %g, want %g", x, got, want)
		}
	}
}

// square is a plot of 10 by 10.
func square() *plot { return newPlot("id", "title", linear(10, 1, axisRate), linear(10, 1, axisRate)) }

func TestALineHasAGapWhereThereIsNoValue(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name string
		ys   []float64
		want string
		area string
	}{
		{"whole", []float64{0, 5, 10}, "M0 1000L500 500L1000 0", "M0 1000L0 1000L500 500L1000 0L1000 1000Z"},
		{"a gap", []float64{1, nan, 2}, "M0 900h0M1000 800h0", "M0 1000L0 900L0 1000ZM1000 1000L1000 800L1000 1000Z"},
		{"late", []float64{nan, 5, 5}, "M500 500L1000 500", "M500 1000L500 500L1000 500L1000 1000Z"},
		{"nothing", []float64{nan, nan, nan}, "", ""},
	}
	for _, tt := range tests {
		s := series{xs: []float64{0, 5, 10}, ys: tt.ys}
		if got := square().path(s); got != tt.want {
			t.Errorf("%s: the line is %s, want %s", tt.name, got, tt.want)
		}
		if got := square().shaded(s); got != tt.area {
			t.Errorf("%s: the area is %s, want %s", tt.name, got, tt.area)
		}
	}
}

func TestASmallBarIsSeen(t *testing.T) {
	p := square()
	p.bars(series{xs: []float64{1, 2, 3}, ys: []float64{0, .001, 5}, write: Rate}, 1)
	if got, want := p.Curves[0].Path, "M150 1000V980H250V1000ZM250 1000V500H350V1000Z"; got != want {
		t.Errorf("the bars are %s, want %s", got, want)
	}
}

func TestALongRunIsDrawnWithFewPoints(t *testing.T) {
	r := &Report{}
	for i := range 3 * maxMoments {
		r.Seconds = append(r.Seconds, Second{At: float64(i + 1), OK: 10, Errors: int64(i % 3), P99: float64(i % 3), Measured: i > 3})
	}
	moments, each := r.moments()
	if each != 3 || len(moments) != maxMoments {
		t.Fatalf("%d points of %d s", len(moments), each)
	}
	m := moments[1]
	if m.at != 4.5 || m.perS(m.OK) != 10 || m.perS(m.Errors) != 1 || m.P99 != 2 || m.Measured {
		t.Errorf("the second point is %+v", m)
	}
	if !moments[2].Measured {
		t.Error("the third point is not measured")
	}
}

func TestTheRestOfASecondTellsNoRate(t *testing.T) {
	r := &Report{Seconds: []Second{{At: 1, OK: 10}, {At: 1.01, OK: 9}, {At: 2.01, OK: 10}}}
	moments, _ := r.moments()
	if len(moments) != 2 || moments[1].perS(moments[1].OK) > 10.01 {
		t.Errorf("the points are %+v", moments)
	}
}

func TestPercentilesAreNamedWithTheirDigits(t *testing.T) {
	for percent, want := range map[float64]string{0: "0 %", 50: "50 %", 90: "90.0 %", 99.9: "99.900 %", 99.99: "99.9900 %"} {
		if got := percentName(percent + 1e-9); got != want {
			t.Errorf("%g is named %q, want %q", percent, got, want)
		}
	}
}
