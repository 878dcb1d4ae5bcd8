// Package system is the machine that a run takes place on and the processes on
// it: what the machine is, what processes use, which of them listens where, what
// a synced write costs, and how to wake at a time. It reads, and changes nothing
// but the limit of open files of its own process and the timers of a thread.
//
// It is for Linux alone and reads /proc. Its functions keep nothing between calls
// and are safe for concurrent use; a [Sleeper] belongs to one thread.
package system

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"throng/bench/report"
)

// Machine tells what this machine is. What cannot be found out is left empty.
func Machine() report.Machine {
	return report.Machine{
		CPU:    cpuModel(contents("/proc/cpuinfo")),
		Cores:  runtime.NumCPU(),
		Memory: kilobytes(contents("/proc/meminfo"), "MemTotal"),
		Kernel: kernel(),
		OS:     osName(contents("/etc/os-release")),
	}
}

// contents returns what a small file holds, and nothing where it cannot be read.
func contents(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return text
}

// cpuModel finds the name in /proc/cpuinfo. Processors of some kinds have none
// there; then it is the architecture's.
func cpuModel(cpuinfo []byte) string {
	for _, key := range []string{"model name", "Model", "cpu model", "uarch"} {
		if name := field(cpuinfo, key, ":"); name != "" {
			return name
		}
	}
	return runtime.GOARCH
}

// osName finds the name in /etc/os-release, whose values may be quoted.
func osName(release []byte) string {
	return strings.Trim(field(release, "PRETTY_NAME", "="), `"'`)
}

func kernel() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}

// field returns the value of the first line that reads "key<separator>value", with
// white space around each left out.
func field(text []byte, key, separator string) string {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), separator)
		if ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// kilobytes returns the bytes of a line "key:  123 kB", 0 where there is none.
func kilobytes(text []byte, key string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(field(text, key, ":"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// Tool tells what this program is. The commit is the one that the build noted:
// `go build` and `go install` do inside a repository, unless told not to by
// -buildvcs=false, and `go run` does only where told to by -buildvcs=true; else it
// is empty. The repository around the working directory is not asked, since
// nothing says that this program was built from it.
func Tool() report.Tool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return report.Tool{Version: "(unknown)", Go: runtime.Version()}
	}
	return tool(info)
}

const (
	shortCommit = 12        // hexadecimal digits
	unreleased  = "v0.0.0-" // how go names what has no tag
)

// modified is put behind a commit that is not all that the program was built from.
const modified = "-modified"

func tool(info *debug.BuildInfo) report.Tool {
	t := report.Tool{Version: info.Main.Version, Go: info.GoVersion}
	suffix := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			t.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			suffix = modified
		}
	}
	if t.Commit != "" {
		t.Commit = t.Commit[:min(shortCommit, len(t.Commit))] + suffix
		if strings.HasPrefix(t.Version, unreleased) {
			t.Version = "(devel)" // the commit says more than a version made of it
		}
	}
	return t
}

// RaiseFiles raises this process's limit of open files as far as the system lets
// it, and returns the limit that now holds; 0 where even that cannot be known.
func RaiseFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		return limit.Cur
	}
	return raised.Cur
}
