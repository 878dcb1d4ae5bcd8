package report

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// near reports whether two values are alike to the histogram's precision.
func near(a, b float64) bool { return math.Abs(a-b) <= 2e-3*math.Max(a, b)+1e-3 }

func TestSummarizeTellsADistribution(t *testing.T) {
	h := NewHistogram()
	for i := range 10_000 { // 1 to 10,000 ms
		Record(h, int64(i+1)*int64(time.Millisecond))
	}
	l := Summarize(h)
	for _, f := range []struct {
		name      string
		got, want float64
	}{
		{"mean", l.Mean, 5000.5},
		{"p50", l.P50, 5000},
		{"p90", l.P90, 9000},
		{"p95", l.P95, 9500},
		{"p99", l.P99, 9900},
		{"p99.9", l.P999, 9990},
		{"p99.99", l.P9999, 9999},
		{"max", l.Max, 10_000},
	} {
		if !near(f.got, f.want) {
			t.Errorf("%s is %g ms, want %g", f.name, f.got, f.want)
		}
	}
}

func TestSummarizeOfNothingIsZero(t *testing.T) {
	if l := Summarize(NewHistogram()); l != (Latency{}) {
		t.Errorf("an empty histogram sums up to %+v", l)
	}
}

func TestRecordKeepsLatenciesWithinTheRange(t *testing.T) {
	tests := []struct {
		nanoseconds int64
		want        float64 // ms
	}{
		{-5, 0},
		{0, 0},
		{1_000_000, 1},
		{HighestLatency, 120_000},
		{HighestLatency + 1, 120_000},
		{math.MaxInt64, 120_000},
	}
	for _, tt := range tests {
		h := NewHistogram()
		Record(h, tt.nanoseconds)
		if got := Quantile(h, 100); !near(got, tt.want) || h.TotalCount() != 1 {
			t.Errorf("%d ns is recorded as %g ms (%d values), want %g", tt.nanoseconds, got, h.TotalCount(), tt.want)
		}
	}
}

func TestAHistogramSurvivesItsEncoding(t *testing.T) {
	h := NewHistogram()
	for i := range int64(1000) {
		Record(h, i*i*i)
	}
	got, err := Summarize(h).Histogram()
	if err != nil {
		t.Fatal(err)
	}
	if !got.Equals(h) {
		t.Error("the decoded histogram is another one")
	}
	empty, err := (Latency{}).Histogram()
	if err != nil || empty.TotalCount() != 0 {
		t.Errorf("without an encoding there are %d values, error %v", empty.TotalCount(), err)
	}
}

// The densest histogram there can be must still fit into the limit of Decode.
func TestTheFullestHistogramCanBeDecoded(t *testing.T) {
	h := NewHistogram()
	for i, v := int64(0), int64(0); v < HighestLatency; i++ {
		if err := h.RecordValues(v, 1<<46+i*7919*7919); err != nil {
			t.Fatal(err)
		}
		v += max(512, v/2048)
	}
	if _, err := Decode(Encode(h)); err != nil {
		t.Error(err)
	}
}

func TestDecodeRefusesWhatItCannotAdd(t *testing.T) {
	other := hdrhistogram.New(1, HighestLatency, Precision)
	if err := other.RecordValue(5); err != nil {
		t.Fatal(err)
	}
	encoded, err := other.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, encoded, want string }{
		{"another range", string(encoded), "its range is 1 to"},
		{"no base64", "HISTFAA!", "illegal base64"},
		{"cut short", Encode(sampled(testRNG(), 10, 1, 1))[:24], "decode histogram"},
		{"too long", strings.Repeat("A", maxEncoded+1), "over the limit"},
	}
	for _, tt := range tests {
		if _, err := Decode(tt.encoded); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}
