package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// binaryExtension is how a server says that it takes and gives tensors as bytes behind the JSON.
const binaryExtension = "binary_tensor_data"

// plan is how rows become a request, and an answer scores.
type plan struct {
	inputs []Tensor // one of all features, or one for each, in the signature's order
	matrix bool     // one tensor [rows, features]
	output string
	widths []int // that a row of the output may have
	binary bool  // tensors may stand behind the JSON
}

// described is what a server says of a model.
type described struct {
	Inputs  []Tensor `json:"inputs"`
	Outputs []Tensor `json:"outputs"`
}

// look asks whether the model is ready, and what it takes and gives.
func (r *Runtime) look(ctx context.Context, f File) (described, bool, error) {
	var d described
	if _, err := r.ask(ctx, http.MethodGet, f.path()+"/ready", nil, 0, maxMetadata); err != nil {
		return d, false, fmt.Errorf("model isn't ready: %w", err)
	}
	got, err := r.ask(ctx, http.MethodGet, f.path(), nil, 0, maxMetadata)
	if err != nil {
		return d, false, fmt.Errorf("model's metadata: %w", err)
	}
	if err := json.Unmarshal(got.header, &d); err != nil {
		return d, false, &AnswerError{f.path(), fmt.Errorf("metadata: %w", err)}
	}
	var server struct {
		Extensions []string `json:"extensions"`
	}
	base := strings.TrimSuffix(f.URL, "/") + "/v2"
	got, err = r.ask(ctx, http.MethodGet, base, nil, 0, maxMetadata)
	if _, refused := errors.AsType[*ServerError](err); refused || err == nil && json.Unmarshal(got.header, &server) != nil {
		return d, false, nil // it says nothing of itself, which costs nothing but the extension
	}
	return d, slices.Contains(server.Extensions, binaryExtension), err
}

// planOf ties a signature to the tensors of a model.
func planOf(s inference.Signature, f File, d described) (*plan, error) {
	p := &plan{widths: []int{s.Outputs()}}
	if s.Task == spec.Binary {
		p.widths = []int{1, 2} // the positive class's probability, or both
	}
	inputs := d.Inputs
	if len(f.Inputs) > 0 {
		inputs = f.Inputs
	}
	if err := p.takeInputs(s, inputs); err != nil {
		return nil, err
	}
	return p, p.takeOutput(f, d.Outputs)
}

func (p *plan) takeInputs(s inference.Signature, inputs []Tensor) error {
	if len(inputs) == 0 {
		return errors.New("inputs: the server doesn't describe the model's: say them in remote.json as {name, datatype, shape}")
	}
	for _, t := range inputs {
		if !slices.Contains(inputDatatypes(), t.Datatype) {
			return fmt.Errorf("input %.80q: datatype %.40q, want one of %s", t.Name, t.Datatype, strings.Join(inputDatatypes(), ", "))
		}
	}
	if first := inputs[0]; len(inputs) == 1 && len(first.Shape) == 2 && (len(s.Inputs) > 1 || first.Name != s.Inputs[0].Name) {
		if first.Datatype == "BYTES" || first.Datatype == "BOOL" {
			return fmt.Errorf("input %.80q: datatype %s, want numbers where one tensor has all features", first.Name, first.Datatype)
		}
		if n := first.Shape[1]; n >= 0 && n != int64(len(s.Inputs)) {
			return fmt.Errorf("input %.80q: %d columns, the signature has %d inputs", first.Name, n, len(s.Inputs))
		}
		p.matrix, p.inputs = true, inputs
		return nil
	}
	byName := map[string]Tensor{}
	for _, t := range inputs {
		byName[t.Name] = t
	}
	for _, in := range s.Inputs {
		t, ok := byName[in.Name]
		if !ok {
			return fmt.Errorf("inputs: the model has no tensor %q and no single one of shape [-1, %d]; it has %.300q", in.Name, len(s.Inputs), tensorNames(inputs))
		}
		if flat := len(t.Shape) == 1 || len(t.Shape) == 2 && (t.Shape[1] == 1 || t.Shape[1] == -1); !flat {
			return fmt.Errorf("input %.80q: shape %v, want [-1] or [-1, 1]", t.Name, t.Shape)
		}
		if t.Datatype == "BYTES" && in.Kind != inference.KindCategory && in.Kind != inference.KindTimestamp {
			return fmt.Errorf("input %.80q: datatype BYTES, the signature has a %s", t.Name, in.Kind)
		}
		p.inputs = append(p.inputs, t)
		delete(byName, in.Name)
	}
	if len(byName) > 0 {
		return fmt.Errorf("inputs: the model reads %.300q, which the signature hasn't", tensorNames(inputs))
	}
	return nil
}

func (p *plan) takeOutput(f File, outputs []Tensor) error {
	p.output = f.Output
	if f.Output != "" {
		if i := slices.IndexFunc(outputs, func(t Tensor) bool { return t.Name == f.Output }); i < 0 && len(outputs) > 0 {
			return fmt.Errorf("output %q: the model has %.300q", f.Output, tensorNames(outputs))
		}
		return nil
	}
	var fitting []Tensor
	for _, t := range outputs {
		if p.mayBeScores(t) {
			fitting = append(fitting, t)
		}
	}
	if len(fitting) != 1 {
		return fmt.Errorf("outputs: %d of the model's %.300q can be scores of %v numbers a row: name one in remote.json as output",
			len(fitting), tensorNames(outputs), p.widths)
	}
	p.output = fitting[0].Name
	return nil
}

// mayBeScores says whether a tensor has as many numbers in a row as scores may have.
func (p *plan) mayBeScores(t Tensor) bool {
	if !strings.HasPrefix(t.Datatype, "FP") {
		return false
	}
	switch len(t.Shape) {
	case 1:
		return slices.Contains(p.widths, 1)
	case 2:
		return t.Shape[1] < 0 || slices.Contains(p.widths, int(t.Shape[1]))
	}
	return false
}

func tensorNames(tensors []Tensor) []string {
	var names []string
	for _, t := range tensors {
		names = append(names, t.Name)
	}
	return names
}
