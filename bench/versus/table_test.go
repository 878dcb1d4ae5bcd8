package versus

import (
	"strings"
	"testing"

	"throng/bench/report"
)

func result(round int, contestant string, work Work, rate, p99 float64) Result {
	r := &report.Report{Settings: work.Settings}
	r.Total.PerS, r.Total.Latency.P99 = rate, p99
	r.Server.Version, r.Server.Durability = "1.2", "always"
	return Result{Round: round, Contestant: contestant, Work: work, Config: "config of " + contestant, Report: r}
}

func sampleTable() *Table {
	works := Works(report.Settings{Connections: 50, Chats: 1000, SizeMin: 64, SizeMax: 64})
	p16, p64 := works[1], works[2]
	return &Table{
		Contestants: []Contestant{{Name: "throng"}, {Name: "redis"}, {Name: "nats", Without: map[string]string{ReadWork: "it cannot"}}},
		Works:       works,
		Results: []Result{
			result(1, "redis", p16, 100_000, 4), result(1, "throng", p16, 200_000, 2), result(1, "throng", p64, 300_000, 9),
			// A round in which the whole machine was twice as fast.
			result(2, "redis", p16, 200_000, 2), result(2, "throng", p16, 400_000, 1), result(2, "throng", p64, 700_000, 5),
			result(3, "redis", p16, 100_000, 4), result(3, "throng", p16, 250_000, 2), result(3, "throng", p64, 200_000, 7),
		},
	}
}

// A ratio is taken within a round, so that a fast or slow round of the whole machine changes none; the table shows their
// median and range.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	table := sampleTable()
	for _, c := range []struct {
		contestant, work, want string
	}{
		{"redis", referenceWork, "1.00 (1.00-1.00): 100 k/s, p99 4.00 ms"},
		{"throng", referenceWork, "2.00 (2.00-2.50): 250 k/s, p99 2.00 ms"},
		{"throng", "durable send, P64", "3.00 (2.00-3.50): 300 k/s, p99 7.00 ms"},
		{"nats", ReadWork, "–"},
	} {
		if got := table.cellOf(c.contestant, c.work).String(); got != c.want {
			t.Errorf("%s, %s: %q, want %q", c.contestant, c.work, got, c.want)
		}
	}
}

// Where the reference was not measured, rates stand alone.
func TestWithoutTheReferenceThereIsNoRatio(t *testing.T) {
	table := sampleTable()
	for i := range table.Results {
		if table.Results[i].Contestant == Reference {
			table.Results[i].Contestant = "other"
		}
	}
	if got, want := table.cellOf("throng", referenceWork).String(), "250 k/s, p99 2.00 ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The table is Markdown, and tells how each server was started and why a work is missing.
func TestTableTellsWhatWasCompared(t *testing.T) {
	var b strings.Builder
	if err := sampleTable().Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"| work ", "| durable send, P64 ", "50 connections, 1000 chats, texts of 64 bytes", "rounds: 3",
		"- throng, durable: version 1.2; it tells of itself: always; started with `config of throng`",
		"- nats, " + ReadWork + ": – since it cannot",
	} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the table lacks %q:\n%s", part, b.String())
		}
	}
}
