package engine

import (
	"encoding/json"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"throng/shards"
)

// A server that is started again with its clock set back, or far ahead, goes on
// where the chat stood: the next index, and never an earlier time. What is new
// goes by the new clock.
func TestClockThatIsSetAcrossARestart(t *testing.T) {
	t.Parallel()
	disk := onDisk(t)
	begin := time.UnixMilli(1_700_000_000_000)
	var p person
	var old int64
	var want []time.Time
	latest := begin
	for i, now := range []time.Time{begin, begin.Add(-time.Hour), begin.AddDate(10, 0, 0), begin, begin.AddDate(-40, 0, 0)} {
		s := start(t, disk, func(c *Config, _ *shards.Config) { c.Now = func() time.Time { return now } })
		c := dial(t, s.addr)
		if i == 0 {
			p = c.newcomer(t)
			old = c.newChat(t, p)
		}
		c.asks(t, p.says(old, "x"), sent(i+1))
		if now.After(latest) {
			latest = now
		}
		want = append(want, latest)
		expectTimes(t, c.call(t, p.receives(old, 1, 100)), want)

		young := c.newChat(t, p)
		c.asks(t, p.says(young, "x"), sent(1))
		expectTimes(t, c.call(t, p.receives(young, 1, 1)), []time.Time{now})
		s.close(t)
	}
}

// The sends of several connections while the clock jumps at random, an hour or ten
// years at a time: each chat's indexes are dense and its times never decrease, on
// the server that took them and on the next one.
func TestTimesNeverDecreaseWhileTheClockJumps(t *testing.T) {
	t.Parallel()
	const connections, sends, chats = 4, 100, 2
	disk := onDisk(t)
	jumping := func(c *Config, _ *shards.Config) { c.Now = jumpyClock() }
	s := start(t, disk, jumping)
	c := dial(t, s.addr)
	p := c.newcomer(t)
	var list []int64
	for range chats {
		list = append(list, c.newChat(t, p))
	}
	for life := range 2 {
		var all sync.WaitGroup
		for range connections {
			talker := dial(t, s.addr)
			all.Go(func() {
				for i := range sends {
					if err := talker.tryCall(p.says(list[i%chats], "x")); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		s.close(t)
		s = start(t, disk, jumping)
		c = dial(t, s.addr)
		for _, chat := range list {
			expectNoDecrease(t, c.call(t, p.receives(chat, 1, 1000)), (life+1)*connections*sends/chats)
		}
	}
}

// jumpyClock returns a clock that jumps whenever it is read.
func jumpyClock() func() time.Time {
	jumps := []time.Duration{0, time.Second, -time.Hour, time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour}
	return func() time.Time { return time.UnixMilli(1_700_000_000_000).Add(jumps[rand.IntN(len(jumps))]) }
}

// tryCall sends a request and reads its reply; any goroutine may call it.
func (c *client) tryCall(request string) error {
	if _, err := c.conn.Write(frames(request)); err != nil {
		return err
	}
	_, err := c.read()
	return err
}

// write writes bytes as they are.
func (c *client) write(t tb, p []byte) {
	t.Helper()
	if _, err := c.conn.Write(p); err != nil {
		t.Fatal(err)
	}
}

func expectNoDecrease(t tb, reply []byte, messages int) {
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
	if len(values) != messages {
		t.Fatalf("%d messages, want %d", len(values), messages)
	}
	for i := range values {
		if values[i].Index != i+1 {
			t.Fatalf("message %d has index %d", i+1, values[i].Index)
		}
		if i > 0 && values[i].Time < values[i-1].Time {
			t.Fatalf("message %d has time %d, the one before %d", i+1, values[i].Time, values[i-1].Time)
		}
	}
}

// The timers of connections do not go by the clock of messages: half a frame and an
// idle connection outlive its jumps.
func TestTimersDoNotHearTheClock(t *testing.T) {
	t.Parallel()
	jump := jumpyClock()
	s := start(t, oneLoop, func(c *Config, _ *shards.Config) {
		c.Now, c.FirstFrame, c.PartialFrame, c.IdleTimeout = jump, patience, patience, patience
	})
	half, idle, other := dial(t, s.addr), dial(t, s.addr), dial(t, s.addr)
	idle.asks(t, ping, pong)
	frame := frames(ping)
	half.write(t, frame[:len(frame)-1])
	for range 50 {
		other.asks(t, ping, pong)
		s.onLoops(t, (*loop).sweep)
	}
	half.write(t, frame[len(frame)-1:])
	half.expect(t, pong)
	idle.asks(t, ping, pong)
}
