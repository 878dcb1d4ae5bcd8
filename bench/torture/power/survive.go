package power

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// survey walks what is left of a disk, and builds the next one from it, on which
// all is synced.
type survey struct {
	from, to *Disk
	rng      *rand.Rand
	found    map[*node]*node // a file has its inode once, however many names it has
}

func (s *survey) directory(from, to *node) {
	names := maps.Clone(from.keptNames)
	for _, c := range s.changes(from.pending) {
		c.apply(names)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order: a seed draws the same again
		n := s.node(names[name])
		n.links++
		to.names[name], to.keptNames[name] = n, n
	}
}

// changes draws which changes have reached the disk: those up to some point, or
// any of them, since not every file system keeps their order.
func (s *survey) changes(all []change) (left []change) {
	if s.rng.IntN(2) == 0 {
		return all[:s.rng.IntN(len(all)+1)]
	}
	for _, c := range all {
		if s.rng.IntN(2) == 0 {
			left = append(left, c)
		}
	}
	return left
}

func (s *survey) node(from *node) *node {
	if to := s.found[from]; to != nil {
		return to
	}
	to := s.to.newNode(from.dir, from.perm)
	to.links = 0
	s.found[from] = to
	if from.dir {
		s.directory(from, to)
		return to
	}
	to.live = s.content(from)
	to.kept = content{to.live.size, slices.Clone(to.live.blocks)}
	for _, b := range to.live.blocks {
		if b != nil {
			s.to.used += blockBytes
		}
	}
	return to
}

// content draws a file's bytes.
func (s *survey) content(from *node) content {
	c := content{s.size(from.kept.size, from.live.size), slices.Clone(from.kept.blocks)}
	share := s.rng.Float64() // of this file's blocks; its disk was more or less busy
	for _, i := range slices.Sorted(maps.Keys(from.dirty)) {
		fresh := from.live.at(i)
		if s.rng.Float64() < share && fresh != nil { // what was truncated goes with the size
			c.set(i, s.torn(from.kept.at(i), fresh))
		}
	}
	last := int((c.size + blockBytes - 1) / blockBytes)
	if len(c.blocks) > last {
		c.blocks = c.blocks[:last]
	}
	if off := c.size % blockBytes; off > 0 && c.at(last-1) != nil {
		b := *c.at(last - 1)
		clear(b[off:])
		c.blocks[last-1] = &b
	}
	return c
}

// size draws what was synced, what was newest, or anything between.
func (s *survey) size(kept, live int64) int64 {
	switch s.rng.IntN(3) {
	case 0:
		return kept
	case 1:
		return live
	default:
		return min(kept, live) + s.rng.Int64N(max(kept, live)-min(kept, live)+1)
	}
}

// torn is the new block, or some of its sectors in the old one.
func (s *survey) torn(old, fresh *block) *block {
	if s.rng.IntN(tornOneIn) > 0 {
		return fresh
	}
	var zero, b block
	if old == nil {
		old = &zero
	}
	b = *old
	for at := 0; at < blockBytes; at += sectorBytes {
		if s.rng.IntN(2) == 0 {
			copy(b[at:at+sectorBytes], fresh[at:])
		}
	}
	return &b
}
