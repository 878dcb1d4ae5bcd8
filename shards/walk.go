package shards

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"
)

// messages reads the messages of chats, from the journal and from the store. It
// belongs to one goroutine.
type messages struct {
	view view
	held held             // taken before it is opened: see journal.hold
	it   *pebble.Iterator // over the stored ones; nil: not needed yet
	pack pack             // at which it stands

	// Of the window that is being read.
	parts     []part    // the newest first
	stretches []stretch // the newest first
	offsets   []uint32
	epochs    []uint32 // that have messages of the chat, the oldest first; or the newest only
	whole     bool     // epochs are all
	low, high []byte   // what the iterator is bounded by
	key       []byte
}

// part is what a segment has of a window: messages first … last.
type part struct {
	first, last int64
	records     []byte
	from        int // in messages.offsets
}

// stretch is what an epoch has of it.
type stretch struct {
	epoch       uint32
	first, last int64
}

// messages reads messages; what is committed later may not be found.
func (v view) messages() *messages {
	w := &messages{view: v}
	w.open()
	return w
}

// open opens once more what is closed, to read what has come since.
func (w *messages) open() { w.held = w.view.journal.hold() }

func (w *messages) close() {
	w.held.release()
	if it := w.it; it != nil {
		w.it = nil // whatever becomes of it
		closeWalk(it)
	}
}

// stored has the iterator show the stored messages of a chat in an epoch up to message
// to, and what is in a pack with that.
func (w *messages) stored(epoch uint32, chat, to int64) error {
	w.low = appendMessageKey(w.low[:0], epoch, chat, 0)
	w.high = appendMessageKey(w.high[:0], epoch, chat, to+1)
	return w.bound()
}

// seek moves the iterator to the first pack that has messages from from on.
func (w *messages) seek(epoch uint32, chat, from int64) (found bool, err error) {
	w.key = appendMessageKey(w.key[:0], epoch, chat, from+1)
	if found, err = w.read(w.it.SeekLT(w.key)); err != nil || found && w.pack.last() >= from {
		return found, err
	}
	return w.read(w.it.Next())
}

// read reads the pack at which the iterator stands, if it stands at any.
func (w *messages) read(at bool) (found bool, err error) {
	if !at {
		return false, w.it.Error()
	}
	value, err := w.it.ValueAndErr()
	if err != nil {
		return false, fmt.Errorf("message %d: %w", messageIndex(w.it.Key()), err)
	}
	return true, w.pack.decode(w.it.Key(), value)
}

// bound has it show what lies between low and high.
func (w *messages) bound() (err error) {
	if w.it != nil {
		w.it.SetBounds(w.low, w.high) // it keeps copies
		return nil
	}
	w.it, err = iterate(w.view.from, w.low, w.high)
	return err
}

// findEpoch finds the newest epoch that has messages of a chat: mostly, there is no need
// to look at more.
func (w *messages) findEpoch(chat int64) error {
	if err := w.boundEpochs(chat); err != nil {
		return err
	}
	if w.it.Last() {
		w.epochs = append(w.epochs, keyEpoch(w.it.Key()))
	}
	return w.it.Error()
}

// findEpochs finds all of them.
func (w *messages) findEpochs(chat int64) error {
	if err := w.boundEpochs(chat); err != nil {
		return err
	}
	for ok := w.it.First(); ok; ok = w.it.Next() {
		w.epochs = append(w.epochs, keyEpoch(w.it.Key()))
	}
	w.whole = true
	return w.it.Error()
}

func (w *messages) boundEpochs(chat int64) error {
	w.epochs, w.whole = w.epochs[:0], false
	w.low = appendEpochKey(w.low[:0], chat, 0)
	w.high = appendEpochKey(w.high[:0], chat, math.MaxUint32)
	return w.bound()
}

// before returns how many epochs come before the n-th, once all of them are found.
func (w *messages) before(chat int64, n int) (int, error) {
	if !w.whole {
		behind := len(w.epochs) - n
		if err := w.findEpochs(chat); err != nil {
			return 0, err
		}
		n = len(w.epochs) - behind
	}
	return n - 1, nil
}

// first returns the index of the first message from … to of a chat in an epoch; 0:
// there is none.
func (w *messages) first(epoch uint32, chat, from, to int64) (index int64, err error) {
	if err := w.stored(epoch, chat, to); err != nil {
		return 0, err
	}
	if found, err := w.seek(epoch, chat, from); !found || err != nil {
		return 0, err
	}
	return max(from, w.pack.first), nil
}

