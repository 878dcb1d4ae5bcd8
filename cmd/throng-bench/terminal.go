package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"golang.org/x/term"

	"throng/bench"
	"throng/bench/report"
)

// terminal is where a command writes.
type terminal struct {
	out, errs io.Writer
	args      []string
}

// colour reports whether standard output shows colours, and is allowed to
// (https://no-color.org).
func (t terminal) colour() bool { return isTerminal(t.out) && os.Getenv("NO_COLOR") == "" }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// command is the command line as typed, without the passwords of URLs.
func (t terminal) command() []string {
	command := []string{"throng-bench"}
	for _, arg := range t.args {
		command = append(command, password.ReplaceAllString(arg, "${1}xxxxx@"))
	}
	return command
}

// password is one in a URL, with what stands before it.
var password = regexp.MustCompile(`(://[^:/@]*:)[^/]*@`)

// progress shows on standard error how far a run has come; nothing where that is
// no terminal, or where it is not wanted.
func (t terminal) progress(off bool, c *bench.Config) *progress {
	p := &progress{total: c.Warmup + c.Duration}
	if !off && isTerminal(t.errs) {
		p.w = t.errs
	}
	return p
}

// progress is one line that is written over and over.
type progress struct {
	w     io.Writer // nil: off
	total time.Duration
	wrote bool
}

const clearLine = "\r\x1b[K"

// show is called from one goroutine at a time.
func (p *progress) show(s bench.Progress) {
	if p.w == nil {
		return
	}
	p.wrote = true
	_, _ = fmt.Fprint(p.w, clearLine+p.line(s)) // a line that is lost is no harm
}

// end takes the line away.
func (p *progress) end() {
	if p.wrote {
		_, _ = fmt.Fprint(p.w, clearLine)
	}
}

func (p *progress) line(s bench.Progress) string {
	switch {
	case s.Second != nil:
		return p.second(s)
	case s.All > 0:
		return fmt.Sprintf("%s  %d %%", s.Step, 100*s.Done/s.All)
	}
	return s.Step
}

func (p *progress) second(s bench.Progress) string {
	when := fmt.Sprintf("%.0f s", s.Elapsed.Seconds())
	if p.total > 0 {
		when = fmt.Sprintf("%.0f of %.0f s", s.Elapsed.Seconds(), p.total.Seconds())
	}
	if !s.Second.Measured {
		when += ", warming up"
	}
	return fmt.Sprintf("%s  %s  %s  p99 %s  errors %d", s.Step, when,
		report.Rate(float64(s.Second.OK)), report.Millis(s.Second.P99), s.Second.Errors)
}
