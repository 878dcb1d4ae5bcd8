package report

import (
	"fmt"
	"math"
)

// The plots of a single run.

// distributionPlot draws the latencies from due and, of an open loop, from sent.
func (r *Report) distributionPlot() (*plot, error) {
	due, err := r.Total.Latency.Histogram()
	if err != nil {
		return nil, err
	}
	name := "latency"
	if r.Total.Service != nil {
		name = "from due"
	}
	list := []distribution{{series{class: "s1", name: name, area: true}, due}}
	if r.Total.Service != nil {
		sent, err := r.Total.Service.Histogram()
		if err != nil {
			return nil, err
		}
		list = append(list, distribution{series{class: "s2 dashed", name: "from sent"}, sent})
	}
	p := percentilePlot(list)
	if p != nil {
		l := r.Total.Latency
		p.Summary = fmt.Sprintf("Latency: median %s, 99 %% %s, 99.9 %% %s, longest %s.", Millis(l.P50), Millis(l.P99), Millis(l.P999), Millis(l.Max))
	}
	return p, nil
}

// ratePlot draws successes, and where there are any, what was due and the errors.
func (r *Report) ratePlot() *plot {
	ok := overTime{
		id: "rate", title: "Rate", unit: "requests a second", write: Rate, axis: axisRate,
		of: func(m moment) float64 { return m.perS(m.OK) },
	}
	moments, _ := r.moments()
	due, failed := series{class: "muted dashed", name: "due", write: Rate}, series{class: "error", name: "errors", write: Rate}
	high, width := 0.0, 1.0
	for _, m := range moments {
		due.xs, due.ys = append(due.xs, m.at), append(due.ys, m.perS(m.Due))
		failed.xs, failed.ys = append(failed.xs, m.at), append(failed.ys, m.perS(m.Errors))
		high = max(high, m.perS(m.OK), m.perS(m.Due), m.perS(m.Errors))
		width = max(width, m.width)
	}
	if high == 0 {
		return nil
	}
	p := newPlot(ok.id, ok.title, timeline(last(r.Seconds)), linear(high, 1, ok.axis))
	p.XName, p.YName = timeName, ok.unit
	r.shadeUnmeasured(p)
	s := r.seriesOf(ok)
	s.class, s.name, s.area = "s1", "successes", true
	p.line(s)
	if r.Settings.Rate > 0 {
		p.line(due)
	}
	if r.Total.failed() > 0 {
		p.bars(failed, width)
	}
	p.tipsAt(s.xs, momentName)
	p.Summary = fmt.Sprintf("Rate over time: %s on average, %s.", Rate(r.Load.Achieved), many(r.Total.failed(), "error"))
	return p
}

// seriesOf returns one figure of the run over its time.
func (r *Report) seriesOf(o overTime) series {
	s := series{write: o.write}
	moments, _ := r.moments()
	for _, m := range moments {
		y := o.of(m)
		if o.logarithmic && y <= 0 {
			y = math.NaN()
		}
		s.xs, s.ys = append(s.xs, m.at), append(s.ys, y)
	}
	return s
}

// last is the end of a run's last second.
func last(seconds []Second) float64 {
	if len(seconds) == 0 {
		return 0
	}
	return seconds[len(seconds)-1].At
}

// shadeUnmeasured marks what has no part in the figures, before and after the measured time.
func (r *Report) shadeUnmeasured(p *plot) {
	from := r.measuredFrom()
	p.shade(0, from, "warm-up")
	to := from
	for _, s := range r.Seconds {
		if s.Measured {
			to = s.At
		}
	}
	if to > from {
		p.shade(to, last(r.Seconds), "")
	}
}

