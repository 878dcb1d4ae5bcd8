// `throng call` lets a person talk to the server with no other tool; `throng version` says what runs.

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// conversation is a registration and what needs it to be done: call must wait for each reply before the next request.
func conversation() (bodies []string) {
	u := newUser()
	return []string{
		u.registration(),
		request(login, fields{"id": u.id, "token": u.token}),
		request(find, fields{"token": u.token}),
		request(find, fields{"token": nobody}),
		"nonsense",
		pingRequest,
	}
}

// answered checks the replies to a conversation, one a line.
func answered(t *testing.T, r result) {
	t.Helper()
	if r.errs != "" {
		t.Fatalf("status %d, stderr %q", r.status, r.errs)
	}
	lines := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
	codes := []int{}
	for _, line := range lines {
		reply, err := parseReply(line)
		must(t, err)
		codes = append(codes, reply.code)
	}
	if want := []int{200, 200, 200, 401, 400, 200}; fmt.Sprint(codes) != fmt.Sprint(want) {
		t.Errorf("codes %v, want %v: %s", codes, want, r.out)
	}
}

func TestCallTakesRequestsFromArgumentsAFileOrStandardInput(t *testing.T) {
	s := start(t)
	t.Run("arguments", func(t *testing.T) {
		answered(t, throng(t, "", append([]string{"call", "--addr", s.addr()}, conversation()...)...))
	})
	t.Run("file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "requests")
		must(t, os.WriteFile(file, []byte(strings.Join(conversation(), "\n")+"\n"), 0o600))
		answered(t, throng(t, "", "call", "--addr", s.addr(), "--file", file))
	})
	t.Run("file without a last line feed", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "requests")
		must(t, os.WriteFile(file, []byte(strings.Join(conversation(), "\n")), 0o600))
		answered(t, throng(t, "", "call", "--addr", s.addr(), "--file", file))
	})
	t.Run("standard input", func(t *testing.T) {
		answered(t, throng(t, strings.Join(conversation(), "\n")+"\n", "call", "--addr", s.addr()))
	})
}

func TestCallTakesTheLargestRequestAndReply(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	chat := c.group(t, u)
	for range 30 {
		c.post(t, u, chat, strings.Repeat("x", maxText))
	}
	r := throng(t, padded(1<<20)+"\n"+u.window(getChat, chat, -1, 1000)+"\n", "call", "--addr", s.addr())
	if r.status != 0 || r.errs != "" {
		t.Fatalf("status %d, %s", r.status, r.errs)
	}
	lines := strings.Split(r.out, "\n")
	first, err := parseReply(lines[0])
	must(t, err)
	succeeded(t, first)
	second, err := parseReply(lines[1])
	must(t, err)
	if list := messages(t, getChat, second); len(list) != 30 {
		t.Errorf("%d messages, want 30", len(list))
	}
}

func TestCallPrintsTheReplyAsItCame(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	u := c.register(t)
	want := c.call(t, find, fields{"token": u.token}).body
	if r := throng(t, "", "call", "--addr", s.addr(), request(find, fields{"token": u.token})); r.out != want+"\n" {
		t.Errorf("printed %q, want %q", r.out, want)
	}
}

func TestCallWithoutAServerIsAnError(t *testing.T) {
	s := start(t)
	s.kill(t)
	r := throng(t, "", "call", "--addr", s.addr(), pingRequest)
	refusal(t, r)
	says(t, r.errs, s.addr())
}

func TestCallWithoutItsFileIsAnError(t *testing.T) {
	s := start(t)
	file := filepath.Join(t.TempDir(), "none")
	r := throng(t, "", "call", "--addr", s.addr(), "--file", file)
	refusal(t, r)
	says(t, r.errs, file)
}

// A server that hangs up before it has answered leaves the rest unsaid: that is an error, behind the replies that came.
func TestCallTellsWhenTheServerHangsUp(t *testing.T) {
	s := start(t, "--max-bad-requests", "2")
	r := throng(t, "", "call", "--addr", s.addr(), "{}", "{}", pingRequest)
	if r.status == 0 || !strings.HasPrefix(r.errs, "throng: ") || strings.Count(r.out, "\n") != 2 {
		t.Errorf("status %d, stdout %q, stderr %q, want two replies and an error", r.status, r.out, r.errs)
	}
}

func TestVersionSaysWhatRuns(t *testing.T) {
	r := throng(t, "", "version")
	if r.status != 0 || !strings.Contains(r.out, "throng") || r.errs != "" || strings.Count(r.out, "\n") < 1 {
		t.Errorf("status %d, stdout %q, stderr %q", r.status, r.out, r.errs)
	}
}

func TestHelpNamesTheCommandsAndTheFlags(t *testing.T) {
	r := throng(t, "", "--help")
	if r.status != 0 {
		t.Errorf("status %d", r.status)
	}
	says(t, r.out, "serve", "call", "version")
	r = throng(t, "", "serve", "--help")
	if r.status != 0 {
		t.Errorf("status %d", r.status)
	}
	says(t, r.out, "--listen", "--data", "--max-text", "--insecure-plaintext", "--disk-floor")
}

func TestACommandThatIsNoneIsAnError(t *testing.T) {
	refusal(t, throng(t, "", "frobnicate"))
	refusal(t, throng(t, "", "--frobnicate"))
	refusal(t, throng(t, "", "version", "--frobnicate"))
}
