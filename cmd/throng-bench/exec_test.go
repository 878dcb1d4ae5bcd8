// The test binary, started again with THRONG_TEST_EXEC=1, is `throng-bench` itself: the tests of this package, all of
// them in main_test, see no more of the program than a user does. The server that it starts for itself is the test
// binary once more, which inherits the variable.

package main

import (
	"context"
	"io"
	"os"
	"testing"
)

const lifelineVariable = "THRONG_TEST_LIFELINE"

func TestMain(m *testing.M) {
	if os.Getenv("THRONG_TEST_EXEC") != "1" {
		os.Exit(m.Run())
	}
	if os.Getenv(lifelineVariable) == "1" {
		_ = os.Unsetenv(lifelineVariable) // the server that this process starts has no standard input
		go dieWithParent()
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// dieWithParent ends the program when the test that holds the other end of its standard input is gone.
func dieWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(statusFailed)
}
