package expect

import (
	"fmt"
	"math"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// quantiles is the median and quantiles, of all values in their order.
type quantiles struct {
	aggregated
	numbers *spill.Numbers
}

func (q *quantiles) rows(b *Batch, keep []bool) error {
	return q.each(b, keep, func(c *Column, row int) error { return q.numbers.Add(c.Floats[row]) })
}

func (q *quantiles) close() error { return q.numbers.Close() }

func (q *quantiles) finish(f *Finding) error {
	shares, how := q.rule.Quantiles, q.rule.Interpolation
	median := len(shares) == 0
	if median {
		shares, how = []float64{0.5}, "linear"
	}
	values, err := q.at(shares, how)
	if err != nil {
		return err
	}
	if median {
		q.between(f, values[0])
		return nil
	}
	f.Limit = limit(q.rule)
	details, shown := make([]bool, len(values)), make([]any, len(values))
	f.Outcome.Success = true
	for i, v := range values {
		low, high := q.rule.Ranges[i][0], q.rule.Ranges[i][1]
		details[i] = (low <= v && v <= high) || near(v, low) || near(v, high)
		if !details[i] {
			f.Outcome.Success = false
		}
		if !math.IsNaN(v) {
			shown[i] = finite(v)
		}
	}
	f.Outcome.Found.ObservedValue = map[string]any{"quantiles": shares, "values": shown}
	f.Outcome.Found.Details = map[string]any{"success_details": details}
	f.Observed = "quantiles " + show(shown)
	if q.present == 0 {
		f.Observed = "no value"
	}
	return nil
}

// near is Great Expectations' tolerance for a quantile: numpy.isclose with rtol 1e-4 and atol 1e-8.
func near(v, bound float64) bool {
	return !math.IsInf(bound, 0) && math.Abs(v-bound) <= 1e-8+1e-4*math.Abs(bound)
}

// at is the values at shares, between neighbours as numpy.quantile's method how has it; "" is nearest.
func (q *quantiles) at(shares []float64, how string) ([]float64, error) {
	out := make([]float64, len(shares))
	n := q.numbers.Len()
	if n == 0 {
		for i := range out {
			out[i] = math.NaN()
		}
		return out, nil
	}
	var wanted []int64
	for _, s := range shares {
		low := int64(math.Floor(s * float64(n-1)))
		wanted = append(wanted, low, min(low+1, n-1))
	}
	found, err := pick(q.numbers, wanted)
	if err != nil {
		return nil, err
	}
	for i, s := range shares {
		position := s * float64(n-1)
		below, above := found[wanted[2*i]], found[wanted[2*i+1]]
		weight := position - math.Floor(position)
		switch {
		case how == "linear":
			out[i] = below + (above-below)*weight
		case how == "midpoint" && weight > 0:
			out[i] = below + (above-below)/2
		case how == "higher" && weight > 0:
			out[i] = above
		case (how == "nearest" || how == "") && int64(math.RoundToEven(position)) > wanted[2*i]:
			out[i] = above
		default:
			out[i] = below
		}
	}
	return out, nil
}

// pick is the numbers at places in ascending order.
func pick(numbers *spill.Numbers, places []int64) (map[int64]float64, error) {
	sorted := slices.Clone(places)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	found := make(map[int64]float64, len(sorted))
	var at int64
	err := numbers.Each(func(v float64) {
		if len(sorted) > 0 && sorted[0] == at {
			found[at], sorted = v, sorted[1:]
		}
		at++
	})
	return found, err
}

// distinct is how many different values there are, or which share of the values they are.
type distinct struct {
	aggregated
	hash   hasher
	groups *spill.Groups
}

func (d *distinct) rows(b *Batch, keep []bool) error {
	return d.each(b, keep, func(c *Column, row int) error {
		key, _ := d.hash.of(c, row)
		return d.groups.Add(key, b.First+int64(row), "")
	})
}

func (d *distinct) close() error { return d.groups.Close() }

func (d *distinct) finish(f *Finding) error {
	n := 0.0
	if _, err := d.groups.Finish(func(spill.Group) { n++ }); err != nil {
		return err
	}
	if d.rule.Type == "expect_column_proportion_of_unique_values_to_be_between" && d.present > 0 {
		n /= float64(d.present)
	}
	d.between(f, n)
	return nil
}

// distinctSet compares the different values with a set.
type distinctSet struct {
	aggregated
	set    *set
	seen   []bool // of the set's values
	hash   hasher
	groups *spill.Groups // of values that aren't in the set
}

func (d *distinctSet) rows(b *Batch, keep []bool) error {
	return d.each(b, keep, func(c *Column, row int) error {
		if i, ok := d.set.find(c, row); ok {
			d.seen[i] = true
			return nil
		}
		if d.rule.Type == "expect_column_distinct_values_to_contain_set" {
			return nil
		}
		key, text := d.hash.of(c, row)
		return d.groups.Add(key, b.First+int64(row), text)
	})
}

func (d *distinctSet) close() error { return d.groups.Close() }

func (d *distinctSet) finish(f *Finding) error {
	var unexpected, missing int64
	var strange smallest
	found, err := d.groups.Finish(func(g spill.Group) {
		unexpected++
		strange.add(back(d.typ, g.Key, g.Text), g)
	})
	if err != nil {
		return err
	}
	var lacking []any
	for i, v := range d.rule.Values {
		if d.seen[i] || !d.set.first(i) {
			continue
		}
		if missing++; len(lacking) < suite.PartialCount {
			lacking = append(lacking, v.JSON())
		}
	}
	o := &f.Outcome
	f.Limit = limit(d.rule)
	var words []string
	if d.rule.Type != "expect_column_distinct_values_to_contain_set" {
		o.Found.UnexpectedCount, o.Found.PartialUnexpected = &unexpected, strange.values
		strangers := "1 value that isn't in the set"
		if unexpected != 1 {
			strangers = fmt.Sprintf("%d different values that aren't in the set", unexpected)
		}
		words = append(words, strangers+" "+show(strange.values))
		f.Rows = found.Rows
	}
	if d.rule.Type != "expect_column_distinct_values_to_be_in_set" {
		o.Found.MissingCount, o.Found.PartialMissing = &missing, lacking
		words = append(words, fmt.Sprintf("%d values of the set that no row has %s", missing, show(lacking)))
	} else {
		missing = 0
	}
	f.Observed = clip(words[0])
	if len(words) > 1 {
		f.Observed += " and " + clip(words[1])
	}
	if f.Rows > 0 {
		f.First = strange.rows()
	}
	o.Success = unexpected == 0 && missing == 0
	return nil
}

// first reports whether the value is the first of its like in the set, so that 1 and 1.0 count once.
func (s *set) first(i int) bool { return s.texts[s.values[i].String()] == i }

// mostCommon is the value that most rows have, or those.
type mostCommon struct {
	aggregated
	set    *set
	keys   map[spill.Key]bool // of the set's texts
	hash   hasher
	groups *spill.Groups
}

func (m *mostCommon) rows(b *Batch, keep []bool) error {
	return m.each(b, keep, func(c *Column, row int) error {
		key, text := m.hash.of(c, row)
		return m.groups.Add(key, b.First+int64(row), text)
	})
}

func (m *mostCommon) close() error { return m.groups.Close() }

func (m *mostCommon) finish(f *Finding) error {
	var best, ties, inSet int64
	var modes smallest
	_, err := m.groups.Finish(func(g spill.Group) {
		if g.Count < best {
			return
		}
		if g.Count > best {
			best, ties, inSet, modes = g.Count, 0, 0, smallest{}
		}
		ties++
		v := back(m.typ, g.Key, g.Text)
		modes.add(v, g)
		if m.contains(g) {
			inSet++
		}
	})
	if err != nil {
		return err
	}
	f.Limit = limit(m.rule)
	f.Outcome.Success = (m.rule.TiesOkay && inSet > 0) || (ties == 1 && inSet == 1)
	f.Outcome.Found.ObservedValue = modes.values
	f.Observed = fmt.Sprintf("%s in %d rows each", show(modes.values), best)
	return nil
}

// contains reports whether a group's value is in the set. A group's text may be cut short, its key never is.
func (m *mostCommon) contains(g spill.Group) bool {
	var ok bool
	switch storageOf(m.typ) {
	case codes:
		if m.keys == nil {
			m.keys = map[spill.Key]bool{}
			for text := range m.set.texts {
				m.keys[m.hash.key(text)] = true
			}
		}
		return m.keys[g.Key]
	case times:
		_, ok = m.set.times[int64(g.Key[0])]
	default:
		_, ok = m.set.floats[math.Float64frombits(g.Key[0])]
	}
	return ok
}
