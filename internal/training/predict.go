package training

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
)

// Prediction is one run of predict.command: a file of rows in, predictions out (docs/trainer-contract.md). It is kept
// apart as a trainer is.
type Prediction struct {
	// Program says what runs and within which bounds; Dir is the code's folder, Home the run's own, which is made. Env
	// holds the declared secrets; Input and MaxOutput have no part in it.
	Program
	CPUs      int                 // threads that numeric libraries are told to use; 0: nothing is said
	Model     string              // folder of the version's files
	Signature inference.Signature // what it reads and answers
	Seed      uint64
}

// Names below a prediction's own folder.
const (
	rowsName        = "rows.csv"
	predictionsName = "predictions"
	schemaName      = "schema.json"
)

// Predict has the program score a table: Rows x Outputs() scores, row-major, checked to be what the signature says. A
// table without rows needs no program.
//
// Errors: *inference.MissingFeature and *inference.FeatureType for a table that it can't be given; *ParamError for what
// can't be run; *ProgramError; *PredictionsError for what it answered; *StoppedError when ctx ended it. Any other is of
// this machine.
func Predict(ctx context.Context, p Prediction, t *dataset.Table) ([]float64, error) {
	if err := p.Signature.CheckColumns(t); err != nil {
		return nil, err
	}
	if t.Rows == 0 {
		return nil, nil
	}
	if err := p.lay(t); err != nil {
		return nil, err
	}
	var err error
	if p.contract, err = p.variables(); err != nil {
		return nil, err
	}
	p.LogTo = cmp.Or[io.Writer](p.LogTo, io.Discard)
	if _, err := RunProgram(ctx, p.Program); err != nil {
		return nil, fmt.Errorf("predict.command: %w", err)
	}
	scores, err := readPredictions(p.path(predictionsName), p.Signature, t.Rows)
	if err != nil {
		return nil, fmt.Errorf("predict.command %q: %w", strings.Join(p.Argv, " "), err)
	}
	return scores, nil
}

func (p Prediction) path(name string) string { return filepath.Join(p.Home, name) }

// lay puts the rows and their description where the program finds them. What an earlier run answered is removed.
func (p Prediction) lay(t *dataset.Table) error {
	if err := os.MkdirAll(p.Home, 0o700); err != nil {
		return fmt.Errorf("prediction's folder: %w", err)
	}
	if err := os.RemoveAll(p.path(predictionsName)); err != nil {
		return fmt.Errorf("prediction's folder: %w", err)
	}
	s := Schema{
		Version: 1, Task: p.Signature.Task, Target: p.Signature.Output, Classes: p.Signature.Classes, Features: p.Signature.Inputs, Seed: p.Seed,
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("prediction's schema: %w", err)
	}
	if err := os.WriteFile(p.path(schemaName), raw, 0o600); err != nil {
		return fmt.Errorf("prediction's schema: %w", err)
	}
	names := make([]string, len(s.Features))
	for i, f := range s.Features {
		names[i] = f.Name
	}
	return writeTable(p.path(rowsName), t, names)
}

// variables are those of the contract, which no secret can replace.
func (p Prediction) variables() (map[string]string, error) {
	vars := map[string]string{
		"SM_MODEL_DIR": p.Model, "SM_NUM_GPUS": "0", "SM_CURRENT_HOST": "algo-1", "SM_HOSTS": `["algo-1"]`,
		"LEANLOOP_ROWS": p.path(rowsName), "LEANLOOP_PREDICTIONS": p.path(predictionsName), "LEANLOOP_SCHEMA": p.path(schemaName),
		"CUDA_VISIBLE_DEVICES": "", // the GPUs of a machine belong to its trainers
	}
	if p.CPUs > 0 {
		vars["SM_NUM_CPUS"] = strconv.Itoa(p.CPUs)
		for _, name := range threadVariables() {
			vars[name] = strconv.Itoa(p.CPUs)
		}
	}
	for name := range p.Env {
		if _, taken := vars[name]; taken || strings.HasPrefix(name, "SM_") || strings.HasPrefix(name, "LEANLOOP_") {
			return nil, &ParamError{"secrets", name, "a name that the trainer contract doesn't use"}
		}
	}
	return vars, nil
}

// PredictionsError says what is wrong with the predictions that a program wrote.
type PredictionsError struct{ Err error }

func (e *PredictionsError) Error() string { return "LEANLOOP_PREDICTIONS: " + e.Err.Error() }

// Unwrap gives the cause; of a score that a model can't give it is an *inference.ScoreError.
func (e *PredictionsError) Unwrap() error { return e.Err }

// readPredictions reads what the program wrote.
func readPredictions(path string, s inference.Signature, rows int) ([]float64, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &PredictionsError{errors.New("the program ended well and wrote no such file")}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &PredictionsError{errNotRegular}
	}
	if limit := predictionsLimit(s, rows); info.Size() > limit {
		return nil, &PredictionsError{fmt.Errorf("size: observed %d > limit %d bytes for %d rows", info.Size(), limit, rows)}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return ReadPredictions(f, s, rows)
}

// predictionsLimit is the most bytes that rows of predictions can sensibly take: 64 for a number, the names of classes
// again in every row of JSON, escaped.
func predictionsLimit(s inference.Signature, rows int) int64 {
	row := 2 * 128
	for _, name := range s.Classes {
		row += 64 + 6*len(name)
	}
	return 1<<20 + int64(rows)*int64(row)
}
