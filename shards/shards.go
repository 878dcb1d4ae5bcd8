// Package shards owns every chat and every account, in memory and on disk.
//
// Each chat belongs to one shard, each shard is one writer (an actor) over one
// Pebble database, and only that writes its chats: order inside a chat needs no
// lock. The accounts (ids, tokens, names) belong to one more actor of the same
// kind, so that "id and token are unique" is a lookup and a write. The writer is a
// goroutine of the actor's own or, for as long as it leads, a caller: each makes its
// commit while it has the actor's turn.
//
// A caller hands operations over in a [Batch] and gets the same batch back,
// answered, in the [Outbox] that the batch names:
//
//	Submit ─→ mailbox ─→ take all that waits ─→ apply each into one batch of
//	          (bounded)  writes ─→ commit, synced, once ─→ publish ─→ Outbox
//	                                                 └→ readers ─→ Outbox
//
// Leave and Lead are Submit for a caller that has nothing better to do than the commit
// itself, which then wakes nobody and is woken by nobody.
//
// A chat's newest messages are asked for by all who follow it. Messages do not change,
// so the readers of a shard build such a reply once and remember it, and from then on the
// writer answers it by itself (pages.go).
//
// While a commit is in flight, requests pile up in the mailbox; the next drain
// takes them all. That is the group commit: it needs no timer.
//
// # What is durable
//
// An answer is published only after the sync of everything that it depends on.
// The writer syncs a drain before it publishes any answer of it, refusals
// included. Nothing is in the store, or to be read of the journal, before it is
// synced; what apply finds is durable, or part of its own drain. Readers run beside
// the writer: a message read is bounded by the chat's last index at the moment when
// the writer took the read up.
//
// # State changes are pure
//
// Applying an operation reads no clock, draws no random number and does no I/O
// beyond reading its own actor's store: the time and a new chat's id are in the
// operation. It can be replayed; a drain in which an operation panics is in fact
// applied once more, without that operation.
//
// # Memory
//
// Config.Memory is divided among Pebble's block cache, out of which the
// memtables are taken, the segments of the journals, the caches of chats, members,
// names, replies and accounts, and a part that is left to the caller's cache of users. All
// are bounded by it; what is not in a cache is read from the store.
//
// # Storage
//
// A message takes two steps. A commit writes all its messages, with what else it
// writes, as one record of the database's log, and keeps them in memory, in a segment of
// its journal; there they are read. What else it writes goes into Pebble's memtable. A
// segment that is full is sorted by chat and index, written as tables of packs of
// messages, and taken into the store; then its part of the log is used again:
//
//	send ─→ segment (memory) ─┬→ record of the log, synced ─→ memtable ─→ answer
//	                          └→ full: filer ─→ sorted tables ─→ log freed
//
// The log is our own, Pebble's is off: messages would go through its memtable, and each
// commit through two goroutines more (log.go).
//
// Tables are filed by epochs, of one segment or several: those of one Pebble
// merges a few times, and then leaves alone, however large the store is. Reading back
// through a chat goes from epoch to epoch (walk.go).
//
// A key for each message in place of that, which the store had before, costs a
// search of Pebble's memtable for each of them: more than half of a send.
//
// The writer owns the segment that fills (journal.go, segment.go) and the file of the
// log that it writes to, the filer, one goroutine for each database, the segments that are
// full, with their files (filing.go). Readers hold what they read of either; its memory
// is used again when the last lets go.
//
// Beside each database a mark says how far its commits and its MANIFEST were
// synced, so that a log or a MANIFEST whose end is damaged is refused, not cut
// short in silence (mark.go).
//
// Opening reads the logs, writes again what nothing vouches for, has Pebble flush what
// commits wrote, and only then accepts the store: load, adopt and accept of database.
//
// Two types are the seam behind which the storage layout stands: writes, what
// one commit makes durable, and view with messages, what can be read. records.go
// draws the keys and values.
//
// It is the only package that imports Pebble.
package shards

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
)

