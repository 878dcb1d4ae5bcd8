package report

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"throng/bench/target"
)

// generator makes the report of one of several: what it measured is what h holds.
func generator(h *hdrhistogram.Histogram) *Report {
	r := runOf("throng", "1", 100)
	r.Started = time.Unix(1000, 0).UTC()
	r.Settings.Chats, r.Settings.Users, r.Settings.Requests, r.Settings.Agents = 10, 20, 500, 2
	service := Summarize(h)
	r.Total = Figures{
		Kind: "total", Requests: h.TotalCount() + 3, OK: h.TotalCount(), Errors: map[string]int64{"429": 2, "lost": 1},
		PerS: 100, BytesOut: 10, BytesIn: 20, Messages: 30, Latency: Summarize(h), Service: &service,
	}
	r.Kinds = []Figures{r.Total}
	r.Kinds[0].Kind = "send"
	r.Seconds = []Second{
		{At: 1, OK: h.TotalCount(), Due: 7, Errors: 1, P50: Quantile(h, 50), P99: Quantile(h, 99), Max: Quantile(h, 100), Hdr: Encode(h)},
		{At: 2, Measured: true, OK: h.TotalCount(), P50: Quantile(h, 50), P99: Quantile(h, 99), Max: Quantile(h, 100), Hdr: Encode(h)},
	}
	r.Load = Load{Offered: 110, Achieved: 100, CPU: 3, LagP99: 1, LagMax: 2, Unsent: 4}
	return r
}

// unlike makes two generators, of which the second is ten times as slow and has twice the
// requests, and the histogram of all.
func unlike() (one, other *Report, all *hdrhistogram.Histogram) {
	rng := testRNG()
	a, b := sampled(rng, 1000, 1, .5), sampled(rng, 2000, 10, .5)
	all = NewHistogram()
	all.Merge(a)
	all.Merge(b)
	return generator(a), generator(b), all
}

