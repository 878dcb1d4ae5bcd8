package shards

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/uuid"

	"throng/bench/torture/campaign"
	"throng/codec"
)

// The shape of a round: a disk lives for some generations, each of which goes on
// from a crash of the one before.
const (
	generations   = 2
	clonesTalking = 8 // taken while clients talk, in each generation
	clonesClosing = 2 // taken while the store closes
)

// Power cuts in the midst of everything: clients talk while clones of the disk
// are taken, each with a random part of what was not synced, and more while the
// store closes. Whatever had been answered before a clone was taken must be in the
// store that opens on it.
func TestCrashesUnderLoad(t *testing.T) {
	c := campaign.Start(t, "crash-clones", campaign.Short(map[bool]int{false: 4, true: 1}[testing.Short()]))
	for c.Next() {
		r := &crashRound{t: t, campaign: c, rng: c.Rand(), fs: newCrashFS(), ledger: &ledger{}}
		for generation := range generations {
			r.run(generation)
		}
	}
}

// ledger is what answers have told, in the order in which they came. A part of it
// from the start is what had been told at some moment.
type ledger struct {
	mu    sync.Mutex
	facts []fact
}

// fact is one thing that an answer has told. The fields that are not of it are
// zero.
type fact struct {
	user  uuid.UUID // a registered user, a member, a sender
	token int64     // a registration
	chat  int64     // a chat and a member of it
	index int64     // a message
	text  string
	last  int64 // a chat had so many messages
}

func (l *ledger) note(f ...fact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.facts = append(l.facts, f...)
}

func (l *ledger) all() []fact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.facts[:len(l.facts):len(l.facts)]
}

// crash is a clone of the disk and what had been answered before it was taken.
type crash struct {
	fs       *crashFS
	facts    []fact
	delicate bool // looked at in short tests too
}

type crashRound struct {
	t        *testing.T
	campaign *campaign.Campaign
	rng      *rand.Rand
	fs       *crashFS
	ledger   *ledger
}

// run lets clients talk, takes clones meanwhile and while the store closes, and
// looks at each of them; the next generation goes on from one of them.
func (r *crashRound) run(generation int) {
	s := open(r.t, r.fs, withShards(3), withSegments(4<<10<<r.rng.IntN(8)))
	stop := make(chan struct{})
	var talking sync.WaitGroup
	for i := range 5 {
		talker := newTalker(s, r.ledger, fmt.Sprintf("talker %d", i), uint64(generation), r.rng.Uint64())
		talking.Go(func() { talker.talk(r.t, stop) })
	}
	talking.Go(func() { flushNowAndThen(s, stop) })
	crashes := r.crashes(clonesTalking)
	close(stop)
	talking.Wait()
	verify(r.t, s, r.ledger)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	crashes = append(crashes, r.crashes(clonesClosing)...)
	if err := await(closed, "end of Close"); err != nil {
		r.t.Errorf("close: %v", err)
	}
	r.look(crashes)
}

// crashes takes so many clones, a random time after each other.
func (r *crashRound) crashes(n int) (list []crash) {
	for range n {
		time.Sleep(time.Duration(r.rng.IntN(1_200)) * time.Microsecond)
		facts := r.ledger.all()
		list = append(list, crash{fs: r.fs.clone(r.rng.IntN(101), r.rng), facts: facts})
	}
	return list
}

// look reopens the clones side by side, and hands a random one on.
func (r *crashRound) look(crashes []crash) {
	next := r.rng.IntN(len(crashes))
	sideBySide(len(crashes), func(i int) {
		c := &crashes[i]
		survived := &ledger{facts: c.facts}
		fs := r.reopen(c.fs, survived)
		if r.t.Failed() {
			r.t.Errorf("seen in clone %d of %d", i, len(crashes))
		}
		r.campaign.Add("clones", 1)
		r.campaign.Add("facts held", int64(len(c.facts)))
		if i == next {
			r.fs, r.ledger = fs, survived
		}
	})
	if r.t.Failed() {
		r.t.FailNow()
	}
}

