package check

// bits is a set of small numbers.
type bits struct{ words []uint64 }

// begin empties the set and makes room for the numbers below n.
func (b *bits) begin(n int) {
	words := (n + 63) / 64
	if cap(b.words) < words {
		b.words = make([]uint64, words)
		return
	}
	b.words = b.words[:words]
	clear(b.words)
}

func (b *bits) has(i int) bool { return b.words[i/64]>>(i%64)&1 != 0 }

func (b *bits) set(i int) { b.words[i/64] |= 1 << (i % 64) }
