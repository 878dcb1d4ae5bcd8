package engine

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"throng/shards"
)

// The server's clock may jump: in each chat the time never decreases, and the
// order comes from the index alone.
func TestClockThatJumps(t *testing.T) {
	t.Parallel()
	begin := time.UnixMilli(1_700_000_000_000)
	var clock atomic.Int64
	set := func(now time.Time) { clock.Store(now.UnixMilli()) }
	set(begin)
	disk := newSlowDisk()
	s := start(t, oneLoop, disk.use, func(c *Config, _ *shards.Config) {
		c.Now = func() time.Time { return time.UnixMilli(clock.Load()) }
	})
	c := dial(t, s.addr)
	p := c.newcomer(t)
	old := c.newChat(t, p)
	future := begin.AddDate(10, 0, 0)
	for i, now := range []time.Time{
		begin, begin.Add(-time.Hour), begin.Add(time.Second), future, begin, begin.AddDate(-100, 0, 0), future.Add(1e6),
	} {
		set(now)
		c.asks(t, p.says(old, "x"), sent(i+1))
	}
	after := future.Add(1e6)
	want := []time.Time{begin, begin, begin.Add(time.Second), future, future, future, after}
	expectTimes(t, c.call(t, p.receives(old, 1, 100)), want)

	// A chat made after the jump back knows nothing of the future.
	set(begin.Add(-time.Hour))
	young := c.newChat(t, p)
	c.asks(t, p.says(young, "x"), sent(1))
	set(begin.Add(-2 * time.Hour))
	c.asks(t, p.says(young, "x"), sent(2))
	expectTimes(t, c.call(t, p.receives(young, 1, 100)), []time.Time{begin.Add(-time.Hour), begin.Add(-time.Hour)})

	// A request that waited for its user is stamped when it goes on.
	other := dial(t, s.addr)
	q := other.newcomer(t)
	other.send(t, q.joins(young))
	other.expect(t, success)
	accounts := disk.hang(t, accountsActor)
	c.send(t, stranger().registers())
	await(t, accounts.begun, "the accounts' sync")
	other.send(t, stranger().logsIn(), q.says(young, "x"))
	eventually(t, "it waits", func() bool { return s.inFlight(t, other) == 2 })
	set(future)
	accounts.release()
	other.expect(t, failedLogin, sent(3))
	c.expect(t, success)
	expectTimes(t, c.call(t, p.receives(young, 3, 1)), []time.Time{future})
}

func expectTimes(t tb, reply []byte, want []time.Time) {
	t.Helper()
	var got struct {
		Content struct {
			Values []struct {
				Index int
				Time  int64
			}
		}
	}
	if err := json.Unmarshal(reply, &got); err != nil {
		t.Fatalf("%s: %v", reply, err)
	}
	values := got.Content.Values
	if len(values) != len(want) {
		t.Fatalf("%d messages, want %d: %s", len(values), len(want), reply)
	}
	for i, v := range values {
		if v.Index != values[0].Index+i || v.Time != want[i].UnixMilli() {
			t.Errorf("message %d has index %d and time %v, want %v", i, v.Index, time.UnixMilli(v.Time), want[i])
		}
	}
}
