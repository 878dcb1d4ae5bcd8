package sabotage

// sabotage breaks one rule.
type sabotage struct {
	name string // of a subtest
	rule string // that it breaks, as a sentence
	file string
	old  string // stands in the file once
	new  string
	pkg  string // of the test that must fail
	test string
}

const (
	shardsTests = "./shards"
	engineTests = "./engine"
	codecTests  = "./codec"
	checkTests  = "./bench/check"
	wireTests   = "./cmd/throng"
)

// table lists every sabotage, by the part that it is done to.
var table = []sabotage{
	// What is durable.
	{
		"answer before the sync", "An answer is published only after its commit is synced.",
		"shards/actor.go", "\t\ta.commit(w)\n\t\ta.publish(drain[:n])\n", "\t\ta.publish(drain[:n])\n\t\ta.post.send()\n\t\ta.commit(w)\n",
		shardsTests, "TestAFailedCommitIsFatal",
	},
	{
		"commit without a sync", "A commit is synced.",
		"shards/log.go", "\tif !l.noSync {\n", "\tif l.noSync {\n",
		shardsTests, "TestCrashesUnderLoad",
	},
	{
		"a failed sync is passed over", "A sync of the log that fails ends the process.",
		"shards/log.go", "\t\tdie(l.fatal, fmt.Errorf(\"sync the log: %w\", err))\n", "\t\t_ = fmt.Errorf(\"sync the log: %w\", err)\n",
		shardsTests, "TestAFailedCommitIsFatal",
	},
	{
		"fatal returns", "Who has met a failed disk goes no further, even where Fatal returns.",
		"shards/database.go", "\tpanic(\"shards: Config.Fatal returned\")\n", "",
		shardsTests, "TestFatalEndsWhoeverCalledIt",
	},
	{
		"a commit is applied before it is synced", "Nothing is in the store, where lists of chats find it, before it is synced.",
		"shards/database.go", "\tif err := db.log.append(db.journal.ready(), &r); err != nil {\n", "\tif !w.batch.Empty() {\n\t\tif err := db.pebble.Apply(w.batch, pebble.NoSync); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tw.batch = db.pebble.NewBatch()\n\t}\n\tif err := db.log.append(db.journal.ready(), &r); err != nil {\n",
		shardsTests, "TestNobodySeesWhatIsNotSynced",
	},
	{
		"reads without a bound", "A read ends at the message that was the newest when it was taken up.",
		"shards/readers.go", "\tvar fault error\n\terr := r.walk.window(", "\tif last, _, err := r.walk.last(op.Chat); err == nil && op.Index < 0 {\n\t\top.to = max(op.to, last)\n\t}\n\tvar fault error\n\terr := r.walk.window(",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"a reply is shared with another form", "A reply is remembered for just the read that it answers.",
		"shards/pages.go", "pageID{op.Chat, op.from, op.to, op.Kind}", "pageID{op.Chat, op.from, op.to, GetChat}",
		shardsTests, "TestAReplyThatIsAskedForAgainIsShared",
	},
	{
		"a reply is shared with a longer window", "A reply is remembered for just the read that it answers.",
		"shards/pages.go", "pageID{op.Chat, op.from, op.to, op.Kind}", "pageID{op.Chat, 0, op.to, op.Kind}",
		shardsTests, "TestAReplyThatIsAskedForAgainIsShared",
	},
	{
		"a remembered reply for nothing", "A remembered reply is charged to each who gets it.",
		"shards/actor.go", "body != nil && b.Budget.Take(len(body)) {\n\t\t\top.Answer", "body != nil {\n\t\t\top.Answer",
		shardsTests, "TestASharedReplyIsCharged",
	},
	{
		"two writers at once", "One at a time writes a shard: who leads, or the actor.",
		"shards/actor.go", "\tif !a.turn.TryLock() {\n\t\treturn answered\n\t}\n", "\tif !a.turn.TryLock() {\n\t\ta.round()\n\t\treturn answered\n\t}\n",
		shardsTests, "TestALeaderLeavesItToTheActor",
	},
	{
		"what a leader leaves is forgotten", "What a leader leaves is the actor's to do.",
		"shards/mailbox.go", "\tif len(m.queue) > 0 {\n\t\tm.arrived.Signal()\n\t}\n", "",
		shardsTests, "TestMailboxWakesForWhatIsPutOnly",
	},
	{
		"remembered replies for who takes none", "A peer over its budget is refused until it has taken half.",
		"shards/actor.go", "|| op.Kind == FindChats || b.Budget.Spent() {", "|| op.Kind == FindChats {",
		shardsTests, "TestARememberedReplyIsRefusedAsAnyOther",
	},
	{
		"a remembered reply is not its own", "A remembered reply never changes.",
		"shards/pages.go", "\treply = slices.Clone(reply)\n", "\t_ = slices.Clone(reply)\n",
		shardsTests, "TestPagesKeepTheirOwnBytes",
	},
	{
		"replies are remembered for ever", "What is remembered of replies is bounded.",
		"shards/pages.go", "\tp.replies.Trim()\n", "",
		shardsTests, "TestPagesAreBounded",
	},
	{
		"an epoch never ends", "A full epoch is not written again.",
		"shards/filing.go", "next.bytes >= epochSegments*", "next.bytes >= 1000*epochSegments*",
		shardsTests, "TestAFullEpochIsNotWrittenAgain",
	},
	{
		"much of a chat fills no epoch", "What is read well enough is not merged.",
		"shards/filing.go", "max(1, epochSegments*messages/(epochPerChat*chats), epochSegments*s.bytes()/(epochBytesPerChat*chats))", "max(1, 0*messages*chats)",
		shardsTests, "TestMuchOfAChatFillsAnEpoch",
	},
	{
		"packs begin where a segment does", "Messages that are filed again replace those of before.",
		"shards/records.go", "next%packMessages != 0 &&", "next > 0 && len(p.values) < packMessages &&",
		shardsTests, "TestPacksAreReplacedByThoseOfTheNextFiling",
	},
	{
		"a pack that is cut short is taken", "A pack is whole, or an error.",
		"shards/records.go", "len(p.values) != int(count[0])", "len(p.values) > int(count[0])",
		shardsTests, "TestADamagedPackIsAnError",
	},
	{
		"packs beside single messages", "An epoch has packs, or messages of before there were any.",
		"shards/filing.go", "next.epoch == former || !next.packed ||", "next.epoch == former ||",
		shardsTests, "TestPacksBeginWithAnEpoch",
	},
	{
		"a window begins with a pack", "A window begins where it should, in the midst of a pack too.",
		"shards/walk.go", "found && w.pack.last() >= from {", "found && w.pack.first == from {",
		shardsTests, "TestWindowsLieOverEpochs",
	},
	{
		"a pack keeps what is lost", "Who goes on without the end of the log has no message of it.",
		"shards/lost.go", "w.pack.last() < from {", "from > 0 {",
		shardsTests, "TestGoingOnLeavesOutWhatIsLost",
	},
	{
		"an older message is noted as the newest", "An index is given once, whatever is forgotten.",
		"shards/filing.go", "use(newestKey(chat), encodeNewest(index, time))", "use(newestKey(chat), encodeNewest(max(1, index-1), time))",
		shardsTests, "TestSegmentAgainstModel",
	},
	{
		"a list is written before its message", "No epoch lists a chat in vain, wherever a crash cuts it off.",
		"shards/filing.go", "batch.Set(epochKey(chat, next.epoch), nil, nil)", "errors.Join(note(epochKey(chat, next.epoch), nil), room())",
		shardsTests, "TestACrashBetweenTheBatchesListsNoChatInVain",
	},
	{
		"the newest is not noted without tables", "What is filed without tables is noted as all is that is filed.",
		"shards/filing.go", "\t\terr = s.newestOf(chats, note)\n", "\t\t_ = note\n",
		shardsTests, "TestACrashWhileMessagesAreFiledThroughTheLog",
	},
	{
		"what is left out stays noted", "What is noted of a chat agrees with its messages.",
		"shards/lost.go", "encodeNewest(from-1, time)", "encodeNewest(from, time)",
		shardsTests, "TestGoingOnLeavesOutWhatIsLost",
	},
	{
		"a store is taken for noted", "Where nothing is noted of chats, they are looked for.",
		"shards/records.go", "f.noted, f.packed = flags&1 != 0, flags&2 != 0\n\t\t}", "f.noted, f.packed = flags&1 != 0, flags&2 != 0\n\t\t} else {\n\t\t\tf.noted = true\n\t\t}",
		shardsTests, "TestADirectoryWithoutNewestMessagesIsTakenOver",
	},
	{
		"a chat is known before its end is", "No chat is kept whose newest message could not be read.",
		"shards/chats.go", "\tc, err := s.load(op.Chat)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n", "\tc, err := s.load(op.Chat)\n\tif err != nil {\n\t\ts.know(c, op.User)\n\t\treturn nil, err\n\t}\n",
		shardsTests, "TestAFailedReadFailsAlone",
	},
	{
		"an epoch lists no chats", "What is filed is found in its epoch.",
		"shards/filing.go", "use(epochKey(chat, epoch), nil)", "use(epochKey(chat+1<<53, epoch), nil)",
		shardsTests, "TestWindowsLieOverEpochs",
	},
	{
		"the wrong epoch is searched", "What is filed is found in its epoch.",
		"shards/walk.go", "return first == 0\n", "return first != 0\n",
		shardsTests, "TestWindowsLieOverEpochs",
	},
	{
		"a crash files twice", "What is filed is not filed again.",
		"shards/records.go", "if f.epoch == former && f.commit <= commits {", "if f.commit <= commits {",
		shardsTests, "TestWhatIsFiledIsNotFiledAgain",
	},
	{
		"a former journal stays", "The journal that a former format had in Pebble is gone once it is filed.",
		"shards/database.go", "if found && err == nil {", "if found && err != nil {",
		shardsTests, "TestAFormerJournalIsForgotten",
	},
	{
		"filed in name first", "A message is in the store before it counts as filed.",
		"shards/filing.go", "begun.commit, begun.begun = s.first-1, s.last", "begun.commit, begun.begun = s.last, s.last",
		shardsTests, "TestACrashWhileMessagesAreFiledThroughTheLog",
	},
	{
		"an epoch is gone back to", "Nothing is filed in an epoch behind one that has anything.",
		"shards/filing.go", "err := batch.Set(filedKey, begun.encode(), nil)", "var err error",
		shardsTests, "TestACrashWhileMessagesAreFiledThroughTheLog",
	},
	{
		"filing begins before the format says so", "Nothing is filed before all databases are found to be whole.",
		"shards/shards.go", "\t\terr = db.follow(s.config)\n", "\t\terr = db.follow(s.config)\n\t\tif err == nil && s.directory.marked {\n\t\t\tdb.filer = startFiler(db, s.config.FS)\n\t\t\tdb.journal.fileAll()\n\t\t\tdb.filer.close()\n\t\t}\n",
		shardsTests, "TestTheFormatIsWrittenFirst",
	},
	{
		"a list of what is left out stays", "Who goes on without the end of the log has a store that agrees with itself.",
		"shards/lost.go", "if !stays && epoch != former {", "if stays && epoch != former {",
		shardsTests, "TestGoingOnLeavesOutWhatIsLost",
	},
	{
		"a user is cached before the sync", "A loop knows a user only from an answer of the accounts.",
		"engine/dispatch.go", "\tc.add(c.loop.server.store.Accounts(), op, c.replies.at(place).bytes)\n}\n\nfunc (c *conn) findChats", "\tc.loop.users.Put(op.Token, user{id: op.User, name: op.Name}, userBytes)\n\tc.add(c.loop.server.store.Accounts(), op, c.replies.at(place).bytes)\n}\n\nfunc (c *conn) findChats",
		wireTests, "TestARefusedRegistrationTakesNothing",
	},
	{
		"a damaged log is opened", "A log that is shorter than what was synced is refused.",
		"shards/mark.go", "case commits < number:", "case false:",
		shardsTests, "TestALogThatIsDamagedAtItsEndIsRefused",
	},
	{
		"a mark that is missing is made anew", "A database without its mark is refused.",
		"shards/mark.go", "case errors.Is(err, os.ErrNotExist):\n\t\treturn fmt.Errorf(\"the file", "case errors.Is(err, os.ErrNotExist):\n\t\treturn nil\n\t\treturn fmt.Errorf(\"the file",
		shardsTests, "TestAMissingMarkIsRefused",
	},
	{
		"a mark runs ahead", "A mark never says more than what is synced.",
		"shards/mark.go", "\tm.number.Store(number)\n\tselect {", "\tm.number.Store(number + 1)\n\tselect {",
		shardsTests, "TestACrashAloneIsNotRefused",
	},
	{
		"a damaged manifest is opened", "A MANIFEST that is not what was synced is refused.",
		"shards/manifest.go", "if uint64(n) != e.bytes || sum.Sum32() != e.sum {", "if uint64(n) > e.bytes {",
		shardsTests, "TestADamagedManifestIsRefused",
	},
	{
		"an older manifest is opened", "A MANIFEST older than that in force is refused.",
		"shards/manifest.go", "case !ok || number < e.manifest:", "case !ok:",
		shardsTests, "TestAnOlderManifestIsRefused",
	},
	{
		"a refused store loses its logs", "Refusing a store removes nothing of it.",
		"shards/evidence.go", "\tif e.accepted {", "\tif e.accepted || len(e.kept) == 0 {",
		shardsTests, "TestPebblesLogsOfARefusedStoreStay",
	},
	{
		"markers before their directory", "A marker names only what is durable.",
		"shards/database.go", "if strings.HasPrefix(fs.PathBase(name), markerPrefix) {", "if strings.HasPrefix(fs.PathBase(name), \"no \"+markerPrefix) {",
		shardsTests, "TestMarkersNameWhatIsDurable",
	},

	// The journal.
	{
		"pending messages are shown", "The journal shows only what is durable.",
		"shards/database.go", "\tif err := db.log.append(db.journal.ready(), &r); err != nil {\n", "\tif err := db.journal.commit(number); err != nil {\n\t\treturn err\n\t}\n\tif err := db.log.append(db.journal.ready(), &r); err != nil {\n",
		shardsTests, "TestNobodySeesWhatIsNotSynced",
	},
	{
		"the journal is not read", "Opening reads what is not filed.",
		"shards/journal.go", "\t\treturn j.restore(r.number, r.messages)\n", "\t\treturn nil\n",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"a gap in the journal", "A journal whose messages do not follow each other is refused.",
		"shards/segment.go", "if e.index != t.last()+1 {", "if e.index <= t.last() {",
		shardsTests, "TestADamagedJournalIsRefused",
	},
	{
		"a journal ahead of its commits", "A journal that is newer than the last commit is refused.",
		"shards/journal.go", "case binary.BigEndian.Uint64(key[1:]) > last:", "case binary.BigEndian.Uint64(key[1:]) > last+1000:",
		shardsTests, "TestADamagedJournalIsRefused",
	},
	{
		"a message beside the one that was asked for", "A segment finds a message by its index.",
		"shards/segment.go", "s.runs[run+runHeader+low-before:]", "s.runs[run+runHeader+low-before+1:]",
		shardsTests, "TestSegmentAgainstModel",
	},
	{
		"a drop that does not drop", "What a panicking operation wrote is not in the journal.",
		"shards/writes.go", "\tw.journal.drop()\n", "",
		shardsTests, "TestNothingIsLeftOfAPanic",
	},
	{
		"the log is freed before its messages are filed", "A commit stays in the log until its messages are in the store.",
		"shards/filing.go", "\terr := f.db.pebble.Ingest(", "\t_ = f.db.log.free(s.files)\n\terr := f.db.pebble.Ingest(",
		shardsTests, "TestWhatIsFiledLeavesTheLog",
	},
	{
		"the log is freed though a filing failed", "A filing that fails frees nothing.",
		"shards/filing.go", "\tif err != nil {\n\t\tf.remove(paths)\n", "\tif err != nil {\n\t\t_ = f.db.log.free(s.files)\n\t\tf.remove(paths)\n",
		shardsTests, "TestAFilingThatFindsNoSpace",
	},
	{
		"a filed segment stays in the log", "The files of a filed segment are freed.",
		"shards/filing.go", "f.db.log.free(s.files)", "f.db.log.free(nil)",
		shardsTests, "TestWhatIsFiledLeavesTheLog",
	},
	{
		"no other way to file", "Where tables are not taken in, their messages are filed all the same.",
		"shards/filing.go", "if err == nil || isFull(err) {", "if err == nil || isFull(err) || s.first > 0 {",
		shardsTests, "TestMessagesAreFiledWithoutLinks",
	},
	{
		"tables that are not taken in are forgotten", "What is not taken in as a table is written into a memtable.",
		"shards/filing.go", "\tif err := f.put(s, next); err != nil {\n\t\treturn err\n\t}\n\treturn f.flush()\n", "\treturn nil\n",
		shardsTests, "TestMessagesAreFiledWithoutLinks",
	},
	{
		"a filing without tables is not flushed", "The log is freed once what was filed is in tables.",
		"shards/filing.go", "\treturn f.flush()\n", "\treturn nil\n",
		shardsTests, "TestMessagesThatAreFiledWithoutTablesAreFlushed",
	},
	{
		"writes wait for what is never filed", "A filing that fails while writes wait ends the process.",
		"shards/filing.go", "if f.work.awaited.Load() {", "if f.work.awaited.Load() && f.prefix == \"\" {",
		shardsTests, "TestAFilingThatFindsNoSpace",
	},
	{
		"a journal without a limit", "Writes wait where too much is not filed.",
		"shards/journal.go", "return len(j.segments) < segmentsPerShard }", "return len(j.segments) >= 0 }",
		shardsTests, "TestAFilingThatFindsNoSpace",
	},
	{
		"a table that was left over stays", "Opening removes what a filing left.",
		"shards/database.go", "if err := removeFilings(c.FS, db.path); err != nil {", "if err := removeFilings(c.FS, db.path+\"no\"); err != nil {",
		shardsTests, "TestLeftoversOfFilingsAreRemoved",
	},
	{
		"what the log may lose is filed", "Only what is durable is filed.",
		"shards/filing.go", "\tf.db.log.settle() // with syncs off\n", "\tif c := f.db.log.current; c != nil {\n\t\tc.dirty.Store(false)\n\t}\n",
		shardsTests, "TestNothingIsFiledThatTheLogMayLose",
	},
	{
		"what the log may lose is flushed", "Only what is durable is flushed.",
		"shards/background.go", "\t\tfs.log.settle()\n", "",
		shardsTests, "TestNothingIsFlushedThatTheLogMayLose",
	},
	{
		"a journal behind its tables", "Where the log has lost its end, what is filed counts, and not the journal.",
		"shards/records.go", "if f.epoch == former && f.commit <= commits {", "if f.epoch == former || f.commit > commits {",
		shardsTests, "TestGoingOnFromFormat3",
	},
	{
		"messages of nobody stay", "Who goes on without the end of the log keeps no message whose sender it has lost.",
		"shards/lost.go", "\t\tif !member && fault == nil {", "\t\tif !member && fault != nil {",
		shardsTests, "TestGoingOnLeavesOutWhatIsLost",
	},
	{
		"messages of no chat stay", "Who goes on without the end of the log keeps no message whose chat it has lost.",
		"shards/lost.go", "\tif record == nil {\n\t\treturn 1, 0, nil", "\tif record == nil {\n\t\treturn 0, 0, nil",
		shardsTests, "TestGoingOnLeavesOutWhatIsLost",
	},
	{
		"what a filing began with stays", "Who goes on without the end of the log keeps nothing of a filing that came further.",
		"shards/lost.go", "\tif filed > last {\n", "\tif filed > last+1000 {\n",
		shardsTests, "TestGoingOnWithoutTheEndOfAFiling",
	},
	{
		"a log behind its tables", "A log that has fewer commits than are filed is refused.",
		"shards/database.go", "if db.opening.lost && !goOn {", "if db.opening.lost && goOn {",
		shardsTests, "TestALogThatEndsBeforeWhatIsFiledIsRefused",
	},
	{
		"a filing that was begun counts for nothing", "A log that ends before what a filing may have written is refused.",
		"shards/database.go", "known := max(flushed, db.opening.commit, db.opening.begun)", "known := max(flushed, db.opening.commit)",
		shardsTests, "TestGoingOnWithoutTheEndOfAFiling",
	},
	{
		"a refused store is filed", "Nothing is filed before all of the log is accepted.",
		"shards/database.go", "\t\tdb.opening.recovery, err = db.journal.recover(", "\t\tdb.filer = startFiler(db, db.log.fs)\n\t\tdb.opening.recovery, err = db.journal.recover(",
		shardsTests, "TestARefusedJournalIsNotFiled",
	},
	{
		"what is held is used again", "A segment's memory is used again only when nobody holds it.",
		"shards/journal.go", "case s.refs > 0:", "case s.refs > 1<<20:",
		shardsTests, "TestWhatIsHeldIsNotUsedAgain",
	},
	{
		"an iterator older than the journal", "Who reads holds the journal before the store.",
		"shards/walk.go", "func (w *messages) open() { w.held = w.view.journal.hold() }", "func (w *messages) open() {\n\tw.it, _ = iterate(w.view.from, []byte{messagePrefix}, []byte{messagePrefix + 1})\n\tw.held = w.view.journal.hold()\n}",
		shardsTests, "TestMessagesAreFoundWhileTheyAreFiled",
	},
	{
		"the filter denies messages", "A filter denies only what it knows.",
		"shards/filter.go", "return walked(key) ||", "return !walked(key) &&",
		shardsTests, "TestTheFilterDeniesOnlyWhatItKnows",
	},
	{
		"a log in an older format", "A directory says that it has a log before it has one.",
		"shards/directory.go", "if d.made && d.marked && d.format == formatVersion {", "if d.made && d.marked {",
		shardsTests, "TestADirectoryWithoutJournalsIsTakenOver",
	},
	{
		"damage is taken for a crash", "A record that does not read is damage where one behind it vouches for it.",
		"shards/log.go", "r.flags&flagVouches != 0 && r.number > last {", "r.flags&flagVouches != 0 && r.number > last+1000 {",
		shardsTests, "TestAFlipInTheLogIsFound",
	},
	{
		"a commit is missing in between", "Each commit in the log follows on the one before it.",
		"shards/log.go", "\t\tif r.after > rec.last {\n", "\t\tif r.after > rec.last+1000 {\n",
		shardsTests, "TestAMissingFileOfTheLogIsFound",
	},
	{
		"what a failed sync left counts", "What nothing vouches for is written again before anything depends on it.",
		"shards/log.go", "\t\t\t_, err = k.file.file.WriteAt(k.record, k.at)\n", "\t\t\t_ = k.at\n",
		shardsTests, "TestWhatAFailedSyncLeftIsWrittenAgain",
	},
	{
		"a record vouches for what is not synced", "A record vouches only for what was on disk when it was written.",
		"shards/log.go", "\tl.settled = false\n", "",
		shardsTests, "TestTheLogAgainstModel",
	},
	{
		"freed files keep what they had", "What is left in a file that is free is not read.",
		"shards/log.go", "f.file.WriteAt(make([]byte, recordHeader), 0)", "f.file.WriteAt(nil, 0)",
		shardsTests, "TestTheFilesOfTheLogAreBounded",
	},
	{
		"a new file of the log has no durable name", "The name of a file is durable before the first commit in it.",
		"shards/log.go", "if err == nil && !f.named {", "if err == nil && f.named {",
		shardsTests, "TestNewDirectoriesSurviveACrash",
	},
	{
		"a file is begun before the one before is synced", "With syncs off, no file of the log is behind one that is not synced.",
		"shards/log.go", "\tl.sync()\n\tl.mu.Lock()\n", "\tl.mu.Lock()\n",
		shardsTests, "TestTheLogAgainstModel",
	},
	{
		"what commits wrote is not flushed", "The log is freed once what its commits wrote is in tables.",
		"shards/database.go", "\t\tdb.wrote.Store(true) // not before, or a flush would be taken for one of it\n", "",
		shardsTests, "TestWhatIsFiledLeavesTheLog",
	},
	{
		"a log without messages without a limit", "A segment is filed where it has much of the log, too.",
		"shards/journal.go", "s.logged() >= max(minSegmentLog,", "s.logged() >= 1000*max(minSegmentLog,",
		shardsTests, "TestALogWithoutMessagesIsFreed",
	},
	{
		"openings without a limit", "A segment has a bounded number of files.",
		"shards/journal.go", "len(s.files) >= maxSegmentFiles {", "len(s.files) >= 1000*maxSegmentFiles {",
		shardsTests, "TestTheFilesOfTheLogAreBounded",
	},
	{
		"the log of a newer program is left out", "A store whose log is newer than its format is refused.",
		"shards/journal.go", "if err == nil && rec.found && !rec.restated {", "if err == nil && rec.found && !rec.restated && last > 1000 {",
		shardsTests, "TestALogThatIsNewerThanTheFormatIsRefused",
	},
	{
		"a takeover leaves the journal where it was", "What a former format had in Pebble is in the log before the format says so.",
		"shards/database.go", "\tif found.former {\n\t\tfound.last = found.commit\n", "\tif found.former {\n\t\tfound.last, db.commits = found.commit, 0\n",
		shardsTests, "TestATakeoverThatIsInterrupted",
	},
	{
		"what is lost is not bridged", "After what is lost, or has no messages, the log ends with the last commit.",
		"shards/database.go", "\tif err == nil && found.last < db.commits {\n", "\tif err == nil && found.last > db.commits {\n",
		shardsTests, "TestGoingOnLeavesOutRefs",
	},
	{
		"the log ends before what is lost is left out", "A store that goes on leaves out what is lost, whenever that is interrupted.",
		"shards/database.go", "\tif err == nil && !found.unflushed.Empty() {\n", "\tif err == nil && found.last < db.commits {\n\t\terr = db.bridge()\n\t\tfound.last = db.commits\n\t}\n\tif err == nil && !found.unflushed.Empty() {\n",
		shardsTests, "TestACrashWhileItIsLeftOut",
	},
	{
		"refs of lost messages stay", "Who goes on without the end of the log keeps no ref of a message that is lost.",
		"shards/lost.go", "\treturn db.leaveOutRefs(walk)\n", "\treturn nil\n",
		shardsTests, "TestGoingOnLeavesOutRefs",
	},

	// Indexes and order.
	{
		"an index is used again after reopening", "A reopened chat goes on behind its last message.",
		"shards/walk.go", "return w.pack.last(), m.time, err", "return w.pack.last() - 1, m.time, err",
		shardsTests, "TestADirectoryWithoutJournalsIsTakenOver",
	},
	{
		"an index is left out", "Indexes are dense.",
		"shards/chats.go", "\tw.message(c.id, c.last+1, &m)\n", "\tc.last = max(c.last, 1)\n\tw.message(c.id, c.last+1, &m)\n",
		shardsTests, "TestScripts",
	},
	{
		"the last operation of a batch is dropped", "Every operation of a batch is carried out.",
		"shards/actor.go", "if a.applyOne(b, op, w); op.Answer.Status == Unanswered {", "if i > 0 && i == len(b.Ops)-1 && op.Kind == Send {\n\t\t\t\top.Answer = Answer{Status: OK, Index: 1}\n\t\t\t} else {\n\t\t\t\ta.applyOne(b, op, w)\n\t\t\t}\n\t\t\tif op.Answer.Status == Unanswered {",
		engineTests, "TestRepliesComeInTheOrderOfRequests",
	},
	{
		"messages are not written", "What is acknowledged is in the commit.",
		"shards/database.go", ", messages: db.journal.pending()}", "}",
		shardsTests, "TestScripts",
	},
	{
		"a message goes to another chat", "A message is in the chat that it was sent to.",
		"shards/writes.go", "w.journal.message(chat, index, m)", "w.journal.message(chat^-min(1, index/3), index, m)",
		shardsTests, "TestScripts",
	},
	{
		"replies out of order", "Replies come in the order of their requests.",
		"engine/conn.go", "out = r.append(out)\n\t\tbuilt", "out = append(r.append(nil), out...)\n\t\tbuilt",
		engineTests, "TestRepliesComeInTheOrderOfRequests",
	},
	{
		"requests overtake a parked one", "A request waits behind one whose user is being looked up.",
		"engine/dispatch.go", "\tif len(c.parked) == 0 {\n\t\tif u, known", "\tif true {\n\t\tif u, known",
		engineTests, "TestParkedRequestsKeepTheirOrder",
	},
	{
		"time goes backwards", "The time of a chat's messages never decreases.",
		"shards/chats.go", "max(op.Time, c.lastTime)", "op.Time",
		engineTests, "TestClockThatJumps",
	},

	// Repeats.
	{
		"ref is forgotten within a drain", "A repeated ref is found in its own commit.",
		"shards/chats.go", "if index, ok := s.refs[string(key)]; ok {", "if index, ok := s.refs[string(key)]; ok && index < 0 {",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"ref is forgotten by the store", "A repeated ref is found later, and after a restart.",
		"shards/chats.go", "\treturn w.ref(key, c.last)\n", "\treturn nil\n",
		shardsTests, "TestScripts",
	},
	{
		"ref of any sender", "A ref is its sender's own.",
		"shards/chats.go", "key := refKey(c.id, op.User, op.Ref)", "key := refKey(c.id, uuid.UUID{}, op.Ref)",
		shardsTests, "TestStoreAgainstModel",
	},

	// Who may do what.
	{
		"membership is not checked", "Only a member reads and sends.",
		"shards/chats.go", "\tif !member {\n\t\top.Answer.Status = NoChat\n\t\treturn nil, nil\n\t}\n\treturn c, nil\n", "\t_ = member\n\treturn c, nil\n",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"anybody joins a pair", "Nobody joins a chat of two.",
		"shards/chats.go", "case !c.record.group:", "case false:",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"an id is registered twice", "An id belongs to one user.",
		"shards/accounts.go", "if taken || !free {", "if taken && !free {",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"a token is registered twice", "A token belongs to one user.",
		"shards/accounts.go", "return token, key, !taken, err", "return token, key, true, err",
		shardsTests, "TestScripts",
	},
	{
		"login does not compare the id", "A login needs the id that the token belongs to.",
		"engine/dispatch.go", "if u.id != r.ID {", "if false {",
		wireTests, "TestLoginKnowsRightFromWrong",
	},
	{
		"tokens that are alike", "A token is told from every other.",
		"shards/secret.go", "uint64(token)))", "uint64(token|1)))",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"a pair has two chats", "Both sides of a pair find the same chat.",
		"shards/secret.go", "if bytes.Compare(a[:], b[:]) > 0 {", "if bytes.Compare(a[:], b[:]) > 1 {",
		shardsTests, "TestPairChats",
	},
	{
		"tokens in clear", "A token is not on disk.",
		"shards/secret.go", "\treturn s.mac(binary.BigEndian.AppendUint64([]byte{tokenUse}, uint64(token)))\n", "\tvar m mac\n\tbinary.BigEndian.PutUint64(m[:], uint64(token))\n\treturn m\n",
		shardsTests, "TestTokensAreNotOnDisk",
	},

	// What is shown.
	{
		"a shard is left out of a list", "A list of chats is of all shards.",
		"shards/find.go", "m = append(m, oneShard{part, chats})", "if m = append(m, oneShard{part, chats}); len(m) > 1 {\n\t\t\tm[0].chats.it.Last()\n\t\t\tm[0].chats.it.Next()\n\t\t}",
		shardsTests, "TestStoreAgainstModel",
	},
	{
		"a missing message is passed over", "A hole in a chat is an error, never a shorter page.",
		"shards/walk.go", "if w.pack.first > next {", "if next = max(next, w.pack.first); next < 0 {",
		shardsTests, "TestDamageIsNotShown",
	},
	{
		"a newer record is guessed", "A record of an unknown version is an error.",
		"shards/records.go", "v[0] != recordVersion", "v[0] == 0",
		shardsTests, "TestOtherVersionsAreErrors",
	},
	{
		"a negative number is read", "A record's numbers are not negative.",
		"shards/records.go", "n <= 0 || v > math.MaxInt64", "n <= 0 || v == math.MaxUint64-1",
		shardsTests, "FuzzRecords",
	},

	// Limits.
	{
		"requests in flight", "A connection has a limit of requests in flight.",
		"engine/conn.go", "case c.replies.len() >= s.config.InFlight,", "case c.replies.len() < 0,",
		engineTests, "TestInFlightByCount",
	},
	{
		"bytes in flight", "A connection has a limit of bytes in flight.",
		"engine/conn.go", "c.inFlightBytes+bytes > s.config.InFlightBytes && c.inFlightBytes > 0,", "c.inFlightBytes < 0,",
		engineTests, "TestInFlightByBytes",
	},
	{
		"a mailbox without a limit", "A mailbox is bounded.",
		"shards/mailbox.go", "full := m.requests+len(b.Ops) > m.maxRequests || m.bytes+int64(b.Bytes) > m.maxBytes", "full := m.requests < 0",
		shardsTests, "TestMailboxIsBounded",
	},
	{
		"a 429 that does the work", "A refusal means that nothing was done.",
		"shards/mailbox.go", "if m.closed || full && m.requests > 0 {\n", "if m.closed || full && m.requests > 0 {\n\t\tif !m.closed {\n\t\t\tm.queue = append(m.queue, b)\n\t\t}\n",
		shardsTests, "TestAFullMailboxRefuses",
	},
	{
		"an outbox without a limit", "An outbox is bounded.",
		"engine/outbox.go", "for o.requests >= maxOutbox && !o.closed {", "for o.requests < 0 && !o.closed {",
		engineTests, "TestOutboxIsBounded",
	},
	{
		"unread replies pile up", "A peer that does not read is closed.",
		"engine/conn.go", "if c.budget.Used() > limit+limit/unreadGrace {", "if c.budget.Used() < -limit {",
		engineTests, "TestUnreadRepliesCloseTheConnection",
	},
	{
		"a budget without a limit", "Replies that are being built are bounded.",
		"shards/op.go", "if used > 0 && used+int64(n) > b.limit {", "if used < 0 {",
		shardsTests, "TestBudget",
	},
	{
		"connections without a limit", "A connection over the cap is closed.",
		"engine/handler.go", "h.connections.Add(1) > int64(h.config.Connections) || h.draining.Load()", "h.connections.Add(1) < 0 || h.draining.Load()",
		engineTests, "TestTooManyConnections",
	},
	{
		"nonsense without end", "A peer that sends nothing but nonsense is closed.",
		"engine/conn.go", "if c.bad++; c.bad >= c.loop.server.config.BadRequests {", "if c.bad++; c.bad < 0 {",
		engineTests, "TestBadRequestsInARow",
	},
	{
		"a frame that drips", "A frame must end in time.",
		"engine/conn.go", "c.partial > 0 && now-c.partial >= config.PartialFrame ||", "c.partial < 0 ||",
		engineTests, "TestTimers",
	},
	{
		"a frame of any length", "A frame has a limit.",
		"codec/frame.go", "if length == 0 || uint64(length) > uint64(c.limit) {", "if length == 0 {",
		codecTests, "TestCutterCutsAStreamIntoItsFrames",
	},
	{
		"a page of any size", "A page is cut at its limit.",
		"codec/reply.go", "if len(p.buf) > p.end && p.values > 0 {", "if len(p.buf) < 0 {",
		codecTests, "TestPageIsCutAtItsLimit",
	},
	{
		"text that is no UTF-8", "A request that is not UTF-8 is refused.",
		"codec/decode.go", "case !utf8.Valid(body):", "case len(body) == 0 && !utf8.Valid(body):",
		codecTests, "TestDecodeRefusesABodyWithAnyByteSpoilt",
	},
	{
		"plain text that is no UTF-8", "A text that is not UTF-8 is refused.",
		"codec/plain.go", "(wide&highs == 0 || utf8.Validate(s[:i])):", "(wide&highs == 0 || len(s) > 0 || utf8.Validate(s[:i])):",
		codecTests, "TestTextsAreValidUTF8",
	},
	{
		"writes to a full disk", "Writes are refused below the floor of free space.",
		"engine/conn.go", "case writes && s.diskFull.Load():", "case writes && s.diskFull.Load() && s.draining.Load():",
		engineTests, "TestDiskFloor",
	},

	// The life of a server.
	{
		"a loop forgets what comes while it delivers", "A loop that leads leads again for what its answers bring.",
		"engine/loop.go", "\tl.leading = false\n\tbegun := l.now()\n", "\tdefer func() { l.leading = false }()\n\tbegun := l.now()\n",
		engineTests, "TestPairWhoseIDIsTaken",
	},
	{
		"a stall makes peers late", "Time in which a loop waits for the disk is not the peers'.",
		"engine/loop.go", "\t\tl.stalled += took\n", "\t\tl.stalled += 0 * took\n",
		engineTests, "TestAStallMakesNobodyLate",
	},
	{
		"a drain drops answers", "A drain finishes what was taken.",
		"engine/engine.go", "Add(s.config.DrainTimeout)", "Add(-s.config.DrainTimeout)",
		engineTests, "TestDrainFinishesWhatWasAccepted",
	},
	{
		"a panic leaves its traces", "What a panicking operation changed is forgotten.",
		"shards/actor.go", "\t\ta.state.reset()\n", "",
		shardsTests, "TestNothingIsLeftOfAPanic",
	},
	{
		"two servers on one directory", "A directory is locked.",
		"shards/directory.go", "if d.lock, err = fs.Lock(d.file(lockFile)); err != nil {", "if d.lock, err = fs.Lock(d.file(lockFile)); d.lock == nil && err == nil {",
		shardsTests, "TestDirectoryLock",
	},
	{
		"a newer format is opened", "A directory of a newer format is refused.",
		"shards/directory.go", "case f.Format > formatVersion:", "case f.Format < 0:",
		shardsTests, "TestDirectoryRefusals",
	},
	{
		"another number of shards", "The number of shards is fixed.",
		"shards/directory.go", "case d.shards != 0 && d.shards != f.Shards:", "case d.shards < 0:",
		shardsTests, "TestDirectoryRefusals",
	},

	// The judge itself.
	{
		"a judge blind to loss", "The checker finds an acknowledged message that is gone.",
		"bench/check/chat.go", "\tw.judgeHomeless()\n", "",
		checkTests, "TestEachFaultIsFound",
	},
	{
		"a judge blind to gaps", "The checker finds a hole in the indexes.",
		"bench/check/chat.go", "case w.Dense && index > last+1:", "case w.Dense && index < 0:",
		checkTests, "TestEachFaultIsFound",
	},
	{
		"a judge blind to order", "The checker finds a later send with a smaller index.",
		"bench/check/chat.go", "\tw.judgeOrder()\n", "",
		checkTests, "TestEachFaultIsFound",
	},
	{
		"a judge blind to reads", "The checker finds a read that lacks or shows what it should not.",
		"bench/check/chat.go", "\tw.judgeReads()\n", "",
		checkTests, "TestEachFaultIsFound",
	},
	{
		"a judge blind to repeats", "The checker finds a text that is there twice.",
		"bench/check/chat.go", "if of[i].index != first {", "if of[i].index < 0 {",
		checkTests, "TestEachFaultIsFound",
	},
}
