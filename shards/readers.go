package shards

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/uuid"

	"throng/codec"
)

// readers are the few goroutines that carry out a shard's reads, so that one
// that has to go to the disk (1 to 100 ms) does not hold up its writer. They
// read what the writer found durable and write nothing. Their queue needs no
// bound of its own: what waits in it still counts in the actor's mailbox.
type readers struct {
	queue   *mailbox
	running sync.WaitGroup
	pool    []*reader
}

// The cache of each reader holds this many names of senders.
const readerNames = 10000

func newReaders(db *database, answered *mailbox, replyBytes int, log *slog.Logger) *readers {
	r := &readers{queue: newMailbox(1<<62, 1<<62)}
	for range readersPerShard {
		r.pool = append(r.pool, &reader{
			db:         db,
			replyBytes: replyBytes,
			log:        log,
			names:      NewRecent[memberID, codec.Text](readerNames),
			post:       post{mailbox: answered},
		})
	}
	return r
}

func (r *readers) start() {
	for _, one := range r.pool {
		r.running.Go(func() { one.run(r.queue) })
	}
}

func (r *readers) put(batches []*Batch) {
	for _, b := range batches {
		r.queue.put(b)
	}
}

func (r *readers) close() {
	r.queue.close()
	r.running.Wait()
}

// reader is one of them.
type reader struct {
	db         *database
	replyBytes int
	log        *slog.Logger
	names      *Recent[memberID, codec.Text]
	post       post
	walk       messages // of the batch in hand; opened by its first read
}

func (r *reader) run(queue *mailbox) {
	for {
		b, ok := queue.takeOne()
		if !ok {
			return
		}
		r.carryOut(b)
		r.names.Trim()
		r.post.add(b)
		r.post.send()
	}
}

// carryOut answers what waits in b. All its reads share one iterator, opened
// after the commit that they wait for.
func (r *reader) carryOut(b *Batch) {
	for i := range b.Ops {
		if op := &b.Ops[i]; op.Answer.Status == Unanswered {
			r.answer(b, op)
		}
	}
	if r.walk.Iterator != nil {
		r.walk.close()
		r.walk = messages{}
	}
}

func (r *reader) answer(b *Batch, op *Op) {
	defer func() {
		if cause := recover(); cause != nil {
			op.Answer = Answer{Status: Crashed}
			r.log.Error("a read panicked", "kind", op.Kind, "cause", cause, "stack", string(debug.Stack()))
		}
	}()
	if b.Budget.Spent() && op.Kind != FindChats {
		op.Answer.Status = Busy
		return
	}
	before := len(b.Bodies)
	status, err := r.build(b, op)
	switch {
	case err != nil:
		r.log.Error("a read failed", "kind", op.Kind, "chat", op.Chat, "error", err)
		op.Answer.Status = Failed
	case status != OK:
		op.Answer.Status = status
	case !b.Budget.Take(len(b.Bodies) - before):
		op.Answer.Status = Busy
	default:
		op.Answer = Answer{Status: OK, Body: b.Bodies[before:len(b.Bodies):len(b.Bodies)]}
		return
	}
	b.Bodies = b.Bodies[:before]
}

// build appends op's reply to b.Bodies.
func (r *reader) build(b *Batch, op *Op) (Status, error) {
	if op.Kind == FindChats {
		return r.findChats(b, op)
	}
	service := codec.GetChat
	if op.Kind == Receive {
		service = codec.Receive
	}
	page := codec.NewPage(b.Bodies, service, r.replyBytes)
	if err := r.messages(&page, op); err != nil {
		return Failed, err
	}
	b.Bodies = page.Finish()
	return OK, nil
}

func (r *reader) messages(page *codec.Page, op *Op) (err error) {
	if op.from > op.to {
		return nil
	}
	if r.walk.Iterator == nil {
		if r.walk, err = messageIter(r.db, op.Chat); err != nil {
			return err
		}
	}
	if op.Kind == GetChat {
		return r.walk.windowDown(op.Chat, op.from, op.to, func(index int64, m *message) bool {
			return page.Message(&codec.Message{Sender: m.sender, Text: m.text, Index: index, Time: m.time})
		})
	}
	var fault error
	err = r.walk.window(op.Chat, op.from, op.to, func(index int64, m *message) bool {
		var name codec.Text
		if name, fault = r.name(op.Chat, m.sender); fault != nil {
			return false
		}
		return page.Message(&codec.Message{Sender: m.sender, Name: name, Text: m.text, Index: index, Time: m.time})
	})
	if fault != nil {
		return fault
	}
	return err
}

// name returns a sender's name: durable where its message is, since the sender
// became a member before it, and the same for ever.
func (r *reader) name(chat int64, user uuid.UUID) (name codec.Text, err error) {
	id := memberID{chat, user}
	if name, ok := r.names.Get(id); ok {
		return name, nil
	}
	found, err := get(r.db, memberKey(chat, user), func(value []byte) (err error) {
		name, err = decodeName(value)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("the sender of a message in chat %d is no member of it", chat)
	}
	if err == nil {
		r.names.Put(id, name)
	}
	return name, err
}

// maxUsersShown is how many members FindChats shows of a chat.
const maxUsersShown = 1000

// findChats merges what every shard's snapshot shows of the user's chats.
func (r *reader) findChats(b *Batch, op *Op) (Status, error) {
	find := op.Find
	defer find.close()
	if find.refused() || b.Budget.Spent() {
		return Busy, nil
	}
	walks, err := find.walk()
	if err != nil {
		return Failed, err
	}
	defer walks.close()
	page := codec.NewPage(b.Bodies, codec.FindChats, r.replyBytes)
	for n := 0; ; n++ {
		chat, from, ok := walks.next()
		if !ok {
			break
		}
		if n == find.Count {
			page.More()
			break
		}
		shown, err := showChat(from, chat)
		if err != nil {
			return Failed, err
		}
		if !page.Chat(&shown) {
			break
		}
	}
	if err := walks.failure(); err != nil {
		return Failed, err
	}
	b.Bodies = page.Finish()
	return OK, nil
}

func showChat(from *pebble.Snapshot, id int64) (codec.Chat, error) {
	var record chatRecord
	if err := loadRecord(from, id, &record); err != nil {
		return codec.Chat{}, err
	}
	shown := codec.Chat{ID: id, Name: record.name, IsGroup: record.group, Members: record.members}
	walk, err := messageIter(from, id)
	if err != nil {
		return codec.Chat{}, err
	}
	defer walk.close()
	if shown.Last, _, err = walk.last(); err != nil {
		return codec.Chat{}, err
	}
	walk.SetBounds(memberKey(id, uuid.Nil), appendChat(nil, memberPrefix, id+1))
	for ok := walk.First(); ok && len(shown.Users) < maxUsersShown; ok = walk.Next() {
		shown.Users = append(shown.Users, uuid.UUID(walk.Key()[memberKeyBytes-16:]))
	}
	return shown, walk.failure()
}