// sideBySide calls do for 0 … n-1 on all cores, and returns when all are done. A
// test that fails in do ends that call alone.
func sideBySide(n int, do func(i int)) {
	var next atomic.Int64
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	working.Wait()
}

// reopen opens a store on a clone, looks at all of it, sends on, and crashes once
// more: what the reopened store showed must be there after that, too.
func (r *crashRound) reopen(fs *crashFS, l *ledger) *crashFS {
	s, err := Open(testConfig(fs, withShards(3)))
	if err != nil {
		r.t.Fatalf("after a crash: %v", err)
	}
	verify(r.t, s, l)
	again := fs.clone(0, nil)
	closeStore(r.t, s)

	s, err = Open(testConfig(again, withShards(3)))
	if err != nil {
		r.t.Fatalf("after a crash of the reopened store: %v", err)
	}
	lasts := verify(r.t, s, l)
	c := newClient(s)
	for chat, last := range lasts {
		sender := memberOf(l, chat)
		if a := c.send(chat, sender, textOf(chat, sender, "after", int(last), 0)); a.Status != OK || a.Index != last+1 {
			r.t.Errorf("chat %d ends at %d, and the next message has index %d (%s)", chat, last, a.Index, a.Status.said())
		}
	}
	closeStore(r.t, s)
	return again
}

func memberOf(l *ledger, chat int64) (user uuid.UUID) {
	for _, f := range l.facts {
		if f.chat == chat {
			user = f.user
		}
	}
	return user
}

// verify holds a store against a ledger, which from then on holds what verify
// saw. It returns how far each chat has come.
func verify(t *testing.T, s *Store, l *ledger) (lasts map[int64]int64) {
	t.Helper()
	c := newClient(s)
	lasts = map[int64]int64{}
	histories := map[int64][]shownMessage{}
	listed := map[uuid.UUID]map[int64]shownChat{}
	for _, f := range l.all() {
		if f.token != 0 {
			if op := c.lookup(f.token); op.Answer.Status != OK || op.User != f.user {
				t.Errorf("the user %v with token %d: %s, %v", f.user, f.token, op.Answer.Status.said(), op.User)
			}
		}
		if f.chat == 0 {
			continue
		}
		if _, ok := histories[f.chat]; !ok {
			histories[f.chat] = c.history(t, f.chat, f.user)
			lasts[f.chat] = int64(len(histories[f.chat]))
			verifyHistory(t, f.chat, histories[f.chat])
		}
		if _, ok := listed[f.user]; !ok {
			listed[f.user] = chatsOf(t, c, f.user)
		}
		if shown, ok := listed[f.user][f.chat]; !ok || shown.Last != lasts[f.chat] {
			t.Errorf("chat %d of %v, with %d messages, is listed as %+v (%v)", f.chat, f.user, lasts[f.chat], shown, ok)
		}
		switch {
		case max(f.last, f.index) > lasts[f.chat]:
			t.Errorf("chat %d had %d messages, now it has %d", f.chat, max(f.last, f.index), lasts[f.chat])
		case f.index > 0 && histories[f.chat][f.index-1].Content != f.text:
			t.Errorf("message %d of chat %d was %.40q, now it is %.40q", f.index, f.chat, f.text, histories[f.chat][f.index-1].Content)
		}
		if t.Failed() {
			return lasts
		}
	}
	l.replaceMessages(histories)
	return lasts
}

// replaceMessages forgets all that was told of messages but these, and what was
// told more than once.
func (l *ledger) replaceMessages(histories map[int64][]shownMessage) {
	known := map[fact]bool{}
	var kept []fact
	for _, f := range l.all() {
		if f.index == 0 && f.last == 0 && !known[f] {
			known[f] = true
			kept = append(kept, f)
		}
	}
	for chat, history := range histories {
		for _, m := range history {
			kept = append(kept, fact{chat: chat, user: m.ID, index: m.Index, text: m.Content})
		}
	}
	l.facts = kept
}

