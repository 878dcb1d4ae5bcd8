// The frames themselves: cut anywhere, many at once, or no frames at all. Whatever comes, the answer is clear or the
// connection is closed, nothing grows, and the next client is served.

package main_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hungUp checks for the one answer to a broken frame: 413, then the end.
func (c *client) hungUp(t testing.TB) {
	t.Helper()
	refused(t, c.read(t), 413)
	c.closed(t)
}

func TestOneByteAtATimeIsTheSameRequest(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for _, b := range frames(u.message(chat, "一"), "nonsense", pingRequest, u.window(receive, chat, 1, 1)) {
		c.write(t, []byte{b})
	}
	postedAt(t, c.read(t))
	refused(t, c.read(t), 400)
	succeeded(t, c.read(t))
	if list := messages(t, receive, c.read(t)); len(list) != 1 || list[0].Content != "一" {
		t.Errorf("read %v", list)
	}
}

// Any split of the bytes gives the same replies.
func TestAnySplitIsTheSameConversation(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	random := rand.New(rand.NewPCG(3, 4))
	for round := range 20 {
		bodies := []string{}
		for i := range 30 {
			bodies = append(bodies, u.message(chat, fmt.Sprintf("%d.%d %s", round, i, strings.Repeat("x", random.IntN(3000)))))
		}
		for b := frames(bodies...); len(b) > 0; {
			n := 1 + random.IntN(min(len(b), 1+random.IntN(5000)))
			c.write(t, b[:n])
			b = b[n:]
		}
		for i := range bodies {
			if at, want := postedAt(t, c.read(t)), int64(round*30+i+1); at != want {
				t.Fatalf("index %d, want %d", at, want)
			}
		}
	}
}

func TestTenThousandRequestsInOneWrite(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	bodies := make([]string, 10_000)
	for i := range bodies {
		bodies[i] = u.message(chat, strconv.Itoa(i+1))
		if i%10 == 9 {
			bodies[i] = pingRequest
		}
	}
	next := int64(1)
	for i, r := range c.pipeline(t, bodies...) {
		if i%10 == 9 {
			succeeded(t, r)
			continue
		}
		if at := postedAt(t, r); at != next {
			t.Fatalf("reply %d has index %d, want %d", i, at, next)
		}
		next++
	}
	if list := c.history(t, u, chat); len(list) != 9000 {
		t.Errorf("%d messages, want 9000", len(list))
	}
}

func TestOtherProtocolsAreHungUpOn(t *testing.T) {
	s := start(t)
	for name, hello := range map[string]string{
		"HTTP":      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"HTTP POST": "POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
		"TLS":       "\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03" + strings.Repeat("\x5a", 237),
		"SSH":       "SSH-2.0-OpenSSH_9.9\r\n",
		"bare JSON": pingRequest,
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(t)
			c.write(t, []byte(hello))
			c.hungUp(t)
			s.served(t)
		})
	}
}

func TestLengthsOutOfRangeAreHungUpOn(t *testing.T) {
	s := start(t)
	for _, length := range []uint32{0, 1<<20 + 1, 1 << 24, 1 << 31, 1<<32 - 1} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			c := s.dial(t)
			c.write(t, binary.BigEndian.AppendUint32(nil, length))
			c.hungUp(t)
			s.served(t)
		})
	}
}

// What came before the broken frame is answered in its turn, what comes behind it is not read.
func TestRequestsBeforeABrokenFrameAreAnswered(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	b := frames(u.message(chat, "before"), pingRequest, u.message(chat, "before too"))
	b = append(b, 0, 0, 0, 0)
	b = append(b, frames(u.message(chat, "behind"), pingRequest)...)
	c.write(t, b)
	postedAt(t, c.read(t))
	succeeded(t, c.read(t))
	postedAt(t, c.read(t))
	c.hungUp(t)
	if list := s.dial(t).history(t, u, chat); len(list) != 2 {
		t.Errorf("the chat holds %v, want the two before the broken frame", list)
	}
}

func TestAFrameMayReachItsLimit(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	c.write(t, frames(padded(1<<20), padded(1<<20), pingRequest))
	for range 3 {
		succeeded(t, c.read(t))
	}
	c.write(t, frames(padded(1<<20+1)))
	c.hungUp(t)
	s.served(t)
}

