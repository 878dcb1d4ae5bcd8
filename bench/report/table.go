package report

import (
	"strings"
	"unicode/utf8"
)

// textWidth is the longest line of the forms for a terminal.
const textWidth = 110

// indent stands before every line but titles.
const indent = "  "

// table is columns of text under a head; the first ones are flush left, the others right.
type table struct {
	left int // how many columns are flush left
	head []string
	rows []tableRow
}

// tableRow is a row and how it is shown.
type tableRow struct {
	cells []string
	style style
}

func (t *table) add(s style, cells ...string) { t.rows = append(t.rows, tableRow{cells, s}) }

// printTo writes the table, with narrow gaps where it would be too wide otherwise.
func (t *table) printTo(p *printer) {
	widths := t.widths()
	total := len(indent)
	for _, w := range widths {
		total += w + 2
	}
	gap := "  "
	if total-2 > textWidth {
		gap = " "
	}
	p.line(faint, t.format(t.head, widths, gap))
	for _, r := range t.rows {
		p.line(r.style, t.format(r.cells, widths, gap))
	}
}

func (t *table) widths() []int {
	widths := make([]int, len(t.head))
	for i, cell := range t.head {
		widths[i] = utf8.RuneCountInString(cell)
	}
	for _, r := range t.rows {
		for i, cell := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// format aligns one row. A last column that is flush left is not padded.
func (t *table) format(cells []string, widths []int, gap string) string {
	var b strings.Builder
	b.WriteString(indent)
	for i, cell := range cells {
		blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i > 0 {
			b.WriteString(gap)
		}
		if i < t.left {
			b.WriteString(cell + blanks)
		} else {
			b.WriteString(blanks + cell)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// wrap breaks text between words into lines of at most width runes; a longer word stands
// alone, and no number is parted from its unit.
func wrap(text string, width int) []string {
	var lines []string
	line, length := "", 0
	for _, word := range unbroken(text) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines = append(lines, line)
			line, length = "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	if length > 0 {
		lines = append(lines, line)
	}
	return lines
}

// unitLength is the longest word that stays with the number before it.
const unitLength = 4

// unbroken returns what a line may be broken between.
func unbroken(text string) (parts []string) {
	for _, word := range strings.Fields(text) {
		last := len(parts) - 1
		if last >= 0 && utf8.RuneCountInString(word) <= unitLength && endsInDigit(parts[last]) {
			parts[last] += " " + word
			continue
		}
		parts = append(parts, word)
	}
	return parts
}

func endsInDigit(word string) bool {
	last := word[len(word)-1]
	return '0' <= last && last <= '9'
}
