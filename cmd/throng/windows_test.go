// Which messages "get chat" (3) and "receive" (9) answer with, for every kind of index and count: the bounds by hand,
// everything near them against a model that is too slow and too simple to be wrong.

package main_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
)

// window reads and returns the indexes.
func (c *client) window(t testing.TB, service int, by user, chat, index, count int64) []int64 {
	t.Helper()
	return indexes(messages(t, service, c.ask(t, by.window(service, chat, index, count))))
}

func TestTheBoundsOfIndexAndCount(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, 5)
	for _, test := range []struct {
		service      int
		index, count int64
		want         []int64
	}{
		{getChat, -1, 1, []int64{5}},
		{getChat, -1, 3, []int64{5, 4, 3}},
		{getChat, -1, 100, []int64{5, 4, 3, 2, 1}},
		{getChat, -2, 2, []int64{4, 3}},
		{getChat, -5, 2, []int64{1}},
		{getChat, -6, 2, nil},
		{getChat, -7, 100, nil},
		{getChat, math.MinInt64, 1, nil},
		{getChat, math.MinInt64 + 1, 1000, nil},
		{getChat, 0, 5, nil},
		{getChat, 1, 5, []int64{1}},
		{getChat, 3, 2, []int64{3, 2}},
		{getChat, 5, 2, []int64{5, 4}},
		{getChat, 6, 2, []int64{5, 4}},
		{getChat, 1 << 53, 1, []int64{5}},
		{getChat, math.MaxInt64, 2, []int64{5, 4}},
		{getChat, math.MaxInt64, math.MaxInt64, []int64{5, 4, 3, 2, 1}},
		{getChat, -1, math.MaxInt64, []int64{5, 4, 3, 2, 1}},
		{getChat, 3, math.MaxInt64, []int64{3, 2, 1}},

		{receive, 1, 2, []int64{1, 2}},
		{receive, 0, 2, []int64{1, 2}},
		{receive, 4, 2, []int64{4, 5}},
		{receive, 5, 2, []int64{5}},
		{receive, 6, 2, nil},
		{receive, 1 << 53, 2, nil},
		{receive, math.MaxInt64, 1, nil},
		{receive, math.MaxInt64, math.MaxInt64, nil},
		{receive, math.MaxInt64 - 1, 1000, nil},
		{receive, 3, math.MaxInt64, []int64{3, 4, 5}},
		{receive, -1, 1, []int64{5}},
		{receive, -1, 3, []int64{3, 4, 5}},
		{receive, -1, 5, []int64{1, 2, 3, 4, 5}},
		{receive, -1, 100, []int64{1, 2, 3, 4, 5}},
		{receive, -1, math.MaxInt64, []int64{1, 2, 3, 4, 5}},
		{receive, -3, 2, []int64{2, 3}},
		{receive, -4, 2, []int64{1, 2}},
		{receive, -5, 1, []int64{1}},
		{receive, -5, 3, []int64{1}},
		{receive, -6, 1, []int64{1}},
		{receive, -6, 100, []int64{1}},
		{receive, math.MinInt64, 1, []int64{1}},
		{receive, math.MinInt64, 1000, []int64{1}},
		{receive, math.MinInt64, math.MaxInt64, []int64{1}},
		{receive, math.MinInt64 + 1, 2, []int64{1}},
	} {
		t.Run(fmt.Sprintf("service %d, index %d, count %d", test.service, test.index, test.count), func(t *testing.T) {
			if got := c.window(t, test.service, u, chat, test.index, test.count); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

func TestMinusZeroIsZero(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, 3)
	for service, want := range map[int][]int64{getChat: {}, receive: {1, 2, 3}} {
		body := fmt.Sprintf(`{"service_code":%d,"content":{"token":%d,"chat":%d,"index":-0}}`, service, u.token, chat)
		if got := indexes(messages(t, service, c.ask(t, body))); !slices.Equal(got, want) {
			t.Errorf("service %d: %v, want %v", service, got, want)
		}
	}
}

// modelWindow walks a list the way that protocol.md words it.
func modelWindow(service, n, index, count int) []int64 {
	all := []int64{}
	for i := 1; i <= n; i++ {
		all = append(all, int64(i))
	}
	if service == getChat {
		return modelBack(all, index, count)
	}
	return modelForward(all, index, count)
}

func modelBack(all []int64, index, count int) []int64 {
	newestFirst := slices.Clone(all)
	slices.Reverse(newestFirst)
	from := len(all) - index // of newestFirst, for an index that is there
	switch {
	case index == 0:
		return nil
	case index > len(all):
		from = 0
	case index < 0:
		from = -index - 1
	}
	if from >= len(all) {
		return nil
	}
	return newestFirst[from:min(from+count, len(all))]
}

func modelForward(all []int64, index, count int) []int64 {
	if index >= 0 {
		from := max(index, 1) - 1
		if from >= len(all) {
			return nil
		}
		return all[from:min(from+count, len(all))]
	}
	end := max(len(all)+index+1, min(1, len(all))) // how many messages stand up to the window's last
	return all[max(0, end-count):end]
}

func TestWindowsAgreeWithTheModel(t *testing.T) {
	c := start(t).dial(t)
	u := c.register(t)
	for _, n := range []int{0, 1, 2, 7} {
		chat := c.group(t, u)
		c.postAll(t, u, chat, n)
		for index := -n - 3; index <= n+3; index++ {
			for count := 1; count <= n+2; count++ {
				for _, service := range []int{getChat, receive} {
					got := c.window(t, service, u, chat, int64(index), int64(count))
					if want := modelWindow(service, n, index, count); !slices.Equal(got, want) {
						t.Errorf("service %d, %d messages, index %d, count %d: %v, want %v", service, n, index, count, got, want)
					}
				}
			}
		}
	}
}

func TestCountIsFiftyWhereAbsentAndAThousandAtMost(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, 1005)
	check := func(c *client) {
		t.Helper()
		for _, test := range []struct{ count, want int64 }{
			{50, 50}, {999, 999}, {1000, 1000}, {1001, 1000}, {1 << 32, 1000}, {math.MaxInt64, 1000},
		} {
			checkRun(t, c.window(t, getChat, u, chat, -1, test.count), 1005, -1, test.want)
			checkRun(t, c.window(t, receive, u, chat, 1, test.count), 1, 1, test.want)
			checkRun(t, c.window(t, receive, u, chat, -1, test.count), 1005-test.want+1, 1, test.want)
		}
		absent := c.call(t, getChat, fields{"token": u.token, "chat": chat, "index": -1})
		checkRun(t, indexes(messages(t, getChat, absent)), 1005, -1, 50)
		absent = c.call(t, receive, fields{"token": u.token, "chat": chat, "index": 3})
		checkRun(t, indexes(messages(t, receive, absent)), 3, 1, 50)
		absent = c.call(t, receive, fields{"token": u.token, "chat": chat, "index": -1})
		checkRun(t, indexes(messages(t, receive, absent)), 956, 1, 50)
	}
	check(c)
	s.kill(t)
	check(startIn(t, s.dir).dial(t)) // the same from disk
}

// checkRun checks for first, first+step, … of the given length.
func checkRun(t testing.TB, got []int64, first, step, length int64) {
	t.Helper()
	want := make([]int64, length)
	for i := range want {
		want[i] = first + int64(i)*step
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d indexes %v, want %d from %d by %d", len(got), got, length, first, step)
	}
}

// A chat longer than any cache of recent messages reads the same at every depth, warm and after a restart.
func TestALongChatReadsTheSameAtEveryDepth(t *testing.T) {
	const length = 6000
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, length)
	check := func(c *client) {
		t.Helper()
		for _, m := range c.history(t, u, chat) {
			if m.Content != strconv.FormatInt(m.Index, 10) {
				t.Fatalf("index %d holds %q", m.Index, m.Content)
			}
		}
		for _, at := range []int64{1, 2, 999, 1000, 1001, 2500, 4999, 5000, 5001, length} {
			checkRun(t, c.window(t, receive, u, chat, at, 3), at, 1, min(3, length-at+1))
			checkRun(t, c.window(t, getChat, u, chat, at, 3), at, -1, min(3, at))
			checkRun(t, c.window(t, getChat, u, chat, at-length-1, 3), at, -1, min(3, at))
			checkRun(t, c.window(t, receive, u, chat, at-length-1, 3), max(1, at-2), 1, min(3, at))
		}
	}
	check(c)
	if r := s.stop(t); r != 0 {
		t.Fatalf("exit status %d", r)
	}
	check(startIn(t, s.dir).dial(t))
}

