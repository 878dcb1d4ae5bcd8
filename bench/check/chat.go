package check

import (
	"cmp"
	"fmt"
	"slices"
)

// worker checks chats, one at a time. What it holds of a chat, it holds in the
// memory that the one before needed.
type worker struct {
	*round
	tally     *tally
	open      []Send     // without an answer and not found
	strangers []stranger // texts that nobody sent to their chats
	err       error

	// Of the chat at hand.
	chat       int
	mark       mark
	visited    int
	log        readback
	claimed    bits    // messages of the log at which an acknowledgement points
	homeless   []*Send // acknowledged, but their texts do not stand at their indexes
	unanswered []*Send
	found      []placed // of the unanswered ones
	loose      []loose  // messages at which no acknowledgement points, by text
	known      known
}

// placed is a send and where its message is.
type placed struct {
	*Send
	index int64
}

// loose is a message of the log that no acknowledgement accounts for.
type loose struct {
	hash    uint64
	index   int64
	claimed bool // by a send all the same
}

// stranger is a message that nobody sent to its chat.
type stranger struct {
	chat  int
	index int64
	hash  uint64
}

func newWorker(r *round) *worker { return &worker{round: r, tally: newTally()} }

func (w *worker) run() {
	for {
		chat, ok := w.take()
		if !ok {
			return
		}
		if err := w.check(chat); err != nil {
			w.err = fmt.Errorf("chat %d: %w", chat, err)
			w.failed.Store(true)
			return
		}
	}
}

// check checks one chat: first where each message is, then in which order.
func (w *worker) check(chat int) error {
	w.begin(chat)
	if err := w.readBack(); err != nil {
		return err
	}
	if err := w.sort(); err != nil {
		return err
	}
	w.matchUnanswered()
	w.matchRest()
	w.judgeHomeless()
	w.learn()
	w.judgeOrder()
	w.judgeReads()
	return nil
}

func (w *worker) begin(chat int) {
	w.chat, w.mark, w.visited = chat, w.marks[chat], 0
	w.homeless, w.unanswered = w.homeless[:0], w.unanswered[:0]
	w.found, w.loose = w.found[:0], w.loose[:0]
}

func (w *worker) fault(rule Rule, format string, args ...any) {
	w.tally.fault(w.chat, rule, format, args...)
}

// readBack reads the log.
func (w *worker) readBack() error {
	reads := w.history.reads.len(w.chat) > 0
	if w.whole {
		w.log.begin(0, 0, min(w.mark.last, w.lowest()-1), reads)
	} else {
		w.log.begin(w.mark.last, w.mark.digest, w.mark.last, reads)
	}
	if err := w.round.log(w.chat, w.log.last, w.visit); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	w.tally.Messages += int64(w.visited)
	if w.whole {
		w.compareOld()
	}
	w.after[w.chat] = mark{w.log.last, w.log.digest}
	return nil
}

// lowest is the lowest index that a read of the chat has shown; without any, the
// one above the mark.
func (w *worker) lowest() int64 {
	lowest := w.mark.last + 1
	for r := range w.history.reads.of(w.chat) {
		if r.High > 0 {
			lowest = min(lowest, r.Low)
		}
	}
	return lowest
}

// visit takes in one message.
func (w *worker) visit(index int64, hash uint64) error {
	if w.visited++; w.visited%visitsPolled == 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	switch last := w.log.last; {
	case index <= last:
		w.disorder(index, hash)
		return nil
	case w.Dense && index > last+1:
		w.fault(Gap, "the log goes from index %d to %d", last, index)
	}
	w.log.add(index, hash, w.mark.last)
	return nil
}

// disorder judges a message whose index is not above the last. It is left out of
// the log, which must rise to be searched.
func (w *worker) disorder(index int64, hash uint64) {
	if at, found := w.log.find(index); found && w.log.hashes[at] != hash {
		w.fault(TwoTexts, "the log shows index %d with text %016x and with %016x", index, w.log.hashes[at], hash)
		return
	}
	w.fault(Disorder, "the log shows index %d after %d", index, w.log.last)
}

// compareOld sees whether the log is still what it was up to the mark.
func (w *worker) compareOld() {
	if w.log.last < w.mark.last {
		w.fault(Vanished, "the log ends at index %d, and went to %d before", w.log.last, w.mark.last)
	} else if w.log.old != w.mark.digest {
		w.fault(Changed, "the messages up to index %d are not what they were before", w.mark.last)
	}
}

