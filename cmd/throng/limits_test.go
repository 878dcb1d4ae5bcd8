// The limits of load: what is in flight, what the peer leaves unread, how long it may be silent, how many connections
// there are. At each limit the peer gets a 429 or is closed, nothing was done, and the next client is served.

package main_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// overload sends all bodies in one write, again and again, until some come back as 429. It checks that these did
// nothing, and that the rest was done in its order. Each body is a send to the chat.
func overload(t *testing.T, s *server, c *client, by user, chat int64, bodies ...string) {
	t.Helper()
	done, turnedAway := int64(0), 0
	eventually(t, "a request over the limit of load is turned away", func() bool {
		for _, r := range c.pipeline(t, bodies...) {
			if r.code == 429 {
				refused(t, r, 429)
				turnedAway++
				continue
			}
			if done++; postedAt(t, r) != done {
				t.Fatalf("reply %s, want index %d", r, done)
			}
		}
		return turnedAway > 0
	})
	if list := c.history(t, by, chat); int64(len(list)) != done {
		t.Errorf("%d messages where %d were acknowledged", len(list), done)
	}
	eventually(t, "the connection is served again", func() bool {
		return c.ask(t, by.message(chat, "after")).code == 200
	})
	s.served(t)
}

// severalLoops are the flags of a server that reads on while a commit is under way. One loop over one shard, which is
// what two cores get, carries out each read of 64 KiB before the next, so that few bytes ever wait.
var severalLoops = []string{"--loops", "2"}

func TestRequestsInFlightAreLimited(t *testing.T) {
	s := start(t, "--max-in-flight", "4")
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	overload(t, s, c, u, chat, slices.Repeat([]string{u.message(chat, "m")}, 1000)...)
}

func TestBytesInFlightAreLimited(t *testing.T) {
	s := start(t, append(severalLoops, "--max-in-flight-bytes", "1MiB")...)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	overload(t, s, c, u, chat, slices.Repeat([]string{u.message(chat, strings.Repeat("x", 60_000))}, 80)...)
}

func TestRequestsInAMailboxAreLimited(t *testing.T) {
	s := start(t, "--mailbox-requests", "8")
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	overload(t, s, c, u, chat, slices.Repeat([]string{u.message(chat, "m")}, 1000)...)
}

func TestBytesInAMailboxAreLimited(t *testing.T) {
	s := start(t, append(severalLoops, "--mailbox-bytes", "1MiB")...)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	overload(t, s, c, u, chat, slices.Repeat([]string{u.message(chat, strings.Repeat("x", 60_000))}, 80)...)
}

// One connection at its limit does not slow another down to 429s.
func TestALimitInFlightIsTheConnectionsOwn(t *testing.T) {
	s := start(t, "--max-in-flight", "4")
	busy, calm := s.dial(t), s.dial(t)
	u := calm.register(t)
	chat := calm.group(t, u)
	busy.write(t, frames(slices.Repeat([]string{u.message(chat, "m")}, 2000)...))
	for range 50 {
		calm.post(t, u, chat, "m")
	}
}

// bigText is the size of a message that makes a read's reply worth counting.
const bigText = 60_000

// silentPeer is a connection whose kernel buffers little, and a chat of big messages to ask for.
func silentPeer(t *testing.T, s *server) (c *client, u user, chat int64) {
	t.Helper()
	c = s.dial(t)
	must(t, c.conn.SetReadBuffer(256<<10))
	u = c.register(t)
	chat = c.group(t, u)
	for range 4 {
		c.post(t, u, chat, strings.Repeat("x", bigText))
	}
	return c, u, chat
}

// Reads over the limit of unread replies are turned away, each in its turn, and sends go on. Once the peer reads, it is
// served again.
func TestReadsOfAPeerThatDoesNotReadAreTurnedAway(t *testing.T) {
	s := start(t, "--max-unread", "1MiB", "--max-reply", "64KiB")
	c, u, chat := silentPeer(t, s)
	reads := slices.Repeat([]string{u.window(getChat, chat, 1, 1)}, 300)
	c.write(t, frames(append(reads, u.message(chat, "behind the reads"))...))
	other := s.dial(t)
	eventually(t, "the send behind the reads is done", func() bool {
		return other.newest(t, u, chat, 1)[0].Content == "behind the reads"
	})
	codes := map[int]int{}
	for range reads {
		r := c.read(t)
		codes[r.code]++
		if r.code == 429 {
			refused(t, r, 429)
		} else if list := messages(t, getChat, r); len(list) != 1 || len(list[0].Content) != bigText {
			t.Fatalf("reply %s", r)
		}
	}
	if codes[200] == 0 || codes[429] == 0 {
		t.Errorf("replies by code: %v, want some of each", codes)
	}
	if at := postedAt(t, c.read(t)); at != 5 {
		t.Errorf("the send is at %d, want 5", at)
	}
	eventually(t, "reads are served again", func() bool { return c.ask(t, reads[0]).code == 200 })
}

// A peer that asks on and on and never reads is closed, and what it asked for is not kept in memory.
func TestAPeerThatNeverReadsIsClosed(t *testing.T) {
	s := start(t, "--max-unread", "1MiB", "--max-reply", "64KiB")
	c, u, chat := silentPeer(t, s)
	before := s.residentBytes(t)
	batch := frames(slices.Repeat([]string{u.window(getChat, chat, 1, 1)}, 500)...)
	asked := int64(0)
	eventually(t, "the server closes the connection", func() bool {
		asked += 500 * bigText
		return c.tryWrite(batch) != nil
	})
	if grown := s.residentBytes(t) - before; asked > 256<<20 && grown > asked/2 {
		t.Errorf("the server grew by %d bytes while %d were asked for", grown, asked)
	}
	s.served(t)
}

