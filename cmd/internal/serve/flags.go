package serve

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// The types of flags below note what they cannot read instead of failing, so
// that all faults can be reported at once.

// flagFault is a flag's fault.
type flagFault struct{ err error }

func (f *flagFault) fault() error { return f.err }

// read takes the flag's text off the command line and parses it.
func (f *flagFault) read(ctx *kong.DecodeContext, parse func(text string) error) error {
	var text string
	if err := ctx.Scan.PopValueInto("value", &text); err != nil {
		return err
	}
	f.err = nil
	if err := parse(strings.TrimSpace(text)); err != nil {
		f.err = fmt.Errorf("--%s: %w", ctx.Value.Name, err)
	}
	return nil
}

// Count is a number.
type Count struct {
	N int64
	flagFault
}

// Decode implements kong.MapperValue.
func (c *Count) Decode(ctx *kong.DecodeContext) error {
	return c.read(ctx, func(text string) (err error) {
		if c.N, err = strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		return nil
	})
}

// Size is a number of bytes, written plain or with KiB, MiB, GiB or TiB.
type Size struct {
	N int64
	flagFault
}

// Decode implements kong.MapperValue.
func (s *Size) Decode(ctx *kong.DecodeContext) error {
	return s.read(ctx, func(text string) (err error) {
		s.N, err = parseSize(text)
		return err
	})
}

func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			digits, shift = strings.TrimSpace(rest), 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a size: write bytes, or a number with KiB, MiB, GiB or TiB", text)
	}
	return n << shift, nil
}

// Duration is a time span, written as 30s or 1m30s.
type Duration struct {
	D time.Duration
	flagFault
}

// Decode implements kong.MapperValue.
func (d *Duration) Decode(ctx *kong.DecodeContext) error {
	return d.read(ctx, func(text string) (err error) {
		if d.D, err = time.ParseDuration(text); err != nil || d.D < 0 {
			return fmt.Errorf("%q is not a duration: write 500ms, 30s or 1m30s", text)
		}
		return nil
	})
}
