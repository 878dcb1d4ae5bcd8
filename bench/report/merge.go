package report

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"throng/bench/target"
)

// maxExamples bounds the faults that a merged verdict shows.
const maxExamples = 20

// Merge makes one report of those of several generators that put their load on one server
// at the same time. Counts are added. Histograms are added and summed up anew: no
// percentile is ever averaged.
//
// Each generator has connections, users and chats of its own and a part of the rate: these
// settings are added, Seed is the first's, all others must be equal. What was read of the
// server is taken once, from the generator that ran on its machine. Of the generators'
// lag the worst counts. The reports are not changed, but the merged one shares data with them.
func Merge(reports []*Report) (*Report, error) {
	if err := checkMerge(reports); err != nil {
		return nil, fmt.Errorf("merge: %w", err)
	}
	first := reports[0]
	merged := *first
	merged.Settings = mergeSettings(reports)
	merged.Server = mergeServers(reports)
	merged.Others, merged.Warnings = nil, nil
	for i, r := range reports {
		if i > 0 {
			merged.Others = append(append(merged.Others, r.Machine), r.Others...)
		}
		if r.Started.Before(merged.Started) {
			merged.Started = r.Started
		}
		merged.Elapsed = max(merged.Elapsed, r.Elapsed)
		merged.Interrupted = merged.Interrupted || r.Interrupted
		merged.Warnings = append(merged.Warnings, numbered(i, r.Warnings)...)
	}
	merged.Load = mergeLoads(reports)
	merged.Verdict = mergeVerdicts(reports)
	merged.Idle = mergeIdle(reports)
	return &merged, mergeMeasured(&merged, reports)
}

// numbered names the generator that lines come from.
func numbered(generator int, lines []string) (named []string) {
	for _, line := range lines {
		named = append(named, fmt.Sprintf("generator %d: %s", generator+1, line))
	}
	return named
}

// checkMerge reports every reason why reports are not parts of one run.
func checkMerge(reports []*Report) error {
	if len(reports) == 0 {
		return errors.New("there is no report")
	}
	var faults []error
	first := reports[0]
	for i, r := range reports {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("generator %d: %s", i+1, fmt.Sprintf(format, args...)))
		}
		for _, d := range differences(shareless(first), shareless(r)) {
			fault("%s is %s, of generator 1 %s", d.setting, d.b, d.a)
		}
		if r.Settings.Target != first.Settings.Target || r.Server.subject() != first.Server.subject() {
			fault("it measured another server: %s, %s", r.Server.describe(), durabilityOf(r))
		}
		if len(r.Curve) > 0 {
			fault("a search for capacity is no part of a run")
		}
	}
	return errors.Join(faults...)
}

// subject is what a server says of itself that may not differ between generators.
func (s *Server) subject() [3]string { return [3]string{s.Kind, s.Version, s.Durability} }

// shareless returns a report without the settings of which each generator has its own part.
func shareless(r *Report) *Report {
	bare := *r
	s := &bare.Settings
	s.Connections, s.Requests, s.Chats, s.Users, s.Agents = 0, 0, 0, 0, 0
	if s.Rate > 0 {
		s.Rate = 1 // that the loop is open is no share
	}
	return &bare
}

func mergeSettings(reports []*Report) Settings {
	s := reports[0].Settings
	s.Agents = len(reports)
	for _, r := range reports[1:] {
		s.Connections += r.Settings.Connections
		s.Requests += r.Settings.Requests
		s.Rate += r.Settings.Rate
		s.Chats += r.Settings.Chats
		s.Users += r.Settings.Users
	}
	return s
}

// mergeServers returns what the generator on the server's own machine read there.
func mergeServers(reports []*Report) Server { return reports[observer(reports)].Server }

// observer is the generator that could look at the server's process: the first that ran on
// its machine; the first of all where none did.
func observer(reports []*Report) int {
	return max(0, slices.IndexFunc(reports, func(r *Report) bool { return r.Server.Local }))
}

func mergeLoads(reports []*Report) (l Load) {
	for _, r := range reports {
		l.Offered += r.Load.Offered
		l.Achieved += r.Load.Achieved
		l.CPU += r.Load.CPU
		l.LagP99 = max(l.LagP99, r.Load.LagP99)
		l.LagMax = max(l.LagMax, r.Load.LagMax)
		l.Unsent += r.Load.Unsent
	}
	return l
}

// mergeIdle adds the connections up and shares the server's memory out among all of them.
func mergeIdle(reports []*Report) *Idle {
	var all *Idle
	for _, r := range reports {
		if r.Idle == nil {
			continue
		}
		if all == nil {
			all = &Idle{}
		}
		all.Connections += r.Idle.Connections
		all.ConnectPerS += r.Idle.ConnectPerS
		all.Dropped += r.Idle.Dropped
	}
	seen := reports[observer(reports)].Idle
	if all == nil || seen == nil {
		return all
	}
	all.ResidentStart, all.ResidentIdle = seen.ResidentStart, seen.ResidentIdle
	if grown := seen.ResidentIdle - seen.ResidentStart; seen.BytesEach > 0 && all.Connections > 0 {
		all.BytesEach = float64(grown) / float64(all.Connections)
	}
	return all
}

