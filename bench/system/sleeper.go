package system

import (
	"time"

	"golang.org/x/sys/unix"
)

// timerSlack is how late the kernel may wake a thread so as to wake several at
// once, in nanoseconds: the least. By default it is 50 µs.
const timerSlack = 1

// Sleeper wakes less than 100 µs late on a machine that has a processor free, most
// of it the time that the processor and the runtime take to resume. time.Sleep cannot:
// where nothing else is to be done the runtime waits in epoll_wait, which counts in
// whole milliseconds, so that a sleep of 100 µs takes 1.1 ms (BenchmarkSleep shows
// it). A Sleeper sleeps in clock_nanosleep instead, which holds up a thread but no
// processor.
//
// It is for a goroutine that is locked to its thread: NewSleeper tells the kernel
// to wake this very thread in time. When all processors of the runtime are busy,
// the goroutine must still wait for one of them.
type Sleeper struct{}

// NewSleeper prepares the thread that the caller is locked to. What it changes stays
// with the thread; nothing is to be given back.
func NewSleeper() Sleeper {
	// A kernel that refuses wakes us 50 µs late, which is no reason not to sleep.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0)
	return Sleeper{}
}

// SleepUntil returns at t, never before, and at once where t has passed. t must
// have a monotonic clock, as what time.Now returns and what is derived from it.
func (Sleeper) SleepUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		request := unix.NsecToTimespec(int64(left))
		// A signal ends it early: what is left then is computed again.
		_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &request, nil)
	}
}
