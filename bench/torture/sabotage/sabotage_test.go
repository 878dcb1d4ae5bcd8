package sabotage

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// which says by a regular expression of names which sabotages are done; empty: the
// first of a few parts.
const which = "THRONG_SABOTAGE"

// testTimeout ends a test that hangs by what was broken: that is no way of telling.
const testTimeout = "120s"

// Every sabotage is caught by its test, which passes where nothing is broken.
func TestEverySabotageIsCaught(t *testing.T) {
	chosen := choose(t)
	root := moduleRoot(t)
	t.Run("nothing", func(t *testing.T) { control(t, root, chosen) })
	if t.Failed() {
		t.Fatal("tests fail where nothing is broken: nothing else is tried")
	}
	for i, s := range chosen {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel() // as many as there are processors: half of it is the linker
			t.Logf("%d of %d: %s", i+1, len(chosen), s.rule)
			s.mustBeCaught(t, root)
		})
	}
}

// choose returns the sabotages that the environment names.
func choose(t *testing.T) []sabotage {
	t.Helper()
	pattern := cmp.Or(os.Getenv(which), "^(answer before the sync|a judge blind to loss)$")
	names, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatalf("%s: %v", which, err)
	}
	chosen := slices.DeleteFunc(slices.Clone(table), func(s sabotage) bool { return !names.MatchString(s.name) })
	if len(chosen) == 0 {
		t.Fatalf("%s: no sabotage has a name like %q", which, pattern)
	}
	return chosen
}

// control sees that the tests pass unbroken, else to fail would tell nothing.
func control(t *testing.T, root string, chosen []sabotage) {
	tests := map[string][]string{}
	for _, s := range chosen {
		if !slices.Contains(tests[s.pkg], s.test) {
			tests[s.pkg] = append(tests[s.pkg], s.test)
		}
	}
	for pkg, names := range tests {
		out, err := goTest(root, "", pkg, strings.Join(names, "|"))
		if err != nil {
			t.Errorf("%s: %v\n%s", pkg, err, tail(out))
		}
		for _, name := range names {
			if !bytes.Contains(out, []byte("--- PASS: "+name+" ")) {
				t.Errorf("%s: %s has not passed", pkg, name)
			}
		}
	}
}

// mustBeCaught breaks the rule and runs the test that must notice.
func (s *sabotage) mustBeCaught(t *testing.T, root string) {
	source, err := os.ReadFile(filepath.Join(root, s.file))
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), filepath.Base(s.file))
	if err := os.WriteFile(broken, bytes.Replace(source, []byte(s.old), []byte(s.new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(root, s.file): broken}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := goTest(root, overlay, s.pkg, s.test)
	switch {
	case err == nil:
		t.Errorf("%s passes, though this is broken: %s", s.test, s.rule)
	case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
		t.Errorf("what is broken does not compile:\n%s", tail(out))
	case bytes.Contains(out, []byte("panic: test timed out")):
		t.Errorf("%s hangs, instead of telling:\n%s", s.test, tail(out))
	case !bytes.Contains(out, []byte("--- FAIL: "+s.test+" ")):
		t.Errorf("something fails, and not %s:\n%s", s.test, tail(out))
	}
}

// goTest runs tests of a package, short ones where they know the difference, and
// lays the overlay over whatever they build in their turn.
func goTest(root, overlay, pkg, tests string) ([]byte, error) {
	// To compile and to link is most of the time: nothing is inlined, and no symbols are left.
	args := []string{
		"test", "-count=1", "-vet=off", "-gcflags=-l", "-ldflags=-s", "-short", "-v", "-timeout", testTimeout,
		"-run", "^(" + tests + ")$", pkg,
	}
	if pkg == shardsTests {
		args = append(args, "-rapid.shrinktime=100ms") // nobody reads how little it takes
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "THRONG_") })
	cmd.Env = append(cmd.Env, "THRONG_TEST_PATIENCE=10s")
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace(fmt.Sprintf("GOFLAGS=%s -overlay=%s", os.Getenv("GOFLAGS"), overlay)))
	}
	return cmd.CombinedOutput()
}

// tail is the end of an output, which may be long.
func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

func moduleRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// The words that a sabotage replaces stand in the code once, its name is its own,
// and its test exists.
func TestTheTableIsTrueToTheCode(t *testing.T) {
	root := moduleRoot(t)
	names := map[string]bool{}
	for _, s := range table {
		if names[s.name] {
			t.Errorf("%s: there are two", s.name)
		}
		names[s.name] = true
		source, err := os.ReadFile(filepath.Join(root, s.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(source, []byte(s.old)); n != 1 || s.old == s.new {
			t.Errorf("%s: %s holds %q %d times", s.name, s.file, s.old, n)
		}
		if !declares(t, filepath.Join(root, s.pkg), s.test) {
			t.Errorf("%s: %s has no %s", s.name, s.pkg, s.test)
		}
	}
}

func declares(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		source, err := os.ReadFile(file)
		return err == nil && bytes.Contains(source, []byte("\nfunc "+test+"("))
	})
}

// document is where the table is shown to people. To write it anew:
//
//	THRONG_UPDATE=1 go test ./bench/torture/sabotage -run Document
const document = "docs/sabotage.md"

func TestTheDocumentShowsTheTable(t *testing.T) {
	path := filepath.Join(moduleRoot(t), document)
	want := show()
	if os.Getenv("THRONG_UPDATE") != "" {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s does not show the table: THRONG_UPDATE=1 go test ./bench/torture/sabotage -run Document", document)
	}
}

// show is the document.
func show() []byte {
	var b bytes.Buffer
	b.WriteString(`# The sabotage suite

Each row breaks one rule of Throng by changing a few words of its source, and names the test that must fail then. ` + "`make sabotage`" + `
breaks them all, one after the other, and so does CI; it fails where a test does not notice. The changes themselves are in
` + "`bench/torture/sabotage/table_test.go`" + `, from which this page is made.

| what is broken | the rule | where | caught by |
|---|---|---|---|
`)
	for _, s := range table {
		fmt.Fprintf(&b, "| %s | %s | %s | `%s`, %s |\n", s.name, s.rule, s.file, s.test, strings.TrimPrefix(s.pkg, "./"))
	}
	return b.Bytes()
}
