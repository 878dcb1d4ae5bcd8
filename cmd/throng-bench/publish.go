package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"throng/bench/report"
)

// publish prints a report and writes it wherever it is wanted. What it found
// decides the exit status.
func (c *reportFlags) publish(t terminal, r *report.Report) error {
	if err := report.WriteText(t.out, r, t.colour()); err != nil {
		return err
	}
	if err := c.write(r); err != nil {
		return err
	}
	switch {
	case r.Verdict != nil && !r.Verdict.OK:
		return errFaults
	case r.Interrupted:
		return fmt.Errorf("%w: the results are partial", errInterrupted)
	case len(r.Curve) > 0 && !anyHeld(r.Curve): // its last trial may have been too slow for a single success
		return fmt.Errorf("%w: no rate met the objective", errExpectation)
	case r.Total.OK == 0:
		return errors.New("nothing succeeded")
	}
	return nil
}

func anyHeld(curve []report.Capacity) bool {
	for _, trial := range curve {
		if trial.Held {
			return true
		}
	}
	return false
}

func (c *reportFlags) write(r *report.Report) error {
	return errors.Join(
		writeFile(c.JSON, func(w io.Writer) error { return report.Write(w, r) }),
		writeFile(c.CSV, func(w io.Writer) error { return report.WriteCSV(w, r) }),
		writeFile(c.HDR, func(w io.Writer) error { return report.WriteHDR(w, r) }),
		writeFile(c.HTML, func(w io.Writer) error { return report.WriteHTML(w, r) }),
	)
}

// writeFile writes a file whole or not at all. No path: nothing is wanted.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = errors.Join(write(f), f.Chmod(reportMode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}

const reportMode = 0o644
