package dataset

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/dataset/parquet"
	"github.com/leanloop/leanloop/internal/spec"
)

// parquetPlan is which columns of a file make the table.
type parquetPlan struct {
	columns []*parquetColumn // the table's
	header  []string
	ignored []string
	refused []Failure // of columns as a whole
}

// parquetColumn is a column of the table.
type parquetColumn struct {
	name    string
	kind    Kind
	at      int  // its number in the file; -1: nothing is read
	infer   bool // nobody declared the kind
	stored  storage
	failure Failure // cells that are no value of the kind
	keep    int
	verdict names // infer, and coded: what its values are
	beyond  bool  // infer: a cell was no Integer, so it is a column of names
}

// planParquet matches the file's columns with the contract, as planColumns does for those of a text.
func planParquet(f *parquet.File, o ReadOptions) (parquetPlan, error) {
	var plan parquetPlan
	header, err := parquetHeader(f, o)
	if err != nil {
		return plan, err
	}
	plan.header = header
	if o.Contract == nil {
		for i, name := range header {
			stored, wrong := storageOf(&f.Columns[i])
			if wrong != "" {
				return plan, &FormatError{Name: o.Name, Rule: RuleType, Column: name, Observed: wrong, Limit: "a column of single values; with a contract, columns that it doesn't list are ignored"}
			}
			c := &parquetColumn{name: name, at: i, kind: stored.kind(), infer: true, stored: stored, keep: o.Keep}
			plan.columns = append(plan.columns, c)
		}
		return plan, nil
	}
	listed := make(map[string]bool, len(o.Contract.Columns))
	for _, rule := range o.Contract.Columns {
		listed[rule.Name] = true
		if err := plan.add(f, rule, header, o); err != nil {
			return plan, err
		}
	}
	for _, name := range header {
		if listed[name] {
			continue
		}
		plan.ignored = append(plan.ignored, name)
		if o.Contract.Strict {
			plan.refused = append(plan.refused, unexpectedColumn(name))
		}
	}
	return plan, nil
}

// add plans one column of the contract.
func (p *parquetPlan) add(f *parquet.File, rule spec.ColumnRule, header []string, o ReadOptions) error {
	kind, err := ParseKind(rule.Type)
	if err != nil {
		return contractFault(rule.Name, err)
	}
	c := &parquetColumn{name: rule.Name, kind: kind, at: slices.Index(header, rule.Name), keep: o.Keep}
	if c.at >= 0 {
		var wrong string
		if c.stored, wrong = storageOf(&f.Columns[c.at]); wrong != "" {
			p.refused = append(p.refused, Failure{Column: rule.Name, Rule: RuleType, Observed: wrong, Limit: wanted(kind), Severity: SeverityBlock})
			c.at = -1 // null in every row, as a cell of a wrong type is
		}
	} else if !rule.Optional {
		p.refused = append(p.refused, missingColumn(rule.Name, header))
		return nil
	}
	p.columns = append(p.columns, c)
	return nil
}

// parquetHeader is the columns' names.
func parquetHeader(f *parquet.File, o ReadOptions) ([]string, error) {
	header := make([]string, len(f.Columns))
	at := make(map[string]int, len(header))
	for i := range f.Columns {
		name := f.Columns[i].Name
		fail := func(rule, observed, limit string) error {
			return &FormatError{Name: o.Name, Rule: rule, Column: fmt.Sprintf("#%d", i+1), Observed: observed, Limit: limit}
		}
		first, twice := at[name]
		switch {
		case name == "":
			return nil, fail(RuleHeader, "no name", "a name")
		case twice:
			return nil, fail(RuleHeader, fmt.Sprintf("the name %q, which column #%d has", name, first+1), "a name of its own")
		case len(name) > o.Limits.Cell:
			return nil, fail(RuleLimit, fmt.Sprintf("a name of %d bytes", len(name)), fmt.Sprintf("at most %d", o.Limits.Cell))
		}
		if observed, limit := badText([]byte(name)); observed != "" {
			return nil, fail(RuleEncoding, observed, limit)
		}
		at[name], header[i] = i, name
	}
	return header, nil
}

// badText says what is wrong with a text's bytes; "" is nothing.
func badText(b []byte) (observed, limit string) {
	switch {
	case bytes.IndexByte(b, 0) >= 0:
		return "a NUL byte", "text"
	case !utf8.Valid(b):
		return fmt.Sprintf("invalid UTF-8 in %.40q", b), "UTF-8"
	}
	return "", ""
}

// rules are the names and kinds of the table's columns.
func (p *parquetPlan) rules() []spec.ColumnRule {
	var rules []spec.ColumnRule
	for _, c := range p.columns {
		rules = append(rules, spec.ColumnRule{Name: c.name, Type: c.kind.String()})
	}
	return rules
}

// failures are the columns that were refused and the cells that were.
func (p *parquetPlan) failures() []Failure {
	all := p.refused
	for _, c := range p.columns {
		if c.failure.Rows > 0 {
			all = append(all, c.failure)
		}
	}
	return all
}

// start readies the columns for a pass.
func (p *parquetPlan) start() {
	for _, c := range p.columns {
		c.failure = Failure{Column: c.name, Rule: RuleType, Limit: wanted(c.kind), Severity: SeverityBlock}
		c.beyond = false
		c.verdict = names{}
	}
}

// settle sets the kinds that a whole pass showed, and reports whether any differs from the one that it began with.
func (p *parquetPlan) settle() (changed bool) {
	for _, c := range p.columns {
		if !c.infer {
			continue
		}
		kind := c.kind
		switch {
		case c.beyond:
			kind = Category
		case c.kind.coded() && !c.stored.unknown():
			kind = c.verdict.kind()
		}
		changed = changed || kind != c.kind
		c.kind = kind
	}
	return changed
}

// note counts the names of a chunk, and reports whether a kind that was inferred can't stay.
func (p *parquetPlan) note(c *parquetChunk) (contradicted bool) {
	contradicted = c.beyond.Load()
	for i, column := range p.columns {
		if column.infer && column.kind.coded() {
			column.verdict.add(c.Columns[i].Dict, c.Rows-c.Columns[i].Nulls())
			contradicted = contradicted || column.kind == Category && column.verdict.many
		}
	}
	return contradicted
}

// names counts the values of an inferred column until it is plain that they are no categories.
type names struct {
	distinct map[string]struct{}
	many     bool // more than maxCategories
	values   int
}

// add notes the values of a chunk: n rows have them.
func (n *names) add(dict []string, rows int) {
	n.values += rows
	if n.many {
		return
	}
	if n.distinct == nil {
		n.distinct = map[string]struct{}{}
	}
	for _, value := range dict {
		n.distinct[value] = struct{}{}
		if len(n.distinct) > maxCategories {
			n.many, n.distinct = true, nil
			return
		}
	}
}

// kind is Category for few values, or not many that repeat; the rule of builder.categorical.
func (n *names) kind() Kind {
	distinct := len(n.distinct)
	switch {
	case n.values == 0:
		return Text // nothing is known of it, and text takes whatever comes
	case !n.many && (distinct <= fewCategories || 2*distinct <= n.values):
		return Category
	}
	return Text
}
