package serving

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// A logged row waits as bytes: they are made while a request is answered, so they are copies of what was sent rather
// than values that somebody has parsed. Texts have their length before them, those that may be null their length + 1.
//
//	id, time (ms), arm, row id or null, score (8 bytes), label, latency (µs), then each feature of the version: null, or
//	number, integer: its text; boolean: 0 or 1; timestamp: nanoseconds; category: its text

// logFeatures are a version's features, as a part has them.
func logFeatures(s *inference.Signature) predictions.Features {
	var out predictions.Features
	for _, f := range s.Inputs {
		out = append(out, spec.ColumnRule{Name: f.Name, Type: f.Kind, Nullable: true})
	}
	return out
}

// appendLogRow writes one answered row.
func appendLogRow(dst []byte, w *work, i int, row []value, rowID int, now time.Time) []byte {
	res := &w.results[i]
	label, score := res.arm.label(res.scores)
	dst = appendText(dst, w.id(i))
	dst = binary.AppendVarint(dst, now.UnixMilli())
	dst = appendText(dst, res.arm.name)
	if rowID >= 0 && row[rowID].kind != nullValue && row[rowID].kind != absentValue {
		dst = appendNullable(dst, clipCell(row[rowID].text()))
	} else {
		dst = append(dst, 0)
	}
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(score))
	dst = appendText(dst, label)
	dst = binary.AppendUvarint(dst, uint64(max(0, res.latency.Microseconds())))
	for k := range res.arm.inputs {
		in := &res.arm.inputs[k]
		dst = appendFeature(dst, in.kind, row[in.place])
	}
	return dst
}

func appendText[T string | []byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendNullable(dst, text []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))+1), text...)
}

// appendFeature writes a value that its version could read. One that a column of its kind can't hold is null there: one
// odd cell must not make a part unreadable.
func appendFeature(dst []byte, kind string, v value) []byte {
	if v.kind == nullValue || v.kind == absentValue {
		return append(dst, 0)
	}
	switch kind {
	case inference.KindCategory:
		return appendNullable(dst, clipCell(v.text()))
	case inference.KindBoolean:
		yes := bytes.Equal(v.text(), []byte("true"))
		if v.kind == numberValue {
			f, _ := parseNumber(v.raw)
			yes = f != 0
		}
		if yes {
			return append(dst, 2, 1)
		}
		return append(dst, 2, 0)
	case inference.KindTimestamp:
		at, ok := nanosOf(v)
		if !ok {
			return append(dst, 0)
		}
		return binary.LittleEndian.AppendUint64(append(dst, 9), uint64(at))
	}
	return appendNullable(dst, v.raw)
}

// nanosOf is a time since 1970; false for one that nanoseconds can't hold.
func nanosOf(v value) (int64, bool) {
	var at time.Time
	if v.kind == textValue {
		var ok bool
		if at, ok = inference.ParseTime(string(v.raw)); !ok {
			return 0, false
		}
	} else {
		f, _ := parseNumber(v.raw)
		whole, fraction := math.Modf(f)
		if math.Abs(whole) > math.MaxInt64/1e9 {
			return 0, false
		}
		at = time.Unix(int64(whole), int64(fraction*1e9))
	}
	if year := at.UTC().Year(); year < 1678 || year > 2261 {
		return 0, false
	}
	return at.UnixNano(), true
}

// maxCell bounds a logged text in bytes; a longer one is no category that a model knows.
const maxCell = 1024

// clipCell bounds a text, at a whole character. JSON text may hold a NUL, a table's may not.
func clipCell(text []byte) []byte {
	if bytes.IndexByte(text, 0) >= 0 {
		text = bytes.ReplaceAll(text, []byte{0}, []byte("\uFFFD"))
	}
	if len(text) <= maxCell {
		return text
	}
	end := maxCell
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// logRows reads back what appendLogRow wrote. The row's texts are those of data.
type logRows struct {
	data  []byte
	kinds []string
	row   predictions.Row
}

var errLogRow = errors.New("a logged row breaks off")

// next reads a row; false at the end.
func (l *logRows) next() (*predictions.Row, bool, error) {
	if len(l.data) == 0 {
		return nil, false, nil
	}
	r := &l.row
	var err error
	take := func(n uint64) (b []byte) {
		if n > uint64(len(l.data)) {
			err = errLogRow
			return nil
		}
		b, l.data = l.data[:n], l.data[n:]
		return b
	}
	number := func() uint64 {
		v, n := binary.Uvarint(l.data)
		if n <= 0 {
			err = errLogRow
			return 0
		}
		l.data = l.data[n:]
		return v
	}
	r.ID = take(number())
	at, n := binary.Varint(l.data)
	if n <= 0 {
		return nil, false, errLogRow
	}
	l.data = l.data[n:]
	r.Time, r.Arm, r.RowID = time.UnixMilli(at), take(number()), nil
	if n := number(); n > 0 {
		r.RowID = take(n - 1)
	}
	if b := take(8); err == nil {
		r.Score = math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	r.Label = take(number())
	r.Latency = time.Duration(number()) * time.Microsecond
	r.Features = r.Features[:0]
	for _, kind := range l.kinds {
		n := number()
		if n == 0 || err != nil {
			r.Features = append(r.Features, predictions.Cell{})
			continue
		}
		cell, cellErr := logCell(kind, take(n-1))
		if err == nil {
			err = cellErr
		}
		r.Features = append(r.Features, cell)
	}
	return r, err == nil, err
}

// logCell reads what appendFeature wrote of a value that isn't null.
func logCell(kind string, b []byte) (predictions.Cell, error) {
	c := predictions.Cell{Set: true}
	ok := true
	switch kind {
	case inference.KindCategory:
		c.Text = b
	case inference.KindBoolean:
		if ok = len(b) == 1; ok {
			c.Number = float64(b[0])
		}
	case inference.KindTimestamp:
		if ok = len(b) == 8; ok {
			c.Nanos = int64(binary.LittleEndian.Uint64(b))
		}
	default:
		c.Number, ok = parseNumber(b)
	}
	if !ok {
		return c, fmt.Errorf("a logged %s of %d bytes can't be read", kind, len(b))
	}
	return c, nil
}
