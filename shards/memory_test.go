package shards

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"throng/codec"
)

// The bounded things in memory: Recent, Budget, and the plan that
// divides Config.Memory among them and Pebble.

// Recent never contradicts a map of all that was put in, and holds no more than
// two generations, each with what came in before the Trim that closed it.
func TestRecentIsABoundedMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 12).Draw(t, "max bytes")
		r, all := NewRecent[int, int](int64(limit)), map[int]int{}
		uses := 0 // since the last Trim
		anyKey := rapid.IntRange(0, 20)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := anyKey.Draw(t, "key"), rapid.Int().Draw(t, "value")
				r.Put(k, v, 1)
				all[k] = v
				uses++
				if got, ok := r.Get(k); !ok || got != v {
					t.Fatalf("%d is forgotten right away", k)
				}
			},
			"get": func(t *rapid.T) {
				k := anyKey.Draw(t, "key")
				v, ok := r.Get(k)
				if want, put := all[k]; ok && (!put || v != want) {
					t.Fatalf("%d reads as %d, put was %d (%v)", k, v, want, put)
				}
				uses++
			},
			"trim": func(t *rapid.T) {
				generation := max(1, limit/2)
				full := len(r.young) >= generation
				r.Trim()
				if len(r.young) >= generation {
					t.Fatalf("%d young entries after a Trim to %d", len(r.young), generation)
				}
				if full && len(r.old) > generation+uses {
					t.Fatalf("%d old entries of a generation of %d and %d uses", len(r.old), generation, uses)
				}
				uses = 0
			},
			"reset": func(t *rapid.T) {
				r.Reset()
				for k := range all {
					if _, ok := r.Get(k); ok {
						t.Fatalf("%d outlived a Reset", k)
					}
				}
			},
		})
	})
}

// Trim drops what was not used since the Trim before last that found the young
// generation full; what is used stays.
func TestRecentKeepsWhatIsUsed(t *testing.T) {
	r := NewRecent[string, int](4)
	r.Put("used", 1, 1)
	r.Put("unused", 2, 1)
	for i := range 10 {
		r.Put(fmt.Sprint("other", i), i, 1)
		r.Get("used")
		r.Trim()
	}
	if _, ok := r.Get("used"); !ok {
		t.Error("what was used all the time is forgotten")
	}
	if _, ok := r.Get("unused"); ok {
		t.Error("what was not used in a long time is remembered")
	}
}

// Until Trim, nothing is forgotten: a drain needs what it has put in.
func TestRecentForgetsOnlyInTrim(t *testing.T) {
	r := NewRecent[int, int](1)
	for i := range 1000 {
		r.Put(i, i, 1)
	}
	for i := range 1000 {
		if v, ok := r.Get(i); !ok || v != i {
			t.Fatalf("%d is forgotten before Trim", i)
		}
	}
}

// What an entry costs counts: a few large ones fill a generation as many small
// ones do, also where they come back from the old one.
func TestRecentIsBoundedInBytes(t *testing.T) {
	const limit, large = 1000, 200
	r := NewRecent[int, int](limit)
	for round := range 100 {
		for i := range 10 {
			for _, k := range []int{-1, -2, i} { // two are in use all the time
				if _, ok := r.Get(k); !ok {
					r.Put(k, round, large)
				}
			}
			r.Trim()
			if held := (len(r.young) + len(r.old)) * large; held > limit+2*large {
				t.Fatalf("%d bytes are held, the limit is %d", held, limit)
			}
		}
	}
	r.Reset()
	for range 1000 { // put again is not put twice
		r.Put(1, 1, large)
	}
	if r.bytes != large {
		t.Errorf("one entry of %d bytes counts as %d", large, r.bytes)
	}
}

// A Budget takes what fits, and always the first.
func TestBudget(t *testing.T) {
	b := NewBudget(100)
	step := func(what string, ok, want bool, used int64, spent bool) {
		t.Helper()
		if ok != want || b.Used() != used || b.Spent() != spent {
			t.Errorf("%s: %v, %d used, spent %v; want %v, %d, %v", what, ok, b.Used(), b.Spent(), want, used, spent)
		}
	}
	step("over the limit, but the first", b.Take(150), true, 150, true)
	step("another", b.Take(1), false, 150, true)
	b.Refund(150)
	step("up to the limit", b.Take(60) && b.Take(40), true, 100, true)
	step("one byte over", b.Take(1), false, 100, true)
	b.Refund(1)
	step("into the room given back", b.Take(1), true, 100, true)
	b.Charge(1000)
	step("charged past the limit", true, true, 1100, true)
	b.Refund(1050)
	step("what does not fit", b.Take(51), false, 50, false)
	step("what does", b.Take(50), true, 100, true)
	step("nothing at all", b.Take(0), true, 100, true)
}

// Charges of many goroutines add up.
func TestBudgetIsShared(t *testing.T) {
	b := NewBudget(1000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if b.Take(10) {
					b.Refund(10)
				}
			}
		})
	}
	wg.Wait()
	if b.Used() != 0 {
		t.Errorf("%d bytes are left charged", b.Used())
	}
}

