package report

import (
	"fmt"
	"io"
	"slices"
)

// shownMetrics are the rows of a comparison's table; expressions know more.
func shownMetrics() []string {
	return []string{"rate", "capacity", "p50", "p99", "p99.9", "max", "errors", "cpu", "rss"}
}

// shown returns the rows of the tables for people.
func (c *Comparison) shown() (rows []Row) {
	for _, row := range c.Metrics {
		if slices.Contains(shownMetrics(), row.Name) && !row.zero() {
			rows = append(rows, row)
		}
	}
	return rows
}

// zero reports whether there is nothing to see in a row: no errors anywhere.
func (r Row) zero() bool {
	return !slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Max != 0 })
}

// WriteComparison writes the table of ratios, for a terminal or a log, with ANSI colours
// where asked.
func WriteComparison(w io.Writer, c *Comparison, colour bool) error {
	p := &printer{colour: colour}
	p.line(strong, "ratios to "+c.Groups[0].Label+", medians and ranges of runs")
	p.blank()
	for i := range c.Groups {
		g := &c.Groups[i]
		p.fact(normal, g.Label, g.describe())
	}
	settings := &c.Groups[0].Runs[0].Settings
	for _, f := range []fact{{"workload", settings.Workload}, {"load", settings.load()}, {"chats", settings.population()}, {"texts", settings.texts()}} {
		p.fact(normal, f.Name, f.Text)
	}
	p.blank()
	c.table().printTo(p)
	if len(c.Notes) > 0 {
		p.blank()
	}
	for _, note := range c.Notes {
		p.fact(normal, "note", note)
	}
	p.warnings(c.Warnings)
	return p.flush(w)
}

// describe tells what the runs of a group measured.
func (g *Group) describe() string {
	r := g.Runs[0]
	return fmt.Sprintf("%s, %s, %s", joinWords(r.Server.Kind, r.Server.Version), durabilityOf(r), many(int64(len(g.Runs)), "run"))
}

func (c *Comparison) table() *table {
	t := &table{left: 2, head: []string{"", "", "median", "range", "ratio", "range", ""}}
	for _, row := range c.shown() {
		name := row.Name
		for i, cell := range row.Cells {
			t.add(cell.style(), append([]string{name, c.Groups[i].Label}, cell.columns(row.metric)...)...)
			name = ""
		}
	}
	return t
}

// style colours what lies beyond the spread.
func (c Cell) style() style {
	switch c.Judged {
	case Better:
		return good
	case Worse:
		return bad
	case Unjudged, Within:
	}
	return normal
}

// columns writes a cell: median, range, ratio and its range, judgement.
func (c Cell) columns(m metric) []string {
	if !c.Known {
		return []string{none, "", "", "", ""}
	}
	columns := []string{m.counts.write(c.Median), c.between(c.Spread, m.counts.write), "", "", string(c.Judged)}
	if c.Rated {
		columns[2], columns[3] = times(c.Ratio.Median), c.between(c.Ratio, times)
	}
	return columns
}

// between writes a range; "" where all runs are alike, as a single one is.
func (c Cell) between(s Spread, write func(float64) string) string {
	if c.Min == c.Max {
		return ""
	}
	return write(s.Min) + " – " + write(s.Max)
}
