package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"throng/codec"
)

type versionCommand struct{}

// The modules whose versions tell the most about a build.
var shownModules = map[string]bool{
	"github.com/panjf2000/gnet/v2":     true,
	"github.com/bytedance/sonic":       true,
	"github.com/cockroachdb/pebble/v2": true,
}

func (versionCommand) run(_ context.Context, _ io.Reader, out, _ io.Writer) error {
	text := fmt.Sprintf("throng %s\n%s %s/%s\njson %s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, codec.Engine())
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if shownModules[m.Path] {
				text += m.Path + " " + m.Version + "\n"
			}
		}
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// version returns the module's version and, as far as the build noted it, the
// commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v += " " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			v += " (modified)"
		}
	}
	return v
}