// padded is a ping of exactly this many bytes.
func padded(size int) string {
	head, tail := `{"service_code":100,"content":{},"pad":"`, `"}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

func TestTheRequestLimitIsAFlag(t *testing.T) {
	s := start(t, "--max-request", "2KiB", "--max-text", "1KiB")
	c := s.dial(t)
	succeeded(t, c.ask(t, padded(2048)))
	c.write(t, frames(padded(2049)))
	c.hungUp(t)
}

// A peer that announces 4 GiB and goes on sending is not listened to for long, nor stored.
func TestAPeerThatSendsOnAfterA413IsCutOff(t *testing.T) {
	s := start(t)
	s.served(t)
	before := s.residentBytes(t)
	c := s.dial(t)
	c.write(t, []byte{0xff, 0xff, 0xff, 0xff})
	refused(t, c.read(t), 413)
	sent, chunk := int64(0), make([]byte, 256<<10)
	eventually(t, "the server closes the connection", func() bool {
		sent += int64(len(chunk))
		return c.tryWrite(chunk) != nil
	})
	if grown := s.residentBytes(t) - before; sent > 64<<20 && grown > sent/2 {
		t.Errorf("the server grew by %d bytes while %d were sent at it", grown, sent)
	}
	s.served(t)
}

// badRequests sends n bodies that are no JSON.
func badRequests(n int) []byte {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = "nonsense"
	}
	return frames(bodies...)
}

func TestAHundredBadRequestsInARowEndTheConnection(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	c.write(t, badRequests(99))
	for range 99 {
		refused(t, c.read(t), 400)
	}
	c.served(t) // ends the row
	u := c.register(t)
	chat := c.group(t, u)
	b := append(badRequests(150), frames(u.message(chat, "behind"))...)
	c.write(t, b)
	for range 100 {
		refused(t, c.read(t), 400)
	}
	c.closed(t)
	if list := s.dial(t).newest(t, u, chat, 1); len(list) != 0 {
		t.Errorf("a request behind the last reply was done: %v", list)
	}
	s.served(t)
}

func TestTheRowOfBadRequestsIsAFlag(t *testing.T) {
	s := start(t, "--max-bad-requests", "3")
	c := s.dial(t)
	for range 3 {
		refused(t, c.ask(t, "{}"), 400)
		refused(t, c.ask(t, `{"service_code":100}`), 400)
		c.served(t)
	}
	for range 3 {
		refused(t, c.ask(t, `{"service_code":4,"content":{}}`), 400)
	}
	c.closed(t)
	s.served(t)
}

// A client that goes away in the middle of a frame, or before its replies, takes nobody with it.
func TestClientsThatVanishAreForgotten(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	whole := frames(u.message(chat, "m"))
	for i := range 200 {
		other, err := dial(s.addr())
		must(t, err)
		switch i % 4 {
		case 0:
			_ = other.tryWrite(whole[:i%len(whole)])
		case 1:
			_ = other.tryWrite(whole)
		case 2:
			_ = other.conn.SetLinger(0) // a reset instead of an end
			_ = other.tryWrite(whole)
		}
		other.close()
	}
	c.served(t)
	s.served(t)
	c.history(t, u, chat) // dense, whatever was done
}

// A client that shuts its sending side may lose its replies, but nobody else's; and its connection ends.
func TestAHalfClosedConnectionEnds(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.write(t, frames(slices.Repeat([]string{u.message(chat, "m")}, 100)...))
	must(t, c.conn.CloseWrite())
	next := int64(0)
	for {
		r, err := c.tryRead()
		if timedOut(err) {
			t.Fatal("the connection does not end")
		}
		if err != nil {
			break
		}
		if next++; postedAt(t, r) != next {
			t.Fatalf("reply %s, want index %d", r, next)
		}
	}
	s.served(t)
	if list := s.dial(t).history(t, u, chat); int64(len(list)) < next {
		t.Errorf("%d messages, %d were acknowledged", len(list), next)
	}
}

// Nothing that a stranger sends brings the server down. Each connection says its garbage and leaves.
func TestGarbageIsAnsweredOrHungUpOn(t *testing.T) {
	s := start(t)
	random := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		c, err := dial(s.addr())
		must(t, err)
		for range 1 + random.IntN(5) {
			if c.tryWrite(garbage(random)) != nil {
				break
			}
		}
		time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
		c.close()
	}
	s.served(t)
}

// garbage is noise, or a frame of noise, or a request with some of its bytes changed.
func garbage(random *rand.Rand) []byte {
	noise := make([]byte, random.IntN(500))
	for i := range noise {
		noise[i] = byte(random.IntN(256))
	}
	switch random.IntN(3) {
	case 0:
		return noise
	case 1:
		return frames(string(noise))
	}
	body := []byte(`{"service_code":7,"content":{"token":1099511627777,"name":"n","is_group":true,"member":[{"id":"x"}]}}`)
	for range 1 + random.IntN(3) {
		body[random.IntN(len(body))] = byte(random.IntN(256))
	}
	return frames(string(body))
}