func chatsOf(t *testing.T, c *client, user uuid.UUID) map[int64]shownChat {
	chats := map[int64]shownChat{}
	for _, shown := range readPage[shownChat](t, c.find(user, 0, codec.MaxCount)).Values {
		chats[shown.ID] = shown
	}
	return chats
}

// verifyHistory looks for messages that are torn, astray, twice there, or older
// than the one before. That they are dense, client.history has seen to.
func verifyHistory(t *testing.T, chat int64, history []shownMessage) {
	t.Helper()
	seen := map[string]bool{}
	time := int64(0)
	for _, m := range history {
		if !wholeText(m.Content, chat, m.ID) {
			t.Errorf("message %d of chat %d is torn or astray: %.60q", m.Index, chat, m.Content)
		}
		if seen[m.Content] {
			t.Errorf("message %d of chat %d is there twice: %.60q", m.Index, chat, m.Content)
		}
		if m.Time < time {
			t.Errorf("message %d of chat %d is older than the one before", m.Index, chat)
		}
		seen[m.Content], time = true, m.Time
	}
}

// textOf makes a text that tells where it belongs, and its own length.
func textOf(chat int64, sender uuid.UUID, who string, n, padding int) string {
	return fmt.Sprintf("%d|%v|%s|%d|%d|%s.", chat, sender, who, n, padding, strings.Repeat("x", padding))
}

func wholeText(text string, chat int64, sender uuid.UUID) bool {
	parts := strings.Split(text, "|")
	if len(parts) != 6 {
		return false
	}
	n, _ := strconv.Atoi(parts[3])
	padding, _ := strconv.Atoi(parts[4])
	return text == textOf(chat, sender, parts[2], n, padding)
}

// flushNowAndThen makes the stores write tables, and with them all the files
// that a crash may hit.
func flushNowAndThen(s *Store, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
			actors := s.actors()
			_, _ = actors[i%len(actors)].db.pebble.AsyncFlush() // one that fails ends the process
		}
	}
}

// talker is a client that does everything at random and notes what it was told.
type talker struct {
	client *client
	ledger *ledger
	rng    *rand.Rand
	who    string
	user   uuid.UUID
	round  uint64
	sent   int
	chats  []int64 // it is a member of them
}

func newTalker(s *Store, l *ledger, who string, round, seed uint64) *talker {
	return &talker{
		client: newClient(s), ledger: l, rng: rand.New(rand.NewPCG(seed, 0)),
		who: fmt.Sprintf("%s of round %d", who, round), user: userID(who), round: round,
	}
}

func (k *talker) talk(t *testing.T, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		switch n := k.rng.IntN(100); {
		case len(k.chats) == 0 || n < 8:
			k.enter(t)
		case n < 12:
			k.register(t)
		case n < 30:
			k.read(t)
		case n < 34:
			k.list(t)
		default:
			k.send(t)
		}
	}
}

// enter creates a chat or joins one that is there.
func (k *talker) enter(t *testing.T) {
	chat := int64(k.rng.IntN(12)) + 1
	op := createOp(chat, true, k.user)
	if k.rng.IntN(4) == 0 {
		other := userID(fmt.Sprintf("talker %d", k.rng.IntN(3)+100))
		chat = k.client.store.PairChat(k.user, other, 0)
		op = createOp(chat, false, k.user, other)
	}
	if k.client.one(op).Answer.Status == Collision {
		if a := k.client.join(chat, k.user, k.who); a.Status != OK {
			t.Errorf("join: %s", a.Status.said())
		}
	}
	k.ledger.note(fact{chat: chat, user: k.user})
	k.chats = append(k.chats, chat)
}

func (k *talker) register(t *testing.T) {
	token := k.rng.Int64N(codec.MaxToken) + 1
	id := userID(fmt.Sprint("token ", token))
	if a := k.client.register(id, token, k.who); a.Status != OK {
		t.Errorf("register: %s", a.Status.said())
	}
	k.ledger.note(fact{user: id, token: token})
}

