package dataset

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
)

// The promise that everything else rests on, over any history of a data set: no row that judges a version was in
// its training folder, and champion and challenger are judged on identical rows. It is checked against what was
// really written to folders, read back by encoding/csv and told apart by id or whole line: no key, no row number.

// history is what happens to a data set, and how its spec reads it.
type history struct {
	data       spec.Data
	split      spec.Split
	deliveries []delivery
}

// delivery is a file that lands and, if retrain is set, a run afterwards.
type delivery struct {
	source  string
	text    string // CSV
	retrain bool
	promote bool // the run's version becomes champion
	asOf    time.Time
}

// version is what a run left behind.
type version struct {
	folder map[string]bool // identities of the rows in its training folder
	keys   KeySet
}

// strategy is how a run uses this package; the real one is ours.
type strategy struct {
	prepare func(*Table, spec.Data, time.Time) (*Prepared, error)
	split   func(*Prepared, spec.Data, spec.Split) (*Parts, error)
	trained func(*Prepared, *Parts) KeySet
	judge   func(p *Prepared, test []int, champion, challenger KeySet) (champions, challengers []int)
}

// ours is the package as activities use it.
func ours() strategy {
	return strategy{
		prepare: Prepare, split: Split, trained: TrainedKeys,
		judge: func(p *Prepared, test []int, champion, challenger KeySet) ([]int, []int) {
			rows := JudgeRows(p, test, champion, challenger)
			return rows, rows
		},
	}
}

func TestNoRowJudgesAVersionThatTrainedOnIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		_, err := replay(t.Context(), genHistory.Draw(t, "history"), ours())
		require.NoError(t, err)
	})
}

func TestHistoriesHaveRowsWorthLeavingOut(t *testing.T) {
	var all tally
	for seed := range 200 {
		seen, err := replay(t.Context(), genHistory.Example(seed), ours())
		require.NoError(t, err)
		all.runs, all.compared, all.leftOut = all.runs+seen.runs, all.compared+seen.compared, all.leftOut+seen.leftOut
	}
	t.Logf("200 histories: %d versions, %d comparisons, %d test rows left out since a version had trained on them", all.runs, all.compared, all.leftOut)
	require.Greater(t, all.compared, 100)
	require.Greater(t, all.leftOut, 10)
}

func TestTheCheckFindsWhatItIsFor(t *testing.T) {
	wrong := map[string]func(*strategy){
		"the champion's own training rows judge it": func(s *strategy) {
			s.judge = func(p *Prepared, test []int, _, challenger KeySet) ([]int, []int) {
				rows := JudgeRows(p, test, challenger)
				return rows, rows
			}
		},
		"each version is judged on the rows new to it": func(s *strategy) {
			s.judge = func(p *Prepared, test []int, champion, challenger KeySet) ([]int, []int) {
				return JudgeRows(p, test, champion), JudgeRows(p, test, challenger)
			}
		},
		"validation rows don't count as trained on": func(s *strategy) {
			s.trained = func(p *Prepared, parts *Parts) KeySet { return TrainedKeys(p, &Parts{Train: parts.Train}) }
		},
		"rows are known by their number": func(s *strategy) {
			s.prepare = func(t *Table, d spec.Data, asOf time.Time) (*Prepared, error) {
				p, err := Prepare(t, d, asOf)
				if err == nil {
					for row := range p.Keys {
						p.Keys[row] = uint64(row)
					}
				}
				return p, err
			}
		},
		"all test rows judge": func(s *strategy) {
			s.judge = func(_ *Prepared, test []int, _, _ KeySet) ([]int, []int) { return test, test }
		},
		"no row judges": func(s *strategy) {
			s.judge = func(*Prepared, []int, KeySet, KeySet) ([]int, []int) { return nil, nil }
		},
		"test rows reach the folder": func(s *strategy) {
			s.split = func(p *Prepared, d spec.Data, sp spec.Split) (*Parts, error) {
				parts, err := Split(p, d, sp)
				if err == nil {
					parts.Train = append(parts.Train, parts.Test[0])
				}
				return parts, err
			}
		},
	}
	for name, spoil := range wrong {
		t.Run(name, func(t *testing.T) {
			s := ours()
			spoil(&s)
			for seed := range 2000 {
				if _, err := replay(t.Context(), genHistory.Example(seed), s); err != nil {
					t.Logf("history %d: %v", seed, err)
					return
				}
			}
			t.Fatal("2,000 histories, and nothing was found")
		})
	}
}

