package start

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// RedisOptions is what varies of Redis's configuration.
type RedisOptions struct {
	Fsync string // appendfsync: always, everysec or no; empty: always
}

// Redis starts redis-server in a new directory below base: the append-only file
// is on and is not rewritten while a run is measured, there are no snapshots, all
// else is as shipped.
func Redis(ctx context.Context, base string, o RedisOptions) (*Server, error) {
	program, err := locate("redis-server")
	if err != nil {
		return nil, err
	}
	if o.Fsync == "" {
		o.Fsync = "always"
	}
	return run(ctx, base, &plan{
		kind: "redis", program: program, version: []string{"--version"},
		ready: "Ready to accept connections",
		command: func(root string, port int) ([]string, string, string) {
			settings := [][2]string{
				{"appendonly", "yes"},
				{"appendfsync", o.Fsync},
				{"auto-aof-rewrite-percentage", "0"},
				{"save", `""`},
			}
			place := [][2]string{
				{"bind", "127.0.0.1"},
				{"port", strconv.Itoa(port)},
				{"dir", dataDir(root)},
				{"daemonize", "no"},
			}
			return redisArguments(append(place, settings...)), "redis://" + loopback(port), redisConfig(settings)
		},
	})
}

func redisArguments(settings [][2]string) []string {
	var arguments []string
	for _, s := range settings {
		arguments = append(arguments, "--"+s[0], strings.Trim(s[1], `"`))
	}
	return arguments
}

func redisConfig(settings [][2]string) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "%s %s\n", s[0], s[1])
	}
	return b.String()
}
