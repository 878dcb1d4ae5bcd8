package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
)

// The page's parts. They are put into one file: it loads nothing.
//
//go:embed page
var parts embed.FS

// WriteHTML writes the page of a run: one file that shows all it has without a network and
// without scripts, which only add what is under the pointer.
func WriteHTML(w io.Writer, r *Report) error {
	p, err := runPage(r)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return p.write(w)
}

// WriteComparisonHTML writes the page of a comparison: the table of ratios, and all runs drawn over
// each other, the runs of a group in one colour.
func WriteComparisonHTML(w io.Writer, c *Comparison) error {
	p, err := comparePage(c)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return p.write(w)
}

func (p *page) write(w io.Writer) error {
	style, err := parts.ReadFile("page/page.css")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	script, err := parts.ReadFile("page/page.js")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	t, err := template.New("report.html").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(style) },
		"script": func() template.JS { return template.JS(script) },
	}).ParseFS(parts, "page/report.html")
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// Across is a tick of the x axis in the drawing's coordinates.
func (t tick) Across() float64 { return t.At * drawing / 100 }

// Down is a tick of the y axis in the drawing's coordinates.
func (t tick) Down() float64 { return drawing - t.At*drawing/100 }
