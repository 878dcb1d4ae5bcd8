package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"throng/bench/target"
)

// MaxWeight is the largest weight of a kind in a Mix.
const MaxWeight = 1_000_000

// Mix is how often each kind of operation is asked: in proportion to its weight.
// It is safe for concurrent use.
type Mix struct {
	kinds []target.Kind // with a weight above 0, in their order
	ends  []uint32      // sums of the weights up to and with each
}

// ParseMix reads weights as a user writes them: "send=20,read=70,receive=10". They
// need not add up to anything. A kind of weight 0 is never asked.
func ParseMix(text string) (*Mix, error) {
	weights := map[string]int{}
	for part := range strings.SplitSeq(text, ",") {
		name, number, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, fmt.Errorf("mix: %q is not of the form kind=weight, as in send=20,read=80", part)
		}
		name = strings.TrimSpace(name)
		if _, twice := weights[name]; twice {
			return nil, fmt.Errorf("mix: %s has two weights", name)
		}
		weight, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil {
			return nil, fmt.Errorf("mix: the weight of %s must be a whole number, not %q", name, number)
		}
		weights[name] = weight
	}
	return NewMix(weights)
}

// NewMix returns the mix of weights by the kinds' names.
func NewMix(weights map[string]int) (*Mix, error) {
	m := &Mix{}
	known, sum := 0, uint32(0)
	for kind := range target.Kind(target.Kinds) {
		weight, ok := weights[kind.String()]
		switch {
		case weight < 0 || weight > MaxWeight:
			return nil, fmt.Errorf("mix: the weight of %s must be 0 to %d, not %d", kind, MaxWeight, weight)
		case weight > 0:
			sum += uint32(weight)
			m.kinds, m.ends = append(m.kinds, kind), append(m.ends, sum)
		}
		if ok {
			known++
		}
	}
	if known < len(weights) {
		return nil, unknownKind(weights)
	}
	if sum == 0 {
		return nil, fmt.Errorf("mix: no kind has a weight above 0")
	}
	return m, nil
}

func unknownKind(weights map[string]int) error {
	var names, unknown []string
	for kind := range target.Kind(target.Kinds) {
		names = append(names, kind.String())
	}
	for name := range weights {
		if !slices.Contains(names, name) {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	slices.Sort(unknown)
	return fmt.Errorf("mix: no such kind: %s; there are %s", strings.Join(unknown, ", "), strings.Join(names, ", "))
}

// Next chooses a kind.
func (m *Mix) Next(rng *rand.Rand) target.Kind {
	last := len(m.ends) - 1
	if last == 0 {
		return m.kinds[0]
	}
	at := rng.Uint32N(m.ends[last])
	for i, end := range m.ends {
		if at < end {
			return m.kinds[i]
		}
	}
	panic("load: a weight beyond the sum of all")
}

// Kinds returns the kinds that have a weight, in their order. The slice is the
// Mix's.
func (m *Mix) Kinds() []target.Kind { return m.kinds }

// Weights returns the weights above 0 by the kinds' names.
func (m *Mix) Weights() map[string]int {
	weights := make(map[string]int, len(m.kinds))
	before := uint32(0)
	for i, kind := range m.kinds {
		weights[kind.String()] = int(m.ends[i] - before)
		before = m.ends[i]
	}
	return weights
}

// String writes the mix as ParseMix reads it.
func (m *Mix) String() string {
	var b strings.Builder
	before := uint32(0)
	for i, kind := range m.kinds {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%d", kind, m.ends[i]-before)
		before = m.ends[i]
	}
	return b.String()
}
