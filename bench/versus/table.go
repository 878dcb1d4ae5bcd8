package versus

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"throng/bench/load"
	"throng/bench/report"
)

// Table is what the results of all rounds come to.
type Table struct {
	Contestants []Contestant
	Works       []Work
	Results     []Result
}

// cell is what a contestant did of a work.
type cell struct {
	ratios, rates, p99s []float64 // by round; ratios to the reference of the same round
}

// cellOf gathers a cell. A round without the reference gives no ratio.
func (t *Table) cellOf(contestant, work string) (c cell) {
	for _, r := range t.Results {
		if r.Contestant != contestant || r.Work.Name != work {
			continue
		}
		rate := r.Report.Total.PerS
		c.rates = append(c.rates, rate)
		c.p99s = append(c.p99s, r.Report.Total.Latency.P99)
		if reference := t.reference(r.Round); reference > 0 {
			c.ratios = append(c.ratios, rate/reference)
		}
	}
	return c
}

// reference is the rate that is 1 in a round; 0: it was not measured.
func (t *Table) reference(round int) float64 {
	for _, r := range t.Results {
		if r.Round == round && r.Contestant == Reference && r.Work.Name == referenceWork {
			return r.Report.Total.PerS
		}
	}
	return 0
}

// String is the cell as the table shows it: median ratio, range, rate and p99.
func (c cell) String() string {
	if len(c.rates) == 0 {
		return "–"
	}
	text := report.Rate(report.Median(c.rates)) + ", p99 " + report.Millis(report.Median(c.p99s))
	if len(c.ratios) == 0 {
		return text
	}
	return fmt.Sprintf("%s (%s-%s): %s", number(report.Median(c.ratios)), number(slices.Min(c.ratios)), number(slices.Max(c.ratios)), text)
}

// number writes a ratio with three figures at most and no leading zero.
func number(x float64) string {
	switch {
	case x >= 10:
		return fmt.Sprintf("%.0f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	case x >= .01:
		return strings.TrimPrefix(fmt.Sprintf("%.2f", x), "0")
	}
	return strings.TrimPrefix(fmt.Sprintf("%.3f", x), "0")
}

// Write writes the table in Markdown, aligned so that it reads as text as well.
func (t *Table) Write(w io.Writer) error {
	rows := [][]string{{"work"}}
	for _, c := range t.Contestants {
		rows[0] = append(rows[0], c.Name)
	}
	for _, work := range t.Works {
		row := []string{work.Name}
		for _, c := range t.Contestants {
			row = append(row, t.cellOf(c.Name, work.Name).String())
		}
		rows = append(rows, row)
	}
	_, err := io.WriteString(w, t.head()+align(rows)+t.foot())
	return err
}

// head says what was measured, and where.
func (t *Table) head() string {
	if len(t.Results) == 0 {
		return "Nothing was measured.\n\n"
	}
	r := t.Results[0].Report
	s, rounds := &r.Settings, 0
	for _, result := range t.Results {
		rounds = max(rounds, result.Round)
	}
	return fmt.Sprintf("Ratios to %s, %q, of the same round: median (range), rounds: %d; then median rate and p99.\n"+
		"%d connections, %d chats, texts of %s, %v measured each. %s, %d cores, generator included; %s, %s, commit %s.\n\n",
		Reference, referenceWork, rounds, s.Connections, s.Chats, load.Sizes{Min: s.SizeMin, Max: s.SizeMax}.String()+" bytes", s.Duration,
		r.Machine.CPU, r.Machine.Cores, r.Machine.OS, r.Tool.Go, r.Tool.Commit)
}

// foot says what the contestants are: as each told of itself, and as it was started.
func (t *Table) foot() string {
	var b strings.Builder
	b.WriteString("\n")
	for _, c := range t.Contestants {
		for _, p := range []Promise{Durable, Relaxed} {
			if r := t.first(c.Name, p); r != nil {
				server := &r.Report.Server
				fmt.Fprintf(&b, "- %s, %s: version %s; it tells of itself: %s; started with `%s`\n",
					c.Name, p, server.Version, server.Durability, r.Config)
			}
		}
		for _, work := range t.Works {
			if why := c.Without[work.Name]; why != "" {
				fmt.Fprintf(&b, "- %s, %s: – since %s\n", c.Name, work.Name, why)
			}
		}
	}
	return b.String()
}

// first is any result of a contestant under a promise; nil: there is none.
func (t *Table) first(contestant string, p Promise) *Result {
	for i := range t.Results {
		if r := &t.Results[i]; r.Contestant == contestant && r.Work.Promise == p {
			return r
		}
	}
	return nil
}

// align writes rows, the first of them a head, as a table of Markdown.
func align(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	var b strings.Builder
	line := func(row []string, fill string) {
		for i, text := range row {
			b.WriteString("| " + text + strings.Repeat(fill, widths[i]-utf8.RuneCountInString(text)) + " ")
		}
		b.WriteString("|\n")
	}
	line(rows[0], " ")
	line(make([]string, len(widths)), "-")
	for _, row := range rows[1:] {
		line(row, " ")
	}
	return b.String()
}
