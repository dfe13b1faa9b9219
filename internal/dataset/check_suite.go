package dataset

import (
	"github.com/leanloop/leanloop/internal/dataset/expect"
	"github.com/leanloop/leanloop/internal/spec"
)

// expectColumns are the columns as package expect names them.
func expectColumns(columns []spec.ColumnRule) []expect.Column {
	out := make([]expect.Column, len(columns))
	for i, c := range columns {
		out[i] = expect.Column{Name: c.Name, Type: c.Type}
	}
	return out
}

// batchOf is a chunk as package expect takes it; values are shared.
func batchOf(c *Chunk) *expect.Batch {
	b := &expect.Batch{Columns: make([]expect.Column, len(c.Columns)), Rows: c.Table.Rows, First: c.First}
	for i := range c.Columns {
		from := &c.Columns[i]
		b.Columns[i] = expect.Column{Name: from.Name, Type: from.Kind.String(), Floats: from.Floats, Codes: from.Codes, Dict: from.Dict, Times: from.Times}
	}
	return b
}

// suiteReport adds the expectations that weren't met, and the results of all.
func (k *Checker) suiteReport(r *Report, fail func(Failure)) error {
	findings, err := k.suite.Finish(k.header)
	if err != nil {
		return err
	}
	r.Suite = k.suite.Result(findings)
	for _, found := range findings {
		if found.Outcome.Success {
			continue
		}
		f := Failure{Column: found.Column, Rule: found.Rule.Type, Observed: found.Observed, Limit: found.Limit, Rows: found.Rows, Severity: SeverityWarn}
		if found.Rule.Blocks() {
			f.Severity = SeverityBlock
		}
		for _, row := range found.First[:min(k.o.Keep, len(found.First))] {
			f.First = append(f.First, row+1)
		}
		fail(f)
	}
	return nil
}
