package shards

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"throng/codec"
)

// filedAs returns what a segment that has these messages of a chat files of them, by the
// first index of each pack.
func filedAs(t *rapid.T, first int64, texts []string) map[int64][]byte {
	s := newSegment(0)
	defer s.free()
	for i, text := range texts {
		s.append(7, first+int64(i), &message{sender: alice, text: codec.Text(text)})
	}
	if err := s.commit(1); err != nil {
		t.Fatal(err)
	}
	packs := map[int64][]byte{}
	err := s.messages([]int64{7}, 1, func(key, value []byte) error {
		packs[messageIndex(key)] = bytes.Clone(value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packs
}

// Packs are bounded, have every message once, and those of messages that are filed again
// in smaller segments replace all that there were.
func TestPacksAreReplacedByThoseOfTheNextFiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(1, 40).Draw(t, "first")
		texts := make([]string, rapid.IntRange(1, 60).Draw(t, "messages"))
		for i := range texts {
			bytes := 1
			if rapid.IntRange(0, 24).Draw(t, "is it small") == 24 { // few are not, or no pack is full
				bytes = rapid.SampledFrom([]int{packedBytes - 18, packedBytes, packedBytes * 2}).Draw(t, "bytes")
			}
			texts[i] = strings.Repeat(string(rune('a'+i%26)), bytes)
		}
		once := filedAs(t, first, texts)
		expectPacks(t, once, first, texts)
		again := map[int64][]byte{}
		for from := 0; from < len(texts); {
			to := min(len(texts), from+rapid.IntRange(1, 40).Draw(t, "of a segment"))
			part := filedAs(t, first+int64(from), texts[from:to])
			expectPacks(t, part, first+int64(from), texts[from:to])
			maps.Copy(again, part)
			from = to
		}
		for index := range once {
			if again[index] == nil {
				t.Fatalf("what begins at message %d stays", index)
			}
		}
	})
}

// expectPacks has packs show texts, and none of them be larger than it may be.
func expectPacks(t *rapid.T, packs map[int64][]byte, first int64, texts []string) {
	next := first
	for _, index := range slices.Sorted(maps.Keys(packs)) {
		var p pack
		if err := p.decode(messageKey(1, 7, index), packs[index]); err != nil || index != next {
			t.Fatalf("a pack begins at message %d, not %d (%v)", index, next, err)
		}
		if n := len(p.values); n > packMessages || n > 1 && len(packs[index]) > packMessages*(packedBytes+2)+2 {
			t.Fatalf("%d messages in %d bytes are in one pack", n, len(packs[index]))
		}
		for ; next <= p.last(); next++ {
			var m message
			if err := p.message(next, &m); err != nil || string(m.text) != texts[next-first] {
				t.Fatalf("message %d is %q, not %q (%v)", next, m.text, texts[next-first], err)
			}
		}
	}
	if next != first+int64(len(texts)) {
		t.Fatalf("message %d is in no pack", next)
	}
}

// What is no whole pack is an error, never fewer messages.
func TestADamagedPackIsAnError(t *testing.T) {
	whole := pack{first: 1, values: [][]byte{{recordVersion, 1}, {recordVersion, 2}}}
	value := whole.encode(nil, 2)
	var p pack
	if err := p.decode(messageKey(1, 7, 1), value); err != nil || len(p.values) != 2 || p.last() != 2 {
		t.Fatalf("%v, %v", p, err)
	}
	for n := 1; n < len(value); n++ {
		if err := p.decode(messageKey(1, 7, 1), value[:n]); err == nil {
			t.Errorf("of %d bytes, %d are enough", len(value), n)
		}
	}
	if err := p.decode(messageKey(1, 7, 1), append(value, 1, recordVersion)); err == nil {
		t.Error("a message more is taken")
	}
}

