package main

import (
	"context"
	"fmt"
	"runtime"

	"throng/bench/system"
)

type versionCommand struct{}

func (versionCommand) run(_ context.Context, t terminal) error {
	if _, err := fmt.Fprintf(t.out, "throng-bench %s\n%s/%s\n", version(), runtime.GOOS, runtime.GOARCH); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// version names this build, and so the server that it starts.
func version() string {
	tool := system.Tool()
	if tool.Commit == "" {
		return tool.Version
	}
	return tool.Version + " " + tool.Commit
}
