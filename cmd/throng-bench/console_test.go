// A pseudo-terminal, so that tests see what a user sees and type what a user types.

package main_test

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// console is a terminal and what was written to it.
type console struct {
	*output
	master, slave *os.File
}

// openConsole makes one. It is closed when the test ends.
func openConsole(t testing.TB) *console {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	raw, err := master.SyscallConn()
	must(t, err)
	var number int
	var fault error
	must(t, raw.Control(func(fd uintptr) {
		if fault = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); fault == nil {
			number, fault = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	must(t, fault)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	c := &console{newOutput(), master, slave}
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(c, master) // until it is closed
		close(read)
	}()
	t.Cleanup(func() {
		_ = slave.Close()
		_ = master.Close()
		<-read
	})
	return c
}

// types sends keys to the program that the terminal controls.
func (c *console) types(t testing.TB, keys string) {
	t.Helper()
	_, err := c.master.WriteString(keys)
	must(t, err)
}

func (c *console) holds(words string) func() bool {
	return func() bool { return strings.Contains(c.String(), words) }
}

// loadLine is the progress of a load: the rate and the p99 of a second.
var loadLine = regexp.MustCompile(`load  \d+ of \d+ s  [0-9.,]+ k?/s  p99 [0-9.]+ (µs|ms|s)  errors \d+`)

// awaitLoad waits until the progress shows the load.
func (c *console) awaitLoad(t testing.TB, p *process) {
	t.Helper()
	eventually(t, "the load", func() bool {
		if !p.running() {
			t.Fatalf("it ended: %s", c)
		}
		return loadLine.MatchString(c.String())
	})
}
