package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"throng/bench/report"
)

type compareCommand struct {
	Reports []string `arg:"" name:"report" help:"Reports in JSON. NAME=A.json,B.json names the runs of one thing; files alone are grouped by what they measured. The first group is what the others are compared with."`
	FailIf  []string `placeholder:"CONDITION" help:"End with status 4 where a condition is true of a group's median: 'p99>1.2x', 'rate<0.9x' (of the first group's), 'p99.9>20ms', 'errors>0'. Several may be given."`
	Force   bool     `help:"Compare although the settings differ, and warn."`
	HTML    string   `name:"html" placeholder:"FILE" help:"Write a page that draws the runs over each other."`
}

func (c *compareCommand) run(_ context.Context, t terminal) error {
	conditions, err := report.ParseFailIf(c.FailIf...)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	groups, err := c.groups()
	if err != nil {
		return err
	}
	compared, err := report.Compare(groups, report.Options{Force: c.Force})
	if err != nil {
		return err
	}
	if err := report.WriteComparison(t.out, compared, t.colour()); err != nil {
		return err
	}
	if err := writeFile(c.HTML, func(w io.Writer) error { return report.WriteComparisonHTML(w, compared) }); err != nil {
		return err
	}
	failures, err := conditions.Failures(compared)
	if err != nil {
		return err
	}
	if len(failures) > 0 {
		return fmt.Errorf("%w:\n  %s", errExpectation, strings.Join(failures, "\n  "))
	}
	return nil
}

// groups reads the reports.
func (c *compareCommand) groups() (groups []report.Group, err error) {
	var loose []report.File
	for _, argument := range c.Reports {
		label, names, err := report.ParseGroup(argument)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		files, err := readReports(names)
		if err != nil {
			return nil, err
		}
		if label == "" {
			loose = append(loose, files...)
			continue
		}
		group := report.Group{Label: label}
		for _, f := range files {
			group.Runs = append(group.Runs, f.Report)
		}
		groups = append(groups, group)
	}
	return append(groups, report.GroupFiles(loose)...), nil
}

func readReports(names []string) (files []report.File, err error) {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		r, err := report.Read(f)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, report.File{Name: name, Report: r})
	}
	return files, nil
}
