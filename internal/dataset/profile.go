package dataset

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// ProfileVersion names the algorithm of Profile; it rises when a number in it would come out differently.
const ProfileVersion = 1

// Profile sums up a table, column by column.
type Profile struct {
	Version int             `json:"version"`
	Rows    int             `json:"rows"`
	Columns []ColumnProfile `json:"columns"`
}

// ColumnProfile sums up a column. Numbers are there for number, integer and boolean columns with a value, Oldest and
// Newest for timestamps, Top for category, text and boolean.
type ColumnProfile struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"`
	Count    int          `json:"count"` // values, without nulls
	Nulls    int          `json:"nulls"`
	Distinct int          `json:"distinct"` // exact
	Numbers  *NumberRange `json:"numbers,omitempty"`
	Oldest   *time.Time   `json:"oldest,omitempty"`
	Newest   *time.Time   `json:"newest,omitempty"`
	Top      []ValueCount `json:"top,omitempty"`   // most frequent first, ties by value
	Other    int          `json:"other,omitempty"` // values outside Top
}

// NumberRange sums up numbers.
type NumberRange struct {
	Min       float64   `json:"min"`
	Max       float64   `json:"max"`
	Mean      float64   `json:"mean"`
	Std       float64   `json:"std"`       // of the values as a population (ddof 0)
	Quantiles []float64 `json:"quantiles"` // at the shares of QuantileShares; linear, as numpy.quantile
}

// ValueCount is a value and how many rows have it.
type ValueCount struct {
	Value string `json:"value"`
	Count int    `json:"count"`
}

// ProfileOptions bound what a profile lists. Zero fields take the defaults.
type ProfileOptions struct {
	Top int // values listed per column; default 50
}

// QuantileShares are the shares whose quantiles a profile has.
func QuantileShares() []float64 {
	return []float64{0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99}
}

// NewProfile sums up a table. The same rows in any order give the same profile, but for the last bits of mean and
// standard deviation.
func NewProfile(t *Table, o ProfileOptions) *Profile {
	o.Top = cmp.Or(o.Top, 50)
	p := &Profile{Version: ProfileVersion, Rows: t.Rows, Columns: make([]ColumnProfile, len(t.Columns))}
	for i := range t.Columns {
		p.Columns[i] = profileColumn(&t.Columns[i], o)
	}
	return p
}

func profileColumn(c *Column, o ProfileOptions) ColumnProfile {
	nulls := c.Nulls()
	p := ColumnProfile{Name: c.Name, Kind: c.Kind.String(), Count: c.Len() - nulls, Nulls: nulls}
	switch {
	case c.Kind.coded():
		p.countCodes(c, o)
	case c.Kind == Timestamp:
		values := slices.DeleteFunc(slices.Clone(c.Times), func(ns int64) bool { return ns == NullTime })
		slices.Sort(values)
		if len(values) > 0 {
			oldest, newest := time.Unix(0, values[0]).UTC(), time.Unix(0, values[len(values)-1]).UTC()
			p.Oldest, p.Newest = &oldest, &newest
		}
		p.Distinct = len(slices.Compact(values))
	default:
		values := slices.DeleteFunc(slices.Clone(c.Floats), math.IsNaN)
		slices.Sort(values)
		p.Numbers = describeSorted(values)
		if c.Kind == Boolean {
			p.countBooleans(values, o)
		}
		p.Distinct = len(slices.Compact(values))
	}
	return p
}

// countCodes counts the values of a category or text column.
func (p *ColumnProfile) countCodes(c *Column, o ProfileOptions) {
	counts := make([]int, len(c.Dict))
	for _, code := range c.Codes {
		if code >= 0 {
			counts[code]++
		}
	}
	var all []ValueCount
	for code, count := range counts {
		if count > 0 {
			all = append(all, ValueCount{Value: c.Dict[code], Count: count})
		}
	}
	p.Distinct = len(all)
	p.keepTop(all, o)
}

// countBooleans counts sorted zeros and ones.
func (p *ColumnProfile) countBooleans(sorted []float64, o ProfileOptions) {
	falses, _ := slices.BinarySearch(sorted, 1)
	var all []ValueCount
	if falses > 0 {
		all = append(all, ValueCount{Value: "false", Count: falses})
	}
	if falses < len(sorted) {
		all = append(all, ValueCount{Value: "true", Count: len(sorted) - falses})
	}
	p.keepTop(all, o)
}

// keepTop keeps the most frequent values and counts the rest.
func (p *ColumnProfile) keepTop(all []ValueCount, o ProfileOptions) {
	slices.SortFunc(all, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	p.Top = slices.Clip(all[:min(o.Top, len(all))])
	for _, v := range all[len(p.Top):] {
		p.Other += v.Count
	}
}

// describeSorted sums up ascending numbers; nil for none. Sums run over differences from the first value, so that
// large values with small differences keep their digits.
func describeSorted(sorted []float64) *NumberRange {
	n := len(sorted)
	if n == 0 {
		return nil
	}
	r := &NumberRange{Min: sorted[0], Max: sorted[n-1]}
	middle := sorted[n/2]
	var sum float64
	for _, v := range sorted {
		sum += (v - middle) / float64(n)
	}
	r.Mean = middle + sum
	var squares float64
	for _, v := range sorted {
		squares += (v - r.Mean) * (v - r.Mean) / float64(n)
	}
	r.Std = math.Sqrt(squares)
	for _, share := range QuantileShares() {
		r.Quantiles = append(r.Quantiles, Quantile(sorted, share))
	}
	r.finite()
	return r
}

// finite replaces what overflowed, which JSON couldn't hold, by the largest number.
func (r *NumberRange) finite() {
	for _, v := range []*float64{&r.Mean, &r.Std} {
		if math.IsInf(*v, 0) || math.IsNaN(*v) {
			*v = math.Copysign(math.MaxFloat64, *v)
		}
	}
}

// Quantile is the value below which the given share of ascending numbers lies, between two of them by linear
// interpolation: numpy.quantile's default (Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996, type 7).
// NaN for no numbers.
func Quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := share * float64(len(sorted)-1)
	low := int(at)
	if low >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	if sorted[low] == sorted[low+1] {
		return sorted[low]
	}
	weight := at - float64(low)
	// Weighing both ends can't overflow where their difference would.
	return sorted[low]*(1-weight) + sorted[low+1]*weight
}