// last returns the index and time of a chat's newest message; 0 where there is
// none.
func (w *messages) last(chat int64) (index, time int64, err error) {
	if index, time, err = w.held.newest(chat); index > 0 || err != nil {
		return index, time, err
	}
	if w.view.noted { // else an older program may have filed behind what is noted
		return w.view.newestFiled(chat)
	}
	return w.lastFiled(chat)
}

// lastFiled looks for the newest message of a chat that is filed.
func (w *messages) lastFiled(chat int64) (index, time int64, err error) {
	if err := w.findEpoch(chat); err != nil {
		return 0, 0, err
	}
	for n := len(w.epochs); ; {
		if index, time, err = w.lastIn(w.epoch(n), chat); index > 0 || err != nil || n == 0 {
			return index, time, err
		}
		if n, err = w.before(chat, n); err != nil {
			return 0, 0, err
		}
	}
}

func (w *messages) lastIn(epoch uint32, chat int64) (index, time int64, err error) {
	if err := w.stored(epoch, chat, -2); err != nil { // up to all ones, which is no index
		return 0, 0, err
	}
	if found, err := w.read(w.it.Last()); !found || err != nil {
		return 0, 0, err
	}
	var m message
	err = w.pack.message(w.pack.last(), &m)
	return w.pack.last(), m.time, err
}

// window calls use with the messages from … to of a chat until it returns false,
// by rising index or, newestFirst, by falling. A message is valid during the
// call. A window lies within what is durable: not to find every message of it is
// an error.
func (w *messages) window(chat, from, to int64, newestFirst bool, use func(index int64, m *message) bool) error {
	if from > to {
		return nil
	}
	rest, err := w.split(chat, from, to)
	if err != nil {
		return err
	}
	if newestFirst {
		for _, p := range w.parts {
			if more, err := w.show(chat, p, newestFirst, use); !more || err != nil {
				return err
			}
		}
		return w.filedBack(chat, from, rest, use)
	}
	if more, err := w.filedForth(chat, from, rest, use); !more || err != nil {
		return err
	}
	for _, p := range slices.Backward(w.parts) {
		if more, err := w.show(chat, p, newestFirst, use); !more || err != nil {
			return err
		}
	}
	return nil
}

// sentBy reports whether a message of a chat is of a user. That there is none is an error.
func (w *messages) sentBy(chat, index int64, user uuid.UUID) (is bool, err error) {
	err = w.window(chat, index, index, false, func(_ int64, m *message) bool {
		is = m.sender == user
		return true
	})
	return is, err
}

// split finds what the journal has of a window, the newest part first, and returns
// the last index of the rest.
func (w *messages) split(chat, from, to int64) (rest int64, err error) {
	w.parts, w.offsets = w.parts[:0], w.offsets[:0]
	rest = to
	for _, s := range slices.Backward(w.held.segments) {
		if rest < from {
			break
		}
		p := part{last: rest, from: len(w.offsets)}
		w.offsets, p.records, p.first = s.find(w.offsets, chat, from, rest)
		if p.first == 0 {
			continue
		}
		if last := p.first + int64(len(w.offsets)-p.from) - 1; last != rest {
			return 0, fmt.Errorf("message %d of chat %d is missing: %d is the last before it", rest, chat, last)
		}
		w.parts = append(w.parts, p)
		rest = p.first - 1
	}
	return rest, nil
}

// show calls use with the messages of a part, and reports whether it wants more.
func (w *messages) show(chat int64, p part, newestFirst bool, use func(index int64, m *message) bool) (more bool, err error) {
	var m message
	n := int(p.last - p.first + 1)
	for i := range n {
		if newestFirst {
			i = n - 1 - i
		}
		r, err := readRecord(p.records[w.offsets[p.from+i]:])
		if err == nil {
			err = m.decode(r.value)
		}
		if index := p.first + int64(i); err != nil || r.index != index {
			return false, fmt.Errorf("message %d of chat %d, not filed yet: %w", index, chat, cmp.Or(err, errRecord))
		}
		if !use(r.index, &m) {
			return false, nil
		}
	}
	return true, nil
}