// A charge that is refused is never seen: a loop that looked at it would close a
// connection that keeps to its limit.
func TestARefusedChargeIsNotSeen(t *testing.T) {
	const limit, charged = 1000, 900
	b := NewBudget(limit)
	b.Charge(charged)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 10_000 {
				if b.Take(limit) {
					t.Error("what does not fit is taken")
				}
			}
		})
	}
	for range 10_000 {
		if used := b.Used(); used != charged {
			t.Errorf("%d bytes are seen, %d are charged", used, charged)
			break
		}
	}
	wg.Wait()
}

// What the plan hands out is no more than there is, for every number of shards
// and every size of memory, and each part gets something.
func TestMemoryPlanStaysWithinMemory(t *testing.T) {
	check := func(t tb, memory int64, shards int) {
		p := planMemory(memory, shards)
		caches := (p.shard+p.names+p.pages)*int64(shards) + p.accounts + p.spare
		journals := int64(p.segment) * segmentsPerShard * int64(shards)
		if p.blockCache+2*caches+journals > memory { // twice: see planMemory
			t.Fatalf("%d shards, %d bytes: %+v is more", shards, memory, p)
		}
		if 2*p.segment < int(p.memtable) && p.memtable < maxMemtable || p.segment > int(p.memtable) {
			t.Fatalf("%d shards, %d bytes: segments of %d in memtables of %d", shards, memory, p.segment, p.memtable)
		}
		// Pebble takes the memtables out of the block cache: they must leave room.
		memtables := memtablesPerShard * (int64(p.memtable)*int64(shards) + int64(p.accountsMemtable))
		if memtables > p.blockCache*3/4 {
			t.Fatalf("%d shards, %d bytes: memtables of %d in a block cache of %d", shards, memory, memtables, p.blockCache)
		}
		if p.memtable < 256<<10 || p.accountsMemtable < 64<<10 || p.memtable > maxMemtable {
			t.Fatalf("%d shards, %d bytes: memtables of %d and %d", shards, memory, p.memtable, p.accountsMemtable)
		}
		if p.segment < 192<<10 || p.segment > maxSegment {
			t.Fatalf("%d shards, %d bytes: segments of %d", shards, memory, p.segment)
		}
		if p.shard < 100*chatBytes || p.accounts < 100*accountBytes {
			t.Fatalf("%d shards, %d bytes: caches of %d and %d", shards, memory, p.shard, p.accounts)
		}
	}
	for shards := MinShards; shards <= MaxShards; shards++ {
		for _, memory := range []int64{MinMemory, MinMemory + 1, DefaultMemory, 100 << 30, math.MaxInt64 / 8} {
			check(t, memory, shards)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.Int64Range(MinMemory, 1<<40).Draw(t, "memory"), rapid.IntRange(MinShards, MaxShards).Draw(t, "shards"))
	})
}

// What a segment says that it takes is what it takes, whatever its messages are.
func TestASegmentKnowsItsSize(t *testing.T) {
	if testing.Short() {
		t.Skip("measures memory, which the race detector adds to")
	}
	for _, text := range []int{1, 20, 100} {
		for _, chats := range []int64{1, 1000, 1 << 40} {
			t.Run(fmt.Sprintf("%d bytes, %d chats", text, chats), func(t *testing.T) {
				const full = 8 << 20
				s := newSegment(full)
				defer s.free()
				m := message{time: 1 << 40, sender: alice, text: make(codec.Text, text)}
				before := liveHeap()
				for n := int64(0); s.bytes() < full; n++ {
					s.append(n%chats, n/chats+1, &m)
					if err := s.commit(uint64(n) + 1); err != nil {
						t.Fatal(err)
					}
				}
				used := float64(len(s.slab)) + float64(liveHeap()) - float64(before)
				t.Logf("%.2f of what it says", used/full)
				if used > full*5/4 {
					t.Errorf("it takes %.0f bytes and says %d", used, s.bytes())
				}
			})
		}
	}
}

func liveHeap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// A state counts how often it goes to the store, from one commit to the next.
func TestMissesAreCountedPerCommit(t *testing.T) {
	s := openFor(t, vfs.NewMem())
	for _, cold := range []struct {
		state state
		op    Op
	}{
		{newChats(s.shards[0].db.view, 1<<20), sendOp(7, alice, "x", "")},
		{newAccounts(s.accounts.db.view, &s.directory.secret, 1<<20), Op{Kind: Lookup, Token: 1}},
	} {
		for _, begin := range []func(){cold.state.trim, cold.state.reset} {
			for range 3 {
				if err := cold.state.apply(&cold.op, nil); err != nil {
					t.Fatal(err)
				}
			}
			if got := cold.state.misses(); got != 3 {
				t.Errorf("3 misses are counted as %d", got)
			}
			begin()
			if got := cold.state.misses(); got != 0 {
				t.Errorf("after a commit, or a new start, %d misses are left", got)
			}
		}
	}
}
