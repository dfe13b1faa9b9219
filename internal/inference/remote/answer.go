package remote

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/leanloop/leanloop/internal/inference"
)

// cutHeader parts an answer's JSON from the tensors behind it, by the header that says where.
func cutHeader(length string, raw []byte) (answer, error) {
	if length == "" {
		return answer{header: raw}, nil
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(raw) {
		return answer{}, fmt.Errorf("header %s: observed %.40q, want 0 to the answer's %d bytes", headerLength, length, len(raw))
	}
	return answer{header: raw[:n], tail: raw[n:]}, nil
}

// answered is one output of an answer.
type answered struct {
	Name       string          `json:"name"`
	Datatype   string          `json:"datatype"`
	Shape      []int64         `json:"shape"`
	Data       json.RawMessage `json:"data"`
	Parameters struct {
		Size *int64 `json:"binary_data_size"`
	} `json:"parameters"`
}

// decode reads the scores of so many rows out of an answer: rows x width numbers, and the width.
func (p *plan) decode(a answer, rows int) ([]float64, int, error) {
	var got struct {
		Outputs []answered `json:"outputs"`
	}
	if err := json.Unmarshal(a.header, &got); err != nil {
		return nil, 0, fmt.Errorf("not the protocol's JSON: %w", err)
	}
	tail := a.tail
	for _, o := range got.Outputs {
		var own []byte
		if size := o.Parameters.Size; size != nil {
			if *size < 0 || *size > int64(len(tail)) {
				return nil, 0, fmt.Errorf("output %.80q: binary_data_size %d, and %d bytes are left behind the JSON", o.Name, *size, len(tail))
			}
			own, tail = tail[:*size], tail[*size:]
		}
		if o.Name != p.output {
			continue
		}
		width, err := p.widthOf(o.Shape, rows)
		if err != nil {
			return nil, 0, fmt.Errorf("output %.80q: %w", o.Name, err)
		}
		var scores []float64
		if o.Parameters.Size != nil {
			scores, err = numbersOf(own, o.Datatype, rows*width)
		} else {
			scores, err = flatten(o.Data, rows*width)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("output %.80q: %w", o.Name, err)
		}
		return scores, width, nil
	}
	return nil, 0, fmt.Errorf("no output %q", p.output)
}

// widthOf is how many numbers a row has by a shape: [rows] or [rows, width].
func (p *plan) widthOf(shape []int64, rows int) (int, error) {
	width := int64(1)
	if len(shape) == 2 {
		width = shape[1]
	}
	if len(shape) < 1 || len(shape) > 2 || shape[0] != int64(rows) || width < 1 || !slices.Contains(p.widths, int(width)) {
		return 0, fmt.Errorf("shape: observed %.12v, want %d rows of %v numbers", shape[:min(len(shape), 8)], rows, p.widths)
	}
	return int(width), nil
}

// numbersOf reads n little-endian numbers.
func numbersOf(raw []byte, datatype string, n int) ([]float64, error) {
	size := map[string]int{"FP64": 8, "FP32": 4, "FP16": 2}[datatype]
	if size == 0 {
		return nil, fmt.Errorf("datatype: observed %.40q, want FP64, FP32 or FP16", datatype)
	}
	if len(raw) != n*size {
		return nil, fmt.Errorf("observed %d bytes, want %d numbers of %s", len(raw), n, datatype)
	}
	out := make([]float64, n)
	for i := range out {
		switch element := raw[i*size:]; size {
		case 8:
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(element))
		case 4:
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(element)))
		default:
			out[i] = inference.HalfFloat(binary.LittleEndian.Uint16(element))
		}
	}
	return out, nil
}

// flatten reads n numbers of a list, nested or not.
func flatten(data json.RawMessage, n int) ([]float64, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	out := make([]float64, 0, n)
	for depth := 0; ; {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && depth == 0 && len(out) == n:
			return out, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("data: observed %d numbers, want %d", len(out), n)
		case err != nil:
			return nil, fmt.Errorf("data: %w", err)
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '}' {
				return nil, errors.New("data: observed an object, want a list of numbers")
			}
			if depth++; v == ']' {
				depth -= 2
			}
		case json.Number:
			number, err := v.Float64()
			if err != nil || depth == 0 {
				return nil, fmt.Errorf("data: observed %.40s, want a list of numbers", v)
			}
			if len(out) == n {
				return nil, fmt.Errorf("data: observed more than %d numbers", n)
			}
			out = append(out, number)
		case nil:
			return nil, errors.New("data: observed null, want numbers")
		default:
			return nil, fmt.Errorf("data: observed %.40q, want numbers", fmt.Sprint(token))
		}
	}
}
