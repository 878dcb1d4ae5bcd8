package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"throng/codec"
	"throng/shards"
)

// maxCreateTries bounds the chat ids tried for one Create; a collision of the
// 53 bits once is rare, and twice is not seen.
const maxCreateTries = 8

// route finds the request's user and dispatches it, or parks it until the user
// is known. Requests behind a parked one are parked too, to keep their order.
func (c *conn) route(place uint64, body []byte, r *codec.Request) {
	switch r.Service {
	case codec.Ping:
		c.finishReply(place, outcome{state: codec.StateOK, number: c.loop.clock})
		return
	case codec.Register:
		c.register(place, r)
		return
	}
	if len(c.parked) == 0 {
		if u, known := c.loop.users.Get(r.Token); known {
			c.dispatch(place, r, u)
			return
		}
	}
	c.parked = append(c.parked, parked{place, c.ask(r.Token, len(body)), slices.Clone(body)})
}

// ask asks the accounts who a token belongs to, where the cache does not know and
// no request of this read has asked.
func (c *conn) ask(token int64, bytes int) question {
	q := question{token, c.reads}
	if l, asked := c.lookups[q]; asked {
		l.waiting++
		return q
	}
	if _, known := c.loop.users.Get(token); known {
		return q
	}
	if c.lookups == nil {
		c.lookups = make(map[question]*lookup)
	}
	c.lookups[q] = &lookup{waiting: 1}
	c.add(c.loop.server.store.Accounts(), shards.Op{Kind: shards.Lookup, Token: token, Tag: q.read}, bytes)
	return q
}

// lookedUp notes an answer of the accounts and carries on with the parked
// requests.
func (c *conn) lookedUp(op *shards.Op) {
	u := user{op.User, op.Name}
	if op.Answer.Status == shards.OK {
		c.loop.users.Put(op.Token, u, userBytes+int64(len(u.name)))
	}
	l := c.lookups[question{op.Token, op.Tag}]
	l.answer, l.user = op.Answer.Status, u
	c.loop.readClock()
	for len(c.parked) > 0 && c.unpark(&c.parked[0]) {
		c.parked[0] = parked{}
		c.parked = c.parked[1:]
	}
	if len(c.parked) == 0 {
		c.parked, c.lookups = nil, nil
	}
}

// unpark dispatches a parked request; it reports false where its user is still
// being looked up.
func (c *conn) unpark(p *parked) bool {
	u, answer := c.answerTo(p)
	if answer == shards.Unanswered {
		return false
	}
	r := &c.loop.request
	if fault := c.loop.decoder.Decode(p.body, r); fault != nil {
		panic("engine: a parked request no longer decodes")
	}
	if answer == shards.OK {
		c.dispatch(p.place, r, u)
	} else {
		c.finishReply(p.place, unknownUser(r.Service, answer))
	}
	return true
}

// answerTo takes the answer to what a parked request has asked.
func (c *conn) answerTo(p *parked) (user, shards.Status) {
	if l, asked := c.lookups[p.asked]; asked {
		if l.answer != shards.Unanswered {
			if l.waiting--; l.waiting == 0 {
				delete(c.lookups, p.asked)
			}
		}
		return l.user, l.answer
	}
	if u, known := c.loop.users.Get(p.asked.token); known {
		return u, shards.OK
	}
	p.asked = c.ask(p.asked.token, len(p.body)) // it was known, and is forgotten
	return user{}, shards.Unanswered
}

// unknownUser is the reply to a request whose user could not be found.
func unknownUser(service codec.Service, answer shards.Status) outcome {
	if service == codec.Login && answer == shards.NoUser {
		return wrongLogin
	}
	return outcomeOf(&shards.Answer{Status: answer})
}

// dispatch hands the request of a known user to its shard.
func (c *conn) dispatch(place uint64, r *codec.Request, u user) {
	store := c.loop.server.store
	op := shards.Op{Tag: place, Chat: r.Chat, User: u.id}
	switch r.Service {
	case codec.Login:
		o := done
		if u.id != r.ID {
			o = wrongLogin
		}
		c.finishReply(place, o)
		return
	case codec.FindChats:
		c.findChats(place, r, u)
		return
	case codec.Create:
		c.create(place, r, u)
		return
	case codec.Send:
		op.Kind, op.Time = shards.Send, c.loop.clock
		op.Text, op.Ref = r.Text, r.Ref
	case codec.Join:
		op.Kind, op.Name = shards.Join, u.name
	case codec.GetChat:
		op.Kind, op.Index, op.Count = shards.GetChat, r.Index, r.Count
	case codec.Receive:
		op.Kind, op.Index, op.Count = shards.Receive, r.Index, r.Count
	default:
		panic("engine: a service without a way")
	}
	c.add(store.ShardOf(r.Chat), op, c.replies.at(place).bytes)
}

// add puts an operation into the batch for a target. What it points to in the
// frame is copied, for the frame is gone when the shard reads it.
func (c *conn) add(to shards.Target, op shards.Op, bytes int) {
	b := c.loop.batch(c, to)
	b.Arena, op.Text = keep(b.Arena, op.Text)
	b.Arena, op.Ref = keep(b.Arena, op.Ref)
	b.Bytes += bytes
	b.Ops = append(b.Ops, op)
}

func keep(arena []byte, text codec.Text) ([]byte, codec.Text) {
	if len(text) == 0 {
		return arena, nil
	}
	start := len(arena)
	arena = append(arena, text...)
	return arena, arena[start:len(arena):len(arena)]
}

