package check

import (
	"cmp"
	"slices"
)

// judgeHomeless tells of each acknowledged message that is not at its index what
// became of it: one fault each, the most telling one.
func (w *worker) judgeHomeless() {
	slices.SortStableFunc(w.homeless, func(a, b *Send) int { return cmp.Compare(a.Index, b.Index) })
	for i, s := range w.homeless {
		at, found := w.log.find(s.Index)
		texts := w.withText(s.Hash)
		switch {
		case s.Index <= w.mark.last:
			w.old(s)
		case found && w.claimed.has(at), i > 0 && w.homeless[i-1].Index == s.Index:
			w.fault(TwoTexts, "index %d of text %016x, acknowledged at %s, was acknowledged to another send as well",
				s.Index, s.Hash, seconds(s.Ended))
		case len(texts) > 0:
			w.fault(Misplaced, "text %016x, acknowledged at %s with index %d, stands at index %d",
				s.Hash, seconds(s.Ended), s.Index, texts[0].index)
		case found:
			w.fault(WrongText, "text %016x was acknowledged at %s with index %d, where %016x stands",
				s.Hash, seconds(s.Ended), s.Index, w.log.hashes[at])
		default:
			w.fault(Lost, "text %016x was acknowledged at %s with index %d, which is not in the log; it goes to %d",
				s.Hash, seconds(s.Ended), s.Index, w.log.last)
		}
	}
}

// old tells of a message that was acknowledged with an index that the chat had
// passed before the round.
func (w *worker) old(s *Send) {
	switch {
	case s.Index < 1:
		w.fault(Lost, "text %016x was acknowledged at %s with index %d, which none can have", s.Hash, seconds(s.Ended), s.Index)
	case w.Dense:
		w.fault(TwoTexts, "index %d of text %016x, acknowledged at %s, was another message's before", s.Index, s.Hash, seconds(s.Ended))
	default:
		w.fault(Inverted, "text %016x, begun at %s, got index %d, though the chat went to %d before",
			s.Hash, seconds(s.Began), s.Index, w.mark.last)
	}
}

// learn gathers when each index was known. What the log does not hold is no
// evidence: one wrong answer would make all that follow it look wrong.
func (w *worker) learn() {
	w.known.begin(w.mark.last)
	for s := range w.history.sends.of(w.chat) {
		if _, home := w.log.holds(s.Index, s.Hash); home && s.Outcome == Acked {
			w.known.add(s.Ended, s.Index)
		}
	}
	for r := range w.history.reads.of(w.chat) {
		if r.High > 0 && r.High <= w.log.last {
			w.known.add(r.Ended, r.High)
		}
	}
	w.known.settle()
}

// judgeOrder holds each message's index against what was known when its send
// began. Of a send that lingers from an earlier round that is forgotten; it began
// before all that is known, and stands above the mark.
func (w *worker) judgeOrder() {
	for s := range w.history.sends.of(w.chat) {
		if _, home := w.log.holds(s.Index, s.Hash); home && s.Outcome == Acked {
			w.judgeIndex(s, s.Index)
		}
	}
	for _, p := range w.found {
		w.judgeIndex(p.Send, p.index)
	}
}

func (w *worker) judgeIndex(s *Send, index int64) {
	if k := w.known.before(s.Began); k.index >= index {
		w.fault(Inverted, "text %016x, begun at %s, stands at index %d, though %v",
			s.Hash, seconds(s.Began), index, k)
	}
}

func (w *worker) judgeReads() {
	w.tally.Reads += int64(w.history.reads.len(w.chat))
	for r := range w.history.reads.of(w.chat) {
		w.judgeShown(r)
		if r.End < 0 {
			continue
		}
		if k := w.known.before(r.Began); k.index > r.End {
			w.fault(Stale, "a read of %s to %s shows nothing above index %d, though %v",
				seconds(r.Began), seconds(r.Ended), r.End, k)
		}
	}
}

// judgeShown holds what a read showed against the log.
func (w *worker) judgeShown(r *Read) {
	switch {
	case r.High == 0: // nothing
	case r.High > w.log.last:
		w.fault(Vanished, "a read of %s to %s showed indexes %d to %d; the log goes to %d",
			seconds(r.Began), seconds(r.Ended), r.Low, r.High, w.log.last)
	case r.Low <= w.log.base:
		w.tally.Clipped++
	case w.log.between(r.Low, r.High) != r.Digest:
		w.fault(Changed, "a read of %s to %s showed other messages at indexes %d to %d than the log holds there",
			seconds(r.Began), seconds(r.Ended), r.Low, r.High)
	}
}
