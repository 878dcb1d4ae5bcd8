package system

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// A sleeper never wakes early, whatever it sleeps for. How late it wakes is up to
// the machine, and is told: run with -v, and look at it when the machine is idle.
func TestSleeperNeverWakesEarly(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sleeper := NewSleeper()
	for _, nap := range []time.Duration{
		-time.Second, 0, 1, time.Microsecond, 20 * time.Microsecond, 100 * time.Microsecond, 500 * time.Microsecond, 3 * time.Millisecond,
	} {
		var late []time.Duration
		for range 50 {
			until := time.Now().Add(nap)
			sleeper.SleepUntil(until)
			late = append(late, time.Since(until))
		}
		slices.Sort(late)
		if late[0] < 0 {
			t.Errorf("asked to sleep for %v, it woke %v early", nap, -late[0])
		}
		t.Logf("asked for %v: late by %v at best, %v in the median, %v at worst", nap, late[0], late[len(late)/2], late[len(late)-1])
	}
}

// What time.Sleep does in its place, for comparison: see Sleeper.
func BenchmarkSleep(b *testing.B) {
	const nap = 100 * time.Microsecond
	b.Run("time.Sleep", func(b *testing.B) {
		for b.Loop() {
			time.Sleep(nap)
		}
	})
	b.Run("Sleeper", func(b *testing.B) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for sleeper := NewSleeper(); b.Loop(); {
			sleeper.SleepUntil(time.Now().Add(nap))
		}
	})
}
