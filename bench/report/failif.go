package report

import (
	"errors"
	"fmt"
)

// FailIf is what must not be true of a comparison.
type FailIf struct {
	conditions []condition
}

// ParseFailIf reads conditions such as "p99>1.2x", "rate<0.9x", "p99.9>20ms", "errors>0",
// from any number of arguments, each a list separated by commas. A number with an x is a
// ratio to the first group.
func ParseFailIf(texts ...string) (FailIf, error) {
	var f FailIf
	for _, text := range texts {
		conditions, err := parseConditions(text)
		if err != nil {
			return FailIf{}, fmt.Errorf("fail-if: %w", err)
		}
		f.conditions = append(f.conditions, conditions...)
	}
	return f, nil
}

// Failures returns a line for each condition that is true of a group, by the medians of its
// runs: of every group but the first, with which they are compared; of the first where
// it stands alone. It fails where a condition cannot be told, so that a missing figure does
// not pass for a good one.
func (f FailIf) Failures(c *Comparison) (failures []string, err error) {
	judged := c.Groups
	if len(judged) > 1 {
		judged = judged[1:]
	}
	var faults []error
	for _, condition := range f.conditions {
		for _, g := range judged {
			failure, err := condition.failure(c.Groups, g)
			if err != nil {
				faults = append(faults, err)
			} else if failure != "" {
				failures = append(failures, failure)
			}
		}
	}
	return failures, errors.Join(faults...)
}

// failure says how a group makes the condition true; "" where it does not.
func (c condition) failure(groups []Group, g Group) (string, error) {
	cell := spreadOver(g, c.measured)
	if !cell.Known {
		return "", fmt.Errorf("fail-if %s: %s has no %s", c.text, g.Label, c.metric.name)
	}
	x := cell.Median
	if c.of == ratio {
		if len(groups) < 2 {
			return "", fmt.Errorf("fail-if %s: there is no other group to compare with", c.text)
		}
		base := spreadOver(groups[0], c.measured)
		if !base.Known {
			return "", fmt.Errorf("fail-if %s: %s has no %s", c.text, groups[0].Label, c.metric.name)
		}
		x = cell.held(base).Ratio.Median
	}
	if !c.true(x) {
		return "", nil
	}
	return fmt.Sprintf("%s: %s of %s is %s", c.text, c.metric.name, g.Label, c.write(x)), nil
}
