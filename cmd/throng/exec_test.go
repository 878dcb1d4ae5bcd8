// The test binary, started again with THRONG_TEST_EXEC=1, is `throng` itself: the tests of this package, all of them in
// main_test, see no more of the program than a client and an operator do.

package main

import (
	"context"
	"io"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("THRONG_TEST_EXEC") != "1" {
		os.Exit(m.Run())
	}
	if os.Getenv("THRONG_TEST_LIFELINE") == "1" {
		go dieWithParent()
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// dieWithParent ends the server when the test that holds the other end of its standard input is gone.
func dieWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(3)
}
