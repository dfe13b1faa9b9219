package serving

import (
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// The Open Inference Protocol v2 (REST), as KServe's specification has it: one tensor per feature, named like it, of
// shape [n] or [n,1]. All rows of a request go to one arm, since the answer names one version.

// The outputs of infer.
const (
	outputPrediction = "prediction"    // BYTES: the class; FP64: the value of a regression
	outputScore      = "score"         // FP64: the positive class's, or the most probable class's, probability
	outputScores     = "scores"        // FP64 [n, classes], multiclass only
	outputID         = "prediction_id" // BYTES
)

// tensor is one input of an infer request; its data is read once its shape and type are known.
type tensor struct {
	name, datatype string
	shape          []int
	data           scanner // at the data's first byte; nil data: none given
	binarySize     int     // bytes behind the JSON; -1: the data is in it
	binary         []byte
}

// inferRequest is what an infer request holds besides its rows.
type inferRequest struct {
	id      []byte         // as JSON; nil: none
	outputs []wantedOutput // nil: all
	binary  bool           // outputs that don't say otherwise are binary
}

// wantedOutput is one output as it was asked for.
type wantedOutput struct {
	name   string
	binary bool
}

// decodeInfer reads an infer request into rows.
func (w *work) decodeInfer(r *route, maxRows int) (inferRequest, *problem) {
	var req inferRequest
	var inputs []tensor
	given := map[string]bool{}
	s := scanner{data: w.body}
	err := s.object(func(key []byte) error {
		if given[string(key)] {
			return badRequest("bad_request", "%q is given twice", clip(string(key)))
		}
		given[string(key)] = true
		switch string(key) {
		case "id":
			s.peek()
			start := s.pos
			_, err := s.text()
			req.id = s.data[start:s.pos]
			return err
		case "inputs":
			return s.array(func() error {
				t, err := s.tensor()
				inputs = append(inputs, t)
				return err
			})
		case "outputs":
			return s.array(func() error {
				o, err := s.wantedOutput(r)
				req.outputs = append(req.outputs, o)
				return err
			})
		case "parameters":
			return s.object(func(key []byte) error {
				if string(key) != "binary_data_output" {
					return s.skip(0)
				}
				v, err := s.scalar()
				req.binary = v.kind == trueValue
				return err
			})
		}
		return s.skip(0)
	})
	if err == nil {
		err = s.end()
	}
	if err == nil {
		err = w.cutTensors(inputs)
	}
	if err == nil {
		err = w.fillTensors(r, inputs, maxRows)
	}
	if err != nil {
		return req, asProblem(err)
	}
	if len(w.unknown) > 0 {
		return req, unknownFeatures(r, w.unknown)
	}
	return req, nil
}

// cutTensors gives each tensor its bytes behind the JSON.
func (w *work) cutTensors(inputs []tensor) error {
	for i := range inputs {
		t := &inputs[i]
		if t.binarySize < 0 {
			continue
		}
		if t.data.data != nil {
			return badRequest("bad_tensor", "input %q: data twice: in the JSON and behind it", clip(t.name))
		}
		if t.binarySize > len(w.binary) {
			return badRequest("bad_tensor", "input %q: binary_data_size is %d, and %d bytes are left behind the JSON", clip(t.name), t.binarySize, len(w.binary))
		}
		t.binary, w.binary = w.binary[:t.binarySize], w.binary[t.binarySize:]
	}
	if len(w.binary) > 0 {
		return badRequest("bad_tensor", "inputs: %d bytes behind the JSON belong to no tensor", len(w.binary))
	}
	return nil
}

func (s *scanner) tensor() (tensor, error) {
	t := tensor{binarySize: -1}
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "name", "datatype":
			v, err := s.text()
			if string(key) == "name" {
				t.name = string(v)
			} else {
				t.datatype = string(v)
			}
			return err
		case "shape":
			t.shape = t.shape[:0]
			return s.array(func() error {
				raw, err := s.number()
				if err != nil {
					return err
				}
				n, err := strconv.Atoi(string(raw))
				if err != nil || n < 0 || len(t.shape) >= 8 {
					return badRequest("bad_tensor", "input %q: shape has %q, want up to 8 sizes that are not negative", clip(t.name), raw)
				}
				t.shape = append(t.shape, n)
				return nil
			})
		case "data":
			s.peek()
			t.data = scanner{data: s.data, pos: s.pos}
		case "parameters":
			return s.object(func(key []byte) error {
				if string(key) != "binary_data_size" {
					return s.skip(0)
				}
				raw, err := s.number()
				if err != nil {
					return err
				}
				if t.binarySize, err = strconv.Atoi(string(raw)); err != nil || t.binarySize < 0 {
					return badRequest("bad_tensor", "input %q: binary_data_size: observed %q, want a number of bytes", clip(t.name), clip(string(raw)))
				}
				return nil
			})
		}
		return s.skip(0)
	})
	return t, err
}

func (s *scanner) wantedOutput(r *route) (wantedOutput, error) {
	var o wantedOutput
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "name":
			name, err := s.text()
			if err != nil {
				return err
			}
			valid := r.outputs()
			i := slices.Index(valid, string(name))
			if i < 0 {
				return badRequest("bad_request", "output %q: want one of %s", clip(string(name)), strings.Join(valid, ", "))
			}
			o.name = valid[i]
			return nil
		case "parameters":
			return s.object(func(key []byte) error {
				if string(key) != "binary_data" {
					return s.skip(0)
				}
				v, err := s.scalar()
				o.binary = v.kind == trueValue
				return err
			})
		}
		return s.skip(0)
	})
	if err == nil && o.name == "" {
		err = badRequest("bad_request", "outputs: an output without a name")
	}
	return o, err
}

