package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// condition is one comparison of a metric with a number: p99<20ms, errors>0.1%,
// rate<0.9x. Both objectives and --fail-if are lists of them.
type condition struct {
	text   string // as typed
	metric metric
	op     string // <, <=, >, >=
	value  float64
	of     measure
}

// measure says what a condition's number is a number of.
type measure uint8

const (
	absolute measure = iota // the metric's own dimension, in its base unit
	percent                 // of all requests; of errors only
	ratio                   // to the first group
)

// maxConditions bounds a list.
const maxConditions = 64

// parseConditions reads a list separated by commas.
func parseConditions(text string) ([]condition, error) {
	parts := strings.Split(text, ",")
	if len(parts) > maxConditions {
		return nil, fmt.Errorf("%d conditions are more than %d", len(parts), maxConditions)
	}
	var list []condition
	for _, part := range parts {
		c, err := parseCondition(part)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

// parseCondition reads NAME OP NUMBER[UNIT]; blanks between them are ignored.
func parseCondition(text string) (condition, error) {
	text = strings.Join(strings.Fields(text), "")
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return condition{}, fmt.Errorf("condition %q has neither < nor >: it should read like p99<20ms", text)
	}
	m, known := metricNamed(text[:at])
	if !known {
		return condition{}, fmt.Errorf("condition %q: %q is none of %s", text, text[:at], metricNames())
	}
	op := text[at : at+1]
	if strings.HasPrefix(text[at+1:], "=") {
		op += "="
	}
	c := condition{text: text, metric: m, op: op}
	if err := c.parseValue(text[at+len(op):]); err != nil {
		return condition{}, fmt.Errorf("condition %q: %w", text, err)
	}
	return c, nil
}

// parseValue reads the number and its unit.
func (c *condition) parseValue(text string) error {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(text)
	}
	number, err := strconv.ParseFloat(text[:end], 64)
	if err != nil {
		return fmt.Errorf("%q does not begin with a number", text)
	}
	factor, of, err := c.metric.unit(text[end:])
	if err != nil {
		return err
	}
	c.value, c.of = number*factor, of
	return nil
}

// unit reads a unit: its factor to the metric's base unit, and what it is a number of.
func (m metric) unit(name string) (float64, measure, error) {
	if name == "x" {
		return 1, ratio, nil
	}
	if name == "%" && m.counts == aCount {
		return 1, percent, nil
	}
	if factor, ok := m.counts.units()[name]; ok {
		return factor, absolute, nil
	}
	return 0, absolute, fmt.Errorf("%q is no unit of %s; %s", name, m.name, m.counts.example())
}

// units are the units of a dimension, by their factor to its base unit.
func (d dimension) units() map[string]float64 {
	switch d {
	case aTime:
		return map[string]float64{"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3}
	case aRate:
		return map[string]float64{"": 1, "/s": 1, "k": 1e3, "k/s": 1e3, "M": 1e6, "M/s": 1e6}
	case aSize:
		return map[string]float64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	case aCost:
		return map[string]float64{"us": 1, "µs": 1, "ms": 1e3}
	case aCount:
	}
	return map[string]float64{"": 1, "k": 1e3, "M": 1e6}
}

// example tells how a value of the dimension is written.
func (d dimension) example() string {
	switch d {
	case aTime:
		return "a time is written like 20ms, 500us or 1.5s"
	case aRate:
		return "a rate is written like 50000, 50k or 1.2M"
	case aSize:
		return "a size is written like 120MiB"
	case aCost:
		return "a cost is written like 15us"
	case aCount:
	}
	return "a number is written like 100, a part of all requests like 0.1%"
}

// true reports whether a value stands to the condition's number as it says.
func (c condition) true(x float64) bool {
	switch c.op {
	case "<":
		return x < c.value
	case "<=":
		return x <= c.value
	case ">":
		return x > c.value
	}
	return x >= c.value
}

// measured returns the value of one run that the condition is about: the metric, or for a
// percentage its part of all requests.
func (c condition) measured(r *Report) (float64, bool) {
	x, ok := c.metric.of(r)
	if c.of != percent {
		return x, ok
	}
	if r.Total.Requests == 0 {
		return 0, false
	}
	return 100 * x / float64(r.Total.Requests), ok
}

// write writes a value of the condition's kind.
func (c condition) write(x float64) string {
	switch c.of {
	case ratio:
		return times(x)
	case percent:
		return share(x, 100)
	case absolute:
	}
	return c.metric.counts.write(x)
}

// times writes a ratio: 1.20x.
func times(x float64) string {
	if math.IsInf(x, 0) {
		return "∞"
	}
	return three(x) + "x"
}
