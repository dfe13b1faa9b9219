package main

import (
	"strings"
	"unicode/utf8"
)

// table is aligned columns. Cells are measured as they are seen: colours take no room.
type table struct {
	header []string
	rows   [][]cell
	right  map[int]bool
}

// cell is a text with its meaning.
type cell struct {
	text string
	tone tone
}

func newTable(header ...string) *table { return &table{header: header, right: map[int]bool{}} }

// alignRight sets columns of numbers flush right.
func (t *table) alignRight(columns ...int) *table {
	for _, c := range columns {
		t.right[c] = true
	}
	return t
}

// add appends a row of strings and cells.
func (t *table) add(values ...any) {
	row := make([]cell, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case cell:
			row[i] = cell{text: oneLine(v.text), tone: v.tone}
		case string:
			row[i] = cell{text: oneLine(v)}
		}
	}
	t.rows = append(t.rows, row)
}

// mark is a status in its tone.
func mark(status string) cell { return cell{text: status, tone: toneOf(status)} }

// table draws a table. Nothing stands behind the last cell of a row.
func (p *page) table(t *table) {
	widths := make([]int, len(t.header))
	head := make([]cell, len(t.header))
	for i, h := range t.header {
		head[i], widths[i] = cell{text: h, tone: toneDim}, utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	for _, row := range append([][]cell{head}, t.rows...) {
		p.row(t, row, widths)
	}
}

func (p *page) row(t *table, row []cell, widths []int) {
	last := len(row) - 1
	for last > 0 && row[last].text == "" {
		last--
	}
	for i, c := range row[:last+1] {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
		text := p.style.paint(c.tone, c.text)
		switch {
		case t.right[i]:
			text = pad + text
		case i < last:
			text += pad
		}
		if i > 0 {
			p.WriteString("  ")
		}
		p.WriteString(text)
	}
	p.WriteString("\n")
}
