package expect

import (
	"fmt"
	"math"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/instant"
)

// momentBlock is how many numbers are summed up together. It counts numbers, not rows of a batch, so that batches don't
// matter.
const momentBlock = 1024

// moments sums numbers up in the order of rows: blocks are joined by a compensated sum (Neumaier 1974), and by the
// pairwise update of mean and squared distances (T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise
// algorithm for computing sample variances", 1979).
type moments struct {
	spread        bool // whether the standard deviation is asked for
	n             int64
	low, high     float64
	sum, lost     float64
	average, away float64 // mean, and the sum of squared distances from it

	block []float64 // not yet joined
}

func (m *moments) add(v float64) {
	if m.block == nil {
		m.block = make([]float64, 0, momentBlock)
	}
	m.block = append(m.block, v)
	if len(m.block) == momentBlock {
		m.join()
	}
}

// addAll adds numbers of which NaN is none, and returns how many there were.
func (m *moments) addAll(values []float64) (present int64) {
	if m.block == nil {
		m.block = make([]float64, 0, momentBlock)
	}
	for len(values) > 0 {
		room := momentBlock - len(m.block)
		take := values[:min(room, len(values))]
		values = values[len(take):]
		at := len(m.block)
		m.block = m.block[:at+len(take)]
		for _, v := range take {
			m.block[at] = v
			if v == v {
				at++
			}
		}
		present += int64(at - (len(m.block) - len(take)))
		m.block = m.block[:at]
		if at == momentBlock {
			m.join()
		}
	}
	return present
}

// join takes the block in; what was added since the last join is in no result.
func (m *moments) join() {
	if len(m.block) == 0 {
		return
	}
	block := m.block
	m.block = m.block[:0]
	if m.n == 0 {
		m.low, m.high = block[0], block[0]
	}
	for _, v := range block {
		if v < m.low {
			m.low = v
		}
		if v > m.high {
			m.high = v
		}
	}
	sum, rest := twoSum(block)
	if m.spread {
		k := float64(len(block))
		mean := sum / k
		away := squares(block, mean)
		total := float64(m.n) + k
		distance := mean - m.average
		m.average += distance * k / total
		m.away += away + distance*distance*float64(m.n)*k/total
	}
	m.n += int64(len(block))
	m.addSum(sum)
	if rest == rest && !math.IsInf(rest, 0) { // it isn't a number once the sum is beyond the largest
		m.lost += rest
	}
}

// lanes are sums that don't wait for each other: a processor adds four numbers in the time of one.
const lanes = 4

// twoSum is the sum of a block, and what its additions rounded off (Knuth, The Art of Computer Programming 2, 4.2.2).
func twoSum(block []float64) (sum, rest float64) {
	var sums, rests [lanes]float64
	add := func(lane int, v float64) {
		total := sums[lane] + v
		part := total - sums[lane]
		rests[lane] += (sums[lane] - (total - part)) + (v - part)
		sums[lane] = total
	}
	for ; len(block) >= lanes; block = block[lanes:] {
		add(0, block[0])
		add(1, block[1])
		add(2, block[2])
		add(3, block[3])
	}
	for _, v := range block {
		add(0, v)
	}
	for lane := 1; lane < lanes; lane++ {
		add(0, sums[lane])
		rests[0] += rests[lane]
	}
	return sums[0], rests[0]
}

// squares is the sum of squared distances from the mean.
func squares(block []float64, mean float64) float64 {
	var a, b, c, d float64
	for ; len(block) >= lanes; block = block[lanes:] {
		a += (block[0] - mean) * (block[0] - mean)
		b += (block[1] - mean) * (block[1] - mean)
		c += (block[2] - mean) * (block[2] - mean)
		d += (block[3] - mean) * (block[3] - mean)
	}
	for _, v := range block {
		a += (v - mean) * (v - mean)
	}
	return (a + b) + (c + d)
}

func (m *moments) addSum(v float64) {
	total := m.sum + v
	if math.Abs(m.sum) >= math.Abs(v) {
		m.lost += (m.sum - total) + v
	} else {
		m.lost += (v - total) + m.sum
	}
	m.sum = total
}

func (m *moments) total() float64 {
	if math.IsInf(m.sum, 0) || math.IsNaN(m.lost) {
		return m.sum
	}
	return m.sum + m.lost
}

// mean is NaN for no values.
func (m *moments) mean() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return m.total() / float64(m.n)
}

// std is the sample's standard deviation (ddof 1); NaN for fewer than two values.
func (m *moments) std() float64 {
	if m.n < 2 {
		return math.NaN()
	}
	return math.Sqrt(m.away / float64(m.n-1))
}

