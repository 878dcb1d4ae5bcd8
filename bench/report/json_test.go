package report

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestAReportSurvivesItsFile(t *testing.T) {
	r := sampleFull()
	file := textOf(t, func(b *bytes.Buffer) error { return WritePart(b, r) })
	got, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Error("the report that was read is another one")
	}
}

func TestTheFileHasNoHistogramsOfSeconds(t *testing.T) {
	r := sampleFull()
	file := textOf(t, func(b *bytes.Buffer) error { return Write(b, r) })
	got, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Seconds {
		if got.Seconds[i].Hdr != "" {
			t.Fatalf("second %d has its histogram in the file", i)
		}
		if r.Seconds[i].Hdr == "" {
			t.Fatalf("second %d lost its histogram while it was written", i)
		}
	}
	if got.Total.Latency.Hdr != r.Total.Latency.Hdr {
		t.Error("the histogram of the whole run is not in the file")
	}
}

func TestReadRefusesWhatIsNoReportOfIts(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"nothing", "", "EOF"},
		{"no JSON", "hello", "invalid character"},
		{"no object", "[1]", "cannot unmarshal"},
		{"another program's", `{"a":1}`, "it has no schema number"},
		{"a newer version's", `{"schema":2,"new":true}`, "its schema is 2 and the newest known here is 1; read it with a newer throng-bench"},
		{"with an unknown field", `{"schema":1,"surprise":true}`, `unknown field "surprise"`},
		{"of a wrong type", `{"schema":1,"elapsed_s":"long"}`, "cannot unmarshal"},
		{"two reports", `{"schema":1}{"schema":1}`, "more follows"},
		{"a stray brace", `{"schema":1}}`, "more follows"},
	}
	for _, tt := range tests {
		_, err := Read(strings.NewReader(tt.file))
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want ErrSchema with %q", tt.name, err, tt.want)
		}
	}
}

func TestCSVHasARowASecond(t *testing.T) {
	r := sampleFull()
	r.Seconds = []Second{
		{At: 1, Due: 100, OK: 90, Errors: 1, P50: .5, P99: 1.25, Max: 10, CPU: 1.5, Resident: 1 << 20},
		{At: 2.004, Measured: true, OK: 3},
	}
	golden(t, "seconds.csv", textOf(t, func(b *bytes.Buffer) error { return WriteCSV(b, r) }))
}
