package dataset

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

// prepared are rows of the given days after epoch, with an alternating target.
func prepared(t *testing.T, data spec.Data, rows ...string) *Prepared {
	t.Helper()
	p, err := Prepare(mustRead(t, "id,at,g,x,target\n"+strings.Join(rows, "\n")+"\n"), data, time.Time{})
	require.NoError(t, err)
	return p
}

// daily is one row for each of the given days.
func daily(days ...int) []string {
	rows := make([]string, len(days))
	for i, day := range days {
		rows[i] = fmt.Sprintf("r%d,%s,,%d,%d", i, epoch.AddDate(0, 0, day).Format(time.DateOnly), i, i%2)
	}
	return rows
}

func sequence(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

var byTime = spec.Data{ID: "id", Time: "at", Target: "target"}

func newest(test, validation float64, longest time.Duration) spec.Split {
	return spec.Split{By: ByTime, Validation: spec.Percent(validation), Test: spec.TestSplit{Newest: spec.Percent(test), Max: spec.Duration(longest)}, Seed: 42}
}

func TestSplitByTime(t *testing.T) {
	const day = 24 * time.Hour
	tests := map[string]struct {
		days              []int
		split             spec.Split
		train, validation int
		test              int
	}{
		"the newest fifth, the tenth before it":               {sequence(30), newest(0.2, 0.1, 30*day), 21, 3, 6},
		"shares of all rows, rounded up":                      {sequence(11), newest(0.2, 0.1, 30*day), 6, 2, 3},
		"no test row older than max before the newest":        {sequence(100), newest(0.2, 0.1, 9*day), 80, 10, 10},
		"max counts from the newest event, inclusive":         {[]int{0, 1, 2, 3, 4, 5, 6, 10, 19, 20}, newest(0.4, 0.1, 10*day), 6, 1, 3},
		"without max only the share counts":                   {sequence(100), newest(0.2, 0.1, 0), 70, 10, 20},
		"the test boundary moves back to its instant's first": {[]int{0, 1, 2, 3, 4, 5, 6, 7, 7, 7}, newest(0.2, 0.1, 30*day), 6, 1, 3},
		"so does the validation boundary":                     {[]int{0, 1, 2, 3, 4, 6, 6, 6, 8, 9}, newest(0.2, 0.1, 30*day), 5, 3, 2},
		"no validation when none is asked for":                {sequence(10), newest(0.2, 0, 30*day), 8, 0, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := prepared(t, byTime, daily(test.days...)...)
			parts, err := Split(p, byTime, test.split)
			require.NoError(t, err)
			require.Equal(t, []int{test.train, test.validation, test.test}, []int{len(parts.Train), len(parts.Validation), len(parts.Test)})
			times := p.Table.Columns[1].Times
			require.Equal(t, times[parts.Test[0]], parts.TestFrom.UnixNano())
			if test.validation > 0 {
				require.Equal(t, times[parts.Validation[0]], parts.ValidationFrom.UnixNano())
			}
		})
	}
}

func TestSplitByTimeKeepsGroupsWithTheirNewestRow(t *testing.T) {
	data := byTime
	data.Group = "g"
	rows := daily(sequence(20)...)
	for _, i := range []int{0, 19} { // one of the oldest flies with the newest
		rows[i] = strings.Replace(rows[i], ",,", ",late,", 1)
	}
	for _, i := range []int{1, 15} { // and one with validation
		rows[i] = strings.Replace(rows[i], ",,", ",middle,", 1)
	}
	parts, err := Split(prepared(t, data, rows...), data, newest(0.2, 0.1, 30*24*time.Hour))
	require.NoError(t, err)
	require.Equal(t, []int{0, 16, 17, 18, 19}, parts.Test)
	require.Equal(t, []int{1, 14, 15}, parts.Validation)
	require.Equal(t, sequence(14)[2:], parts.Train)
}

func TestSplitByHashIsForEver(t *testing.T) {
	data := spec.Data{ID: "id", Target: "target"}
	split := spec.Split{By: ByHash, Seed: 42, Validation: 0.1, Test: spec.TestSplit{Newest: 0.2}}
	of := func(rows []string, split spec.Split) map[string]string {
		p := prepared(t, data, rows...)
		parts, err := Split(p, data, split)
		require.NoError(t, err)
		ids := texts(t, p.Table, "id")
		where := map[string]string{}
		for name, part := range map[string][]int{"train": parts.Train, "validation": parts.Validation, "test": parts.Test} {
			for _, row := range part {
				where[ids[row]] = name
			}
		}
		require.Len(t, where, len(rows))
		return where
	}
	rows := daily(sequence(5000)...)
	all := of(rows, split)
	count := map[string]float64{}
	for _, part := range all {
		count[part]++
	}
	require.InDelta(t, 0.2, count["test"]/5000, 0.02)
	require.InDelta(t, 0.1, count["validation"]/5000, 0.02)
	for id, part := range of(rows[2000:4000], split) {
		require.Equal(t, all[id], part, "of fewer rows")
	}
	other := split
	other.Seed = 7
	require.NotEqual(t, all, of(rows, other), "another seed is another split")

	// The draw as docs/data.md spells it out, computed by Python's hashlib:
	//   key = sha256(b"r0")[:8]; sha256(b"test\0" + (42).to_bytes(8, "big") + key)[:8] / 2**64 = 0.4931969...
	require.InDelta(t, 0.4931969875827964, unit(draw("test", 42, hash64([]byte("r0")))), 1e-15)
}

