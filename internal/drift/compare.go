package drift

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// ColumnResult is the comparison of one column.
type ColumnResult struct {
	Name string `json:"name"`
	Type string `json:"type"` // numeric | categorical
	// Method that decided; "": none could, and Problem says why.
	Method    string   `json:"method"`
	Statistic float64  `json:"statistic"`
	PValue    *float64 `json:"p_value"` // nil for distances
	// Threshold is the p-value under which, or the distance from which, the column has drifted.
	Threshold float64 `json:"threshold"`
	Drifted   bool    `json:"drifted"`
	PSI       float64 `json:"psi"`
	// ByChance is whether PSI, and the statistic of MethodJS, are no larger than those of two samples of one
	// distribution often are: many bins and few rows. Then neither counts towards an alert.
	ByChance bool `json:"by_chance,omitempty"`
	// MissingReference and MissingCurrent are the shares of rows without a value. They are left out of the test above
	// and are a test of their own: Missing.
	MissingReference float64     `json:"missing_reference"`
	MissingCurrent   float64     `json:"missing_current"`
	Missing          MissingTest `json:"missing"`
	Problem          string      `json:"problem,omitempty"`
}

// MissingTest compares the shares of missing values: a z-test, or with more than SmallReference reference rows the
// Jensen-Shannon distance of present against missing.
type MissingTest struct {
	Method    string   `json:"method"`
	Statistic float64  `json:"statistic"`
	PValue    *float64 `json:"p_value"`
	Threshold float64  `json:"threshold"`
	Drifted   bool     `json:"drifted"`
}

// Result is the comparison of a window with its reference.
type Result struct {
	Columns []ColumnResult `json:"columns"`
	// Drifted counts features whose values or missing share drifted by more than chance, and features that one side lacks.
	Drifted int `json:"drifted"`
	// MaxPSI is the greatest PSI that isn't chance, and MaxPSIColumn where it is.
	MaxPSI       float64 `json:"max_psi"`
	MaxPSIColumn string  `json:"max_psi_column,omitempty"`
	// Alert is whether this window alone asks for one. Whether anybody is told is AlertAfter's to say.
	Alert bool `json:"alert"`
	// Inconclusive is whether there were too few rows to tell. Such a window is neither drift nor no drift: leave it
	// out of the history.
	Inconclusive bool `json:"inconclusive"`
	// Reason is why there is an alert, or no conclusion; else what was found.
	Reason        string `json:"reason"`
	ReferenceRows int    `json:"reference_rows"`
	CurrentRows   int    `json:"current_rows"`
	// AbsentReference and AbsentCurrent are features that one side has no column for.
	AbsentReference []string `json:"absent_reference,omitempty"`
	AbsentCurrent   []string `json:"absent_current,omitempty"`
}

// DriftedNames are the features that Drifted counts, in the order compared, absent ones last.
func (r Result) DriftedNames() []string {
	var out []string
	for _, c := range r.Columns {
		if c.counts() {
			out = append(out, c.Name)
		}
	}
	return slices.Concat(out, r.AbsentReference, r.AbsentCurrent)
}

// counts reports whether the column is one of those that drifted.
func (c ColumnResult) counts() bool {
	return c.Missing.Drifted || (c.Drifted && !(c.ByChance && c.Method == MethodJS))
}

// Compare compares the features of a window with those of the reference, by the default method for each column, and
// says whether the window asks for an alert: more than m.MaxDrifted features drifted, or any PSI over m.PSI. With fewer
// than m.MinRows current rows, or no reference, the result is Inconclusive and has no columns. A feature that neither
// table has is an error that lists what they have.
func Compare(ref, cur *dataset.Table, features []string, m spec.DriftMonitor) (Result, error) {
	r := Result{ReferenceRows: ref.Rows, CurrentRows: cur.Rows}
	for _, name := range features {
		a, inReference := ref.Column(name)
		b, inCurrent := cur.Column(name)
		switch {
		case !inReference && !inCurrent:
			return Result{}, fmt.Errorf("drift: feature %q is in neither table: the reference has %s; the current rows have %s",
				name, strings.Join(ref.Names(), ", "), strings.Join(cur.Names(), ", "))
		case !inReference:
			r.AbsentReference = append(r.AbsentReference, name)
		case !inCurrent:
			r.AbsentCurrent = append(r.AbsentCurrent, name)
		case r.enough(m.MinRows):
			r.Columns = append(r.Columns, compareColumn(name, a, b))
		}
	}
	if !r.enough(m.MinRows) {
		r.Inconclusive = true
		r.Reason = fmt.Sprintf("too few rows: observed %d current < %d", cur.Rows, max(m.MinRows, 1))
		if ref.Rows == 0 {
			r.Reason = "the reference has no rows"
		}
		return r, nil
	}
	r.conclude(m)
	return r, nil
}

