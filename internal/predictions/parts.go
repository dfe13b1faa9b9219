package predictions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// Part is one object of the log.
type Part struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"` // as stored
}

// Parts lists the parts that may hold rows of the window, in the order of their keys.
func Parts(ctx context.Context, store objectstore.Lister, q Query) ([]Part, error) {
	var out []Part
	for hour := q.From.UTC().Truncate(time.Hour); hour.Before(q.To); hour = hour.Add(time.Hour) {
		err := store.List(ctx, HourPrefix(q.Model, hour), func(i objectstore.Info) error {
			if v, ok := VersionOf(i.Key); ok && v == q.Version {
				out = append(out, Part{Key: i.Key, Bytes: i.Size})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Shards groups parts, in their order, so that no group has much more than size bytes and there are at most limit
// groups: a larger window has larger ones.
func Shards(parts []Part, size int64, limit int) [][]Part {
	total := int64(0)
	for _, p := range parts {
		total += p.Bytes
	}
	size = max(size, (total+int64(limit)-1)/int64(max(1, limit)), 1)
	var out [][]Part
	before, group := int64(0), int64(-1) // bytes of the parts so far; the group that the last one is in
	for _, p := range parts {
		// Groups end at multiples of size, so that their number is bounded whatever the parts' sizes are.
		if at := min(before/size, int64(limit)-1); at != group {
			out, group = append(out, nil), at
		}
		out[len(out)-1] = append(out[len(out)-1], p)
		before += p.Bytes
	}
	return out
}

// ErrGone is wrapped by the error of a part that isn't there: retention removes old ones.
var ErrGone = errors.New("the part is gone")

// Scan reads one part and hands those of its rows that are in the window to v, chunk by chunk: the version's features by
// their own names, and the answer as q.Answer names it. It returns how many rows those are. Memory is bounded by the
// reader's limits, whatever the part's size.
func Scan(ctx context.Context, store objectstore.Getter, key string, q Query, o dataset.ReadOptions, v dataset.Visitor) (rows int64, err error) {
	l, _ := layoutOf(key)
	o.Name, o.Format, o.Contract = key, string(l), q.contract(l)
	w := &windowed{query: q, layout: l, to: v}
	_, report, err := dataset.Scan(ctx, stored{ctx, store, key}, o, w)
	if errors.Is(err, objectstore.ErrNotFound) {
		return 0, fmt.Errorf("prediction log %s: %w", key, ErrGone)
	}
	if err != nil {
		return 0, fmt.Errorf("prediction log: %w", err)
	}
	if !report.OK() {
		return 0, fmt.Errorf("prediction log: %w", report.Error())
	}
	return w.rows, nil
}

// stored is an object as a dataset.Source.
type stored struct {
	ctx   context.Context
	store objectstore.Getter
	key   string
}

func (s stored) Open() (io.ReadCloser, error) {
	body, _, err := s.store.Get(s.ctx, s.key)
	return body, err
}

// windowed passes on the rows of a window, without the log's own columns.
type windowed struct {
	query  Query
	layout layout
	to     dataset.Visitor
	rows   int64 // passed on
}

// Visible are the columns that a scan's visitor sees, with their kinds.
func (q Query) Visible() []spec.ColumnRule {
	var out []spec.ColumnRule
	for _, f := range q.Features {
		out = append(out, spec.ColumnRule{Name: f.Name, Type: f.Type})
	}
	if q.Answer.Name != "" {
		out = append(out, spec.ColumnRule{Name: q.Answer.Name, Type: q.Answer.Type})
	}
	return out
}

// logged are the log's columns of Visible.
func (q Query) logged(l layout) []string {
	var out []string
	for _, f := range q.Features {
		out = append(out, l.feature(f.Name))
	}
	if q.Answer.Name != "" {
		out = append(out, q.Answer.column())
	}
	return out
}

func (w *windowed) Begin([]spec.ColumnRule) error {
	w.rows = 0
	return w.to.Begin(w.query.Visible())
}

func (w *windowed) Rows(c dataset.Chunk) error {
	at, ok := c.Column(ColumnTime)
	if !ok {
		return fmt.Errorf("no column %s", ColumnTime)
	}
	keep := inWindow(at.Times, w.query.From, w.query.To)
	if len(keep) == 0 {
		return nil
	}
	t, err := c.Project(w.query.logged(w.layout))
	if err != nil {
		return err
	}
	if len(keep) < t.Rows {
		t = t.Select(keep)
	}
	for i, column := range w.query.Visible() {
		t.Columns[i].Name = column.Name
	}
	first := w.rows
	w.rows += int64(t.Rows)
	return w.to.Rows(dataset.Chunk{Table: t, First: first})
}

// inWindow are the rows whose time is in [from, to).
func inWindow(times []int64, from, to time.Time) []int {
	keep := make([]int, 0, len(times))
	for i, ns := range times {
		if ns >= from.UnixNano() && ns < to.UnixNano() {
			keep = append(keep, i)
		}
	}
	return keep
}
