package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"throng/cmd/internal/serve"
	"throng/shards"
)

// verifyCommand checks a data directory that no server has open.
type verifyCommand struct {
	Data string `default:"./throng-data" placeholder:"DIR" help:"Data directory; nothing is written into it."`
}

// Help is what --help says beyond the line of the command.
func (verifyCommand) Help() string {
	return "Checks every checksum and mark, that every chat is dense from 1 and every record decodes, and that records agree.\n\n" +
		"Exit status: 0 all is sound, 1 something is damaged, 2 it could not be checked: in use, not there, not Throng's."
}

var errDamaged = errors.New("the data directory is damaged")

// progressDelay is the least time between two lines of progress.
const progressDelay = 100 * time.Millisecond

func (c *verifyCommand) run(_ context.Context, _ io.Reader, out, errs io.Writer) error {
	shown := newVerifyProgress(errs)
	report, err := shards.Verify(shards.Config{Dir: c.Data}, shown.tell)
	shown.clear()
	if err != nil {
		return fmt.Errorf("%w: %w", serve.ErrConfig, err)
	}
	if err := printReport(out, report); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	if report.Faulty > 0 {
		return fmt.Errorf("%w: %d faults", errDamaged, report.Faulty)
	}
	return nil
}

// printReport prints the faults, a line each, and what was looked at.
func printReport(out io.Writer, r *shards.Report) (err error) {
	for _, fault := range r.Faults {
		_, failed := fmt.Fprintln(out, fault)
		err = errors.Join(err, failed)
	}
	if more := r.Faulty - int64(len(r.Faults)); more > 0 {
		_, failed := fmt.Fprintf(out, "and %d faults more\n", more)
		err = errors.Join(err, failed)
	}
	_, failed := fmt.Fprintf(out, "throng verify databases=%d tables=%d users=%d chats=%d members=%d messages=%d refs=%d faults=%d\n",
		r.Databases, r.Tables, r.Users, r.Chats, r.Members, r.Messages, r.Refs, r.Faulty)
	return errors.Join(err, failed)
}

// verifyProgress is one line on a terminal; elsewhere it is quiet.
type verifyProgress struct {
	errs io.Writer // nil: not a terminal
	next time.Time
}

func newVerifyProgress(errs io.Writer) *verifyProgress {
	if f, ok := errs.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &verifyProgress{errs: errs}
	}
	return &verifyProgress{}
}

func (p *verifyProgress) tell(database string, tables, records int64) {
	if now := time.Now(); p.errs != nil && now.After(p.next) {
		p.next = now.Add(progressDelay)
		fmt.Fprintf(p.errs, "\r\x1b[K%s: %d tables, %d records", database, tables, records)
	}
}

func (p *verifyProgress) clear() {
	if p.errs != nil {
		fmt.Fprint(p.errs, "\r\x1b[K")
	}
}
