package shards

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/google/uuid"

	"throng/codec"
)

// The scripts in testdata/scripts tell what a store does, one story a file. Each
// operation is one line:
//
//	open [shards=N]                               on the files as they are
//	close
//	crash                                         only what was synced is left
//	register USER [token=N] [issue=N] [name=NAME]
//	lookup token=N
//	resolve USER...
//	create CHAT id=N members=(USER,...) [name=NAME]
//	pair USER USER [attempt=N] [id=N] [name=NAME] a pair is called USER+USER, sorted
//	join CHAT USER [name=NAME]
//	send CHAT USER text=TEXT [ref=REF] [time=MS]
//	fill CHAT USER count=N                        N messages
//	get CHAT USER [index=N] [count=N]
//	receive CHAT USER [index=N] [count=N]
//	find USER [after=CHAT] [count=N]
//	together                                      one drain of the lines below, a batch each
//
// A user's id stands behind its name, and a chat's id behind its own.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		s := newScript(t)
		defer s.close()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			if d.Cmd == "together" {
				return s.together(strings.Split(d.Input, "\n"))
			}
			return s.run(scriptLine{d.Cmd, d.CmdArgs})
		})
	})
}

type script struct {
	t      *testing.T
	fs     *crashFS
	store  *Store // nil: closed
	client *client
	users  map[uuid.UUID]string
	chats  map[string]int64
}

func newScript(t *testing.T) *script {
	return &script{t: t, fs: newCrashFS(), users: map[uuid.UUID]string{}, chats: map[string]int64{}}
}

// scriptLine is one line, taken apart.
type scriptLine struct {
	command string
	args    []datadriven.CmdArg
}

// plain returns the i-th argument that has no value.
func (l scriptLine) plain(i int) string {
	for _, a := range l.args {
		if len(a.Vals) == 0 {
			if i == 0 {
				return a.Key
			}
			i--
		}
	}
	return ""
}

func (l scriptLine) list(key string) []string {
	for _, a := range l.args {
		if a.Key == key {
			return a.Vals
		}
	}
	return nil
}

func (l scriptLine) text(key string) string { return strings.Join(l.list(key), ",") }

func (l scriptLine) number(t *testing.T, key string, otherwise int64) int64 {
	if len(l.list(key)) == 0 {
		return otherwise
	}
	n, err := strconv.ParseInt(l.text(key), 10, 64)
	if err != nil {
		t.Fatalf("%s: %s: %v", l.command, key, err)
	}
	return n
}

func (s *script) run(l scriptLine) string {
	switch l.command {
	case "open":
		return s.open(int(l.number(s.t, "shards", 0)))
	case "close":
		s.close()
		return ""
	case "crash":
		s.crash()
		return ""
	case "fill":
		return s.fill(l)
	case "find":
		after := s.chats[l.text("after")]
		return s.showChats(s.client.find(s.user(l.plain(0)), after, int(l.number(s.t, "count", 1000))))
	}
	return s.show(s.client.one(s.op(l)))
}

func (s *script) open(shards int) string {
	store, err := Open(testConfig(s.fs, withShards(shards)))
	if err != nil {
		return err.Error()
	}
	s.store, s.client = store, newClient(store)
	return fmt.Sprintf("%d shards", store.Shards())
}

func (s *script) close() {
	if s.store != nil {
		closeStore(s.t, s.store)
		s.store = nil
	}
}

func (s *script) crash() {
	clone := s.fs.clone(0, nil)
	s.close()
	s.fs = clone
}

func (s *script) user(name string) uuid.UUID {
	id := userID(name)
	s.users[id] = name
	return id
}

// together runs the lines in one drain; they must be of one target.
func (s *script) together(lines []string) string {
	var lists [][]Op
	for _, line := range lines {
		command, args, err := datadriven.ParseLine(line)
		if err != nil {
			s.t.Fatal(err)
		}
		lists = append(lists, []Op{s.op(scriptLine{command, args})})
	}
	s.client.together(s.client.target(&lists[0][0]), lists...)
	var out []string
	for _, ops := range lists {
		out = append(out, strings.TrimSpace(s.show(ops[0])))
	}
	return strings.Join(out, "\n")
}

