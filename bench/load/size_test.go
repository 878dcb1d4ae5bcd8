package load

import (
	"strings"
	"testing"
)

func TestParseSizes(t *testing.T) {
	for _, c := range []struct {
		text string
		want Sizes
		back string
	}{
		{"64", Sizes{64, 64}, "64"},
		{"1", Sizes{1, 1}, "1"},
		{"16-1024", Sizes{16, 1024}, "16-1024"},
		{"1KiB", Sizes{1024, 1024}, "1024"},
		{" 64 B - 4 kib ", Sizes{64, 4096}, "64-4096"},
		{"1MiB", Sizes{1 << 20, 1 << 20}, "1048576"},
		{"7-7", Sizes{7, 7}, "7"},
	} {
		got, err := ParseSizes(c.text)
		if err != nil || got != c.want || got.String() != c.back {
			t.Errorf("%q is read as %v, %v; want %v", c.text, got, err, c.want)
		}
		if again, err := ParseSizes(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %v, which is read as %v, %v", c.text, got, again, err)
		}
	}
}

func TestParseSizesRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "whole number",
		"-":                        "whole number",
		"-5":                       "whole number",
		"5-":                       "whole number",
		"1-2-3":                    "whole number",
		"1.5KiB":                   "whole number",
		"KiB":                      "whole number",
		"1KB":                      "whole number",
		"+5":                       "whole number",
		"0":                        "1 to 1048576",
		"0-10":                     "1 to 1048576",
		"10-5":                     "smaller comes first",
		"2MiB":                     "1 to 1048576",
		"1048577":                  "1048576 bytes at most",
		"99999999999999999999":     "1048576 bytes at most",
		"1-99999999999999999999":   "1048576 bytes at most",
		"18446744073709551615 MiB": "1048576 bytes at most",
	} {
		if got, err := ParseSizes(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want an error with %q", text, got, err, want)
		}
	}
}
