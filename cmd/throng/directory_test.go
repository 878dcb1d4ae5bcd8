// The data directory: private, locked, and left as it is by every start that is refused.

package main_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listing is every path below a directory with its mode, size and time of change. A lock is empty for ever, and taking
// it, without which nothing may be looked at, may touch its time: that does not count.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		all[path] = fmt.Sprint(info.Mode(), " ", info.Size(), " ", info.ModTime().UnixNano())
		if entry.Name() == "LOCK" {
			all[path] = fmt.Sprint(info.Mode(), " ", info.Size())
		}
		return nil
	}))
	return all
}

// leavesAlone starts a server that must be refused and compares the directory before and after. It returns the message.
func leavesAlone(t *testing.T, l launch, dir string) string {
	t.Helper()
	before := listing(t, dir)
	message := l.refused(t)
	after := listing(t, dir)
	for _, path := range keys(before) {
		if after[path] != before[path] {
			t.Errorf("the refused start changed %s from %q to %q", path, before[path], after[path])
		}
	}
	for _, path := range keys(after) {
		if before[path] == "" {
			t.Errorf("the refused start made %s", path)
		}
	}
	return message
}

// says checks that a message holds a word that helps.
func says(t *testing.T, message string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(message, word) {
			t.Errorf("%q does not say %q", message, word)
		}
	}
}

// stopped makes a directory with a message in it and stops its server. The function it returns checks that the
// directory still works.
func stopped(t *testing.T) (dir string, intact func()) {
	t.Helper()
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.post(t, u, chat, "hello")
	c.close() // or the drain would wait for it
	if status := s.stop(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	return s.dir, func() {
		t.Helper()
		if list := startIn(t, s.dir).dial(t).history(t, u, chat); len(list) != 1 || list[0].Content != "hello" {
			t.Errorf("the directory holds %v", list)
		}
	}
}

func TestTheDirectoryIsPrivate(t *testing.T) {
	mask := syscall.Umask(0)
	defer syscall.Umask(mask)
	s := start(t)
	info, err := os.Stat(s.dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %v, want 0700", info.Mode())
	}
	info, err = os.Stat(keyFile(t, s.dir))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, want 0600", info.Mode())
	}
}

// keyFile finds the file that holds the key of the tokens.
func keyFile(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*key*"))
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("%s holds %d files named key: %q", dir, len(found), found)
	}
	return found[0]
}

// Whoever reads the disk finds no token, in no number's usual form.
func TestTheDirectoryHoldsNoToken(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	const token = 0x4142434445464748 // "ABCDEFGH" and "HGFEDCBA"
	u := newUser()
	u.token = token
	succeeded(t, c.ask(t, u.registration()))
	c.post(t, u, c.group(t, u), "hello")
	s.kill(t)
	forms := []string{fmt.Sprint(u.token), "ABCDEFGH", "HGFEDCBA"}
	must(t, filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, form := range forms {
			if strings.Contains(string(content), form) {
				t.Errorf("%s holds the token as %q", path, form)
			}
		}
		return err
	}))
	if strings.Contains(s.errs.String(), forms[0]) {
		t.Error("the log holds the token")
	}
}

func TestASecondServerOnTheDirectoryIsRefused(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	thaw := s.freeze(t) // or its own mark, which follows a reply, would count as the refused start's doing
	message := leavesAlone(t, launch{dir: s.dir}, s.dir)
	thaw()
	says(t, message, s.dir)
	if index := c.post(t, u, chat, "still here"); index != 1 {
		t.Errorf("index %d, want 1", index)
	}
}

func TestASecondServerOnThePortIsRefused(t *testing.T) {
	s := start(t)
	dir, intact := stopped(t)
	message := leavesAlone(t, launch{dir: dir, args: []string{"--listen", s.addr()}}, dir)
	says(t, message, s.addr())
	s.served(t)
	intact()
}

// Two servers that start at the same moment must not come to share a port: each client would see one of two worlds.
func TestOfTwoServersThatRaceForAPortOneIsRefused(t *testing.T) {
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if ready := raceForAPort(t, freePort(t)); ready != 1 {
				t.Errorf("%d servers are ready on one port", ready)
			}
		})
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	return l.Addr().String()
}

