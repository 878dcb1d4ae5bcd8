package load

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxTextBytes is the largest text that can be made: the largest frame that a
// server takes by default.
const MaxTextBytes = 1 << 20

// Sizes are the bytes of texts, unescaped, drawn evenly from Min … Max.
type Sizes struct{ Min, Max int }

// ParseSizes reads one size ("64", "1KiB") or a range of them ("16-1024",
// "64B-4KiB"). Units are B, KiB and MiB, in any case.
func ParseSizes(text string) (Sizes, error) {
	low, high, ranged := strings.Cut(text, "-")
	first, err := parseBytes(low)
	if err != nil {
		return Sizes{}, fmt.Errorf("size %q: %w", text, err)
	}
	last := first
	if ranged {
		if last, err = parseBytes(high); err != nil {
			return Sizes{}, fmt.Errorf("size %q: %w", text, err)
		}
	}
	s := Sizes{Min: first, Max: last}
	return s, s.check()
}

// String writes the sizes as ParseSizes reads them.
func (s Sizes) String() string {
	if s.Min == s.Max {
		return strconv.Itoa(s.Min)
	}
	return fmt.Sprintf("%d-%d", s.Min, s.Max)
}

func (s Sizes) check() error {
	switch {
	case s.Min < 1 || s.Max > MaxTextBytes:
		return fmt.Errorf("size %v: a text has 1 to %d bytes", s, MaxTextBytes)
	case s.Min > s.Max:
		return fmt.Errorf("size %v: the smaller comes first", s)
	}
	return nil
}

var (
	errNoSize  = errors.New("want a whole number of bytes, with B, KiB or MiB or without")
	errTooMuch = fmt.Errorf("a text has %d bytes at most", MaxTextBytes)
)

func parseBytes(text string) (int, error) {
	number := strings.ToLower(strings.TrimSpace(text))
	unit := 1
	for _, u := range []struct {
		suffix string
		bytes  int
	}{{"kib", 1 << 10}, {"mib", 1 << 20}, {"b", 1}} {
		if before, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(before), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errTooMuch
	case err != nil:
		return 0, errNoSize
	case n > MaxTextBytes:
		return 0, errTooMuch
	}
	return int(n) * unit, nil
}