// tally is how much a replay had to show.
type tally struct{ runs, compared, leftOut int }

// lake is the accepted files of a data set, as an index keeps them.
type lake struct {
	files  []SnapshotFile
	tables map[string]*Table // by SHA256
}

// replay lives through a history and is the first broken promise.
func replay(ctx context.Context, h history, s strategy) (tally, error) {
	var seen tally
	var champion *version
	l := &lake{tables: map[string]*Table{}}
	tested := map[string]bool{} // by hash: whoever was a test row stays one
	for _, d := range h.deliveries {
		if err := l.land(ctx, d, h.data); err != nil {
			return seen, err
		}
		if !d.retrain || len(l.files) == 0 {
			continue
		}
		r := run{h: h, s: s, d: d, tested: tested}
		trained, err := r.train(ctx, l)
		var data *DataError
		if errors.As(err, &data) {
			continue // too few rows for this spec: no version
		}
		if err != nil {
			return seen, err
		}
		seen.runs++
		if champion != nil {
			left, err := r.compare(champion, trained)
			if err != nil {
				return seen, err
			}
			seen.compared++
			seen.leftOut += left
		}
		if champion == nil || d.promote {
			champion = trained
		}
	}
	return seen, nil
}

// land accepts a file unless the period it covers is taken and the spec refuses that.
func (l *lake) land(ctx context.Context, d delivery, data spec.Data) error {
	table, info, _, err := Read(ctx, strings.NewReader(d.text), ReadOptions{Name: "f.csv", Contract: rowContract(data)})
	if err != nil {
		return err
	}
	if _, again := l.tables[info.SHA256]; again {
		return nil
	}
	from, to, err := EventRange(table, data.Time)
	if err != nil {
		return err
	}
	covered := func(f SnapshotFile) bool {
		if data.Time == "" {
			return f.Source == d.source
		}
		return !f.From.After(to) && !from.After(f.To)
	}
	if slices.ContainsFunc(l.files, covered) && data.OnRedelivery == "refuse" {
		return nil
	}
	l.files = slices.DeleteFunc(slices.Clone(l.files), covered)
	l.files = append(l.files, SnapshotFile{SHA256: info.SHA256, Source: d.source, Rows: table.Rows, From: from, To: to})
	l.tables[info.SHA256] = table
	return nil
}

// run is one training run and what it is held to.
type run struct {
	h        history
	s        strategy
	d        delivery
	tested   map[string]bool
	prepared *Prepared
	parts    *Parts
}

// train makes a version from the accepted files, and checks its parts.
func (r *run) train(ctx context.Context, l *lake) (*version, error) {
	var tables []*Table
	for _, f := range SelectWindow(l.files, r.h.data.Window) {
		tables = append(tables, l.tables[f.SHA256])
	}
	all, err := Concat(tables...)
	if err != nil {
		return nil, err
	}
	if r.prepared, err = r.s.prepare(all, r.h.data, r.d.asOf); err != nil {
		return nil, err
	}
	p := r.prepared
	if p.Input != p.Table.Rows+p.DroppedNullTarget+p.DroppedNullID+p.DroppedNullTime+p.DroppedYoung+p.DroppedDuplicates || p.Input != all.Rows {
		return nil, fmt.Errorf("counts don't add up: %s and %d left", p.describe(), p.Table.Rows)
	}
	if r.parts, err = r.s.split(p, r.h.data, r.h.split); err != nil {
		return nil, err
	}
	b, err := r.s.trained(p, r.parts).MarshalBinary()
	if err != nil {
		return nil, err
	}
	keys, err := UnmarshalKeySet(b)
	if err != nil {
		return nil, err
	}
	v := &version{folder: map[string]bool{}, keys: keys}
	for _, part := range [][]int{r.parts.Train, r.parts.Validation} {
		written, err := r.rows(part)
		if err != nil {
			return nil, err
		}
		for _, row := range written {
			v.folder[row.identity] = true
		}
	}
	return v, r.checkParts()
}

