package shards

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func requests(n, bytes int) *Batch { return &Batch{Ops: make([]Op, n), Bytes: bytes} }

// A mailbox refuses what would pass its limit of requests or of bytes, and takes
// it once room was given back.
func TestMailboxIsBounded(t *testing.T) {
	m := newMailbox(10, 1000)
	step := func(what string, ok, want, full bool) {
		t.Helper()
		if ok != want || m.full() != full {
			t.Errorf("%s: %v, full %v; want %v, %v", what, ok, m.full(), want, full)
		}
	}
	step("empty", true, true, false)
	step("6 of 10 requests", m.put(requests(6, 100)), true, false)
	step("5 more", m.put(requests(5, 100)), false, false)
	step("4 more", m.put(requests(4, 100)), true, true)
	step("1 more", m.put(requests(1, 1)), false, true)
	m.release(1, 0)
	step("1 more, after 1 was answered", m.put(requests(1, 1)), true, true)
	m.release(10, 201)
	step("empty again", true, true, false)
	step("up to the bytes", m.put(requests(1, 1000)), true, true)
	step("1 byte over", m.put(requests(1, 1)), false, true)
	m.release(1, 1)
	step("into the byte given back", m.put(requests(1, 1)), true, true)
}

// What a drain peeks at still counts, and stays, until it is done.
func TestMailboxKeepsTheRoomOfADrain(t *testing.T) {
	m := newMailbox(4, 100)
	list := []*Batch{requests(1, 1), requests(2, 2), requests(1, 1)}
	for _, b := range list[:2] {
		m.put(b)
	}
	drain := m.peek(nil)
	if !slices.Equal(drain, list[:2]) {
		t.Fatalf("%d batches are shown", len(drain))
	}
	if !m.put(list[2]) || !m.full() || m.put(requests(1, 1)) {
		t.Error("there is room before anything was carried out")
	}
	m.done(1)
	if rest := m.peek(nil); m.full() || !slices.Equal(rest, list[1:]) {
		t.Errorf("then %d batches wait, full: %v", len(rest), m.full())
	}
	m.done(2)
	if len(m.peek(nil)) > 0 || !m.put(requests(4, 100)) {
		t.Error("there is no room though all was carried out")
	}
}

// A batch over the whole limit is let in where nothing else is, or it never
// could be.
func TestMailboxLetsAnOversizedBatchInWhenEmpty(t *testing.T) {
	for _, oversized := range []*Batch{requests(11, 1), requests(1, 1001)} {
		m := newMailbox(10, 1000)
		m.put(requests(1, 1))
		if m.put(oversized) {
			t.Error("it was let in beside another")
		}
		m.release(1, 1)
		if !m.put(oversized) {
			t.Error("it was not let into an empty mailbox")
		}
		if m.put(requests(1, 1)) || !m.full() {
			t.Error("another was let in beside it")
		}
		m.release(len(oversized.Ops), oversized.Bytes)
		if m.full() || !m.put(requests(1, 1)) {
			t.Error("there is no room after it was answered")
		}
	}
}

// peek shows all that waits, in its order, but not more than a drain may have.
func TestMailboxShowsADrain(t *testing.T) {
	m := newMailbox(1<<30, 1<<40)
	put := func(n, requestsEach, bytesEach int) (list []*Batch) {
		for range n {
			b := requests(requestsEach, bytesEach)
			m.put(b)
			list = append(list, b)
		}
		return list
	}
	for _, want := range []struct {
		what                    string
		n, requests, bytes, cut int
	}{
		{"few", 3, 1, 1, 3},
		{"too many requests", 5, maxDrainRequests / 2, 1, 2},
		{"too many bytes", 5, 1, maxDrainBytes / 2, 2},
		{"the one that passes the bound is still taken", 4, maxDrainRequests/2 + 1, 1, 2},
		{"one far over the bounds", 2, 3 * maxDrainRequests, 3 * maxDrainBytes, 1},
		{"empty batches", 3, 0, 0, 3},
	} {
		list := put(want.n, want.requests, want.bytes)
		for len(list) > 0 {
			drain := m.peek(nil)
			if expected := min(want.cut, len(list)); len(drain) != expected {
				t.Fatalf("%s: %d of %d batches are shown, want %d", want.what, len(drain), len(list), expected)
			}
			for i, b := range drain {
				if b != list[i] {
					t.Fatalf("%s: batch %d is out of order", want.what, i)
				}
			}
			m.done(len(drain))
			list = list[len(drain):]
		}
	}
}

// peek appends to what it is given: the caller's memory is used again.
func TestMailboxPeekAppends(t *testing.T) {
	m := newMailbox(10, 10)
	first, second := requests(1, 1), requests(1, 1)
	m.put(second)
	drain := m.peek([]*Batch{first})
	if len(drain) != 2 || drain[0] != first || drain[1] != second {
		t.Errorf("it shows %v", drain)
	}
}

// What is left wakes nobody; what is put wakes who waits, who finds both.
func TestMailboxWakesForWhatIsPutOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMailbox(10, 10)
		woken := false
		go func() { woken = m.await() }()
		synctest.Wait()
		m.leave(requests(1, 1))
		if synctest.Wait(); woken {
			t.Error("leave woke who waits")
		}
		m.put(requests(1, 1))
		if synctest.Wait(); !woken || len(m.peek(nil)) != 2 {
			t.Error("put did not wake who waits, or not both are there")
		}
		m.done(2)
		woken = false
		go func() { woken = m.await() }()
		synctest.Wait()
		m.wake()
		if synctest.Wait(); woken {
			t.Error("wake woke who waits, for nothing")
		}
		m.leave(requests(1, 1))
		m.wake()
		if synctest.Wait(); !woken {
			t.Error("wake did not wake who waits")
		}
	})
}

// A closed mailbox gives out what it holds and takes nothing more.
func TestMailboxCloses(t *testing.T) {
	m := newMailbox(10, 10)
	m.put(requests(1, 1))
	m.close()
	if m.put(requests(1, 1)) {
		t.Error("a closed mailbox took a batch")
	}
	if ok, drain := m.await(), m.peek(nil); !ok || len(drain) != 1 {
		t.Errorf("what waited is gone: %d batches, %v", len(drain), ok)
	}
	m.done(1)
	if ok, drain := m.await(), m.peek(nil); ok || len(drain) != 0 {
		t.Errorf("a closed and empty mailbox gave %d batches, %v", len(drain), ok)
	}
	if _, ok := m.takeOne(); ok {
		t.Error("a closed and empty mailbox gave a batch")
	}
}

// Whoever waits is woken by a put, and all who wait by close. No wakeup is lost
// where many put and several take.
func TestMailboxWakes(t *testing.T) {
	const senders, each = 4, 500
	m := newMailbox(1<<30, 1<<40)
	var taken sync.Map
	var takers, putters sync.WaitGroup
	for range 3 {
		takers.Go(func() {
			for {
				b, ok := m.takeOne()
				if !ok {
					return
				}
				if _, twice := taken.LoadOrStore(b, true); twice {
					t.Error("a batch was taken twice")
				}
			}
		})
	}
	for range senders {
		putters.Go(func() {
			for i := range each {
				m.put(requests(1, 1))
				if i%100 == 0 {
					time.Sleep(time.Millisecond) // let the takers fall asleep
				}
			}
		})
	}
	putters.Wait()
	m.close()
	takers.Wait()
	n := 0
	taken.Range(func(any, any) bool { n++; return true })
	if n != senders*each {
		t.Errorf("%d of %d batches were taken", n, senders*each)
	}
}
