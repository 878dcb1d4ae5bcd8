package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// csvHeader names the columns of WriteCSV; units are those of Second.
func csvHeader() []string {
	return []string{
		"at_s", "measured", "due", "ok", "errors", "p50_ms", "p99_ms", "max_ms",
		"server_cpu_cores", "server_resident_bytes",
	}
}

// WriteCSV writes a header and a row for each second of the run, warm-up included.
func WriteCSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	rows := [][]string{csvHeader()}
	for _, s := range r.Seconds {
		rows = append(rows, s.record())
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

func (s Second) record() []string {
	float := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		float(s.At), strconv.FormatBool(s.Measured), whole(s.Due), whole(s.OK), whole(s.Errors),
		float(s.P50), float(s.P99), float(s.Max), float(s.CPU), whole(s.Resident),
	}
}
