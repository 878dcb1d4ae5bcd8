// What is acknowledged is on disk: the server is killed in the middle of its work, again and again on one directory, and
// afterwards every acknowledged user, chat, member and message is there, every message at its index, the indexes dense,
// and what was repeated by its ref is there once. THRONG_TEST_KILLS sets the number of kills.

package main_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	writers       = 6  // connections that send
	sharedChats   = 2  // chats that all of them send to, beside one of each writer's own
	pipelineDepth = 32 // requests that each has in flight
)

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	endUnderLoad(t, rounds(t, 3), func(t *testing.T, s *server) { s.kill(t) })
}

func TestNothingAcknowledgedIsLostByADrain(t *testing.T) {
	endUnderLoad(t, rounds(t, 2), func(t *testing.T, s *server) {
		if status := s.stop(t); status != 0 {
			t.Errorf("exit status %d after SIGTERM", status)
		}
	})
}

func rounds(t *testing.T, byDefault int) int {
	t.Helper()
	setting := os.Getenv("THRONG_TEST_KILLS")
	if setting == "" {
		return byDefault
	}
	n, err := strconv.Atoi(setting)
	must(t, err)
	return n
}

// endUnderLoad starts a server, loads it, ends it, and checks the ledger on the next server, round after round.
func endUnderLoad(t *testing.T, rounds int, end func(*testing.T, *server)) {
	s := start(t)
	l := newLedger(t, s.dial(t))
	for round := range rounds {
		enough := l.acks() + 1000 + 700*(round%3)
		wait := l.load(s)
		eventually(t, "enough is acknowledged", func() bool { return l.acks() >= enough })
		end(t, s)
		wait()
		s = startIn(t, s.dir)
		l.check(t, s.dial(t))
		if t.Failed() {
			return
		}
	}
}

// ledger is what the server has acknowledged, and shown.
type ledger struct {
	writers []user
	shared  []int64
	own     []int64 // one of each writer

	mu       sync.Mutex
	said     map[place]string // every message that was acknowledged, or that a read showed
	acked    int
	doubtful []attempt // sent, but the connection broke before the answer
	users    []user    // registered under load
	joined   []place   // memberships won under load: index is the position in users
	serial   int
}

// place is an index of a chat.
type place struct{ chat, index int64 }

// attempt is one send; its text is also its ref.
type attempt struct {
	by   user
	chat int64
	text string
}

func (a attempt) body() string { return a.by.messageWithRef(a.chat, a.text, a.text) }

func newLedger(t *testing.T, c *client) *ledger {
	t.Helper()
	l := &ledger{writers: c.registerAll(t, writers), said: map[place]string{}}
	for range sharedChats {
		l.shared = append(l.shared, c.group(t, l.writers[0], l.writers...))
	}
	for _, u := range l.writers {
		l.own = append(l.own, c.group(t, u, l.writers[0]))
	}
	return l
}

func (l *ledger) acks() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// load sets everybody to work until their connections break; the function it returns waits for that.
func (l *ledger) load(s *server) (wait func()) {
	var all sync.WaitGroup
	for i := range l.writers {
		all.Go(func() { work(s, func(c *client) error { return l.write(c, i) }) })
	}
	all.Go(func() { work(s, l.watch) })
	all.Go(func() { work(s, l.enrol) })
	return all.Wait
}

// work repeats a step on one connection until it fails.
func work(s *server, step func(*client) error) {
	c, err := dial(s.addr())
	for err == nil {
		err = step(c)
	}
	if c != nil {
		c.close()
	}
}

// write sends one pipeline and enters what comes back.
func (l *ledger) write(c *client, writer int) error {
	batch := l.nextBatch(writer)
	bodies := make([]string, len(batch))
	for i, a := range batch {
		bodies[i] = a.body()
	}
	err := c.tryWrite(frames(bodies...))
	for i, a := range batch {
		var r reply
		if err == nil {
			r, err = c.tryRead()
		}
		if err != nil {
			l.doubt(batch[i:])
			return err
		}
		l.answered(a, r)
	}
	return nil
}

func (l *ledger) nextBatch(writer int) []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	chats := append(slices.Clone(l.shared), l.own[writer])
	batch := make([]attempt, pipelineDepth)
	for i := range batch {
		l.serial++
		batch[i] = attempt{l.writers[writer], chats[i%len(chats)], fmt.Sprintf("第%d条", l.serial)}
	}
	return batch
}

func (l *ledger) doubt(rest []attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doubtful = append(l.doubtful, rest...)
}

