package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// mostSignatureBytes bounds the signature that a program wrote.
const mostSignatureBytes = 32 << 20

// mostModelBytes bounds the model that a program wrote.
const mostModelBytes = 256 << 20

// collect reads the model that a program left, ties it to its signature or derives one, and tries it on the
// validation rows.
func collect(ctx context.Context, loader *inference.Loader, dir string, in Input, schema Schema, tail []string) (*Output, error) {
	var lim inference.Limits
	if loader != nil {
		lim = loader.Limits
	}
	model, err := readRegular(filepath.Join(dir, inference.ModelFile), mostModelBytes)
	if errors.Is(err, os.ErrNotExist) {
		if out, err := collectONNX(ctx, loader, dir, in, schema); !errors.Is(err, errNoONNX) {
			return out, err
		}
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errNotRegular) {
		want := fmt.Sprintf("%s (XGBoost JSON or %s) or %s", inference.ModelFile, inference.FormatLinear, inference.ONNXFile)
		return nil, &NoModelError{Want: want, Found: listing(dir), Tail: tail}
	}
	if err != nil {
		return nil, &ModelError{err}
	}
	file, err := inference.Inspect(model, lim)
	if err != nil {
		return nil, &ModelError{err}
	}
	signature, err := readSignature(dir, file, in, schema)
	if err != nil {
		return nil, &ModelError{err}
	}
	loaded, err := inference.NewModel(signature, file)
	if err != nil {
		return nil, &ModelError{err}
	}
	out := &Output{Model: model, Signature: signature, Metrics: map[string]float64{}}
	if err := try(ctx, loaded, in, out); err != nil {
		return nil, &ModelError{err}
	}
	return out, nil
}

var errNotRegular = errors.New("not a regular file")

// readRegular reads a file that the program wrote itself: a link could lead anywhere.
func readRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), errNotRegular)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s: size: observed %d > limit %d bytes", filepath.Base(path), info.Size(), limit)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// listing shows what a folder holds, for an error.
func listing(dir string) []string {
	const most = 20
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries[:min(most, len(entries))] {
		name := strings.ToValidUTF8(e.Name(), "\uFFFD")
		if info, err := e.Info(); err == nil {
			switch {
			case e.IsDir():
				name += " (folder)"
			case info.Mode()&os.ModeSymlink != 0:
				name += " (link)"
			default:
				name += fmt.Sprintf(" (%d bytes)", info.Size())
			}
		}
		found = append(found, name)
	}
	if len(entries) > most {
		found = append(found, fmt.Sprintf("and %d more", len(entries)-most))
	}
	return found
}

// readSignature reads the program's signature.json, or derives one where there is none.
func readSignature(dir string, file *inference.File, in Input, schema Schema) (inference.Signature, error) {
	s, err := writtenSignature(dir, in)
	if errors.Is(err, os.ErrNotExist) {
		return deriveSignature(file, in, schema)
	}
	return s, err
}

// writtenSignature reads the signature.json that the program wrote, and holds it to the data: fs.ErrNotExist if there is
// none.
func writtenSignature(dir string, in Input) (inference.Signature, error) {
	raw, err := readRegular(filepath.Join(dir, inference.SignatureFile), mostSignatureBytes)
	if err != nil {
		return inference.Signature{}, err
	}
	s, err := inference.ParseSignature(raw)
	if err != nil {
		return s, err
	}
	return s, holdToData(s, in)
}

// holdToData says what a signature has that the data hasn't.
func holdToData(s inference.Signature, in Input) error {
	if s.Output != in.Target || s.Task != in.Task {
		return fmt.Errorf("signature.json: observed task %s of %q, want %s of %q", s.Task, s.Output, in.Task, in.Target)
	}
	for _, input := range s.Inputs {
		if !slices.Contains(in.Features, input.Name) {
			return fmt.Errorf("signature.json: input %q is none of the features %s", input.Name, some(in.Features))
		}
	}
	return nil
}

// deriveSignature describes a model by its own feature names and the training columns of those names. A model without
// names has the features in the order of the CSV files.
func deriveSignature(file *inference.File, in Input, schema Schema) (inference.Signature, error) {
	const write = "; write a signature.json beside it"
	s := inference.Signature{Version: inference.SignatureVersion, Format: file.Format, Task: in.Task, Classes: schema.Classes, Output: in.Target}
	if in.Task == spec.Binary {
		s.Threshold = 0.5
	}
	known := make(map[string]inference.Feature, len(schema.Features))
	var names []string
	for _, f := range schema.Features {
		known[f.Name] = f
		names = append(names, f.Name)
	}
	if file.Features != nil {
		names = file.Features
	}
	if len(names) != file.Inputs {
		return s, fmt.Errorf("model.json has %d columns and no names, the CSV files have %d features%s", file.Inputs, len(names), write)
	}
	for i, name := range names {
		f, ok := known[name]
		if !ok {
			return s, fmt.Errorf("model.json: feature %q is none of the columns %s%s", name, some(in.Features), write)
		}
		if file.Categories != nil && file.Categories[i] != nil && f.Kind == inference.KindCategory {
			f.Categories = file.Categories[i]
		} else if f.Kind == inference.KindCategory && (file.Types == nil || file.Types[i] != "c") {
			return s, fmt.Errorf("model.json: feature %q is a category in the data and a number in the model, so its codes are unknown%s", name, write)
		} else if f.Kind == inference.KindCategory && !codedAlike(f.Categories) {
			return s, fmt.Errorf("model.json: feature %q has categories that pandas reads as numbers or nulls, so its codes are unknown%s", name, write)
		}
		s.Inputs = append(s.Inputs, f)
	}
	return s, nil
}

// try scores the validation rows, or the training rows where there are none, and fills the metrics of the former.
func try(ctx context.Context, m *inference.Model, in Input, out *Output) error {
	rows := in.Validation
	if !in.validates() {
		rows = in.Train
	}
	p, err := m.PredictTable(ctx, rows)
	if err != nil {
		return err
	}
	for i, v := range p {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("it scores row %d as %v", i/m.Scorer.Outputs()+1, v)
		}
	}
	if !in.validates() {
		return nil
	}
	y, err := m.Signature.Targets(rows) // by the model's own classes: a signature may order them otherwise
	if err != nil {
		return err
	}
	weights, err := in.weightsOf(rows)
	if err != nil {
		return err
	}
	_, out.Metrics = validationMetrics(in.Task, m.Scorer.Outputs(), y, p, weights)
	return nil
}

// codedAlike reports whether pandas, reading the categories from a CSV file, codes them in the order of their text:
// not when all of them are numbers, which it sorts by value, and not when one is a word that it takes for a null.
func codedAlike(categories []string) bool {
	numbers := true
	for _, c := range categories {
		if slices.Contains([]string{"NA", "N/A", "#N/A", "#N/A N/A", "#NA", "n/a", "<NA>", "nan", "NaN", "-nan", "-NaN", "null", "NULL", "None",
			"-1.#IND", "1.#IND", "-1.#QNAN", "1.#QNAN"}, c) { // pandas' default na_values
			return false
		}
		if _, err := strconv.ParseFloat(c, 64); err != nil {
			numbers = false
		}
	}
	return !numbers
}
