package report

import (
	"fmt"
	"math"
)

// comparePage lays out the page of a comparison.
func comparePage(c *Comparison) (*page, error) {
	runs := lanes(c.Groups)
	distribution, err := distributions(runs)
	if err != nil {
		return nil, err
	}
	first := c.Groups[0].Runs[0]
	p := &page{
		Title:    "comparison · throng-bench",
		Kicker:   "throng-bench compare · " + first.Settings.Workload,
		Heading:  c.heading(),
		Lead:     first.Settings.load(),
		Warnings: c.Warnings,
		Cards:    c.cards(),
		Foot:     foot(first),
	}
	for i, g := range c.Groups {
		p.Badges = append(p.Badges, badge{fmt.Sprintf("key s%d", i+1), g.Label + ": " + g.describe()})
	}
	p.add(section{
		ID: "ratios", Title: "Ratios to " + c.Groups[0].Label, Table: c.grid(), Items: c.Notes,
		Note: "Medians of each group’s runs, and the range that they span. Better and worse: every run of one lies beyond every run of the other.",
	})
	p.add(section{ID: "distribution", Title: "Latency", Note: "From the moment when a request was due; a line for each run. Under the pointer stands each group’s first run.", Plots: plots(distribution)})
	p.add(section{
		ID: "time", Title: "Over time", Plots: plots(ratesOverTime().plot(runs), p99OverTime().plot(runs)),
		Pairs: plots(shortened(cpuOverTime().plot(runs)), shortened(residentOverTime().plot(runs))),
	})
	p.add(section{ID: "settings", Title: "What was measured", Facts: c.facts()})
	return p, nil
}

// heading names the groups: throng, redis and nats.
func (c *Comparison) heading() string {
	text := c.Groups[0].Label
	for i, g := range c.Groups[1:] {
		glue := ", "
		if i == len(c.Groups)-2 {
			glue = " and "
		}
		text += glue + g.Label
	}
	return text
}

// cards are the rate of each group, and its ratio.
func (c *Comparison) cards() (list []card) {
	p99 := c.row("p99")
	for _, row := range c.Metrics {
		if row.Name != "rate" {
			continue
		}
		for i, cell := range row.Cells {
			k := figure(c.Groups[i].Label, Rate(cell.Median), "")
			k.Class = fmt.Sprintf("key s%d", i+1)
			if i > 0 && cell.Rated {
				k.Note = times(cell.Ratio.Median) + " the rate"
			}
			if i > 0 && len(p99.Cells) > i && p99.Cells[i].Rated {
				k.Note += ", " + times(p99.Cells[i].Ratio.Median) + " the p99"
			}
			list = append(list, k)
		}
	}
	return list
}

// row returns a metric's row; an empty one where no run has it.
func (c *Comparison) row(name string) Row {
	for _, row := range c.Metrics {
		if row.Name == name {
			return row
		}
	}
	return Row{}
}

func (c *Comparison) grid() *grid {
	g := &grid{Left: 2, Head: []string{"", "", "median", "range", "ratio", "range", ""}}
	for _, row := range c.shown() {
		name := row.Name
		for i, cell := range row.Cells {
			g.add(cell.class(i, len(row.Cells)), append([]string{name, c.Groups[i].Label}, cell.columns(row.metric)...)...)
			name = ""
		}
	}
	return g
}

// class is how the row of one of several groups is shown: with its colour, with what was
// judged, and joined with the next group's.
func (c Cell) class(group, groups int) string {
	class := fmt.Sprintf("key s%d", group+1)
	if group+1 < groups {
		class += " joined"
	}
	switch c.Judged {
	case Better:
		class += " better"
	case Worse:
		class += " worse"
	case Unjudged, Within:
	}
	return class
}

// facts are the settings of the first run, and what each group's server was.
func (c *Comparison) facts() (facts []fact) {
	for _, g := range c.Groups {
		r := g.Runs[0]
		facts = append(facts, fact{g.Label, r.Server.describe() + ", " + durabilityOf(r)})
	}
	for _, f := range c.Groups[0].Runs[0].describe() {
		if f.Name != "server" && f.Name != "durability" && f.Name != "seed" {
			facts = append(facts, f)
		}
	}
	return facts
}

func distributions(runs []lane) (*plot, error) {
	var list []distribution
	for _, l := range runs {
		h, err := l.run.Total.Latency.Histogram()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		list = append(list, distribution{series{class: l.class, name: l.name, mute: l.mute, quiet: l.mute}, h})
	}
	p := percentilePlot(list)
	if p != nil {
		p.Summary = "Latency by percentile of each run."
	}
	return p, nil
}

func ratesOverTime() overTime {
	return overTime{
		id: "rate", title: "Rate", unit: "successes a second", of: func(m moment) float64 { return m.perS(m.OK) },
		write: Rate, axis: axisRate,
	}
}

func p99OverTime() overTime {
	return overTime{
		id: "latency", title: "Latency, p99", unit: "from due, log scale", logarithmic: true,
		of: func(m moment) float64 {
			if m.OK == 0 {
				return math.NaN()
			}
			return m.P99
		},
		write: Millis, axis: axisMillis,
	}
}

// shortened makes a plot half as high.
func shortened(p *plot) *plot {
	if p != nil {
		p.Short = true
	}
	return p
}