// op returns the operation that a line asks for.
func (s *script) op(l scriptLine) Op {
	op := Op{Name: codec.Text(l.text("name")), Chat: s.chats[l.plain(0)], User: s.user(l.plain(1))}
	switch l.command {
	case "register":
		op.Kind, op.User, op.Token = Register, s.user(l.plain(0)), l.number(s.t, "token", 0)
		if op.Token == 0 {
			op.Issue, op.Token = true, l.number(s.t, "issue", 1)
		}
	case "lookup":
		op.Kind, op.Token = Lookup, l.number(s.t, "token", 0)
	case "resolve":
		op.Kind = Resolve
		for i := range l.args {
			op.Members = append(op.Members, Member{ID: s.user(l.plain(i))})
		}
	case "create":
		op = createOp(l.number(s.t, "id", 0), true, s.members(l.list("members"))...)
		op.Name = codec.Text(l.text("name"))
		s.chats[l.plain(0)] = op.Chat
	case "pair":
		a, b := s.user(l.plain(0)), s.user(l.plain(1))
		chat := l.number(s.t, "id", s.store.PairChat(a, b, int(l.number(s.t, "attempt", 0))))
		op = createOp(chat, false, a, b)
		op.Name = codec.Text(l.text("name"))
		s.chats[pairName(l.plain(0), l.plain(1))] = chat
	case "join":
		op.Kind = Join
	case "send":
		op.Kind, op.Time = Send, l.number(s.t, "time", 0)
		op.Text, op.Ref = codec.Text(l.text("text")), codec.Text(l.text("ref"))
	case "get":
		op.Kind, op.Index, op.Count = GetChat, l.number(s.t, "index", -1), int(l.number(s.t, "count", 50))
	case "receive":
		op.Kind, op.Index, op.Count = Receive, l.number(s.t, "index", 1), int(l.number(s.t, "count", 50))
	default:
		s.t.Fatalf("no such command: %s", l.command)
	}
	return op
}

func (s *script) members(names []string) (ids []uuid.UUID) {
	for _, name := range names {
		ids = append(ids, s.user(name))
	}
	return ids
}

func pairName(a, b string) string { return min(a, b) + "+" + max(a, b) }

func (s *script) fill(l scriptLine) string {
	chat, user := s.chats[l.plain(0)], s.user(l.plain(1))
	var ops []Op
	for i := range l.number(s.t, "count", 1) {
		ops = append(ops, sendOp(chat, user, fmt.Sprintf("filler-%d", i+1), ""))
	}
	ops = s.client.do(s.store.ShardOf(chat), ops...)
	return s.show(ops[len(ops)-1])
}

// show is the answer of an operation as the scripts have it.
func (s *script) show(op Op) string {
	if op.Answer.Status != OK {
		return op.Answer.Status.said()
	}
	switch op.Kind {
	case Send:
		return strconv.FormatInt(op.Answer.Index, 10)
	case Register:
		return fmt.Sprintf("token %d", op.Answer.Index)
	case Lookup:
		return s.showUser(op.User, op.Name)
	case Resolve:
		var users []string
		for _, m := range op.Members {
			users = append(users, s.showUser(m.ID, m.Name))
		}
		return strings.Join(users, ", ")
	case Create:
		return s.chatName(op.Answer.Index)
	case GetChat, Receive:
		return s.showMessages(readPage[shownMessage](s.t, op))
	}
	return "ok"
}

func (s *script) showUser(id uuid.UUID, name codec.Text) string {
	if len(name) == 0 {
		return s.users[id]
	}
	return fmt.Sprintf("%s (%s)", s.users[id], name)
}

func (s *script) chatName(id int64) string {
	for _, name := range slices.Sorted(maps.Keys(s.chats)) {
		if s.chats[name] == id {
			return name
		}
	}
	return strconv.FormatInt(id, 10)
}

// showMessages shows a message a line: index, time, sender, and what receive
// calls the sender, then the text.
func (s *script) showMessages(p shownPage[shownMessage]) string {
	var out strings.Builder
	for _, m := range p.Values {
		sender := s.users[m.ID]
		switch m.Name {
		case "":
		case m.ID.String():
			sender += " (by id)"
		default:
			sender += " (" + m.Name + ")"
		}
		fmt.Fprintf(&out, "%d @%d %s: %s\n", m.Index, m.Time, sender, m.Content)
	}
	if out.Len() == 0 {
		return "nothing"
	}
	return out.String()
}

func (s *script) showChats(op Op) string {
	page := readPage[shownChat](s.t, op)
	var out strings.Builder
	for _, c := range page.Values {
		var users []string
		for _, u := range c.Users {
			users = append(users, s.users[u.ID])
		}
		slices.Sort(users)
		fmt.Fprintf(&out, "%s: %s %q of %s, %d members, last %d\n",
			s.chatName(c.ID), c.Type, c.Name, strings.Join(users, " "), c.Members, c.Last)
	}
	if page.More {
		out.WriteString("and more\n")
	}
	if out.Len() == 0 {
		return "nothing"
	}
	return out.String()
}
