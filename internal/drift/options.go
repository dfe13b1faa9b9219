package drift

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/spec"
)

// Options say which columns are compared, how, and what makes drift of the whole. The zero value compares every column
// by its default method, in as many goroutines as there are processors, and takes one drifted feature for drift.
type Options struct {
	// Columns are the features; nil: every column that either side has, less Extra.
	Columns []string
	// Extra are columns that aren't features, such as the prediction and the target. They are compared in the same way,
	// reported in Result.Extra and neither counted nor alerted on.
	Extra []string
	// Exclude are features that are known to move: they are compared as the others are, reported in Result.Extra behind
	// Extra, and neither counted nor alerted on. Names that aren't features say nothing.
	Exclude []string
	// Method is "", the default for each column; the name of a method, for the columns that it can be applied to, while
	// the others keep their default; or MethodAll, every method that can be applied, a row each: the default one decides.
	Method string
	// Methods is the method of single columns. It goes before Method. One that can't apply to the column's type is an
	// error.
	Methods map[string]string
	// MinRows is the number of current rows below which the result is inconclusive; at least 1 is needed.
	MinRows int
	// MaxDrifted is the number of drifted features above which the whole has drifted; MaxShare, where it is over 0, is
	// their share above which it has, instead.
	MaxDrifted int
	MaxShare   float64
	// PSI is the index above which any single feature alerts, and from which a column has drifted by MethodPSI. 0: none
	// alerts, and MethodPSI has PSILimit.
	PSI float64
	// Correction is "" or CorrectionBH: p-values are adjusted for the number of features before they decide.
	Correction string
	// Workers is the number of goroutines that compare columns; 0: GOMAXPROCS. Each has up to 10 MB of memory, and 2 to
	// 10 bytes for each row of both sides.
	Workers int
}

// OptionsOf are a monitor's options.
func OptionsOf(m spec.DriftMonitor) Options {
	return Options{
		Exclude: m.Exclude, Methods: m.Methods, MinRows: m.MinRows, MaxDrifted: m.MaxDrifted, MaxShare: float64(m.MaxShare), PSI: m.PSI, Correction: m.Correction,
	}
}

// Methods are the methods that a column can be given, MethodAll apart.
func Methods() []string { return spec.DriftMethods() }

// Validate checks what can be checked without data: names and ranges.
func (o Options) Validate() error {
	if o.Method != "" && o.Method != MethodAll && !slices.Contains(Methods(), o.Method) {
		return fmt.Errorf("drift: method %q: unknown, want %s, or one of %s", o.Method, MethodAll, strings.Join(Methods(), ", "))
	}
	for _, column := range sortedKeys(o.Methods) {
		if method := o.Methods[column]; !slices.Contains(Methods(), method) {
			return fmt.Errorf("drift: column %q: method %q: unknown, want one of %s", column, method, strings.Join(Methods(), ", "))
		}
	}
	for i, name := range o.Columns {
		if slices.Contains(o.Columns[:i], name) {
			return fmt.Errorf("drift: column %q is listed twice", name)
		}
	}
	for _, name := range o.Extra {
		if slices.Contains(o.Columns, name) {
			return fmt.Errorf("drift: column %q is both a feature and extra", name)
		}
	}
	switch {
	case o.Correction != "" && o.Correction != CorrectionBH:
		return fmt.Errorf("drift: correction %q: unknown, want none or %s", o.Correction, CorrectionBH)
	case o.MaxDrifted < 0:
		return fmt.Errorf("drift: max_drifted: observed %d < 0", o.MaxDrifted)
	case !(o.MaxShare >= 0 && o.MaxShare <= 1):
		return fmt.Errorf("drift: max_share: observed %g, which isn't within 0 and 1", o.MaxShare)
	case !(o.PSI >= 0):
		return fmt.Errorf("drift: psi: observed %g < 0", o.PSI)
	}
	return nil
}

// psiLimit is MethodPSI's threshold.
func (o Options) psiLimit() float64 {
	if o.PSI > 0 {
		return o.PSI
	}
	return PSILimit
}
