// Reports that were written are compared: the table, the page, the conditions.

package main_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// record runs brief sends on a server and writes their report.
func record(t testing.TB, path, addr string, more ...string) {
	t.Helper()
	run(t, with("send", brief, "--addr", addr, "--json", path, more)...).ends(t, done)
}

func TestReportsAreComparedAndConditionsDecideTheStatus(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	dir := t.TempDir()
	a, b, page := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json"), filepath.Join(dir, "diff.html")
	record(t, a, addr)
	record(t, b, addr)

	got := run(t, "compare", "before="+a, "after="+b, "--html", page)
	got.ends(t, done)
	for _, word := range []string{"ratios to before", "after", "p99", "rate", "1 run"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("the table does not say %q:\n%s", word, got.out)
		}
	}
	if text := strings.TrimSpace(contents(t, page)); !strings.HasPrefix(text, "<!doctype html>") || !strings.HasSuffix(text, "</html>") {
		t.Errorf("a page of %d bytes that is not whole", len(text))
	}
	if got := run(t, "compare", a, b); got.status != done || !strings.Contains(got.out, "ratios to a,") {
		t.Errorf("files without labels: %+v", got)
	}

	run(t, "compare", a, b, "--fail-if", "errors>0", "--fail-if", "rate<0.000001x").ends(t, done)
	worse := run(t, "compare", a, b, "--fail-if", "errors>0", "--fail-if", "p99>0ms")
	worse.ends(t, expectation, "p99>0ms")
	if strings.Contains(worse.errs, "errors>0") || !strings.Contains(worse.out, "ratios to") {
		t.Errorf("of two conditions one is true: %+v", worse)
	}
}

func TestReportsOfDifferentSettingsAreComparedOnlyByForce(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small.json"), filepath.Join(dir, "large.json")
	record(t, small, addr)
	record(t, large, addr, "--size", "512")
	refused := run(t, "compare", small, large)
	refused.ends(t, failed, "settings differ", "size_min")
	if refused.out != "" {
		t.Errorf("it printed %s", refused.out)
	}
	forced := run(t, "compare", small, large, "--force")
	forced.ends(t, done)
	if !strings.Contains(forced.out, "WARNING") || !strings.Contains(forced.out, "size_min") {
		t.Errorf("no warning: %s", forced.out)
	}
}

func TestWhatIsNoReportIsNotCompared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "note.json")
	write(t, path, `{"schema":99}`)
	run(t, "compare", path).ends(t, failed, "note.json", "newer")
	write(t, path, `hello`)
	run(t, "compare", path).ends(t, failed, "note.json")
	run(t, "compare", path+".gone").ends(t, failed, "note.json.gone")
}
