package conformance

import (
	"slices"
	"testing"

	"throng/bench/target"
)

// reversed returns messages newest first.
func reversed(log []target.Message) []target.Message {
	log = slices.Clone(log)
	slices.Reverse(log)
	return log
}

// shows checks the answer to one read.
func (c *client) shows(t *testing.T, op target.Op, want []target.Message) {
	t.Helper()
	r := c.ask(t, op)[0]
	if r.Status != target.OK || r.Cut || !slices.Equal(r.Page, want) {
		t.Errorf("%v of %d from %d: %v %q, %v; want %v", op.Kind, op.Count, op.Index, r.Status, r.Error, r.Page, want)
	}
}

// asks checks that a kind is either supported or refused, which another row does.
func (s *stage) asks(k target.Kind) bool { return s.target.Supports(k) }

func readsBack(t *testing.T, s *stage) {
	if !s.asks(target.Read) {
		return
	}
	s.prepare(t)
	log := s.fill(t, 2, 10)
	c := s.dial(t, newClient())
	for _, count := range []int{1, 4, 10, 20} {
		want := reversed(log)[:min(count, len(log))]
		c.shows(t, target.Op{Kind: target.Read, Chat: 2, User: s.plan.Member(2, 0), Index: -1, Count: count}, want)
	}
	c.shows(t, target.Op{Kind: target.Read, Chat: 3, User: s.plan.Member(3, 0), Index: -1, Count: 5}, nil)
}

func receives(t *testing.T, s *stage) {
	if !s.asks(target.Receive) {
		return
	}
	s.prepare(t)
	log := s.fill(t, 2, 10)
	c := s.dial(t, newClient())
	for _, count := range []int{1, 4, 10, 20} {
		want := log[:min(count, len(log))]
		for _, index := range []int64{0, 1} {
			c.shows(t, target.Op{Kind: target.Receive, Chat: 2, User: s.plan.Member(2, 1), Index: index, Count: count}, want)
		}
	}
	for i, m := range log { // from an index that the target itself has told
		want := log[i:min(i+3, len(log))]
		c.shows(t, target.Op{Kind: target.Receive, Chat: 2, User: s.plan.Member(2, 0), Index: m.Index, Count: 3}, want)
	}
	c.shows(t, target.Op{Kind: target.Receive, Chat: 3, User: s.plan.Member(3, 0), Index: 1, Count: 5}, nil)
}

func readsAnywhere(t *testing.T, s *stage) {
	if !s.dense(t) || !s.asks(target.Read) || !s.asks(target.Receive) {
		return
	}
	s.prepare(t)
	const n, chat = 10, 4
	log := s.fill(t, chat, n)
	c := s.dial(t, newClient())
	user := s.plan.Member(chat, 0)
	for _, count := range []int{1, 3, n, 2 * n} {
		for index := int64(-n - 3); index <= n+3; index++ {
			c.shows(t, target.Op{Kind: target.Read, Chat: chat, User: user, Index: index, Count: count}, back(log, index, count))
			c.shows(t, target.Op{Kind: target.Receive, Chat: chat, User: user, Index: index, Count: count}, forward(log, index, count))
		}
	}
}

// back is what service 3 of docs/protocol.md shows of a log.
func back(log []target.Message, index int64, count int) []target.Message {
	n := int64(len(log))
	last := min(index, n)
	if index < 0 {
		last = n + 1 + index
	}
	if last < 1 {
		return nil
	}
	return reversed(log[max(last-int64(count), 0):last])
}

// forward is what service 9 shows.
func forward(log []target.Message, index int64, count int) []target.Message {
	n := int64(len(log))
	if index < 0 {
		last := max(n+1+index, 1)
		return log[max(last-int64(count), 0):last]
	}
	first := min(max(index, 1), n+1)
	return log[first-1 : min(first-1+int64(count), n)]
}

func mixes(t *testing.T, s *stage) {
	s.prepare(t)
	log := s.fill(t, 0, 3)
	c := s.dial(t, newClient())
	var ops []target.Op
	for i := range window {
		op := s.send(1)
		if kind := []target.Kind{target.Send, target.Read, target.Ping, target.Receive}[i%4]; kind != target.Send && s.asks(kind) {
			op = target.Op{Kind: kind, Chat: 0, User: s.plan.Member(0, 0), Index: -1, Count: len(log)}
			if kind == target.Receive {
				op.Index = 1
			}
		}
		ops = append(ops, op)
	}
	for i, r := range c.ask(t, ops...) {
		want := target.Message{}
		var page []target.Message
		switch ops[i].Kind {
		case target.Read:
			page = reversed(log)
		case target.Receive:
			page = log
		case target.Send:
			want.Hash = target.Hash(ops[i].Text)
		default:
		}
		if r.Status != target.OK || !slices.Equal(r.Page, page) || (r.Index > 0) != (want.Hash != 0) {
			t.Errorf("answer %d, to a %v: %+v", i, ops[i].Kind, r)
		}
	}
}

func readsWithoutPages(t *testing.T, s *stage) {
	if !s.asks(target.Read) {
		return
	}
	s.prepare(t)
	s.fill(t, 0, 3)
	c := s.dialAs(t, newClient(), target.Dial{Window: 1, Timeout: patience})
	r := c.ask(t, target.Op{Kind: target.Read, Chat: 0, User: s.plan.Member(0, 0), Index: -1, Count: 3})[0]
	if r.Status != target.OK || r.Page != nil {
		t.Errorf("answer: %+v", r)
	}
}

func refuses(t *testing.T, s *stage) {
	s.prepare(t)
	c := s.dial(t, newClient())
	for k := range target.Kind(target.Kinds) {
		if s.asks(k) {
			continue
		}
		odd := target.Op{Kind: k, Chat: 0, User: s.plan.Member(0, 0), Index: -1, Count: 1}
		replies := c.ask(t, s.send(0), odd, s.send(0))
		if replies[0].Status != target.OK || replies[2].Status != target.OK {
			t.Errorf("sends about a %v: %+v, %+v", k, replies[0], replies[2])
		}
		if r := replies[1]; r.Status != target.Refused || r.Error == "" {
			t.Errorf("%v: %+v", k, r)
		}
	}
}
