package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CorrectionBH is Benjamini and Hochberg's correction of p-values for the number of features.
const CorrectionBH = "bh"

// DriftMethods lists what monitor.drift.methods may give a column.
func DriftMethods() []string { return []string{"ks", "chi2", "ztest", "wasserstein", "js", "psi"} }

// drift checks the limits and methods of the drift monitor.
func (c *checker) drift(m *Model) {
	d := m.Monitor.Drift
	c.schedule("monitor.drift", d.Every, d.Window)
	c.atLeast("monitor.drift.min_rows", d.MinRows, 1)
	c.atLeast("monitor.drift.max_drifted", d.MaxDrifted, 0)
	c.share("monitor.drift.max_share", d.MaxShare, true)
	c.must(d.PSI > 0, "monitor.drift.psi", "%g must be over 0", d.PSI)
	c.must(d.Correction == "" || d.Correction == CorrectionBH, "monitor.drift.correction", "%q is unknown | %s, or leave it out", d.Correction, CorrectionBH)
	k := d.AlertAfter
	c.must(k.K >= 1 && k.K <= k.N && k.N <= 100, "monitor.drift.alert_after", "%s isn't 1 of 1 to 100 of 100", k)
	for _, column := range slices.Sorted(maps.Keys(d.Methods)) {
		c.driftMethod(m, column, d.Methods[column])
	}
	seen := map[string]bool{}
	for i, column := range d.Exclude {
		at := fmt.Sprintf("monitor.drift.exclude[%d]", i)
		c.must(!seen[column], at, "%q is listed twice", column)
		c.driftColumn(m, at, column)
		seen[column] = true
	}
}

// driftColumn checks that the drift monitor compares a column, as far as the spec says which columns there are, and
// gives the contract's rule for it; nil where there is none.
func (c *checker) driftColumn(m *Model, at, column string) *ColumnRule {
	if column == "" {
		c.fail(at, "the column has no name")
		return nil
	}
	if column == "prediction" || column == "target" {
		return nil // what is answered, and its labels; features of these names are called so behind "feature."
	}
	column = strings.TrimPrefix(column, "feature.")
	c.must(!slices.Contains(m.Data.Features.Exclude, column), at, "the column is excluded by data.features.exclude: nothing compares it")
	contract := m.Data.Contract
	if contract == nil || contract.File != "" {
		return nil
	}
	i := slices.IndexFunc(contract.Columns, func(r ColumnRule) bool { return r.Name == column })
	if i < 0 {
		c.must(!contract.Strict, at, "no such column in the strict contract")
		return nil
	}
	return &contract.Columns[i]
}

// driftMethod checks one column's method.
func (c *checker) driftMethod(m *Model, column, method string) {
	path := join("monitor.drift.methods", column)
	c.oneOf(path, method, DriftMethods()...)
	rule := c.driftColumn(m, path, column)
	if rule == nil || (method != "ks" && method != "wasserstein") {
		return
	}
	if kind := rule.Type; kind == "category" || kind == "text" || kind == "boolean" {
		c.fail(path, "%s compares numbers, and the column's type is %s | chi2, ztest, js or psi", method, kind)
	}
}
