package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// style is how a line is shown where colour is wanted: an ANSI sequence's parameters.
type style string

// The styles.
const (
	normal style = ""
	strong style = "1"
	faint  style = "2"
	good   style = "32"
	bad    style = "1;31"
	loud   style = "1;33"
)

// printer collects the lines of a text.
type printer struct {
	b      strings.Builder
	colour bool
}

func (p *printer) styled(s style, text string) string {
	if !p.colour || s == normal || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func (p *printer) line(s style, text string) {
	p.b.WriteString(p.styled(s, text))
	p.b.WriteByte('\n')
}

func (p *printer) blank() { p.b.WriteByte('\n') }

// labelWidth is the room for the name of a fact.
const labelWidth = 11

// fact writes a name and its text, wrapped under itself.
func (p *printer) fact(s style, name, text string) {
	label := fmt.Sprintf("%-*s ", labelWidth, name)
	width := utf8.RuneCountInString(label)
	for i, line := range wrap(text, textWidth-len(indent)-width) {
		if i > 0 {
			label = strings.Repeat(" ", width)
		}
		p.line(normal, indent+p.styled(faint, label)+p.styled(s, line))
	}
}

// item writes one line of a list under a fact, wrapped under itself.
func (p *printer) item(s style, text string) {
	const mark = "- "
	before := strings.Repeat(" ", len(indent)+labelWidth+1) + mark
	for _, line := range wrap(text, textWidth-len(before)) {
		p.line(s, before+line)
		before = strings.Repeat(" ", len(before))
	}
}

func (p *printer) flush(w io.Writer) error {
	if _, err := io.WriteString(w, p.b.String()); err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	return nil
}