// The bounds and defaults of Config.
const (
	MinShards = 1
	MaxShards = 16
	// coresPerShard is for how many cores a new directory gets a shard: it makes one
	// commit of all that waits for it, and two make two of half as much, with twice the
	// syncs and the wake-ups (../docs/performance.md).
	coresPerShard = 2

	MinMemory     = 64 << 20 // bytes
	DefaultMemory = 1 << 30  // bytes

	DefaultMailboxRequests = 65536
	DefaultMailboxBytes    = 64 << 20
	DefaultReplyBytes      = 2 << 20
	DefaultOpenFiles       = 1024

	readersPerShard = 2
)

// Config says where a Store lives and how much it may use. The zero value of a
// field means its default; Dir has none.
type Config struct {
	Dir             string // the data directory
	Shards          int    // 1 … 16, fixed when Dir is made; 0: as it was made, or one for two cores
	Memory          int64  // bytes for caches, memtables and journals
	NoSync          bool   // acknowledge before the sync; for those who measure it
	MailboxRequests int    // requests waiting or being carried out, per actor
	MailboxBytes    int64  // bytes of those requests, per actor
	ReplyBytes      int    // bytes of the body of a read's reply
	OpenFiles       int    // table files that Pebble keeps open, over all databases
	FS              vfs.FS // default: the operating system's
	Logger          *slog.Logger

	segment int // bytes of each segment of a journal; default: as planned

	// Fatal is called, perhaps more than once, when the disk has failed a write:
	// nothing more can be promised, and the process must end before any answer
	// that depends on it. It must not return. Default: panic.
	Fatal func(error)
}

// fill sets defaults and reports every fault at once.
func (c *Config) fill() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Dir == "", "no data directory is given")
	fault(c.Shards != 0 && (c.Shards < MinShards || c.Shards > MaxShards),
		"shards must be %d to %d, not %d", MinShards, MaxShards, c.Shards)
	c.Memory = cmp.Or(c.Memory, DefaultMemory)
	fault(c.Memory < MinMemory, "memory must be at least %d bytes, not %d", MinMemory, c.Memory)
	c.MailboxRequests = cmp.Or(c.MailboxRequests, DefaultMailboxRequests)
	c.MailboxBytes = cmp.Or(c.MailboxBytes, DefaultMailboxBytes)
	c.ReplyBytes = cmp.Or(c.ReplyBytes, DefaultReplyBytes)
	c.OpenFiles = cmp.Or(c.OpenFiles, DefaultOpenFiles)
	fault(c.MailboxRequests < 1 || c.MailboxBytes < 1, "a mailbox must hold at least 1 request and 1 byte")
	fault(c.ReplyBytes < 1, "a reply must hold at least 1 byte")
	fault(c.OpenFiles < 1, "at least 1 file must be open")
	if c.Dir != "" {
		c.Dir = filepath.Clean(c.Dir)
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
	return errors.Join(faults...)
}

// Store is an open data directory and the actors over it. Its methods are safe
// for concurrent use, but for Close, which must be the last.
type Store struct {
	config    Config
	directory *directory
	pool      *pool
	shards    []*actor
	accounts  *actor
}

