// The configuration: flags over environment over defaults, every fault told at once, and no open port by mistake.

package main_test

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTheReadyLineTellsHowItRuns(t *testing.T) {
	s := start(t)
	if host, _, err := net.SplitHostPort(s.addr()); err != nil || host != "127.0.0.1" {
		t.Errorf("listen=%s, want a port of 127.0.0.1", s.addr())
	}
	for key, want := range map[string]string{"data": s.dir, "sync": "always"} {
		if s.ready[key] != want {
			t.Errorf("%s=%s, want %s", key, s.ready[key], want)
		}
	}
	if !strings.HasPrefix(s.ready["json"], "sonic") || s.ready["shards"] == "" {
		t.Errorf("ready line %v, want json=sonic and shards", s.ready)
	}
	if off := start(t, "--sync", "off"); off.ready["sync"] != "off" {
		t.Errorf("ready line %v, want sync=off", off.ready)
	}
}

func TestWithoutSyncTheServerWorksAllTheSame(t *testing.T) {
	s := start(t, "--sync", "off")
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.postAll(t, u, chat, 500)
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if list := startIn(t, s.dir).dial(t).history(t, u, chat); len(list) != 500 {
		t.Errorf("%d messages after an orderly end, want 500", len(list))
	}
}

func TestAnAddressForEverybodyNeedsConsent(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		message := launch{args: []string{"--listen", listen}}.refused(t)
		says(t, message, "--insecure-plaintext")
	}
	for _, l := range []launch{
		{args: []string{"--listen", "0.0.0.0:0", "--insecure-plaintext"}},
		{args: []string{"--listen", ":0"}, env: []string{"THRONG_INSECURE_PLAINTEXT=true"}},
	} {
		_, port, err := net.SplitHostPort(l.start(t).addr())
		must(t, err)
		c, err := dial("127.0.0.1:" + port)
		must(t, err)
		c.served(t)
		c.close()
	}
}

func TestEveryFaultIsToldAtOnce(t *testing.T) {
	l := launch{
		env: []string{"THRONG_MAX_NAME=wide", "THRONG_IDLE_TIMEOUT=soon"},
		args: []string{
			"--listen", "0.0.0.0:0", "--sync", "sometimes", "--max-text", "banana", "--max-connections=-1",
			"--drain-timeout", "later", "--shards", "x", "--max-in-flight-bytes", "1XB",
		},
	}
	message := strings.ToUpper(strings.ReplaceAll(l.refused(t), "-", "_"))
	for _, fault := range []string{
		"MAX_NAME", "IDLE_TIMEOUT", "INSECURE_PLAINTEXT", "SYNC", "MAX_TEXT", "MAX_CONNECTIONS", "DRAIN_TIMEOUT", "SHARDS",
		"MAX_IN_FLIGHT_BYTES",
	} {
		if !strings.Contains(message, fault) {
			t.Errorf("nothing about %s in:\n%s", fault, message)
		}
	}
}

// Values that can be read but are out of their range are told together as well.
func TestEveryRangeIsToldAtOnce(t *testing.T) {
	message := launch{args: []string{
		"--sync", "sometimes", "--shards", "17", "--memory", "1", "--max-unread", "1", "--max-name=-1",
	}}.refused(t)
	says(t, message, "--sync", "--shards", "--memory", "--max-unread", "--max-name")
}

// A negative number is a number, with or without an equals sign.
func TestANegativeNumberIsAFaultLikeAnother(t *testing.T) {
	message := launch{args: []string{"--max-connections", "-1", "--sync", "sometimes"}}.refused(t)
	says(t, message, "--max-connections", "--sync")
}

