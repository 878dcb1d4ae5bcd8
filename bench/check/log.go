package check

import "slices"

// readback is a chat's log as it was read back: the messages above base, those
// below it only as far as they tell where the log goes on.
type readback struct {
	base    int64 // messages up to it are not kept
	indexes []int64
	hashes  []uint64
	sums    []uint64 // digest of all kept up to here; only where wanted

	last   int64  // the newest index
	digest uint64 // of all messages, or of all since the chat's mark and what it says
	old    uint64 // the digest when it had come as far as the mark
	wanted bool   // sums are
}

// begin empties the log. What comes next is above after, and digested on top of
// what is given.
func (l *readback) begin(after int64, digest uint64, base int64, wanted bool) {
	*l = readback{
		base: base, last: after, digest: digest, wanted: wanted,
		indexes: l.indexes[:0], hashes: l.hashes[:0], sums: l.sums[:0],
	}
}

// add appends a message, whose index is above the last.
func (l *readback) add(index int64, hash uint64, mark int64) {
	digest := Digest(index, hash)
	l.last = index
	l.digest += digest
	if index <= mark {
		l.old = l.digest
	}
	if index <= l.base {
		return
	}
	l.indexes = append(l.indexes, index)
	l.hashes = append(l.hashes, hash)
	if l.wanted {
		if n := len(l.sums); n > 0 {
			digest += l.sums[n-1]
		}
		l.sums = append(l.sums, digest)
	}
}

// find returns where a message is kept, or would be. Where no index is left out it
// need not search.
func (l *readback) find(index int64) (int, bool) {
	if len(l.indexes) == 0 || index < l.indexes[0] {
		return 0, false
	}
	if at := index - l.indexes[0]; at < int64(len(l.indexes)) && l.indexes[at] == index {
		return int(at), true
	}
	return slices.BinarySearch(l.indexes, index)
}

// holds reports whether a message is kept.
func (l *readback) holds(index int64, hash uint64) (int, bool) {
	at, found := l.find(index)
	return at, found && l.hashes[at] == hash
}

// between returns the digest of the messages from low to high; base is below low.
func (l *readback) between(low, high int64) uint64 {
	from, _ := l.find(low)
	to, found := l.find(high)
	if found {
		to++
	}
	if from >= to {
		return 0
	}
	digest := l.sums[to-1]
	if from > 0 {
		digest -= l.sums[from-1]
	}
	return digest
}
