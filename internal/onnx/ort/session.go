//go:build (linux || darwin) && (amd64 || arm64)

package ort

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"github.com/leanloop/leanloop/internal/onnx"
)

// Session is a loaded model. One request at a time.
type Session struct {
	library *Library
	handle  uintptr
	call    onnx.Call
	inputs  []input
	output  []byte // its name

	inputNames, values []uintptr // for Run: pointers to names, and values
}

// input is one tensor that is fed.
type input struct {
	onnx.Input
	name  []byte
	texts [][][]byte // by column and code, as C takes them
}

var noText = []byte{0}

// Load makes a session of a model that is wholly in memory. What the model declares was compared with c before.
func (l *Library) Load(c onnx.Call, model []byte) (*Session, error) {
	if len(model) == 0 {
		return nil, errors.New("an empty model")
	}
	var options uintptr
	if err := l.call(fnCreateSessionOptions, uintptr(unsafe.Pointer(&options))); err != nil {
		return nil, err
	}
	defer func() { l.release(fnReleaseSessionOptions, options) }()
	err := errors.Join(
		l.call(fnSetIntraOpNumThreads, options, uintptr(max(1, c.Threads))),
		l.call(fnSetInterOpNumThreads, options, 1),
	)
	for _, entry := range [][2]string{
		{"session.load_model_format", "ONNX"}, // never its own format, which nobody has inspected
		{"session.intra_op.allow_spinning", "0"},
	} {
		key, value := cString(entry[0]), cString(entry[1])
		err = errors.Join(err, l.call(fnAddSessionConfigEntry, options, uintptr(unsafe.Pointer(&key[0])), uintptr(unsafe.Pointer(&value[0]))))
	}
	if err != nil {
		return nil, err
	}
	s := &Session{library: l, call: c, output: cString(c.Output)}
	if err := l.call(fnCreateSessionFromArray, l.env, uintptr(unsafe.Pointer(&model[0])), uintptr(len(model)), options, uintptr(unsafe.Pointer(&s.handle))); err != nil {
		return nil, err
	}
	for _, in := range c.Inputs {
		made := input{Input: in, name: cString(in.Name)}
		for _, column := range in.Texts {
			texts := make([][]byte, len(column))
			for code, text := range column {
				texts[code] = cString(text)
			}
			made.texts = append(made.texts, texts)
		}
		s.inputs = append(s.inputs, made)
		s.inputNames = append(s.inputNames, address(made.name))
	}
	s.values = make([]uintptr, len(s.inputs))
	return s, nil
}

// address is where b's bytes are. The caller keeps b.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// Score runs the model for the rows that blocks holds, one block an input.
func (s *Session) Score(rows int, blocks []byte) (a onnx.Answer, err error) {
	offsets := s.call.Offsets(rows)
	if rows < 1 || offsets[len(offsets)-1] != len(blocks) {
		return a, fmt.Errorf("%d rows in %d bytes, want %d bytes", rows, len(blocks), offsets[len(offsets)-1])
	}
	l := s.library
	clear(s.values)
	defer func() {
		for _, v := range s.values {
			l.release(fnReleaseValue, v)
		}
	}()
	for i := range s.inputs {
		if s.values[i], err = s.feed(&s.inputs[i], rows, blocks[offsets[i]:offsets[i+1]]); err != nil {
			return a, fmt.Errorf("input %q: %w", s.inputs[i].Name, err)
		}
	}
	names, result := []uintptr{address(s.output)}, uintptr(0)
	err = l.call(fnRun, s.handle, 0, uintptr(unsafe.Pointer(&s.inputNames[0])), uintptr(unsafe.Pointer(&s.values[0])), uintptr(len(s.values)),
		uintptr(unsafe.Pointer(&names[0])), 1, uintptr(unsafe.Pointer(&result)))
	runtime.KeepAlive(blocks) // the numbers of the inputs lie in it
	runtime.KeepAlive(s)
	if err != nil {
		return a, err
	}
	defer l.release(fnReleaseValue, result)
	var kind int32
	if err := l.call(fnGetValueType, result, uintptr(unsafe.Pointer(&kind))); err != nil {
		return a, err
	}
	if kind == typeSequence {
		return s.maps(result, rows)
	}
	a.Values, a.Columns, err = s.tensor(result, rows)
	return a, err
}

