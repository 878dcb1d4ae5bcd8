package system

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxProcesses bounds a tree of processes. What it has beyond them is not counted.
const maxProcesses = 10_000

// Usage is what a process has used, or a process with all its descendants.
type Usage struct {
	// CPU is processor time since the start, user and system, of all threads, in
	// steps of 10 ms. Of a tree it includes the children that have ended, and never
	// falls but where one of them was not waited for.
	CPU time.Duration

	// Resident is bytes of memory. What the processes of a tree share (PostgreSQL's
	// buffers) counts once: it is the memory of each alone, and the largest shared
	// part of any.
	Resident int64

	// Peak is the most bytes of memory since the start; 0 of a tree, of which the
	// kernel keeps none.
	Peak int64
}

// ProcessUsage reads what a process has used; with tree, its descendants as well. It
// reads a few small files a process, and one a thread of a tree: cheap enough to be
// called each second.
func ProcessUsage(pid int, tree bool) (Usage, error) {
	if !tree {
		u, err := processUsage(pid)
		return Usage{CPU: u.own, Resident: u.alone + u.shared, Peak: u.peak}, err
	}
	return treeUsage(pid)
}

// SelfCPU is the processor time of this process, user and system, until now.
func SelfCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic("system: getrusage of this process: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processUse is what one process has used.
type processUse struct {
	own, reaped   time.Duration // CPU of its own; of the children that it has waited for
	alone, shared int64         // resident bytes
	peak          int64
}

func treeUsage(root int) (Usage, error) {
	var sum Usage
	var shared int64
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		u, err := processUsage(pids[i])
		if err != nil {
			if i == 0 {
				return Usage{}, err
			}
			continue // it has ended since: its time is its parent's now
		}
		sum.CPU += u.own + u.reaped
		sum.Resident += u.alone
		shared = max(shared, u.shared)
		if more := children(pids[i]); len(pids)+len(more) <= maxProcesses {
			pids = append(pids, more...)
		}
	}
	sum.Resident += shared
	return sum, nil
}

func processUsage(pid int) (processUse, error) {
	dir := processDir(pid)
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return processUse{}, noProcess(pid, err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return processUse{}, noProcess(pid, err)
	}
	u, err := parseStat(stat)
	if err != nil {
		return processUse{}, fmt.Errorf("process %d: %w", pid, err)
	}
	u.alone = kilobytes(status, "RssAnon")
	u.shared = kilobytes(status, "VmRSS") - u.alone
	u.peak = kilobytes(status, "VmHWM")
	return u, nil
}

func processDir(pid int) string { return "/proc/" + strconv.Itoa(pid) }

// ErrNoProcess marks a process that does not exist, or no more.
var ErrNoProcess = errors.New("no such process")

func noProcess(pid int, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("%w: %d", ErrNoProcess, pid)
	}
	return fmt.Errorf("process %d: %w", pid, err)
}

// The kernel counts in these ticks in /proc, on every architecture that Go knows.
const tick = time.Second / 100

// The fields of /proc/PID/stat, counted from 0 behind the name, which stands in
// parentheses and may itself hold any of both.
const (
	statUser = 11 + iota // CPU of its own, in ticks
	statSystem
	statReapedUser // of children that were waited for
	statReapedSystem
)

func parseStat(stat []byte) (u processUse, err error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= statReapedSystem {
		return u, fmt.Errorf("stat has %d fields behind the name", len(fields))
	}
	var ticks [4]time.Duration
	for i := range ticks {
		n, err := strconv.ParseUint(fields[statUser+i], 10, 62)
		if err != nil {
			return u, fmt.Errorf("processor time in stat: %w", err)
		}
		ticks[i] = time.Duration(n) * tick
	}
	u.own, u.reaped = ticks[0]+ticks[1], ticks[2]+ticks[3]
	return u, nil
}

// children returns the processes that the threads of a process have started and
// that still run.
func children(pid int) (list []int) {
	tasks := filepath.Join(processDir(pid), "task")
	threads, err := os.ReadDir(tasks)
	if err != nil {
		return nil // it has ended
	}
	for _, thread := range threads {
		path := filepath.Join(tasks, thread.Name(), "children")
		for _, word := range strings.Fields(string(contents(path))) {
			if child, err := strconv.Atoi(word); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}