func (k *talker) chat() int64 { return k.chats[k.rng.IntN(len(k.chats))] }

// send sends some messages at once, each perhaps twice under one ref.
func (k *talker) send(t *testing.T) {
	chat := k.chat()
	var ops []Op
	for range k.rng.IntN(12) + 1 {
		k.sent++
		padding := k.rng.IntN(200)
		if k.rng.IntN(60) == 0 {
			padding = k.rng.IntN(20_000) // over several of the disk's blocks
		}
		op := sendOp(chat, k.user, textOf(chat, k.user, k.who, k.sent, padding), "")
		op.Time = k.rng.Int64N(1000)
		if k.rng.IntN(4) == 0 {
			op.Ref = codec.Text(fmt.Sprint(k.round, "/", k.sent))
			ops = append(ops, op)
		}
		ops = append(ops, op)
	}
	for _, op := range k.client.do(k.client.store.ShardOf(chat), ops...) {
		if op.Answer.Status != OK {
			t.Errorf("send: %s", op.Answer.Status.said())
			continue
		}
		k.ledger.note(fact{chat: chat, user: k.user, index: op.Answer.Index, text: string(op.Text)})
	}
}

func (k *talker) read(t *testing.T) {
	chat := k.chat()
	op := k.client.one(Op{Kind: GetChat, Chat: chat, User: k.user, Index: -1, Count: 20})
	for _, m := range readPage[shownMessage](t, op).Values {
		k.ledger.note(fact{chat: chat, user: m.ID, index: m.Index, text: m.Content})
	}
}

func (k *talker) list(t *testing.T) {
	for _, shown := range readPage[shownChat](t, k.client.find(k.user, 0, 100)).Values {
		for _, u := range shown.Users {
			k.ledger.note(fact{chat: shown.ID, user: u.ID}, fact{chat: shown.ID, user: u.ID, last: shown.Last})
		}
	}
}

// The same without chance: a short conversation, and a crash at each operation
// that it makes on the files, in compacting, closing and reopening too: of what
// was synced, with nothing, some and all of the rest.
func TestCrashAtEveryFileOperation(t *testing.T) {
	mem := newCrashFS()
	closeStore(t, open(t, mem)) // how it is made has a test of its own
	l := &ledger{}
	rng := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	var crashes []crash
	afterMarker := false // Pebble has just named its new manifest: a delicate moment
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		facts := l.all()
		for _, percent := range []int{0, rng.IntN(100), 100} {
			crashes = append(crashes, crash{mem.clone(percent, rng), facts, false})
		}
		if afterMarker {
			for range 6 {
				crashes = append(crashes, crash{mem.clone(50, rng), facts, true})
			}
		}
		afterMarker = op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "marker.manifest")
		return nil
	}))

	for opening := range 2 {
		converse(t, fs, l, uint64(opening))
	}

	mu.Lock()
	defer mu.Unlock()
	sideBySide(len(crashes), func(i int) {
		if t.Failed() || testing.Short() && i%19 != 0 && !crashes[i].delicate {
			return
		}
		s := open(t, crashes[i].fs)
		verify(t, s, &ledger{facts: crashes[i].facts})
		closeStore(t, s)
		if t.Failed() {
			t.Errorf("seen in crash %d of %d", i, len(crashes))
		}
	})
	t.Logf("%d crashes", len(crashes))
}

// converse opens a store, says a few things, and flushes, compacts and closes it.
func converse(t *testing.T, fs vfs.FS, l *ledger, round uint64) {
	s := open(t, fs)
	talker := newTalker(s, l, "talker", round, 5+round)
	for i := range 8 {
		talker.enter(t)
		talker.register(t)
		talker.send(t)
		talker.read(t)
		if i%4 != 3 {
			continue
		}
		fileAll(t, s)
	}
	for _, a := range s.actors() {
		if err := a.db.pebble.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
}
