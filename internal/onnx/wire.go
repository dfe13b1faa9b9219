package onnx

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Call says how a model is asked: it is fixed when the model is loaded.
type Call struct {
	Inputs     []Input `json:"inputs"`
	Output     string  `json:"output"`      // the only one that is computed for the answer
	MaxColumns int     `json:"max_columns"` // of an answer's row
	Threads    int     `json:"threads"`     // of one request; at least 1
	Memory     int64   `json:"memory"`      // bytes of private writable memory that the process may have; 0: unbounded
}

// Input is one tensor that is fed, of as many rows as are asked for.
type Input struct {
	Name    string `json:"name"`
	Type    Type   `json:"type"`
	Columns int    `json:"columns"`
	Flat    bool   `json:"flat,omitempty"` // shape [N] in place of [N, 1]
	// Texts are what the codes of each column of a String input stand for. NoText, and any code beyond the list, is "".
	Texts [][]string `json:"texts,omitempty"`
}

// NoText is the code of a missing text.
const NoText = math.MaxUint32

// cell is the bytes of one value in a request: numbers as they are in memory, texts as codes; little-endian.
func (in Input) cell() int {
	if in.Type == String {
		return 4
	}
	return in.Type.Size()
}

// Offsets are where each input's block begins in a request of that many rows, a multiple of 8, so that its numbers are
// aligned; the last one is the request's size.
func (c Call) Offsets(rows int) []int {
	out := make([]int, 0, len(c.Inputs)+1)
	at := 0
	for _, in := range c.Inputs {
		out = append(out, at)
		at += (rows*in.Columns*in.cell() + 7) &^ 7
	}
	return append(out, at)
}

// Answer is what a model gave for the rows of one request.
type Answer struct {
	Columns int       // values of a row
	Labels  []string  // of the columns, where the model gives maps; else nil
	Values  []float64 // row-major
}

// The kinds of frames. A frame is its kind, its body's length as 4 bytes little-endian, and its body.
const (
	FrameLoad   = 'L' // to the host: JSON's length (4 bytes), a Call as JSON, the model
	FrameLoaded = 'l' // from it: the library's version
	FrameRows   = 'R' // to it: the number of rows (8 bytes), a block for each input
	FrameScores = 's' // from it: an Answer
	FrameError  = 'e' // from it: why not. The host goes on, unless nothing was loaded
)

// MaxFrame bounds a frame's body, in bytes: a model of the largest size, with its Call.
const MaxFrame = 600 << 20

const frameHeader = 5

// AppendFrame begins a frame; SealFrame ends it when its body is appended.
func AppendFrame(dst []byte, kind byte) []byte { return append(dst, kind, 0, 0, 0, 0) }

// SealFrame writes the length of the one frame that b holds.
func SealFrame(b []byte) ([]byte, error) {
	size := len(b) - frameHeader
	if size > MaxFrame {
		return nil, fmt.Errorf("frame of %d bytes > limit %d", size, MaxFrame)
	}
	binary.LittleEndian.PutUint32(b[1:], uint32(size))
	return b, nil
}

// ReadFrame reads one frame of at most limit bytes into buffer, or a larger one.
func ReadFrame(r io.Reader, buffer []byte, limit int) (kind byte, body []byte, err error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(binary.LittleEndian.Uint32(head[1:]))
	if size > limit {
		return 0, nil, fmt.Errorf("frame of %d bytes > limit %d", size, limit)
	}
	if cap(buffer) < size {
		buffer = make([]byte, size)
	}
	body = buffer[:size]
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, fmt.Errorf("frame of %d bytes: %w", size, noEOF(err))
	}
	return head[0], body, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// BeginRows is the frame of a request without its blocks: RowsHeader bytes.
func BeginRows(dst []byte, rows int) []byte {
	return binary.LittleEndian.AppendUint64(AppendFrame(dst, FrameRows), uint64(rows))
}

// RowsHeader is where the blocks of a request begin in its frame.
const RowsHeader = frameHeader + 8

// ParseRows is a request's body read back. The blocks are a part of body.
func ParseRows(body []byte) (rows int, blocks []byte, err error) {
	if len(body) < 8 {
		return 0, nil, errTruncated
	}
	n := binary.LittleEndian.Uint64(body)
	if n < 1 || n > MaxFrame {
		return 0, nil, fmt.Errorf("%d rows", n)
	}
	return int(n), body[8:], nil
}

// LoadFrame is the frame that loads a model.
func LoadFrame(c Call, model []byte) ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	b := AppendFrame(make([]byte, 0, frameHeader+4+len(raw)+len(model)), FrameLoad)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(raw)))
	return SealFrame(append(append(b, raw...), model...))
}

// ParseLoad is LoadFrame's body read back. The model is a part of body.
func ParseLoad(body []byte) (c Call, model []byte, err error) {
	if len(body) < 4 || int(binary.LittleEndian.Uint32(body)) > len(body)-4 {
		return c, nil, errTruncated
	}
	raw, model := body[4:4+binary.LittleEndian.Uint32(body)], body[4+binary.LittleEndian.Uint32(body):]
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, nil, err
	}
	return c, model, nil
}

// AppendAnswer writes an answer as a frame's body.
func AppendAnswer(dst []byte, a Answer) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(a.Columns))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(a.Labels)))
	for _, label := range a.Labels {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(label)))
		dst = append(dst, label...)
	}
	for _, v := range a.Values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// ParseAnswer reads an answer of the given rows. It trusts nothing: the host may be what a hostile model made of it.
func ParseAnswer(body []byte, rows, maxColumns int) (a Answer, err error) {
	next := func() (int, error) {
		if len(body) < 4 {
			return 0, errTruncated
		}
		n := binary.LittleEndian.Uint32(body)
		body = body[4:]
		return int(n), nil
	}
	if a.Columns, err = next(); err != nil {
		return a, err
	}
	labels, err := next()
	if err != nil {
		return a, err
	}
	if a.Columns < 1 || a.Columns > maxColumns || (labels != 0 && labels != a.Columns) {
		return a, fmt.Errorf("an answer of %d columns and %d labels, want 1 to %d", a.Columns, labels, maxColumns)
	}
	for range labels {
		size, err := next()
		if err != nil || size > len(body) || size > maxName {
			return a, errTruncated
		}
		a.Labels, body = append(a.Labels, string(body[:size])), body[size:]
	}
	if len(body) != 8*rows*a.Columns {
		return a, fmt.Errorf("an answer of %d bytes for %d rows of %d columns", len(body), rows, a.Columns)
	}
	a.Values = make([]float64, rows*a.Columns)
	for i := range a.Values {
		a.Values[i] = math.Float64frombits(binary.LittleEndian.Uint64(body[8*i:]))
	}
	return a, nil
}
