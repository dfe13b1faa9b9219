package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/inference"
)

// headerLength names the length of the JSON in front of binary tensors
// (https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md).
const headerLength = "Inference-Header-Content-Length"

// encode writes rows of x, row-major, as an infer request: the JSON, and how long it is. Numbers stand behind it as bytes
// where the server takes that and none is missing from a tensor that can't say so; a missing value is null in JSON, NaN
// in bytes. A value that its tensor can't hold is an *inference.RowError.
func (p *plan) encode(s inference.Signature, x []float64, rows int) (body []byte, jsonBytes int, err error) {
	out := []byte(`{"inputs":[`)
	var tail []byte
	for i, t := range p.inputs {
		if i > 0 {
			out = append(out, ',')
		}
		c := column{tensor: t, features: s.Inputs[i : i+1], x: x[i:], stride: len(s.Inputs), n: rows}
		shape := strconv.Itoa(rows)
		switch {
		case p.matrix:
			c.features, c.x, c.stride, c.n = s.Inputs, x, 1, rows*len(s.Inputs)
			shape += "," + strconv.Itoa(len(s.Inputs))
		case len(t.Shape) == 2:
			shape += ",1"
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, 0, err
		}
		out = fmt.Appendf(out, `{"name":%s,"datatype":%q,"shape":[%s]`, name, t.Datatype, shape)
		if p.binary && c.fitsBytes() {
			before := len(tail)
			if tail, err = c.bytes(tail); err != nil {
				return nil, 0, err
			}
			out = fmt.Appendf(out, `,"parameters":{"binary_data_size":%d}}`, len(tail)-before)
			continue
		}
		if out, err = c.json(append(out, `,"data":[`...)); err != nil {
			return nil, 0, err
		}
		out = append(out, ']', '}')
	}
	name, err := json.Marshal(p.output)
	if err != nil {
		return nil, 0, err
	}
	out = fmt.Appendf(out, `],"outputs":[{"name":%s`, name)
	if p.binary {
		out = append(out, `,"parameters":{"binary_data":true}`...)
	}
	out = append(out, `}]}`...)
	return append(out, tail...), len(out), nil
}

// column is the values of one tensor: n of x, every stride-th.
type column struct {
	tensor    Tensor
	features  []inference.Feature // those of the values, again and again
	x         []float64
	stride, n int
}

func (c column) at(i int) float64 { return c.x[i*c.stride] }

// fitsBytes says whether all values have a form as bytes: a missing integer has none, and text stays in the JSON.
func (c column) fitsBytes() bool {
	switch c.tensor.Datatype {
	case "FP64", "FP32":
		return true
	}
	return false
}

func (c column) bytes(to []byte) ([]byte, error) {
	for i := range c.n {
		if v := c.at(i); !math.IsNaN(v) && !holds(c.tensor.Datatype, v) {
			return nil, c.refusal(i)
		}
		if c.tensor.Datatype == "FP32" {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(float32(c.at(i))))
		} else {
			to = binary.LittleEndian.AppendUint64(to, math.Float64bits(c.at(i)))
		}
	}
	return to, nil
}

// refusal is what is wrong with a value that the tensor can't hold, and whose.
func (c column) refusal(i int) error {
	f := c.features[i%len(c.features)]
	return &inference.RowError{Row: i / len(c.features), Err: &inference.FeatureType{
		Feature: f.Name, Want: fmt.Sprintf("%s that the model's %s input can hold", f.Kind, c.tensor.Datatype), Got: strconv.FormatFloat(c.at(i), 'g', -1, 64),
	}}
}

// json writes the values with commas between them.
func (c column) json(to []byte) (_ []byte, err error) {
	for i := range c.n {
		if i > 0 {
			to = append(to, ',')
		}
		v := c.at(i)
		if math.IsNaN(v) {
			to = append(to, "null"...)
			continue
		}
		if c.tensor.Datatype == "BYTES" {
			if to, err = c.text(to, v); err != nil {
				return nil, err
			}
			continue
		}
		if !holds(c.tensor.Datatype, v) {
			return nil, c.refusal(i)
		}
		to = c.value(to, v)
	}
	return to, nil
}

func (c column) value(to []byte, v float64) []byte {
	switch c.tensor.Datatype {
	case "FP64":
		return strconv.AppendFloat(to, v, 'g', -1, 64)
	case "FP32":
		return strconv.AppendFloat(to, v, 'g', -1, 32)
	case "BOOL":
		return strconv.AppendBool(to, v != 0)
	}
	return strconv.AppendInt(to, int64(v), 10)
}

// holds says whether a number that isn't missing has a form in a datatype. Servers cut integers to their width without a
// word, and JSON has no infinity.
func holds(datatype string, v float64) bool {
	switch datatype {
	case "FP64":
		return !math.IsInf(v, 0)
	case "FP32":
		return !math.IsInf(float64(float32(v)), 0)
	case "BOOL":
		return v == 0 || v == 1
	}
	most := map[string]float64{
		"INT8": math.MaxInt8, "INT16": math.MaxInt16, "INT32": math.MaxInt32, "UINT8": math.MaxUint8, "UINT16": math.MaxUint16, "UINT32": math.MaxUint32,
		"INT64": 1 << 53, "UINT64": 1 << 53, // beyond it a float64, which a feature is, isn't exact
	}[datatype]
	least := 0.0
	if strings.HasPrefix(datatype, "I") {
		least = -most - 1
	}
	return v == math.Trunc(v) && v >= least && v <= most
}

// text writes a category's name, or an instant in RFC 3339.
func (c column) text(to []byte, v float64) ([]byte, error) {
	var text string
	if c.features[0].Kind == inference.KindTimestamp {
		whole, part := math.Modf(v)
		text = time.Unix(int64(whole), int64(math.Round(part*1e9))).UTC().Format(time.RFC3339Nano)
	} else {
		code := int(v)
		if code < 0 || code >= len(c.features[0].Categories) {
			return nil, fmt.Errorf("input %q: observed code %g of %d categories", c.tensor.Name, v, len(c.features[0].Categories))
		}
		text = c.features[0].Categories[code]
	}
	raw, err := json.Marshal(text)
	return append(to, raw...), err
}