// aggregate picks the check of a rule of family Aggregate.
func (r *Runner) aggregate(rule suite.Rule, at int) (check, error) {
	base := aggregated{rule: rule, column: at}
	base.typ = r.columns[at].Type
	options := spill.Options{Limit: r.limit, Dir: r.o.Dir, Keep: 1}
	switch rule.Type {
	case "expect_column_median_to_be_between", "expect_column_quantile_values_to_be_between":
		return &quantiles{aggregated: base, numbers: spill.NewNumbers(r.limit, r.o.Dir)}, nil
	case "expect_column_unique_value_count_to_be_between", "expect_column_proportion_of_unique_values_to_be_between":
		return &distinct{aggregated: base, hash: newHasher(), groups: spill.NewGroups(options)}, nil
	case "expect_column_distinct_values_to_be_in_set", "expect_column_distinct_values_to_contain_set", "expect_column_distinct_values_to_equal_set":
		options.Texts = true
		return &distinctSet{aggregated: base, set: newSet(rule.Values), seen: make([]bool, len(rule.Values)), hash: newHasher(), groups: spill.NewGroups(options)}, nil
	case "expect_column_most_common_value_to_be_in_set":
		options.Texts = true
		return &mostCommon{aggregated: base, set: newSet(rule.Values), hash: newHasher(), groups: spill.NewGroups(options)}, nil
	}
	return &moment{aggregated: base, moments: moments{spread: rule.Type == "expect_column_stdev_to_be_between"}}, nil
}

// aggregated is what all checks of an aggregate have.
type aggregated struct {
	rule     suite.Rule
	column   int
	typ      string
	elements int64
	present  int64 // that aren't null
}

// each calls do with the rows that are judged and not null.
func (a *aggregated) each(b *Batch, keep []bool, do func(c *Column, row int) error) error {
	c := &b.Columns[a.column]
	for row := range b.Rows {
		if keep != nil && !keep[row] {
			continue
		}
		a.elements++
		if c.null(row) {
			continue
		}
		a.present++
		if err := do(c, row); err != nil {
			return err
		}
	}
	return nil
}

// between judges a number by the rule's bounds; what isn't defined is never between.
func (a *aggregated) between(f *Finding, v float64) {
	f.Limit = limit(a.rule)
	if math.IsNaN(v) {
		f.Observed = "no value"
		return
	}
	f.Outcome.Success = within(v, a.rule)
	f.Outcome.Found.ObservedValue, f.Observed = finite(v), suite.FormatNumber(v)
}

// finite is a number as JSON can have it.
func finite(v float64) any {
	if math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	return v
}

// moment is min, max, mean, sum, stdev and the share of values that aren't null.
type moment struct {
	aggregated
	moments       moments
	oldest, newer int64
}

func (m *moment) rows(b *Batch, keep []bool) error {
	if m.rule.Type == "expect_column_proportion_of_non_null_values_to_be_between" {
		return m.each(b, keep, func(*Column, int) error { return nil })
	}
	if c := &b.Columns[m.column]; keep == nil && storageOf(c.Type) == floats {
		m.elements += int64(b.Rows)
		m.present += m.moments.addAll(c.Floats[:b.Rows])
		return nil
	}
	return m.each(b, keep, func(c *Column, row int) error {
		if storageOf(c.Type) == times {
			at := c.Times[row]
			if m.present == 1 {
				m.oldest, m.newer = at, at
			}
			m.oldest, m.newer = min(m.oldest, at), max(m.newer, at)
			return nil
		}
		m.moments.add(c.Floats[row])
		return nil
	})
}

func (m *moment) finish(f *Finding) error {
	m.moments.join()
	name := strings.TrimPrefix(m.rule.Type, "expect_column_")
	if storageOf(m.typ) == times && m.present > 0 && !strings.HasPrefix(name, "proportion") {
		at := m.oldest
		if strings.HasPrefix(name, "max") {
			at = m.newer
		}
		f.Limit = limit(m.rule)
		f.Outcome.Success = withinTimes(at, m.rule)
		f.Observed = instant.Text(at)
		f.Outcome.Found.ObservedValue = f.Observed
		return nil
	}
	v := math.NaN()
	switch {
	case strings.HasPrefix(name, "proportion"):
		v = 0
		if m.elements > 0 {
			v = float64(m.present) / float64(m.elements)
		}
	case strings.HasPrefix(name, "sum"):
		v = m.moments.total()
	case m.moments.n == 0:
	case strings.HasPrefix(name, "min"):
		v = m.moments.low
	case strings.HasPrefix(name, "max"):
		v = m.moments.high
	case strings.HasPrefix(name, "mean"):
		v = m.moments.mean()
	default:
		v = m.moments.std()
	}
	m.between(f, v)
	return nil
}

func (m *moment) close() error { return nil }
