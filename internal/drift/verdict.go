package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// conclude counts and applies the alert rule.
func (r *Result) conclude(o Options) {
	for _, c := range r.Columns {
		if c.PSI > r.MaxPSI && !c.ByChance {
			r.MaxPSI, r.MaxPSIColumn = c.PSI, c.Name
		}
	}
	drifted := r.DriftedNames()
	r.Drifted = len(drifted)
	if r.Features > 0 {
		r.Share = float64(r.Drifted) / float64(r.Features)
	}
	observed, limit := fmt.Sprintf("drifted features: observed %d", r.Drifted), fmt.Sprint(o.MaxDrifted)
	r.DatasetDrift = r.Drifted > o.MaxDrifted
	if o.MaxShare > 0 {
		observed, limit = fmt.Sprintf("drifted features: observed %d of %d, a share of %.4g", r.Drifted, r.Features, r.Share), fmt.Sprintf("%g", o.MaxShare)
		r.DatasetDrift = r.Share > o.MaxShare
	}
	var reasons []string
	if r.DatasetDrift {
		reasons = append(reasons, fmt.Sprintf("%s > %s (%s)", observed, limit, first(drifted, maxNamed)))
	}
	if o.PSI > 0 && r.MaxPSI > o.PSI {
		reasons = append(reasons, fmt.Sprintf("psi of %s: observed %.4g > %g", r.MaxPSIColumn, r.MaxPSI, o.PSI))
	}
	if r.Alert = len(reasons) > 0; !r.Alert {
		reasons = append(reasons, fmt.Sprintf("%s <= %s", observed, limit))
		if o.PSI > 0 {
			reasons = append(reasons, fmt.Sprintf("psi beyond chance: observed %.4g <= %g", r.MaxPSI, o.PSI))
		}
	}
	r.Reason = strings.Join(reasons, "; ")
}

// maxNamed is how many drifted features a reason names; the columns say the rest.
const maxNamed = 20

// first are the first names of a list, and how many more there are.
func first(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// correct adjusts the p-values of the features and lets the adjusted ones decide. The tests that decide are one family,
// and those of missing shares another. With MethodAll a row beside is adjusted among all rows of its method.
func correct(columns []ColumnResult) {
	var deciding, missing []judged
	methods := map[string][]judged{}
	for i := range columns {
		c := &columns[i]
		if m := &c.Missing; m.PValue != nil && !c.Beside {
			missing = append(missing, judged{*m.PValue, &m.PAdjusted, &m.Drifted, m.Threshold})
		}
		if c.PValue == nil {
			continue
		}
		test := judged{*c.PValue, &c.PAdjusted, &c.Drifted, c.Threshold}
		methods[c.Method] = append(methods[c.Method], test)
		if !c.Beside {
			deciding = append(deciding, test)
		}
	}
	for _, method := range sortedKeys(methods) {
		judge(methods[method])
	}
	judge(deciding) // after the others: these count
	judge(missing)
	for i := range columns {
		if columns[i].Beside { // it follows the row that decides
			columns[i].Missing = columns[i-1].Missing
		}
	}
}

// judge adjusts the p-values of a family.
func judge(family []judged) {
	p := make([]float64, len(family))
	for i, test := range family {
		p[i] = test.p
	}
	for i, adjusted := range BenjaminiHochberg(p) {
		*family[i].adjusted, *family[i].drifted = &adjusted, adjusted < family[i].threshold
	}
}

// judged is a test whose p-value decides.
type judged struct {
	p         float64
	adjusted  **float64
	drifted   *bool
	threshold float64
}

// BenjaminiHochberg are the p-values adjusted so that, of those under a limit, at most that share is expected to be
// false: p times the number of tests over its rank, made monotone from the largest, at most 1. In the order of p, as
// scipy.stats.false_discovery_control has them.
func BenjaminiHochberg(p []float64) []float64 {
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[b], p[a]) }) // largest first
	out, least := make([]float64, len(p)), 1.0
	for k, i := range order {
		least = min(least, p[i]*float64(len(p))/float64(len(p)-k))
		out[i] = least
	}
	return out
}
