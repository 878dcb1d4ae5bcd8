package report

import (
	"strings"
	"testing"
)

// figures make a run with round numbers.
func figures(ok, failed int64) Figures {
	return Figures{
		Kind: "total", Requests: ok + failed, OK: ok, Errors: map[string]int64{"429": failed}, PerS: float64(ok) / 10,
		Latency: Latency{Mean: 2, P50: 1, P90: 4, P95: 5, P99: 20, P999: 50, P9999: 80, Max: 100},
	}
}

func TestAnObjectiveHoldsOrTellsWhyNot(t *testing.T) {
	tests := []struct {
		objective string
		ok        int64
		failed    int64
		why       string // "": it holds
	}{
		{"p99<20.1ms", 1000, 0, ""},
		{"p99<20ms", 1000, 0, "p99 is 20.0 ms, not <20ms"},
		{"p99<=20ms", 1000, 0, ""},
		{"p99.9<50001us, p50 < 1.5ms", 1000, 0, ""},
		{"p99.9<50µs", 1000, 0, "p99.9 is 50.0 ms, not <50µs"},
		{"max<1s,mean<=2ms,p90<5ms,p95<6ms,p99.99<81ms", 1000, 0, ""},
		{"errors<0.1%", 9999, 1, ""},
		{"errors<0.1%", 999, 1, "errors is 0.10 %, not <0.1%"},
		{"errors<=1", 999, 1, ""},
		{"errors<1", 999, 1, "errors is 1, not <1"},
		{"rate>=100/s", 1000, 0, ""},
		{"rate>1k", 1000, 0, "rate is 100 /s, not >1k"},
		{"p99<1s", 0, 5, "nothing succeeded: p99 is unknown"},
		{"errors<1%", 0, 0, "nothing succeeded: errors is unknown"},
	}
	for _, tt := range tests {
		slo, err := ParseSLO(tt.objective)
		if err != nil {
			t.Errorf("%s: %v", tt.objective, err)
			continue
		}
		holds, why := slo.Holds(figures(tt.ok, tt.failed))
		if holds != (tt.why == "") || why != tt.why {
			t.Errorf("%s of %d successes and %d errors: %v, %q; want %q", tt.objective, tt.ok, tt.failed, holds, why, tt.why)
		}
	}
}

func TestNoObjectiveHoldsAlways(t *testing.T) {
	if ok, why := (SLO{}).Holds(Figures{}); !ok {
		t.Error(why)
	}
}

func TestAnObjectiveIsWrittenAsItWasTyped(t *testing.T) {
	slo, err := ParseSLO("p99 < 20ms, errors<0.1%")
	if err != nil || slo.String() != "p99<20ms,errors<0.1%" {
		t.Errorf("%q, %v", slo, err)
	}
}

func TestConditionsThatMakeNoSenseAreRefused(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", "neither < nor >"},
		{"p99", "neither < nor >"},
		{"p99=20ms", "neither < nor >"},
		{"p98<20ms", `"p98" is none of rate, capacity, mean`},
		{"p99<", "does not begin with a number"},
		{"p99<fast", "does not begin with a number"},
		{"p99<1.2.3ms", "does not begin with a number"},
		{"p99<-1ms", "does not begin with a number"},
		{"p99<20", "a time is written like 20ms"},
		{"p99<20%", "a time is written like 20ms"},
		{"rate>5ms", "a rate is written like 50000"},
		{"errors<5ms", "a part of all requests like 0.1%"},
		{"p99<20ms,", "neither < nor >"},
		{"p99<1.2x", "nothing to compare with"},
		{"cpu<20us", "no figure of a single trial"},
		{"capacity>50k", "no figure of a single trial"},
		{strings.Repeat("p99<1ms,", maxConditions) + "p99<1ms", "are more than"},
	}
	for _, tt := range tests {
		if _, err := ParseSLO(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q", tt.text, err, tt.want)
		}
	}
}

// pair are two groups: the second has twice the latency, half the rate, and errors.
func pair() []Group {
	base, other := &Report{Total: figures(1000, 0), Elapsed: 10}, &Report{Total: figures(500, 5), Elapsed: 10}
	l := &other.Total.Latency
	l.P50, l.P99, l.Max = 2*l.P50, 2*l.P99, 2*l.Max
	base.Server.CPU, other.Server.CPU = .02, .02
	return []Group{{"base", []*Report{base}}, {"other", []*Report{other}}}
}

func TestFailuresAreToldByMedians(t *testing.T) {
	three := pair()
	slow, fast := *three[1].Runs[0], *three[0].Runs[0]
	three[1].Runs = []*Report{&slow, &fast, &fast} // one slow run of three does not count
	tests := []struct {
		name   string
		groups []Group
		texts  []string
		want   []string
		err    string
	}{
		{"a ratio that is passed", pair(), []string{"p99>1.2x"}, []string{"p99>1.2x: p99 of other is 2.00x"}, ""},
		{"a ratio that is not", pair(), []string{"p99>2.1x"}, nil, ""},
		{"several", pair(), []string{"rate<0.9x,p50>5ms", "errors>0"}, []string{"rate<0.9x: rate of other is 0.50x", "errors>0: errors of other is 5"}, ""},
		{"a part of all requests", pair(), []string{"errors>0.5%"}, []string{"errors>0.5%: errors of other is 0.99 %"}, ""},
		{"a ratio to no errors at all", pair(), []string{"errors>10x"}, []string{"errors>10x: errors of other is ∞"}, ""},
		{"the cost of a request", pair(), []string{"cpu>1.5x"}, []string{"cpu>1.5x: cpu of other is 2.00x"}, ""},
		{"medians", three, []string{"p99>1.2x"}, nil, ""},
		{"the first group, where it is alone", pair()[:1], []string{"p99>10ms"}, []string{"p99>10ms: p99 of base is 20.0 ms"}, ""},
		{"nothing to compare with", pair()[:1], []string{"p99>1.2x"}, nil, "no other group"},
		{"a figure that is missing", pair(), []string{"rss>1.1x"}, nil, "other has no rss"},
		{"nothing asked", pair(), nil, nil, ""},
	}
	for _, tt := range tests {
		f, err := ParseFailIf(tt.texts...)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := f.Failures(&Comparison{Groups: tt.groups})
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
			t.Errorf("%s: failures %q, want %q", tt.name, got, tt.want)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestFailIfNamesABadCondition(t *testing.T) {
	if _, err := ParseFailIf("p99>1.2x", "p99>>3x"); err == nil || !strings.Contains(err.Error(), "p99>>3x") {
		t.Errorf("error %v", err)
	}
}
