package report

import (
	"bytes"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// intervalsOf reads a log back with HdrHistogram's own reader.
func intervalsOf(t *testing.T, r *Report) (list []*hdrhistogram.Histogram) {
	t.Helper()
	reader := hdrhistogram.NewHistogramLogReader(bytes.NewReader(textOf(t, func(b *bytes.Buffer) error { return WriteHDR(b, r) })))
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			return list
		}
		list = append(list, h)
	}
}

func TestTheLogHasAnIntervalASecond(t *testing.T) {
	r := sampleFull()
	intervals := intervalsOf(t, r)
	if len(intervals) != len(r.Seconds) {
		t.Fatalf("%d intervals of %d seconds", len(intervals), len(r.Seconds))
	}
	all := NewHistogram()
	for i, h := range intervals {
		began := r.Started.UnixMilli() + int64(i)*1000
		if h.StartTimeMs() != began || h.EndTimeMs() != began+1000 {
			t.Errorf("interval %d is from %d to %d, want %d to %d", i, h.StartTimeMs(), h.EndTimeMs(), began, began+1000)
		}
		if warm := h.Tag() == warmupTag; warm == r.Seconds[i].Measured {
			t.Errorf("interval %d has the tag %q, measured %v", i, h.Tag(), r.Seconds[i].Measured)
		}
		if h.Tag() == "" {
			all.Merge(h)
		}
	}
	if Encode(all) != r.Total.Latency.Hdr {
		t.Error("the measured intervals do not add up to the total")
	}
}

func TestTheLogOfAFileIsOneInterval(t *testing.T) {
	r := sampleFull()
	for i := range r.Seconds {
		r.Seconds[i].Hdr = ""
	}
	intervals := intervalsOf(t, r)
	if len(intervals) != 1 {
		t.Fatalf("%d intervals, want 1", len(intervals))
	}
	if h := intervals[0]; Encode(h) != r.Total.Latency.Hdr || h.StartTimeMs() != r.Started.UnixMilli()+sampleWarmup*1000 {
		t.Errorf("the interval begins at %d and has %d values", h.StartTimeMs(), h.TotalCount())
	}
}

func TestTheLogOfADamagedReportFails(t *testing.T) {
	r := sampleFull()
	r.Seconds[3].Hdr = "damaged"
	if err := WriteHDR(&bytes.Buffer{}, r); err == nil {
		t.Error("a damaged histogram was written down")
	}
}
