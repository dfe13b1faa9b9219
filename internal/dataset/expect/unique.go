package expect

import (
	"math"

	"github.com/leanloop/leanloop/internal/dataset/spill"
	"github.com/leanloop/leanloop/internal/dataset/suite"
)

// uniqueCheck finds values that more than one row has: each of these rows is unexpected, as in Great Expectations.
type uniqueCheck struct {
	tally
	column int
	typ    string
	hash   hasher
	groups *spill.Groups
}

func newUniqueCheck(rule suite.Rule, at int, o Options) *uniqueCheck {
	return &uniqueCheck{tally: tally{rule: rule, keep: o.Keep}, column: at, hash: newHasher(),
		groups: spill.NewGroups(spill.Options{Limit: o.Limit, Keep: o.Keep, Dir: o.Dir})}
}

func (u *uniqueCheck) rows(b *Batch, keep []bool) error {
	c := &b.Columns[u.column]
	u.typ = c.Type
	for row := range b.Rows {
		if keep != nil && !keep[row] {
			continue
		}
		u.elements++
		if c.null(row) {
			u.missing++
			continue
		}
		key, text := u.hash.of(c, row)
		if err := u.groups.Add(key, b.First+int64(row), text); err != nil {
			return err
		}
	}
	return nil
}

func (u *uniqueCheck) finish(f *Finding) error {
	found, err := u.groups.Finish(nil)
	if err != nil {
		return err
	}
	u.unexpected = found.Members
	for i, r := range found.AnyFirst {
		u.index = append(u.index, r.Number)
		if i < suite.PartialCount {
			u.values = append(u.values, back(u.typ, r.Key, r.Text))
		}
	}
	return u.tally.finish(f)
}

func (u *uniqueCheck) close() error { return u.groups.Close() }

// zScores finds values far from the mean, in standard deviations (ddof 1). Which are far is known when all were seen, so
// all are kept, each with its row.
type zScores struct {
	tally
	column  int
	typ     string
	moments moments
	groups  *spill.Groups
}

func newZScores(rule suite.Rule, at int, o Options) *zScores {
	return &zScores{tally: tally{rule: rule, keep: o.Keep}, column: at, moments: moments{spread: true},
		groups: spill.NewGroups(spill.Options{Limit: o.Limit, Dir: o.Dir})}
}

func (z *zScores) rows(b *Batch, keep []bool) error {
	c := &b.Columns[z.column]
	z.typ = c.Type
	for row := range b.Rows {
		if keep != nil && !keep[row] {
			continue
		}
		z.elements++
		if c.null(row) {
			z.missing++
			continue
		}
		z.moments.add(c.Floats[row])
		number := b.First + int64(row)
		if err := z.groups.Add(spill.Key{math.Float64bits(c.Floats[row]), uint64(number)}, number, ""); err != nil {
			return err
		}
	}
	return nil
}

func (z *zScores) finish(f *Finding) error {
	z.moments.join()
	mean, std := z.moments.mean(), z.moments.std()
	var first []spill.Row
	_, err := z.groups.Finish(func(g spill.Group) {
		score := (math.Float64frombits(g.Key[0]) - mean) / std
		under := score < z.rule.Threshold
		if z.rule.DoubleSided {
			under = math.Abs(score) < math.Abs(z.rule.Threshold)
		}
		if under || math.IsNaN(score) || std == 0 {
			return
		}
		z.unexpected++
		first = spill.Keep(first, spill.Row{Number: g.First, Key: g.Key}, z.keep)
	})
	if err != nil {
		return err
	}
	for i, r := range first {
		z.index = append(z.index, r.Number)
		if i < suite.PartialCount {
			z.values = append(z.values, back(z.typ, r.Key, ""))
		}
	}
	return z.tally.finish(f)
}

func (z *zScores) close() error { return z.groups.Close() }
