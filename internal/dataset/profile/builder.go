package profile

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// Builder sums up rows as they come. It is a dataset.Visitor; it isn't safe for concurrent use.
type Builder struct {
	options Options
	limits  limits
	rows    int64
	columns []column
	scratch []*scratch // one of each worker
}

// column is one column of a Builder.
type column struct {
	name string
	kind dataset.Kind
	values
}

// values is what is kept of a column while rows come.
type values interface {
	add(c *dataset.Column, s *scratch)
	// finish fills the column in, but for what derive derives. It may be called again after more rows.
	finish(out *Column)
}

var _ dataset.Visitor = (*Builder)(nil)

// NewBuilder is a Builder without columns: Begin names them.
func NewBuilder(o Options) *Builder {
	o.Top = cmp.Or(max(o.Top, 0), defaultTop)
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return &Builder{options: o}
}

// Begin names the columns and their kinds. What was seen before is void.
func (b *Builder) Begin(columns []spec.ColumnRule) error {
	b.rows, b.limits = 0, limitsFor(len(columns))
	b.columns = make([]column, len(columns))
	for i, rule := range columns {
		kind, err := dataset.ParseKind(rule.Type)
		if err != nil {
			return fmt.Errorf("profile: column %q: %w", rule.Name, err)
		}
		b.columns[i] = column{name: rule.Name, kind: kind, values: b.valuesOf(rule.Name, kind)}
	}
	return nil
}

// valuesOf chooses what to keep of a column: what the reference has of the same name and sort is counted into its bins.
func (b *Builder) valuesOf(name string, kind dataset.Kind) values {
	coded := kind == dataset.Category || kind == dataset.Text
	var reference *Column
	if b.options.Against != nil {
		if c, ok := b.options.Against.Column(name); ok && c.numeric() != coded {
			reference = c
		}
	}
	if coded {
		return newCategoryBuilder(b.limits, reference)
	}
	var bins *Bins
	if reference != nil {
		bins = reference.ownBins()
	}
	return newNumberBuilder(b.limits, bins)
}

// Rows takes the next rows of a scan.
func (b *Builder) Rows(c dataset.Chunk) error { return b.Add(c.Table) }

// Add takes more rows, whose columns must be those of Begin.
func (b *Builder) Add(t *dataset.Table) error {
	if len(t.Columns) != len(b.columns) {
		return fmt.Errorf("profile: rows of %d columns after a beginning with %d", len(t.Columns), len(b.columns))
	}
	for i := range t.Columns {
		if got, want := &t.Columns[i], &b.columns[i]; got.Name != want.name || got.Kind != want.kind {
			return fmt.Errorf("profile: column %d of the rows is %s %q, want %s %q", i+1, got.Kind, got.Name, want.kind, want.name)
		}
	}
	b.rows += int64(t.Rows)
	b.each(t.Rows*len(b.columns), func(i int, s *scratch) { b.columns[i].add(&t.Columns[i], s) })
	return nil
}

// smallWork is the number of cells that aren't worth a goroutine.
const smallWork = 1 << 14

// each calls do for every column, on as many workers as are worth it, and waits for them. A column is worked on by one.
func (b *Builder) each(cells int, do func(i int, s *scratch)) {
	workers := min(b.options.Workers, len(b.columns), cells/smallWork+1)
	for len(b.scratch) < workers {
		b.scratch = append(b.scratch, &scratch{})
	}
	var next atomic.Int64
	work := func(s *scratch) {
		for i := int(next.Add(1) - 1); i < len(b.columns); i = int(next.Add(1) - 1) {
			do(i, s)
		}
	}
	if workers <= 1 {
		if len(b.columns) > 0 {
			work(b.scratch[0])
		}
		return
	}
	var wait sync.WaitGroup
	for _, s := range b.scratch[:workers] {
		wait.Go(func() { work(s) })
	}
	wait.Wait()
}

// Profile is the profile of the rows so far.
func (b *Builder) Profile() (*Profile, error) {
	if b.columns == nil {
		return nil, fmt.Errorf("profile: no columns: Begin wasn't called")
	}
	p := &Profile{Version: Version, Rows: b.rows, Columns: make([]Column, len(b.columns)), top: b.options.Top}
	b.each(len(b.columns)*smallWork, func(i int, _ *scratch) {
		c := &p.Columns[i]
		c.Name, c.Kind = b.columns[i].name, b.columns[i].kind.String()
		b.columns[i].finish(c)
		c.derive(b.options.Top)
	})
	return p, nil
}

// derive fills in what follows from the rest.
func (c *Column) derive(top int) {
	c.countDistinct()
	c.Top, c.Other = nil, 0
	if c.Count == 0 {
		c.sketch, c.values = sketch{}, nil
		return
	}
	if !c.numeric() {
		if !c.overflow {
			c.keepTop(c.values, top)
		}
		return
	}
	if c.Exact() && len(c.sketch.buckets) <= top {
		c.keepTop(c.all(), top)
	}
	c.Numbers.Mean, c.Numbers.Std = c.moments.meanAndStd(c.Numbers.Min, c.Numbers.Max)
	c.Numbers.Quantiles = c.Numbers.Quantiles[:0:0]
	ranked := c.ranked()
	for _, share := range QuantileShares() {
		c.Numbers.Quantiles = append(c.Numbers.Quantiles, linear(c.Count, share, ranked))
	}
	if c.Bins == nil || !c.Bins.Borrowed {
		c.Bins = c.ownBins()
	}
}

// countDistinct counts the different values, or reads the registers.
func (c *Column) countDistinct() {
	c.Estimated = c.registers != nil
	switch {
	case c.Estimated:
		known := len(c.sketch.buckets) // at least so many
		c.Distinct = min(max(int64(estimate(c.registers)+0.5), int64(known)), c.Count)
	case c.numeric():
		c.Distinct = int64(len(c.sketch.buckets))
	default:
		c.Distinct = int64(len(c.values))
	}
}

// finish is the column.
func (b *numberBuilder) finish(out *Column) {
	out.Count, out.Nulls = b.moments.n, b.rows-b.moments.n
	out.moments = b.moments
	out.sketch, out.registers = b.counter.sketch()
	if b.moments.n > 0 {
		out.Numbers = &Numbers{Min: numberOf(b.low), Max: numberOf(b.high)}
	}
	if b.oldest <= b.newest {
		out.Oldest, out.Newest = instant(b.oldest), instant(b.newest)
	}
	if b.reference != nil {
		out.Bins = &Bins{Edges: b.reference.Edges, Counts: slices.Clone(b.binned), Exact: b.reference.Exact, Borrowed: true}
	}
}
