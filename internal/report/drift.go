package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/spec"
)

// DriftPage is what a page about a window and its reference shows.
type DriftPage struct {
	Title   string // of the model or data set; may be ""
	Subject string // the window, in words
	At      time.Time
	Result  drift.Result
	// Reference and Current are the profiles of both sides; without one nothing is drawn.
	Reference, Current *profile.Profile
	// ReferenceName and CurrentName say what the sides are; "": the reference and the window.
	ReferenceName, CurrentName string
	// Prediction and Target are the columns of Result.Extra that have sections of their own.
	Prediction, Target string
	// History is whether each of the newest windows alerts, oldest first, this one last; nil: this window stands alone.
	// After is how many of how many alert somebody.
	History []bool
	After   spec.KOfN
	// LeftOut are the columns of the files that weren't compared at all.
	LeftOut []LeftOut
}

// LeftOut is a column that wasn't compared, and why.
type LeftOut struct {
	Column, Reason string
}

// driftView is the page as its template takes it.
type driftView struct {
	shell
	names
	Strip    *strip
	Rows     []driftRow
	HasP     bool // any row has a p-value
	PName    string
	More     string
	Cards    []driftCard
	Undrawn  string
	Sections []driftSection
	LeftOut  []leftRow
	LeftMore string
}

// leftRow is a column that wasn't compared.
type leftRow struct {
	Name, Reason words
}

// names are what the two sides are called where they are drawn.
type names struct {
	RefName, CurName string
}

// driftSection is a column of its own: the prediction or the target.
type driftSection struct {
	ID, Title, Lead string
	Cards           []driftCard
}

// driftRow is a column in the table.
type driftRow struct {
	Name     words
	Anchor   string // of its drawing; "" without one
	Type     string
	Chip     chip
	Say      string
	Test     testView
	PSI      words
	PSIChip  string // what is to be said of it
	Missing  words
	MissNow  words
	MissOver bool
	Changed  bool // the share of missing values isn't the same on both sides
}

// driftCard is a column drawn.
type driftCard struct {
	ID        string
	Name      words
	Type      string
	Chip      chip
	Say       []string
	Legend    legend
	Histogram *histogram
	Bars      *driftBars
	Empty     string
	Stats     []stat
	Tests     []testView
	HasP      bool // any test has a p-value
	PName     string
}

// driftBars is a table of bars with the names of its sides.
type driftBars struct {
	*barTable
	names
}

// legend explains a drawing.
type legend struct {
	names
	Marks bool // averages are marked
	Bars  bool // and not outlines
}

// Drift writes the page about a window and its reference: one self-contained HTML document. The same page gives the
// same bytes.
func Drift(w io.Writer, d DriftPage) error {
	style, err := style()
	if err != nil {
		return err
	}
	v := driftView{shell: newShell("Drift", d.Title, d.Subject, d.At, style), names: d.names(), Strip: stripOf(d.History, d.After)}
	v.Verdict, v.Facts = d.verdict(), d.facts()
	var rows []drift.ColumnResult
	beside := map[string][]drift.ColumnResult{}
	for _, c := range slices.Concat(d.Result.Columns, d.Result.Extra) {
		if c.Beside {
			beside[c.Name] = append(beside[c.Name], c)
		}
	}
	for _, c := range d.Result.Columns {
		if !c.Beside {
			rows = append(rows, c)
		}
	}
	rows = drift.WorstFirst(rows)
	for i, c := range rows {
		anchor := ""
		if i < maxDrawn {
			anchor = "c" + strconv.Itoa(i+1)
			v.Cards = append(v.Cards, d.card(anchor, c, beside[c.Name]))
		}
		if i < maxListed {
			v.Rows = append(v.Rows, d.row(anchor, c))
		}
	}
	absent, left := d.absent()
	v.Rows = append(absent, v.Rows[:min(len(v.Rows), maxListed-len(absent))]...)
	v.HasP = slices.ContainsFunc(v.Rows, func(r driftRow) bool { return r.Test.PValue.Text != "" })
	v.PName = pName(d.Result.Columns)
	v.sayMore(len(rows), len(rows)-(len(v.Rows)-len(absent)), left)
	v.Sections = d.sections(beside)
	for _, l := range d.LeftOut[:min(len(d.LeftOut), maxListed)] {
		v.LeftOut = append(v.LeftOut, leftRow{name(l.Column), clipped(l.Reason, longText)})
	}
	if more := len(d.LeftOut) - len(v.LeftOut); more > 0 {
		v.LeftMore = fmt.Sprintf("%s more columns that weren't compared aren't listed here.", count(int64(more)))
	}
	v.Nav = v.nav()
	return render(w, "drift.html", v)
}

// sayMore says what of the columns isn't listed, and which are drawn: unlisted of those compared, and absent of those
// that a side lacks.
func (v *driftView) sayMore(columns, unlisted, absent int) {
	var more []string
	if absent > 0 {
		more = append(more, fmt.Sprintf("%s more columns that a side lacks aren't listed here.", count(int64(absent))))
	}
	if unlisted > 0 {
		more = append(more, fmt.Sprintf("%s more columns, less far from their limits than those listed before them, aren't listed here.", count(int64(unlisted))))
	}
	v.More = strings.Join(more, " ")
	if columns > maxDrawn {
		v.Undrawn = fmt.Sprintf("The %d columns that are furthest beyond their limits, or nearest to them, of %s.", maxDrawn, count(int64(columns)))
	}
}

