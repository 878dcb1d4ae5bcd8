package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what was written with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s\nwant:\n%s", name, got, want)
	}
}

// textOf returns what a write function wrote.
func textOf(t *testing.T, write func(*bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTextShowsARun(t *testing.T) {
	nothing := sampleClosed()
	nothing.Total = Figures{Kind: "total", Requests: 3, Errors: map[string]int64{"no connection": 3}}
	nothing.Kinds = []Figures{{Kind: "send", Requests: 3, Errors: map[string]int64{"no connection": 3}}}
	nothing.Load = Load{}
	nothing.Warnings = []string{"nothing succeeded"}
	tests := []struct {
		golden string
		report *Report
	}{
		{"full.txt", sampleFull()},
		{"closed.txt", sampleClosed()},
		{"nothing.txt", nothing},
	}
	for _, tt := range tests {
		golden(t, tt.golden, textOf(t, func(b *bytes.Buffer) error { return WriteText(b, tt.report, false) }))
	}
}

func TestTextShowsAComparison(t *testing.T) {
	c, err := Compare(sampleGroups(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "compare.txt", textOf(t, func(b *bytes.Buffer) error { return WriteComparison(b, c, false) }))
}

func TestTextStaysWithinItsWidth(t *testing.T) {
	for line := range strings.SplitSeq(string(textOf(t, func(b *bytes.Buffer) error { return WriteText(b, sampleFull(), false) })), "\n") {
		if n := utf8.RuneCountInString(line); n > textWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestColourChangesNothingButTheColour(t *testing.T) {
	plain := textOf(t, func(b *bytes.Buffer) error { return WriteText(b, sampleFull(), false) })
	coloured := textOf(t, func(b *bytes.Buffer) error { return WriteText(b, sampleFull(), true) })
	bare := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAll(coloured, nil)
	if !bytes.Equal(bare, plain) {
		t.Errorf("without its colours the text is not the plain one:\n%s", bare)
	}
	if bytes.Equal(coloured, plain) {
		t.Error("there is no colour where colour was asked for")
	}
}