// mergeVerdicts returns nil where no generator verified.
func mergeVerdicts(reports []*Report) *Verdict {
	all := &Verdict{OK: true}
	var notes []string
	judged := 0
	for i, r := range reports {
		v := r.Verdict
		if v == nil {
			notes = append(notes, numbered(i, []string{"nothing was verified"})...)
			continue
		}
		judged++
		all.add(v)
		all.Examples = append(all.Examples, numbered(i, v.Examples)...)
		if v.Note != "" {
			notes = append(notes, numbered(i, []string{v.Note})...)
		}
	}
	if judged == 0 {
		return nil
	}
	all.Examples = all.Examples[:min(len(all.Examples), maxExamples)]
	all.Note = joined(notes)
	return all
}

// add adds the counts of another verdict. They were come to at the same time: of the
// seconds the most count.
func (v *Verdict) add(o *Verdict) {
	v.OK = v.OK && o.OK
	v.Sends += o.Sends
	v.Acked += o.Acked
	v.Unknown += o.Unknown
	v.Found += o.Found
	v.Reads += o.Reads
	v.Messages += o.Messages
	v.Chats += o.Chats
	v.Faults += o.Faults
	v.Seconds = max(v.Seconds, o.Seconds)
}

// mergeMeasured merges what has histograms.
func mergeMeasured(merged *Report, reports []*Report) (err error) {
	var totals []*Figures
	for _, r := range reports {
		totals = append(totals, &r.Total)
	}
	if merged.Total, err = mergeFigures(totals); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	merged.Kinds = nil
	for _, name := range kindsOf(reports) {
		kind, err := mergeFigures(figuresNamed(reports, name))
		if err != nil {
			return fmt.Errorf("merge: %s: %w", name, err)
		}
		merged.Kinds = append(merged.Kinds, kind)
	}
	if merged.Seconds, err = mergeSeconds(reports); err != nil {
		return fmt.Errorf("merge: %w", err)
	}
	return nil
}

// kindsOf names the kinds that any generator asked for, in the order of target.Kind.
func kindsOf(reports []*Report) []string {
	met := map[string]bool{}
	for _, r := range reports {
		for i := range r.Kinds {
			met[r.Kinds[i].Kind] = true
		}
	}
	var names []string
	for k := range target.Kind(target.Kinds) {
		if met[k.String()] {
			names = append(names, k.String())
			delete(met, k.String())
		}
	}
	return append(names, slices.Sorted(maps.Keys(met))...)
}

func figuresNamed(reports []*Report, name string) (list []*Figures) {
	for _, r := range reports {
		for i := range r.Kinds {
			if r.Kinds[i].Kind == name {
				list = append(list, &r.Kinds[i])
			}
		}
	}
	return list
}

// mergeFigures adds figures of one kind; there is one at least.
func mergeFigures(list []*Figures) (Figures, error) {
	all := Figures{Kind: list[0].Kind}
	var due, service []Latency
	for _, f := range list {
		all.Requests += f.Requests
		all.OK += f.OK
		all.PerS += f.PerS
		all.BytesOut += f.BytesOut
		all.BytesIn += f.BytesIn
		all.Messages += f.Messages
		for kind, n := range f.Errors {
			if all.Errors == nil {
				all.Errors = map[string]int64{}
			}
			all.Errors[kind] += n
		}
		due = append(due, f.Latency)
		if f.Service != nil {
			service = append(service, *f.Service)
		}
	}
	if len(service) != 0 && len(service) != len(list) {
		return all, errors.New("some generators know the time since sending, others do not")
	}
	var err error
	if all.Latency, err = mergeLatencies(due); err != nil || len(service) == 0 {
		return all, err
	}
	since, err := mergeLatencies(service)
	all.Service = &since
	return all, err
}

func mergeLatencies(list []Latency) (Latency, error) {
	var encoded []string
	for _, l := range list {
		encoded = append(encoded, l.Hdr)
	}
	h, err := sum(encoded)
	if err != nil {
		return Latency{}, err
	}
	return Summarize(h), nil
}

// sum adds encoded histograms.
func sum(encoded []string) (*hdrhistogram.Histogram, error) {
	all := NewHistogram()
	for _, e := range encoded {
		h, err := Decode(e)
		if err != nil {
			return nil, err
		}
		if dropped := all.Merge(h); dropped > 0 {
			return nil, fmt.Errorf("%d values do not fit into a histogram", dropped)
		}
	}
	return all, nil
}
