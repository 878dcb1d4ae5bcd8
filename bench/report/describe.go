package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"throng/bench/target"
)

// fact is one line of a description.
type fact struct{ Name, Text string }

// describe tells what was measured, for people: the same words in every form.
func (r *Report) describe() []fact {
	s := &r.Settings
	facts := []fact{
		{"server", r.Server.describe()},
		{"durability", durabilityOf(r)},
		{"load", s.load()},
		{"chats", s.population()},
		{"texts", s.texts()},
	}
	if reads := s.reads(); reads != "" {
		facts = append(facts, fact{"reads", reads})
	}
	if len(s.Mix) > 0 {
		facts = append(facts, fact{"mix", mixed(s.Mix)})
	}
	return append(facts,
		fact{"seed", fmt.Sprint(s.Seed)},
		fact{"machine", r.Machine.describe()},
		fact{"generator", r.generator()},
		fact{"started", r.Started.UTC().Format("2006-01-02 15:04:05 UTC")},
	)
}

// title names a run in a few words.
func (r *Report) title() string {
	return fmt.Sprintf("%s · %s", r.Settings.Workload, joinWords(r.Server.Kind, r.Server.Version))
}

func (s *Server) describe() string {
	where := "at " + s.Addr
	if s.Addr == "" {
		where = ""
	}
	if s.Local {
		where = joinWords(where, "(this machine)")
	}
	text := joinWords(s.Kind, s.Version, where)
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		text += fmt.Sprintf(", %s=%s", name, s.Settings[name])
	}
	return text
}

// load tells how requests were made due.
func (s *Settings) load() string {
	parts := []string{fmt.Sprintf("%s × %s in flight", many(int64(s.Connections), "connection"), grouped(int64(s.Pipeline)))}
	if s.Rate > 0 {
		parts = append(parts, fmt.Sprintf("open loop at %s (%s)", Rate(s.Rate), cmp.Or(s.Arrival, "constant")))
	} else {
		parts = append(parts, "closed loop")
	}
	if s.Ramp > 0 {
		parts = append(parts, span(s.Ramp)+" ramp")
	}
	if s.Warmup > 0 {
		parts = append(parts, span(s.Warmup)+" warm-up")
	}
	switch {
	case s.Requests > 0:
		parts = append(parts, many(s.Requests, "request")+" measured")
	case s.Duration > 0:
		parts = append(parts, span(s.Duration)+" measured")
	}
	if s.Rounds > 0 {
		parts = append(parts, "verified every "+span(s.Rounds))
	}
	if s.Idle > 0 {
		parts = append(parts, "then idle for "+span(s.Idle))
	}
	if s.Agents > 0 {
		parts = append(parts, many(int64(s.Agents), "generator"))
	}
	return strings.Join(parts, ", ")
}

// population tells of chats and users.
func (s *Settings) population() string {
	choice := "chosen uniformly"
	if s.Zipf > 0 {
		choice = fmt.Sprintf("chosen by Zipf's law (%s)", plain(s.Zipf))
	}
	text := fmt.Sprintf("%s, %s; %s, %s in each chat", many(int64(s.Chats), "chat"), choice,
		many(int64(s.Users), "user"), grouped(int64(s.Members)))
	if s.Fill > 0 {
		text += fmt.Sprintf("; filled with %s each", many(int64(s.Fill), "message"))
	}
	return text
}

// texts tells of the messages.
func (s *Settings) texts() string {
	text := Sizes(s)
	if s.SizeMax > s.SizeMin {
		text += ", drawn evenly"
	}
	if s.Corpus != "" {
		return text + ", from " + s.Corpus
	}
	return text + ", made by the seed"
}

// Sizes writes the size of the texts, or its range: 64 B, 64 B to 1 KiB.
func Sizes(s *Settings) string {
	if s.SizeMax > s.SizeMin {
		return roundSize(s.SizeMin) + " to " + roundSize(s.SizeMax)
	}
	return roundSize(s.SizeMin)
}

// reads tells what a read asks for; "" where nothing was read.
func (s *Settings) reads() string {
	if s.Count == 0 {
		return ""
	}
	return strings.TrimPrefix(fmt.Sprintf("%s, %s each", s.Mode, many(int64(s.Count), "message")), ", ")
}

// mixed writes weights in the order of target.Kind: send 20 : read 70.
func mixed(weights map[string]int) string {
	var parts []string
	for k := range target.Kind(target.Kinds) {
		if w := weights[k.String()]; w > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", k, w))
		}
	}
	return strings.Join(parts, " : ")
}

func (m Machine) describe() string {
	var parts []string
	for _, p := range []string{m.CPU, coresOf(m), memoryOf(m), m.Kernel, m.OS} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

func coresOf(m Machine) string {
	if m.Cores == 0 {
		return ""
	}
	return many(int64(m.Cores), "core")
}

func memoryOf(m Machine) string {
	if m.Memory == 0 {
		return ""
	}
	return size(float64(m.Memory))
}

// generator tells of the harness.
func (r *Report) generator() string {
	text := joinWords("throng-bench", r.Tool.Version)
	if r.Tool.Commit != "" {
		text += ", commit " + r.Tool.Commit
	}
	if r.Tool.Go != "" {
		text += ", " + r.Tool.Go
	}
	for i, m := range r.Others {
		text += fmt.Sprintf("; generator %d on %s", i+2, m.describe())
	}
	return text
}

// joinWords joins the words that are not empty.
func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// joined joins notes into one line.
func joined(notes []string) string { return strings.Join(notes, "; ") }