func merged(t *testing.T, reports ...*Report) *Report {
	t.Helper()
	r, err := Merge(reports)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestMergedLatenciesAreThoseOfAllRequests(t *testing.T) {
	one, other, all := unlike()
	r, want := merged(t, one, other), Summarize(all)
	if r.Total.Latency != want || *r.Total.Service != want || r.Kinds[0].Latency != want {
		t.Errorf("the latency is %+v, want %+v", r.Total.Latency, want)
	}
	for i, s := range r.Seconds {
		if s.P50 != want.P50 || s.P99 != want.P99 || s.Max != want.Max || s.Hdr != want.Hdr {
			t.Errorf("second %d is %+v, want the latency %+v", i, s, want)
		}
	}
	if mean := (one.Total.Latency.P50 + other.Total.Latency.P50) / 2; near(want.P50, mean) {
		t.Errorf("the median %g is the mean of the medians: this test cannot tell them apart", want.P50)
	}
}

func TestMergeAddsCountsAndTakesTheServerOnce(t *testing.T) {
	one, other, _ := unlike()
	other.Server.Local, other.Server.CPU, other.Server.Resident = true, 7, 1<<20
	other.Seconds[1].CPU, other.Seconds[1].Resident = 1.5, 1<<20
	other.Started = one.Started.Add(-time.Second)
	other.Elapsed, other.Interrupted = 11, true
	other.Machine.CPU = "other"
	other.Load.LagP99, other.Load.LagMax = 5, 1
	one.Warnings, other.Warnings = []string{"slow"}, []string{"slow"}
	one.Settings.Seed, other.Settings.Seed = 1, 2
	r := merged(t, one, other)

	settings := one.Settings
	settings.Connections, settings.Rate, settings.Chats, settings.Users, settings.Requests, settings.Agents = 100, 2000, 20, 40, 1000, 2
	got := [][2]any{
		{r.Settings, settings},
		{r.Server, other.Server},
		{r.Load, Load{Offered: 220, Achieved: 200, CPU: 6, LagP99: 5, LagMax: 2, Unsent: 8}},
		{r.Started, other.Started},
		{r.Elapsed, 11.0},
		{r.Interrupted, true},
		{r.Warnings, []string{"generator 1: slow", "generator 2: slow"}},
		{r.Others, []Machine{{CPU: "other"}}},
		{[]int64{r.Total.Requests, r.Total.OK, r.Total.BytesOut, r.Total.BytesIn, r.Total.Messages}, []int64{3006, 3000, 20, 40, 60}},
		{r.Total.Errors, map[string]int64{"429": 4, "lost": 2}},
		{r.Total.PerS, 200.0},
		{[]int64{r.Seconds[0].Due, r.Seconds[0].OK, r.Seconds[0].Errors}, []int64{14, 3000, 2}},
		{[]bool{r.Seconds[0].Measured, r.Seconds[1].Measured}, []bool{false, true}},
		{[]float64{r.Seconds[0].CPU, r.Seconds[1].CPU}, []float64{0, 1.5}},
	}
	for _, g := range got {
		if !reflect.DeepEqual(g[0], g[1]) {
			t.Errorf("merged is %+v, want %+v", g[0], g[1])
		}
	}
	if one.Total.Errors["429"] != 2 || one.Warnings[0] != "slow" {
		t.Error("the first generator's report was changed")
	}
}

func TestMergeOfOneIsThatOne(t *testing.T) {
	one, _, _ := unlike()
	r := merged(t, one)
	want := *one
	want.Settings.Agents = 1
	if !reflect.DeepEqual(r, &want) {
		t.Errorf("it is %+v, want %+v", r, &want)
	}
}

func TestSecondsThatOneGeneratorLacksAreTheOthers(t *testing.T) {
	one, other, _ := unlike()
	one.Seconds = one.Seconds[:1]
	r := merged(t, one, other)
	if !reflect.DeepEqual(r.Seconds[1], other.Seconds[1]) {
		t.Errorf("the second is %+v, want %+v", r.Seconds[1], other.Seconds[1])
	}
}

func TestKindsAreMergedByNameInTheirOrder(t *testing.T) {
	one, other, _ := unlike()
	one.Kinds = []Figures{{Kind: "read", OK: 1}, {Kind: "login", OK: 2}}
	other.Kinds = []Figures{{Kind: "send", OK: 4}, {Kind: "read", OK: 8}}
	var got []string
	r := merged(t, one, other)
	for i := range r.Kinds {
		got = append(got, r.Kinds[i].Kind+" "+grouped(r.Kinds[i].OK))
	}
	if want := []string{"send 4", "read 9", "login 2"}; !slices.Equal(got, want) {
		t.Errorf("the kinds are %q, want %q", got, want)
	}
}

func TestVerdictsAreCombined(t *testing.T) {
	one, other, _ := unlike()
	one.Verdict = &Verdict{OK: true, Sends: 5, Acked: 4, Unknown: 1, Found: 1, Reads: 2, Messages: 3, Chats: 2, Seconds: 9, Note: "half of it"}
	other.Verdict = &Verdict{Sends: 50, Acked: 40, Unknown: 10, Reads: 20, Messages: 30, Chats: 3, Seconds: 2, Faults: 1, Examples: []string{"lost"}}
	third, _, _ := unlike()
	want := &Verdict{
		Sends: 55, Acked: 44, Unknown: 11, Found: 1, Reads: 22, Messages: 33, Chats: 5, Seconds: 9, Faults: 1,
		Examples: []string{"generator 2: lost"},
		Note:     "generator 1: half of it; generator 3: nothing was verified",
	}
	if got := merged(t, one, other, third).Verdict; !reflect.DeepEqual(got, want) {
		t.Errorf("the verdict is %+v, want %+v", got, want)
	}
	if got := merged(t, third, third).Verdict; got != nil {
		t.Errorf("where nothing was verified the verdict is %+v", got)
	}
	other.Verdict.Examples = slices.Repeat([]string{"lost"}, 2*maxExamples)
	if n := len(merged(t, one, other).Verdict.Examples); n != maxExamples {
		t.Errorf("%d examples, want %d", n, maxExamples)
	}
}

func TestIdleConnectionsShareTheServersMemory(t *testing.T) {
	one, other, _ := unlike()
	one.Idle = &Idle{Connections: 100, ConnectPerS: 10, Dropped: 1}
	other.Idle = &Idle{Connections: 300, ConnectPerS: 20, Dropped: 2, ResidentStart: 1000, ResidentIdle: 5000, BytesEach: 4000. / 300}
	other.Server.Local = true
	want := &Idle{Connections: 400, ConnectPerS: 30, Dropped: 3, ResidentStart: 1000, ResidentIdle: 5000, BytesEach: 10}
	if got := merged(t, one, other).Idle; !reflect.DeepEqual(got, want) {
		t.Errorf("idle is %+v, want %+v", got, want)
	}
}

func TestMergeRefusesWhatIsNotOneRun(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Report)
		want   string
	}{
		{"other settings", func(r *Report) { r.Settings.Pipeline = 3 }, "generator 2: pipeline is 3, of generator 1 0"},
		{"another kind of loop", func(r *Report) { r.Settings.Rate = 0 }, "generator 2: rate is 0"},
		{"another server", func(r *Report) { r.Server.Version = "2" }, "generator 2: it measured another server: throng 2"},
		{"other durability", func(r *Report) { r.Server.Durability = "none" }, "generator 2: it measured another server"},
		{"a search", func(r *Report) { r.Curve = []Capacity{{}} }, "generator 2: a search for capacity"},
		{"a damaged total", func(r *Report) { r.Total.Latency.Hdr = "damaged" }, "decode histogram"},
		{"a damaged kind", func(r *Report) { r.Kinds[0].Latency.Hdr = "damaged" }, "merge: send: decode histogram"},
		{"a second without its histogram", func(r *Report) { r.Seconds[1].Hdr = "" }, "second 2: generator 2 has no histogram of it"},
		{"no time since sending", func(r *Report) { r.Total.Service = nil }, "some generators know the time since sending"},
	}
	for _, tt := range tests {
		one, other, _ := unlike()
		tt.change(other)
		if _, err := Merge([]*Report{one, other}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := Merge(nil); err == nil {
		t.Error("nothing was merged into a report")
	}
}

// However requests are divided among generators, the merged figures are the same.
func TestTheDivisionAmongGeneratorsDoesNotMatter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	all := NewHistogram()
	parts := []*hdrhistogram.Histogram{NewHistogram(), NewHistogram(), NewHistogram()}
	for range 20_000 {
		ns := int64(rng.ExpFloat64() * 3e6)
		Record(all, ns)
		Record(parts[rng.IntN(len(parts))], ns)
	}
	var reports []*Report
	for _, h := range parts {
		reports = append(reports, generator(h))
	}
	if got, want := merged(t, reports...).Total.Latency, Summarize(all); got != want {
		t.Errorf("the latency is %+v, want %+v", got, want)
	}
}

// The names of kinds decide the order: a name that target does not know comes last.
func TestUnknownKindsComeLast(t *testing.T) {
	r := &Report{Kinds: []Figures{{Kind: "zap"}, {Kind: target.Ping.String()}, {Kind: "act"}}}
	if got, want := kindsOf([]*Report{r}), []string{"ping", "act", "zap"}; !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}
}
