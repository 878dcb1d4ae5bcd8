package system

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a process uses grows with what it does, and is what the kernel tells the
// process itself.
func TestProcessUsageOfThisProcess(t *testing.T) {
	before, err := ProcessUsage(os.Getpid(), false)
	if err != nil {
		t.Fatal(err)
	}
	self := SelfCPU()
	memory := make([]byte, 64<<20)
	for start := SelfCPU(); SelfCPU()-start < 10*tick; {
		for i := range memory {
			memory[i]++
		}
	}
	after, err := ProcessUsage(os.Getpid(), false)
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(memory)
	if used := after.CPU - before.CPU; used < 8*tick {
		t.Errorf("%v of processor time were used, ProcessUsage saw %v", 10*tick, used)
	}
	// Each is rounded down to a tick, user and system on its own.
	if after.CPU < self-2*tick || after.CPU > SelfCPU()+2*tick {
		t.Errorf("ProcessUsage says %v, getrusage %v before and %v after it", after.CPU, self, SelfCPU())
	}
	if grown := after.Resident - before.Resident; grown < 60<<20 || grown > 1<<30 {
		t.Errorf("64 MiB were used, the resident memory grew by %d bytes", grown)
	}
	if after.Peak < after.Resident-1<<20 {
		t.Errorf("the peak is %d bytes, below the %d of now", after.Peak, after.Resident)
	}
}

// A tree counts its descendants: those that run, and those that have ended and were
// waited for.
func TestProcessUsageOfATree(t *testing.T) {
	// A shell that burns some processor time in a child that ends, then starts a
	// child with a child of its own, which live until their standard input ends.
	const script = `sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'
		sh -c 'sh -c "echo ready; read line"; true'; true`
	shell := exec.Command("sh", "-c", script)
	hold, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		hold.Close()
		if err := shell.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if line, err := bufio.NewReader(said).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the shell said %q, %v", line, err)
	}
	alone, err := ProcessUsage(shell.Process.Pid, false)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := ProcessUsage(shell.Process.Pid, true)
	if err != nil {
		t.Fatal(err)
	}
	if tree.CPU <= alone.CPU {
		t.Errorf("a tree has used %v, its root alone %v", tree.CPU, alone.CPU)
	}
	if tree.Resident <= alone.Resident || tree.Peak != 0 {
		t.Errorf("a tree has %+v, its root alone %+v", tree, alone)
	}
	if first := children(shell.Process.Pid); len(first) != 1 || len(children(first[0])) != 1 {
		t.Errorf("the shell has the children %v", first)
	}
}

func TestProcessUsageOfNoProcess(t *testing.T) {
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for _, tree := range []bool{false, true} {
		if u, err := ProcessUsage(ended.Process.Pid, tree); !errors.Is(err, ErrNoProcess) || u != (Usage{}) {
			t.Errorf("a process that has ended, tree %v: %+v, %v", tree, u, err)
		}
	}
}

func TestParseStat(t *testing.T) {
	const head = "4242 (name) S 1 4242 4242 0 -1 4194560 100 200 3 4 "
	for _, c := range []struct {
		stat        string
		own, reaped time.Duration
		fault       string
	}{
		{stat: head + "150 50 7 3 20 0 9 0 1234\n", own: 2 * time.Second, reaped: 100 * time.Millisecond},
		{stat: strings.Replace(head, "name", "a) b (c", 1) + "1 2 3 4 20 0", own: 30 * time.Millisecond, reaped: 70 * time.Millisecond},
		{stat: head + "0 0 0 0", own: 0},
		{stat: head + "1 2 3", fault: "14 fields"},
		{stat: head + "1 2 -3 4", fault: "processor time"},
		{stat: "", fault: "0 fields"},
	} {
		u, err := parseStat([]byte(c.stat))
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: %v, want an error with %q", c.stat, err, c.fault)
			}
			continue
		}
		if err != nil || u.own != c.own || u.reaped != c.reaped {
			t.Errorf("%q: %+v, %v; want %v and %v", c.stat, u, err, c.own, c.reaped)
		}
	}
}

// Processes are told by rising ids, this one among them.
func TestProcesses(t *testing.T) {
	list := processes()
	if !slices.IsSorted(list) || !slices.Contains(list, os.Getpid()) {
		t.Errorf("the processes are %v, this is %d", list, os.Getpid())
	}
}

func BenchmarkProcessUsage(b *testing.B) {
	for name, tree := range map[string]bool{"alone": false, "tree": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ProcessUsage(os.Getpid(), tree); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