// handOver submits the batches that have been filled. What finds no room is
// answered 429; that may fill further batches.
func (c *conn) handOver() {
	for {
		submitted := false
		for to, b := range c.loop.hand {
			if b == nil {
				continue
			}
			submitted = true
			c.loop.hand[to] = nil
			if !c.loop.submit(shards.Target(to), b) {
				c.turnedAway(b)
				c.loop.recycle(b)
			}
		}
		if !submitted {
			return
		}
	}
}

// dropHand lets go what was to be handed over for a connection that panicked.
func (l *loop) dropHand() {
	for to, b := range l.hand {
		l.hand[to] = nil
		if b == nil {
			continue
		}
		for i := range b.Ops {
			if b.Ops[i].Kind == shards.FindChats {
				b.Ops[i].Find.Abandon()
			}
		}
	}
}

// turnedAway answers the operations of a batch that a mailbox had no room for.
func (c *conn) turnedAway(b *shards.Batch) {
	for i := range b.Ops { // first: other shards hold snapshots for these
		op := &b.Ops[i]
		op.Answer.Status = shards.Busy
		if op.Kind == shards.FindChats && !op.Find.Abandon() {
			op.Answer.Status = shards.Elsewhere
		}
	}
	for i := range b.Ops {
		if c.phase != closed {
			c.answered(&b.Ops[i])
		}
	}
}

// answered takes an operation's answer a step further: to its place among the
// replies, or on to the next operation that the request needs.
func (c *conn) answered(op *shards.Op) {
	if op.Answer.Status == shards.Crashed {
		c.enter(ending)
	}
	switch op.Kind {
	case shards.Lookup:
		c.lookedUp(op)
		return
	case shards.Resolve:
		if op.Answer.Status == shards.OK {
			c.resolveMembers(op.Tag)
			return
		}
	case shards.Create:
		r := c.replies.at(op.Tag)
		if op.Answer.Status == shards.Collision && r.creation.attempt < maxCreateTries {
			r.creation.attempt++
			c.createChat(op.Tag)
			return
		}
	case shards.FindChats:
		if op.Answer.Status == shards.Elsewhere {
			return
		}
	}
	c.finishReply(op.Tag, outcomeOf(&op.Answer))
}

func (c *conn) register(place uint64, r *codec.Request) {
	op := shards.Op{Kind: shards.Register, Tag: place, User: r.ID, Token: r.Token, Name: slices.Clone(r.Name)}
	if r.Token == 0 {
		op.Issue, op.Token = true, draw(codec.MaxToken)
		c.replies.at(place).issued = true
	}
	c.add(c.loop.server.store.Accounts(), op, c.replies.at(place).bytes)
}

func (c *conn) findChats(place uint64, r *codec.Request, u user) {
	n := c.loop.server.store.Shards()
	find := shards.NewFind(u.id, r.After, r.Count, n)
	for i := range n {
		c.add(shards.Target(i), shards.Op{Kind: shards.FindChats, Tag: place, Find: find},
			c.replies.at(place).bytes)
	}
}

// creation is a Create on its way: first the accounts tell the members' names,
// so many at a time, for others want to log in; then the chat's shard makes it;
// where its id turns out to be taken, once more with another.
type creation struct {
	group    bool
	name     codec.Text
	members  []shards.Member // the creator last
	resolved int             // so many of them have been asked for
	attempt  int
}

const resolveAtOnce = 512

func (c *conn) create(place uint64, r *codec.Request, u user) {
	others := othersOf(r.Members, u.id)
	if !r.IsGroup && len(others) != 1 {
		c.finishReply(place, notAPair)
		return
	}
	made := &creation{group: r.IsGroup, name: slices.Clone(r.Name)}
	for _, id := range others {
		made.members = append(made.members, shards.Member{ID: id})
	}
	made.members = append(made.members, shards.Member{ID: u.id, Name: u.name})
	c.replies.at(place).creation = made
	c.resolveMembers(place)
}

// resolveMembers asks for the next members' names, and makes the chat when all
// are there.
func (c *conn) resolveMembers(place uint64) {
	r := c.replies.at(place)
	made := r.creation
	left := made.members[made.resolved : len(made.members)-1]
	if len(left) == 0 {
		c.createChat(place)
		return
	}
	next := left[:min(len(left), resolveAtOnce)]
	made.resolved += len(next)
	c.add(c.loop.server.store.Accounts(), shards.Op{
		Kind: shards.Resolve, Tag: place, Members: next,
	}, r.bytes)
}

// othersOf returns the members without duplicates and without the creator.
func othersOf(members []uuid.UUID, creator uuid.UUID) []uuid.UUID {
	others := slices.Clone(members)
	slices.SortFunc(others, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	others = slices.Compact(others)
	return slices.DeleteFunc(others, func(id uuid.UUID) bool { return id == creator })
}

// createChat asks the shard of the next chat id to make the chat.
func (c *conn) createChat(place uint64) {
	r := c.replies.at(place)
	made, store := r.creation, c.loop.server.store
	var chat int64
	if made.group {
		chat = draw(codec.MaxChat)
	} else {
		chat = store.PairChat(made.members[0].ID, made.members[1].ID, made.attempt)
	}
	c.add(store.ShardOf(chat), shards.Op{
		Kind: shards.Create, Tag: place, Chat: chat,
		Group: made.group, Name: made.name, Members: made.members,
	}, shards.CreateBytes(made.members))
}

// draw returns a number that nobody can guess, 1 … highest, where highest is a
// power of two less one.
func draw(highest uint64) int64 {
	var random [8]byte
	for {
		rand.Read(random[:]) // never fails: it ends the process instead
		if n := binary.BigEndian.Uint64(random[:]) & highest; n > 0 {
			return int64(n)
		}
	}
}
