package report

import (
	"math"
	"strconv"
	"strings"
)

// The drawing's own coordinates: it is stretched to the room that the page has for it, and
// the labels, which must not be stretched, are the page's.
const drawing = 1000

// plot is one diagram as the page's template draws it.
type plot struct {
	ID      string
	Title   string
	Note    string // how to read it
	Summary string // what a reader who does not see it is told
	XName   string
	YName   string
	Short   bool // half as high
	XTicks  []tick
	YTicks  []tick
	Bands   []band
	Curves  []curve
	Legend  []legend
	Tips    tips

	x, y *scale
}

// band is a shaded part of the x axis, in per cent.
type band struct {
	From, Width float64
	Label       string
}

// curve is one line, area or set of bars. Class names its colour and kind for the style sheet.
type curve struct {
	Class string
	Path  string
}

// legend is the name of a curve, or of several of one colour.
type legend struct{ Class, Name string }

// tips are what the page shows under the pointer: for each place along x a title, and a
// text for each series ("" where it has none).
type tips struct {
	At     []float64 `json:"at"` // 0 to 100, rising
	Titles []string  `json:"titles"`
	Series []tipLine `json:"series"`
}

type tipLine struct {
	Class  string    `json:"class"`
	Name   string    `json:"name"`
	Values []string  `json:"values"`
	Places []float64 `json:"places"` // 0 to 100, from below; negative where there is no value
}

func newPlot(id, title string, x, y *scale) *plot {
	return &plot{ID: id, Title: title, XTicks: x.ticks, YTicks: y.ticks, x: x, y: y}
}

// series is what a line shows: values by their places; NaN leaves a gap.
type series struct {
	class string
	name  string // in the legend and under the pointer
	xs    []float64
	ys    []float64
	write func(float64) string
	area  bool // shaded down to the axis
	mute  bool // not in the legend: another line of the same colour is
	quiet bool // nothing of it is shown under the pointer
}

// line adds a line.
func (p *plot) line(s series) {
	path := p.path(s)
	if s.area {
		p.Curves = append(p.Curves, curve{s.class + " area", p.shaded(s)})
	}
	p.Curves = append(p.Curves, curve{s.class + " line", path})
	if !s.mute {
		p.Legend = append(p.Legend, legend{s.class, s.name})
	}
	if s.quiet {
		return
	}
	tip := tipLine{Class: s.class, Name: s.name}
	for _, y := range s.ys {
		if math.IsNaN(y) {
			tip.Values, tip.Places = append(tip.Values, ""), append(tip.Places, -1)
			continue
		}
		tip.Values = append(tip.Values, s.write(y))
		tip.Places = append(tip.Places, rounded(100*p.y.place(y)))
	}
	p.Tips.Series = append(p.Tips.Series, tip)
}

// point writes a place in the drawing's coordinates.
func (p *plot) point(x, y float64) string {
	return coordinate(drawing*p.x.place(x)) + " " + coordinate(drawing*(1-p.y.place(y)))
}

func coordinate(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }

func rounded(x float64) float64 { return math.Round(x*100) / 100 }

// path draws a line through the values, with a gap at each NaN. A value without neighbours
// is a dot: a line of no length with round ends.
func (p *plot) path(s series) string {
	var b strings.Builder
	drawn := false
	for i, y := range s.ys {
		if math.IsNaN(y) {
			drawn = false
			continue
		}
		command := "L"
		if !drawn {
			command = "M"
		}
		b.WriteString(command + p.point(s.xs[i], y))
		if !drawn && (i+1 == len(s.ys) || math.IsNaN(s.ys[i+1])) {
			b.WriteString("h0")
		}
		drawn = true
	}
	return b.String()
}

// shaded draws the area between the values and the axis.
func (p *plot) shaded(s series) string {
	var b strings.Builder
	flush := func(from, to int) {
		if from >= to {
			return
		}
		b.WriteString("M" + coordinate(drawing*p.x.place(s.xs[from])) + " " + strconv.Itoa(drawing))
		for i := from; i < to; i++ {
			b.WriteString("L" + p.point(s.xs[i], s.ys[i]))
		}
		b.WriteString("L" + coordinate(drawing*p.x.place(s.xs[to-1])) + " " + strconv.Itoa(drawing) + "Z")
	}
	from := 0
	for i, y := range s.ys {
		if math.IsNaN(y) {
			flush(from, i)
			from = i + 1
		}
	}
	flush(from, len(s.ys))
	return b.String()
}

// leastBar is the height of the smallest bar that is not 0, so that one error in a million
// requests is seen.
const leastBar = 0.02

// bars adds bars from the axis up, each width wide in the x axis's own unit, ending at xs.
func (p *plot) bars(s series, width float64) {
	var b strings.Builder
	tip := tipLine{Class: s.class, Name: s.name}
	for i, y := range s.ys {
		if y <= 0 {
			tip.Values, tip.Places = append(tip.Values, ""), append(tip.Places, -1)
			continue
		}
		left, right := drawing*p.x.place(s.xs[i]-width/2), drawing*p.x.place(s.xs[i]+width/2)
		top := drawing * (1 - max(leastBar, p.y.place(y)))
		b.WriteString("M" + coordinate(left) + " " + strconv.Itoa(drawing) + "V" + coordinate(top) + "H" + coordinate(right) + "V" + strconv.Itoa(drawing) + "Z")
		tip.Values, tip.Places = append(tip.Values, s.write(y)), append(tip.Places, -1)
	}
	p.Curves = append(p.Curves, curve{s.class + " bar", b.String()})
	p.Legend = append(p.Legend, legend{s.class, s.name})
	p.Tips.Series = append(p.Tips.Series, tip)
}

// mark adds dots.
func (p *plot) marks(class, name string, xs, ys []float64) {
	var b strings.Builder
	for i := range xs {
		b.WriteString("M" + p.point(xs[i], ys[i]) + "h0")
	}
	p.Curves = append(p.Curves, curve{class + " dot", b.String()})
	p.Legend = append(p.Legend, legend{class, name})
}

// tipsAt places the tips.
func (p *plot) tipsAt(xs []float64, title func(float64) string) {
	for _, x := range xs {
		p.Tips.At = append(p.Tips.At, rounded(100*p.x.place(x)))
		p.Tips.Titles = append(p.Tips.Titles, title(x))
	}
}

// shade marks a part of the x axis.
func (p *plot) shade(from, to float64, label string) {
	left, right := 100*p.x.place(from), 100*p.x.place(to)
	if right > left {
		p.Bands = append(p.Bands, band{left, right - left, label})
	}
}
