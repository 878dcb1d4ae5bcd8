// Package conformance holds what every target promises, as one table of tests. A
// target's own test runs it against a real server; what is particular to a target
// is tested beside it.
package conformance

import (
	"testing"

	"throng/bench/target"
)

// Server is a running server and the target that is tested against it.
type Server struct {
	// Open opens the target; the table closes it. It may be called several times.
	Open func(tb testing.TB) target.Target

	// Kill ends the server as a crash does, with its connections open. It is called
	// once, last.
	Kill func()
}

// Of all plans: few chats, so that connections meet in them.
const (
	users   = 8
	chats   = 5
	members = 4
)

// seed makes each plan's keys unlike those of the others.
func plan(seed uint64) target.Plan {
	return target.Plan{Users: users, Chats: chats, Members: members, Seed: seed}
}

// Run puts the server through the table.
func Run(t *testing.T, server Server) {
	table := []struct {
		promise string
		test    func(t *testing.T, s *stage)
	}{
		{"the server is told of, with its durability", describes},
		{"preparing tells how far it is, to the end", prepares},
		{"sends of several connections are answered in order and stand in the log once", sends},
		{"the log goes on after an index", resumes},
		{"the log ends with the error of who looks at it", refusesToLook},
		{"a read shows the newest first, from the newest on", readsBack},
		{"a receive shows the oldest first, from the first on", receives},
		{"reads of a dense log begin at any index", readsAnywhere},
		{"requests of all kinds are answered in their order", mixes},
		{"a page stays away where it is not asked for", readsWithoutPages},
		{"a kind that is not supported is refused in its turn", refuses},
		{"a connection that is closed is lost once, without an error", closes},
		{"a connection may be closed within its sink, with requests in flight", closesWithin},
		{"a dial that fails has no connection to lose", dialsInVain},
		{"a server that is killed loses each connection once, with an error", loses},
	}
	for i, row := range table {
		t.Run(row.promise, func(t *testing.T) {
			s := &stage{server: server, target: server.Open(t), plan: plan(uint64(i + 1))}
			t.Cleanup(func() { _ = s.target.Close() })
			row.test(t, s)
		})
	}
}

// stage is what one test of the table has.
type stage struct {
	server Server
	target target.Target
	plan   target.Plan
	texts  int // made so far
}

// prepare makes the plan's population.
func (s *stage) prepare(t *testing.T) {
	t.Helper()
	if err := s.target.Prepare(t.Context(), s.plan, nil); err != nil {
		t.Fatal(err)
	}
}

// dense reports whether the target numbers messages without gaps.
func (s *stage) dense(t *testing.T) bool {
	t.Helper()
	info, err := s.target.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.Dense
}

// log reads a chat back.
func (s *stage) log(t *testing.T, chat int, after int64) []target.Message {
	t.Helper()
	var log []target.Message
	err := s.target.Log(t.Context(), chat, after, func(m target.Message) error {
		log = append(log, m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return log
}
