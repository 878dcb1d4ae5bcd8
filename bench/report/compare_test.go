package report

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"throng/bench/target"
)

// runOf makes a small run that can be compared.
func runOf(kind, version string, perS float64) *Report {
	return &Report{
		Settings: Settings{Workload: "send", Target: kind, Connections: 50, Rate: 1000},
		Server:   Server{Info: target.Info{Kind: kind, Version: version, Durability: "sync=always"}},
		Total:    Figures{Kind: "total", Requests: 100, OK: 100, PerS: perS, Latency: Latency{P50: 1, P99: 2, Max: 3}},
		Load:     Load{Achieved: perS},
		Elapsed:  10,
	}
}

func TestRatiosAreOfMediansWithTheirRange(t *testing.T) {
	groups := []Group{
		{"a", []*Report{runOf("a", "1", 90), runOf("a", "1", 100), runOf("a", "1", 120)}},
		{"b", []*Report{runOf("b", "1", 50), runOf("b", "1", 40), runOf("b", "1", 60), runOf("b", "1", 80)}},
	}
	c, err := Compare(groups, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := c.row("rate").Cells
	want := []Cell{
		{Known: true, Spread: Spread{100, 90, 120}, Rated: true, Ratio: Spread{1, .9, 1.2}},
		{Known: true, Spread: Spread{55, 40, 80}, Rated: true, Ratio: Spread{.55, .4, .8}, Judged: Worse},
	}
	if !slices.Equal(got, want) {
		t.Errorf("the rates are %+v, want %+v", got, want)
	}
}

func TestAJudgementNeedsMoreThanOneRunAndNoOverlap(t *testing.T) {
	cell := func(low, high float64) Cell { return Cell{Known: true, Spread: Spread{low, low, high}} }
	tests := []struct {
		name  string
		base  Cell
		other Cell
		runs  int
		rises bool
		want  Judgement
	}{
		{"single runs", cell(1, 1), cell(9, 9), 2, true, Unjudged},
		{"above, more is better", cell(1, 2), cell(3, 4), 4, true, Better},
		{"below, more is better", cell(3, 4), cell(1, 2), 4, true, Worse},
		{"above, less is better", cell(1, 2), cell(3, 4), 4, false, Worse},
		{"below, less is better", cell(3, 4), cell(1, 2), 4, false, Better},
		{"overlapping", cell(1, 3), cell(2, 4), 4, true, Within},
		{"touching", cell(1, 2), cell(2, 4), 4, true, Within},
		{"unknown", cell(1, 2), Cell{}, 4, true, Unjudged},
	}
	for _, tt := range tests {
		if got := judge(tt.base, tt.other, tt.runs, tt.rises); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAFigureThatOneRunLacksIsUnknown(t *testing.T) {
	measured, not := runOf("a", "1", 100), runOf("a", "1", 100)
	measured.Server.CPU = 5
	c, err := Compare([]Group{{"a", []*Report{measured, not}}, {"b", []*Report{measured}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cells := c.row("cpu").Cells
	if cells[0].Known || !cells[1].Known || cells[1].Rated {
		t.Errorf("the costs are %+v", cells)
	}
}

func TestRunsOfDifferentSettingsAreRefusedUnlessForced(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Report)
		want   string // "": they are compared
	}{
		{"nothing", func(*Report) {}, ""},
		{"the seed", func(r *Report) { r.Settings.Seed = 9 }, ""},
		{"the target", func(r *Report) { r.Settings.Target = "redis" }, ""},
		{"a number", func(r *Report) { r.Settings.Connections = 60 }, "connections of a is 50, of b 60"},
		{"the rate", func(r *Report) { r.Settings.Rate = 0 }, "rate of a is 1000, of b 0"},
		{"a time", func(r *Report) { r.Settings.Warmup = 1e9 }, "warmup of a is 0s, of b 1s"},
		{"the mix", func(r *Report) { r.Settings.Mix = map[string]int{"send": 1} }, "mix of a is map[], of b map[send:1]"},
		{"a name", func(r *Report) { r.Settings.Corpus = "fortunes" }, "corpus of a is none, of b fortunes"},
	}
	for _, tt := range tests {
		other := runOf("b", "1", 100)
		tt.change(other)
		groups := []Group{{"a", []*Report{runOf("a", "1", 100)}}, {"b", []*Report{other}}}
		_, err := Compare(groups, Options{})
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s differs: %v", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s differs: error %v, want %q", tt.name, err, tt.want)
		}
		forced, err := Compare(groups, Options{Force: true})
		if err != nil || !slices.Contains(forced.Warnings, "settings differ: "+tt.want) {
			t.Errorf("%s differs, forced: %v, error %v", tt.name, forced, err)
		}
	}
}

func TestTheRateOfASearchIsNoSetting(t *testing.T) {
	a, b := runOf("a", "1", 100), runOf("b", "1", 200)
	b.Settings.Rate = 2000
	a.Curve, b.Curve = []Capacity{{Rate: 1000, Held: true}}, []Capacity{{Rate: 2000, Held: true}, {Rate: 3000}}
	c, err := Compare([]Group{{"a", []*Report{a}}, {"b", []*Report{b}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.row("capacity").Cells[1].Ratio.Median; got != 2 {
		t.Errorf("the ratio of the capacities is %g, want 2", got)
	}
}

func TestWhatMakesAComparisonDoubtfulIsNamed(t *testing.T) {
	a, b := runOf("a", "1", 100), runOf("b", "1", 100)
	b.Server.Durability, b.Machine.CPU = "", "another"
	b.Interrupted, b.Warnings, b.Verdict = true, []string{"the generator lagged"}, &Verdict{Faults: 2}
	c, err := Compare([]Group{{"a", []*Report{a}}, {"b", []*Report{b, runOf("b", "1", 1)}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	warnings := []string{
		"b run 1: the generator lagged",
		"b run 1: the run was interrupted, its figures are partial",
		"b run 1: verification found 2 faults",
	}
	if !slices.Equal(c.Warnings, warnings) {
		t.Errorf("warnings %q, want %q", c.Warnings, warnings)
	}
	notes := []string{"durability differs: a sync=always; b unknown and sync=always", "the machines differ: a unknown; b another and unknown"}
	if !slices.Equal(c.Notes, notes) {
		t.Errorf("notes %q, want %q", c.Notes, notes)
	}
}

func TestCompareHasLimits(t *testing.T) {
	run := runOf("a", "1", 100)
	tests := []struct {
		name   string
		groups []Group
		want   string
	}{
		{"nothing", nil, "nothing to compare"},
		{"an empty group", []Group{{Label: "a"}}, "a has 0 runs"},
		{"too many groups", slices.Repeat([]Group{{"a", []*Report{run}}}, MaxGroups+1), "9 groups are more than 8"},
		{"too many runs", []Group{{"a", slices.Repeat([]*Report{run}, MaxRuns+1)}}, "a has 65 runs"},
	}
	for _, tt := range tests {
		if _, err := Compare(tt.groups, Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestArgumentsNameGroupsOrFiles(t *testing.T) {
	tests := []struct {
		argument, label, files, err string
	}{
		{"a.json", "", "a.json", ""},
		{"redis=a.json", "redis", "a.json", ""},
		{"redis=a.json,b.json", "redis", "a.json b.json", ""},
		{"=a.json", "", "", "label"},
		{"redis=", "", "", "name of a file is empty"},
		{"redis=a.json,,b.json", "", "", "name of a file is empty"},
	}
	for _, tt := range tests {
		label, files, err := ParseGroup(tt.argument)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want %q", tt.argument, err, tt.err)
			}
			continue
		}
		if err != nil || label != tt.label || strings.Join(files, " ") != tt.files {
			t.Errorf("%q: %q, %q, error %v", tt.argument, label, files, err)
		}
	}
}

func TestFilesAreGroupedByWhatTheyMeasured(t *testing.T) {
	durable := runOf("redis", "7", 1)
	durable.Server.Durability = "appendfsync=always"
	more := runOf("redis", "7", 1)
	more.Settings.Connections = 9
	throng, redis, newer := runOf("throng", "1", 1), runOf("redis", "7", 1), runOf("redis", "8", 1)
	tests := []struct {
		name  string
		files []*Report
		want  string
	}{
		{"servers", []*Report{throng, redis, throng, redis}, "throng×2, redis×2"},
		{"versions", []*Report{redis, newer, redis}, "redis 7×2, redis 8×1"},
		{"durability", []*Report{redis, durable}, "redis 7 sync=always×1, redis 7 appendfsync=always×1"},
		{"settings", []*Report{redis, more}, "redis 7 sync=always×1, redis 7 sync=always (2)×1"},
		{"all alike", []*Report{redis, redis}, "run0×1, run1×1"},
		{"one", []*Report{redis}, "redis×1"},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		var files []File
		for i, r := range tt.files {
			files = append(files, File{Name: "results/run" + grouped(int64(i)) + ".json", Report: r})
		}
		var got []string
		for _, g := range GroupFiles(files) {
			got = append(got, g.Label+"×"+grouped(int64(len(g.Runs))))
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAComparisonOfSingleRunsShowsNoSpread(t *testing.T) {
	c, err := Compare([]Group{{"a", []*Report{runOf("a", "1", 100)}}, {"b", []*Report{runOf("b", "1", 50)}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := string(textOf(t, func(b *bytes.Buffer) error { return WriteComparison(b, c, false) }))
	if !strings.Contains(text, "0.50x\n") || strings.Contains(text, " – ") || strings.Contains(text, "worse") {
		t.Errorf("it reads\n%s", text)
	}
}

func TestMedianOfAnOddAndOfAnEvenNumber(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := Median(c.of); got != c.want {
			t.Errorf("%v: %g, want %g", c.of, got, c.want)
		}
	}
}
