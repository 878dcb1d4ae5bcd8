package report

import (
	"fmt"
	"slices"
)

// mergeSeconds adds the seconds of generators by their position: they started together.
// A generator that ended sooner has nothing to add to the last ones.
func mergeSeconds(reports []*Report) ([]Second, error) {
	var all []Second
	observed := reports[observer(reports)].Seconds
	for at := range longest(reports) {
		s, err := mergeSecond(reports, at)
		if err != nil {
			return nil, fmt.Errorf("second %d: %w", at+1, err)
		}
		if at < len(observed) {
			s.CPU, s.Resident = observed[at].CPU, observed[at].Resident
		}
		all = append(all, s)
	}
	return all, nil
}

func longest(reports []*Report) (n int) {
	for _, r := range reports {
		n = max(n, len(r.Seconds))
	}
	return n
}

// mergeSecond merges one second. It is measured where it is of every generator that still
// ran. Its percentiles come from the histograms, which every second with a success must bring.
func mergeSecond(reports []*Report, at int) (Second, error) {
	all := Second{Measured: true}
	var encoded []string
	for i, r := range reports {
		if at >= len(r.Seconds) {
			continue
		}
		s := &r.Seconds[at]
		if s.OK > 0 && s.Hdr == "" && (s.P50 > 0 || s.Max > 0) {
			return Second{}, fmt.Errorf("generator %d has no histogram of it", i+1)
		}
		all.At = max(all.At, s.At)
		all.Measured = all.Measured && s.Measured
		all.Due += s.Due
		all.OK += s.OK
		all.Errors += s.Errors
		encoded = append(encoded, s.Hdr)
	}
	h, err := sum(slices.DeleteFunc(encoded, func(e string) bool { return e == "" }))
	if err != nil {
		return Second{}, err
	}
	if h.TotalCount() == 0 {
		return all, nil
	}
	all.P50, all.P99, all.Max = Quantile(h, 50), Quantile(h, 99), Quantile(h, 100)
	all.Hdr = Encode(h)
	return all, nil
}
