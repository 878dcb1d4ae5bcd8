// A run without --addr and --target brings its own server, and takes it away again.

package main_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestSendStartsAServerOfItsOwnAndLeavesNothingOfIt(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	r := measure(t, with("send", brief, "--dir", dir)...)
	vacant(t, dir)
	verified(t, r, 500)
	if r.Server.Kind != "throng" || r.Server.Durability != "sync=always" || !r.Server.Local || !r.Server.Dense {
		t.Errorf("server %+v", r.Server)
	}
	if r.Server.Version == "" || r.Server.Resident == 0 || r.Server.Disk == nil || r.Server.Disk.Writes == 0 {
		t.Errorf("server %+v: its version, memory and disk are not told", r.Server)
	}
}

func TestTheReportIsPrintedAndItsFilesAreWrittenWhole(t *testing.T) {
	t.Parallel()
	files, dir := t.TempDir(), scratch(t)
	path := func(name string) string { return filepath.Join(files, name) }
	got := run(t, with("send", brief, "--dir", dir, "--json", path("r.json"), "--csv", path("r.csv"), "--hdr", path("r.hdr"), "--html", path("r.html"))...)
	got.ends(t, done)
	for _, word := range []string{"send · throng", "sync=always", "500 requests measured", "p99.99", "achieved", "verified", "no fault", "seed"} {
		if !strings.Contains(got.out, word) {
			t.Errorf("the table does not say %q:\n%s", word, got.out)
		}
	}
	r := readReport(t, path("r.json"))
	verified(t, r, 500)
	if want := []string{"throng-bench", "send", "-n", "500"}; len(r.Command) < 4 || !slices.Equal(r.Command[:4], want) {
		t.Errorf("command %q", r.Command)
	}
	rows, err := csv.NewReader(strings.NewReader(contents(t, path("r.csv")))).ReadAll()
	must(t, err)
	if len(rows) != 1+len(r.Seconds) || rows[0][0] != "at_s" {
		t.Errorf("%d rows of CSV for %d seconds: %q", len(rows), len(r.Seconds), rows)
	}
	if text := contents(t, path("r.hdr")); !strings.Contains(text, "[Histogram log format version 1.3]") || !strings.Contains(text, "HISTFAAA") {
		t.Errorf("HdrHistogram log:\n%s", text)
	}
	if page := strings.TrimSpace(contents(t, path("r.html"))); !strings.HasPrefix(page, "<!doctype html>") || !strings.HasSuffix(page, "</html>") {
		t.Errorf("a page of %d bytes that is not whole", len(page))
	}
	entries, err := os.ReadDir(files)
	must(t, err)
	if len(entries) != 4 {
		t.Errorf("files: %v, want the four that were asked for", entries)
	}
}

func contents(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func TestAFileThatCannotBeWrittenIsAnErrorAfterTheReportWasPrinted(t *testing.T) {
	t.Parallel()
	got := run(t, with("send", brief, "--dir", scratch(t), "--json", filepath.Join(t.TempDir(), "nowhere", "r.json"))...)
	got.ends(t, failed, "r.json")
	if !strings.Contains(got.out, "no fault") {
		t.Errorf("the report was not printed: %s", got.out)
	}
}

func TestServerFlagsReachTheServerAndTheReport(t *testing.T) {
	t.Parallel()
	r := measure(t, with("send", brief, "--dir", scratch(t), "--server-flags", "--sync off --shards 3")...)
	verified(t, r, 500)
	if r.Server.Durability != "sync=off" || r.Server.Settings["shards"] != "3" {
		t.Errorf("server %+v", r.Server.Info)
	}
}

func TestAServerThatRefusesItsFlagsIsAnErrorWithWhatItSaid(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	run(t, with("send", brief, "--dir", dir, "--server-flags", "--sync perhaps")...).ends(t, failed, "start throng", "--sync")
	vacant(t, dir)
}

func TestFlagsMayComeFromTheEnvironment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "r.json")
	p := launch{env: []string{"THRONG_BENCH_REQUESTS=300", "THRONG_BENCH_SEED=7", "THRONG_BENCH_DIR=" + scratch(t)}}.begin(t,
		with("send", people, "--warmup", "0s", "--json", path)...)
	if status := p.wait(t); status != done {
		t.Fatalf("status %d", status)
	}
	r := readReport(t, path)
	verified(t, r, 300)
	if r.Settings.Seed != 7 {
		t.Errorf("seed %d", r.Settings.Seed)
	}
}

// endless is a run that only a signal ends.
var endless = with("send", "-d", "1h", "--warmup", "0s", "-c", "4", people)

func TestAProgramThatIsKilledLeavesNoServerBehind(t *testing.T) {
	t.Parallel()
	dir, tty := scratch(t), openConsole(t)
	p := launch{errs: tty}.begin(t, with(endless, "--dir", dir)...)
	tty.awaitLoad(t, p) // a server that still has something to print would die of it
	if len(servers(t, dir)) != 1 {
		t.Fatalf("servers: %v, want one of its own", servers(t, dir))
	}
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	eventually(t, "the end of the server", func() bool { return len(servers(t, dir)) == 0 })
}
