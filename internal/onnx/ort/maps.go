//go:build (linux || darwin) && (amd64 || arm64)

package ort

import (
	"fmt"
	"slices"
	"strconv"
	"unsafe"

	"github.com/leanloop/leanloop/internal/onnx"
)

// maps reads a sequence of maps, one a row, from a label to a number. All rows have the same labels.
func (s *Session) maps(sequence uintptr, rows int) (a onnx.Answer, err error) {
	var count uintptr
	if err := s.library.call(fnGetValueCount, sequence, uintptr(unsafe.Pointer(&count))); err != nil {
		return a, err
	}
	if count != uintptr(rows) {
		return a, fmt.Errorf("output %q is a sequence of %d, want one for each of %d rows", s.call.Output, count, rows)
	}
	for row := range rows {
		labels, values, err := s.row(sequence, row)
		if err != nil {
			return a, err
		}
		if row == 0 {
			a.Labels, a.Columns = labels, len(labels)
			a.Values = make([]float64, 0, rows*len(labels))
		}
		if !slices.Equal(labels, a.Labels) {
			return a, fmt.Errorf("output %q: row %d has labels %q, the first one %q", s.call.Output, row+1, labels, a.Labels)
		}
		a.Values = append(a.Values, values...)
	}
	return a, nil
}

// row reads one map of a sequence.
func (s *Session) row(sequence uintptr, row int) (labels []string, values []float64, err error) {
	l := s.library
	held := make([]uintptr, 3) // the map, its keys, its values
	defer func() {
		for _, v := range held {
			l.release(fnReleaseValue, v)
		}
	}()
	if err := l.call(fnGetValue, sequence, uintptr(row), l.allocator, uintptr(unsafe.Pointer(&held[0]))); err != nil {
		return nil, nil, err
	}
	var kind int32
	if err := l.call(fnGetValueType, held[0], uintptr(unsafe.Pointer(&kind))); err != nil {
		return nil, nil, err
	}
	if kind != typeMap {
		return nil, nil, fmt.Errorf("output %q is a sequence of something else than maps", s.call.Output)
	}
	for i := range 2 {
		if err := l.call(fnGetValue, held[0], uintptr(i), l.allocator, uintptr(unsafe.Pointer(&held[1+i]))); err != nil {
			return nil, nil, err
		}
	}
	kindOf, shape, err := s.shape(held[1])
	if err != nil {
		return nil, nil, err
	}
	if len(shape) != 1 || shape[0] < 1 || shape[0] > int64(s.call.MaxColumns) {
		return nil, nil, fmt.Errorf("output %q: a map of shape %v, want 1 to %d labels", s.call.Output, shape, s.call.MaxColumns)
	}
	n := int(shape[0])
	if labels, err = s.labels(held[1], kindOf, n); err != nil {
		return nil, nil, err
	}
	values, columns, err := s.tensor(held[2], n)
	if err == nil && columns != 1 {
		err = fmt.Errorf("output %q: a map of %d labels to %d values", s.call.Output, n, n*columns)
	}
	return labels, values, err
}

// labels reads a tensor of n integers or texts.
func (s *Session) labels(value uintptr, kind onnx.Type, n int) ([]string, error) {
	out := make([]string, n)
	if kind != onnx.String {
		if kind != onnx.Int64 {
			return nil, fmt.Errorf("output %q has labels of %s, want int64 or string", s.call.Output, kind)
		}
		var at uintptr
		if err := s.library.call(fnGetTensorMutableData, value, uintptr(unsafe.Pointer(&at))); err != nil {
			return nil, err
		}
		for i, v := range unsafe.Slice((*int64)(pointer(at)), n) {
			out[i] = strconv.FormatInt(v, 10)
		}
		return out, nil
	}
	var size uintptr
	if err := s.library.call(fnGetStringTensorDataLength, value, uintptr(unsafe.Pointer(&size))); err != nil {
		return nil, err
	}
	if size > maxText {
		return nil, fmt.Errorf("output %q has labels of %d bytes > limit %d", s.call.Output, size, maxText)
	}
	content, offsets := make([]byte, size+1), make([]uintptr, n+1)
	if err := s.library.call(fnGetStringTensorContent, value, uintptr(unsafe.Pointer(&content[0])), size, uintptr(unsafe.Pointer(&offsets[0])), uintptr(n)); err != nil {
		return nil, err
	}
	offsets[n] = size
	for i := range out {
		if offsets[i] > offsets[i+1] || offsets[i+1] > size {
			return nil, fmt.Errorf("output %q: its labels can't be read", s.call.Output)
		}
		out[i] = string(content[offsets[i]:offsets[i+1]])
	}
	return out, nil
}
