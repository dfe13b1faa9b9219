package dataset

import (
	"fmt"
	"unsafe"

	"github.com/leanloop/leanloop/internal/dataset/parquet"
)

// converted is the values of a row group's dictionary as values of the column's kind: each is converted once.
type converted struct {
	floats []float64
	times  []int64
	names  []string
	local  []int32 // names: their codes in the chunk's dictionary, NullCode or a mark
	bad    bool    // whether any is marked as bad
}

// look makes the table for a dictionary.
func (r *columnReader) look(from *parquet.Values) error {
	n := from.Len()
	t := converted{}
	switch {
	case r.kind.numeric():
		t.floats = make([]float64, n)
		t.bad = r.stored.numbers(r.kind, from, t.floats)
	case r.kind == Timestamp:
		t.times = make([]int64, n)
		t.bad = r.stored.times(from, t.times)
	default:
		if err := r.lookNames(from, &t); err != nil {
			return err
		}
	}
	r.from, r.lut, r.used = from, t, r.used[:0]
	return nil
}

// lookNames is look for a column of names. They share one string.
func (r *columnReader) lookNames(from *parquet.Values, t *converted) error {
	n := from.Len()
	var all []byte
	ends := make([]int, n)
	t.local = make([]int32, n)
	for i := range n {
		start := len(all)
		var state cellState
		all, state = r.stored.appendText(all, from, i)
		switch state {
		case cellNull:
			t.local[i] = NullCode
		case cellBad:
			t.local[i], t.bad = badCode, true
		default:
			t.local[i] = unseen
			if err := r.checkName(all[start:]); err != nil {
				return err
			}
		}
		ends[i] = len(all)
	}
	text, start := string(all), 0
	t.names = make([]string, n)
	for i, end := range ends {
		t.names[i], start = text[start:end], end
	}
	return nil
}

// checkName holds a text to what a cell of a CSV file is held to.
func (r *columnReader) checkName(b []byte) error {
	if r.stored.form != formText {
		return nil
	}
	if limit := r.scan.o.Limits.Cell; len(b) > limit {
		return r.wrong(RuleLimit, fmt.Sprintf("a cell of %d bytes", len(b)), fmt.Sprintf("at most %d", limit))
	}
	if observed, limit := badText(b); observed != "" {
		return r.wrong(RuleEncoding, observed, limit)
	}
	return nil
}

func (r *columnReader) wrong(rule, observed, limit string) error {
	return &FormatError{Name: r.scan.o.Name, Rule: rule, Column: r.name, Observed: observed, Limit: limit}
}

// forget starts a new chunk: no name has a code.
func (r *columnReader) forget() {
	if r.names == nil {
		r.names = newInterner()
	}
	if r.names.count > internedValues || r.names.bytes > internedBytes {
		r.names.forget(internedValues)
	}
	r.names.chunk++
	r.dict = nil // the last chunk's visitors may still have it
	for _, code := range r.used {
		r.lut.local[code] = unseen
	}
	r.used = r.used[:0]
}

// translate makes codes of the chunk's dictionary of those of the row group's.
func (r *columnReader) translate(to, codes []int32) (bad bool) {
	local := r.lut.local
	for i, code := range codes {
		to[i] = local[code]
		if to[i] == unseen {
			name := r.lut.names[code]
			cell := unsafe.Slice(unsafe.StringData(name), len(name))
			local[code] = r.names.code(cell, r.names.hash(cell), &r.dict)
			to[i] = local[code]
			r.used = append(r.used, code)
		}
	}
	return r.lut.bad
}

// encode makes codes of values that have no dictionary in the file.
func (r *columnReader) encode(to []int32, v *parquet.Values, chunk *parquetChunk) (bad bool, err error) {
	for i := range to {
		var cell []byte
		state := cellValue
		if r.stored.form == formText {
			if cell = v.Bytes[i]; len(cell) == 0 {
				state = cellNull
			}
		} else {
			r.cell, state = r.stored.appendText(r.cell[:0], v, i)
			cell = r.cell
		}
		switch state {
		case cellNull:
			to[i] = NullCode
			continue
		case cellBad:
			to[i], bad = badCode, true
			continue
		}
		known := len(r.dict)
		if to[i] = r.names.code(cell, r.names.hash(cell), &r.dict); int(to[i]) < known {
			continue
		}
		if err := r.checkName(cell); err != nil {
			return false, err
		}
		if sum := chunk.text.Add(int64(len(cell))); sum > parquetText {
			return false, r.wrong(RuleLimit, fmt.Sprintf("%d bytes of text in %d rows", sum, chunk.Rows), fmt.Sprintf("at most %d", parquetText))
		}
	}
	return bad, nil
}

// inBatch is a stored value as the text that a report shows.
func (s storage) inBatch(b *parquet.Batch, i int) []byte {
	values := &b.Values
	if b.Dict != nil {
		values, i = b.Dict, int(b.Codes[i])
	}
	cell, _ := s.appendText(nil, values, i)
	return cell
}
