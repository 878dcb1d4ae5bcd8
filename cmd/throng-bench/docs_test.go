// Help and documentation are held against the program.

package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readDoc(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/benchmarking.md")
	must(t, err)
	return string(data)
}

// statuses are the exit statuses that main.go names.
func statuses(t testing.TB) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, 0)
	must(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "status") {
			values = append(values, spec.Values[0].(*ast.BasicLit).Value)
		}
		return true
	})
	slices.Sort(values)
	return values
}

func TestTheDocumentedStatusesAreThoseOfTheProgram(t *testing.T) {
	t.Parallel()
	want := statuses(t)
	if len(want) != 6 {
		t.Fatalf("statuses of main.go: %v", want)
	}
	_, table, _ := strings.Cut(readDoc(t), "| exit status |")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| \S`).FindAllStringSubmatch(table, -1) {
		documented = append(documented, row[1])
	}
	if slices.Sort(documented); !slices.Equal(documented, want) {
		t.Errorf("docs/benchmarking.md has statuses %v, the program %v", documented, want)
	}
	help := run(t, "--help")
	help.ends(t, done)
	_, told, _ := strings.Cut(help.out, "Exit status:")
	told, _, _ = strings.Cut(told, "\n\n")
	var helped []string
	for _, one := range regexp.MustCompile(`(?:^|;)\s+(\d+) `).FindAllStringSubmatch(told, -1) {
		helped = append(helped, one[1])
	}
	if slices.Sort(helped); !slices.Equal(helped, want) {
		t.Errorf("--help has statuses %v, the program %v: %q", helped, want, told)
	}
}

// flagName is a flag, as help and documents write it.
var flagName = regexp.MustCompile(`--(?:\[no-\])?([a-z][a-z-]+)`)

func flagsIn(text string) map[string]bool {
	flags := map[string]bool{}
	for _, match := range flagName.FindAllStringSubmatch(text, -1) {
		flags[match[1]] = true
	}
	return flags
}

// subcommands are those that --help lists.
func subcommands(t testing.TB) (names []string) {
	t.Helper()
	help := run(t, "--help")
	help.ends(t, done)
	_, list, _ := strings.Cut(help.out, "\nCommands:\n")
	for _, match := range regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(list, -1) {
		names = append(names, match[1])
	}
	return names
}

func TestTheDocumentNamesEverySubcommandAndNoFlagThatThereIsNot(t *testing.T) {
	t.Parallel()
	names, doc, known := subcommands(t), readDoc(t), map[string]bool{}
	if len(names) < 11 || slices.Contains(names, "serve") {
		t.Errorf("--help lists %v", names)
	}
	for _, name := range names {
		if !strings.Contains(doc, "`"+name) && !strings.Contains(doc, "throng-bench "+name) {
			t.Errorf("docs/benchmarking.md does not mention %s", name)
		}
		help := run(t, name, "--help")
		help.ends(t, done)
		maps.Copy(known, flagsIn(help.out))
	}
	for name := range flagsIn(doc) {
		if !known[name] {
			t.Errorf("docs/benchmarking.md has a flag --%s, which no command has", name)
		}
	}
}

func TestTheHelpOfSendShowsEveryGroupOfFlags(t *testing.T) {
	t.Parallel()
	got := run(t, "send", "--help")
	got.ends(t, done)
	for _, heading := range []string{"Load", "Chats, users and texts", "Where", "Report"} {
		if !strings.Contains(got.out, "\n"+heading+"\n") {
			t.Errorf("no group %q in:\n%s", heading, got.out)
		}
	}
	for _, flag := range []string{"--rate", "--chats", "--addr", "--agents", "--json", "--no-progress", "$THRONG_BENCH_RATE"} {
		if !strings.Contains(got.out, flag) {
			t.Errorf("no flag %s in:\n%s", flag, got.out)
		}
	}
}