func TestSplitByHashKeepsGroupsTogether(t *testing.T) {
	data := spec.Data{ID: "id", Target: "target", Group: "g"}
	var rows []string
	for i := range 2000 {
		rows = append(rows, fmt.Sprintf("r%d,2013-01-01,g%d,1,%d", i, i%100, i%2))
	}
	p := prepared(t, data, rows...)
	parts, err := Split(p, data, spec.Split{Seed: 42, Validation: 0.1, Test: spec.TestSplit{Newest: 0.2}})
	require.NoError(t, err)
	groups := texts(t, p.Table, "g")
	of := map[string]int{}
	for i, part := range [][]int{parts.Train, parts.Validation, parts.Test} {
		require.NotEmpty(t, part)
		for _, row := range part {
			if was, known := of[groups[row]]; known {
				require.Equal(t, was, i)
			}
			of[groups[row]] = i
		}
	}
}

func TestDropNullsTouchesTrainingRowsOnly(t *testing.T) {
	data := byTime
	rows := daily(sequence(20)...)
	for _, i := range []int{3, 5, 15, 19} {
		rows[i] = fmt.Sprintf("r%d,%s,,,%d", i, epoch.AddDate(0, 0, i).Format(time.DateOnly), i%2)
	}
	data.Features.Include = []string{"x"}
	data.DropNulls = true
	parts, err := Split(prepared(t, data, rows...), data, newest(0.2, 0.1, 0))
	require.NoError(t, err)
	require.Equal(t, 2, parts.DroppedNulls)
	require.Len(t, parts.Train, 12)
	require.Len(t, parts.Validation, 2)
	require.Len(t, parts.Test, 4)
}

func TestSplitRefusesWhatLeavesAPartEmpty(t *testing.T) {
	grouped := byTime
	grouped.Group = "g"
	oneGroup := daily(sequence(10)...)
	for i := range oneGroup {
		oneGroup[i] = strings.Replace(oneGroup[i], ",,", ",all,", 1)
	}
	tests := map[string]struct {
		data  spec.Data
		rows  []string
		split spec.Split
		want  string
	}{
		"all rows of one instant":      {byTime, daily(1, 1, 1, 1), newest(0.2, 0.1, 0), "0 training rows of 4, want at least 1: rows of more instants, or split.by hash"},
		"two instants":                 {byTime, daily(1, 1, 2, 2), newest(0.2, 0.1, 0), "0 training rows of 4"},
		"one group":                    {grouped, oneGroup, newest(0.2, 0.1, 0), "more groups in column g"},
		"no test share":                {byTime, daily(sequence(9)...), newest(0, 0.1, 0), "test 0 and validation 0.1"},
		"shares of all rows":           {byTime, daily(sequence(9)...), newest(0.6, 0.4, 0), "some rows left to train on"},
		"by time without a time":       {spec.Data{Target: "target"}, daily(sequence(9)...), newest(0.2, 0.1, 0), "without data.time"},
		"an unknown way":               {byTime, daily(sequence(9)...), spec.Split{By: "luck", Test: spec.TestSplit{Newest: 0.2}}, `split.by "luck", want time or hash`},
		"a group that isn't a column":  {spec.Data{Target: "target", Group: "team"}, daily(sequence(9)...), newest(0.2, 0.1, 0), "column team"},
		"rows that weren't prepared":   {byTime, daily(sequence(9)...), newest(0.2, 0.1, 0), "rows out of order"},
		"too few rows for a hash test": {spec.Data{Target: "target"}, daily(1, 2), spec.Split{Test: spec.TestSplit{Newest: 1e-9}}, "0 test rows of 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := prepared(t, test.data, test.rows...)
			if strings.Contains(test.want, "out of order") {
				p.Table = p.Table.Select([]int{1, 0})
			}
			parts, err := Split(p, test.data, test.split)
			var data *DataError
			require.ErrorAs(t, err, &data)
			require.ErrorContains(t, err, test.want)
			require.Nil(t, parts)
		})
	}
}

