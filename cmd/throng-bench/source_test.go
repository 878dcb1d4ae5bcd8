package main_test

import (
	"maps"
	"slices"
	"testing"
)

func TestConnectionsComeFromTheSourcesInTurn(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	for _, c := range []struct {
		source string
		want   []string
	}{
		{"127.0.0.2-3", []string{"127.0.0.2", "127.0.0.3"}},
		{"127.0.0.9", []string{"127.0.0.9"}},
		{"", nil},
	} {
		relay := startRelay(t, addr, fault{})
		verified(t, measure(t, with("send", brief, "--addr", relay.addr(), "--source", c.source)...), 500)
		came := relay.connections()
		delete(came, "127.0.0.1") // where the system chooses, as it does for what is no load
		if got := slices.Sorted(maps.Keys(came)); !slices.Equal(got, c.want) {
			t.Errorf("--source %q: connections came from %v", c.source, came)
		}
		for _, ip := range c.want {
			if each := 4 / len(c.want); came[ip] != each {
				t.Errorf("--source %q: %d of 4 connections came from %s, want %d", c.source, came[ip], ip, each)
			}
		}
	}
}
