package serving

import (
	"bytes"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
)

// appendLogHeader writes a part's first line: the log's own columns, then the features of its version.
func appendLogHeader(dst []byte, a *arm) []byte {
	for i, column := range predictions.Columns() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, column.Name...)
	}
	for _, f := range a.model.Signature.Inputs {
		dst = appendCell(append(dst, ','), []byte(predictions.FeatureColumn(f.Name)))
	}
	return append(dst, '\n')
}

// appendLogRow writes one answered row.
func appendLogRow(dst []byte, w *work, i int, row []value, rowID int, now time.Time) []byte {
	res := &w.results[i]
	label, score := res.arm.label(res.scores)
	dst = append(append(dst, w.id(i)...), ',')
	dst = append(now.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z"), ',')
	dst = append(strconv.AppendInt(dst, int64(res.arm.number), 10), ',')
	dst = append(append(dst, res.arm.name...), ',')
	if rowID >= 0 {
		dst = appendCell(dst, clipCell(row[rowID].text()))
	}
	dst = append(appendFloat(append(dst, ','), score), ',')
	dst = append(appendCell(dst, []byte(label)), ',')
	dst = strconv.AppendInt(dst, res.latency.Microseconds(), 10)
	for k := range res.arm.inputs {
		in := &res.arm.inputs[k]
		dst = appendFeature(append(dst, ','), in.kind, row[in.place])
	}
	return append(dst, '\n')
}

// appendCell writes one CSV cell, quoted where RFC 4180 wants it. JSON text may hold a NUL, a file of data may not.
func appendCell(dst, cell []byte) []byte {
	if bytes.IndexByte(cell, 0) >= 0 {
		cell = bytes.ReplaceAll(cell, []byte{0}, []byte("\uFFFD"))
	}
	if !bytes.ContainsAny(cell, ",\"\r\n") && (len(cell) == 0 || cell[0] != ' ') {
		return append(dst, cell...)
	}
	dst = append(dst, '"')
	for _, c := range cell {
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// maxCell bounds a logged text in bytes; a longer one is no category that a model knows.
const maxCell = 1024

// appendFeature writes a value that its version could read in the form that a file of data has for its kind. One
// odd cell must not make a part unreadable.
func appendFeature(dst []byte, kind string, v value) []byte {
	if v.kind == nullValue || v.kind == absentValue {
		return dst
	}
	switch kind {
	case inference.KindCategory:
		return appendCell(dst, clipCell(v.text()))
	case inference.KindBoolean:
		if v.kind == numberValue {
			f, _ := parseNumber(v.raw)
			return strconv.AppendBool(dst, f != 0)
		}
		return append(dst, v.text()...)
	case inference.KindInteger:
		if !bytes.ContainsAny(v.raw, ".eE") {
			return append(dst, v.raw...)
		}
		f, _ := parseNumber(v.raw)
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	case inference.KindTimestamp:
		return appendTimestamp(dst, v)
	}
	return append(dst, v.raw...)
}

// appendTimestamp writes a time as RFC 3339, or nothing for one that nanoseconds since 1970 can't hold.
func appendTimestamp(dst []byte, v value) []byte {
	var at time.Time
	if v.kind == textValue {
		var ok bool
		if at, ok = inference.ParseTime(string(v.raw)); !ok {
			return dst
		}
	} else {
		f, _ := parseNumber(v.raw)
		whole, fraction := math.Modf(f)
		if math.Abs(whole) > math.MaxInt64/1e9 {
			return dst
		}
		at = time.Unix(int64(whole), int64(fraction*1e9))
	}
	if at = at.UTC(); at.Year() < 1678 || at.Year() > 2261 {
		return dst
	}
	return at.AppendFormat(dst, time.RFC3339Nano)
}

// clipCell bounds a text, at a whole character.
func clipCell(text []byte) []byte {
	if len(text) <= maxCell {
		return text
	}
	end := maxCell
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
