package check

import (
	"fmt"
	"iter"
	"math"
)

// history is all operations of a round, grouped by chat.
type history struct {
	sends groups[Send]
	reads groups[Read]
}

// gather groups the operations of the ledgers, and the sends that are open from
// earlier rounds.
func gather(ledgers []Ledger, open []Send, chats int) (h history, err error) {
	sends := make([][]Send, 0, len(ledgers)+1)
	reads := make([][]Read, 0, len(ledgers))
	for i := range ledgers {
		sends = append(sends, ledgers[i].Sends)
		reads = append(reads, ledgers[i].Reads)
	}
	h.sends, err = group(append(sends, open), chats, func(s *Send) uint32 { return s.Chat })
	if err != nil {
		return h, fmt.Errorf("%w: sends: %w", ErrLedger, err)
	}
	h.reads, err = group(reads, chats, func(r *Read) uint32 { return r.Chat })
	if err != nil {
		return h, fmt.Errorf("%w: reads: %w", ErrLedger, err)
	}
	return h, nil
}

// groups is lists of operations and where in them those of each chat are.
type groups[T any] struct {
	lists  [][]T
	starts []uint32 // by chat: its first place in refs; one more at the end
	refs   []ref
}

// ref is the place of an operation: two numbers of 32 bits, since there are
// millions of them.
type ref struct{ list, at uint32 }

// group sorts by chat, by counting; the order within a chat is that of the lists.
func group[T any](lists [][]T, chats int, chat func(*T) uint32) (groups[T], error) {
	g := groups[T]{lists: lists, starts: make([]uint32, chats+1)}
	all := 0
	for _, list := range lists {
		all += len(list)
		if all > math.MaxUint32 {
			return g, fmt.Errorf("more than %d", uint32(math.MaxUint32))
		}
		for i := range list {
			c := chat(&list[i])
			if int(c) >= chats {
				return g, fmt.Errorf("chat %d of %d", c, chats)
			}
			g.starts[c+1]++
		}
	}
	for c := range chats {
		g.starts[c+1] += g.starts[c]
	}
	g.refs = make([]ref, all)
	g.fill(chat)
	return g, nil
}

// fill puts each operation's place where its chat begins, and moves that on; in
// the end each chat begins where the next one did, and is moved back.
func (g *groups[T]) fill(chat func(*T) uint32) {
	for l, list := range g.lists {
		for i := range list {
			next := &g.starts[chat(&list[i])]
			g.refs[*next] = ref{uint32(l), uint32(i)}
			*next++
		}
	}
	copy(g.starts[1:], g.starts)
	g.starts[0] = 0
}

// len is how many operations a chat has.
func (g *groups[T]) len(chat int) int { return int(g.starts[chat+1] - g.starts[chat]) }

// of walks a chat's operations.
func (g *groups[T]) of(chat int) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, r := range g.refs[g.starts[chat]:g.starts[chat+1]] {
			if !yield(&g.lists[r.list][r.at]) {
				return
			}
		}
	}
}
