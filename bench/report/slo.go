package report

import (
	"fmt"
	"strings"
)

// SLO is an objective: conditions that a run is to meet, all of them. The zero SLO asks
// for nothing.
type SLO struct {
	conditions []condition
}

// ParseSLO reads an objective such as "p99<20ms" or "p99.9<50ms,errors<0.1%": metrics of
// one run (rate, mean, p50 … p99.99, max, errors), latencies from due.
func ParseSLO(text string) (SLO, error) {
	conditions, err := parseConditions(text)
	if err != nil {
		return SLO{}, fmt.Errorf("objective: %w", err)
	}
	for _, c := range conditions {
		if c.of == ratio {
			return SLO{}, fmt.Errorf("objective: condition %q has a ratio, and there is nothing to compare with", c.text)
		}
		if !c.metric.ofFigures() {
			return SLO{}, fmt.Errorf("objective: condition %q: %s is no figure of a single trial", c.text, c.metric.name)
		}
	}
	return SLO{conditions}, nil
}

// ofFigures reports whether Figures alone tell the metric.
func (m metric) ofFigures() bool {
	return m.name == "rate" || m.counts == aTime || m.counts == aCount
}

func (s SLO) String() string {
	var parts []string
	for _, c := range s.conditions {
		parts = append(parts, c.text)
	}
	return strings.Join(parts, ",")
}

// Holds reports whether figures meet the objective, and if not, what they miss first. A
// run in which nothing succeeded has no latency, and meets no objective about one.
func (s SLO) Holds(f Figures) (ok bool, why string) {
	r := &Report{Total: f}
	for _, c := range s.conditions {
		x, known := c.measured(r)
		if !known {
			return false, fmt.Sprintf("nothing succeeded: %s is unknown", c.metric.name)
		}
		if !c.true(x) {
			return false, fmt.Sprintf("%s is %s, not %s", c.metric.name, c.write(x), c.bound())
		}
	}
	return true, ""
}

// bound is the condition without its metric: <20ms.
func (c condition) bound() string { return strings.TrimPrefix(c.text, c.metric.name) }
