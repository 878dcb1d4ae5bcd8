package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteText writes the final table of a run, for a terminal or a log: lines of at most 110
// columns (a longer word stands alone), with ANSI colours where asked.
func WriteText(w io.Writer, r *Report, colour bool) error {
	p := &printer{colour: colour}
	p.line(strong, r.title())
	p.blank()
	for _, f := range r.describe() {
		p.fact(normal, f.Name, f.Text)
	}
	p.blank()
	p.fact(strong, "result", r.headline())
	p.blank()
	r.latencyTable().printTo(p)
	p.blank()
	p.errors(r)
	p.resources(r)
	p.idle(r.Idle)
	p.verdict(r.Verdict)
	p.curve(r.Curve)
	p.warnings(r.allWarnings())
	return p.flush(w)
}

// headline tells what was offered and what was achieved.
func (r *Report) headline() string {
	text := fmt.Sprintf("%s achieved", Rate(r.Load.Achieved))
	if r.Load.Offered > 0 {
		text += fmt.Sprintf(" of %s offered (%s)", Rate(r.Load.Offered), share(r.Load.Achieved, r.Load.Offered))
	}
	text += fmt.Sprintf(", in %s", seconds(r.Elapsed))
	if r.Interrupted {
		text += ", interrupted"
	}
	return text
}

func seconds(s float64) string { return three(s) + " s" }

// latencyTable has a row a kind, and the total where there are several kinds; of an open
// loop one row from due, and one from sent.
func (r *Report) latencyTable() *table {
	open := r.Total.Service != nil
	t := &table{left: 1, head: []string{"latency"}}
	if open {
		t.left, t.head = 2, append(t.head, "from")
	}
	t.head = append(t.head, "requests", "errors", "rate", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")
	for _, f := range r.rows() {
		s, cells := normal, []string{f.Kind}
		if f.Kind == r.Total.Kind {
			s = strong
		}
		if open {
			cells = append(cells, "due")
		}
		cells = append(cells, grouped(f.Requests), grouped(f.failed()), Rate(f.PerS))
		t.add(s, append(cells, f.Latency.cells(f.OK)...)...)
		if f.Service != nil {
			t.add(faint, append([]string{"", "sent", "", "", ""}, f.Service.cells(f.OK)...)...)
		}
	}
	return t
}

// rows are the figures of a table: the kinds, and all of them where that says more.
func (r *Report) rows() []Figures {
	if len(r.Kinds) == 1 {
		return r.Kinds
	}
	return append(slices.Clone(r.Kinds), r.Total)
}

// cells writes the columns of a latency.
func (l *Latency) cells(successes int64) (cells []string) {
	for _, ms := range []float64{l.P50, l.P90, l.P95, l.P99, l.P999, l.P9999, l.Max} {
		if successes == 0 {
			cells = append(cells, none)
			continue
		}
		cells = append(cells, Millis(ms))
	}
	return cells
}

// errorKinds returns the kinds of errors, the most frequent first.
func (f *Figures) errorKinds() []string {
	return slices.SortedFunc(maps.Keys(f.Errors), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.Errors[b], f.Errors[a]), cmp.Compare(a, b))
	})
}

func (p *printer) errors(r *Report) {
	name := "errors"
	for _, kind := range r.Total.errorKinds() {
		n := r.Total.Errors[kind]
		p.fact(bad, name, fmt.Sprintf("%s × %s (%s of all requests)", grouped(n), kind, share(float64(n), float64(r.Total.Requests))))
		name = ""
	}
}

// resources tells what the run took: bytes, the server, its disk, the generator.
func (p *printer) resources(r *Report) {
	for _, f := range r.resources() {
		p.fact(normal, f.Name, f.Text)
	}
}

func (r *Report) resources() (facts []fact) {
	for _, f := range []fact{
		{"bytes", r.traffic()}, {"server", r.Server.usage(r)}, {"disk", r.Server.Disk.describe()}, {"generator", r.Load.describe(r)},
	} {
		if f.Text != "" {
			facts = append(facts, f)
		}
	}
	return facts
}

func (r *Report) traffic() string {
	t := &r.Total
	var parts []string
	if t.BytesOut > 0 {
		parts = append(parts, size(float64(t.BytesOut))+" of texts sent")
	}
	if t.BytesIn > 0 {
		parts = append(parts, size(float64(t.BytesIn))+" received")
	}
	if t.Messages > 0 {
		parts = append(parts, many(t.Messages, "message")+" read")
	}
	return strings.Join(parts, ", ")
}

