package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/spec"
)

// meterFull is how many times the limit fills a meter: the limit is drawn at a third.
const meterFull = 3

// testView is one method's numbers.
type testView struct {
	Method    string
	Long      string // the method's name in full
	Statistic words
	Error     words // bound of the statistic's error; "" where it is exact
	Sign      string
	Limit     words // of what Against names
	Against   string
	PValue    words
	Adjusted  words
	Chip      chip
	Meter     string // length in percent
	Times     string // how far beyond the limit, in words
	Over      bool
}

// methodName is a method's name in full.
func methodName(method string) string {
	switch method {
	case drift.MethodKS:
		return "Kolmogorov-Smirnov"
	case drift.MethodChiSquare:
		return "Chi-square"
	case drift.MethodZTest:
		return "Z-test of two shares"
	case drift.MethodWasserstein:
		return "Wasserstein distance, normalised"
	case drift.MethodJS:
		return "Jensen-Shannon distance"
	case drift.MethodPSI:
		return "Population stability index"
	}
	return method
}

func testOf(c drift.ColumnResult) testView {
	if c.Method == "" {
		return testView{}
	}
	t := testView{Method: c.Method, Long: methodName(c.Method), Statistic: number(c.Statistic), Limit: number(c.Threshold), Over: c.Drifted,
		Chip: chip{good, "Within"}}
	if c.Drifted {
		t.Chip = chip{bad, "Beyond"}
	}
	if c.Error != nil {
		t.Error = number(*c.Error)
	}
	t.Against, t.Sign = "statistic", "<"
	ratio := c.Statistic / c.Threshold
	if p := deciding(c); p != nil {
		t.Against, t.Sign = "p", "≥"
		t.PValue = probability(*c.PValue)
		if c.PAdjusted != nil {
			t.Adjusted = probability(*c.PAdjusted)
		}
		ratio = math.Log(*p) / math.Log(c.Threshold)
	}
	t.Meter = coordinate(100*min(max(ratio, 0), meterFull)/meterFull) + "%"
	t.Times = "at " + percent(ratio).Text + " of the limit"
	if p := deciding(c); p != nil {
		t.Times = "p = " + probability(*p).Text + ", limit " + number(c.Threshold).Text
	} else if ratio >= 1 {
		t.Times = number(ratio).Text + " times the limit"
	}
	return t
}

// pName is what the p-values that decide are called.
func pName(columns []drift.ColumnResult) string {
	if slices.ContainsFunc(columns, func(c drift.ColumnResult) bool { return c.PAdjusted != nil }) {
		return "p, adjusted"
	}
	return "p"
}

// deciding is the p-value that is held to the threshold; nil for distances.
func deciding(c drift.ColumnResult) *float64 {
	if c.PAdjusted != nil {
		return c.PAdjusted
	}
	return c.PValue
}

// chipOf is a column's verdict in a word.
func chipOf(c drift.ColumnResult) chip {
	chance := c.StatisticByChance
	switch {
	case c.Drifted && c.Missing.Drifted && !chance:
		return chip{bad, "Drifted, and gaps"}
	case c.Missing.Drifted:
		return chip{bad, "Gaps"}
	case chance:
		return chip{warn, "Chance"}
	case c.Drifted:
		return chip{bad, "Drifted"}
	case c.Method == "":
		return chip{unknown, "Not compared"}
	}
	return chip{good, "Stable"}
}

// say is what happened to a column, in plain words, the most important first.
func (d DriftPage) say(c drift.ColumnResult) []string {
	var out []string
	if c.Missing.Drifted {
		out = append(out, fmt.Sprintf("Missing values went from %s to %s of the rows.", percent(c.MissingReference).Text, percent(c.MissingCurrent).Text))
	}
	if c.Method != "" {
		ref, cur := d.columns(c.Name)
		out = append(out, sayTest(c, ref))
		if more := sayMoved(c, ref, cur); more != "" {
			out[len(out)-1] += " " + more
		}
	}
	if c.StatisticByChance {
		out = append(out, "In so few rows two samples of the same data often differ as much: it isn't counted.")
	}
	if c.Problem != "" {
		out = append(out, "Note: "+clipped(c.Problem, longText).Text+".")
	}
	return out
}

// leastSpread is the least that a Wasserstein distance is divided by; docs/drift.md has the definition.
const leastSpread = 0.001

