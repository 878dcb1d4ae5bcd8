package redis

import (
	"math"
	"testing"
)

func TestAnIndexIsAStreamID(t *testing.T) {
	for id, index := range map[string]int64{
		"0-1":                   1,
		"1-0":                   1 << 20,
		"1-1048575":             1<<21 - 1,
		"1700000000000-7":       1700000000000<<20 | 7,
		"8796093022207-1048575": math.MaxInt64,
	} {
		got, err := parseID(id)
		if err != nil || got != index {
			t.Errorf("%s: %d, %v; want %d", id, got, err, index)
		}
		if back := streamID(index); back != id {
			t.Errorf("%d: %s, want %s", index, back, id)
		}
	}
}

func TestAStreamIDThatDoesNotFitIsAnError(t *testing.T) {
	for _, id := range []string{"1-1048576", "8796093022208-0", "-1-0", "1--1", "1", "", "a-b", "1-"} {
		if index, err := parseID(id); err == nil {
			t.Errorf("%q: %d", id, index)
		}
	}
}
