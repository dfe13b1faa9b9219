package drift

import "slices"

// ColumnResult is the comparison of one column by one method.
type ColumnResult struct {
	Name string `json:"name"`
	Type string `json:"type"` // numeric | categorical
	// Method that decided; "": none could, and Problem says why.
	Method    string   `json:"method"`
	Statistic float64  `json:"statistic"`
	PValue    *float64 `json:"p_value"` // nil for distances
	// PAdjusted is the p-value after Options.Correction, which decides then; nil without one.
	PAdjusted *float64 `json:"p_adjusted,omitempty"`
	// Threshold is the p-value under which, or the distance from which, the column has drifted.
	Threshold float64 `json:"threshold"`
	Drifted   bool    `json:"drifted"`
	// Error bounds a statistic that a profile doesn't hold exactly: that of the rows themselves is at most so far away.
	// Nil where Statistic is exact.
	Error *float64 `json:"error,omitempty"`
	// Beside is whether this is one of the rows of MethodAll that don't decide: the column has another, by its default
	// method, which does.
	Beside bool    `json:"beside,omitempty"`
	PSI    float64 `json:"psi"`
	// ByChance is whether PSI and the Jensen-Shannon distance are no larger than those of two samples of one
	// distribution often are: many bins and few rows. Then neither counts towards an alert.
	ByChance bool `json:"by_chance,omitempty"`
	// StatisticByChance is whether the column's own distance is over its threshold, and no larger than that of two
	// samples of one distribution often is. Then it counts as drifted nowhere: few rows. Tests with p-values have their
	// own measure of chance.
	StatisticByChance bool `json:"statistic_by_chance,omitempty"`
	// MissingReference and MissingCurrent are the shares of rows without a value. They are left out of the test above
	// and are a test of their own: Missing.
	MissingReference float64     `json:"missing_reference"`
	MissingCurrent   float64     `json:"missing_current"`
	Missing          MissingTest `json:"missing"`
	// Problem is why there is no statistic, or what of the column couldn't be compared.
	Problem string `json:"problem,omitempty"`
}

// MissingTest compares the shares of missing values: a z-test, or with more than SmallReference reference rows the
// Jensen-Shannon distance of present against missing.
type MissingTest struct {
	Method    string   `json:"method"`
	Statistic float64  `json:"statistic"`
	PValue    *float64 `json:"p_value"`
	PAdjusted *float64 `json:"p_adjusted,omitempty"` // as ColumnResult has it
	Threshold float64  `json:"threshold"`
	Drifted   bool     `json:"drifted"`
}

// Result is the comparison of a window with its reference.
type Result struct {
	// Columns are the features that both sides have, in the order asked for: a row each, or with MethodAll a row for
	// each method, the one that decides first.
	Columns []ColumnResult `json:"columns"`
	// Extra are the columns of Options.Extra and the features of Options.Exclude, in the same form. One that a side lacks
	// has a Problem.
	Extra []ColumnResult `json:"extra,omitempty"`
	// Drifted counts features whose values or missing share drifted by more than chance, and features that one side
	// lacks; Features all features, and Share is the one over the other.
	Drifted  int     `json:"drifted"`
	Features int     `json:"features"`
	Share    float64 `json:"share"`
	// DatasetDrift is whether too many features drifted: Options.MaxDrifted or MaxShare.
	DatasetDrift bool `json:"dataset_drift"`
	// MaxPSI is the greatest PSI of a feature that isn't chance, and MaxPSIColumn where it is.
	MaxPSI       float64 `json:"max_psi"`
	MaxPSIColumn string  `json:"max_psi_column,omitempty"`
	// Alert is whether this window alone asks for one: DatasetDrift, or a PSI over Options.PSI. Whether anybody is told
	// is AlertAfter's to say.
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
	return !c.Beside && (c.Missing.Drifted || (c.Drifted && !c.StatisticByChance))
}