// sayTest is the decisive number in a sentence. ref is the reference's profile of the column, or nil.
func sayTest(c drift.ColumnResult, ref *profile.Column) string {
	statistic, limit := number(c.Statistic).Text, number(c.Threshold).Text
	if c.Error != nil {
		statistic += " ± " + number(*c.Error).Text
	}
	switch c.Method {
	case drift.MethodWasserstein:
		if ref != nil && ref.Numbers != nil && ref.Numbers.Std < leastSpread {
			return fmt.Sprintf("Values moved by %s times %g on average (limit %s): they spread by less than that, %s.",
				statistic, leastSpread, limit, number(ref.Numbers.Std).Text)
		}
		return fmt.Sprintf("Values moved by %s standard deviations on average (limit %s).", statistic, limit)
	case drift.MethodJS: // at most sqrt(ln 2)
		return fmt.Sprintf("The distributions are %s apart, of at most 0.83 (limit %s).", statistic, limit)
	case drift.MethodPSI:
		return fmt.Sprintf("The stability index is %s (limit %s).", statistic, limit)
	}
	p := deciding(c)
	if p == nil {
		return fmt.Sprintf("%s is %s (limit %s).", methodName(c.Method), statistic, limit)
	}
	chance := fmt.Sprintf("p = %s, limit %s", probability(*p).Text, limit)
	if *p < 1e-4 {
		chance = fmt.Sprintf("p %s, limit %s", probability(*p).Text, limit)
	}
	if c.PAdjusted != nil {
		chance += ", adjusted for the number of columns"
	}
	what := "The shares of the values"
	if c.Method == drift.MethodKS {
		what = fmt.Sprintf("The cumulative shares differ by at most %s, which", percent(c.Statistic).Text)
		if c.Drifted {
			return what + " is more than chance explains (" + chance + ")."
		}
		return what + " chance explains (" + chance + ")."
	}
	if c.Drifted {
		return what + " differ more than chance explains (" + chance + ")."
	}
	return what + " differ no more than chance explains (" + chance + ")."
}

// sayMoved is where the values moved: the averages of numbers, or the category whose share changed most.
func sayMoved(c drift.ColumnResult, ref, cur *profile.Column) string {
	if ref == nil || cur == nil {
		return ""
	}
	if c.Type == drift.Numeric && ref.Numbers != nil && cur.Numbers != nil && ref.Kind != "boolean" && cur.Kind != "boolean" {
		from, to := unbroken(quantity(ref, ref.Numbers.Mean).Text), unbroken(quantity(cur, cur.Numbers.Mean).Text)
		if from == to {
			return fmt.Sprintf("The average stays at %s.", from)
		}
		return fmt.Sprintf("The average went from %s to %s.", from, to)
	}
	return moved(ref, cur)
}

// unbroken keeps a date or a negative number on one line.
func unbroken(s string) string { return strings.NewReplacer("-", "\u2011", " ", "\u00a0").Replace(s) }

// pairStats are both sides' numbers of a column.
func pairStats(c drift.ColumnResult, ref, cur *profile.Column) []stat {
	var out []stat
	if c.Method != "" && c.Method != drift.MethodPSI {
		out = append(out, stat{Name: "PSI", Value: number(c.PSI)})
	}
	out = append(out, stat{Name: "Missing", Value: percent(c.MissingReference), Now: percent(c.MissingCurrent)})
	if ref == nil || cur == nil {
		return out
	}
	out = append(out, stat{Name: "Distinct", Value: distinct(ref), Now: distinct(cur)})
	a, b := ref.Numbers, cur.Numbers
	if a == nil || b == nil || ref.Kind == "boolean" || cur.Kind == "boolean" {
		return out
	}
	out = append(out, stat{Name: "Average", Value: quantity(ref, a.Mean), Now: quantity(cur, b.Mean)})
	from, ok := quantileOf(a, 0.5)
	to, both := quantileOf(b, 0.5)
	if ok && both {
		out = append(out, stat{Name: "Median", Value: quantity(ref, from), Now: quantity(cur, to)})
	}
	return append(out,
		stat{Name: "Std. deviation", Value: spread(ref, a.Std), Now: spread(cur, b.Std)},
		stat{Name: "Least", Value: quantity(ref, a.Min), Now: quantity(cur, b.Min)},
		stat{Name: "Greatest", Value: quantity(ref, a.Max), Now: quantity(cur, b.Max)})
}

