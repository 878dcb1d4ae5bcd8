package report

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The one range of every histogram, so that any two can be added: values are told
// apart to three significant figures, or to a microsecond where that is coarser.
const (
	LowestLatency  = 1_000           // nanoseconds
	HighestLatency = 120_000_000_000 // nanoseconds; what takes longer is recorded as this
	Precision      = 3               // significant figures
)

// NewHistogram returns an empty histogram of nanoseconds, of some 150 kB.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(LowestLatency, HighestLatency, Precision)
}

// Record notes one latency. A negative one (of a clock read on two processors)
// counts as 0, one above HighestLatency as that.
func Record(h *hdrhistogram.Histogram, nanoseconds int64) { RecordMany(h, nanoseconds, 1) }

// RecordMany notes n equal latencies.
func RecordMany(h *hdrhistogram.Histogram, nanoseconds, n int64) {
	if err := h.RecordValues(min(max(nanoseconds, 0), HighestLatency), n); err != nil {
		panic("report: a latency within the range was not recorded: " + err.Error())
	}
}

// Quantile returns, in milliseconds, what percent of the values do not exceed; 0 of
// an empty histogram. 100 is the maximum.
func Quantile(h *hdrhistogram.Histogram, percent float64) float64 {
	return milliseconds(h.ValueAtPercentile(percent))
}

func milliseconds(nanoseconds int64) float64 { return float64(nanoseconds) / float64(time.Millisecond) }

// Summarize returns the figures of a histogram, and the histogram itself, encoded.
func Summarize(h *hdrhistogram.Histogram) Latency {
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99, 99.9, 99.99, 100})
	return Latency{
		Mean: h.Mean() / float64(time.Millisecond),
		P50:  milliseconds(at[0]), P90: milliseconds(at[1]), P95: milliseconds(at[2]),
		P99: milliseconds(at[3]), P999: milliseconds(at[4]), P9999: milliseconds(at[5]),
		Max: milliseconds(at[6]),
		Hdr: Encode(h),
	}
}

// Histogram returns the distribution that the figures sum up; an empty one where
// there is none.
func (l Latency) Histogram() (*hdrhistogram.Histogram, error) { return Decode(l.Hdr) }

// Encode writes a histogram of NewHistogram down: HdrHistogram's V2 compressed form in
// base64, some kilobytes at most. An empty histogram is an empty string.
func Encode(h *hdrhistogram.Histogram) string {
	if h.TotalCount() == 0 {
		return ""
	}
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("report: a histogram was not encoded: " + err.Error())
	}
	return string(encoded)
}

// Decode is the reverse of Encode. It refuses a histogram of another range: its counts
// could not be added to others without loss.
func Decode(encoded string) (*hdrhistogram.Histogram, error) {
	if encoded == "" {
		return NewHistogram(), nil
	}
	if len(encoded) > maxEncoded {
		return nil, fmt.Errorf("decode histogram: %d bytes are over the limit of %d", len(encoded), maxEncoded)
	}
	h, err := hdrhistogram.Decode([]byte(encoded))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	if h.LowestTrackableValue() != LowestLatency || h.HighestTrackableValue() != HighestLatency || h.SignificantFigures() != Precision {
		return nil, fmt.Errorf("decode histogram: its range is %d to %d ns with %d figures, not %d to %d with %d",
			h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures(), LowestLatency, HighestLatency, Precision)
	}
	return h, nil
}

// maxEncoded is beyond the longest form of a histogram of our range: its 18,432 counters of
// at most nine bytes, in base64.
const maxEncoded = 256 << 10
