// The promises that hold while nothing breaks: replies in the order of the requests, reads that see the sends before
// them, dense indexes under concurrency, a clock that never runs back. drain_test.go
// ends the server; bench/torture/crash kills it.

package main_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestRepliesComeInTheOrderOfTheRequests(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	list := []int64{}
	for range 8 { // over every shard
		list = append(list, c.group(t, u))
	}
	bodies, want := []string{}, []string{}
	ask := func(body, shape string) { bodies, want = append(bodies, body), append(want, shape) }
	for i := range 400 {
		chat := list[i%len(list)]
		ask(u.message(chat, strconv.Itoa(i)), fmt.Sprintf("200 index %d", i/len(list)+1))
		switch i % 7 {
		case 0:
			ask(pingRequest, "200 time")
		case 1:
			ask(`{"service_code":8,"content":{}}`, "404")
		case 2:
			ask("nonsense", "400")
		case 3:
			ask(u.window(getChat, chat, -1, 1), fmt.Sprintf("200 value %d", i/len(list)+1))
		case 4:
			ask(request(find, fields{"token": nobody}), "401")
		case 5:
			ask(u.message(nowhere, "m"), "404")
		case 6:
			ask(request(login, fields{"id": u.id, "token": nobody}), "200 failed")
		}
	}
	for i, r := range c.pipeline(t, bodies...) {
		if got := shape(t, r); got != want[i] {
			t.Fatalf("reply %d to %s is %s (%s), want %s", i, bodies[i], got, r, want[i])
		}
	}
}

// shape is what tells one kind of reply from another.
func shape(t testing.TB, r reply) string {
	t.Helper()
	switch {
	case r.code != 200:
		return strconv.Itoa(r.code)
	case r.content["index"] != nil:
		return fmt.Sprint("200 index ", r.content["index"])
	case r.content["time"] != nil:
		return "200 time"
	case r.content["values"] != nil:
		return fmt.Sprint("200 value ", messages(t, getChat, r)[0].Index)
	}
	return "200 failed"
}

// A read behind a send in the same pipeline shows it, and so does a send behind a join.
func TestAReadBehindASendShowsIt(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u, v := c.register(t), c.register(t)
	chat := c.group(t, u)
	bodies := []string{request(join, fields{"token": v.token, "chat": chat})}
	for i := range 200 {
		bodies = append(bodies, v.message(chat, strconv.Itoa(i)), v.window(getChat, chat, -1, 1), v.window(receive, chat, -1, 1))
	}
	replies := c.pipeline(t, bodies...)
	succeeded(t, replies[0])
	for i := range 200 {
		at := postedAt(t, replies[1+3*i])
		for k, service := range []int{getChat, receive} {
			list := messages(t, service, replies[2+3*i+k])
			if len(list) != 1 || list[0].Index != at || list[0].Content != strconv.Itoa(i) {
				t.Fatalf("behind send %d at %d, service %d reads %v", i, at, service, list)
			}
		}
	}
}

// A read before a send must not show it: requests of one connection to one chat take effect in their order.
func TestAReadBeforeASendDoesNotShowIt(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	bodies := []string{}
	for i := range 200 {
		bodies = append(bodies, u.window(receive, chat, 1, 1000), u.message(chat, strconv.Itoa(i)))
	}
	for i, r := range c.pipeline(t, bodies...) {
		if i%2 == 0 {
			checkRun(t, indexes(messages(t, receive, r)), 1, 1, int64(i/2))
		}
	}
}

func TestConcurrentSendersShareADenseRowOfIndexes(t *testing.T) {
	s := start(t, severalShards...)
	c := s.dial(t)
	const senders, each = 8, 250
	all := c.registerAll(t, senders)
	chat := c.group(t, all[0], all...)
	var wait sync.WaitGroup
	got := make([][]int64, senders)
	for i, u := range all {
		wait.Go(func() { got[i] = sendMany(t, s, u, chat, each) })
	}
	wait.Wait()
	every := []int64{}
	for i, list := range got {
		if !slices.IsSorted(list) {
			t.Errorf("sender %d was answered %v, want rising indexes", i, list)
		}
		every = append(every, list...)
	}
	slices.Sort(every)
	checkRun(t, every, 1, 1, senders*each)
	checkAuthors(t, c.history(t, all[0], chat), all, got)
}