// verdict says whether somebody should care, why, and what to do.
func (d DriftPage) verdict() verdict {
	r := d.Result
	drifted := r.DriftedNames()
	found := fmt.Sprintf("%s of %s drifted", count(int64(r.Drifted)), counted(int64(max(r.Features, r.Drifted)), "column"))
	reason := clipped("Why: "+r.Reason, longText)
	switch {
	case r.Inconclusive:
		return verdict{State: unknown, Head: "Too few rows to tell", Say: []words{clipped("Why: "+r.Reason, longText)},
			Next: []words{{Text: "Wait for more rows, or compare a longer window. This one counts neither as drift nor as none."}}}
	case r.Alert:
		v := verdict{State: bad, Head: "Alert: " + found, Say: []words{reason}, Next: d.advice(drifted)}
		if r.Drifted == 0 {
			v.Head = "Alert: a column's PSI is over its limit"
		}
		if say := falseAlarms(r.Columns); say != "" {
			v.Say = append(v.Say, words{Text: say})
		}
		if told, say := d.told(); say != "" {
			v.Say = append(v.Say, words{Text: say})
			if !told {
				v.State = warn
			}
		}
		return v
	case r.Drifted > 0:
		return verdict{State: warn, Head: "No alert: " + found, Say: append([]words{reason, {Text: "Drifted: " + several(drifted, 8) + "."}}, sayUncompared(r.Columns)...),
			Next: []words{{Text: "Nothing has to be done now. Look at the drifted columns if quality falls."}}}
	}
	v := calm(r.Columns, reason)
	if names := uncounted(r.Extra); len(names) > 0 && v.State != unknown {
		v.Head = "No drift among the columns that count"
		v.Say = append(v.Say, words{Text: "Beyond their limits, and not counted: " + several(names, 5) + "."})
	}
	return v
}

// uncounted are the columns beyond their limits among those beside the features.
func uncounted(extra []drift.ColumnResult) []string {
	var out []string
	for _, c := range extra {
		if !c.Beside && chipOf(c).State == bad {
			out = append(out, c.Name)
		}
	}
	return out
}

// calm is the verdict where no column has drifted.
func calm(columns []drift.ColumnResult, reason words) verdict {
	deciding, chance := 0, 0
	for _, c := range columns {
		if !c.Beside {
			deciding++
		}
		if !c.Beside && chipOf(c).State == warn {
			chance++
		}
	}
	blind := uncompared(columns)
	if deciding > 0 && len(blind) == deciding {
		return verdict{State: unknown, Head: "No column could be compared", Say: []words{reason},
			Next: []words{{Text: "Read the notes of the columns below: they say what keeps each from being compared."}}}
	}
	v := verdict{State: good, Head: "No drift: no column moved beyond its limit", Say: []words{reason}, Next: []words{{Text: "Nothing has to be done."}}}
	if chance > 0 {
		v.Head = "No drift: no column moved further than chance explains"
		v.Say = append(v.Say, words{Text: counted(int64(chance), "column") + " beyond the limit by chance: with so many different values, or so few rows, that is no news."})
	}
	if len(blind) > 0 {
		v.State = warn
		v.Say, v.Next = append(v.Say, sayUncompared(columns)...), []words{{Text: "Nothing has to be done about the others."}}
	}
	return v
}

// uncompared are the columns that no test could be made of.
func uncompared(columns []drift.ColumnResult) []string {
	var out []string
	for _, c := range columns {
		if !c.Beside && chipOf(c).State == unknown {
			out = append(out, c.Name)
		}
	}
	return out
}

// sayUncompared names them; nothing where there are none.
func sayUncompared(columns []drift.ColumnResult) []words {
	names := uncompared(columns)
	if len(names) == 0 {
		return nil
	}
	return []words{{Text: "Not compared, as their notes explain: " + several(names, 5) + "."}}
}

// manyTests is the number of tests from which chance alone is likely to put one beyond its limit of 0.05.
const manyTests = 20

