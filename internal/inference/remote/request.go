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
// in bytes.
func (p *plan) encode(s inference.Signature, x []float64, rows int) (body []byte, jsonBytes int, err error) {
	out := []byte(`{"inputs":[`)
	var tail []byte
	for i, t := range p.inputs {
		if i > 0 {
			out = append(out, ',')
		}
		c := column{tensor: t, x: x[i:], stride: len(s.Inputs), n: rows}
		shape := strconv.Itoa(rows)
		switch {
		case p.matrix:
			c.x, c.stride, c.n = x, 1, rows*len(s.Inputs)
			shape += "," + strconv.Itoa(len(s.Inputs))
		case len(t.Shape) == 2:
			shape += ",1"
		}
		if !p.matrix {
			c.feature = &s.Inputs[i]
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, 0, err
		}
		out = fmt.Appendf(out, `{"name":%s,"datatype":%q,"shape":[%s]`, name, t.Datatype, shape)
		if p.binary && c.fitsBytes() {
			before := len(tail)
			tail = c.bytes(tail)
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
	feature   *inference.Feature // nil: several
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

func (c column) bytes(to []byte) []byte {
	for i := range c.n {
		if c.tensor.Datatype == "FP32" {
			to = binary.LittleEndian.AppendUint32(to, math.Float32bits(float32(c.at(i))))
		} else {
			to = binary.LittleEndian.AppendUint64(to, math.Float64bits(c.at(i)))
		}
	}
	return to
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
		if to, err = c.value(to, v); err != nil {
			return nil, err
		}
	}
	return to, nil
}

func (c column) value(to []byte, v float64) ([]byte, error) {
	switch t := c.tensor.Datatype; {
	case t == "FP64":
		return strconv.AppendFloat(to, v, 'g', -1, 64), nil
	case t == "FP32":
		if math.IsInf(float64(float32(v)), 0) {
			return nil, fmt.Errorf("input %q: observed %g, which its datatype FP32 can't hold", c.tensor.Name, v)
		}
		return strconv.AppendFloat(to, v, 'g', -1, 32), nil
	case t == "BOOL":
		return strconv.AppendBool(to, v != 0), nil
	case t == "BYTES":
		return c.text(to, v)
	case v != math.Trunc(v) || math.Abs(v) > 1<<53 || strings.HasPrefix(t, "U") && v < 0:
		return nil, fmt.Errorf("input %q: observed %g, which its datatype %s can't hold", c.tensor.Name, v, t)
	}
	return strconv.AppendInt(to, int64(v), 10), nil
}

// text writes a category's name, or an instant in RFC 3339.
func (c column) text(to []byte, v float64) ([]byte, error) {
	var text string
	if c.feature.Kind == inference.KindTimestamp {
		whole, part := math.Modf(v)
		text = time.Unix(int64(whole), int64(math.Round(part*1e9))).UTC().Format(time.RFC3339Nano)
	} else {
		code := int(v)
		if code < 0 || code >= len(c.feature.Categories) {
			return nil, fmt.Errorf("input %q: observed code %g of %d categories", c.tensor.Name, v, len(c.feature.Categories))
		}
		text = c.feature.Categories[code]
	}
	raw, err := json.Marshal(text)
	return append(to, raw...), err
}
