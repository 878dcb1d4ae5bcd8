package shards

import (
	"fmt"
	"runtime"
	"time"
)

// patience is how long a test waits for what must come: much longer than any
// machine takes, and less than the tests may take in all.
const patience = 2 * time.Minute

// await takes what a channel brings. Where nothing comes it panics with what every
// goroutine does, rather than let the tests hang until somebody ends them.
func await[T any](from <-chan T, what string) T {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-from:
		return v
	case <-timer.C:
		panic(hung(what))
	}
}

// give hands a value over a channel, with the same guard.
func give[T any](to chan<- T, v T, what string) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case to <- v:
	case <-timer.C:
		panic(hung(what))
	}
}

// eventually waits until a condition holds, with the same guard. It is for what
// follows by itself and tells nobody.
func eventually(holds func() bool, what string) {
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			panic(hung(what))
		}
	}
}

// hung says what did not come, and what every goroutine does.
func hung(what string) string {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return fmt.Sprintf("test: after %v there is no %s; all goroutines:\n%s", patience, what, stacks)
}