// Values are cut where the reply would pass its limit: whole messages, never before the first, and the client that goes
// on from the last that it got misses none.
func TestValuesAreCutAtTheReplyLimit(t *testing.T) {
	const limit, length = 8 << 10, 40
	c := start(t, "--max-reply", strconv.Itoa(limit)).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for i := range length {
		size := 100 * i
		if i%13 == 12 {
			size = 2 * limit // passes the limit alone
		}
		c.post(t, u, chat, string(slices.Repeat([]byte{'a' + byte(i%26)}, size+1)))
	}
	forward, cuts := walk(t, 1, func(at int64) reply { return c.ask(t, u.window(receive, chat, at, 1000)) }, receive, limit)
	checkRun(t, forward, 1, 1, length)
	back, backCuts := walk(t, -1, func(at int64) reply {
		return c.ask(t, u.window(getChat, chat, at, 1000))
	}, getChat, limit)
	checkRun(t, back, length, -1, length)
	if cuts < 5 || backCuts < 5 {
		t.Errorf("%d and %d pages: the replies were not cut", cuts, backCuts)
	}
	// A cut keeps the window's beginning: with a negative index too, the reply starts where the window does.
	tail := messages(t, receive, c.ask(t, u.window(receive, chat, -1, 10)))
	if tail[0].Index != length-9 || len(tail) == 10 {
		t.Errorf("a cut window of the last 10 shows %v", indexes(tail))
	}
}

// walk reads page after page, each from behind the last index of the one before, until none is left.
func walk(t testing.TB, at int64, read func(at int64) reply, service, limit int) (all []int64, pages int) {
	t.Helper()
	step := int64(1)
	if service == getChat {
		step = -1
	}
	for {
		r := read(at)
		page := indexes(messages(t, service, r))
		if len(page) > 1 && len(r.body) > limit {
			t.Fatalf("%d messages in %d bytes", len(page), len(r.body))
		}
		if len(page) == 0 {
			return all, pages
		}
		all, pages = append(all, page...), pages+1
		at = page[len(page)-1] + step
		if at == 0 {
			return all, pages
		}
	}
}

// The default limit of a reply holds for the largest texts, escaped to six times their size too.
func TestTheDefaultReplyLimitHoldsForTheLargestTexts(t *testing.T) {
	const limit = 2 << 20
	c := start(t).dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	const length = 40
	for i := range length {
		letter := byte('x')
		if i%2 == 1 {
			letter = 1 // is written as \u0001
		}
		c.post(t, u, chat, string(slices.Repeat([]byte{letter}, 64<<10)))
	}
	all, pages := walk(t, 1, func(at int64) reply { return c.ask(t, u.window(receive, chat, at, 1000)) }, receive, limit)
	checkRun(t, all, 1, 1, length)
	if pages < 2 {
		t.Errorf("%d page", pages)
	}
}