// usage tells of the server's process.
func (s *Server) usage(r *Report) string {
	if !s.Local {
		return ""
	}
	var parts []string
	if s.CPU > 0 && r.Elapsed > 0 {
		parts = append(parts, fmt.Sprintf("CPU %s (%s cores)", seconds(s.CPU), three(s.CPU/r.Elapsed)))
	}
	if cost, ok := r.cost(); ok {
		parts = append(parts, aCost.write(cost)+" a request")
	}
	if s.Resident > 0 {
		parts = append(parts, "resident "+size(float64(s.Resident)))
	}
	if s.Peak > 0 {
		parts = append(parts, "at most "+size(float64(s.Peak)))
	}
	return strings.Join(parts, ", ")
}

// describe tells what a synced write costs; "" where that is not known.
func (d *Disk) describe() string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("write and fdatasync of %s when idle: p50 %s, p99 %s, max %s (%s)",
		roundSize(d.Bytes), Millis(d.P50), Millis(d.P99), Millis(d.Max), many(int64(d.Writes), "write"))
}

func (l *Load) describe(r *Report) string {
	text := "CPU " + seconds(l.CPU)
	if r.Elapsed > 0 {
		text += fmt.Sprintf(" (%s of %s)", three(l.CPU/r.Elapsed), many(int64(r.cores()), "core"))
	}
	if l.Offered > 0 {
		text += fmt.Sprintf(", behind its schedule by p99 %s, max %s, %s never sent", Millis(l.LagP99), Millis(l.LagMax), grouped(l.Unsent))
	}
	return text
}

// cores are those of all generators together.
func (r *Report) cores() int {
	n := r.Machine.Cores
	for _, m := range r.Others {
		n += m.Cores
	}
	return n
}

func (p *printer) idle(i *Idle) {
	if i != nil {
		p.fact(normal, "idle", i.describe())
	}
}

func (i *Idle) describe() string {
	text := fmt.Sprintf("%s, connected and logged in at %s", many(int64(i.Connections), "connection"), Rate(i.ConnectPerS))
	if i.BytesEach > 0 {
		text += ", " + size(i.BytesEach) + " of the server's memory each"
	}
	if i.ResidentIdle > 0 {
		text += fmt.Sprintf(" (resident %s before, %s with them)", size(float64(i.ResidentStart)), size(float64(i.ResidentIdle)))
	}
	return text + fmt.Sprintf(", %s dropped", grouped(int64(i.Dropped)))
}

func (p *printer) verdict(v *Verdict) {
	if v == nil {
		p.fact(faint, "verified", "no")
		return
	}
	s := good
	if !v.OK {
		s = bad
	}
	p.fact(s, "verified", v.describe())
	if v.Note != "" {
		p.fact(normal, "", v.Note)
	}
	for _, example := range v.Examples {
		p.item(bad, example)
	}
}

// describe tells what was verified and found.
func (v *Verdict) describe() string {
	found := "no fault"
	if !v.OK {
		found = "FAILED: " + many(v.Faults, "fault")
	}
	text := fmt.Sprintf("%s; of %s %s acknowledged", found, many(v.Sends, "send"), grouped(v.Acked))
	if v.OK {
		text += ", each found at its index with its text"
	}
	if v.Unknown > 0 {
		text += fmt.Sprintf("; %s without an answer, %s of them in the log", grouped(v.Unknown), grouped(v.Found))
	}
	if v.Reads > 0 {
		text += fmt.Sprintf("; %s held against the history", many(v.Reads, "read"))
	}
	return text + fmt.Sprintf("; %s of %s read back in %s", many(v.Messages, "message"), many(int64(v.Chats), "chat"), seconds(v.Seconds))
}

// allWarnings are the report's own and those that follow from its state.
func (r *Report) allWarnings() []string {
	if !r.Interrupted {
		return r.Warnings
	}
	return append(slices.Clone(r.Warnings), "the run was interrupted: its figures are partial")
}

// warnings come last, where they are seen.
func (p *printer) warnings(list []string) {
	if len(list) == 0 {
		return
	}
	p.blank()
	for _, w := range list {
		for i, line := range wrap("WARNING: "+w, textWidth-len(indent)) {
			if i > 0 {
				line = "         " + line
			}
			p.line(loud, line)
		}
	}
}
