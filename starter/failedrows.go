package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// failedKeep is how many rows --failed-rows writes for each rule.
const failedKeep = 1000

// export writes the rows that break rules to where --failed-rows says. The file is read once more, each column as what
// it holds rather than as what it should, so that a cell of a wrong type is seen. A file that is no table has no rows.
func (o *validateOptions) export(ctx context.Context, f *dataFile, s *scanned) error {
	if o.failedRows == "" {
		return nil
	}
	if s.broken != nil {
		o.warn([]string{fmt.Sprintf("--failed-rows: %s isn't written, since %s is no table", o.failedRows, f.name)})
		return nil
	}
	broken := map[int64][]string{}
	for _, failure := range s.report.Failures {
		for _, row := range failure.First {
			rule := failure.Rule
			if failure.Column != "" {
				rule = failure.Column + ": " + rule
			}
			broken[row-1] = append(broken[row-1], rule)
		}
	}
	picked := &rowPicker{broken: broken}
	if len(broken) > 0 {
		if _, _, err := dataset.Scan(ctx, f.source, dataset.ReadOptions{Name: f.name, Format: f.format}, picked); err != nil {
			return fmt.Errorf("--failed-rows: %w", err)
		}
	}
	return writeFile("--failed-rows", o.failedRows, picked.write)
}

// rowPicker is a Visitor that keeps the rows that break rules.
type rowPicker struct {
	broken  map[int64][]string // by row, from 0
	columns []string
	rows    [][]string
}

// Begin starts anew.
func (p *rowPicker) Begin(columns []spec.ColumnRule) error {
	p.columns, p.rows = nil, nil
	for _, c := range columns {
		p.columns = append(p.columns, c.Name)
	}
	return nil
}

// Rows keeps what is wanted of the next rows.
func (p *rowPicker) Rows(c dataset.Chunk) error {
	var texts []func(row int) string
	for row := range c.Table.Rows {
		rules, ok := p.broken[c.First+int64(row)]
		if !ok {
			continue
		}
		if texts == nil {
			for i := range c.Columns {
				texts = append(texts, inference.Labeller(&c.Columns[i]))
			}
		}
		cells := []string{strconv.FormatInt(c.First+int64(row)+1, 10), strings.Join(rules, "; ")}
		for i := range c.Columns {
			switch column := &c.Columns[i]; {
			case column.Null(row):
				cells = append(cells, "")
			case column.Kind == dataset.Category || column.Kind == dataset.Text:
				cells = append(cells, dataset.EscapeFormula(texts[i](row)))
			default:
				cells = append(cells, texts[i](row))
			}
		}
		p.rows = append(p.rows, cells)
	}
	return nil
}

// write writes the rows with their numbers, 1 being the first below the header, and what they break.
func (p *rowPicker) write(w io.Writer) error {
	out := csv.NewWriter(w)
	header := []string{"row", "broken rules"}
	for _, name := range p.columns {
		header = append(header, dataset.EscapeFormula(name))
	}
	if err := out.WriteAll(slices.Concat([][]string{header}, p.rows)); err != nil {
		return err
	}
	return out.Error()
}
