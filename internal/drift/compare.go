package drift

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/leanloop/leanloop/internal/dataset"
)

// CompareTables compares the columns of a window with those of the reference and says whether the window asks for an
// alert. With fewer than o.MinRows current rows, or no reference, the result is Inconclusive and has no columns. A
// column that neither table has, and a method that can't be applied to its column's type, are errors.
func CompareTables(ref, cur *dataset.Table, o Options) (Result, error) {
	return compare(side{ref.Rows, ref.Names()}, side{cur.Rows, cur.Names()}, o, func(name string, s *scratch) evidence {
		a, _ := ref.Column(name)
		b, _ := cur.Column(name)
		return tableEvidence(name, a, b, s)
	})
}

// side is what comparing needs to know of a table or a profile before its columns.
type side struct {
	rows  int
	names []string
}

// plan is what is compared.
type plan struct {
	names    []string // the columns that both sides have: features, then extra ones
	features int      // how many of names are features
}

// compare is the frame that tables and profiles share. take gives a column's evidence; it is called from several
// goroutines, each with a scratch of its own.
func compare(ref, cur side, o Options, take func(name string, s *scratch) evidence) (Result, error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	r := Result{ReferenceRows: ref.rows, CurrentRows: cur.rows}
	p, err := r.plan(ref, cur, o)
	if err != nil {
		return Result{}, err
	}
	if ref.rows == 0 || cur.rows < max(o.MinRows, 1) {
		r.Extra, r.Inconclusive = nil, true
		r.Reason = fmt.Sprintf("too few rows: observed %d current < %d", cur.rows, max(o.MinRows, 1))
		if ref.rows == 0 {
			r.Reason = "the reference has no rows"
		}
		return r, nil
	}
	rows, err := p.run(o, take)
	if err != nil {
		return Result{}, err
	}
	r.Columns = slices.Concat(rows[:p.features]...)
	r.Extra = append(slices.Concat(rows[p.features:]...), r.Extra...)
	if o.Correction == CorrectionBH {
		correct(r.Columns)
	}
	r.conclude(o)
	return r, nil
}

// plan sorts out which columns both sides have. It notes the others in the result.
func (r *Result) plan(ref, cur side, o Options) (plan, error) {
	features := o.Columns
	if features == nil {
		features = append(slices.Clone(ref.names), slices.DeleteFunc(slices.Clone(cur.names), func(name string) bool {
			return slices.Contains(ref.names, name)
		})...)
		features = slices.DeleteFunc(features, func(name string) bool { return slices.Contains(o.Extra, name) })
	}
	for _, name := range sortedKeys(o.Methods) {
		if !slices.Contains(features, name) && !slices.Contains(o.Extra, name) {
			return plan{}, fmt.Errorf("drift: methods: column %q isn't compared: those that are: %s", name, strings.Join(slices.Concat(features, o.Extra), ", "))
		}
	}
	excluded := func(name string) bool { return slices.Contains(o.Exclude, name) }
	uncounted := slices.Concat(o.Extra, slices.DeleteFunc(slices.Clone(features), func(name string) bool { return !excluded(name) }))
	features = slices.DeleteFunc(slices.Clone(features), excluded)
	r.Features = len(features)
	p := plan{}
	for i, name := range slices.Concat(features, uncounted) {
		inReference, inCurrent := slices.Contains(ref.names, name), slices.Contains(cur.names, name)
		extra := i >= len(features)
		switch {
		case !inReference && !inCurrent:
			what := "feature"
			if extra {
				what = "column"
			}
			return plan{}, fmt.Errorf("drift: %s %q is in neither table: the reference has %s; the current rows have %s",
				what, name, strings.Join(ref.names, ", "), strings.Join(cur.names, ", "))
		case inReference && inCurrent:
			p.names = append(p.names, name)
			if !extra {
				p.features++
			}
		case extra && inReference:
			r.Extra = append(r.Extra, ColumnResult{Name: name, Problem: "no such column in the current rows"})
		case extra:
			r.Extra = append(r.Extra, ColumnResult{Name: name, Problem: "no such column in the reference"})
		case inReference:
			r.AbsentCurrent = append(r.AbsentCurrent, name)
		default:
			r.AbsentReference = append(r.AbsentReference, name)
		}
	}
	return p, nil
}

// run compares the columns in o.Workers goroutines. The result doesn't depend on how many they are.
func (p plan) run(o Options, take func(name string, s *scratch) evidence) ([][]ColumnResult, error) {
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	rows, errs := make([][]ColumnResult, len(p.names)), make([]error, len(p.names))
	var next atomic.Int64
	work := func() {
		s := &scratch{}
		for i := int(next.Add(1)) - 1; i < len(p.names); i = int(next.Add(1)) - 1 {
			rows[i], errs[i] = take(p.names[i], s).compare(o)
		}
	}
	var others sync.WaitGroup
	for range min(workers, len(p.names)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}
