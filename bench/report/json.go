package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxReport bounds what Read takes in: days of seconds are some tens of megabytes.
const maxReport = 1 << 30

// ErrSchema says that a file is no report that this package can read.
var ErrSchema = errors.New("not a report that this version can read")

// Write writes a report as JSON, one object and a line feed. The histograms of single
// seconds are left out: they would be most of the file.
func Write(w io.Writer, r *Report) error {
	slim := *r
	slim.Seconds = slices.Clone(r.Seconds)
	for i := range slim.Seconds {
		slim.Seconds[i].Hdr = ""
	}
	return WritePart(w, &slim)
}

// WritePart writes a report as Write does, with the histograms of its seconds: the form in
// which one of several generators hands its part over to be merged.
func WritePart(w io.Writer, r *Report) error {
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// Read reads what Write or WritePart has written, to the end of the reader. It fails
// with ErrSchema for a file that is something else, or of a newer version.
func Read(from io.Reader) (*Report, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxReport+1))
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if len(data) > maxReport {
		return nil, fmt.Errorf("read report: it is longer than %s", roundSize(maxReport))
	}
	if err := checkSchema(data); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	r := &Report{}
	if err := decoder.Decode(r); err != nil {
		return nil, fmt.Errorf("read report: %w: %w", ErrSchema, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("read report: %w: more follows after the report", ErrSchema)
	}
	return r, nil
}

// checkSchema looks at the version alone, before anything can fail because of it.
func checkSchema(data []byte) error {
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&head); err != nil {
		return fmt.Errorf("read report: %w: %w", ErrSchema, err)
	}
	switch {
	case head.Schema < 1:
		return fmt.Errorf("read report: %w: it has no schema number", ErrSchema)
	case head.Schema > Schema:
		return fmt.Errorf("read report: %w: its schema is %d and the newest known here is %d; read it with a newer throng-bench",
			ErrSchema, head.Schema, Schema)
	}
	return nil
}
