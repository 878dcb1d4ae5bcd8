package report

import (
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// warmupTag marks the intervals before the measured time, so that a reader which adds the
// untagged ones comes to the report's total.
const warmupTag = "warm-up"

// WriteHDR writes an HdrHistogram log, version 1.3, which the tools of HdrHistogram read:
// latencies from due, of every kind, in nanoseconds; an interval for each second
// that has its histogram. Where none has one (a report read from a file), the whole measured
// time is one interval.
func WriteHDR(w io.Writer, r *Report) error {
	intervals, err := r.intervals()
	if err != nil {
		return fmt.Errorf("write HdrHistogram log: %w", err)
	}
	// The header tells whole seconds only; what is relative to it must be so as well.
	base := r.Started.Truncate(time.Second).UnixMilli()
	log := hdrhistogram.NewHistogramLogWriter(w)
	log.SetBaseTime(base)
	for _, step := range []func() error{
		func() error {
			return log.OutputComment(fmt.Sprintf("[throng-bench %s, workload %s on %s]", r.Tool.Version, r.Settings.Workload, r.Settings.Target))
		},
		log.OutputLogFormatVersion,
		func() error { return log.OutputBaseTime(base) },
		func() error { return log.OutputStartTime(base) },
		log.OutputLegend,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("write HdrHistogram log: %w", err)
		}
	}
	for _, h := range intervals {
		if err := log.OutputIntervalHistogram(h); err != nil {
			return fmt.Errorf("write HdrHistogram log: %w", err)
		}
	}
	return nil
}

// intervals returns the histograms of the log, each with its times and tag.
func (r *Report) intervals() ([]*hdrhistogram.Histogram, error) {
	var intervals []*hdrhistogram.Histogram
	began := 0.0
	for _, s := range r.Seconds {
		if s.Hdr != "" {
			h, err := Decode(s.Hdr)
			if err != nil {
				return nil, fmt.Errorf("second %g: %w", s.At, err)
			}
			if !s.Measured {
				h.SetTag(warmupTag)
			}
			intervals = append(intervals, r.between(h, began, s.At))
		}
		began = s.At
	}
	if len(intervals) > 0 {
		return intervals, nil
	}
	h, err := r.Total.Latency.Histogram()
	if err != nil {
		return nil, err
	}
	began = r.measuredFrom()
	return append(intervals, r.between(h, began, began+r.Elapsed)), nil
}

// between stamps a histogram with its time, given in seconds of the load.
func (r *Report) between(h *hdrhistogram.Histogram, from, to float64) *hdrhistogram.Histogram {
	at := func(seconds float64) int64 { return r.Started.UnixMilli() + int64(seconds*1000) }
	h.SetStartTimeMs(at(from))
	h.SetEndTimeMs(at(to))
	return h
}

// measuredFrom is when the warm-up was over, in seconds of the load.
func (r *Report) measuredFrom() float64 {
	from := 0.0
	for _, s := range r.Seconds {
		if s.Measured {
			return from
		}
		from = s.At
	}
	return 0
}