// compare judges the new version against the champion and checks who judged; it is how many test rows were left out.
func (r *run) compare(champion, challenger *version) (leftOut int, err error) {
	a, b := r.s.judge(r.prepared, r.parts.Test, champion.keys, challenger.keys)
	if !slices.Equal(a, b) {
		return 0, fmt.Errorf("champion judged on rows %v, challenger on %v", a, b)
	}
	judged, err := r.rows(a)
	if err != nil {
		return 0, err
	}
	for _, row := range judged {
		if champion.folder[row.identity] || challenger.folder[row.identity] {
			return 0, fmt.Errorf("row %q judges and was trained on (champion %t, challenger %t)", row.identity, champion.folder[row.identity], challenger.folder[row.identity])
		}
	}
	test, err := r.rows(r.parts.Test)
	if err != nil {
		return 0, err
	}
	fresh := slices.DeleteFunc(slices.Clone(test), func(row writtenRow) bool {
		return champion.folder[row.identity] || challenger.folder[row.identity]
	})
	if len(fresh) != len(judged) {
		return 0, fmt.Errorf("%d of %d test rows judge, but nobody trained on %d", len(judged), len(test), len(fresh))
	}
	return len(test) - len(fresh), nil
}

// checkParts holds the parts to each other and to time.
func (r *run) checkParts() error {
	partOf, groupOf := map[string]int{}, map[string]int{}
	var newest [3]time.Time
	var oldest [3]time.Time
	for i, part := range [][]int{r.parts.Train, r.parts.Validation, r.parts.Test} {
		written, err := r.rows(part)
		if err != nil {
			return err
		}
		for _, row := range written {
			if other, twice := partOf[row.identity]; twice && (other != i || r.h.data.ID != "") {
				return fmt.Errorf("row %q is in parts %d and %d", row.identity, other, i)
			}
			partOf[row.identity] = i
			if other, twice := groupOf[row.group]; twice && other != i && row.group != "" && r.h.data.Group != "" {
				return fmt.Errorf("group %q is in parts %d and %d", row.group, other, i)
			}
			groupOf[row.group] = i
			if row.target == "" {
				return fmt.Errorf("row %q has no label", row.identity)
			}
			if delay := r.h.data.Labels.Delay.D(); r.h.data.Time != "" && row.at.After(r.d.asOf.Add(-delay)) && delay > 0 {
				return fmt.Errorf("row %q of %s is younger than %s at %s", row.identity, row.at, delay, r.d.asOf)
			}
			if row.at.After(newest[i]) {
				newest[i] = row.at
			}
			if oldest[i].IsZero() || row.at.Before(oldest[i]) {
				oldest[i] = row.at
			}
		}
	}
	if r.h.split.By == ByHash {
		return r.checkForEver(partOf)
	}
	if !newest[0].Before(r.parts.ValidationFrom) || !newest[0].Before(newest[2]) || !newest[1].Before(r.parts.TestFrom) {
		return fmt.Errorf("newest training row %s, validation from %s to %s, test from %s", newest[0], r.parts.ValidationFrom, newest[1], r.parts.TestFrom)
	}
	if r.h.data.Group == "" && (oldest[2].Before(r.parts.TestFrom) || newest[2].Sub(oldest[2]) > r.h.split.Test.Max.D()) {
		return fmt.Errorf("test rows from %s to %s, want from %s and at most %s", oldest[2], newest[2], r.parts.TestFrom, r.h.split.Test.Max.D())
	}
	return nil
}

// checkForEver holds that a row is a test row in every run or in none. With groups the draw is the group's, and a
// redelivered row may name another group.
func (r *run) checkForEver(partOf map[string]int) error {
	if r.h.data.Group != "" {
		return nil
	}
	for identity, part := range partOf {
		if was, known := r.tested[identity]; known && was != (part == 2) {
			return fmt.Errorf("row %q was a test row (%t) and now it is (%t)", identity, was, part == 2)
		}
		r.tested[identity] = part == 2
	}
	return nil
}

// writtenRow is a row as a folder has it.
type writtenRow struct {
	identity, group, target string
	at                      time.Time
}

