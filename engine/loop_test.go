package engine

import (
	"testing"

	"throng/shards"
)

// A loop keeps batches for reuse up to a bound of memory, clean, and none that an
// open reply points into; the sweep lets them all go.
func TestBatchesKeptForReuse(t *testing.T) {
	t.Parallel()
	l := &loop{server: &Server{}}
	idle, waiting := &conn{}, &conn{}
	waiting.replies.push()
	kept := func() (bytes int) {
		for _, b := range l.free {
			bytes += memoryOf(b)
		}
		return bytes
	}
	l.recycle(&shards.Batch{Owner: idle, Bodies: make([]byte, maxKeptBytes+1)})
	if len(l.free) != 0 {
		t.Error("a large batch was kept")
	}
	l.recycle(&shards.Batch{Owner: waiting, Ops: make([]shards.Op, 1), Bodies: make([]byte, 10)})
	if b := l.newBatch(); b.Bodies != nil || cap(b.Ops) != 1 {
		t.Errorf("a batch whose replies are waited for was kept as %+v", b)
	}
	for range 1000 {
		l.recycle(&shards.Batch{
			Owner: idle, Budget: shards.NewBudget(1), Bytes: 5,
			Ops: []shards.Op{{Kind: shards.Send}, {Tag: 7}}, Arena: make([]byte, 100<<10), Bodies: []byte("body"),
		})
	}
	if got := kept(); got != l.freed || got > maxFreeBytes || got < maxFreeBytes/2 {
		t.Errorf("%d bytes are kept and %d counted, the bound is %d", got, l.freed, maxFreeBytes)
	}
	for len(l.free) > 0 {
		b := l.newBatch()
		if b.Owner != nil || b.Budget != nil || b.Bytes+len(b.Ops)+len(b.Arena)+len(b.Bodies) != 0 {
			t.Fatalf("a batch for reuse is %+v", b)
		}
		if ops := b.Ops[:2]; ops[0].Kind != 0 || ops[1].Tag != 0 {
			t.Fatalf("it keeps its old operations %+v", ops)
		}
	}
	if l.freed != 0 {
		t.Errorf("%d bytes are counted of none", l.freed)
	}
	l.recycle(&shards.Batch{Owner: idle, Ops: make([]shards.Op, 1)})
	l.sweep()
	if len(l.free) != 0 || l.freed != 0 {
		t.Errorf("after the sweep %d batches are kept, %d bytes counted", len(l.free), l.freed)
	}
}
