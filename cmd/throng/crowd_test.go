// More users, chats and refs than the caches of a small memory hold: what has left memory is read back from disk, and
// nothing that depends on it (indexes, membership, refs, names) changes.

package main_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
)

// smallest are the flags of the smallest caches: the least memory, divided among the most shards.
var smallest = []string{"--memory", "64MiB", "--shards", "16"}

func TestChatsThatLeftMemoryGoOn(t *testing.T) {
	const many = 12_000
	c := start(t, smallest...).dial(t)
	u := c.register(t)
	bodies := slices.Repeat([]string{
		request(create, fields{"token": u.token, "name": "n", "is_group": true, "member": members()}),
	}, many)
	list := make([]int64, many)
	for i, r := range c.pipeline(t, bodies...) {
		succeeded(t, r)
		list[i] = number(t, r.content["chat"])
	}
	for want := int64(1); want <= 3; want++ { // by the time that a chat's turn comes again, it is not in memory
		for i, chat := range list {
			bodies[i] = u.message(chat, strconv.FormatInt(chat, 10))
		}
		for i, r := range c.pipeline(t, bodies...) {
			if at := postedAt(t, r); at != want {
				t.Fatalf("chat %d goes on at %d, want %d", list[i], at, want)
			}
		}
	}
	for i, chat := range list {
		bodies[i] = u.window(receive, chat, 1, 4)
	}
	for i, r := range c.pipeline(t, bodies...) {
		all := messages(t, receive, r)
		if len(all) != 3 || all[2].Content != strconv.FormatInt(list[i], 10) {
			t.Fatalf("chat %d holds %v", list[i], all)
		}
	}
}

func TestUsersWhoLeftMemoryAreStillMembers(t *testing.T) {
	const many = 8000
	s := start(t, smallest...)
	c := s.dial(t)
	all := c.registerAll(t, many)
	first, second := c.group(t, all[0]), c.group(t, all[0])
	for _, chat := range []int64{first, second} {
		bodies := make([]string, many)
		for i, u := range all {
			bodies[i] = request(join, fields{"token": u.token, "chat": chat})
		}
		for _, r := range c.pipeline(t, bodies...) {
			succeeded(t, r)
		}
	}
	for round := range 2 {
		bodies := make([]string, many)
		for i, u := range all {
			bodies[i] = u.message(first, u.id)
		}
		for i, r := range c.pipeline(t, bodies...) {
			if at := postedAt(t, r); at != int64(round*many+i+1) {
				t.Fatalf("user %d sends at %d", i, at)
			}
		}
	}
	for i, m := range c.history(t, all[0], first) {
		if m.ID != all[i%many].id || m.Name != m.ID {
			t.Fatalf("index %d is %+v, want by %s", m.Index, m, all[i%many].id)
		}
	}
	if e := c.entry(t, all[many-1], second); e.members != many || !slices.Equal(e.usrs, ids(all...)[:1000]) {
		t.Errorf("%d members, %d shown", e.members, len(e.usrs))
	}
	if got := c.findChats(t, all[many/2]); len(got) != 2 {
		t.Errorf("chats %v, want two", got)
	}
}

func TestRefsThatLeftMemoryAreStillKnown(t *testing.T) {
	const chats, each = 40, 400
	c := start(t, smallest...).dial(t)
	u := c.register(t)
	list := make([]int64, chats)
	for i := range list {
		list[i] = c.group(t, u)
	}
	for range 3 { // the first round appends, the others repeat
		for ref := range each {
			bodies := make([]string, chats)
			for i, chat := range list {
				bodies[i] = u.messageWithRef(chat, "m", fmt.Sprint(ref))
			}
			for i, r := range c.pipeline(t, bodies...) {
				if at := postedAt(t, r); at != int64(ref+1) {
					t.Fatalf("chat %d, ref %d is at %d, want %d", list[i], ref, at, ref+1)
				}
			}
		}
	}
}

// A chat's thousand refs fit no small cache, and all of them count.
func TestAThousandRefsOfManyChatsAreAllKnown(t *testing.T) {
	const chats, each = 12, 1000
	c := start(t, smallest...).dial(t)
	u := c.register(t)
	for range 2 {
		list := make([]int64, chats)
		bodies := [chats][]string{}
		for i := range list {
			list[i] = c.group(t, u)
			for ref := range each {
				bodies[i] = append(bodies[i], u.messageWithRef(list[i], "m", fmt.Sprint(ref)))
			}
		}
		for range 2 {
			for i := range list {
				for ref, r := range c.pipeline(t, bodies[i]...) {
					if at := postedAt(t, r); at != int64(ref+1) {
						t.Fatalf("chat %d, ref %d is at %d, want %d", list[i], ref, at, ref+1)
					}
				}
			}
		}
	}
}