func (r *Result) enough(minRows int) bool {
	return r.ReferenceRows > 0 && r.CurrentRows >= max(minRows, 1)
}

// conclude counts and applies the alert rule.
func (r *Result) conclude(m spec.DriftMonitor) {
	for _, c := range r.Columns {
		if c.PSI > r.MaxPSI && !c.ByChance {
			r.MaxPSI, r.MaxPSIColumn = c.PSI, c.Name
		}
	}
	drifted := r.DriftedNames()
	r.Drifted = len(drifted)
	var reasons []string
	if r.Drifted > m.MaxDrifted {
		reasons = append(reasons, fmt.Sprintf("drifted features: observed %d > %d (%s)", r.Drifted, m.MaxDrifted, strings.Join(drifted, ", ")))
	}
	if r.MaxPSI > m.PSI {
		reasons = append(reasons, fmt.Sprintf("psi of %s: observed %.4g > %g", r.MaxPSIColumn, r.MaxPSI, m.PSI))
	}
	if r.Alert = len(reasons) > 0; r.Alert {
		r.Reason = strings.Join(reasons, "; ")
		return
	}
	r.Reason = fmt.Sprintf("drifted features: observed %d <= %d; psi: observed %.4g <= %g", r.Drifted, m.MaxDrifted, r.MaxPSI, m.PSI)
}

func compareColumn(name string, ref, cur *dataset.Column) ColumnResult {
	numeric := numericPair(ref, cur)
	a, b := valuesOf(ref, numeric), valuesOf(cur, numeric)
	out := ColumnResult{
		Name: name, Type: Categorical,
		MissingReference: share(a.missing, int64(ref.Len())), MissingCurrent: share(b.missing, int64(cur.Len())),
		Missing: compareMissing(a, b),
	}
	if numeric {
		out.Type = Numeric
	}
	switch {
	case a.size() == 0 && b.size() == 0:
		out.Problem = "no values on either side"
	case a.size() == 0:
		out.Problem = "no values in the reference"
	case b.size() == 0:
		out.Problem = "no current values"
	case numeric:
		out.compareNumbers(a, b)
	default:
		p, q := shares(a.categories, b.categories)
		out.PSI, out.ByChance = psiOf(p, q), byChance(p, q, a.size(), b.size())
		out.compareCategories(a.categories, b.categories)
	}
	return out
}

// compareNumbers chooses by the number of values: few distinct ones are categories; then by the reference's size.
func (c *ColumnResult) compareNumbers(ref, cur values) {
	both := merge(ref.numbers, cur.numbers)
	p, q := both.shares()
	c.PSI, c.ByChance = psiOf(p, q), byChance(p, q, ref.size(), cur.size())
	switch {
	case both.distinct <= FewValues:
		c.compareCategories(countsOf(ref.numbers), countsOf(cur.numbers))
	case len(ref.numbers) <= SmallReference:
		statistic, p := both.ks()
		c.byPValue(MethodKS, statistic, p)
	default:
		c.byDistance(MethodWasserstein, both.wasserstein())
	}
}

func (c *ColumnResult) compareCategories(ref, cur Counts) {
	names := union(ref, cur)
	switch {
	case ref.Total() > SmallReference:
		c.byDistance(MethodJS, JSCategories(ref, cur))
	case len(names) > 2:
		statistic, p, _ := ChiSquare(ref, cur)
		c.byPValue(MethodChiSquare, statistic, p)
	default:
		last := names[len(names)-1]
		z, p := ZTest(ref[last], ref.Total(), cur[last], cur.Total())
		c.byPValue(MethodZTest, z, p)
	}
}

func (c *ColumnResult) byPValue(method string, statistic, p float64) {
	c.Method, c.Statistic, c.PValue, c.Threshold, c.Drifted = method, statistic, &p, PValueLimit, p < PValueLimit
}

func (c *ColumnResult) byDistance(method string, statistic float64) {
	c.Method, c.Statistic, c.Threshold, c.Drifted = method, statistic, DistanceLimit, statistic >= DistanceLimit
}

// compareMissing compares the shares of missing values with the tests for two categories.
func compareMissing(ref, cur values) MissingTest {
	const absent, present = "missing", "present"
	a := Counts{absent: ref.missing, present: ref.size()}
	b := Counts{absent: cur.missing, present: cur.size()}
	if a.Total() > SmallReference {
		distance := JSCategories(a, b)
		return MissingTest{Method: MethodJS, Statistic: distance, Threshold: DistanceLimit, Drifted: distance >= DistanceLimit}
	}
	z, p := ZTest(ref.missing, a.Total(), cur.missing, b.Total())
	return MissingTest{Method: MethodZTest, Statistic: z, PValue: &p, Threshold: PValueLimit, Drifted: p < PValueLimit}
}

func share(n, of int64) float64 {
	if of == 0 {
		return math.NaN()
	}
	return float64(n) / float64(of)
}
