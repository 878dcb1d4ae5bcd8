package shards

import (
	"maps"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

func quiet(string, int64, int64) {}

// A healthy directory has no fault, all of it is counted, and none of it is written.
func TestVerifyOfAHealthyDirectory(t *testing.T) {
	mem := damageable(t)
	before := allFiles(t, mem)
	report, err := Verify(testConfig(mem), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if report.Faulty != 0 || report.Messages != damagedMessages || report.Users != 1 || report.Chats != 1 || report.Members != 1 || report.Tables == 0 {
		t.Errorf("%+v", report)
	}
	if !maps.Equal(before, allFiles(t, mem)) {
		t.Error("verifying changed files")
	}
}

// Whatever is not as it must be is told.
func TestVerifyTellsWhatDoesNotAgree(t *testing.T) {
	for _, damage := range []struct {
		name, says string
		change     func(b *pebble.Batch) error
	}{
		{"messages are gone", "message 16 of chat 7 is missing: 31 stands in its place", func(b *pebble.Batch) error { return b.Delete(messageKey(1, 7, 16), nil) }},
		{"a message does not decode", "a record does not decode", func(b *pebble.Batch) error { return b.Set(messageKey(1, 7, 16), []byte{9}, nil) }},
		{"an epoch does not list its chat", "does not list its chat", func(b *pebble.Batch) error { return b.Delete(epochKey(7, 1), nil) }},
		{"an epoch lists a chat in vain", "epoch 9 lists chat 7, of which it has no message", func(b *pebble.Batch) error { return b.Set(epochKey(7, 9), nil, nil) }},
		{"the newest message is not noted", "the newest of its chat is not noted", func(b *pebble.Batch) error { return b.Delete(newestKey(7), nil) }},
		{"an older one is noted", "message 59 of time", func(b *pebble.Batch) error { return b.Set(newestKey(7), encodeNewest(59, 1), nil) }},
		{"one that there is not is noted", "message 61 of time 1 is noted", func(b *pebble.Batch) error { return b.Set(newestKey(7), encodeNewest(61, 1), nil) }},
		{"one is noted of no chat", "chat 8: message 1 of time 1 is noted", func(b *pebble.Batch) error { return b.Set(newestKey(8), encodeNewest(1, 1), nil) }},
		{"time goes back", "older than the one before", func(b *pebble.Batch) error {
			m := message{time: 1, sender: alice}
			value := m.append(nil)
			return b.Set(messageKey(1, 7, 31), value, nil)
		}},
		{"a chat is gone", "is of no chat", func(b *pebble.Batch) error { return b.Delete(chatKey(7), nil) }},
		{"a member is gone", "0 members, its record says 1", func(b *pebble.Batch) error { return b.Delete(memberKey(7, alice), nil) }},
		{"the index lacks a chat", "does not have the chat", func(b *pebble.Batch) error { return b.Delete(userKey(alice, 7), nil) }},
		{"the index has a chat more", "no such member", func(b *pebble.Batch) error { return b.Set(userKey(bob, 7), nil, nil) }},
		{"a ref points nowhere", "a ref points at message 99 of 60", func(b *pebble.Batch) error {
			return b.Set(refKey(7, alice, []byte(`"r"`)), []byte{recordVersion, 99}, nil)
		}},
		{"a ref points at another's", "not of them", func(b *pebble.Batch) error {
			return b.Set(refKey(7, bob, []byte(`"r"`)), []byte{recordVersion, 9}, nil)
		}},
	} {
		t.Run(damage.name, func(t *testing.T) {
			mem := damageable(t)
			s := open(t, mem)
			fileAll(t, s)
			db := s.shards[s.ShardOf(7)].db
			b := db.pebble.NewBatch()
			if err := damage.change(b); err != nil {
				t.Fatal(err)
			}
			if err := plant(db, b); err != nil {
				t.Fatal(err)
			}
			closeStore(t, s)
			report, err := Verify(testConfig(mem), quiet)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(report.Faults, "\n"), damage.says) {
				t.Errorf("%+v", report)
			}
		})
	}
}

// A flip in any file is a fault, but for what no reader ever sees.
func TestVerifyFindsADamagedTable(t *testing.T) {
	mem := damageable(t)
	found := 0
	for _, path := range damageableFiles(t, mem, testDir) {
		if !strings.HasSuffix(path, ".sst") {
			continue
		}
		found++
		damaged := clonedMem(t, mem)
		data := []byte(readFile(t, damaged, path))
		data[3] ^= 1
		writeFile(t, damaged, path, string(data))
		report, err := Verify(testConfig(damaged), quiet)
		if err != nil || report.Faulty == 0 {
			t.Errorf("%s: %+v (%v)", path, report, err)
		}
	}
	if found == 0 {
		t.Error("no tables")
	}
}

// A directory that is not there is not made.
func TestVerifyMakesNothing(t *testing.T) {
	c := testConfig(newCrashFS())
	if report, err := Verify(c, quiet); err == nil {
		t.Errorf("%+v", report)
	}
	if _, err := c.FS.Stat(testDir); err == nil {
		t.Error("the directory was made")
	}
}
