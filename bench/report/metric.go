package report

import (
	"slices"
	"strings"
)

// dimension says what a metric counts, and so which units it may be given in and how it
// is written.
type dimension uint8

const (
	aTime  dimension = iota // milliseconds
	aRate                   // a second
	aCount                  // of requests
	aSize                   // bytes
	aCost                   // microseconds of processor time for one request
)

// write writes a value for people.
func (d dimension) write(x float64) string {
	switch d {
	case aTime:
		return Millis(x)
	case aRate:
		return Rate(x)
	case aSize:
		return size(x)
	case aCost:
		return three(x) + " µs"
	case aCount:
	}
	return grouped(int64(x))
}

// metric is one figure of a run, as comparisons and expressions name it.
type metric struct {
	name   string
	about  string
	counts dimension
	rises  bool // more is better

	// of returns the figure; false where the run does not have it.
	of func(*Report) (float64, bool)
}

// figured makes a metric's function from one that looks at the total alone.
func figured(of func(*Figures) (float64, bool)) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) { return of(&r.Total) }
}

// latency picks one figure of a latency; a run without a success has none, and is not
// to pass for a fast one.
func latency(pick func(*Latency) float64) func(*Report) (float64, bool) {
	return figured(func(f *Figures) (float64, bool) { return pick(&f.Latency), f.OK > 0 })
}

// metrics are all metrics, in the order of tables.
func metrics() []metric {
	return []metric{
		{"rate", "successes a second", aRate, true, figured(func(f *Figures) (float64, bool) { return f.PerS, true })},
		{"capacity", "highest rate that held", aRate, true, (*Report).capacity},
		{"mean", "latency, mean", aTime, false, latency(func(l *Latency) float64 { return l.Mean })},
		{"p50", "latency, median", aTime, false, latency(func(l *Latency) float64 { return l.P50 })},
		{"p90", "latency, 90 %", aTime, false, latency(func(l *Latency) float64 { return l.P90 })},
		{"p95", "latency, 95 %", aTime, false, latency(func(l *Latency) float64 { return l.P95 })},
		{"p99", "latency, 99 %", aTime, false, latency(func(l *Latency) float64 { return l.P99 })},
		{"p99.9", "latency, 99.9 %", aTime, false, latency(func(l *Latency) float64 { return l.P999 })},
		{"p99.99", "latency, 99.99 %", aTime, false, latency(func(l *Latency) float64 { return l.P9999 })},
		{"max", "latency, longest", aTime, false, latency(func(l *Latency) float64 { return l.Max })},
		{"errors", "requests without success", aCount, false, figured(func(f *Figures) (float64, bool) { return float64(f.failed()), true })},
		{"cpu", "server's processor time a request", aCost, false, (*Report).cost},
		{"rss", "server's resident memory", aSize, false, func(r *Report) (float64, bool) {
			return float64(r.Server.Resident), r.Server.Resident > 0
		}},
	}
}

// metricNamed returns the metric of a name.
func metricNamed(name string) (metric, bool) {
	all := metrics()
	i := slices.IndexFunc(all, func(m metric) bool { return m.name == name })
	if i < 0 {
		return metric{}, false
	}
	return all[i], true
}

// metricNames lists the names for an error message.
func metricNames() string {
	var names []string
	for _, m := range metrics() {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}

// failed is how many requests ended without success.
func (f *Figures) failed() (n int64) {
	for _, count := range f.Errors {
		n += count
	}
	return n
}

// cost is the server's processor time for one success, in microseconds; false where it was
// not read.
func (r *Report) cost() (float64, bool) {
	done := r.Total.PerS * r.Elapsed // in the measured time, as the processor time is
	if r.Server.CPU <= 0 || done <= 0 {
		return 0, false
	}
	return r.Server.CPU / done * 1e6, true
}

// capacity is the highest rate of the curve that held; false without a search, or where
// none did.
func (r *Report) capacity() (best float64, ok bool) {
	for _, c := range r.Curve {
		if c.Held {
			best, ok = max(best, c.Rate), true
		}
	}
	return best, ok
}
