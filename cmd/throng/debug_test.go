// Profiles: for whoever runs the server, and for nobody else.

package main_test

import (
	"io"
	"net/http"
	"testing"
)

func TestProfilesAreServedWhereTheyAreAskedFor(t *testing.T) {
	s := start(t, "--debug-listen", "127.0.0.1:0")
	client := http.Client{Timeout: hangGuard}
	answer, err := client.Get("http://" + s.ready["debug"] + "/debug/pprof/heap?debug=1")
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if answer.StatusCode != http.StatusOK {
		t.Errorf("status %s", answer.Status)
	}
	says(t, string(text), "heap profile", "HeapIdle")
	if status := s.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestProfilesAreServedNowhereElse(t *testing.T) {
	if addr, ok := start(t).ready["debug"]; ok {
		t.Errorf("profiles are served on %s", addr)
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		says(t, launch{args: []string{"--debug-listen", addr, "--insecure-plaintext"}}.refused(t), "--debug-listen")
	}
}
