package shards

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"throng/codec"
)

// The parts of the path of a message in the journal, each by itself, on chats drawn
// uniformly and texts of 64 bytes.

const partChats = 1000

// fillSegment appends n messages to s, in commits of so many.
func fillSegment(b *testing.B, s *segment, n, commit int) {
	b.Helper()
	var lasts [partChats]int64
	m := message{time: 1 << 40, sender: alice, text: codec.Text(benchText)}
	for i := range n {
		chat := rand.IntN(partChats)
		lasts[chat]++
		s.append(int64(chat)+1, lasts[chat], &m)
		if (i+1)%commit == 0 || i+1 == n {
			if err := s.commit(uint64(i)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkSegmentAppend is a message's record and its place in the index.
func BenchmarkSegmentAppend(b *testing.B) {
	const messages = 200_000
	s := newSegment(maxSegment)
	defer s.free()
	b.ReportAllocs()
	for b.Loop() {
		s.reuse()
		fillSegment(b, s, messages, 1000)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
}

// BenchmarkSegmentFind reads the last 20 messages of a chat.
func BenchmarkSegmentFind(b *testing.B) {
	s := newSegment(maxSegment)
	defer s.free()
	fillSegment(b, s, 200_000, 1000)
	var offsets []uint32
	b.ReportAllocs()
	for b.Loop() {
		chat := rand.Int64N(partChats) + 1
		t, _ := s.tail(chat)
		last := t.last()
		var records []byte
		var m message
		offsets, records, _ = s.find(offsets[:0], chat, last-19, last)
		for _, at := range offsets {
			r, err := readRecord(records[at:])
			if err != nil || m.decode(r.value) != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkFiling writes the tables of a segment, synced, on the disk, and does not
// have them taken in. Each iteration is one segment: use -benchtime 20x.
func BenchmarkFiling(b *testing.B) {
	const messages = 200_000
	s := openBench(b)
	f := s.shards[0].db.filer
	part := newSegment(maxSegment)
	defer part.free()
	fillSegment(b, part, messages, 1000)
	b.ReportAllocs()
	for b.Loop() {
		paths, err := f.write(part, f.next(part))
		if err != nil {
			b.Fatal(err)
		}
		for _, path := range paths {
			if err := os.Remove(path); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
}

// BenchmarkLoadJournal opens a shard whose journal is full, of which all is read back.
func BenchmarkLoadJournal(b *testing.B) {
	fs := vfs.NewMem()
	s := open(b, fs, withSegments(16<<20))
	fillChats(b, s, 0, partChats, 100)
	closeStore(b, s)
	for b.Loop() {
		closeStore(b, open(b, fs, withSegments(16<<20)))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/partChats/100, "ns/message")
}