// raceForAPort starts two servers on one port and counts those that print a ready line.
func raceForAPort(t *testing.T, addr string) (ready int) {
	t.Helper()
	var outs [2]*output
	var ends [2]chan struct{}
	for i := range outs {
		outs[i], ends[i] = newOutput(), make(chan struct{})
		cmd := launch{dir: filepath.Join(t.TempDir(), "data"), args: []string{"--listen", addr}}.command()
		cmd.Stdout = outs[i]
		lifeline, err := cmd.StdinPipe()
		must(t, err)
		must(t, cmd.Start())
		go func() {
			defer close(ends[i])
			_ = cmd.Wait()
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-ends[i]
			_ = lifeline.Close()
		})
	}
	for i := range outs {
		select {
		case <-outs[i].firstLine:
			ready++
		case <-ends[i]:
		case <-time.After(hangGuard):
			t.Fatal("a server neither starts nor ends")
		}
	}
	return ready
}

// A refused start makes no directory either.
func TestARefusedStartMakesNoDirectory(t *testing.T) {
	s := start(t)
	dir := filepath.Join(t.TempDir(), "data")
	launch{dir: dir, args: []string{"--max-text", "wide"}}.refused(t)
	if _, err := os.Stat(dir); err == nil {
		t.Fatalf("the configuration was wrong, and yet %s was made", dir)
	}
	launch{dir: dir, args: []string{"--listen", s.addr()}}.refused(t)
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("the port was taken, and yet %s was made", dir)
	}
}

// editFormat changes fields of DATA/format and returns a function that puts them back.
func editFormat(t *testing.T, dir string, change func(map[string]any)) (restore func()) {
	t.Helper()
	path := filepath.Join(dir, "format")
	before, err := os.ReadFile(path)
	must(t, err)
	format := map[string]any{}
	must(t, json.Unmarshal(before, &format))
	change(format)
	after, err := json.Marshal(format)
	must(t, err)
	must(t, os.WriteFile(path, after, 0o600))
	return func() {
		t.Helper()
		must(t, os.WriteFile(path, before, 0o600))
	}
}

func TestADirectoryOfANewerFormatIsRefused(t *testing.T) {
	dir, intact := stopped(t)
	restore := editFormat(t, dir, func(format map[string]any) { format["format"] = format["format"].(float64) + 1 })
	says(t, leavesAlone(t, launch{dir: dir}, dir), "format", dir)
	restore()
	intact()
}

func TestAnotherNumberOfShardsIsRefused(t *testing.T) {
	dir, intact := stopped(t)
	says(t, leavesAlone(t, launch{dir: dir, args: []string{"--shards", "5"}}, dir), "shards", "5")
	intact()
}

func TestTheNumberOfShardsIsKept(t *testing.T) {
	s := start(t, "--shards", "3")
	if s.ready["shards"] != "3" {
		t.Errorf("ready line %v, want 3 shards", s.ready)
	}
	c := s.dial(t)
	u := c.register(t)
	list := []int64{}
	for range 12 {
		list = append(list, c.group(t, u))
		c.post(t, u, lastOf(list), "hello")
	}
	s.kill(t)
	for _, args := range [][]string{nil, {"--shards", "3"}} {
		s = startIn(t, s.dir, args...)
		if s.ready["shards"] != "3" {
			t.Errorf("ready line %v, want 3 shards", s.ready)
		}
		c = s.dial(t)
		for _, chat := range list {
			c.reads(t, u, chat, 1, "hello")
		}
		if got := len(c.findChats(t, u)); got != len(list) {
			t.Errorf("%d chats, want %d", got, len(list))
		}
		s.kill(t)
	}
}

