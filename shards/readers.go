package shards

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/google/uuid"

	"throng/codec"
)

// readers are the few goroutines that carry out a shard's reads, so that one
// that has to go to the disk (1 to 100 ms) does not hold up its writer. They
// read what the writer found durable and write nothing. Their queue is bounded
// as a mailbox is; the writer answers Busy to what it has no room for.
type readers struct {
	queue   *mailbox
	running sync.WaitGroup
	pool    []*reader
	pages   *pages
}

// A reader works on one batch for so many requests, or about so many bytes of
// replies, and then takes the next: a connection that asks for much must not keep
// the others waiting.
const (
	turnReads = 64
	turnBytes = 4 << 20
)

// newReaders returns the readers of db, which may use so many bytes for names, and for
// pages.
func newReaders(c Config, db *database, names, pages int64, log *slog.Logger) *readers {
	r := &readers{queue: newMailbox(c.MailboxRequests, c.MailboxBytes), pages: newPages(pages)}
	for range readersPerShard {
		r.pool = append(r.pool, &reader{
			store:      db.view,
			replyBytes: c.ReplyBytes,
			log:        &rationed{log: log},
			names:      NewRecent[memberID, codec.Text](names / readersPerShard),
			pages:      r.pages,
			walk:       &messages{view: db.view},
		})
	}
	return r
}

func (r *readers) start() {
	for _, one := range r.pool {
		r.running.Go(func() { one.run(r.queue) })
	}
}

func (r *readers) close() {
	r.queue.close()
	r.running.Wait()
}

// reader is one of them; its goroutine owns it.
type reader struct {
	store      view
	replyBytes int
	log        *rationed
	names      *Recent[memberID, codec.Text] // of the senders
	pages      *pages
	post       post
	walk       *messages
	walking    bool // walk is open: the turn has had a read that needed it
}

func (r *reader) run(queue *mailbox) {
	for {
		b, ok := queue.takeOne()
		if !ok {
			return
		}
		whole := r.turn(b)
		r.names.Trim()
		if !whole {
			queue.putBack(b)
			continue
		}
		queue.release(len(b.Ops), b.Bytes)
		r.post.add(b)
		r.post.send()
	}
}

// turn answers reads of b, for as long as a turn takes, and reports whether none
// is left. All share one walk, opened after the commit that they wait for.
func (r *reader) turn(b *Batch) (whole bool) {
	defer r.endTurn()
	reads, bytes := 0, 0
	for ; b.next < len(b.Ops); b.next++ {
		op := &b.Ops[b.next]
		if op.Answer.Status != Unanswered {
			continue
		}
		if reads == turnReads || bytes >= turnBytes {
			return false
		}
		r.answer(b, op)
		reads++
		bytes += len(op.Answer.Body)
	}
	return true
}

func (r *reader) endTurn() {
	if r.walking {
		r.walking = false // the next read opens it anew
		r.walk.close()
	}
}

func (r *reader) answer(b *Batch, op *Op) {
	defer func() {
		if cause := recover(); cause != nil {
			op.Answer = Answer{Status: Crashed}
			r.log.error("a read panicked", "kind", op.Kind, "cause", cause, "stack", string(debug.Stack()))
			defer func() { _ = recover() }() // of the walk too, if it panicked in its midst
			r.endTurn()
		}
	}()
	before := len(b.Bodies)
	body, status, err := r.reply(b, op)
	switch {
	case err != nil:
		r.log.error("a read failed", "kind", op.Kind, "chat", op.Chat, "error", err.Error())
		op.Answer.Status = Failed
	case status != OK:
		op.Answer.Status = status
	case !b.Budget.Take(len(body)):
		op.Answer.Status = Busy
	default:
		op.Answer = Answer{Status: OK, Body: body}
		return
	}
	b.Bodies = b.Bodies[:before]
}

// reply returns op's reply, which it appends to b.Bodies where it has to build it.
func (r *reader) reply(b *Batch, op *Op) ([]byte, Status, error) {
	before := len(b.Bodies)
	if op.Kind == FindChats {
		status, err := r.findChats(b, op.Find)
		return built(b, before), status, err
	}
	if b.Budget.Spent() {
		return nil, Busy, nil
	}
	id := pageOf(op)
	body, again := r.pages.get(id)
	if body != nil {
		return body, OK, nil
	}
	if err := r.page(b, op); err != nil {
		return nil, Failed, err
	}
	body = built(b, before)
	if again {
		r.pages.put(id, body)
	}
	return body, OK, nil
}

// built is what b.Bodies got since it was so long.
func built(b *Batch, before int) []byte { return b.Bodies[before:len(b.Bodies):len(b.Bodies)] }

// page appends the messages that op asks for to b.Bodies.
func (r *reader) page(b *Batch, op *Op) error {
	service := codec.GetChat
	if op.Kind == Receive {
		service = codec.Receive
	}
	page := codec.NewPage(b.Bodies, service, r.replyBytes)
	err := r.messages(&page, op)
	if err == nil {
		b.Bodies = page.Finish()
	}
	return err
}

func (r *reader) messages(page *codec.Page, op *Op) error {
	if op.from > op.to {
		return nil
	}
	if !r.walking {
		r.walk.open()
		r.walking = true
	}
	var fault error
	err := r.walk.window(op.Chat, op.from, op.to, op.Kind == GetChat, func(index int64, m *message) bool {
		shown := codec.Message{Sender: m.sender, Text: m.text, Index: index, Time: m.time}
		if op.Kind == Receive {
			shown.Name, fault = r.name(op.Chat, m.sender)
		}
		return fault == nil && page.Message(&shown)
	})
	if fault != nil {
		return fault
	}
	return err
}

// name returns a sender's name: durable where its message is, since the sender
// became a member before it, and the same for ever.
func (r *reader) name(chat int64, user uuid.UUID) (codec.Text, error) {
	id := memberID{chat, user}
	if name, ok := r.names.Get(id); ok {
		return name, nil
	}
	name, found, err := r.store.memberName(chat, user)
	if err == nil && !found {
		err = fmt.Errorf("the sender of a message in chat %d is no member of it", chat)
	}
	if err == nil {
		r.names.Put(id, name, memberBytes+int64(len(name)))
	}
	return name, err
}

// maxUsersShown is how many members FindChats shows of a chat.
const maxUsersShown = 1000

// findChats merges what every shard has of the user's chats.
func (r *reader) findChats(b *Batch, find *Find) (Status, error) {
	if find.refused() || b.Budget.Spent() {
		return Busy, nil
	}
	chats, err := find.walk()
	if err != nil {
		return Failed, err
	}
	defer chats.close()
	page := codec.NewPage(b.Bodies, codec.FindChats, r.replyBytes)
	for n := 0; ; n++ {
		id, in, ok := chats.next()
		if !ok {
			break
		}
		if n == find.Count {
			page.More()
			break
		}
		shown, err := showChat(in, id)
		if err != nil {
			return Failed, err
		}
		if !page.Chat(&shown) {
			break
		}
	}
	if err := chats.failure(); err != nil {
		return Failed, err
	}
	b.Bodies = page.Finish()
	return OK, nil
}

func showChat(in view, id int64) (codec.Chat, error) {
	c, err := in.chat(id)
	if err == nil && c == nil {
		err = fmt.Errorf("chat %d has members and no record", id)
	}
	if err != nil {
		return codec.Chat{}, err
	}
	users, err := in.users(id, maxUsersShown)
	return codec.Chat{
		ID: id, Name: c.record.name, IsGroup: c.record.group, Users: users, Members: c.record.members, Last: c.last,
	}, err
}
