package report

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// barWidth is the longest bar of a curve.
const barWidth = 24

// curve writes the trials of a search by rising rate, with a bar for each p99 on a
// logarithmic scale.
func (p *printer) curve(trials []Capacity) {
	if len(trials) == 0 {
		return
	}
	p.blank()
	p.fact(strong, "capacity", capacityText(trials))
	p.blank()
	t := &table{left: 0, head: []string{"offered", "achieved", "p50", "p99", "p99.9", "held", "p99, log scale" + strings.Repeat(" ", barWidth-14), ""}}
	for _, c := range byRate(trials) {
		held, s := "yes", normal
		if !c.Held {
			held, s = "no", bad
		}
		bar := bar(c.P99, trials)
		t.add(s, Rate(c.Rate), Rate(c.Achieved), Millis(c.P50), Millis(c.P99), Millis(c.P999), held,
			bar+strings.Repeat(" ", barWidth-len(bar)), "")
	}
	t.printTo(p)
	for _, c := range byRate(trials) {
		if c.Why != "" {
			p.item(normal, Rate(c.Rate)+": "+c.Why)
		}
	}
}

// capacityText tells between which rates the objective ceased to hold.
func capacityText(trials []Capacity) string {
	best, _ := (&Report{Curve: trials}).capacity()
	over := refused(trials, best)
	switch {
	case best == 0:
		return "no rate held, from " + Rate(over) + " up"
	case math.IsInf(over, 1):
		return Rate(best) + " held, the highest that was tried"
	}
	return Rate(best) + " held, " + Rate(over) + " did not"
}

// refused is the lowest rate above the best that did not hold; +Inf where all held.
func refused(trials []Capacity, best float64) float64 {
	over := math.Inf(1)
	for _, c := range trials {
		if !c.Held && c.Rate > best {
			over = min(over, c.Rate)
		}
	}
	return over
}

func byRate(trials []Capacity) []Capacity {
	return slices.SortedFunc(slices.Values(trials), func(a, b Capacity) int { return cmp.Compare(a.Rate, b.Rate) })
}

// bar draws a latency on the scale of all trials' p99: one mark for the least.
func bar(ms float64, trials []Capacity) string {
	low, high := math.Inf(1), 0.0
	for _, c := range trials {
		if c.P99 > 0 {
			low, high = min(low, c.P99), max(high, c.P99)
		}
	}
	if ms <= 0 {
		return ""
	}
	part := 1.0
	if high > low {
		part = math.Log(ms/low) / math.Log(high/low)
	}
	return strings.Repeat("#", 1+int(math.Round(part*(barWidth-1))))
}
