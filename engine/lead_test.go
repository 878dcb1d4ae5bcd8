package engine

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs" //nolint:depguard // shards.Config.FS is one

	"throng/shards"
)

// One loop leads where there is one shard and no more than two cores, or where it is
// asked for.
func TestWhereALoopLeads(t *testing.T) {
	t.Parallel()
	for _, want := range []struct{ cores, shards, loops int }{
		{1, 1, 1}, {2, 1, 1}, {2, 2, 2}, {3, 1, 3}, {8, 4, 8}, {1000, 16, MaxLoops},
	} {
		if got := defaultLoops(want.cores, want.shards); got != want.loops {
			t.Errorf("%d cores, %d shards: %d loops, want %d", want.cores, want.shards, got, want.loops)
		}
	}
	for _, want := range []struct {
		shards, loops int
		leads         bool
	}{{1, 1, true}, {1, 2, false}, {2, 1, false}} {
		s := start(t, func(c *Config, s *shards.Config) { c.Loops, s.Shards = want.loops, want.shards })
		if s.leads != want.leads {
			t.Errorf("%d loops and %d shards: leads: %v", want.loops, want.shards, s.leads)
		}
	}
	if _, err := New(Config{Loops: MaxLoops + 1}, nil); err == nil {
		t.Error("so many loops are taken")
	}
}

// What comes while the loop waits for the disk is served once that goes on, and so is what
// waited for a drain's end.
func TestALeadingLoopServesWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	disk := newSlowDisk()
	s := start(t, disk.use, leading)
	a, b := dial(t, s.addr), dial(t, s.addr)
	p := a.newcomer(t)
	chat := a.newChat(t, p)
	b.asks(t, p.logsIn(), success)
	hung := disk.hang(t, shardActor(0))
	a.send(t, p.says(chat, "1"), ping)
	await(t, hung.begun, "the sync")
	b.send(t, ping, p.says(chat, "2"))
	a.send(t, p.says(chat, "3"))
	hung.release()
	const either = `{"state_code":200,"content":{"msg":"success","index":#}}`
	a.expect(t, sent(1), pong, either)
	b.expect(t, pong, either)

	hung = disk.hang(t, shardActor(0))
	a.send(t, p.says(chat, "4"))
	await(t, hung.begun, "the next sync")
	ended := s.drainNow(t)
	hung.release()
	a.expect(t, sent(4))
	if err := await(t, ended, "the end of Run"); err != nil {
		t.Error(err)
	}
}

// Time in which the loop waited for the disk is not the peers' who sent in time.
func TestAStallMakesNobodyLate(t *testing.T) {
	t.Parallel()
	const patient = 2 * time.Second
	disk := newSlowDisk()
	s := start(t, disk.use, leading, func(c *Config, _ *shards.Config) {
		c.PartialFrame, c.IdleTimeout = patient, patient
	})
	a, b := dial(t, s.addr), dial(t, s.addr)
	p := a.newcomer(t)
	chat := a.newChat(t, p)
	whole := frames(p.logsIn())
	hung := disk.hang(t, shardActor(0))
	if _, err := b.conn.Write(whole[:len(whole)/2]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first half is read", func() (half bool) {
		s.withConn(t, b, func(c *conn) { half = c.partial > 0 })
		return half
	})
	a.send(t, p.says(chat, "1"))
	await(t, hung.begun, "the sync")
	if _, err := b.conn.Write(whole[len(whole)/2:]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(patient + patient/2)
	hung.release()
	a.expect(t, sent(1))
	b.expect(t, success)
}

// A loop that leads makes one commit at a time, and goes on with what that left.
func TestALeadingLoopGoesOnWithTheRest(t *testing.T) {
	t.Parallel()
	const chats = 1000 // more than go into one commit when they are cold
	fs := vfs.NewMem()
	use := func(_ *Config, c *shards.Config) { c.FS = fs }
	s := start(t, use, leading)
	c := dial(t, s.addr)
	p := c.newcomer(t)
	var says, want []string
	for range chats {
		says = append(says, p.says(c.newChat(t, p), "hello"))
		want = append(want, sent(1))
	}
	s.close(t)
	s = start(t, use, leading)
	c = dial(t, s.addr)
	c.send(t, says...)
	c.expect(t, want...)
}