// What the directory needs and does not have, or cannot be read, is named, and nothing is made up in its place.
func TestADamagedDirectoryIsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		word   string
	}{
		{"the key is missing", func(t *testing.T, dir string) { must(t, os.Remove(keyFile(t, dir))) }, "key"},
		{"the key is empty", func(t *testing.T, dir string) { must(t, os.Truncate(keyFile(t, dir), 0)) }, "key"},
		{"the key is short", func(t *testing.T, dir string) { must(t, os.Truncate(keyFile(t, dir), 5)) }, "key"},
		{"the key cannot be read", func(t *testing.T, dir string) { unreadable(t, keyFile(t, dir)) }, "key"},
		{"the format is missing", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "format"))) }, "format"},
		{"the format is empty", func(t *testing.T, dir string) { must(t, os.Truncate(filepath.Join(dir, "format"), 0)) }, "format"},
		{"the format is no JSON", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "format"), []byte("one"), 0o600))
		}, "format"},
		{"the format cannot be read", func(t *testing.T, dir string) { unreadable(t, filepath.Join(dir, "format")) }, "format"},
		{"the format is none", func(t *testing.T, dir string) {
			editFormat(t, dir, func(format map[string]any) { format["format"] = 0 })
		}, "format"},
		{"the shards are none", func(t *testing.T, dir string) {
			editFormat(t, dir, func(format map[string]any) { format["shards"] = 0 })
		}, "shards"},
		{"a shard is missing", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "shard-000")))
		}, "shard-000"},
		{"the accounts are missing", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "accounts")))
		}, "accounts"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := stopped(t)
			test.damage(t, dir)
			says(t, leavesAlone(t, launch{dir: dir}, dir), test.word)
		})
	}
}

// unreadable puts a directory in a file's place: even root cannot read that.
func unreadable(t *testing.T, path string) {
	t.Helper()
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o700))
}

func TestADirectoryThatIsAFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	must(t, os.WriteFile(path, []byte("mine"), 0o600))
	says(t, leavesAlone(t, launch{dir: path}, path), path)
}

// A directory with somebody else's files in it is not ours to write to.
func TestADirectoryOfSomethingElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("mine"), 0o600))
	says(t, leavesAlone(t, launch{dir: dir}, dir), dir)
}

func TestAnEmptyDirectoryIsTakenAndMadePrivate(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	startIn(t, dir).served(t)
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %v, want 0700", info.Mode())
	}
}

// Killed at any moment of its first start, the server starts on what it left behind.
func TestAKillWhileTheDirectoryIsMade(t *testing.T) {
	for i := range 8 {
		l := launch{dir: filepath.Join(t.TempDir(), "data")}
		cmd := l.command()
		lifeline, err := cmd.StdinPipe()
		must(t, err)
		must(t, cmd.Start())
		time.Sleep(time.Duration(10*(i+1)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = lifeline.Close()
		l.start(t).served(t)
	}
}

// Below the floor nothing is written and everything is read.
func TestWritesBelowTheDiskFloorAre507(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	all := c.registerAll(t, 2)
	u, v := all[0], all[1]
	group, other, pair := c.group(t, u), c.group(t, v), c.pair(t, u, v)
	c.postRef(t, u, group, "hello", "r")
	if status := s.stop(t); status != 0 {
		t.Fatalf("exit status %d", status)
	}

	c = startIn(t, s.dir, "--disk-floor", "1000000GiB").dial(t)
	for name, body := range map[string]string{
		"register":            newUser().registration(),
		"register again":      u.registration(),
		"send":                u.message(group, "m"),
		"send before 401":     user{token: nobody}.message(group, "m"),
		"send before 404":     u.message(nowhere, "m"),
		"repeated send":       u.messageWithRef(group, "hello", "r"),
		"join":                request(join, fields{"token": u.token, "chat": other}),
		"join again":          request(join, fields{"token": u.token, "chat": group}),
		"create":              request(create, fields{"token": u.token, "name": "n", "is_group": true, "member": members()}),
		"create a known pair": pairRequest(u.token, v),
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.ask(t, body), 507) })
	}
	refused(t, c.ask(t, u.message(group, "")), 400)
	refused(t, c.ask(t, u.message(group, strings.Repeat("x", maxText+1))), 413)
	succeeded(t, c.ask(t, pingRequest))
	succeeded(t, c.call(t, login, fields{"id": u.id, "token": u.token}))
	c.reads(t, u, group, 1, "hello")
	if list := c.findChats(t, u); len(list) != 2 {
		t.Errorf("chats %v, want the group and the pair %d", list, pair)
	}
	refused(t, c.call(t, find, fields{"token": nobody}), 401)
	refused(t, c.ask(t, u.window(getChat, nowhere, 1, 1)), 404)
}
