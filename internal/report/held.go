package report

import (
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// held are the contract's rules that the file keeps, column by column, and how many columns aren't listed.
func (v ValidationPage) held(failures []dataset.Failure) (rows []heldRow, more string) {
	if v.Err != nil || v.Report == nil {
		return nil, ""
	}
	broken := map[[2]string]bool{}
	for _, f := range failures {
		broken[[2]string{f.Column, f.Rule}] = true
	}
	if row := v.heldByFile(broken); len(row.Rules) > 0 {
		rows = append(rows, row)
	}
	if v.Contract == nil {
		return rows, ""
	}
	left := 0
	for _, rule := range v.Contract.Columns {
		row := heldByColumn(rule, broken)
		switch {
		case len(row.Rules) == 0:
		case len(rows) == maxListed:
			left++
		default:
			rows = append(rows, row)
		}
	}
	if left > 0 {
		more = fmt.Sprintf("%s more columns keep rules, and aren't listed here.", count(int64(left)))
	}
	return rows, more
}

// heldByFile are the rules about the file as a whole.
func (v ValidationPage) heldByFile(broken map[[2]string]bool) heldRow {
	row := heldRow{Whole: true}
	if c := v.Contract; c != nil {
		if !broken[[2]string{"", dataset.RuleRows}] {
			switch {
			case c.Rows.Min > 0 && c.Rows.Max > 0:
				row.add("%s to %s rows", count(int64(c.Rows.Min)), count(int64(c.Rows.Max)))
			case c.Rows.Min > 0:
				row.add("at least %s", counted(int64(c.Rows.Min), "row"))
			case c.Rows.Max > 0:
				row.add("at most %s", counted(int64(c.Rows.Max), "row"))
			}
		}
		if c.Strict && !anyRule(broken, dataset.RuleUnexpected) {
			row.add("no other columns")
		}
	}
	if e := v.Expectations; e.Freshness > 0 && !anyRule(broken, dataset.RuleFreshness) {
		row.add("newest event at most %s old", age(e.Freshness.D()))
	}
	return row
}

func anyRule(broken map[[2]string]bool, rule string) bool {
	for key := range broken {
		if key[1] == rule {
			return true
		}
	}
	return false
}

// heldByColumn are the rules about a column. One that is missing, or whose type is wrong throughout, keeps none.
func heldByColumn(rule spec.ColumnRule, broken map[[2]string]bool) heldRow {
	row := heldRow{Column: name(rule.Name)}
	fails := func(r string) bool { return broken[[2]string{rule.Name, r}] }
	if fails(dataset.RuleMissing) || fails(dataset.RuleContract) {
		return row
	}
	if !fails(dataset.RuleType) {
		row.add("%s", rule.Type)
	}
	if !rule.Nullable && !fails(dataset.RuleNull) {
		row.add("nothing missing")
	}
	if rule.Min != nil && !fails(dataset.RuleMin) {
		row.add("at least %s", number(*rule.Min).Text)
	}
	if rule.Max != nil && !fails(dataset.RuleMax) {
		row.add("at most %s", number(*rule.Max).Text)
	}
	if rule.MinTime != nil && !fails(dataset.RuleMin) {
		row.add("not before %s", rule.MinTime)
	}
	if rule.MaxTime != nil && !fails(dataset.RuleMax) {
		row.add("not after %s", rule.MaxTime)
	}
	if len(rule.Values) > 0 && !fails(dataset.RuleValues) {
		row.add("one of %s", several(rule.Values, 6))
	}
	if rule.Pattern != "" && !fails(dataset.RulePattern) {
		row.add("matches %s", rule.Pattern)
	}
	if rule.Unique && !fails(dataset.RuleUnique) {
		row.add("each value once")
	}
	return row
}

func (r *heldRow) add(format string, args ...any) {
	r.Rules = append(r.Rules, clipped(fmt.Sprintf(format, args...), longText/2))
}

// age is a duration in its largest whole unit.
func age(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return counted(int64(d/(24*time.Hour)), "day")
	case d%time.Hour == 0:
		return counted(int64(d/time.Hour), "hour")
	}
	return d.String()
}
