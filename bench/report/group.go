package report

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Group is the runs of one thing that is compared with others.
type Group struct {
	Label string
	Runs  []*Report // one or more
}

// File is a report and the name of the file that it came from.
type File struct {
	Name   string
	Report *Report
}

// ParseGroup reads an argument of compare: "label=file,file" names a group; a file alone
// has an empty label, and is grouped by what it holds.
func ParseGroup(argument string) (label string, files []string, err error) {
	label, list, labelled := strings.Cut(argument, "=")
	if !labelled {
		return "", []string{argument}, nil
	}
	if label == "" {
		return "", nil, fmt.Errorf("%q: the label before the = is empty", argument)
	}
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			return "", nil, fmt.Errorf("%q: the name of a file is empty", argument)
		}
		files = append(files, name)
	}
	return label, files, nil
}

// GroupFiles groups reports without a label: runs of the same server with the same settings
// (but for Seed) are one group. Where that leaves a single group, there would be nothing
// to compare, and each file is a group of its own.
func GroupFiles(files []File) []Group {
	groups := groupEqual(files)
	if len(groups) > 1 || len(files) < 2 {
		return groups
	}
	groups = nil
	for _, f := range files {
		groups = append(groups, Group{fileLabel(f.Name), []*Report{f.Report}})
	}
	return distinct(groups)
}

// groupEqual groups equal runs, in the order in which each group is met first.
func groupEqual(files []File) []Group {
	var groups []Group
next:
	for _, f := range files {
		for i := range groups {
			if sameSubject(groups[i].Runs[0], f.Report) {
				groups[i].Runs = append(groups[i].Runs, f.Report)
				continue next
			}
		}
		groups = append(groups, Group{f.Report.Settings.Target, []*Report{f.Report}})
	}
	return distinct(groups)
}

// sameSubject reports whether two runs measured the same thing.
func sameSubject(a, b *Report) bool {
	return a.Settings.Target == b.Settings.Target && a.Server.Version == b.Server.Version &&
		a.Server.Durability == b.Server.Durability && len(differences(a, b)) == 0
}

// distinct makes the labels differ: by version, by durability, by number.
func distinct(groups []Group) []Group {
	for _, more := range []func(*Report) string{
		func(r *Report) string { return r.Server.Version },
		func(r *Report) string { return r.Server.Durability },
	} {
		taken := repeated(groups)
		for i, g := range groups {
			if addition := more(g.Runs[0]); taken[g.Label] && addition != "" {
				groups[i].Label += " " + addition
			}
		}
	}
	seen := map[string]int{}
	for i, g := range groups {
		if seen[g.Label]++; seen[g.Label] > 1 {
			groups[i].Label = fmt.Sprintf("%s (%d)", g.Label, seen[g.Label])
		}
	}
	return groups
}

// repeated returns the labels that more than one group has.
func repeated(groups []Group) map[string]bool {
	taken := map[string]bool{}
	for _, g := range groups {
		_, again := taken[g.Label]
		taken[g.Label] = again
	}
	return taken
}

// fileLabel is the name of a file without its folder and ending.
func fileLabel(name string) string {
	base := filepath.Base(name)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