// latencyPlot draws three percentiles over time.
func (r *Report) latencyPlot() *plot {
	figure := func(of func(moment) float64) overTime {
		return overTime{of: of, write: Millis, logarithmic: true}
	}
	lines := []series{
		r.seriesOf(figure(func(m moment) float64 { return m.Max })),
		r.seriesOf(figure(func(m moment) float64 { return m.P99 })),
		r.seriesOf(figure(func(m moment) float64 { return m.P50 })),
	}
	low, high := math.Inf(1), 0.0
	for i, look := range []legend{{"s3", "max"}, {"s2", "p99"}, {"s1", "p50"}} {
		lines[i].class, lines[i].name = look.Class, look.Name
		for _, y := range lines[i].ys {
			if !math.IsNaN(y) {
				low, high = min(low, y), max(high, y)
			}
		}
	}
	if high == 0 {
		return nil
	}
	p := newPlot("latency", "Latency", timeline(last(r.Seconds)), logarithmic(low, high, axisMillis))
	p.XName, p.YName = timeName, "latency from due, log scale"
	_, each := r.moments()
	p.Note = coarse(each)
	p.Summary = fmt.Sprintf("Latency over time, between %s and %s.", Millis(low), Millis(high))
	r.shadeUnmeasured(p)
	for _, s := range lines {
		p.line(s)
	}
	p.tipsAt(lines[0].xs, momentName)
	return p
}

// serverPlots draw the server's processor time and memory, where they were read.
func (r *Report) serverPlots() (plots []*plot) {
	runs := []lane{{run: r, class: "s1", name: "server"}}
	for _, p := range []*plot{cpuOverTime().plot(runs), residentOverTime().plot(runs)} {
		if p == nil {
			continue
		}
		p.Short, p.Legend = true, nil
		plots = append(plots, p)
	}
	return plots
}

func cpuOverTime() overTime {
	return overTime{
		id: "cpu", title: "Server’s processors", unit: "cores busy", of: func(m moment) float64 { return m.CPU },
		write: func(x float64) string { return three(x) + " cores" }, axis: axisCores,
	}
}

func residentOverTime() overTime {
	return overTime{
		id: "resident", title: "Server’s memory", unit: "resident", of: func(m moment) float64 { return float64(m.Resident) },
		write: size, axis: axisSize, binary: true,
	}
}

// capacityPlot draws the latencies of a search's trials over their rates.
func (r *Report) capacityPlot() *plot {
	trials := byRate(r.Curve)
	low, high, top := math.Inf(1), 0.0, 0.0
	for _, c := range trials {
		for _, ms := range []float64{c.P50, c.P999} {
			if ms > 0 {
				low, high = min(low, ms), max(high, ms)
			}
		}
		top = max(top, c.Rate)
	}
	if high == 0 {
		return nil
	}
	p := newPlot("capacity", "Latency by rate", linear(top, 1, axisRate), logarithmic(low, high, axisMillis))
	p.XName, p.YName = "requests offered a second", "latency from due, log scale"
	p.Summary = "Latency by rate: " + capacityText(r.Curve) + "."
	best, _ := r.capacity()
	p.shade(refused(trials, best), top, "did not hold")
	rates := make([]float64, 0, len(trials))
	lines := []series{{class: "s3", name: "p99.9"}, {class: "s2", name: "p99"}, {class: "s1", name: "p50"}}
	for _, c := range trials {
		rates = append(rates, c.Rate)
		for i, ms := range []float64{c.P999, c.P99, c.P50} {
			lines[i].ys = append(lines[i].ys, positive(ms))
		}
	}
	for _, s := range lines {
		s.xs, s.write = rates, Millis
		p.line(s)
	}
	p.outcomes(trials)
	p.tipsAt(rates, func(x float64) string { return Rate(x) + " offered" })
	return p
}

// positive is a value as a logarithmic axis takes it.
func positive(x float64) float64 {
	if x <= 0 {
		return math.NaN()
	}
	return x
}

// outcomes marks each trial's p99 by whether it held.
func (p *plot) outcomes(trials []Capacity) {
	var xs, ys [2][]float64
	for _, c := range trials {
		i := 0
		if !c.Held {
			i = 1
		}
		if c.P99 > 0 {
			xs[i], ys[i] = append(xs[i], c.Rate), append(ys[i], c.P99)
		}
	}
	for i, look := range []legend{{"good", "held"}, {"error", "did not hold"}} {
		if len(xs[i]) > 0 {
			p.marks(look.Class, look.Name, xs[i], ys[i])
		}
	}
}
