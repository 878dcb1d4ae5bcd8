package shards

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// messages reads the messages of chats, from the journal and from the store. It
// belongs to one goroutine.
type messages struct {
	view view
	held held             // taken before it is opened: see journal.hold
	it   *pebble.Iterator // over the stored ones; nil: not needed yet

	// Of the window that is being read.
	parts   []part
	offsets []uint32
}

// part is what a segment has of a window: messages first, first+1, …
type part struct {
	records []byte
	first   int64
	from    int // in messages.offsets
	to      int
}

// messages reads messages; what is committed later may not be found.
func (v view) messages() *messages { return &messages{view: v, held: v.journal.hold()} }

func (w *messages) close() {
	w.held.release()
	if w.it != nil {
		closeWalk(w.it)
	}
}

// stored has the iterator show the stored messages from … to of a chat.
func (w *messages) stored(chat, from, to int64) (err error) {
	low, high := messageKey(chat, from), messageKey(chat, to+1)
	if w.it != nil {
		w.it.SetBounds(low, high)
		return nil
	}
	w.it, err = iterate(w.view.now, low, high)
	return err
}

// last returns the index and time of a chat's newest message; 0 where there is
// none.
func (w *messages) last(chat int64) (index, time int64, err error) {
	if index, time, err = w.held.newest(chat); index > 0 || err != nil {
		return index, time, err
	}
	if err := w.stored(chat, 0, -2); err != nil { // up to all ones, which is no index
		return 0, 0, err
	}
	if !w.it.Last() {
		return 0, 0, w.it.Error()
	}
	var m message
	if err := decodeAt(w.it, &m); err != nil {
		return 0, 0, err
	}
	return messageIndex(w.it.Key()), m.time, nil
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
			if more, err := w.show(p, newestFirst, use); !more || err != nil {
				return err
			}
		}
	}
	if from <= rest {
		if more, err := w.showStored(chat, from, rest, newestFirst, use); !more || err != nil {
			return err
		}
	}
	if !newestFirst {
		for _, p := range slices.Backward(w.parts) {
			if more, err := w.show(p, newestFirst, use); !more || err != nil {
				return err
			}
		}
	}
	return nil
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
		p := part{from: len(w.offsets)}
		w.offsets, p.records, p.first = s.find(w.offsets, chat, from, rest)
		if p.first == 0 {
			continue
		}
		p.to = len(w.offsets)
		if last := p.first + int64(p.to-p.from) - 1; last != rest {
			return 0, fmt.Errorf("message %d of chat %d is missing: %d is the last before it", rest, chat, last)
		}
		w.parts = append(w.parts, p)
		rest = p.first - 1
	}
	return rest, nil
}

// show calls use with the messages of a part, and reports whether it wants more.
func (w *messages) show(p part, newestFirst bool, use func(index int64, m *message) bool) (more bool, err error) {
	var m message
	n := p.to - p.from
	for i := range n {
		if newestFirst {
			i = n - 1 - i
		}
		r, err := readRecord(p.records[w.offsets[p.from+i]:])
		if err == nil {
			err = m.decode(r.value)
		}
		if index := p.first + int64(i); err != nil || r.index != index {
			return false, fmt.Errorf("message %d of chat %d, not filed yet: %w", index, r.chat, cmp.Or(err, errRecord))
		}
		if !use(r.index, &m) {
			return false, nil
		}
	}
	return true, nil
}

// showStored is show for messages that are filed.
func (w *messages) showStored(chat, from, to int64, newestFirst bool, use func(index int64, m *message) bool) (more bool, err error) {
	if err := w.stored(chat, from, to); err != nil {
		return false, err
	}
	index, step := from, int64(1)
	if newestFirst {
		index, step = to, -1
	}
	var m message
	for ok := w.begin(newestFirst); ok; ok = w.advance(newestFirst) {
		if found := messageIndex(w.it.Key()); found != index {
			return false, fmt.Errorf("message %d of chat %d is missing: %d stands in its place", index, chat, found)
		}
		if err := decodeAt(w.it, &m); err != nil {
			return false, err
		}
		if !use(index, &m) {
			return false, nil
		}
		index += step
	}
	if err := w.it.Error(); err != nil {
		return false, fmt.Errorf("walk messages of chat %d: %w", chat, err)
	}
	if from <= index && index <= to {
		return false, fmt.Errorf("message %d of chat %d is missing", index, chat)
	}
	return true, nil
}

func (w *messages) begin(newestFirst bool) bool {
	if newestFirst {
		return w.it.Last()
	}
	return w.it.First()
}

func (w *messages) advance(newestFirst bool) bool {
	if newestFirst {
		return w.it.Prev()
	}
	return w.it.Next()
}

// decodeAt decodes the stored message at which it stands.
func decodeAt(it *pebble.Iterator, m *message) error {
	value, err := it.ValueAndErr()
	if err == nil {
		err = m.decode(value)
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", messageIndex(it.Key()), err)
	}
	return nil
}