// feed makes an input's value. Numbers stay where they are, in block.
func (s *Session) feed(in *input, rows int, block []byte) (value uintptr, err error) {
	l := s.library
	shape := []int64{int64(rows), int64(in.Columns)}
	if in.Flat {
		shape = shape[:1]
	}
	if in.Type != onnx.String {
		err = l.call(fnCreateTensorWithData, l.memory, uintptr(unsafe.Pointer(&block[0])), uintptr(rows*in.Columns*in.Type.Size()),
			uintptr(unsafe.Pointer(&shape[0])), uintptr(len(shape)), uintptr(in.Type), uintptr(unsafe.Pointer(&value)))
		return value, err
	}
	if err := l.call(fnCreateTensor, l.allocator, uintptr(unsafe.Pointer(&shape[0])), uintptr(len(shape)), uintptr(in.Type), uintptr(unsafe.Pointer(&value))); err != nil {
		return 0, err
	}
	texts := make([]uintptr, rows*in.Columns)
	for i := range texts {
		text, known := noText, in.texts[i%in.Columns]
		if code := binary.LittleEndian.Uint32(block[4*i:]); uint64(code) < uint64(len(known)) {
			text = known[code]
		}
		texts[i] = address(text)
	}
	return value, l.call(fnFillStringTensor, value, uintptr(unsafe.Pointer(&texts[0])), uintptr(len(texts)))
}

// tensor reads a tensor of numbers whose first dimension are the rows.
func (s *Session) tensor(value uintptr, rows int) (out []float64, columns int, err error) {
	kind, shape, err := s.shape(value)
	if err != nil {
		return nil, 0, err
	}
	count := int64(1)
	for _, n := range shape {
		if n < 0 || n > math.MaxInt32 {
			return nil, 0, fmt.Errorf("output %q has shape %v", s.call.Output, shape)
		}
		if count *= n; count > int64(rows)*int64(s.call.MaxColumns) {
			return nil, 0, fmt.Errorf("output %q has shape %v: for %d rows more than %d values a row", s.call.Output, shape, rows, s.call.MaxColumns)
		}
	}
	if len(shape) == 0 || shape[0] != int64(rows) || count == 0 {
		return nil, 0, fmt.Errorf("output %q has shape %v, want %d rows first", s.call.Output, shape, rows)
	}
	var at uintptr
	if kind.Size() == 0 {
		return nil, 0, fmt.Errorf("output %q holds %s, want numbers", s.call.Output, kind)
	}
	if err := s.library.call(fnGetTensorMutableData, value, uintptr(unsafe.Pointer(&at))); err != nil {
		return nil, 0, err
	}
	return numbers(kind, at, int(count)), int(count) / rows, nil
}

func (s *Session) shape(value uintptr) (kind onnx.Type, shape []int64, err error) {
	l := s.library
	var info, rank uintptr
	if err := l.call(fnGetTensorTypeAndShape, value, uintptr(unsafe.Pointer(&info))); err != nil {
		return 0, nil, err
	}
	defer func() { l.release(fnReleaseTensorTypeAndShape, info) }()
	err = errors.Join(
		l.call(fnGetTensorElementType, info, uintptr(unsafe.Pointer(&kind))),
		l.call(fnGetDimensionsCount, info, uintptr(unsafe.Pointer(&rank))),
	)
	if err != nil || rank == 0 {
		return kind, nil, err
	}
	if rank > 16 {
		return kind, nil, fmt.Errorf("output %q has %d dimensions", s.call.Output, rank)
	}
	shape = make([]int64, rank)
	return kind, shape, l.call(fnGetDimensions, info, uintptr(unsafe.Pointer(&shape[0])), rank)
}

// numbers copies an array of the library's.
func numbers(kind onnx.Type, at uintptr, n int) []float64 {
	out := make([]float64, n)
	switch kind {
	case onnx.Float:
		widen(out, unsafe.Slice((*float32)(pointer(at)), n))
	case onnx.Double:
		copy(out, unsafe.Slice((*float64)(pointer(at)), n))
	case onnx.Int64:
		widen(out, unsafe.Slice((*int64)(pointer(at)), n))
	case onnx.Int32:
		widen(out, unsafe.Slice((*int32)(pointer(at)), n))
	case onnx.Bool:
		widen(out, unsafe.Slice((*uint8)(pointer(at)), n))
	}
	return out
}

func widen[T float32 | int64 | int32 | uint8](out []float64, from []T) {
	for i, v := range from {
		out[i] = float64(v)
	}
}