// Two filings through memtables that crashes cut off, the second of a smaller segment, leave
// what the journal has whole: a pack that is shorter than what is noted too.
func TestFilingsThatAreCutOffLeaveWhatTheJournalHas(t *testing.T) {
	const messages, fewer = 40, 35 // a pack begins at 32
	for _, noted := range []int64{messages, fewer} {
		mem := newCrashFS()
		s := open(t, mem, withSegments(1<<20))
		c := newClient(s)
		c.group(7, alice)
		var texts []string
		for i := range messages {
			texts = append(texts, fmt.Sprint(i+1))
			c.send(7, alice, texts[i])
		}
		db := s.shards[s.ShardOf(7)].db
		b := db.pebble.NewBatch()
		put := func(key, value []byte) error { return b.Set(key, value, nil) }
		begun := filed{commit: db.journal.active.first - 1, epoch: 1, bytes: 1, noted: true, packed: true}
		small := newSegment(0)
		for i, m := range c.history(t, 7, alice)[:fewer] {
			small.append(7, int64(i)+1, &message{time: m.Time, sender: alice, text: codec.Text(m.Content)})
		}
		err := errors.Join(small.commit(1),
			put(filedKey, begun.encode()), put(epochKey(7, 1), nil),
			db.journal.active.messages([]int64{7}, 1, put),
			small.messages([]int64{7}, 1, put),
			put(newestKey(7), encodeNewest(noted, c.history(t, 7, alice)[noted-1].Time)),
			plant(db, b))
		if err != nil {
			t.Fatal(err)
		}
		small.free()
		closeStore(t, s)
		expectVerified(t, mem)
		s = open(t, mem, withSegments(1<<20))
		c = newClient(s)
		expectNumbered(t, c.history(t, 7, alice))
		if a := c.send(7, alice, fmt.Sprint(messages+1)); a.Index != messages+1 {
			t.Errorf("the next message has index %d (%s)", a.Index, a.Status.said())
		}
		fileAll(t, s)
		if history := c.history(t, 7, alice); len(history) != messages+1 {
			t.Errorf("there are %d messages", len(history))
		} else {
			expectNumbered(t, history)
		}
		closeStore(t, s)
		expectVerified(t, mem)
	}
}

// In an epoch that has single messages, as formats 4 and 5 filed them, no packs are filed:
// what a filing that a crash has cut off left would not be replaced.
func TestPacksBeginWithAnEpoch(t *testing.T) {
	mem := newCrashFS()
	s := open(t, mem, withSegments(1<<20))
	c := newClient(s)
	c.group(7, alice)
	const messages = 40
	for range messages {
		c.send(7, alice, "hello")
	}
	db := s.shards[s.ShardOf(7)].db
	fileAll(t, s)
	so, err := db.view.filed()
	if err != nil || !so.packed || so.epoch != 1 {
		t.Fatalf("it is filed up to %+v (%v)", so, err)
	}
	so.packed = false
	b := db.pebble.NewBatch()
	if err := b.DeleteRange([]byte{messagePrefix}, []byte{messagePrefix + 1}, nil); err != nil {
		t.Fatal(err)
	}
	for i, m := range c.history(t, 7, alice) {
		one := message{time: m.Time, sender: alice, text: codec.Text("hello")}
		if err := b.Set(messageKey(1, 7, int64(i)+1), one.append(nil), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Set(filedKey, so.encode(), nil); err != nil {
		t.Fatal(err)
	}
	if err := plant(db, b); err != nil {
		t.Fatal(err)
	}
	closeAs(t, s, 5)
	expectVerified(t, mem)
	for range 2 {
		s = open(t, mem, withSegments(1<<20))
		c = newClient(s)
		c.send(7, alice, "hello")
		fileAll(t, s)
		if so, err := s.shards[s.ShardOf(7)].db.view.filed(); err != nil || !so.packed || so.epoch != 2 {
			t.Errorf("it is filed up to %+v (%v)", so, err)
		}
		closeStore(t, s)
		expectVerified(t, mem)
	}
	s = openFor(t, mem)
	if n := len(newClient(s).history(t, 7, alice)); n != messages+2 {
		t.Errorf("there are %d messages, not %d", n, messages+2)
	}
}