func TestEachSettingIsChecked(t *testing.T) {
	for _, args := range [][]string{
		{"--listen", "nowhere"},
		{"--listen", "127.0.0.1"},
		{"--listen", "127.0.0.1:port"},
		{"--listen", "127.0.0.1:99999"},
		{"--debug-listen", "nowhere"},
		{"--debug-listen", "127.0.0.1:port"},
		{"--sync", "ALWAYS?"},
		{"--sync", ""},
		{"--shards", "-1"},
		{"--shards", "1000000"},
		{"--loops", "-1"},
		{"--loops", "65"},
		{"--memory", "0"},
		{"--memory", "x"},
		{"--max-request", "-1"},
		{"--max-request", "8GiB"},
		{"--max-text", "0"},
		{"--max-text", "-5"},
		{"--max-name", "-1"},
		{"--max-ref", "-1"},
		{"--max-nesting", "-1"},
		{"--max-reply", "-1"},
		{"--max-in-flight", "-1"},
		{"--max-in-flight-bytes", "-1"},
		{"--max-unread", "-1"},
		{"--max-bad-requests", "-1"},
		{"--mailbox-requests", "-1"},
		{"--mailbox-bytes", "-1"},
		{"--max-connections", "-1"},
		{"--first-frame-timeout", "-1s"},
		{"--partial-frame-timeout", "-1s"},
		{"--idle-timeout", "-1s"},
		{"--disk-floor", "-1"},
		{"--drain-timeout", "-1s"},
		{"--idle-timeout", "5"},
		{"--no-such-flag"},
		{"surplus"},
		{"--max-text", "99999999999999999999"},
		{"--max-text", "9999999999GiB"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if message := (launch{args: args}).refused(t); strings.HasPrefix(args[0], "--") {
				says(t, message, strings.TrimPrefix(args[0], "--"))
			}
		})
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	text := func(s *server, size int) int {
		c := s.dial(t)
		u := c.register(t)
		return c.ask(t, u.message(c.group(t, u), strings.Repeat("x", size))).code
	}
	env := []string{"THRONG_MAX_TEXT=10"}
	fromEnv := launch{env: env}.start(t)
	if at, over := text(fromEnv, 10), text(fromEnv, 11); at != 200 || over != 413 {
		t.Errorf("THRONG_MAX_TEXT=10: %d at the limit, %d over it", at, over)
	}
	fromFlag := launch{env: env, args: []string{"--max-text", "20"}}.start(t)
	if at, over := text(fromFlag, 20), text(fromFlag, 21); at != 200 || over != 413 {
		t.Errorf("--max-text 20 over THRONG_MAX_TEXT=10: %d at the limit, %d over it", at, over)
	}
}

// The flags that every other test sets are taken from the environment too.
func TestListenAndDataComeFromTheEnvironment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	busy := start(t)
	cmd := throngCommand([]string{"THRONG_LISTEN=" + busy.addr(), "THRONG_DATA=" + dir}, "serve")
	cmd.Dir = t.TempDir()
	r := finish(t, cmd, "")
	refusal(t, r)
	says(t, r.errs, busy.addr())
}

func TestSizesTakeUnits(t *testing.T) {
	for _, size := range []string{"1024", "1KiB"} {
		c := start(t, "--max-text", size, "--memory", "256MiB", "--disk-floor", "0").dial(t)
		u := c.register(t)
		chat := c.group(t, u)
		c.post(t, u, chat, strings.Repeat("x", 1024))
		refused(t, c.ask(t, u.message(chat, strings.Repeat("x", 1025))), 413)
	}
}

func TestNamesAndRefsHaveFlagsToo(t *testing.T) {
	c := start(t, "--max-name", "4", "--max-ref", "2").dial(t)
	u := c.register(t)
	chat := c.create(t, u, "four", true)
	refused(t, c.call(t, create, fields{"token": u.token, "name": "fiver", "is_group": true, "member": members()}), 400)
	refused(t, c.call(t, register, fields{"id": newUser().id, "name": "fiver"}), 400)
	c.postRef(t, u, chat, "m", "rr")
	refused(t, c.ask(t, u.messageWithRef(chat, "m", "rrr")), 400)
}

// A terminal's ^C drains as SIGTERM does.
func TestAnInterruptDrains(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	c.post(t, u, chat, "m")
	must(t, s.cmd.Process.Signal(syscall.SIGINT))
	s.await(t)
	if status := s.cmd.ProcessState.ExitCode(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	startIn(t, s.dir).dial(t).reads(t, u, chat, 1, "m")
}

// A peer that does not read must not hold the drain up for ever.
func TestADrainEndsInSpiteOfASilentPeer(t *testing.T) {
	s := start(t, "--drain-timeout", "300ms")
	c, u, chat := silentPeer(t, s)
	reads := make([]string, 300)
	for i := range reads {
		reads[i] = u.window(getChat, chat, -1, 100)
	}
	c.write(t, frames(reads...))
	s.served(t)
	s.stop(t)
	startIn(t, s.dir).dial(t).reads(t, u, chat, 1, strings.Repeat("x", bigText))
}
