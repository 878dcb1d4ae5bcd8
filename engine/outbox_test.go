package engine

import (
	"sync"
	"testing"
	"testing/synctest"

	"throng/shards"
)

// batchOf is an answered batch of n operations.
func batchOf(n int) *shards.Batch { return &shards.Batch{Ops: manyOps[:n]} }

var manyOps = make([]shards.Op, maxOutbox/16)

func full() (batches []*shards.Batch) {
	for range 16 {
		batches = append(batches, batchOf(maxOutbox/16))
	}
	return batches
}

// However many put, the loop is woken once until it takes; then once more.
func TestOutboxWakesOnceADrain(t *testing.T) {
	t.Parallel()
	wakes := 0
	o := newOutbox(func() { wakes++ })
	var spare []*shards.Batch
	for drain := 1; drain <= 3; drain++ {
		for range 10 {
			o.Put([]*shards.Batch{batchOf(1), batchOf(2)})
		}
		if wakes != drain {
			t.Fatalf("drain %d: woken %d times", drain, wakes)
		}
		taken := o.take(spare)
		if len(taken) != 20 {
			t.Fatalf("drain %d: took %d batches, want 20", drain, len(taken))
		}
		spare = taken
	}
	if left := o.take(spare); len(left) != 0 {
		t.Errorf("%d batches are left", len(left))
	}
}

// A batch put while the loop drains comes with the next drain, though the two
// queues change places.
func TestOutboxKeepsWhatComesDuringADrain(t *testing.T) {
	t.Parallel()
	o := newOutbox(func() {})
	var spare []*shards.Batch
	for n := 1; n <= 100; n++ {
		first, second := batchOf(n), batchOf(n)
		o.Put([]*shards.Batch{first})
		taken := o.take(spare)
		o.Put([]*shards.Batch{second})
		if len(taken) != 1 || taken[0] != first {
			t.Fatalf("drain %d took %v", n, taken)
		}
		clear(taken)
		spare = taken
		if taken = o.take(spare); len(taken) != 1 || taken[0] != second {
			t.Fatalf("the drain after %d took %v", n, taken)
		}
		clear(taken)
		spare = taken
	}
}

// A full outbox holds up whoever puts, until the loop takes.
func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(func() {})
		o.Put(full())
		var put sync.WaitGroup
		for range 3 {
			put.Go(func() { o.Put([]*shards.Batch{batchOf(1)}) })
		}
		synctest.Wait()
		if n := len(o.take(nil)); n != 16 {
			t.Fatalf("took %d batches, want the 16 that had room", n)
		}
		put.Wait()
		if n := len(o.take(nil)); n != 3 {
			t.Errorf("then took %d batches, want the 3 that waited", n)
		}
	})
}

// Once the loop has ended nobody waits for it, and nothing is kept for it.
func TestOutboxLetsGoWhenClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wakes := 0
		o := newOutbox(func() { wakes++ })
		o.Put(full())
		var put sync.WaitGroup
		for range 3 {
			put.Go(func() { o.Put([]*shards.Batch{batchOf(1)}) })
		}
		synctest.Wait()
		o.close()
		put.Wait()
		o.Put([]*shards.Batch{batchOf(1)})
		if wakes != 1 || len(o.queue) != 16 {
			t.Errorf("woken %d times, %d batches queued, want 1 and the 16 from before", wakes, len(o.queue))
		}
	})
}

// Nothing is lost between many shards and a loop that drains when it is woken.
func TestOutboxLosesNothing(t *testing.T) {
	t.Parallel()
	const putters, puts = 8, 2000
	woken := make(chan struct{}, putters*puts)
	o := newOutbox(func() { woken <- struct{}{} })
	for range putters {
		go func() {
			for range puts {
				o.Put([]*shards.Batch{batchOf(maxOutbox / 16)}) // 16 fill it
			}
		}()
	}
	var spare []*shards.Batch
	for got := 0; got < putters*puts; {
		await(t, woken, "a wake")
		taken := o.take(spare)
		if most := 16 + putters; len(taken) > most {
			t.Fatalf("%d batches waited, more than the bound and one for each shard: %d", len(taken), most)
		}
		got += len(taken)
		clear(taken)
		spare = taken
	}
}
