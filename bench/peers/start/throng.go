package start

import (
	"context"
	"path/filepath"
	"strings"
)

// Throng starts program, a binary that has Throng's serve command, on an empty
// directory, with more flags of that command.
func Throng(ctx context.Context, base, program string, flags []string) (*Server, error) {
	return run(ctx, base, &plan{
		kind: "throng", program: program, version: []string{"version"}, ready: throngReady,
		command: func(root string, port int) ([]string, string, string) {
			arguments := []string{"serve", "--listen", loopback(port), "--data", filepath.Join(dataDir(root), "throng")}
			return append(arguments, flags...), "throng://" + loopback(port), strings.Join(append([]string{"throng serve"}, flags...), " ")
		},
	})
}

const throngReady = "throng ready "

// Ready are the words, key=value, of the line with which a Throng says that it
// serves, and how.
func (s *Server) Ready() map[string]string {
	_, rest, _ := strings.Cut(s.Log(), throngReady)
	line, _, _ := strings.Cut(rest, "\n")
	words := map[string]string{}
	for word := range strings.FieldsSeq(line) {
		if key, value, ok := strings.Cut(word, "="); ok {
			words[key] = value
		}
	}
	return words
}
