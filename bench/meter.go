package bench

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"throng/bench/report"
	"throng/bench/target"
)

// tally counts the answers to requests of one kind.
type tally struct {
	due     *hdrhistogram.Histogram // of successes, from the moment when they were due
	service *hdrhistogram.Histogram // from the moment when they were sent; nil in a closed loop
	ok      int64
	inTime  int64 // of ok, answered within the measured time
	errors  map[string]int64
	in, out int64 // bytes of replies; of texts sent
	shown   int64 // messages, by reads
}

func newTally(open bool) *tally {
	t := &tally{due: report.NewHistogram(), errors: map[string]int64{}}
	if open {
		t.service = report.NewHistogram()
	}
	return t
}

func (t *tally) refused() (n int64) {
	for _, count := range t.errors {
		n += count
	}
	return n
}

func (t *tally) merge(from *tally) {
	t.due.Merge(from.due)
	if from.service != nil {
		t.service.Merge(from.service)
	}
	t.ok += from.ok
	t.inTime += from.inTime
	for name, count := range from.errors {
		t.errors[name] += count
	}
	t.in += from.in
	t.out += from.out
	t.shown += from.shown
}

func (t *tally) reset() {
	t.due.Reset()
	if t.service != nil {
		t.service.Reset()
	}
	clear(t.errors)
	t.ok, t.inTime, t.in, t.out, t.shown = 0, 0, 0, 0, 0
}

// tallies has one tally a kind, made when the kind is first met.
type tallies [target.Kinds]*tally

func (t *tallies) of(k target.Kind, open bool) *tally {
	if t[k] == nil {
		t[k] = newTally(open)
	}
	return t[k]
}

// record is what was recorded within a second: of requests that were due in the
// measured time, and of others.
type record struct{ measured, others tallies }

func (r *record) of(f *flight, measuredFrom int64) *tallies {
	if f.due >= measuredFrom {
		return &r.measured
	}
	return &r.others
}

// recorder is what a few sessions write to; the meter empties it each second. A
// session holds its lock for as long as it accounts for one batch of replies.
type recorder struct {
	mu   sync.Mutex
	live *record
}

// alike is requests of one kind, one behind the other in a batch of answers, that
// were due and sent at the same times, as a closed loop's mostly are: they have one
// tally, and its histograms take the successes in one step.
type alike struct {
	tally     *tally // nil: there are none
	kind      target.Kind
	due, sent int64
	n         int64 // successes
}

// has reports whether a request is one of them.
func (a *alike) has(f *flight) bool {
	return a.tally != nil && f.kind == a.kind && f.due == a.due && f.sent == a.sent
}

// record notes the successes, all answered now.
func (a *alike) record(now int64) {
	if a.n == 0 {
		return
	}
	a.tally.ok += a.n
	report.RecordMany(a.tally.due, now-a.due, a.n)
	if a.tally.service != nil {
		report.RecordMany(a.tally.service, now-a.sent, a.n)
	}
}

// meter gathers what the recorders hold, second by second.
type meter struct {
	open      bool
	recorders []recorder

	// Owned by the goroutine that calls gather.
	spare  *record
	second *hdrhistogram.Histogram // the answers of one second, of every kind
	total  tallies                 // of the requests that are measured
	inTime [target.Kinds]int64     // successes within the measured time, whenever they were due
}

// recordersFor is how many recorders serve a number of sessions: enough that
// sessions seldom meet, few enough to be emptied each second.
func recordersFor(sessions int) int { return max(1, min(sessions, maxRecorders)) }

const maxRecorders = 16

func newMeter(sessions int, open bool) *meter {
	m := &meter{open: open, recorders: make([]recorder, recordersFor(sessions)), spare: &record{}, second: report.NewHistogram()}
	for i := range m.recorders {
		m.recorders[i].live = &record{}
	}
	return m
}

func (m *meter) recorder(session int) *recorder { return &m.recorders[session%len(m.recorders)] }

// stage is a part of a run.
type stage uint8

const (
	warming   stage = iota // not measured
	measuring              // measured
	ending                 // nothing is due any more; answers still come
)

// gather takes all that the recorders hold and returns the second that it makes.
func (m *meter) gather(now stage) report.Second {
	m.second.Reset()
	second := report.Second{Measured: now == measuring}
	for i := range m.recorders {
		r := &m.recorders[i]
		r.mu.Lock()
		r.live, m.spare = m.spare, r.live
		r.mu.Unlock()
		m.take(&m.spare.measured, now, &second, true)
		m.take(&m.spare.others, now, &second, false)
	}
	second.P50, second.P99 = report.Quantile(m.second, 50), report.Quantile(m.second, 99)
	second.Max = report.Quantile(m.second, 100)
	second.Hdr = report.Encode(m.second)
	return second
}

// take adds tallies to a second, and to the total where they are measured, and
// empties them.
func (m *meter) take(from *tallies, now stage, second *report.Second, measured bool) {
	for kind, t := range from {
		if t == nil {
			continue
		}
		m.second.Merge(t.due)
		second.OK += t.ok
		second.Errors += t.refused()
		if now == measuring {
			m.inTime[kind] += t.ok
		}
		if measured {
			m.total.of(target.Kind(kind), m.open).merge(t)
		}
		t.reset()
	}
}

// figures sums the measured time up: a row a kind that was asked, and all of them.
func (m *meter) figures(elapsed time.Duration) (total report.Figures, kinds []report.Figures) {
	all := newTally(m.open)
	for kind, t := range m.total {
		if t != nil {
			t.inTime = m.inTime[kind]
			all.merge(t)
			kinds = append(kinds, figuresOf(target.Kind(kind).String(), t, elapsed))
		}
	}
	return figuresOf("total", all, elapsed), kinds
}

func figuresOf(kind string, t *tally, elapsed time.Duration) report.Figures {
	f := report.Figures{
		Kind: kind, OK: t.ok, Requests: t.ok + t.refused(), PerS: float64(t.inTime) / elapsed.Seconds(),
		BytesOut: t.out, BytesIn: t.in, Messages: t.shown, Latency: report.Summarize(t.due),
	}
	if len(t.errors) > 0 {
		f.Errors = t.errors
	}
	if t.service != nil {
		service := report.Summarize(t.service)
		f.Service = &service
	}
	return f
}
