package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// maxUnexpected is how many unexpected values an expectation's line names.
const maxUnexpected = 5

// suiteView is a suite's outcome.
type suiteView struct {
	ID, Lead string
	Name     words
	Checks   []suiteRow
	More     string
}

// suiteRow is an expectation's outcome.
type suiteRow struct {
	Chip                         chip
	Type, Column, Want, Observed words
	Whole                        bool // about the table, not a column
	Unexpected, Share            words
}

// suiteOf is a suite's outcome, failures first, those that block before the others.
func suiteOf(i int, r *suite.Result) suiteView {
	v := suiteView{ID: fmt.Sprintf("suite%d", i+1), Name: name(r.SuiteName)}
	v.Lead = fmt.Sprintf("%s of %s met.", count(int64(r.Statistics.Successful)), counted(int64(len(r.Results)), "expectation"))
	rows := make([]suiteRow, len(r.Results))
	for j, o := range r.Results {
		rows[j] = outcomeOf(o)
	}
	order := []string{bad, warn, good}
	slices.SortStableFunc(rows, func(a, b suiteRow) int { return slices.Index(order, a.Chip.State) - slices.Index(order, b.Chip.State) })
	v.Checks = rows[:min(len(rows), maxListed)]
	if more := len(rows) - maxListed; more > 0 {
		v.More = fmt.Sprintf("%s more expectations aren't listed here.", count(int64(more)))
	}
	return v
}

func outcomeOf(o suite.Outcome) suiteRow {
	column := columnOf(o.Config.Kwargs)
	row := suiteRow{
		Chip: chip{good, "Met"}, Type: clipped(expectationName(o.Config.Type), longText),
		Column: name(column), Whole: column == "", Want: askedFor(o.Config.Kwargs), Observed: observed(o),
	}
	row.Type.Title = visible(o.Config.Type, longTitle)
	blocks := suite.Expectation{Severity: o.Config.Severity}.Blocks()
	switch {
	case o.Exception.Raised && blocks:
		row.Chip = chip{bad, "Not judged"}
	case o.Exception.Raised:
		row.Chip = chip{warn, "Not judged"}
	case !o.Success && blocks:
		row.Chip = chip{bad, "Blocks"}
	case !o.Success:
		row.Chip = chip{warn, "Warning"}
	}
	if f := o.Found; f.UnexpectedCount != nil {
		row.Unexpected = words{Text: count(*f.UnexpectedCount)}
		if f.UnexpectedPercent != nil {
			row.Share = percent(*f.UnexpectedPercent / 100)
		}
	}
	return row
}

// columnOf names what an expectation is about: a column, or several; "" for the table.
func columnOf(kwargs suite.Kwargs) string {
	var names []string
	for _, key := range []string{"column", "column_A", "column_B"} {
		if column, ok := kwargs[key].(string); ok {
			names = append(names, column)
		}
	}
	if list, ok := kwargs["column_list"].([]any); ok {
		for _, column := range list[:min(len(list), maxUnexpected)] {
			names = append(names, fmt.Sprint(column))
		}
	}
	return strings.Join(names, ", ")
}

// askedFor are an expectation's other arguments.
func askedFor(kwargs suite.Kwargs) words {
	var asked []string
	keys := slices.SortedFunc(maps.Keys(kwargs), func(a, b string) int { return cmp.Compare(beside(a), beside(b)) })
	for _, key := range keys {
		if kwargs[key] != nil && !strings.HasPrefix(key, "column") {
			asked = append(asked, strings.ReplaceAll(key, "_", " ")+" "+spelled(kwargs[key]))
		}
	}
	if len(asked) == 0 {
		return words{}
	}
	return clipped(strings.Join(asked, ", "), longText/2)
}

// beside sorts a maximum behind its minimum.
func beside(key string) string { return strings.Replace(key, "max_", "min_~", 1) }

// observed is what was found instead: why it couldn't be judged, a number, or some of the unexpected values.
func observed(o suite.Outcome) words {
	switch {
	case o.Exception.Raised && o.Exception.Message != nil:
		return clipped(*o.Exception.Message, longText)
	case o.Found.ObservedValue != nil:
		return clipped(spelled(o.Found.ObservedValue), longText/2)
	case len(o.Found.PartialUnexpected) == 0:
		return words{}
	}
	var values []string
	for _, v := range o.Found.PartialUnexpected[:min(len(o.Found.PartialUnexpected), maxUnexpected)] {
		if text := spelled(v); !slices.Contains(values, text) {
			values = append(values, text)
		}
	}
	return clipped(strings.Join(values, ", "), longText/2)
}

// spelled is a value of JSON as people write it: numbers with their thousands apart, all else as JSON.
func spelled(v any) string {
	switch x := v.(type) {
	case float64:
		return number(x).Text
	case int64:
		return count(x)
	case int:
		return count(int64(x))
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}