// rows writes rows of the prepared table as a folder would have them, and reads them back by other means.
func (r *run) rows(numbers []int) ([]writtenRow, error) {
	var b bytes.Buffer
	if err := WriteCSV(&b, r.prepared.Table.Select(numbers)); err != nil {
		return nil, err
	}
	lines, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		return nil, err
	}
	rows := make([]writtenRow, 0, len(lines))
	for _, cells := range lines[1:] {
		row := writtenRow{identity: strings.Join(cells, "|"), group: cells[2], target: cells[4]}
		if r.h.data.ID != "" {
			row.identity = cells[0]
		}
		if row.at, err = time.Parse(time.RFC3339Nano, cells[1]); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// rowContract names the columns of a generated file.
func rowContract(spec.Data) *spec.Contract {
	return columns(
		spec.ColumnRule{Name: "id", Type: "text", Nullable: true},
		spec.ColumnRule{Name: "at", Type: "timestamp"},
		spec.ColumnRule{Name: "group", Type: "category", Nullable: true},
		spec.ColumnRule{Name: "x", Type: "number", Nullable: true},
		spec.ColumnRule{Name: "target", Type: "integer", Nullable: true},
	)
}

// genHistory draws histories with overlapping ids, files delivered again and out of order, superseded periods, null
// targets, repeated rows, late labels, groups and windows.
var genHistory = rapid.Custom(func(t *rapid.T) history {
	maybe := func(name, value string) string {
		if rapid.Bool().Draw(t, name) {
			return value
		}
		return ""
	}
	h := history{data: spec.Data{
		ID: maybe("with id", "id"), Time: maybe("with time", "at"), Target: "target", Group: maybe("with group", "group"),
		OnRedelivery: rapid.SampledFrom([]string{"refuse", "supersede"}).Draw(t, "on redelivery"),
		DropNulls:    rapid.Bool().Draw(t, "drop nulls"),
		Window:       spec.Window{Last: days(rapid.SampledFrom([]int{0, 20, 40}).Draw(t, "window"))},
		Labels:       spec.Labels{Delay: days(rapid.SampledFrom([]int{0, 3}).Draw(t, "delay"))},
	}}
	h.split = spec.Split{By: ByHash, Seed: 42, Validation: spec.Percent(rapid.SampledFrom([]float64{0.1, 0.2}).Draw(t, "validation")),
		Test: spec.TestSplit{Newest: spec.Percent(rapid.SampledFrom([]float64{0.2, 0.3}).Draw(t, "test")), Max: days(rapid.SampledFrom([]int{3, 30}).Draw(t, "max"))}}
	if h.data.Time != "" && rapid.IntRange(0, 3).Draw(t, "by") > 0 {
		h.split.By = ByTime
	}
	for i := range rapid.IntRange(2, 7).Draw(t, "deliveries") {
		h.deliveries = append(h.deliveries, genDelivery(t, h, i))
	}
	return h
})

func days(n int) spec.Duration { return spec.Duration(time.Duration(n) * 24 * time.Hour) }

// genDelivery draws a file of one month, or an earlier file again.
func genDelivery(t *rapid.T, h history, i int) delivery {
	month := rapid.IntRange(0, 4).Draw(t, "month")
	d := delivery{
		source: fmt.Sprintf("month-%d.csv", month), retrain: rapid.IntRange(0, 3).Draw(t, "retrain") > 0, promote: rapid.Bool().Draw(t, "promote"),
		asOf: epoch.AddDate(0, 0, 10*(month+1)),
	}
	if i > 0 && rapid.IntRange(0, 5).Draw(t, "again") == 0 {
		d.text = h.deliveries[i-1].text
		return d
	}
	var b strings.Builder
	b.WriteString("id,at,group,x,target\n")
	for range rapid.IntRange(5, 30).Draw(t, "rows") {
		line := genLine(t, month)
		b.WriteString(line)
		if rapid.IntRange(0, 9).Draw(t, "repeat") == 0 {
			b.WriteString(line)
		}
	}
	d.text = b.String()
	return d
}

// genLine draws a row. Months are ten days long; a few rows lie outside theirs.
func genLine(t *rapid.T, month int) string {
	rare := func(name string) bool { return rapid.IntRange(0, 9).Draw(t, name) == 0 }
	cell := func(name string, low, high int, prefix string) string {
		if rare(name + " null") {
			return ""
		}
		return prefix + fmt.Sprint(rapid.IntRange(low, high).Draw(t, name))
	}
	day := 10*month + rapid.IntRange(0, 9).Draw(t, "day")
	if rare("stray") {
		day = rapid.IntRange(0, 49).Draw(t, "stray day")
	}
	at := epoch.AddDate(0, 0, day).Format(time.DateOnly)
	return strings.Join([]string{cell("id", 0, 60, "row-"), at, cell("group", 0, 12, "g"), cell("x", 0, 3, ""), cell("target", 0, 1, "")}, ",") + "\n"
}
