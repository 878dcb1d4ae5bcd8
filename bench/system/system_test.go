package system

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"throng/bench/report"
)

// The tests of this machine say what must be true of any; those of the parsers are
// tables.

func TestMachineIsThisOne(t *testing.T) {
	m := Machine()
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	if total := int64(info.Totalram) * int64(info.Unit); m.Memory != total {
		t.Errorf("memory of %d bytes, the kernel says %d", m.Memory, total)
	}
	if m.Cores != runtime.NumCPU() || m.CPU == "" || !strings.HasPrefix(m.Kernel, "Linux ") {
		t.Errorf("%+v", m)
	}
}

func TestParseMachine(t *testing.T) {
	const cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t\t: 79\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\n" +
		"\nprocessor\t: 1\nmodel name\t: another\n"
	if got, want := cpuModel([]byte(cpuinfo)), "Intel(R) Xeon(R) CPU @ 2.20GHz"; got != want {
		t.Errorf("processor %q, want %q", got, want)
	}
	if got, want := cpuModel([]byte("processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Raspberry Pi 4\n")), "Raspberry Pi 4"; got != want {
		t.Errorf("processor %q, want %q", got, want)
	}
	if got := cpuModel([]byte("processor\t: 0\n")); got != runtime.GOARCH {
		t.Errorf("a processor without a name is called %q", got)
	}
	for text, want := range map[string]string{
		"NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\n": "Debian GNU/Linux 13 (trixie)",
		"PRETTY_NAME=Alpine\n":        "Alpine",
		"PRETTY_NAME='Void: a=b'\n":   "Void: a=b",
		"MY_PRETTY_NAME=\"Other\"\n#": "",
		"":                            "",
	} {
		if got := osName([]byte(text)); got != want {
			t.Errorf("%q is the system %q, want %q", text, got, want)
		}
	}
	for text, want := range map[string]int64{
		"MemTotal:       32768 kB\nMemFree: 1 kB\n": 32 << 20,
		"MemFree: 1 kB\n":      0,
		"MemTotal: a lot kB\n": 0,
		"":                     0,
	} {
		if got := kilobytes([]byte(text), "MemTotal"); got != want {
			t.Errorf("%q is %d bytes, want %d", text, got, want)
		}
	}
}

func TestToolIsWhatTheBuildNoted(t *testing.T) {
	setting := func(pairs ...string) (list []debug.BuildSetting) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, debug.BuildSetting{Key: pairs[i], Value: pairs[i+1]})
		}
		return list
	}
	for _, c := range []struct {
		settings []debug.BuildSetting
		commit   string
	}{
		{nil, ""},
		{setting("vcs", "git", "vcs.revision", "abc", "vcs.modified", "false"), "abc"},
		{setting("vcs.modified", "true", "vcs.revision", "abc"), "abc-modified"},
		{setting("vcs.modified", "true"), ""},
	} {
		info := &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v1.2.3"}, Settings: c.settings}
		if got, want := tool(info), (report.Tool{Version: "v1.2.3", Commit: c.commit, Go: "go1.26"}); got != want {
			t.Errorf("%v: %+v, want %+v", c.settings, got, want)
		}
	}
	if got := Tool(); got.Go != runtime.Version() || got.Version == "" {
		t.Errorf("this program is %+v", got)
	}
}

// A limit that was lowered is raised again, and holds.
func TestRaiseFiles(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := unix.Rlimit{Cur: limit.Max - 1, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	if got := RaiseFiles(); got != limit.Max {
		t.Errorf("raised to %d, want %d", got, limit.Max)
	}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur != limit.Max {
		t.Errorf("the limit that holds is %+v, %v", limit, err)
	}
}
