package report

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Options say how to compare.
type Options struct {
	Force bool // compare although settings differ: each difference becomes a warning
}

// Limits of a comparison.
const (
	MaxGroups = 8  // a page has colours for no more
	MaxRuns   = 64 // of a group
)

// ErrSettings says that runs were not compared because they did not measure the same.
var ErrSettings = errors.New("the settings differ")

// Comparison holds groups of runs against the first of them.
type Comparison struct {
	Groups   []Group
	Metrics  []Row    // only those that some run has
	Notes    []string // what a reader must know: how durability differs, where machines do
	Warnings []string // what makes the comparison doubtful
}

// Row is one metric of all groups.
type Row struct {
	Name  string
	About string
	Cells []Cell // of each group

	metric metric
}

// Cell is one metric of one group. Where Known is false, no run of the group has it.
type Cell struct {
	Known bool
	Spread
	Ratio  Spread // to the first group's median
	Rated  bool   // there is a ratio: both groups know the metric
	Judged Judgement
}

// Spread sums the runs of a group up.
type Spread struct {
	Median, Min, Max float64
}

// Judgement says how a group's runs stand to the first group's.
type Judgement string

// The judgements. Better and Worse mean that every run of one group lies beyond every
// run of the other; a single run on each side has no spread and is not judged.
const (
	Unjudged Judgement = ""
	Better   Judgement = "better"
	Worse    Judgement = "worse"
	Within   Judgement = "within spread"
)

// Compare compares groups of runs with the first. It fails with ErrSettings where the
// settings of two runs differ in more than Seed and Target, unless forced.
func Compare(groups []Group, options Options) (*Comparison, error) {
	if err := checkGroups(groups); err != nil {
		return nil, err
	}
	c := &Comparison{Groups: groups}
	differing := differingSettings(groups)
	if len(differing) > 0 && !options.Force {
		return nil, fmt.Errorf("%w:\n  %s\nCompare all the same with --force", ErrSettings, strings.Join(differing, "\n  "))
	}
	for _, d := range differing {
		c.Warnings = append(c.Warnings, "settings differ: "+d)
	}
	c.Warnings = append(c.Warnings, doubts(groups)...)
	c.Notes = remarks(groups)
	for _, m := range metrics() {
		if row := rowOf(m, groups); row.known() {
			c.Metrics = append(c.Metrics, row)
		}
	}
	return c, nil
}

func checkGroups(groups []Group) error {
	if len(groups) == 0 {
		return errors.New("compare: there is nothing to compare")
	}
	if len(groups) > MaxGroups {
		return fmt.Errorf("compare: %d groups are more than %d", len(groups), MaxGroups)
	}
	for _, g := range groups {
		if n := len(g.Runs); n == 0 || n > MaxRuns {
			return fmt.Errorf("compare: %s has %d runs, and a group has 1 to %d", g.Label, n, MaxRuns)
		}
	}
	return nil
}

// each calls do for every run but the very first, with the first and its own name.
func each(groups []Group, do func(first, r *Report, name string)) {
	first := groups[0].Runs[0]
	for i, g := range groups {
		for j, r := range g.Runs {
			if i+j > 0 {
				do(first, r, runName(g, j))
			}
		}
	}
}

// runName names one run of a group: redis, or redis run 2 where there are several.
func runName(g Group, run int) string {
	if len(g.Runs) == 1 {
		return g.Label
	}
	return fmt.Sprintf("%s run %d", g.Label, run+1)
}

// differingSettings names every setting in which a run differs from the very first.
func differingSettings(groups []Group) (named []string) {
	each(groups, func(first, r *Report, name string) {
		for _, d := range differences(first, r) {
			named = append(named, fmt.Sprintf("%s of %s is %s, of %s %s", d.setting, runName(groups[0], 0), d.a, name, d.b))
		}
	})
	return named
}

// difference is one setting of two runs.
type difference struct{ setting, a, b string }

// differences returns the settings that decide what is measured and differ in two runs:
// all but Seed and Target, and Rate where both searched for it.
func differences(a, b *Report) (list []difference) {
	free := map[string]bool{"Seed": true, "Target": true}
	free["Rate"] = len(a.Curve) > 0 && len(b.Curve) > 0
	one, other := reflect.ValueOf(a.Settings), reflect.ValueOf(b.Settings)
	for i := range one.NumField() {
		field := one.Type().Field(i)
		x, y := one.Field(i).Interface(), other.Field(i).Interface()
		if free[field.Name] || reflect.DeepEqual(x, y) {
			continue
		}
		list = append(list, difference{settingName(field), written(x), written(y)})
	}
	return list
}

