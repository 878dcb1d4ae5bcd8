package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// none is shown where there is no figure.
const none = "–"

// three writes x ≥ 0 with three significant figures and no exponent.
func three(x float64) string {
	switch {
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// plain is three without trailing zeros, for round numbers such as an axis has.
func plain(x float64) string {
	s := three(x)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// unit is a step of a scale of units.
type unit struct {
	from float64 // the smallest value that it is used for
	size float64
	name string
}

// pick returns the largest unit that x reaches, rounded as three does; the units are
// ordered by size, largest first.
func pick(x float64, units []unit) unit {
	for _, u := range units[:len(units)-1] {
		if x >= u.from*0.9995 {
			return u
		}
	}
	return units[len(units)-1]
}

func rateUnits() []unit {
	return []unit{{1e6, 1e6, "M/s"}, {1e4, 1e3, "k/s"}, {0, 1, "/s"}}
}

func timeUnits() []unit { // of milliseconds
	return []unit{{1e3, 1e3, "s"}, {1, 1, "ms"}, {0, 1e-3, "µs"}}
}

func sizeUnits() []unit {
	return []unit{{1 << 40, 1 << 40, "TiB"}, {1 << 30, 1 << 30, "GiB"}, {1 << 20, 1 << 20, "MiB"}, {1 << 10, 1 << 10, "KiB"}, {0, 1, "B"}}
}

// Rate writes a number a second: 812 /s, 49.9 k/s, 1.23 M/s.
func Rate(perS float64) string {
	u := pick(perS, rateUnits())
	if u.size == 1 {
		return grouped(int64(math.Round(perS))) + " /s"
	}
	return three(perS/u.size) + " " + u.name
}

// Millis writes a time given in milliseconds: 812 µs, 1.20 ms, 2.03 s.
func Millis(ms float64) string {
	if ms < 1e-3 {
		return "<1 µs" // a histogram tells no more
	}
	u := pick(ms, timeUnits())
	return three(ms/u.size) + " " + u.name
}

// size writes a number of bytes: 64 B, 1.50 KiB, 120 MiB.
func size(n float64) string {
	u := pick(n, sizeUnits())
	if u.size == 1 {
		return plain(n) + " B"
	}
	return three(n/u.size) + " " + u.name
}

// roundSize is size for what was typed: 1 KiB, not 1.00 KiB.
func roundSize(n int) string {
	u := pick(float64(n), sizeUnits())
	return plain(float64(n)/u.size) + " " + u.name
}

// grouped writes a whole number with commas between thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// span writes a duration as people say it: 500 ms, 10 s, 1 m 30 s, 2 h.
func span(d time.Duration) string {
	if d < time.Minute {
		if d < time.Second {
			return plain(float64(d)/float64(time.Millisecond)) + " ms"
		}
		return plain(d.Seconds()) + " s"
	}
	whole := int64(d.Round(time.Second) / time.Second)
	var parts []string
	for _, u := range []struct {
		size int64
		name string
	}{{3600, "h"}, {60, "m"}, {1, "s"}} {
		if n := whole / u.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			whole %= u.size
		}
	}
	return strings.Join(parts, " ")
}

// share writes a part of a whole in percent, and none where the whole is 0.
func share(part, whole float64) string {
	if whole == 0 {
		return none
	}
	percent := 100 * part / whole
	if percent > 0 && percent < 0.01 {
		return "<0.01 %"
	}
	return three(percent) + " %"
}

// many writes a number with the right form of its noun: 1 error, 2 errors.
func many(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}
