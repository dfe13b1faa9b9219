package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/onnx"
	"github.com/leanloop/leanloop/internal/spec"
)

// errNoONNX says that the program left no ONNX file.
var errNoONNX = errors.New("no " + inference.ONNXFile)

// collectONNX is collect for a model.onnx: errNoONNX where there is none.
func collectONNX(ctx context.Context, loader *inference.Loader, dir string, in Input, schema Schema) (_ *Output, err error) {
	model, err := readRegular(filepath.Join(dir, inference.ONNXFile), mostModelBytes)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errNotRegular) {
		return nil, errNoONNX
	}
	if err != nil {
		return nil, &ModelError{err}
	}
	signature, err := writtenSignature(dir, in)
	if errors.Is(err, os.ErrNotExist) {
		signature, err = deriveONNX(model, in, schema)
	}
	if err != nil {
		return nil, &ModelError{err}
	}
	encoded, err := signature.Marshal()
	if err != nil {
		return nil, &ModelError{err}
	}
	loaded, err := loader.Load(ctx, map[string][]byte{inference.SignatureFile: encoded, inference.ModelFileOf(signature.Format): model})
	if err != nil {
		return nil, ofWorker(ctx, err)
	}
	defer func() { err = errors.Join(err, loaded.Close()) }()
	out := &Output{Model: model, Signature: signature, Metrics: map[string]float64{}}
	if err := try(ctx, loaded, in, out); err != nil {
		return nil, ofWorker(ctx, err)
	}
	return out, nil
}

// ofWorker tells what this worker lacks from what is wrong with the model: another worker may have it.
func ofWorker(ctx context.Context, err error) error {
	if _, lacking := errors.AsType[*onnx.Unavailable](err); lacking || ctx.Err() != nil {
		return err
	}
	return &ModelError{err}
}

// deriveONNX describes a model by its inputs: one a feature, found by name, or one for all of them, in the order of the
// CSV files.
func deriveONNX(model []byte, in Input, schema Schema) (inference.Signature, error) {
	const write = "; write a signature.json beside it"
	s := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatONNX, Task: in.Task, Classes: schema.Classes, Output: in.Target}
	if in.Task == spec.Binary {
		s.Threshold = 0.5
	}
	file, err := inference.InspectONNX(model, inference.Limits{})
	if err != nil {
		return s, err
	}
	known := make(map[string]inference.Feature, len(schema.Features))
	for _, f := range schema.Features {
		known[f.Name] = f
	}
	first := file.Inputs[0]
	if _, named := known[first.Name]; len(file.Inputs) == 1 && (!named || len(known) > 1 && len(first.Shape) == 2 && first.Shape[1] != 1) {
		s.Inputs = schema.Features
		for _, f := range s.Inputs {
			if f.Kind == inference.KindCategory && first.Type != onnx.String {
				return s, fmt.Errorf("%s: feature %q is a category in the data and a number in the model's input %v, so its codes are unknown%s", inference.ONNXFile, f.Name, first, write)
			}
		}
		return s, nil
	}
	for _, input := range file.Inputs {
		f, ok := known[input.Name]
		if !ok {
			return s, fmt.Errorf("%s: input %v is none of the columns %s%s", inference.ONNXFile, input, some(in.Features), write)
		}
		if f.Kind == inference.KindCategory && input.Type != onnx.String {
			return s, fmt.Errorf("%s: feature %q is a category in the data and a number in the model, so its codes are unknown%s", inference.ONNXFile, f.Name, write)
		}
		s.Inputs = append(s.Inputs, f)
	}
	return s, nil
}
