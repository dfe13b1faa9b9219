package drift

import (
	"math"
	"slices"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset"
)

// scratch is what a goroutine reuses from column to column.
type scratch struct {
	digester digester
	seconds  [2][]float64
}

// tableEvidence takes a column of both tables apart.
func tableEvidence(name string, ref, cur *dataset.Column, s *scratch) evidence {
	e := evidence{name: name, numeric: numericPair(ref, cur)}
	if e.numeric && ref.Len()+cur.Len() >= largeSamples {
		if d, ok := s.digester.digest(s.numbers(ref, 0), s.numbers(cur, 1)); ok {
			e.numbers, e.refSize, e.curSize = d, int64(d.n), int64(d.m)
			e.refMissing, e.curMissing = int64(ref.Len()-d.n), int64(cur.Len()-d.m)
			return e
		}
	}
	a, b := valuesOf(ref, e.numeric), valuesOf(cur, e.numeric)
	e.ref, e.cur = a.categories, b.categories
	e.refSize, e.refMissing, e.curSize, e.curMissing = a.size(), a.missing, b.size(), b.missing
	if e.numeric && e.refSize > 0 && e.curSize > 0 {
		e.numbers = merge(a.numbers, b.numbers)
	}
	return e
}

// numbers are a side's numbers, missing ones among them as NaN. A column of numbers is not copied.
func (s *scratch) numbers(c *dataset.Column, side int) []float64 {
	if c.Kind != dataset.Timestamp {
		return c.Floats
	}
	out := slices.Grow(s.seconds[side][:0], len(c.Times))
	for _, t := range c.Times {
		x := math.NaN()
		if t != dataset.NullTime {
			x = float64(t) / 1e9
		}
		out = append(out, x)
	}
	s.seconds[side] = out
	return out
}

// The types of columns, as ColumnResult names them.
const (
	Numeric     = "numeric"
	Categorical = "categorical"
)

// values is one side of a column: sorted numbers or counts, nulls apart.
type values struct {
	numbers    []float64
	categories Counts
	missing    int64
}

// valuesOf takes a column apart. Numbers that aren't finite count as missing: they have no distance from anything.
// Instants are seconds since 1970.
func valuesOf(c *dataset.Column, numeric bool) values {
	switch {
	case c.Kind == dataset.Category || c.Kind == dataset.Text:
		return coded(c)
	case numeric:
		v := values{numbers: make([]float64, 0, c.Len())}
		v.each(c, func(x float64) { v.numbers = append(v.numbers, x) })
		sortNumbers(v.numbers)
		return v
	}
	v := values{categories: Counts{}}
	v.each(c, func(x float64) { v.categories[label(c.Kind, x)]++ })
	return v
}

// coded counts a column's codes first, so that names are looked up once each.
func coded(c *dataset.Column) values {
	v := values{categories: make(Counts, len(c.Dict))}
	counts := make([]int64, len(c.Dict))
	for _, code := range c.Codes {
		if code < 0 {
			v.missing++
			continue
		}
		counts[code]++
	}
	for code, n := range counts {
		if n > 0 {
			v.categories[c.Dict[code]] += n
		}
	}
	return v
}

// each calls take with every finite number of a column that isn't coded, and counts the others.
func (v *values) each(c *dataset.Column, take func(float64)) {
	if c.Kind == dataset.Timestamp {
		for _, t := range c.Times {
			if t == dataset.NullTime {
				v.missing++
				continue
			}
			take(float64(t) / 1e9)
		}
		return
	}
	for _, x := range c.Floats {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			v.missing++
			continue
		}
		take(x)
	}
}

func (v values) size() int64 {
	if v.categories != nil {
		return v.categories.Total()
	}
	return int64(len(v.numbers))
}

// label is a number as a category.
func label(kind dataset.Kind, x float64) string {
	if kind == dataset.Boolean {
		return strconv.FormatBool(x != 0)
	}
	return strconv.FormatFloat(x+0, 'g', -1, 64) // +0: minus zero is zero
}

// numericPair reports whether a column is compared as numbers: both sides are numbers or instants. Booleans are
// numbers where the other side has numbers.
func numericPair(ref, cur *dataset.Column) bool {
	number := func(k dataset.Kind) bool {
		return k == dataset.Number || k == dataset.Integer || k == dataset.Timestamp
	}
	return (number(ref.Kind) && number(cur.Kind)) ||
		(number(ref.Kind) && cur.Kind == dataset.Boolean) || (ref.Kind == dataset.Boolean && number(cur.Kind))
}

// countsOf are sorted numbers as categories.
func countsOf(sorted []float64) Counts {
	out := Counts{}
	for i := 0; i < len(sorted); {
		n := upTo(sorted[i:], sorted[i])
		out[label(dataset.Number, sorted[i])] += int64(n)
		i += n
	}
	return out
}
