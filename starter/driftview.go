package main

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/drift"
)

// driftView is what starter drift prints. The first fields of it and of its rows are a format that other tools read.
type driftView struct {
	Columns []driftRow `json:"columns"`
	// Drifted counts columns, whatever the number of their rows: those whose deciding row has drifted, whose share of
	// missing values has, or that one file lacks.
	Drifted int     `json:"drifted_columns"`
	Share   float64 `json:"share"` // of the columns that count
	// DatasetDrift is exit code 3: too many columns, or too large a PSI.
	DatasetDrift bool `json:"dataset_drift"`

	Reason          string     `json:"reason"`
	Inconclusive    bool       `json:"inconclusive"`
	MaxPSI          float64    `json:"max_psi"`
	MaxPSIColumn    string     `json:"max_psi_column,omitempty"`
	Extra           []driftRow `json:"extra,omitempty"` // the target: compared, and not counted
	AbsentReference []string   `json:"absent_reference,omitempty"`
	AbsentCurrent   []string   `json:"absent_current,omitempty"`
	LeftOut         []leftOut  `json:"left_out,omitempty"`
	Notes           []leftOut  `json:"notes,omitempty"` // columns that may not have been compared as what they are
	Reference       fileView   `json:"reference"`
	Current         fileView   `json:"current"`
}

// fileView names what was read.
type fileView struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Rows   int    `json:"rows"`
}

// driftRow is a column by one method. A number that isn't one is null.
type driftRow struct {
	Name             string   `json:"name"`
	Type             string   `json:"type"`
	Method           string   `json:"method"`
	Statistic        *float64 `json:"statistic"`
	PValue           *float64 `json:"p_value"`
	Threshold        *float64 `json:"threshold"`
	Drifted          bool     `json:"drifted"`
	MissingReference *float64 `json:"missing_reference"`
	MissingCurrent   *float64 `json:"missing_current"`

	PAdjusted         *float64           `json:"p_adjusted,omitempty"`
	Beside            bool               `json:"beside,omitempty"` // --method all: another row of the column decides
	PSI               *float64           `json:"psi"`
	ByChance          bool               `json:"by_chance,omitempty"`
	StatisticByChance bool               `json:"statistic_by_chance,omitempty"`
	Missing           *drift.MissingTest `json:"missing,omitempty"`
	Problem           string             `json:"problem,omitempty"`
}

func newDriftView(r drift.Result, ref, cur sideFile, c *choice) driftView {
	notes, extra := c.notes, []drift.ColumnResult(nil)
	for _, column := range r.Extra {
		if column.Type == "" { // one side has no such column
			notes = append(notes, leftOut{Column: column.Name, Reason: column.Problem})
			continue
		}
		extra = append(extra, column)
	}
	return driftView{
		Columns: driftRows(r.Columns), Extra: driftRows(extra), Drifted: r.Drifted, Share: r.Share, DatasetDrift: r.Alert,
		Reason: r.Reason, Inconclusive: r.Inconclusive, MaxPSI: r.MaxPSI, MaxPSIColumn: r.MaxPSIColumn,
		AbsentReference: r.AbsentReference, AbsentCurrent: r.AbsentCurrent, LeftOut: c.left, Notes: notes,
		Reference: fileView{File: ref.name, SHA256: ref.info.SHA256, Rows: r.ReferenceRows},
		Current:   fileView{File: cur.name, SHA256: cur.info.SHA256, Rows: r.CurrentRows},
	}
}

func driftRows(columns []drift.ColumnResult) []driftRow {
	rows := make([]driftRow, len(columns))
	for i, c := range columns {
		row := driftRow{
			Name: c.Name, Type: c.Type, Method: c.Method, Drifted: c.Drifted, PAdjusted: c.PAdjusted, Beside: c.Beside,
			MissingReference: finite(c.MissingReference), MissingCurrent: finite(c.MissingCurrent),
			ByChance: c.ByChance, StatisticByChance: c.StatisticByChance, Problem: c.Problem,
		}
		if c.Method == "" { // nothing to compare: all that is left is that values are missing
			row.Drifted = c.Missing.Drifted
		} else {
			row.Statistic, row.Threshold, row.PSI = finite(c.Statistic), finite(c.Threshold), finite(c.PSI)
		}
		if c.PValue != nil {
			row.PValue = finite(*c.PValue)
		}
		if finite(c.Missing.Statistic) != nil && c.Missing.Method != "" {
			row.Missing = &c.Missing
		}
		rows[i] = row
	}
	return rows
}

// finite is nil for what JSON has no number for.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