// sendMany sends in pipelines of 25. It runs beside the test, so it reports and returns.
func sendMany(t testing.TB, s *server, u user, chat int64, n int) (list []int64) {
	c, err := dial(s.addr())
	if err != nil {
		t.Error(err)
		return nil
	}
	defer c.close()
	for len(list) < n {
		bodies := slices.Repeat([]string{u.message(chat, u.id)}, 25)
		if err := c.tryWrite(frames(bodies...)); err != nil {
			t.Error(err)
			return nil
		}
		for range bodies {
			r, err := c.tryRead()
			if err != nil || r.code != 200 {
				t.Errorf("reply %s: %v", r, err)
				return nil
			}
			list = append(list, number(t, r.content["index"]))
		}
	}
	return list
}

// checkAuthors checks that each message stands where its sender was told.
func checkAuthors(t testing.TB, list []message, all []user, got [][]int64) {
	t.Helper()
	author := map[int64]string{}
	for i, u := range all {
		for _, index := range got[i] {
			author[index] = u.id
		}
	}
	for _, m := range list {
		if m.ID != author[m.Index] || m.Content != m.ID {
			t.Errorf("index %d is %+v, want by %s", m.Index, m, author[m.Index])
		}
	}
}

// The time of a message is Unix milliseconds, the same in both services, and never decreases within a chat, over a
// restart neither.
func TestTheTimeOfMessagesNeverDecreases(t *testing.T) {
	s := start(t, severalShards...)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for range 2 {
		c.postAll(t, u, chat, 300)
		for i := range 20 {
			c.post(t, u, chat, strconv.Itoa(i))
		}
		s.kill(t)
		s = startIn(t, s.dir)
		c = s.dial(t)
	}
	forward := c.history(t, u, chat)
	if !slices.IsSortedFunc(forward, func(a, b message) int { return int(a.Time - b.Time) }) {
		t.Errorf("times decrease: %v", forward)
	}
	year := time.UnixMilli(forward[0].Time).UTC().Year()
	if now := time.Now().UTC().Year(); year < now-1 || year > now+1 {
		t.Errorf("time %d is no Unix time in milliseconds", forward[0].Time)
	}
	for i, m := range c.newest(t, u, chat, 640) {
		if m.Time != forward[len(forward)-1-i].Time {
			t.Errorf("index %d has two times", m.Index)
		}
	}
}

// Each request works on a fresh connection with no login before it.
func TestARequestNeedsNoLoginOnItsConnection(t *testing.T) {
	s := start(t, severalShards...)
	u := s.dial(t).register(t)
	chat := s.dial(t).group(t, u)
	if index := s.dial(t).post(t, u, chat, "m"); index != 1 {
		t.Errorf("index %d, want 1", index)
	}
	if list := s.dial(t).newest(t, u, chat, 1); len(list) != 1 {
		t.Errorf("read %v", list)
	}
	if list := s.dial(t).findChats(t, u); len(list) != 1 {
		t.Errorf("chats %v", list)
	}
}

// One connection may speak for many users.
func TestAConnectionBelongsToNobody(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	all := c.registerAll(t, 50)
	chat := c.group(t, all[0], all...)
	bodies := []string{}
	for _, u := range all {
		bodies = append(bodies, u.message(chat, u.id))
	}
	for i, r := range c.pipeline(t, bodies...) {
		if at := postedAt(t, r); at != int64(i+1) {
			t.Errorf("send %d is at %d", i, at)
		}
	}
	for i, m := range c.history(t, all[0], chat) {
		if m.ID != all[i].id || m.Content != all[i].id {
			t.Errorf("index %d is %+v, want %s", m.Index, m, all[i].id)
		}
	}
}
