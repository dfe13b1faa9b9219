package spec

import (
	"fmt"

	"github.com/leanloop/leanloop/internal/nearest"
)

// severity checks the word for what a failure does.
func (c *checker) severity(at, value string) {
	if value != "" {
		c.oneOf(at, value, Severities()...)
	}
}

// suite checks the expectations, and that they can be held to the contract's columns: only those are read.
func (c *checker) suite(d Data) {
	const at = "data.expectations.suite"
	s := d.Expectations.Suite
	if s == nil || s.File != "" {
		return
	}
	for _, p := range s.Problems() {
		c.found = append(c.found, Problem{Path: join(at, p.Path), Message: p.Message, Hint: p.Hint})
	}
	if d.Contract == nil || d.Contract.File != "" || len(d.Contract.Columns) == 0 {
		return
	}
	types, listed := map[string]string{}, []string{}
	for _, rule := range d.Contract.Columns {
		types[rule.Name] = rule.Type
		listed = append(listed, rule.Name)
	}
	for i, e := range s.Expectations {
		rule, problems := e.Rule()
		if len(problems) > 0 {
			continue
		}
		where := fmt.Sprintf("%s.expectations[%d].kwargs", at, i)
		for _, column := range rule.Reads() {
			if _, ok := types[column]; !ok {
				c.found = append(c.found, Problem{Path: where, Message: fmt.Sprintf("column %q isn't in the contract, so it isn't read", column),
					Hint: nearest.Hint(column, listed)})
			} else if err := rule.Takes(column, types[column]); err != nil {
				c.fail(where, "%v", err)
			}
		}
	}
}
