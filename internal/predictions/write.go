package predictions

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// Row is one answered row. Texts are only read until Close.
type Row struct {
	ID       []byte
	Time     time.Time // kept to the millisecond
	Arm      []byte
	RowID    []byte // nil: the request had none
	Score    float64
	Label    []byte
	Latency  time.Duration // kept to the microsecond
	Features []Cell        // in the order of the part's features
}

// Cell is the value of a feature, in the field of its kind; the zero Cell is null.
type Cell struct {
	Set    bool
	Number float64 // number, integer; boolean: 0 or 1
	Nanos  int64   // timestamp: since 1970
	Text   []byte  // category
}

// maxInteger bounds what an integer column holds: beyond it a float64, which is what models are given, isn't exact.
const maxInteger = 1 << 53

// Writer writes one part: a Parquet file of one row group, zstd, whose columns have the types of the version's
// signature: DOUBLE for numbers, INT64 for integers, BOOLEAN, UTF-8 with a dictionary for categories, and nanoseconds in
// UTC for timestamps. The same rows give the same bytes.
type Writer struct {
	file    *pq.GenericWriter[any]
	columns []*pq.ColumnWriter
	kinds   []dataset.Kind // of the features
	cells   [][]pq.Value   // of the rows that wait, by column
	model   []byte
	version int
	rows    int
}

// batchRows is how many rows are turned into columns at once.
const batchRows = 1024

// NewWriter begins a part of a version's rows.
func NewWriter(out io.Writer, model string, version int, features Features) (*Writer, error) {
	w := &Writer{model: []byte(model), version: version}
	columns := ordered{Group: pq.Group{}}
	for _, c := range append(Columns(), spec.ColumnRule{Name: ColumnModel, Type: dataset.Category.String()}) {
		kind, err := dataset.ParseKind(c.Type)
		if err != nil {
			return nil, fmt.Errorf("prediction log: column %s: %w", c.Name, err)
		}
		node := nodeOf(kind)
		switch c.Name {
		case ColumnTime:
			node = pq.Timestamp(pq.Millisecond)
		case ColumnVersion:
			node = pq.Int(32)
		case ColumnLatency:
			node = pq.Int(64)
		case ColumnLabel:
			node = pq.Encoded(pq.String(), &pq.RLEDictionary)
		}
		if c.Nullable {
			node = pq.Optional(node)
		}
		columns.add(c.Name, node)
	}
	for _, f := range features {
		kind, err := dataset.ParseKind(f.Type)
		if err != nil {
			return nil, fmt.Errorf("prediction log: feature %q: %w", f.Name, err)
		}
		w.kinds = append(w.kinds, kind)
		columns.add(FeatureColumn(f.Name), pq.Optional(nodeOf(kind)))
	}
	w.file = pq.NewGenericWriter[any](out, pq.NewSchema("prediction", columns), pq.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), pq.CreatedBy("leanloop", "1", ""))
	w.columns = w.file.ColumnWriters()
	w.cells = make([][]pq.Value, len(w.columns))
	return w, nil
}

func nodeOf(kind dataset.Kind) pq.Node {
	switch kind {
	case dataset.Number:
		return pq.Leaf(pq.DoubleType)
	case dataset.Integer:
		return pq.Int(64)
	case dataset.Boolean:
		return pq.Leaf(pq.BooleanType)
	case dataset.Timestamp:
		return pq.Timestamp(pq.Nanosecond)
	case dataset.Category:
		return pq.Encoded(pq.String(), &pq.RLEDictionary)
	}
	return pq.String()
}

// ordered is a group whose columns stay in the order in which they were added; pq.Group sorts them by name.
type ordered struct {
	pq.Group
	at map[string]int
}

func (o *ordered) add(name string, node pq.Node) {
	if o.at == nil {
		o.at = map[string]int{}
	}
	o.at[name] = len(o.Group)
	o.Group[name] = node
}

// Fields implements parquet.Node.
func (o ordered) Fields() []pq.Field {
	fields := o.Group.Fields()
	slices.SortFunc(fields, func(a, b pq.Field) int { return cmp.Compare(o.at[a.Name()], o.at[b.Name()]) })
	return fields
}

// GoType implements parquet.Node. Rows are written by column: no Go type stands for one, and none could, since names of
// features needn't be those of fields.
func (o ordered) GoType() reflect.Type { return reflect.TypeFor[map[string]any]() }

// Add takes a row into the part.
func (w *Writer) Add(r *Row) error {
	if len(r.Features) != len(w.kinds) {
		return fmt.Errorf("prediction log: row with %d features, want %d", len(r.Features), len(w.kinds))
	}
	own := [...]pq.Value{
		pq.ByteArrayValue(r.ID), pq.Int64Value(r.Time.UnixMilli()), pq.Int32Value(int32(w.version)), pq.ByteArrayValue(r.Arm),
		optional(r.RowID != nil, pq.ByteArrayValue(r.RowID)), optional(!math.IsNaN(r.Score), pq.DoubleValue(r.Score)),
		optional(r.Label != nil, pq.ByteArrayValue(r.Label)), pq.Int64Value(r.Latency.Microseconds()), pq.ByteArrayValue(w.model),
	}
	for k, v := range own {
		w.put(k, v)
	}
	for k, c := range r.Features {
		w.put(len(own)+k, c.value(w.kinds[k]))
	}
	if w.rows++; w.rows%batchRows == 0 {
		return w.flush()
	}
	return nil
}

func (w *Writer) put(column int, v pq.Value) {
	w.cells[column] = append(w.cells[column], v.Level(0, v.DefinitionLevel(), column))
}

// optional is a value of a column that may be null.
func optional(set bool, v pq.Value) pq.Value {
	if !set {
		return pq.NullValue()
	}
	return v.Level(0, 1, 0)
}

func (c Cell) value(kind dataset.Kind) pq.Value {
	switch kind {
	case dataset.Boolean:
		return optional(c.Set, pq.BooleanValue(c.Number != 0))
	case dataset.Integer:
		return optional(c.Set && math.Abs(c.Number) <= maxInteger, pq.Int64Value(int64(c.Number)))
	case dataset.Timestamp:
		return optional(c.Set, pq.Int64Value(c.Nanos))
	case dataset.Number:
		return optional(c.Set, pq.DoubleValue(c.Number))
	}
	return optional(c.Set, pq.ByteArrayValue(c.Text))
}

func (w *Writer) flush() error {
	for k, cells := range w.cells {
		if len(cells) == 0 {
			continue // parquet-go takes the address of the first
		}
		if _, err := w.columns[k].WriteRowValues(cells); err != nil {
			return fmt.Errorf("prediction log: column %d: %w", k, err)
		}
		w.cells[k] = cells[:0]
	}
	return nil
}

// Close ends the part.
func (w *Writer) Close() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("prediction log: %w", err)
	}
	return nil
}
