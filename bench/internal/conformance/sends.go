package conformance

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sync"
	"testing"

	"throng/bench/target"
)

func describes(t *testing.T, s *stage) {
	info, err := s.target.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Kind == "" || info.Version == "" || info.Durability == "" {
		t.Errorf("told: %+v", info)
	}
}

func prepares(t *testing.T, s *stage) {
	var done, all int
	progress := func(d, a int) {
		if d < done {
			t.Errorf("%d steps done after %d", d, done)
		}
		done, all = d, a
	}
	if err := s.target.Prepare(t.Context(), s.plan, progress); err != nil {
		t.Fatal(err)
	}
	if all == 0 || done != all {
		t.Errorf("%d of %d steps done at the end", done, all)
	}
	for chat := range chats {
		if log := s.log(t, chat, 0); len(log) > 0 {
			t.Errorf("chat %d holds %d messages before any was sent", chat, len(log))
		}
	}
}

// sending is a closed loop of one connection: its window is full until it has sent
// all. It keeps what it asked, in order.
type sending struct {
	mu    sync.Mutex // the first batch comes from the test, the others from the sink
	left  int
	make  func() target.Op
	asked []asked
	errs  []error
}

type asked struct {
	chat int
	hash uint64
}

// submit asks for n more, as far as there are any, from one buffer that it spoils
// afterwards.
func (l *sending) submit(conn target.Conn, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, l.left)
	if n == 0 {
		return
	}
	l.left -= n
	ops := make([]target.Op, n)
	for i := range ops {
		ops[i] = l.make()
		l.asked = append(l.asked, asked{ops[i].Chat, target.Hash(ops[i].Text)})
	}
	if err := conn.Submit(ops); err != nil {
		l.errs = append(l.errs, err)
	}
	for i := range ops {
		copy(ops[i].Text, bytes.Repeat([]byte{'!'}, len(ops[i].Text)))
		ops[i] = target.Op{}
	}
}

func sends(t *testing.T, s *stage) {
	const conns, each = 4, 500
	s.prepare(t)
	dense := s.dense(t)
	made := 0
	var making sync.Mutex // texts are numbered across connections
	next := func() target.Op {
		making.Lock()
		defer making.Unlock()
		made++
		return s.send(made % chats)
	}
	loops := make([]*sending, conns)
	clients := make([]*client, conns)
	for i := range clients {
		loops[i] = &sending{left: each, make: next}
		clients[i] = newClient()
		clients[i].feed = func(c *client, n int) { loops[i].submit(c.conn, n) }
		s.dial(t, clients[i])
	}
	for i, c := range clients {
		loops[i].submit(c.conn, window)
	}
	acked := make([][]target.Message, chats)
	for i, c := range clients {
		replies := c.await(t, each)
		for n, r := range replies {
			if r.Status != target.OK || r.Index < 1 {
				t.Fatalf("answer %d: %+v", n, r)
			}
			a := loops[i].asked[n]
			acked[a.chat] = append(acked[a.chat], target.Message{Index: r.Index, Hash: a.hash})
		}
		if err := errors.Join(loops[i].errs...); err != nil {
			t.Error(err)
		}
	}
	for chat, want := range acked {
		s.holds(t, chat, want, dense)
	}
}

// holds checks that the log of a chat is what was acknowledged, no more and no less.
func (s *stage) holds(t *testing.T, chat int, acked []target.Message, dense bool) {
	t.Helper()
	slices.SortFunc(acked, func(a, b target.Message) int { return cmp.Compare(a.Index, b.Index) })
	log := s.log(t, chat, 0)
	if !slices.Equal(log, acked) {
		t.Errorf("chat %d: %d messages in the log, %d acknowledged, or not the same", chat, len(log), len(acked))
	}
	for i, m := range log {
		if i > 0 && m.Index <= log[i-1].Index {
			t.Errorf("chat %d: index %d after %d", chat, m.Index, log[i-1].Index)
		}
		if dense && m.Index != int64(i)+1 {
			t.Errorf("chat %d: index %d is the %d. of a dense log", chat, m.Index, i+1)
		}
	}
}

// fill sends n messages to a chat and returns its log.
func (s *stage) fill(t *testing.T, chat, n int) []target.Message {
	t.Helper()
	c := s.dial(t, newClient())
	log := make([]target.Message, n)
	for i := range log {
		op := s.send(chat)
		r := c.ask(t, op)[0]
		if r.Status != target.OK {
			t.Fatalf("answer: %+v", r)
		}
		log[i] = target.Message{Index: r.Index, Hash: target.Hash(op.Text)}
	}
	return log
}

func resumes(t *testing.T, s *stage) {
	s.prepare(t)
	log := s.fill(t, 1, 7)
	var running sync.WaitGroup
	got := make([][]target.Message, len(log)+1)
	for i := range got { // all at once
		after := int64(0)
		if i > 0 {
			after = log[i-1].Index
		}
		running.Go(func() {
			err := s.target.Log(t.Context(), 1, after, func(m target.Message) error {
				got[i] = append(got[i], m)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	for i, rest := range got {
		if !slices.Equal(rest, log[i:]) {
			t.Errorf("after message %d: %v, want %v", i, rest, log[i:])
		}
	}
}

func refusesToLook(t *testing.T, s *stage) {
	s.prepare(t)
	s.fill(t, 0, 3)
	enough := errors.New("enough")
	seen := 0
	err := s.target.Log(t.Context(), 0, 0, func(target.Message) error {
		seen++
		return enough
	})
	if !errors.Is(err, enough) || seen != 1 {
		t.Errorf("%d messages seen, error %v", seen, err)
	}
}
