package inference

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/spec"
)

// ONNXFile is the model file of versions of FormatONNX.
const ONNXFile = "model.onnx"

// loadONNX makes a model of an ONNX file, which the Loader's runtime runs.
func (l *Loader) loadONNX(ctx context.Context, s Signature, data []byte) (*Model, error) {
	file, err := InspectONNX(data, l.limits())
	if err != nil {
		return nil, err
	}
	plan, err := planONNX(s, file, l.limits().withDefaults().MaxOutputs)
	if err != nil {
		return nil, &FormatError{ONNXFile, err}
	}
	if l == nil || l.ONNX == nil {
		return nil, &onnx.Unavailable{What: "a runtime for ONNX", Do: "Score it with a program that has one: worker, gateway, starter score"}
	}
	session, err := l.ONNX.Open(ctx, plan.call, data)
	if refused, ok := errors.AsType[*onnx.ModelError](err); ok {
		return nil, &FormatError{ONNXFile, refused}
	}
	if err != nil {
		return nil, err
	}
	m := newModel(s, &onnxScorer{plan: plan, session: session})
	m.release = sync.OnceValue(session.Close)
	return m, nil
}

// InspectONNX reads what an ONNX file declares, without running it. Errors are *FormatError.
func InspectONNX(data []byte, lim Limits) (*onnx.File, error) {
	if most := lim.withDefaults().MaxBytes; int64(len(data)) > most {
		return nil, &FormatError{ONNXFile, fmt.Errorf("size: observed %d > limit %d bytes", len(data), most)}
	}
	file, err := onnx.Inspect(data)
	if err != nil {
		return nil, &FormatError{ONNXFile, err}
	}
	return file, nil
}

// onnxScorer answers by asking a session.
type onnxScorer struct {
	plan    *onnxPlan
	session onnx.Session
	frames  sync.Pool // *[]byte
}

// Outputs implements Scorer.
func (o *onnxScorer) Outputs() int { return o.plan.signature.Outputs() }

// Score implements Scorer.
func (o *onnxScorer) Score(x []float64, rows int, out []float64) error {
	return o.ScoreContext(context.Background(), x, rows, out)
}

// mostRows bounds the rows of one question, so that a large batch neither blocks a host for long nor fills memory.
const mostRows = 4096

// ScoreContext implements ContextScorer. A value that the model's input can't hold is *RowError.
func (o *onnxScorer) ScoreContext(ctx context.Context, x []float64, rows int, out []float64) error {
	width, outputs := len(o.plan.signature.Inputs), o.Outputs()
	if rows < 0 || len(x) < rows*width || len(out) < rows*outputs {
		return fmt.Errorf("score %d rows: observed %d values and %d places, want %d and %d", rows, len(x), len(out), rows*width, rows*outputs)
	}
	for at := 0; at < rows; {
		n := min(rows-at, o.plan.batch)
		if err := o.scoreBatch(ctx, x[at*width:(at+n)*width], at, n, out[at*outputs:(at+n)*outputs]); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// scoreBatch asks once. first is the batch's first row, for errors.
func (o *onnxScorer) scoreBatch(ctx context.Context, x []float64, first, rows int, out []float64) error {
	buffer, ok := o.frames.Get().(*[]byte)
	if !ok {
		buffer = new([]byte)
	}
	frame, err := o.plan.encode((*buffer)[:0], x, rows)
	if bad, ok := errors.AsType[*RowError](err); ok {
		bad.Row += first
	}
	if err != nil {
		return err
	}
	answer, err := o.session.Score(ctx, rows, frame)
	if err != nil { // and the frame may still be read
		return err
	}
	*buffer = frame
	o.frames.Put(buffer)
	return o.plan.decode(answer, first, rows, out)
}

// encode writes the frame of a question.
func (p *onnxPlan) encode(dst []byte, x []float64, rows int) ([]byte, error) {
	offsets := p.call.Offsets(rows)
	dst = onnx.BeginRows(dst, rows)
	dst = slices.Grow(dst, offsets[len(offsets)-1])
	blocks := dst[len(dst) : len(dst)+offsets[len(offsets)-1]]
	width := len(p.signature.Inputs)
	for i, in := range p.call.Inputs {
		block := blocks[offsets[i]:offsets[i+1]]
		for row := range rows {
			for c, feature := range p.features[i] {
				if err := put(block, row*in.Columns+c, in.Type, x[row*width+feature]); err != nil {
					f := p.signature.Inputs[feature]
					return nil, &RowError{Row: row, Err: &FeatureType{Feature: f.Name, Want: f.Kind + " that the model's " + in.Type.String() + " input can hold", Got: err.Error()}}
				}
			}
		}
	}
	return onnx.SealFrame(dst[:len(dst)+len(blocks)])
}

// put writes a value as the i-th of a block. The error is what was observed.
func put(block []byte, i int, as onnx.Type, v float64) error {
	if as == onnx.String {
		code := uint32(onnx.NoText)
		if v >= 0 {
			code = uint32(v)
		}
		binary.LittleEndian.PutUint32(block[4*i:], code)
		return nil
	}
	if math.IsNaN(v) && as != onnx.Float && as != onnx.Double {
		return errors.New("null")
	}
	switch as {
	case onnx.Float:
		if math.Abs(v) > math.MaxFloat32 {
			return fmt.Errorf("number %g", v)
		}
		binary.LittleEndian.PutUint32(block[4*i:], math.Float32bits(float32(v)))
	case onnx.Double:
		binary.LittleEndian.PutUint64(block[8*i:], math.Float64bits(v))
	case onnx.Int64:
		if v != math.Trunc(v) || v < -1<<63 || v >= 1<<63 {
			return fmt.Errorf("number %g", v)
		}
		binary.LittleEndian.PutUint64(block[8*i:], uint64(int64(v)))
	case onnx.Int32:
		if v != math.Trunc(v) || v < math.MinInt32 || v > math.MaxInt32 {
			return fmt.Errorf("number %g", v)
		}
		binary.LittleEndian.PutUint32(block[4*i:], uint32(int32(v)))
	case onnx.Bool:
		if v != 0 && v != 1 {
			return fmt.Errorf("number %g", v)
		}
		block[i] = byte(v)
	}
	return nil
}

// decode reads scores off an answer.
func (p *onnxPlan) decode(a onnx.Answer, first, rows int, out []float64) error {
	if len(a.Values) != rows*a.Columns {
		return fmt.Errorf("output %q: %d values for %d rows of %d", p.call.Output, len(a.Values), rows, a.Columns)
	}
	labels := a.Labels
	if labels == nil {
		labels = p.labels
	}
	columns, err := columnsOf(p.signature, labels, a.Columns)
	if err != nil {
		return fmt.Errorf("output %q: %w", p.call.Output, err)
	}
	outputs := p.signature.Outputs()
	for row := range rows {
		for k, column := range columns {
			v := a.Values[row*a.Columns+column]
			if p.signature.Task != spec.Regression && (v < -tolerated || v > 1+tolerated) {
				return fmt.Errorf("output %q, row %d: observed %g, want a probability: export the model with its probabilities", p.call.Output, first+row+1, v)
			}
			out[row*outputs+k] = v
		}
	}
	return nil
}

// tolerated is how far outside 0 to 1 rounding may bring a probability.
const tolerated = 1e-5
