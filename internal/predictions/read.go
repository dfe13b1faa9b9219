package predictions

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// DefaultMaxRows bounds a window in memory. A statistic of so many rows doesn't change with more.
const DefaultMaxRows = 500_000

// Features describes a version's feature columns, by the kinds of its signature, for reading its parts.
type Features []spec.ColumnRule

// Query names a window of one version's predictions.
type Query struct {
	Model    string
	Version  int
	Features Features
	Answer   Answer         // for Scan
	From, To time.Time      // [From, To)
	MaxRows  int            // 0: DefaultMaxRows
	MaxBytes int64          // for Read: of its parts as stored, of which it takes a sample where there are more; 0: all
	Progress func(rows int) // may be nil
}

// Answer is the prediction as a column of its own. Type number is the score: the probability of the positive class, or
// the value; category is the class. Name "": none.
type Answer struct{ Name, Type string }

func (a Answer) column() string {
	if a.Type == dataset.Category.String() {
		return ColumnLabel
	}
	return ColumnScore
}

// Window is what a version answered in it. Log and Features have the same rows; both are nil where there are none.
type Window struct {
	Log      *dataset.Table // the log's own columns
	Features *dataset.Table // the version's features, by their own names
	Rows     int            // of the tables
	Answered int            // rows in the log; more than Rows where the window was sampled down to MaxRows
}

// Before is the part of the window that was answered before t. Answered is then the sample's rows, since those left out
// of it were not looked at.
func (w Window) Before(t time.Time) Window {
	if w.Rows == 0 {
		return w
	}
	at, ok := w.Log.Column(ColumnTime)
	if !ok {
		return Window{}
	}
	keep := inWindow(at.Times, time.Unix(0, math.MinInt64), t)
	if len(keep) == w.Rows {
		return w
	}
	if len(keep) == 0 {
		return Window{}
	}
	return Window{Log: w.Log.Select(keep), Features: w.Features.Select(keep), Rows: len(keep), Answered: len(keep)}
}

// Read gathers a window. One that is too large for memory is sampled by the predictions' ids, so that the same log gives
// the same sample. A part that can't be read is an error: what it holds isn't known.
func Read(ctx context.Context, store objectstore.Store, q Query) (Window, error) {
	if q.MaxRows <= 0 {
		q.MaxRows = DefaultMaxRows
	}
	g := gathered{limit: q.MaxRows}
	parts, err := Parts(ctx, store, q)
	if err != nil {
		return Window{}, err
	}
	for _, part := range within(parts, q.MaxBytes) {
		t, err := readPart(ctx, store, part.Key, q)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue // removed by retention since it was listed
		}
		if err != nil {
			return Window{}, err
		}
		g.add(t)
		if q.Progress != nil {
			q.Progress(g.answered)
		}
	}
	return g.window(q)
}

// contract is the columns of the version's parts of a layout.
func (q Query) contract(l layout) *spec.Contract {
	c := spec.Contract{Columns: Columns()}
	for i := range c.Columns {
		if c.Columns[i].Name == ColumnLabel && q.Answer.Name != "" && q.Answer.column() == ColumnLabel {
			c.Columns[i].Type = q.Answer.Type
		}
	}
	for _, f := range q.Features {
		f.Name = l.feature(f.Name)
		c.Columns = append(c.Columns, f)
	}
	return &c
}

// gathered is the parts so far, sampled: of all rows those whose id's hash has its lowest halvings bits clear.
type gathered struct {
	limit    int
	answered int
	rows     int
	halvings int
	tables   []*dataset.Table
}

func (g *gathered) add(t *dataset.Table) {
	g.answered += t.Rows
	if t = sample(t, g.halvings); t.Rows == 0 {
		return
	}
	g.tables = append(g.tables, t)
	g.rows += t.Rows
	for g.rows > g.limit && g.halvings < 63 {
		g.halvings++
		g.rows = 0
		for i := range g.tables {
			g.tables[i] = sample(g.tables[i], g.halvings)
			g.rows += g.tables[i].Rows
		}
	}
}

// sample keeps one of 2^halvings rows.
func sample(t *dataset.Table, halvings int) *dataset.Table {
	ids, ok := t.Column(ColumnID)
	if halvings == 0 || !ok {
		return t
	}
	mask := uint64(1)<<halvings - 1
	var keep []int
	for i, code := range ids.Codes {
		if code >= 0 && mix(ids.Dict[code])&mask == 0 {
			keep = append(keep, i)
		}
	}
	return compact(t.Select(keep))
}

// compact forgets the texts that no row has, which would keep the memory of the rows that were left out.
func compact(t *dataset.Table) *dataset.Table {
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Codes == nil {
			continue
		}
		var kept []string
		codes := map[int32]int32{}
		for row, code := range c.Codes {
			if code < 0 {
				continue
			}
			to, known := codes[code]
			if !known {
				to = int32(len(kept))
				codes[code] = to
				kept = append(kept, c.Dict[code])
			}
			c.Codes[row] = to
		}
		c.Dict = kept
	}
	return t
}

// mix hashes an id to 64 bits, all of which depend on all of it: FNV-1a and the finaliser of MurmurHash3.
func mix(id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// window stacks the parts and takes log and features apart, so that no name of one hides one of the other.
func (g *gathered) window(q Query) (Window, error) {
	w := Window{Rows: g.rows, Answered: g.answered}
	if g.rows == 0 {
		return w, nil
	}
	all, err := dataset.Concat(g.tables...)
	if err != nil {
		return Window{}, fmt.Errorf("prediction log of %s: %w", q.Model, err)
	}
	var own, features []string
	for _, c := range Columns() {
		own = append(own, c.Name)
	}
	for _, f := range q.Features {
		features = append(features, FeatureColumn(f.Name))
	}
	if w.Log, err = all.Project(own); err != nil {
		return Window{}, fmt.Errorf("prediction log of %s: %w", q.Model, err)
	}
	if w.Features, err = all.Project(features); err != nil {
		return Window{}, fmt.Errorf("prediction log of %s: %w", q.Model, err)
	}
	for i, f := range q.Features {
		w.Features.Columns[i].Name = f.Name
	}
	return w, nil
}

// readPart reads the rows of a part that are in the window. Its columns are named as Parquet names them.
func readPart(ctx context.Context, store objectstore.Getter, key string, q Query) (*dataset.Table, error) {
	body, _, err := store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	l, _ := layoutOf(key)
	t, _, report, err := dataset.Read(ctx, body, dataset.ReadOptions{Name: key, Format: string(l), Contract: q.contract(l)})
	if err != nil {
		return nil, fmt.Errorf("prediction log: %w", err)
	}
	if !report.OK() {
		return nil, fmt.Errorf("prediction log: %w", report.Error())
	}
	for i, c := range q.contract(dataset.Parquet).Columns {
		t.Columns[i].Name = c.Name
	}
	c, ok := t.Column(ColumnTime)
	if !ok {
		return nil, fmt.Errorf("prediction log %s: no column %s", key, ColumnTime)
	}
	keep := inWindow(c.Times, q.From, q.To)
	if len(keep) == t.Rows {
		return t, nil
	}
	return t.Select(keep), nil
}