// falseAlarms says how many of many uncorrected p-values are under their limit where nothing drifted; "" for few.
func falseAlarms(columns []drift.ColumnResult) string {
	tests, expected := 0, 0.0
	for _, c := range columns {
		if !c.Beside && c.PValue != nil && c.PAdjusted == nil {
			tests, expected = tests+1, expected+c.Threshold
		}
	}
	if tests < manyTests {
		return ""
	}
	return fmt.Sprintf("Of %s tests about %s are beyond their limit by chance alone where nothing drifted; the correction %q takes that into account.",
		count(int64(tests)), number(math.Round(expected)).Text, drift.CorrectionBH)
}

// told is whether enough windows alert for somebody to be told, and the sentence that says so; "" without a history.
func (d DriftPage) told() (bool, string) {
	if len(d.History) == 0 || d.After.N < 2 {
		return true, ""
	}
	alerts := 0
	newest := d.History[max(0, len(d.History)-d.After.N):]
	for _, alert := range newest {
		if alert {
			alerts++
		}
	}
	say := fmt.Sprintf("%d of the newest %s alert; people are told at %d of %d.", alerts, counted(int64(len(newest)), "window"), d.After.K, d.After.N)
	return drift.AlertAfter(d.History, d.After.K, d.After.N), say
}

// advice is what to do about an alert.
func (d DriftPage) advice(drifted []string) []words {
	var out []words
	if absent := append(append([]string{}, d.Result.AbsentCurrent...), d.Result.AbsentReference...); len(absent) > 0 {
		out = append(out, words{Text: "Ask whoever delivers the data about the columns that a side lacks: " + several(absent, 5) + "."})
	}
	var gaps, moved []string
	for _, c := range drift.WorstFirst(d.Result.Columns) {
		switch {
		case c.Beside:
		case c.Missing.Drifted:
			gaps = append(gaps, c.Name)
		case chipOf(c).State == bad:
			moved = append(moved, c.Name)
		}
	}
	if len(gaps) > 0 {
		out = append(out, words{Text: "Look for the source of the missing values first: " + several(gaps, 5) + "."})
	}
	if len(moved) > 0 {
		out = append(out, words{Text: "Look at the columns that moved most: " + several(moved, 5) + "."})
	}
	if len(out) == 0 { // of a feature, the prediction or the target
		out = append(out, words{Text: "Look at the column whose PSI is named above."})
	}
	return append(out, words{Text: "If the world changed, retrain on rows that show it. If the data is wrong, repair its source: a model trained on it would learn the fault."})
}

// facts say what was compared.
func (d DriftPage) facts() []fact {
	r := d.Result
	ref, cur := sideFact("Reference", d.ReferenceName, r.ReferenceRows), sideFact("Window", d.CurrentName, r.CurrentRows)
	out := []fact{ref, cur}
	if r.Inconclusive {
		return out
	}
	share := fact{Name: "Columns drifted", Value: words{Text: fmt.Sprintf("%s of %s", count(int64(r.Drifted)), count(int64(r.Features)))}}
	if r.Features > 0 {
		share.Sub = percent(r.Share).Text
	}
	psi := fact{Name: "Greatest PSI", Value: words{Text: none}, Sub: "none beyond chance"}
	if r.MaxPSIColumn != "" {
		psi.Value, psi.Sub = number(r.MaxPSI), "in "+name(r.MaxPSIColumn).Text
	}
	return append(out, share, psi)
}

// sideFact says how many rows a side has, under its name where it has one of its own.
func sideFact(side, own string, rows int) fact {
	if own == "" {
		return fact{Name: side, Value: words{Text: counted(int64(rows), "row")}}
	}
	return fact{Name: side, Value: name(own), Sub: counted(int64(rows), "row")}
}

// strip is the newest windows' verdicts.
type strip struct {
	Cells []chip
	Say   string
}

// stripOf draws the history; nil without one.
func stripOf(history []bool, after spec.KOfN) *strip {
	if len(history) == 0 {
		return nil
	}
	s := &strip{Say: fmt.Sprintf("Oldest first, the last is this window; a cross is one that alerts. People are told when %d of the newest %d alert.", max(after.K, 1), max(after.N, after.K, 1))}
	shown := history[max(0, len(history)-maxHistory):]
	for i, alert := range shown {
		ago := len(shown) - 1 - i
		when := fmt.Sprintf("%s ago", counted(int64(ago), "window"))
		if ago == 0 {
			when = "this window"
		}
		cell := chip{good, when + ": no alert"}
		if alert {
			cell = chip{bad, when + ": alert"}
		}
		s.Cells = append(s.Cells, cell)
	}
	return s
}