// settingName is a setting as the JSON names it, without the unit.
func settingName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return strings.TrimSuffix(name, "_ns")
}

func written(x any) string {
	if s := fmt.Sprint(x); s != "" {
		return s
	}
	return "none"
}

// doubts are the warnings of single runs that weigh on a comparison.
func doubts(groups []Group) (list []string) {
	for _, g := range groups {
		for j, r := range g.Runs {
			name := runName(g, j)
			for _, w := range r.Warnings {
				list = append(list, name+": "+w)
			}
			if r.Interrupted {
				list = append(list, name+": the run was interrupted, its figures are partial")
			}
			if r.Verdict != nil && !r.Verdict.OK {
				list = append(list, fmt.Sprintf("%s: verification found %s", name, many(r.Verdict.Faults, "fault")))
			}
		}
	}
	return list
}

// remarks name what differs and is no setting of the harness: what an acknowledgement
// means, always, and the machines.
func remarks(groups []Group) (list []string) {
	durability, machine := differs(groups, durabilityOf), differs(groups, machineOf)
	if durability != "" {
		list = append(list, "durability differs: "+durability)
	}
	if machine != "" {
		list = append(list, "the machines differ: "+machine)
	}
	return list
}

func durabilityOf(r *Report) string { return cmp.Or(r.Server.Durability, "unknown") }

func machineOf(r *Report) string { return cmp.Or(r.Machine.describe(), "unknown") }

// differs says what each run has, by group, where not all have the same; else "".
func differs(groups []Group, of func(*Report) string) string {
	var parts []string
	var all []string
	for _, g := range groups {
		var own []string
		for _, r := range g.Runs {
			if is := of(r); !slices.Contains(own, is) {
				own = append(own, is)
			}
		}
		parts = append(parts, g.Label+" "+strings.Join(own, " and "))
		all = append(all, own...)
	}
	slices.Sort(all)
	if len(slices.Compact(all)) < 2 {
		return ""
	}
	return strings.Join(parts, "; ")
}

// rowOf fills a metric's row.
func rowOf(m metric, groups []Group) Row {
	row := Row{Name: m.name, About: m.about, metric: m}
	base := spreadOver(groups[0], m.of)
	for i, g := range groups {
		cell := spreadOver(g, m.of).held(base)
		if i > 0 {
			cell.Judged = judge(base, cell, len(groups[0].Runs)+len(g.Runs), m.rises)
		}
		row.Cells = append(row.Cells, cell)
	}
	return row
}

func (r Row) known() bool {
	return slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Known })
}

// spreadOver sums a figure of a group's runs up. It is known where every run knows it: a
// median over some of the runs would hide the others.
func spreadOver(g Group, of func(*Report) (float64, bool)) Cell {
	var values []float64
	for _, r := range g.Runs {
		x, ok := of(r)
		if !ok {
			return Cell{}
		}
		values = append(values, x)
	}
	return Cell{Known: true, Spread: spreadOf(values)}
}

// spreadOf sums values up; there is one at least.
func spreadOf(values []float64) Spread {
	return Spread{Median: Median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// Median returns the middle of values, or the mean of the two in the middle; 0 of none. It
// leaves values as they are.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// held adds the ratio to a base. Of two zeros the ratio is 1.
func (c Cell) held(base Cell) Cell {
	if !c.Known || !base.Known {
		return c
	}
	over := func(x float64) float64 {
		if base.Median == 0 && x == 0 {
			return 1
		}
		return x / base.Median // +Inf over 0
	}
	c.Rated = true
	c.Ratio = Spread{over(c.Median), over(c.Min), over(c.Max)}
	return c
}

// judge compares two groups of runs in all.
func judge(base, c Cell, runs int, rises bool) Judgement {
	if !base.Known || !c.Known || runs < 3 {
		return Unjudged
	}
	above, below := c.Min > base.Max, c.Max < base.Min
	switch {
	case !above && !below:
		return Within
	case above == rises:
		return Better
	}
	return Worse
}
