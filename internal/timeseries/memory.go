package timeseries

import (
	"context"
	"sort"
	"strings"
	"sync"
	"time"
)

// Memory is a store in this process, for tests and for running without a server. It keeps everything it is given.
// It is safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	points map[string]Point // by series and time: the same point again replaces itself
	fail   error
}

// NewMemory makes an empty store.
func NewMemory() *Memory { return &Memory{points: map[string]Point{}} }

// Fail makes every later call answer err; nil ends it.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Write implements Writer.
func (m *Memory) Write(ctx context.Context, points []Point) error {
	if err := validateAll(points); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return &Error{Op: "write", Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, p := range points {
		p.Tags = cleanTags(p.Tags)
		key := seriesKey(p)
		fields := make(map[string]float64, len(p.Fields))
		for name, v := range m.points[key].Fields {
			fields[name] = v
		}
		for name, v := range p.Fields {
			fields[name] = v
		}
		p.Fields = fields
		m.points[key] = p
	}
	return nil
}

// Sum implements Reader.
func (m *Memory) Sum(ctx context.Context, q Query) ([]Row, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &Error{Op: "query", Err: err}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, m.fail
	}
	want := cleanTags(q.Tags)
	groups := map[string]*Row{}
	for _, p := range m.points {
		if p.Measurement != q.Measurement || p.Time.Before(q.Start) || !p.Time.Before(q.Stop) || !carries(p.Tags, want) {
			continue
		}
		var key strings.Builder
		tags := make(map[string]string, len(q.GroupBy))
		for _, tag := range q.GroupBy {
			tags[tag] = p.Tags[tag]
			key.WriteString(p.Tags[tag] + "\x00")
		}
		row, ok := groups[key.String()]
		if !ok {
			row = &Row{Tags: tags, Fields: map[string]float64{}}
			groups[key.String()] = row
		}
		for name, v := range p.Fields {
			row.Fields[name] += v
		}
	}
	rows := make([]Row, 0, len(groups))
	for _, row := range groups {
		rows = append(rows, *row)
	}
	sortRows(rows, q.GroupBy)
	return rows, nil
}

// Points gives a copy of all that is stored, by time and then by series.
func (m *Memory) Points() []Point {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Point, 0, len(m.points))
	for _, p := range m.points {
		out = append(out, p)
	}
	sort.Slice(out, func(i, j int) bool {
		if !out[i].Time.Equal(out[j].Time) {
			return out[i].Time.Before(out[j].Time)
		}
		return seriesKey(out[i]) < seriesKey(out[j])
	})
	return out
}

func carries(tags, want map[string]string) bool {
	for name, value := range want {
		if tags[name] != value {
			return false
		}
	}
	return true
}

func seriesKey(p Point) string {
	names := make([]string, 0, len(p.Tags))
	for name := range p.Tags {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString(p.Measurement)
	for _, name := range names {
		b.WriteString("\x00" + name + "\x00" + p.Tags[name])
	}
	b.WriteString("\x00" + p.Time.UTC().Format(time.RFC3339Nano))
	return b.String()
}
