package report

import (
	"fmt"
	"slices"
	"strings"
)

// page is what the template shows: cards, then sections, each of which has what it has.
type page struct {
	Title    string // of the window
	Kicker   string
	Heading  string
	Lead     string
	Badges   []badge
	Warnings []string
	Cards    []card
	Sections []section
	Foot     string
}

// badge is a few words in a colour: good, bad, warn or plain.
type badge struct{ Class, Text string }

// card is one key figure.
type card struct {
	Name  string
	Value string
	Unit  string
	Note  string
	Class string
}

// section is a titled part of a page.
type section struct {
	ID    string
	Title string
	Note  string
	Class string // of its heading
	Plots []*plot
	Pairs []*plot // side by side where there is room
	Table *grid
	Facts []fact
	Items []string
}

// grid is a table; the first columns are flush left, the others right.
type grid struct {
	Left int
	Head []string
	Rows []gridRow
}

type gridRow struct {
	Class string
	Cells []string
}

// IsLeft reports whether a column is flush left.
func (g *grid) IsLeft(column int) bool { return column < g.Left }

func (g *grid) add(class string, cells ...string) { g.Rows = append(g.Rows, gridRow{class, cells}) }

// figure splits a written value from its unit.
func figure(name, written, note string) card {
	value, unit, _ := strings.Cut(written, " ")
	return card{Name: name, Value: value, Unit: unit, Note: note}
}

// runPage lays out the page of a single run.
func runPage(r *Report) (*page, error) {
	distribution, err := r.distributionPlot()
	if err != nil {
		return nil, err
	}
	p := &page{
		Title:    r.title() + " · throng-bench",
		Kicker:   "throng-bench " + r.Settings.Workload,
		Heading:  runHeading(r),
		Lead:     r.Settings.load(),
		Badges:   r.badges(),
		Warnings: r.allWarnings(),
		Cards:    r.cards(),
		Foot:     foot(r),
	}
	p.add(section{ID: "distribution", Title: "Latency", Note: r.latencyNote(), Plots: plots(distribution), Table: r.latencyGrid()})
	if len(r.Curve) > 0 {
		p.add(section{
			ID: "curve", Title: "Capacity", Note: capacityText(r.Curve), Plots: plots(r.capacityPlot()), Table: r.capacityGrid(),
		})
	}
	p.add(section{ID: "time", Title: "Over time", Plots: plots(r.ratePlot(), r.latencyPlot()), Pairs: r.serverPlots()})
	if r.Total.failed() > 0 {
		p.add(section{ID: "errors", Title: "Errors", Note: "Requests that ended without success; they have no part in the latencies.", Table: r.errorGrid()})
	}
	p.add(r.verification())
	p.add(section{ID: "resources", Title: "Resources", Facts: r.resourceFacts()})
	p.add(section{ID: "settings", Title: "What was measured", Facts: r.described()})
	return p, nil
}

// add leaves out sections without content.
func (p *page) add(s section) {
	if len(s.Plots) > 0 || len(s.Pairs) > 0 || s.Table != nil || len(s.Facts) > 0 || len(s.Items) > 0 || s.Note != "" {
		p.Sections = append(p.Sections, s)
	}
}

// plots leaves out those that have nothing to show.
func plots(list ...*plot) []*plot {
	return slices.DeleteFunc(list, func(p *plot) bool { return p == nil })
}

func runHeading(r *Report) string {
	return joinWords(r.Server.Kind, r.Server.Version) + " · " + durabilityOf(r)
}

// badges tell at a glance whether the figures can be trusted.
func (r *Report) badges() []badge {
	list := []badge{{"plain", "not verified"}}
	if r.Verdict != nil && r.Verdict.OK {
		list = []badge{{"good", "✓ verified"}}
	}
	if r.Verdict != nil && !r.Verdict.OK {
		list = []badge{{"bad", "✗ " + many(r.Verdict.Faults, "fault")}}
	}
	if r.Interrupted {
		list = append(list, badge{"warn", "interrupted"})
	}
	if n := len(r.Warnings); n > 0 {
		list = append(list, badge{"warn", many(int64(n), "warning")})
	}
	return list
}

