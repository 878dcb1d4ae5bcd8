// Create, join and find: who is in a chat, what a pair is, and how the list of one's chats is paged.

package main_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func ids(all ...user) []string {
	list := make([]string, len(all))
	for i, u := range all {
		list[i] = u.id
	}
	slices.Sort(list)
	return list
}

// entry finds one chat in a user's list.
func (c *client) entry(t testing.TB, by user, chat int64) chatEntry {
	t.Helper()
	for _, e := range c.findChats(t, by) {
		if e.id == chat {
			return e
		}
	}
	t.Fatalf("chat %d is not in the list", chat)
	return chatEntry{}
}

func TestAGroupHoldsItsCreatorAndItsMembersOnce(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	all := c.registerAll(t, 4)
	chat := c.create(t, all[2], "群", true, all[3], all[0], all[3], all[2], all[0])
	for _, u := range []user{all[0], all[2], all[3]} {
		e := c.entry(t, u, chat)
		want := chatEntry{chat, 0, 3, "群", "chat", true, ids(all[0], all[2], all[3])}
		if fmt.Sprint(e) != fmt.Sprint(want) {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	if list := c.findChats(t, all[1]); len(list) != 0 {
		t.Errorf("one who is no member has %v", list)
	}
}

func TestAGroupMayBeEmptyAndNameless(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	chat := c.create(t, u, "", true)
	if e := c.entry(t, u, chat); e.members != 1 || e.name != "" || !slices.Equal(e.usrs, ids(u)) {
		t.Errorf("%+v, want the creator alone", e)
	}
	c.post(t, u, chat, "to myself")
}

func TestEveryGroupIsANewOne(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u, v := c.register(t), c.register(t)
	seen := map[int64]bool{}
	for range 30 {
		chat := c.create(t, u, "same name", true, v)
		if chat < 1 || chat > maxChat || seen[chat] {
			t.Fatalf("chat %d, after %v", chat, seen)
		}
		seen[chat] = true
	}
}

// Whoever can guess one id from another can join groups that nobody told it of.
func TestGroupIDsAreNotCounted(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	list := []int64{}
	for range 20 {
		list = append(list, c.group(t, u))
	}
	slices.Sort(list)
	for i := 1; i < len(list); i++ {
		if list[i]-list[i-1] < 1<<20 { // of 20 random 53-bit ids, two come this near once in some ten million runs
			t.Errorf("ids %d and %d are neighbours", list[i-1], list[i])
		}
	}
}

func TestAMemberWhoIsNotRegisteredFailsTheCreate(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u, v := c.register(t), c.register(t)
	for _, isGroup := range []bool{true, false} {
		content := fields{"token": u.token, "name": "n", "is_group": isGroup, "member": members(newUser())}
		failed(t, c.call(t, create, content))
	}
	failed(t, c.call(t, create, fields{"token": u.token, "name": "n", "is_group": true, "member": members(v, newUser(), v)}))
	for _, w := range []user{u, v} {
		if list := c.findChats(t, w); len(list) != 0 {
			t.Errorf("a failed create left %v", list)
		}
	}
}

func TestJoiningIsOpenToAllAndHarmlessTwice(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	all := c.registerAll(t, 3)
	chat := c.group(t, all[1])
	c.post(t, all[1], chat, "before")
	for range 2 {
		r := c.call(t, join, fields{"token": all[0].token, "chat": chat})
		succeeded(t, r)
		if len(r.content) != 1 {
			t.Errorf("reply %s, want msg alone", r)
		}
	}
	succeeded(t, c.call(t, join, fields{"token": all[1].token, "chat": chat})) // the creator is in it already
	if e := c.entry(t, all[0], chat); e.members != 2 || e.last != 1 || !slices.Equal(e.usrs, ids(all[0], all[1])) {
		t.Errorf("%+v, want both", e)
	}
	if index := c.post(t, all[0], chat, "after"); index != 2 {
		t.Errorf("the newcomer's message is at %d, want 2", index)
	}
	if list := c.history(t, all[0], chat); len(list) != 2 {
		t.Errorf("the newcomer reads %v", list)
	}
	refused(t, c.ask(t, all[2].message(chat, "not in it")), 404)
}

func TestAPairIsOneChatFromBothSides(t *testing.T) {
	s := start(t, severalShards...)
	c := s.dial(t)
	all := c.registerAll(t, 3)
	pair := c.create(t, all[0], "first", false, all[1])
	if other := c.create(t, all[1], "second", false, all[0]); other != pair {
		t.Errorf("from the other side: chat %d, want %d", other, pair)
	}
	if other := c.create(t, all[0], "third", false, all[1], all[0], all[1]); other != pair {
		t.Errorf("with duplicates and the creator: chat %d, want %d", other, pair)
	}
	if other := c.pair(t, all[0], all[2]); other == pair {
		t.Errorf("two pairs are one chat, %d", pair)
	}
	for _, u := range all[:2] {
		want := chatEntry{pair, 0, 2, "first", "user", false, ids(all[0], all[1])}
		if e := c.entry(t, u, pair); fmt.Sprint(e) != fmt.Sprint(want) {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	c.post(t, all[0], pair, "hello")
	if index := c.post(t, all[1], pair, "hello"); index != 2 {
		t.Errorf("the other side's message is at %d, want 2", index)
	}
	s.kill(t)

	c = startIn(t, s.dir).dial(t)
	if other := c.create(t, all[1], "later", false, all[0]); other != pair {
		t.Errorf("after a restart: chat %d, want %d", other, pair)
	}
	if e := c.entry(t, all[1], pair); e.name != "first" || e.last != 2 {
		t.Errorf("after a restart: %+v", e)
	}
}

// Both sides ask at once, in one write each: there is still one chat.
func TestAPairMadeByBothAtOnceIsOneChat(t *testing.T) {
	s := start(t, severalShards...)
	a, b := s.dial(t), s.dial(t)
	for range 10 {
		u, v := a.register(t), a.register(t)
		a.write(t, frames(pairRequest(u.token, v)))
		b.write(t, frames(pairRequest(v.token, u)))
		one, other := a.read(t), b.read(t)
		succeeded(t, one)
		succeeded(t, other)
		if one.content["chat"] != other.content["chat"] {
			t.Fatalf("%s and %s, want one chat", one, other)
		}
	}
}

func TestAPairNeedsExactlyOneOther(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	all := c.registerAll(t, 3)
	for _, others := range [][]user{{}, {all[0]}, {all[0], all[0]}, {all[1], all[2]}, {all[0], all[1], all[2]}} {
		refused(t, c.ask(t, pairRequest(all[0].token, others...)), 400)
	}
	for _, u := range all {
		if list := c.findChats(t, u); len(list) != 0 {
			t.Errorf("a refused pair left %v", list)
		}
	}
}

func TestAPairIsClosedToOthers(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	all := c.registerAll(t, 3)
	pair := c.pair(t, all[0], all[1])
	refused(t, c.call(t, join, fields{"token": all[2].token, "chat": pair}), 404)
	refused(t, c.ask(t, all[2].message(pair, "m")), 404)
	for _, u := range all[:2] {
		succeeded(t, c.call(t, join, fields{"token": u.token, "chat": pair}))
	}
	if e := c.entry(t, all[0], pair); e.members != 2 {
		t.Errorf("%+v, want two members", e)
	}
}

func TestFindChatsPagesByRisingID(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u, v := c.register(t), c.register(t)
	want := []int64{c.pair(t, v, u)}
	for range 24 {
		want = append(want, c.group(t, u))
	}
	slices.Sort(want)
	if got := chatIDs(c.findChats(t, u)); !slices.Equal(got, want) {
		t.Fatalf("chats %v, want %v", got, want)
	}
	for _, count := range []int{1, 2, 7, 24, 25, 26, 1000, 1001} {
		t.Run(strconv.Itoa(count), func(t *testing.T) {
			if got := c.pagedChats(t, u, count); !slices.Equal(got, want) {
				t.Errorf("by pages of %d: %v, want %v", count, got, want)
			}
		})
	}
}

func chatIDs(list []chatEntry) []int64 {
	all := []int64{}
	for _, e := range list {
		all = append(all, e.id)
	}
	return all
}

// pagedChats follows `more`. Every page but the last is full.
func (c *client) pagedChats(t testing.TB, by user, count int) []int64 {
	t.Helper()
	var all []int64
	for after := int64(0); ; after = all[len(all)-1] {
		list, more := chats(t, c.call(t, find, fields{"token": by.token, "after": after, "count": count}))
		if more && len(list) != count || !more && len(list) > count {
			t.Fatalf("a page of %d where %d were asked for, more %v", len(list), count, more)
		}
		all = append(all, chatIDs(list)...)
		if !more {
			return all
		}
	}
}

func TestFindChatsAfterAnyID(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	list := []int64{}
	for range 5 {
		list = append(list, c.group(t, u))
	}
	slices.Sort(list)
	for i, id := range list {
		for _, test := range []struct {
			after int64
			want  []int64
		}{{id - 1, list[i:]}, {id, list[i+1:]}, {id + 1, list[i+1:]}} {
			got, more := chats(t, c.call(t, find, fields{"token": u.token, "after": test.after}))
			if !slices.Equal(chatIDs(got), test.want) || more {
				t.Errorf("after %d: %v, more %v, want %v", test.after, chatIDs(got), more, test.want)
			}
		}
	}
	if got, more := chats(t, c.call(t, find, fields{"token": u.token, "after": maxChat})); len(got) != 0 || more {
		t.Errorf("after the last: %v, more %v", got, more)
	}
	if got, more := chats(t, c.call(t, find, fields{"token": u.token, "after": list[3], "count": 1})); len(got) != 1 || more {
		t.Errorf("exactly the rest: %v, more %v", got, more)
	}
}

// Absent and over 1000 are 1000.
func TestFindChatsCountsToAThousand(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	body := request(create, fields{"token": u.token, "name": "", "is_group": true, "member": members()})
	for _, r := range c.pipeline(t, slices.Repeat([]string{body}, 1003)...) {
		succeeded(t, r)
	}
	for _, content := range []fields{
		{"token": u.token},
		{"token": u.token, "count": 1000},
		{"token": u.token, "count": 1001},
		{"token": u.token, "count": int64(1<<63 - 1)},
	} {
		list, more := chats(t, c.call(t, find, content))
		if len(list) != 1000 || !more {
			t.Fatalf("%v: %d chats, more %v, want 1000 of 1003", content, len(list), more)
		}
		rest, more := chats(t, c.call(t, find, content.with("after", list[999].id)))
		if len(rest) != 3 || more {
			t.Fatalf("%v: then %d chats, more %v, want 3", content, len(rest), more)
		}
		if all := append(chatIDs(list), chatIDs(rest)...); !slices.IsSorted(all) {
			t.Fatalf("%v: ids do not rise", content)
		}
	}
}

func TestFindChatsShowsTheNewestIndex(t *testing.T) {
	c := start(t, severalShards...).dial(t)
	u := c.register(t)
	spoken, silent := c.group(t, u), c.group(t, u)
	for want := int64(1); want <= 3; want++ {
		c.post(t, u, spoken, "m")
		if e := c.entry(t, u, spoken); e.last != want {
			t.Errorf("last %d, want %d", e.last, want)
		}
	}
	if e := c.entry(t, u, silent); e.last != 0 {
		t.Errorf("last %d of a silent chat", e.last)
	}
}

// A crowd of 1,101: `members` counts them all, `usrs` shows the first thousand by id.
func TestACrowdIsCountedAndCutAtAThousand(t *testing.T) {
	s := start(t, severalShards...)
	c := s.dial(t)
	all := c.registerAll(t, 1101)
	crowd := append(slices.Clone(all[601:]), all[:600]...)
	chat := c.create(t, all[600], "crowd", true, crowd...)
	check := func(c *client) {
		t.Helper()
		for _, u := range []user{all[0], all[600], all[1100]} {
			e := c.entry(t, u, chat)
			if e.members != 1101 || !slices.Equal(e.usrs, ids(all...)[:1000]) {
				t.Errorf("%d members, %d shown", e.members, len(e.usrs))
			}
		}
	}
	check(c)
	late := c.register(t)
	succeeded(t, c.call(t, join, fields{"token": late.token, "chat": chat}))
	if e := c.entry(t, late, chat); e.members != 1102 || slices.Contains(e.usrs, late.id) {
		t.Errorf("after one more: %d members, shown %v", e.members, slices.Contains(e.usrs, late.id))
	}
	s.kill(t)
	c = startIn(t, s.dir).dial(t)
	if e := c.entry(t, late, chat); e.members != 1102 || !slices.Equal(e.usrs, ids(all...)[:1000]) {
		t.Errorf("after a restart: %d members, %d shown", e.members, len(e.usrs))
	}
}

// The list is cut where the reply would pass its limit, never in the middle of a chat, never before the first.
func TestFindChatsIsCutAtTheReplyLimit(t *testing.T) {
	const limit = 8 << 10
	c := start(t, "--max-reply", strconv.Itoa(limit)).dial(t)
	all := c.registerAll(t, 300)
	u := all[0]
	want := []int64{}
	for i := range 60 {
		others := all[:i%7]
		if i == 30 {
			others = all // this one alone passes the limit
		}
		want = append(want, c.create(t, u, strings.Repeat("n", 3*i), true, others...))
	}
	slices.Sort(want)
	got, cut := []int64{}, 0
	for more := true; more; {
		var list []chatEntry
		r := c.call(t, find, fields{"token": u.token, "after": lastOf(got)})
		list, more = chats(t, r)
		if len(list) == 0 || len(list) > 1 && len(r.body) > limit {
			t.Fatalf("%d chats in %d bytes", len(list), len(r.body))
		}
		if more {
			cut++
		}
		got = append(got, chatIDs(list)...)
	}
	if !slices.Equal(got, want) || cut == 0 {
		t.Errorf("%d chats by %d cuts, want %d", len(got), cut, len(want))
	}
}

func lastOf(list []int64) int64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1]
}

func TestChatsSurviveAKill(t *testing.T) {
	s := start(t, severalShards...)
	c := s.dial(t)
	all := c.registerAll(t, 3)
	group, pair := c.create(t, all[0], "群 🦀", true, all[1]), c.pair(t, all[0], all[2])
	succeeded(t, c.call(t, join, fields{"token": all[2].token, "chat": group}))
	c.post(t, all[2], group, "hello")
	before := fmt.Sprint(c.findChats(t, all[0]))
	s.kill(t)

	c = startIn(t, s.dir).dial(t)
	if after := fmt.Sprint(c.findChats(t, all[0])); after != before {
		t.Errorf("after %s, before %s", after, before)
	}
	if index := c.post(t, all[1], group, "again"); index != 2 {
		t.Errorf("the next index is %d, want 2", index)
	}
	if index := c.post(t, all[2], pair, "first"); index != 1 {
		t.Errorf("the pair's first index is %d, want 1", index)
	}
}
