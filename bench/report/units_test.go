package report

import (
	"testing"
	"time"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	tests := []struct{ got, want string }{
		{Rate(0), "0 /s"},
		{Rate(812.4), "812 /s"},
		{Rate(9_980), "9,980 /s"},
		{Rate(49_949), "49.9 k/s"},
		{Rate(999_700), "1.00 M/s"},
		{Rate(12_345_678), "12.3 M/s"},
		{Millis(0), "<1 µs"},
		{Millis(.0123), "12.3 µs"},
		{Millis(.99949), "999 µs"},
		{Millis(.9996), "1.00 ms"},
		{Millis(12.345), "12.3 ms"},
		{Millis(999.7), "1.00 s"},
		{Millis(120_000), "120 s"},
		{size(0), "0 B"},
		{size(1023), "1023 B"},
		{size(1024), "1.00 KiB"},
		{size(140 << 20), "140 MiB"},
		{roundSize(1024), "1 KiB"},
		{roundSize(1536), "1.5 KiB"},
		{grouped(0), "0"},
		{grouped(999), "999"},
		{grouped(1000), "1,000"},
		{grouped(-1234567), "-1,234,567"},
		{span(0), "0 ms"},
		{span(250 * time.Millisecond), "250 ms"},
		{span(90 * time.Second), "1 m 30 s"},
		{span(2 * time.Hour), "2 h"},
		{share(1, 0), none},
		{share(0, 5), "0.00 %"},
		{share(1, 1_000_000), "<0.01 %"},
		{share(998, 1000), "99.8 %"},
		{share(1, 1), "100 %"},
		{many(1, "run"), "1 run"},
		{many(0, "error"), "0 errors"},
		{times(1.2), "1.20x"},
		{times(1 / zero()), "∞"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%q is written, want %q", tt.got, tt.want)
		}
	}
}

// zero is a divisor that the compiler does not see.
func zero() float64 { return float64(len("")) }

func TestWrapKeepsWordsAndUnitsWhole(t *testing.T) {
	tests := []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, nil},
		{"one two", 7, []string{"one two"}},
		{"one two", 6, []string{"one", "two"}},
		{"a wordlongerthanall b", 5, []string{"a", "wordlongerthanall", "b"}},
		{"it took 30 s in all", 10, []string{"it took", "30 s in", "all"}},
	}
	for _, tt := range tests {
		got := wrap(tt.text, tt.width)
		if len(got) != len(tt.want) {
			t.Errorf("%q in %d: %q, want %q", tt.text, tt.width, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%q in %d: %q, want %q", tt.text, tt.width, got, tt.want)
			}
		}
	}
}