// sort counts the sends and tells apart what stands where it should.
func (w *worker) sort() error {
	w.claimed.begin(len(w.log.indexes))
	for s := range w.history.sends.of(w.chat) {
		if s.Outcome != lingering {
			w.tally.Sends++
		}
		switch s.Outcome {
		case Acked:
			w.tally.Acked++
			if err := w.claim(s); err != nil {
				return err
			}
		case Unknown:
			w.tally.Unknown++
			w.unanswered = append(w.unanswered, s)
		case lingering:
			w.unanswered = append(w.unanswered, s)
		case Refused:
		default:
			return fmt.Errorf("%w: outcome %d of a send", ErrLedger, s.Outcome)
		}
	}
	w.list()
	return nil
}

// claim looks for an acknowledged message at its index.
func (w *worker) claim(s *Send) error {
	at, home := w.log.holds(s.Index, s.Hash)
	if !home {
		w.homeless = append(w.homeless, s)
		return nil
	}
	if w.claimed.has(at) {
		return fmt.Errorf("%w: two sends of text %016x", ErrLedger, s.Hash)
	}
	w.claimed.set(at)
	return nil
}

// list lists the new messages that are not claimed, by text.
func (w *worker) list() {
	first, _ := w.log.find(w.mark.last + 1)
	for at := first; at < len(w.log.indexes); at++ {
		if !w.claimed.has(at) {
			w.loose = append(w.loose, loose{hash: w.log.hashes[at], index: w.log.indexes[at]})
		}
	}
	slices.SortFunc(w.loose, func(a, b loose) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.index, b.index))
	})
}

// withText returns the loose messages of a text, by rising index.
func (w *worker) withText(hash uint64) []loose {
	from, _ := slices.BinarySearchFunc(w.loose, hash, func(l loose, hash uint64) int { return cmp.Compare(l.hash, hash) })
	to := from
	for to < len(w.loose) && w.loose[to].hash == hash {
		to++
	}
	return w.loose[from:to]
}

// duplicates claims loose messages of one text, whose place is first: any other is
// a fault.
func (w *worker) duplicates(of []loose, first int64) {
	for i := range of {
		of[i].claimed = true
		if of[i].index != first {
			w.fault(Duplicate, "text %016x stands at index %d and again at %d", of[i].hash, first, of[i].index)
		}
	}
}

// matchUnanswered looks for what may be in the log once, or not.
func (w *worker) matchUnanswered() {
	for _, s := range w.unanswered {
		at := w.withText(s.Hash)
		if len(at) == 0 {
			w.open = append(w.open, *s)
			w.open[len(w.open)-1].Outcome = lingering
			continue
		}
		w.tally.Found++
		w.found = append(w.found, placed{s, at[0].index})
		w.duplicates(at, at[0].index)
	}
}

// matchRest finds out about the other loose messages, of which there are none if
// all is well.
func (w *worker) matchRest() {
	if len(w.loose) == len(w.found) { // each has its own
		return
	}
	for s := range w.history.sends.of(w.chat) {
		switch s.Outcome {
		case Acked:
			w.matchAcked(s)
		case Refused:
			if at := w.withText(s.Hash); len(at) > 0 {
				w.fault(StoredRefused, "text %016x was refused at %s and stands at index %d", s.Hash, seconds(s.Ended), at[0].index)
				w.duplicates(at, at[0].index)
			}
		default:
		}
	}
	if !w.Partial {
		w.listStrangers()
	}
}

// matchAcked looks for an acknowledged text where it should not be. That it is not
// where it should be is told later.
func (w *worker) matchAcked(s *Send) {
	at := w.withText(s.Hash)
	if len(at) == 0 {
		return
	}
	first := at[0].index
	if _, home := w.log.holds(s.Index, s.Hash); home {
		first = s.Index
	}
	w.duplicates(at, first)
}

func (w *worker) listStrangers() {
	for _, l := range w.loose {
		switch {
		case l.claimed:
		case len(w.strangers) < maxStrangers:
			w.strangers = append(w.strangers, stranger{w.chat, l.index, l.hash})
		default:
			w.fault(Phantom, "index %d holds text %016x, which nobody sent to this chat", l.index, l.hash)
		}
	}
}
