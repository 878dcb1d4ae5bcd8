// The seed's conversation is the user's own document: testdata/seed.txt holds it word by word, and the server must
// answer it in the seed's keys and nesting, with nothing undocumented. It is spoken twice, by hand and by `throng call`.

package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestTheSeedsConversationOverASocket(t *testing.T) {
	c := start(t).dial(t)
	converse(t, func(body string) string { return c.ask(t, body).body })
}

func TestTheSeedsConversationOnAConnectionPerRequest(t *testing.T) {
	s := start(t)
	converse(t, func(body string) string { return s.dial(t).ask(t, body).body })
}

func TestTheSeedsConversationThroughThrongCall(t *testing.T) {
	s := start(t)
	converse(t, func(body string) string {
		r := throng(t, "", "call", "--addr", s.addr(), body)
		if r.errs != "" {
			t.Fatalf("throng call %s: status %d, %s", body, r.status, r.errs)
		}
		return r.out
	})
}

// converse speaks the script and compares every reply.
func converse(t *testing.T, speak func(body string) string) {
	t.Helper()
	script, err := os.ReadFile("testdata/seed.txt")
	must(t, err)
	known := bindings{}
	var got string
	for n, line := range strings.Split(string(script), "\n") {
		if body, ok := strings.CutPrefix(line, "> "); ok {
			got = speak(known.fill(body))
		}
		if want, ok := strings.CutPrefix(line, "< "); ok {
			if fault := known.compare(decode(t, want), decode(t, got), "reply"); fault != "" {
				t.Errorf("testdata/seed.txt:%d: %s\nwant %s\ngot  %s", n+1, fault, want, got)
			}
		}
	}
}

func decode(t *testing.T, body string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil || decoder.More() {
		t.Fatalf("%q is no JSON value: %v", body, err)
	}
	return v
}

// bindings are the integers that the script's words stand for.
type bindings map[string]json.Number

// fill puts the integers where the words stand.
func (b bindings) fill(body string) string {
	for word, n := range b {
		body = strings.ReplaceAll(body, `"`+word+`"`, n.String())
	}
	return body
}

// compare says where got differs from want; "" is nowhere.
func (b bindings) compare(want, got any, at string) string {
	switch w := want.(type) {
	case map[string]any:
		return b.compareObject(w, got, at)
	case []any:
		return b.compareArray(w, got, at)
	case string:
		if strings.HasPrefix(w, "$") {
			return b.compareWord(w, got, at)
		}
	}
	if want != got {
		return fmt.Sprintf("%s is %v", at, got)
	}
	return ""
}

func (b bindings) compareObject(want map[string]any, got any, at string) string {
	g, ok := got.(map[string]any)
	if !ok || fmt.Sprint(keys(g)) != fmt.Sprint(keys(want)) {
		return fmt.Sprintf("%s has the wrong keys", at)
	}
	for _, key := range keys(want) {
		if fault := b.compare(want[key], g[key], at+"."+key); fault != "" {
			return fault
		}
	}
	return ""
}

func (b bindings) compareArray(want []any, got any, at string) string {
	g, ok := got.([]any)
	if !ok || len(g) != len(want) {
		return fmt.Sprintf("%s has the wrong length", at)
	}
	for i := range want {
		if fault := b.compare(want[i], g[i], fmt.Sprintf("%s[%d]", at, i)); fault != "" {
			return fault
		}
	}
	return ""
}

func (b bindings) compareWord(word string, got any, at string) string {
	if word == "$text" {
		return b.compareText(got, at)
	}
	n, ok := got.(json.Number)
	if i, err := n.Int64(); !ok || err != nil || i <= 0 {
		return fmt.Sprintf("%s is %v", at, got)
	}
	if bound, ok := b[word]; ok && word != "$time" && bound != n {
		return fmt.Sprintf("%s is %v, %s was %v", at, n, word, bound)
	}
	if word != "$time" {
		b[word] = n
	}
	return ""
}

func (b bindings) compareText(got any, at string) string {
	if text, ok := got.(string); !ok || text == "" {
		return fmt.Sprintf("%s is %v, want a text", at, got)
	}
	return ""
}
