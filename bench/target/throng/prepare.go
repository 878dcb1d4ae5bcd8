package throng

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"throng/bench/target"
	"throng/codec"
)

// The bounds of what Prepare has in flight.
const (
	prepareConns  = 8
	windowSteps   = 256     // requests in flight on a connection
	windowBytes   = 1 << 20 // or these bytes of them, and one request more
	createMembers = 10_000  // named in a Create, whose frame must stay under 1 MiB; the others join
)

// Prepare registers the plan's users, creates its chats and has the members join
// that a Create cannot hold. Ids and tokens are new in each run, so that one
// server can take any number of runs.
func (t *Target) Prepare(ctx context.Context, plan target.Plan, progress func(done, all int)) error {
	t.plan = plan
	t.users, t.chats = make([]user, plan.Users), make([]chat, plan.Chats)
	for i := range t.users {
		t.users[i] = newUser()
	}
	stages := []*stage{t.registering(), t.creating(), t.joining()}
	p := &progressing{tell: progress}
	for _, s := range stages {
		p.all += s.steps
	}
	for _, s := range stages {
		if err := t.perform(ctx, s, p); err != nil {
			return err
		}
	}
	return nil
}

// stage is a number of requests that can go in any order.
type stage struct {
	what  string // is done in a step
	steps int
	write func(dst []byte, i int) []byte
	take  func(i int, a *codec.Answer) error // a success

	mu   sync.Mutex
	next int // the first step that nobody has taken on
}

func (t *Target) registering() *stage {
	return &stage{
		what: "register user", steps: len(t.users),
		write: func(dst []byte, i int) []byte {
			return codec.AppendRegisterRequest(dst, t.users[i].id, t.users[i].token, nil)
		},
		take: func(int, *codec.Answer) error { return nil },
	}
}

// creating has each chat created by its first member.
func (t *Target) creating() *stage {
	name := codec.Text("throng-bench")
	return &stage{
		what: "create chat", steps: len(t.chats),
		write: func(dst []byte, i int) []byte {
			members := make([]uuid.UUID, 0, min(t.plan.Members, createMembers))
			for j := range cap(members) {
				members = append(members, t.users[t.plan.Member(i, j)].id)
			}
			return codec.AppendCreateRequest(dst, t.users[t.plan.Member(i, 0)].token, name, true, members)
		},
		take: func(i int, a *codec.Answer) error {
			if t.chats[i] = newChat(a.Chat); a.Chat == 0 {
				return fmt.Errorf("create chat %d: the answer names no chat", i)
			}
			return nil
		},
	}
}

func (t *Target) joining() *stage {
	each := max(0, t.plan.Members-createMembers)
	return &stage{
		what: "join", steps: each * len(t.chats),
		write: func(dst []byte, i int) []byte {
			chat := i / each
			u := &t.users[t.plan.Member(chat, createMembers+i%each)]
			return codec.AppendJoinRequest(dst, u.token, t.chats[chat].id)
		},
		take: func(int, *codec.Answer) error { return nil },
	}
}

// perform takes a stage's steps, over several connections. The first error ends
// them all.
func (t *Target) perform(ctx context.Context, s *stage, p *progressing) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range min(prepareConns, (s.steps+windowSteps-1)/windowSteps) {
		workers.Go(func() {
			if err := t.work(ctx, s, p); err != nil {
				cancel(err) // the first counts
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// work takes steps, a window at a time, until there are none.
func (t *Target) work(ctx context.Context, s *stage, p *progressing) error {
	c, err := t.dialCaller(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	return c.during(ctx, func() error {
		for steps := s.more(nil); len(steps) > 0; steps = s.more(steps) {
			before := len(steps)
			var wait time.Duration
			var err error
			if steps, wait, err = c.round(s, steps); err != nil {
				return err
			}
			p.add(before - len(steps))
			if wait > 0 {
				if err := sleep(ctx, wait); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// more fills steps up to a window.
func (s *stage) more(steps []int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(steps) < windowSteps && s.next < s.steps {
		steps = append(steps, s.next)
		s.next++
	}
	return steps
}

// round asks for the first of steps, as many as go into a window, and waits for
// their answers. It returns, in the same memory, those that are left to do: not
// asked for, or refused since the server is over a limit of load, and then how
// long to wait.
func (c *caller) round(s *stage, steps []int) (left []int, wait time.Duration, err error) {
	var out []byte
	asked := 0
	for ; asked < len(steps) && len(out) < windowBytes; asked++ {
		out = s.write(out, steps[asked])
	}
	if _, err := c.conn.Write(out); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", s.what, err)
	}
	left = steps[:0]
	for _, i := range steps[:asked] {
		a, err := c.next()
		if err != nil {
			return nil, 0, fmt.Errorf("%s %d: %w", s.what, i, err)
		}
		if a.State == codec.StateBusy {
			left, wait = append(left, i), max(wait, busyWait(a))
		} else if why := refusal(a); why != "" {
			return nil, 0, fmt.Errorf("%s %d: answered %s", s.what, i, why)
		} else if err := s.take(i, a); err != nil {
			return nil, 0, err
		}
	}
	return append(left, steps[asked:]...), wait, nil
}

// progressing tells how many steps are done; by several workers, one at a time.
type progressing struct {
	tell func(done, all int) // nil: nobody asks
	all  int

	mu   sync.Mutex
	done int
}

func (p *progressing) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += n
	if p.tell != nil {
		p.tell(p.done, p.all)
	}
}