func (v *driftView) nav() []link {
	var out []link
	if len(v.Rows) > 0 {
		out = append(out, link{"columns", "Columns, worst first"})
	}
	for _, s := range v.Sections {
		out = append(out, link{s.ID, s.Title})
	}
	if len(v.Cards) > 0 {
		out = append(out, link{"distributions", "Distributions"})
	}
	if len(v.LeftOut) > 0 {
		out = append(out, link{"leftout", "Not compared"})
	}
	return out
}

func (d DriftPage) names() names {
	n := names{RefName: "Reference", CurName: "Window"}
	if d.ReferenceName != "" {
		n.RefName = cut(name(d.ReferenceName).Text, 32)
	}
	if d.CurrentName != "" {
		n.CurName = cut(name(d.CurrentName).Text, 32)
	}
	return n
}

// sections are the extra columns: prediction, target, others.
func (d DriftPage) sections(beside map[string][]drift.ColumnResult) []driftSection {
	var prediction, target, others []driftCard
	for i, c := range d.Result.Extra {
		if c.Beside {
			continue
		}
		card := d.card("x"+strconv.Itoa(i+1), c, beside[c.Name])
		switch {
		case c.Name == d.Prediction:
			prediction = append(prediction, card)
		case c.Name == d.Target:
			target = append(target, card)
		case len(others) < maxDrawn:
			others = append(others, card)
		}
	}
	var out []driftSection
	for _, s := range []driftSection{
		{"prediction", "Prediction drift", "What the model answers, against what it answered on the reference. It isn't counted among the columns.", prediction},
		{"target", "Target drift", "The labels that are known by now, against those of the reference. They aren't counted among the columns.", target},
		{"others", "Other columns", "Compared in the same way, and not counted among the columns.", others},
	} {
		if len(s.Cards) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// absent are rows for features that a side has no column for, which come first, and how many are too many to list.
func (d DriftPage) absent() (rows []driftRow, left int) {
	for _, side := range []struct {
		columns []string
		say     string
	}{{d.Result.AbsentCurrent, "The window has no such column."}, {d.Result.AbsentReference, "The reference has no such column."}} {
		for _, column := range side.columns {
			if len(rows) == maxListed {
				left++
				continue
			}
			rows = append(rows, driftRow{Name: name(column), Chip: chip{bad, "Absent"}, Say: side.say})
		}
	}
	return rows, left
}

func (d DriftPage) row(anchor string, c drift.ColumnResult) driftRow {
	row := driftRow{
		Name: name(c.Name), Anchor: anchor, Type: c.Type, Chip: chipOf(c), Test: testOf(c),
		Missing: percent(c.MissingReference), MissNow: percent(c.MissingCurrent), MissOver: c.Missing.Drifted,
		Changed: c.MissingReference != c.MissingCurrent,
	}
	if say := d.say(c); len(say) > 0 {
		row.Say = say[0]
	}
	if c.Method != "" {
		row.PSI = number(c.PSI)
	}
	if c.ByChance && c.PSI > 0.1 {
		row.PSIChip = "chance"
	}
	return row
}

func (d DriftPage) card(id string, c drift.ColumnResult, beside []drift.ColumnResult) driftCard {
	card := driftCard{ID: id, Name: name(c.Name), Type: c.Type, Chip: chipOf(c), Say: d.say(c)}
	for _, test := range slices.Concat([]drift.ColumnResult{c}, beside) {
		if test.Method != "" {
			card.Tests = append(card.Tests, testOf(test))
			card.HasP, card.PName = card.HasP || test.PValue != nil, pName([]drift.ColumnResult{c})
		}
	}
	ref, cur := d.columns(c.Name)
	card.Stats = pairStats(c, ref, cur)
	if ref == nil || cur == nil {
		card.Empty = "No profile of both sides is at hand: nothing is drawn."
		return card
	}
	card.Legend = legend{names: d.names()}
	if c.Type == drift.Numeric && ref.Numbers != nil && cur.Numbers != nil && !(asCategories(ref) && asCategories(cur)) {
		if card.Histogram = drawn(ref, cur); card.Histogram == nil {
			card.Empty = tooLarge
			return card
		}
		card.Histogram.Label = fmt.Sprintf("Histograms of %s. %s: average %s. %s: average %s.", card.Name.Text,
			d.names().RefName, quantity(ref, ref.Numbers.Mean).Text, d.names().CurName, quantity(cur, cur.Numbers.Mean).Text)
		card.Legend.Marks = card.Histogram.MarkRef != "" || card.Histogram.MarkCur != ""
		return card
	}
	if bars := categories(ref, cur); bars != nil {
		card.Bars, card.Legend.Bars = &driftBars{bars, d.names()}, true
		return card
	}
	card.Empty = "No values to draw, or too many different ones to count each."
	return card
}

// columns are both sides' profiles of a column; nil where there is none.
func (d DriftPage) columns(column string) (ref, cur *profile.Column) {
	if d.Reference != nil {
		ref, _ = d.Reference.Column(column)
	}
	if d.Current != nil {
		cur, _ = d.Current.Column(column)
	}
	return ref, cur
}