// filedBack calls use with the messages from … rest of a chat that are filed, the
// newest first.
func (w *messages) filedBack(chat, from, rest int64, use func(index int64, m *message) bool) error {
	if rest < from {
		return nil
	}
	if err := w.findEpoch(chat); err != nil {
		return err
	}
	for n := len(w.epochs); ; {
		if err := w.stored(w.epoch(n), chat, rest); err != nil {
			return err
		}
		next, more, err := w.back(chat, w.it.Last(), rest, from, use)
		if !more || err != nil || next < from {
			return err
		}
		if n == 0 {
			return missing(next, chat)
		}
		if n, err = w.before(chat, n); err == nil && next == rest { // all that the epoch has is newer
			n, err = w.older(chat, n, rest)
		}
		if err != nil {
			return err
		}
		rest = next
	}
}

// filedForth does so the oldest first, and reports whether use wants more.
func (w *messages) filedForth(chat, from, rest int64, use func(index int64, m *message) bool) (more bool, err error) {
	if rest < from {
		return true, nil
	}
	if err := w.findEpoch(chat); err != nil {
		return false, err
	}
	w.stretches = w.stretches[:0]
	for n := len(w.epochs); ; {
		first, err := w.first(w.epoch(n), chat, from, rest)
		if err == nil && n == 0 && first != from {
			err = missing(from, chat)
		}
		if err != nil {
			return false, err
		}
		if first > 0 {
			w.stretches = append(w.stretches, stretch{w.epoch(n), first, rest})
			rest = first - 1
		}
		if rest < from {
			break
		}
		if n, err = w.before(chat, n); err == nil && first == 0 { // all that the epoch has is newer
			n, err = w.older(chat, n, rest)
		}
		if err != nil {
			return false, err
		}
	}
	ready := true // the iterator is at the first message, where it was looked for last
	for _, s := range slices.Backward(w.stretches) {
		if !ready {
			if err := w.stored(s.epoch, chat, s.last); err != nil {
				return false, err
			}
			if ready, err = w.seek(s.epoch, chat, s.first); err != nil {
				return false, err
			}
		}
		next, more, err := w.forth(chat, ready, s.first, s.last, use)
		if !more || err != nil {
			return false, err
		}
		if next <= s.last {
			return false, missing(next, chat)
		}
		ready = false
	}
	return true, nil
}

// epoch returns the n-th of the epochs that have messages of the chat; 0: former.
func (w *messages) epoch(n int) uint32 {
	if n == 0 {
		return former
	}
	return w.epochs[n-1]
}

// older returns how many of the first n epochs have something of the chat up to message
// rest: the last of those has that message.
func (w *messages) older(chat int64, n int, rest int64) (older int, err error) {
	older = sort.Search(n, func(i int) bool {
		first, fault := w.first(w.epochs[i], chat, 0, rest)
		err = cmp.Or(err, fault)
		return first == 0
	})
	return older, err
}

// forth calls use with the messages first … last of a chat, as far as there are, from
// where the iterator stands; at says whether it stands at any. It returns the index that
// would be next, and whether use wants more.
func (w *messages) forth(chat int64, at bool, first, last int64, use func(index int64, m *message) bool) (next int64, more bool, err error) {
	var m message
	for next = first; at; at = w.it.Next() {
		if _, err := w.read(at); err != nil {
			return 0, false, err
		}
		if w.pack.first > next {
			return 0, false, instead(next, chat, w.pack.first)
		}
		for ; next <= min(last, w.pack.last()); next++ {
			if err := w.pack.message(next, &m); err != nil || !use(next, &m) {
				return 0, false, err
			}
		}
		if next > last {
			return next, true, nil
		}
	}
	return next, true, w.walked(chat)
}

// back does so for last … first, the newest first.
func (w *messages) back(chat int64, at bool, last, first int64, use func(index int64, m *message) bool) (next int64, more bool, err error) {
	var m message
	for next = last; at; at = w.it.Prev() {
		if _, err := w.read(at); err != nil {
			return 0, false, err
		}
		if w.pack.last() < next {
			return 0, false, instead(next, chat, w.pack.last())
		}
		for ; next >= max(first, w.pack.first); next-- {
			if err := w.pack.message(next, &m); err != nil || !use(next, &m) {
				return 0, false, err
			}
		}
		if next < first {
			return next, true, nil
		}
	}
	return next, true, w.walked(chat)
}

func (w *messages) walked(chat int64) error {
	if err := w.it.Error(); err != nil {
		return fmt.Errorf("walk messages of chat %d: %w", chat, err)
	}
	return nil
}

func instead(index, chat, found int64) error {
	return fmt.Errorf("%w: %d stands in its place", missing(index, chat), found)
}

func missing(index, chat int64) error {
	return fmt.Errorf("message %d of chat %d is missing", index, chat)
}