func TestPrepareLeavesOutAndCounts(t *testing.T) {
	data := spec.Data{ID: "id", Time: "at", Target: "target", Labels: spec.Labels{Delay: spec.Duration(48 * time.Hour)}}
	table := mustRead(t, strings.Join([]string{"id,at,target,x",
		"late,2013-01-09,1,1",
		"a,2013-01-03,,2",      // not labelled yet
		"young,2013-01-11,1,3", // younger than two days on the 12th
		",2013-01-01,0,4",
		"b,,0,5",
		"a,2013-01-03,1,6",    // the label of a came
		"a,2013-01-04,0,7",    // and again: the first stays
		"edge,2013-01-10,0,8", // two days old to the second
	}, "\n")+"\n")
	p, err := Prepare(table, data, time.Date(2013, 1, 12, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, []string{"6", "1", "8"}, texts(t, p.Table, "x"), "sorted by time")
	require.Equal(t, []int{8, 1, 1, 1, 1, 1, 0},
		[]int{p.Input, p.DroppedNullTarget, p.DroppedNullID, p.DroppedNullTime, p.DroppedYoung, p.DroppedDuplicates, p.Identical})
	require.Equal(t, []uint64{hash64([]byte("a")), hash64([]byte("late")), hash64([]byte("edge"))}, p.Keys)

	all, err := Prepare(table, data, time.Time{})
	require.NoError(t, err)
	require.Zero(t, all.DroppedYoung, "no age without an as-of")
}

func TestPrepareWithoutAnIDKeepsIdenticalRows(t *testing.T) {
	p, err := Prepare(mustRead(t, "x,target\n1,0\n1,0\n1,1\n"), spec.Data{Target: "target"}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, 3, p.Table.Rows)
	require.Equal(t, 1, p.Identical)
	require.Equal(t, p.Keys[0], p.Keys[1])
}

func TestPrepareOrderDoesNotDependOnTheOrderOfFiles(t *testing.T) {
	a, b := mustRead(t, "id,at,target\nx,2013-01-02,0\ny,2013-01-01,1\n"), mustRead(t, "id,at,target\nz,2013-01-02,1\nw,2013-01-02,0\n")
	var orders [][]string
	for _, files := range [][]*Table{{a, b}, {b, a}} {
		all, err := Concat(files...)
		require.NoError(t, err)
		p, err := Prepare(all, byTime, time.Time{})
		require.NoError(t, err)
		orders = append(orders, texts(t, p.Table, "id"))
	}
	require.Equal(t, orders[0], orders[1])
}

func TestPrepareRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text, rule, column string
		data               spec.Data
	}{
		"a target that isn't there": {"a,b\n1,2\n", RuleColumn, "target", spec.Data{Target: "target"}},
		"an id that isn't there":    {"a,b\n1,2\n", RuleColumn, "id", spec.Data{Target: "b", ID: "id"}},
		"a time that isn't there":   {"a,b\n1,2\n", RuleColumn, "at", spec.Data{Target: "b", Time: "at"}},
		"a time that is a number":   {"a,b\n1,2\n", RuleType, "a", spec.Data{Target: "b", Time: "a"}},
		"one class":                 {"a,b\n1,2\n3,2\n4,\n", RuleOneClass, "b", spec.Data{Target: "b"}},
		"no row with a label":       {"a,b\n1,\n3,\n", RuleNoRows, "", spec.Data{Target: "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Prepare(mustRead(t, test.text), test.data, time.Time{})
			var data *DataError
			require.ErrorAs(t, err, &data)
			require.Equal(t, test.rule, data.Rule, "%v", err)
			require.Equal(t, test.column, data.Column)
		})
	}
}

func TestFeatureColumns(t *testing.T) {
	table := mustRead(t, "id,at,g,w,x,y,target\na,2013-01-01,1,1,1,1,1\n")
	table.Columns = append(table.Columns, Column{Name: "note", Kind: Text, Codes: []int32{-1}})
	base := spec.Data{ID: "id", Time: "at", Target: "target", Group: "g", Weight: "w"}
	tests := map[string]struct {
		features spec.Features
		want     []string
		problem  string
	}{
		"all but id, time, target, group, weight and text": {spec.Features{}, []string{"x", "y"}, ""},
		"less the excluded":                    {spec.Features{Exclude: []string{"x"}}, []string{"y"}, ""},
		"exactly the included, in table order": {spec.Features{Include: []string{"y", "g"}}, []string{"g", "y"}, ""},
		"an unknown name":                      {spec.Features{Exclude: []string{"z"}}, nil, "one of id, at, g, w, x, y, target, note"},
		"the target":                           {spec.Features{Include: []string{"target"}}, nil, "the target in data.features.include"},
		"text":                                 {spec.Features{Include: []string{"note"}}, nil, "a category"},
		"nothing left":                         {spec.Features{Exclude: []string{"x", "y"}}, nil, "no feature among"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			base.Features = test.features
			got, err := FeatureColumns(table, base)
			if test.problem != "" {
				require.ErrorContains(t, err, test.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}