// cards are the key figures.
func (r *Report) cards() []card {
	achieved := figure("Rate", Rate(r.Load.Achieved), "in "+seconds(r.Elapsed))
	if r.Load.Offered > 0 {
		achieved.Note = fmt.Sprintf("%s of %s offered", share(r.Load.Achieved, r.Load.Offered), Rate(r.Load.Offered))
	}
	list := []card{achieved}
	if best, ok := r.capacity(); ok {
		list = append([]card{figure("Capacity", Rate(best), "the highest rate that held")}, list...)
	}
	l := &r.Total.Latency
	if r.Total.OK > 0 {
		list = append(list, figure("Median", Millis(l.P50), "latency"), figure("p99", Millis(l.P99), "1 in 100 is slower"),
			figure("p99.9", Millis(l.P999), "1 in 1,000 is slower"), figure("Max", Millis(l.Max), "the slowest of "+grouped(r.Total.OK)))
	}
	failed := card{Name: "Errors", Value: grouped(r.Total.failed()), Note: share(float64(r.Total.failed()), float64(r.Total.Requests)) + " of requests"}
	if r.Total.failed() > 0 {
		failed.Class = "bad"
	}
	list = append(list, failed)
	if cost, ok := r.cost(); ok {
		list = append(list, figure("Server’s CPU", aCost.write(cost), "a request"))
	}
	if r.Idle != nil && r.Idle.BytesEach > 0 {
		list = append(list, figure("Connection", size(r.Idle.BytesEach), "of memory when idle"))
	}
	return list
}

func (r *Report) latencyNote() string {
	if r.Total.Service == nil {
		return "From the moment when a request was sent, which in a closed loop is when it was due."
	}
	return "From due: since the moment when the schedule wanted the request, whether or not it could be sent then. " +
		"From sent: since it was written to the socket. Where the two part, requests waited for the server to take them."
}

func (r *Report) latencyGrid() *grid {
	t := r.latencyTable()
	g := &grid{Left: t.left, Head: t.head}
	g.Head[0] = ""
	for i, row := range t.rows {
		class := map[style]string{strong: "total", faint: "minor"}[row.style]
		if i+1 < len(t.rows) && t.rows[i+1].style == faint {
			class = joinWords(class, "joined") // with the row from sent
		}
		g.add(class, row.cells...)
	}
	return g
}

func (r *Report) capacityGrid() *grid {
	g := &grid{Left: 0, Head: []string{"offered", "achieved", "p50", "p99", "p99.9", "held", "why not"}}
	for _, c := range byRate(r.Curve) {
		held, class := "yes", ""
		if !c.Held {
			held, class = "no", "bad"
		}
		g.add(class, Rate(c.Rate), Rate(c.Achieved), Millis(c.P50), Millis(c.P99), Millis(c.P999), held, c.Why)
	}
	return g
}

func (r *Report) errorGrid() *grid {
	g := &grid{Left: 1, Head: []string{"error", "number", "of all requests"}}
	for _, f := range r.rows() {
		for _, kind := range f.errorKinds() {
			n := f.Errors[kind]
			g.add("", f.Kind+": "+kind, grouped(n), share(float64(n), float64(f.Requests)))
		}
	}
	return g
}

// verification is the section of the verdict.
func (r *Report) verification() section {
	s := section{ID: "verdict", Title: "Verification"}
	v := r.Verdict
	if v == nil {
		s.Note = "This run was not verified: whether everything acknowledged is in the log was not looked at."
		return s
	}
	s.Class, s.Note = "good", v.describe()
	if !v.OK {
		s.Class = "bad"
	}
	if v.Note != "" {
		s.Facts = []fact{{"note", v.Note}}
	}
	s.Items = v.Examples
	return s
}

// resourceFacts tell what the run took.
func (r *Report) resourceFacts() []fact {
	facts := r.resources()
	if r.Idle != nil {
		facts = append(facts, fact{"idle", r.Idle.describe()})
	}
	return facts
}

// described is describe and the command line.
func (r *Report) described() []fact {
	facts := r.describe()
	if len(r.Command) > 0 {
		facts = append(facts, fact{"command", strings.Join(r.Command, " ")})
	}
	return facts
}

func foot(r *Report) string {
	return fmt.Sprintf("Made by %s. Percentiles come from HdrHistograms of %d significant figures; latencies over %s count as that.",
		joinWords("throng-bench", r.Tool.Version, r.Tool.Commit), Precision, Millis(milliseconds(HighestLatency)))
}
