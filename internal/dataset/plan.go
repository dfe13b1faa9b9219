package dataset

import (
	"slices"

	"github.com/leanloop/leanloop/internal/spec"
)

// plan is which column of the file becomes which of the table.
type plan struct {
	header   []string
	lanes    []laneSpec // per column of the file
	out      []outColumn
	ignored  []string
	failures []Failure // per column of the table: cells that are no value of its declared kind
}

// outColumn is a column of the table.
type outColumn struct {
	name string
	kind Kind
	lane int // -1: optional, and the file doesn't have it
}

// planLanes matches the header with the contract. What doesn't match goes to the report. Without a contract all columns
// are read, of kinds that are still to be found.
func planLanes(header []string, o ReadOptions, report *Report) (*plan, error) {
	p := &plan{header: header, lanes: make([]laneSpec, len(header))}
	if o.Contract == nil {
		for i, name := range header {
			p.lanes[i] = laneSpec{infer: true, out: i}
			p.out = append(p.out, outColumn{name: name, lane: i})
		}
		p.failures = make([]Failure, len(p.out))
		return p, nil
	}
	at := make(map[string]int, len(header))
	for i, name := range header {
		at[name] = i
		p.lanes[i].out = -1
	}
	listed := make(map[string]bool, len(header))
	for _, rule := range o.Contract.Columns {
		listed[rule.Name] = true
		kind, err := ParseKind(rule.Type)
		if err != nil {
			return nil, contractFault(rule.Name, err)
		}
		i, there := at[rule.Name]
		if !there && !rule.Optional {
			report.Failures = append(report.Failures, missingColumn(rule.Name, header))
			continue
		}
		column := outColumn{name: rule.Name, kind: kind, lane: -1}
		if there {
			column.lane = i
			p.lanes[i] = laneSpec{mode: modeOf(kind), kind: kind, out: len(p.out)}
		}
		p.out = append(p.out, column)
		p.failures = append(p.failures, Failure{Column: rule.Name, Rule: RuleType, Limit: wanted(kind), Severity: SeverityBlock})
	}
	for _, name := range header {
		if listed[name] {
			continue
		}
		p.ignored = append(p.ignored, name)
		if o.Contract.Strict {
			report.Failures = append(report.Failures, unexpectedColumn(name))
		}
	}
	return p, nil
}

// probe are lanes that only look at what cells are like.
func (p *plan) probe() []laneSpec {
	specs := slices.Clone(p.lanes)
	for i := range specs {
		specs[i].mode = probeCells
	}
	return specs
}

// columns are the table's columns' names and kinds.
func (p *plan) columns() []spec.ColumnRule {
	rules := make([]spec.ColumnRule, len(p.out))
	for i, c := range p.out {
		rules[i] = spec.ColumnRule{Name: c.name, Type: c.kind.String()}
	}
	return rules
}

// table makes t the rows of a parsed block.
func (p *plan) table(t *Table, c *parsed) {
	t.Rows = c.rows
	if len(t.Columns) != len(p.out) {
		t.Columns = make([]Column, len(p.out))
	}
	for i, out := range p.out {
		if out.lane >= 0 {
			t.Columns[i] = c.lanes[out.lane].column(out.name, out.kind, c.rows)
			continue
		}
		column := &t.Columns[i]
		if column.absent && column.Len() >= c.rows {
			column.cut(c.rows)
			continue
		}
		*column = Column{Name: out.name, Kind: out.kind, absent: true}
		column.grow(c.rows)
		column.appendNulls(c.rows)
	}
}

// cut keeps the first n values.
func (c *Column) cut(n int) {
	switch {
	case c.Kind.numeric():
		c.Floats = c.Floats[:n]
	case c.Kind.coded():
		c.Codes = c.Codes[:n]
	default:
		c.Times = c.Times[:n]
	}
}

// wanted says what a cell of a kind looks like.
func wanted(k Kind) string {
	switch k {
	case Number:
		return "a finite decimal number"
	case Integer:
		return "a whole number within ±2^53"
	case Boolean:
		return "true, false, 1 or 0"
	case Timestamp:
		return "a time such as 2006-01-02 or 2006-01-02T15:04:05Z"
	}
	return k.String()
}
