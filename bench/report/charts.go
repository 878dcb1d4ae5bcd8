package report

import (
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// lane is one run as the plots draw it: in the colour of its group.
type lane struct {
	run   *Report
	class string // s1 … s8, or s1 of a single run
	name  string
	mute  bool // another run of its group is in the legend
}

// lanes gives each group a colour; single runs and groups are drawn alike.
func lanes(groups []Group) (all []lane) {
	for i, g := range groups {
		for j, r := range g.Runs {
			all = append(all, lane{run: r, class: fmt.Sprintf("s%d", i+1), name: g.Label, mute: j > 0})
		}
	}
	return all
}

// percentileStep is how finely distributions are drawn, in nines.
const percentileStep = 0.02

// distribution is one histogram to draw.
type distribution struct {
	series
	of *hdrhistogram.Histogram
}

// percentilePlot draws distributions as HdrHistogram's plots do; nil where all are empty.
func percentilePlot(list []distribution) *plot {
	count, low, high := int64(0), math.Inf(1), 0.0
	for _, d := range list {
		if d.of.TotalCount() == 0 {
			continue
		}
		count = max(count, d.of.TotalCount())
		low, high = min(low, lowestShown(Quantile(d.of, 0))), max(high, Quantile(d.of, 100))
	}
	if count == 0 {
		return nil
	}
	x := percentiles(count)
	p := newPlot("percentiles", "Latency by percentile", x, logarithmic(low, high, axisMillis))
	p.XName, p.YName = "percentile of requests", "latency, log scale"
	percents := percentileGrid(x.high)
	for _, d := range list {
		if d.of.TotalCount() == 0 {
			continue
		}
		d.xs, d.ys, d.write = percents, quantiles(d.of, percents), Millis
		p.line(d.series)
	}
	p.tipsAt(percents, percentName)
	return p
}

// lowestShown keeps a latency of 0 off a logarithmic axis.
func lowestShown(ms float64) float64 { return max(ms, milliseconds(LowestLatency)) }

// percentileGrid returns evenly spaced places of the axis, as percentiles.
func percentileGrid(nines float64) (percents []float64) {
	for i := range int(nines/percentileStep) + 1 {
		percents = append(percents, 100*(1-math.Pow(10, -float64(i)*percentileStep)))
	}
	return percents
}

func quantiles(h *hdrhistogram.Histogram, percents []float64) (ys []float64) {
	for _, ns := range h.ValueAtPercentilesSlice(percents) {
		ys = append(ys, lowestShown(milliseconds(ns)))
	}
	return ys
}

// percentName writes a percentile with the digits that matter: 50 %, 99.87 %.
func percentName(percent float64) string {
	nines := -math.Log10(max(1e-12, 1-percent/100))
	return fmt.Sprintf("%.*f %%", int(nines), percent)
}

// axisMillis and axisRate write round numbers.
func axisMillis(ms float64) string {
	u := pick(ms, timeUnits())
	return plain(ms/u.size) + " " + u.name
}

func axisRate(perS float64) string {
	if perS >= 1e6 {
		return plain(perS/1e6) + " M"
	}
	if perS >= 1e3 {
		return plain(perS/1e3) + " k"
	}
	return plain(perS)
}

func axisSize(n float64) string {
	u := pick(n, sizeUnits())
	return plain(n/u.size) + " " + u.name
}

func axisCores(n float64) string { return plain(n) }

// moment is one point of the plots over time: a second, or several.
type moment struct {
	at, width float64 // its middle and its length, in seconds of the run
	Second            // its counts are a second's
}

// maxMoments bounds the points of a line; a longer run has points of several seconds.
const maxMoments = 600

// moments cuts a run into points: rates are means, latencies the worst of a point's seconds.
func (r *Report) moments() (all []moment, each int) {
	each = (len(r.Seconds) + maxMoments - 1) / maxMoments
	began := 0.0
	for from := 0; from < len(r.Seconds); from += each {
		part := r.Seconds[from:min(len(r.Seconds), from+each)]
		m := momentOf(part, began)
		began = part[len(part)-1].At
		if m.width > 0 {
			all = append(all, m)
		}
	}
	return all, each
}

// shortest is the least time that a rate is told of, in seconds: the last second of a run
// may be cut short.
const shortest = 0.25

func momentOf(part []Second, began float64) moment {
	m := moment{Second: part[len(part)-1]}
	m.width = m.At - began
	m.at = began + m.width/2
	m.OK, m.Due, m.Errors = 0, 0, 0
	for _, s := range part {
		m.OK, m.Due, m.Errors = m.OK+s.OK, m.Due+s.Due, m.Errors+s.Errors
		m.P50, m.P99, m.Max = max(m.P50, s.P50), max(m.P99, s.P99), max(m.Max, s.Max)
		m.CPU, m.Resident = max(m.CPU, s.CPU), max(m.Resident, s.Resident)
		m.Measured = m.Measured && s.Measured
	}
	if m.width < shortest {
		m.width = 0
	}
	return m
}

func (m moment) perS(n int64) float64 { return float64(n) / m.width }

// overTime draws one figure of several runs over their time.
type overTime struct {
	id, title, unit string
	of              func(moment) float64 // NaN or 0: no value
	write           func(float64) string // a value
	axis            func(float64) string // a tick
	logarithmic     bool
	binary          bool // ticks are round in KiB, MiB …
}

// plot draws it; nil where no run has any value.
func (o overTime) plot(runs []lane) *plot {
	var lines []series
	low, high, end, each := math.Inf(1), 0.0, 0.0, 1
	for _, l := range runs {
		moments, n := l.run.moments()
		s := series{class: l.class, name: l.name, mute: l.mute, quiet: l.mute, write: o.write}
		for _, m := range moments {
			y := o.of(m)
			if y > 0 {
				low, high = min(low, y), max(high, y)
			} else if o.logarithmic {
				y = math.NaN()
			}
			s.xs, s.ys = append(s.xs, m.at), append(s.ys, y)
			end = max(end, m.At)
		}
		lines, each = append(lines, s), max(each, n)
	}
	if high == 0 {
		return nil
	}
	unit := 1.0
	if o.binary {
		unit = pick(high, sizeUnits()).size
	}
	y := linear(high, unit, o.axis)
	if o.logarithmic {
		y = logarithmic(low, high, o.axis)
	}
	p := newPlot(o.id, o.title, timeline(end), y)
	p.XName, p.YName, p.Note = timeName, o.unit, coarse(each)
	p.Summary = o.title + " over time."
	runs[0].run.shadeUnmeasured(p)
	for _, s := range lines {
		p.line(s)
	}
	p.tipsAt(longestXs(lines), momentName)
	return p
}

const timeName = "time since the start of the load"

// longestXs returns the places of the run with the most points. Runs of equal settings have
// theirs at the same places, but for the length of their last second.
func longestXs(lines []series) (xs []float64) {
	for _, s := range lines {
		if len(s.xs) > len(xs) {
			xs = s.xs
		}
	}
	return xs
}

func momentName(at float64) string { return fmt.Sprintf("at %.1f s", at) }

// coarse tells what a point is, where it is more than a second.
func coarse(each int) string {
	if each < 2 {
		return ""
	}
	return fmt.Sprintf("a point is %d s: mean rate, worst latency", each)
}