// The table's texts are cut, since names may be long and drifted columns many; -o json has them whole.
const (
	longLabel  = 60
	longReason = 600
)

// driftTable draws the columns, worst first.
func driftTable(p *page, v driftView, r drift.Result) {
	p.line("reference %s: %d rows, sha256 %s", oneLine(v.Reference.File), v.Reference.Rows, short(v.Reference.SHA256))
	p.line("current   %s: %d rows, sha256 %s", oneLine(v.Current.File), v.Current.Rows, short(v.Current.SHA256))
	if len(v.Columns)+len(v.Extra) > 0 {
		t := newTable("COLUMN", "TYPE", "METHOD", "STATISTIC", "P-VALUE", "LIMIT", "PSI", "MISSING", "DRIFTED").alignRight(3, 4, 5, 6)
		counted := driftRows(inOrder(r.Columns))
		for i, row := range slices.Concat(counted, v.Extra) {
			verdict := verdictOf(row)
			if i >= len(counted) {
				verdict = cell{text: verdict.text + ", not counted", tone: toneDim}
			}
			t.add(clip(row.Name, 40), row.Type, first(row.Method, "-"), numberOr(row.Statistic), numberOr(row.PValue), limitOf(row),
				psiOf(row), missingOf(row), verdict)
		}
		p.table(t)
	}
	for _, name := range v.AbsentReference {
		p.line("%s: only the current rows have this column", clip(name, longLabel))
	}
	for _, name := range v.AbsentCurrent {
		p.line("%s: only the reference has this column", clip(name, longLabel))
	}
	for _, row := range slices.Concat(v.Columns, v.Extra) {
		if row.Problem != "" && !row.Beside {
			p.line("%s: %s", clip(row.Name, longLabel), oneLine(row.Problem))
		}
	}
	for _, n := range v.Notes {
		p.line("%s: %s", clip(n.Column, longLabel), n.Reason)
	}
	for _, l := range v.LeftOut {
		p.line("%s: left out: %s", clip(l.Column, longLabel), l.Reason)
	}
	verdict := p.style.paint(toneGood, "not drifted")
	switch {
	case v.Inconclusive:
		verdict = p.style.paint(toneWarn, "no conclusion")
	case v.DatasetDrift:
		verdict = p.style.paint(toneBad, "drifted")
	}
	p.line("%s: %s", verdict, clip(v.Reason, longReason))
}

// inOrder is worst first by the rows that decide, those beside them after each.
func inOrder(columns []drift.ColumnResult) []drift.ColumnResult {
	var deciding []drift.ColumnResult
	beside := map[string][]drift.ColumnResult{}
	for _, c := range columns {
		if c.Beside {
			beside[c.Name] = append(beside[c.Name], c)
		} else {
			deciding = append(deciding, c)
		}
	}
	var out []drift.ColumnResult
	for _, c := range drift.WorstFirst(deciding) {
		out = append(append(out, c), beside[c.Name]...)
	}
	return out
}

func numberOr(x *float64) string {
	if x == nil {
		return "-"
	}
	return strconv.FormatFloat(*x, 'g', 4, 64)
}

// limitOf is the threshold, and on which side of it there is drift.
func limitOf(row driftRow) string {
	switch {
	case row.Threshold == nil:
		return "-"
	case row.PValue != nil:
		return "p < " + numberOr(row.Threshold)
	}
	return ">= " + numberOr(row.Threshold)
}

func missingOf(row driftRow) string {
	if row.MissingReference == nil || row.MissingCurrent == nil {
		return "-"
	}
	if *row.MissingReference == 0 && *row.MissingCurrent == 0 {
		return "0"
	}
	return shareText(*row.MissingReference) + " -> " + shareText(*row.MissingCurrent)
}

// psiOf is the index, and whether it isn't held to its limit for being no greater than chance makes it.
func psiOf(row driftRow) string {
	if row.PSI != nil && row.ByChance && *row.PSI >= drift.DistanceLimit {
		return numberOr(row.PSI) + " (chance)"
	}
	return numberOr(row.PSI)
}

// verdictOf is what a row says, in a word or two.
func verdictOf(row driftRow) cell {
	var words []string
	tone := toneDim
	if row.Drifted {
		words, tone = append(words, "yes"), toneBad
		if row.StatisticByChance {
			words, tone = []string{"by chance"}, toneWarn
		}
	}
	if row.Missing != nil && row.Missing.Drifted && !row.Beside && row.Method != "" {
		words, tone = append(words, "missing"), toneBad
	}
	if len(words) == 0 {
		words = []string{"no"}
	}
	if row.Beside {
		tone = toneDim
	}
	return cell{text: strings.Join(words, ", "), tone: tone}
}