// Open opens the data directory, making it where there is none, and starts the
// actors. A directory that is in use, of a newer format, made with another
// number of shards, or not Throng's is refused, and nothing in it is touched.
func Open(config Config) (*Store, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	dir, err := openDirectory(config.FS, config.Dir, config.Shards)
	if err != nil {
		return nil, fmt.Errorf("open data directory %q: %w", config.Dir, err)
	}
	config.Shards = dir.shards
	s := &Store{config: config, directory: dir}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open() error {
	plan := planMemory(s.config.Memory, s.config.Shards)
	s.pool = newPool(plan.blockCache, s.config.OpenFiles)
	if s.directory.made {
		if err := s.expectDatabases(); err != nil {
			return err
		}
	}
	db, err := s.database(accountsName, plan.accountsMemtable, 0)
	if err != nil {
		return err
	}
	s.accounts = newActor(s.config, accountsName, db, newAccounts(db.view, &s.directory.secret, plan.accounts), 0, 0)

	// Opening reads what the last run had not filed or flushed: do it side by side.
	s.shards = make([]*actor, s.config.Shards)
	faults := make([]error, s.config.Shards)
	var wg sync.WaitGroup
	for i := range s.shards {
		wg.Go(func() {
			name := shardName(i)
			db, err := s.database(name, plan.memtable, cmp.Or(s.config.segment, plan.segment))
			if err != nil {
				faults[i] = err
				return
			}
			s.shards[i] = newActor(s.config, name, db, newChats(db.view, plan.shard), plan.names, plan.pages)
		})
	}
	wg.Wait()
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if err := s.accept(); err != nil {
		return err
	}
	for _, a := range s.actors() {
		a.start()
	}
	return nil
}

// accept begins to write into databases that are all whole. The directory is of this
// format once all of them are, and before anything is written that a program which knows
// only their former format would not find.
func (s *Store) accept() error {
	for _, a := range s.actors() {
		if err := a.db.adopt(); err != nil {
			return fmt.Errorf("open store %q: %w", a.db.path, err)
		}
	}
	if err := s.directory.finish(); err != nil {
		return err
	}
	for _, a := range s.actors() {
		if err := a.db.accept(s.config); err != nil {
			return fmt.Errorf("open store %q: %w", a.db.path, err)
		}
	}
	return nil
}

// The directories of the databases.
const accountsName = "accounts"

func shardName(i int) string { return fmt.Sprintf("shard-%03d", i) }

// expectDatabases tells which databases or marks are missing, before any is
// opened: to open one writes to it.
func (s *Store) expectDatabases() (faults error) {
	for _, name := range s.directory.databases() {
		path := s.databasePath(name)
		faults = errors.Join(faults, expectDatabase(s.config.FS, path))
		if s.directory.marked {
			faults = errors.Join(faults, checkUnopened(s.config.FS, path))
		}
	}
	return faults
}

func (s *Store) databasePath(name string) string { return s.config.FS.PathJoin(s.config.Dir, name) }

func (s *Store) database(name string, memtable uint64, segment int) (*database, error) {
	db, err := openDatabase(s.config, s.pool, s.databasePath(name), memtable, segment, s.directory.made)
	if err != nil {
		return nil, err
	}
	err = db.load(s.directory.former(), !s.directory.marked)
	if err == nil && !s.directory.marked {
		err = s.directory.write(name+markSuffix, newMarkFile(marked{commits: db.commits}))
	}
	if err == nil {
		err = db.follow(s.config)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %q: %w", s.databasePath(name), err), db.close())
	}
	return db, nil
}

// Close carries out what waits in the mailboxes, stops the actors and closes
// the directory. Nothing may be submitted any more.
func (s *Store) Close() error {
	actors := s.actors()
	for _, a := range actors {
		a.stop()
	}
	// A list of chats is read in one shard and reads them all: only now are all
	// on their way, and none of the databases is closed before they are done.
	for _, a := range actors {
		a.readers.close()
	}
	var faults []error
	for _, a := range actors {
		faults = append(faults, a.close())
	}
	if s.pool != nil {
		s.pool.close()
	}
	return errors.Join(append(faults, s.directory.close())...)
}

// actors returns those that were opened.
func (s *Store) actors() []*actor {
	var list []*actor
	for _, a := range append([]*actor{s.accounts}, s.shards...) {
		if a != nil {
			list = append(list, a)
		}
	}
	return list
}

// Shards returns the number of shards.
func (s *Store) Shards() int { return s.config.Shards }

// Target names an actor: 0 … Shards()-1 a shard, Shards() the accounts.
type Target int

// Accounts returns the target of Lookup, Register and Resolve operations.
func (s *Store) Accounts() Target { return Target(s.config.Shards) }

// ShardOf returns the target of a chat's operations.
func (s *Store) ShardOf(chat int64) Target {
	// Chat ids are random but for those that a client makes up: mix them with
	// the finalizer of MurmurHash3, which spreads every bit over all others.
	h := uint64(chat)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return Target((h ^ h>>33) % uint64(s.config.Shards))
}

// Submit hands b over to an actor. It reports false, at once and with nothing
// done, where the actor's mailbox has no room for it. After true, b and all that
// it points to belong to the store until they come back in b.Home.
func (s *Store) Submit(to Target, b *Batch) bool { return s.actor(to).mailbox.put(b) }

// Leave is Submit for a caller that goes on to Lead: it does not wake the actor.
func (s *Store) Leave(to Target, b *Batch) bool { return s.actor(to).mailbox.leave(b) }

// Lead carries out what waits for an actor, as much as goes into one commit, on the
// caller's goroutine in place of the actor's own: nobody has to be woken, neither for
// the commit nor for its answers, which is most of what a send costs where few are in
// flight. What one commit leaves, the actor's goroutine does, and it does all where it is
// at work already: then Lead returns at once. Else the caller waits for the disk, and for
// the outboxes of others that have batches here. The answered batches of home are
// appended to answered and do not go through it, but for reads, which the readers send there.
func (s *Store) Lead(to Target, home Outbox, answered []*Batch) []*Batch {
	return s.actor(to).lead(home, answered)
}

// Busy reports whether an actor's mailbox is full.
func (s *Store) Busy(to Target) bool { return s.actor(to).mailbox.full() }

func (s *Store) actor(t Target) *actor {
	if t == s.Accounts() {
		return s.accounts
	}
	return s.shards[t]
}

// PairChat returns the id that the chat of users a and b has or is to have, the
// same from either side. Attempts count up from 0 where the id before was found
// to belong to another chat.
func (s *Store) PairChat(a, b uuid.UUID, attempt int) int64 {
	return s.directory.secret.pairChat(a, b, attempt)
}

// FreeBytes returns the space that the data directory's file system has left.
func (s *Store) FreeBytes() (uint64, error) {
	usage, err := s.config.FS.GetDiskUsage(s.config.Dir)
	if err != nil {
		return 0, fmt.Errorf("free space of %q: %w", s.config.Dir, err)
	}
	return usage.AvailBytes, nil
}

// SpareMemory returns the bytes of Config.Memory that are left to the caller, for
// its own cache of users.
func (s *Store) SpareMemory() int64 { return planMemory(s.config.Memory, s.config.Shards).spare }

// memoryPlan is how Config.Memory is divided.
type memoryPlan struct {
	blockCache       int64  // bytes, memtables included: Pebble takes them out of it
	memtable         uint64 // bytes, of each shard
	segment          int    // bytes of each segment, of which a shard has segmentsPerShard
	accountsMemtable uint64 // bytes
	shard            int64  // bytes for each shard's caches of chats and members
	names            int64  // bytes for each shard's readers' caches of names
	pages            int64  // bytes for each shard's replies that are asked for again and again
	accounts         int64  // bytes for the caches of accounts
	spare            int64  // bytes for the caller's cache of users
}

// planMemory gives three sixteenths to the caches of chats, replies, names and accounts,
// as much again to what the garbage collector lets gather beside them, five
// thirty-seconds at most to the journals, and the rest to Pebble. The memtables, of
// which a shard has at most memtablesPerShard, may fill five eighths of that, and those
// of the accounts an eighth of that again.
func planMemory(memory int64, shards int) memoryPlan {
	caches := memory * 3 / 16
	segment := min(memory*5/32/int64(shards)/segmentsPerShard, maxSegment)
	journals := segment * segmentsPerShard * int64(shards)
	pebble := memory - 2*caches - journals
	memtables := pebble * 5 / 8 / memtablesPerShard // one of each shard
	return memoryPlan{
		blockCache:       pebble,
		memtable:         uint64(min(memtables/int64(shards), maxMemtable)),
		segment:          int(segment),
		accountsMemtable: uint64(min(memtables/8, maxMemtable/4)),
		shard:            caches * 10 / 16 / int64(shards),
		pages:            caches * 3 / 16 / int64(shards),
		names:            caches / 16 / int64(shards),
		accounts:         caches / 16,
		spare:            caches / 16,
	}
}