// outputs are the names that infer answers with.
func (r *route) outputs() []string {
	out := []string{outputPrediction, outputScore}
	if r.champion.model.Signature.Task == spec.Multiclass {
		out = append(out, outputScores)
	}
	return append(out, outputID)
}

// fillTensors lays the tensors' data out as rows.
func (w *work) fillTensors(r *route, inputs []tensor, maxRows int) error {
	if len(inputs) == 0 {
		return badRequest("bad_request", "inputs: no tensors")
	}
	rows, err := w.shapeOf(r, inputs, maxRows)
	switch {
	case err != nil:
		return err
	case len(w.unknown) > 0:
		return nil // the caller tells
	case rows > (len(w.body)+w.binarySize)/len(inputs):
		return badRequest("bad_tensor", "inputs: fewer values than the shape's %d rows", rows)
	}
	for range rows {
		w.addRow(len(r.order))
	}
	for i := range inputs {
		t := &inputs[i]
		place, known := r.names[t.name]
		if !known {
			continue // ignored
		}
		if w.values[place].kind != absentValue {
			return badRequest("bad_request", "input %q is given twice", clip(t.name))
		}
		fill := w.fillTensor
		if t.binarySize >= 0 {
			fill = w.readBinary
		}
		if err := fill(t, place, len(r.order)); err != nil {
			return err
		}
	}
	return nil
}

// shapeOf gives the number of rows that all tensors agree on, and holds the request to what some arm can read before
// any row is made: as in decodePredict, what it takes is in proportion to its size.
func (w *work) shapeOf(r *route, inputs []tensor, maxRows int) (rows int, err error) {
	rows = -1
	known := 0
	given := map[string]bool{}
	for i := range inputs {
		t := &inputs[i]
		n, err := t.rows()
		if err != nil {
			return 0, err
		}
		if rows >= 0 && n != rows {
			return 0, badRequest("bad_tensor", "input %q: %d rows, input %q has %d", clip(t.name), n, clip(inputs[0].name), rows)
		}
		rows = n
		given[t.name] = true
		if _, ok := r.names[t.name]; ok {
			known++
		} else if !r.ignored[t.name] {
			w.addUnknown([]byte(t.name))
		}
	}
	switch {
	case rows > maxRows:
		return 0, tooLarge("inputs: %d rows > limit %d", rows, maxRows)
	case known >= r.least || len(w.unknown) > 0:
		return rows, nil
	}
	for _, in := range r.champion.model.Signature.Inputs {
		if !given[in.Name] {
			return 0, rowProblem(&inference.MissingFeature{Feature: in.Name}, 0, rows)
		}
	}
	return rows, nil
}

func (t *tensor) rows() (int, error) {
	if t.name == "" {
		return 0, badRequest("bad_tensor", "inputs: a tensor without a name")
	}
	if t.data.data == nil && t.binarySize < 0 {
		return 0, badRequest("bad_tensor", "input %q: no data", clip(t.name))
	}
	if !knownDatatype(t.datatype) {
		return 0, badRequest("bad_tensor", "input %q: datatype %q, want BOOL, INT8 to INT64, UINT8 to UINT64, FP16, FP32, FP64 or BYTES",
			clip(t.name), clip(t.datatype))
	}
	if flat := len(t.shape) == 1 || len(t.shape) == 2 && t.shape[1] == 1; !flat || t.shape[0] < 1 {
		return 0, badRequest("bad_tensor", "input %q: shape %v, want [n] or [n,1] with n of 1 or more", clip(t.name), t.shape)
	}
	return t.shape[0], nil
}

// fillTensor reads flat or nested data into one place of every row.
func (w *work) fillTensor(t *tensor, place, places int) error {
	n := 0
	s := &t.data
	var element func() error
	element = func() error {
		if s.peek() == '[' {
			if n > w.rows { // as deep as nesting goes, each level holds a row
				return badRequest("bad_tensor", "input %q: more values than its shape %v", clip(t.name), t.shape)
			}
			return s.array(element)
		}
		v, err := s.scalar()
		if err != nil {
			return err
		}
		if n >= w.rows {
			return badRequest("bad_tensor", "input %q: more values than its shape %v", clip(t.name), t.shape)
		}
		if !fitsDatatype(v, t.datatype) {
			return badRequest("bad_tensor", "input %q: row %d is not of datatype %s", clip(t.name), n+1, t.datatype)
		}
		w.values[n*places+place] = v
		n++
		return nil
	}
	if s.peek() != '[' {
		return badRequest("bad_tensor", "input %q: data must be a list", clip(t.name))
	}
	if err := s.array(element); err != nil {
		return err
	}
	if n != w.rows {
		return badRequest("bad_tensor", "input %q: %d values, its shape %v wants %d", clip(t.name), n, t.shape, w.rows)
	}
	return nil
}

func knownDatatype(d string) bool {
	switch d {
	case "BOOL", "BYTES", "FP16", "FP32", "FP64":
		return true
	}
	return integerDatatype(d)
}

func integerDatatype(d string) bool {
	switch strings.TrimPrefix(d, "U") {
	case "INT8", "INT16", "INT32", "INT64":
		return true
	}
	return false
}

// fitsDatatype holds a value to its tensor's type. Null is taken by every type: it is how a missing value is sent.
func fitsDatatype(v value, datatype string) bool {
	switch {
	case v.kind == nullValue:
		return true
	case datatype == "BYTES":
		return v.kind == textValue
	case datatype == "BOOL":
		return v.kind == trueValue || v.kind == falseValue
	case integerDatatype(datatype):
		return v.kind == numberValue && !strings.ContainsAny(string(v.raw), ".eE")
	}
	return v.kind == numberValue
}
