package load

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadCorpus(t *testing.T) {
	for text, want := range map[string][]string{
		"one":                        {"one"},
		"one\ntwo\n":                 {"one", "two"},
		"\ufeffone\r\n\r\n  two  \n": {"one", "two"},
		"床前明月光\n%\n疑是地上霜\n%\n": {"床前明月光", "疑是地上霜"},
		"100 %\n% of\n": {"100 %", "% of"},
	} {
		if got, err := ReadCorpus(strings.NewReader(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is read as %q, %v; want %q", text, got, err, want)
		}
	}
}

// endless is a reader of one line again and again.
type endless struct {
	line string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.line[e.at:])
	e.at = (e.at + n) % len(e.line)
	return n, nil
}

func TestReadCorpusRefuses(t *testing.T) {
	broken := errors.New("the disk is broken")
	for _, c := range []struct {
		what string
		from io.Reader
		want string
	}{
		{"nothing", strings.NewReader(""), "no text"},
		{"separators alone", strings.NewReader("%\n\n%\n"), "no text"},
		{"Latin-1", strings.NewReader("good\nna\xefve\n"), "line 2 is no UTF-8"},
		{"a line without an end", strings.NewReader(strings.Repeat("a", MaxTextBytes+1)), "too long"},
		{"too much", &endless{line: strings.Repeat("a", 4095) + "\n"}, "more than 67108864 bytes"},
		{"what cannot be read", iotest.ErrReader(broken), broken.Error()},
	} {
		if _, err := ReadCorpus(c.from); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error with %q", c.what, err, c.want)
		}
	}
}