// The same at the default limits: 2 GiB of replies asked for in one write, none read.
func TestTwoGigabytesOfUnreadRepliesAreNotStored(t *testing.T) {
	s := start(t)
	c, u, chat := silentPeer(t, s)
	for range 32 {
		c.post(t, u, chat, strings.Repeat("x", bigText))
	}
	before := s.residentBytes(t)
	reads := slices.Repeat([]string{u.window(getChat, chat, -1, 1000)}, 1000)
	c.write(t, frames(append(reads, u.message(chat, "behind the reads"))...))
	other := s.dial(t)
	eventually(t, "the send behind the reads is done", func() bool {
		return other.newest(t, u, chat, 1)[0].Content == "behind the reads"
	})
	if grown := s.residentBytes(t) - before; grown > 512<<20 {
		t.Errorf("the server grew by %d bytes for a peer that does not read", grown)
	}
	s.served(t)
}

func TestAConnectionThatSaysNothingIsClosed(t *testing.T) {
	s := start(t, "--first-frame-timeout", "200ms")
	s.dial(t).closed(t)

	slow := s.dial(t) // a frame that begins is no first frame yet
	_ = slow.tryWrite(frames(pingRequest)[:6])
	slow.closed(t)
	s.served(t)
}

// The first frame's limit is no limit on silence later.
func TestAConnectionThatHasSpokenMayBeSilent(t *testing.T) {
	s := start(t, "--first-frame-timeout", "1s", "--partial-frame-timeout", "1s")
	var c *client
	eventually(t, "a connection speaks in time", func() bool {
		c = s.dial(t)
		_, err := c.tryAsk(pingRequest)
		return err == nil
	})
	s.dial(t).closed(t) // when this one has timed out, the other has been silent for as long
	s.dial(t).closed(t)
	c.served(t)
}

func TestAFrameThatDoesNotEndIsClosed(t *testing.T) {
	s := start(t, "--partial-frame-timeout", "200ms")
	for name, part := range map[string][]byte{
		"half a length":         {0, 0},
		"a length":              {0, 0, 1, 0},
		"half a body":           frames(pingRequest)[:20],
		"all but the last byte": frames(pingRequest)[:len(frames(pingRequest))-1],
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t)
			c.served(t)
			c.write(t, part)
			c.closed(t)
		})
	}
	s.served(t)
}

// A byte now and then does not buy time: the whole frame has one deadline.
func TestAFrameThatDripsIsClosed(t *testing.T) {
	s := start(t, "--partial-frame-timeout", "300ms")
	c := s.dial(t)
	c.served(t)
	var ended atomic.Bool
	go func() {
		_, _ = c.tryRead()
		ended.Store(true)
	}()
	body := frames(padded(1 << 20))
	eventually(t, "the dripping frame is closed", func() bool {
		time.Sleep(20 * time.Millisecond)
		_ = c.tryWrite(body[:1])
		body = body[1:]
		return ended.Load()
	})
	s.served(t)
}

// Whole frames one after another, whatever the time between them, are no partial frame.
func TestWholeFramesAreNeverPartial(t *testing.T) {
	s := start(t, "--partial-frame-timeout", "100ms")
	c := s.dial(t)
	for range 20 {
		c.served(t)
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	s := start(t, "--idle-timeout", "200ms")
	c := s.dial(t)
	_, _ = c.tryAsk(pingRequest)
	c.closed(t)
	s.served(t)
}

func TestConnectionsOverTheLimitAreClosedOnArrival(t *testing.T) {
	s := start(t, "--max-connections", "4")
	held := make([]*client, 4)
	for i := range held {
		held[i] = s.dial(t)
		held[i].served(t)
	}
	for range 20 {
		s.dial(t).closed(t)
	}
	for _, c := range held {
		c.served(t)
	}
	held[0].close()
	s.served(t)
}

// A flood beyond the process's descriptors: those over the limit are closed, those before are served, and after the
// flood so is the next. (gnet dies of EMFILE if it ever gets that far.)
func TestAFloodBeyondTheDescriptorLimitIsSurvived(t *testing.T) {
	s := launch{files: 256}.start(t)
	first := s.dial(t)
	u := first.register(t)
	chat := first.group(t, u)
	for range 2 {
		served, closed := flood(t, s, 700)
		if served == 0 || closed == 0 {
			t.Errorf("%d connections served, %d closed, want some of each", served, closed)
		}
		first.post(t, u, chat, "still here")
		s.served(t)
	}
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// flood opens n connections, holds them all, and counts which of them are served.
func flood(t *testing.T, s *server, n int) (served, closed int) {
	t.Helper()
	crowd := make([]*client, 0, n)
	defer func() {
		for _, c := range crowd {
			c.close()
		}
	}()
	for range n {
		if c, err := dial(s.addr()); err == nil {
			crowd = append(crowd, c)
		} else {
			closed++
		}
	}
	for _, c := range crowd {
		switch _, err := c.tryAsk(pingRequest); {
		case err == nil:
			served++
		case timedOut(err):
			t.Fatal("a connection is neither served nor closed")
		default:
			closed++
		}
	}
	if !s.running() {
		t.Fatal("the server is gone")
	}
	return served, closed
}