// answered enters an acknowledged message. Any other answer (503 in a drain) means that nothing was done; the repeat in
// check must then append it, as it must for the doubtful.
func (l *ledger) answered(a attempt, r reply) {
	if r.code != 200 {
		l.doubt([]attempt{a})
		return
	}
	index, _ := strconv.ParseInt(fmt.Sprint(r.content["index"]), 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.enter(place{a.chat, index}, a.text)
	l.acked++
}

// enter notes what stands at a place. Two texts at one place are kept as a third, which check will not find.
func (l *ledger) enter(at place, text string) {
	if before, ok := l.said[at]; ok && before != text {
		text = before + " and " + text
	}
	l.said[at] = text
}

// watch reads the newest messages: what a reader has seen must be there after a crash as well.
func (l *ledger) watch(c *client) error {
	for _, chat := range l.shared {
		r, err := c.tryAsk(l.writers[0].window(getChat, chat, -1, 20))
		if err != nil {
			return err
		}
		l.mu.Lock()
		values, _ := r.content["values"].([]any)
		for _, v := range values {
			m := v.(map[string]any)
			index, _ := strconv.ParseInt(fmt.Sprint(m["index"]), 10, 64)
			l.enter(place{chat, index}, m["content"].(string))
		}
		l.mu.Unlock()
	}
	return nil
}

// enrol registers a user and lets it join the shared chats.
func (l *ledger) enrol(c *client) error {
	u := newUser()
	r, err := c.tryAsk(u.registration())
	if err != nil || r.code != 200 {
		return err
	}
	l.mu.Lock()
	l.users = append(l.users, u)
	number := int64(len(l.users) - 1)
	l.mu.Unlock()
	for _, chat := range l.shared {
		r, err := c.tryAsk(request(join, fields{"token": u.token, "chat": chat}))
		if err != nil {
			return err
		}
		if r.code == 200 {
			l.mu.Lock()
			l.joined = append(l.joined, place{chat, number})
			l.mu.Unlock()
		}
	}
	return nil
}

// check compares the ledger with a server that has just been started on the directory, before and after it repeats
// what was in doubt.
func (l *ledger) check(t *testing.T, c *client) {
	t.Helper()
	l.checkMessages(t, c)
	l.checkMembers(t, c)
	doubtful := l.doubtful
	l.doubtful = nil
	for _, a := range doubtful {
		l.answered(a, c.ask(t, a.body()))
	}
	if len(l.doubtful) > 0 {
		t.Errorf("%d of %d repeats were refused", len(l.doubtful), len(doubtful))
	}
	once := map[string]bool{}
	for _, m := range l.checkMessages(t, c) {
		if once[m.Content] {
			t.Errorf("%q is there twice: its ref was not kept", m.Content)
		}
		once[m.Content] = true
	}
	if len(once) != l.serial {
		t.Errorf("%d messages are there, %d were sent", len(once), l.serial)
	}
}

// checkMessages reads every chat (history checks that it is dense) and looks up every entry.
func (l *ledger) checkMessages(t *testing.T, c *client) (all []message) {
	t.Helper()
	there := map[place]string{}
	for _, chat := range append(slices.Clone(l.shared), l.own...) {
		list := c.history(t, l.writers[0], chat)
		for i, m := range list {
			there[place{chat, m.Index}] = m.Content
			if i > 0 && m.Time < list[i-1].Time {
				t.Errorf("chat %d: the time runs back at index %d", chat, m.Index)
			}
		}
		all = append(all, list...)
	}
	for at, text := range l.said {
		if there[at] != text {
			t.Errorf("chat %d, index %d holds %q, acknowledged was %q", at.chat, at.index, there[at], text)
		}
	}
	return all
}

func (l *ledger) checkMembers(t *testing.T, c *client) {
	t.Helper()
	for _, u := range l.users {
		succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
	}
	for _, at := range l.joined {
		if r := c.ask(t, l.users[at.index].window(getChat, at.chat, -1, 1)); r.code != 200 {
			t.Errorf("an acknowledged member of chat %d gets %s", at.chat, r)
		}
	}
}

// A server that has nothing to do ends at once, and its directory opens again.
func TestADrainWithoutLoadEndsInOrder(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, 100)
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	c.closed(t)
	if list := startIn(t, s.dir).dial(t).history(t, u, chat); len(list) != 100 {
		t.Errorf("%d messages, want 100", len(list))
	}
}

// A drain answers what it has taken in: every request of the pipeline is answered, or the connection breaks in order.
func TestADrainAnswersWhatItHasTaken(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	bodies := make([]string, 5000)
	for i := range bodies {
		bodies[i] = u.message(chat, strconv.Itoa(i+1))
	}
	c.write(t, frames(bodies...))
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	acked := int64(0)
	for {
		r, err := c.tryRead()
		if err != nil {
			break
		}
		if r.code == 503 {
			refused(t, r, 503)
			continue
		}
		if acked++; postedAt(t, r) != acked {
			t.Fatalf("reply %s, want index %d", r, acked)
		}
	}
	list := startIn(t, s.dir).dial(t).history(t, u, chat)
	if int64(len(list)) < acked {
		t.Errorf("%d messages, %d were acknowledged", len(list), acked)
	}
}

// While the server drains, whoever asks for more is told so, or is hung up on: no other answer.
func TestADrainTellsNewRequests503(t *testing.T) {
	eventually(t, "a request during a drain gets its 503", func() bool {
		s := start(t)
		busy, other := s.dial(t), s.dial(t)
		u := busy.register(t)
		chat := busy.group(t, u)
		busy.write(t, frames(slices.Repeat([]string{u.message(chat, strings.Repeat("x", 400))}, 16_000)...))
		must(t, s.cmd.Process.Signal(syscall.SIGTERM))
		told := false
		for {
			r, err := other.tryAsk(pingRequest)
			if err != nil {
				break
			}
			if r.code == 503 {
				refused(t, r, 503)
				told = true
			} else if succeeded(t, r); told {
				t.Fatalf("a success, %s, behind a 503", r)
			}
		}
		s.await(t)
		return told
	})
}
