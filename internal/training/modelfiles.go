package training

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// PredictCommand is the program that predicts by what a trainer leaves, where Go doesn't.
type PredictCommand struct {
	Argv    []string
	Code    string // digest of the code package that CodeDir holds; "": none
	Timeout time.Duration
	Secrets []string   // names of what Env holds
	Setup   *SetupFile // what made EnvDir; nil: nothing
}

// mostTried bounds the rows that a program is tried on where there are no validation rows.
const mostTried = 10_000

// collectFiles takes all files that a trainer left for the version's, and tries predict.command on the validation rows. Nothing
// of the files is read but to be digested.
func collectFiles(ctx context.Context, s CommandSpec, f folders, in Input, schema Schema, tail []string) (*Output, error) {
	files, err := digestFiles(ctx, f.model)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case len(files) == 0:
		return nil, &NoModelError{Want: "files that predict.command reads", Found: listing(f.model), Tail: tail}
	}
	signature, err := signatureOf(inference.FormatCommand, f.model, in, schema)
	if err != nil {
		return nil, &ModelError{err}
	}
	c := &CommandFile{
		Version: 1, Command: s.Predict.Argv, Code: s.Predict.Code, Timeout: s.Predict.Timeout.Seconds(), CPUs: s.CPUs, Memory: s.Memory,
		Secrets: s.Predict.Secrets, Setup: s.Predict.Setup, Seed: in.Seed, Files: files,
	}
	raw, err := c.Marshal()
	if err != nil {
		return nil, &ModelError{err}
	}
	out := &Output{Model: raw, Signature: signature, Command: c, Folder: f.model, Metrics: map[string]float64{}}
	before, err := glance(f.model)
	if err != nil {
		return nil, err
	}
	if err := tryCommand(ctx, s, f, in, out); err != nil {
		return nil, err
	}
	after, err := glance(f.model)
	if err != nil || before != after {
		return nil, &ModelError{errors.Join(errors.New("predict.command changed the files of SM_MODEL_DIR, which are the version's"), err)}
	}
	return out, nil
}

// digestFiles digests everything below a folder, by path. What isn't a regular file is a *ModelError: a link could lead
// anywhere.
func digestFiles(ctx context.Context, dir string) (map[string]ModelFile, error) {
	files, total := map[string]ModelFile{}, int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if total += info.Size(); !d.Type().IsRegular() {
			return &ModelError{fmt.Errorf("%.80q in SM_MODEL_DIR is a %s, want regular files", name, kindOf(d.Type()))}
		}
		switch err := checkModelPath(name); {
		case err != nil:
			return &ModelError{err}
		case len(files) == MaxModelFiles:
			return &ModelError{fmt.Errorf("SM_MODEL_DIR holds more than %d files", MaxModelFiles)}
		case total > MaxModelBytes:
			return &ModelError{fmt.Errorf("SM_MODEL_DIR holds %d bytes or more > limit %d", total, int64(MaxModelBytes))}
		}
		files[name], err = digestModelFile(path)
		return err
	})
	return files, err
}

func kindOf(t fs.FileMode) string {
	switch {
	case t&fs.ModeSymlink != 0:
		return "link"
	case t&fs.ModeNamedPipe != 0:
		return "pipe"
	case t&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// digestModelFile streams a file through SHA-256, and makes it read-only for what reads it next.
func digestModelFile(path string) (ModelFile, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return ModelFile{}, &ModelError{fmt.Errorf("%s in SM_MODEL_DIR can't be read: %w", filepath.Base(path), err)}
	}
	if err != nil {
		return ModelFile{}, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, MaxModelBytes+1))
	if err != nil {
		return ModelFile{}, err
	}
	return ModelFile{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, f.Chmod(0o400)
}

// glance is what files look like from outside: it differs where somebody wrote to one of them.
func glance(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(h, path, info.Size(), info.ModTime().UnixNano(), d.Type())
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// signatureOf reads the program's signature.json, or describes the columns of the CSV files, for a format that Go can't read.
func signatureOf(format, dir string, in Input, schema Schema) (inference.Signature, error) {
	derived := inference.Signature{
		Version: inference.SignatureVersion, Format: format, Task: in.Task, Classes: schema.Classes, Output: in.Target, Inputs: schema.Features,
	}
	if in.Task == spec.Binary {
		derived.Threshold = 0.5
	}
	s, err := writtenSignature(dir, in)
	if errors.Is(err, os.ErrNotExist) {
		return derived, derived.Validate()
	}
	if err != nil {
		return s, err
	}
	if s.Format != format {
		return s, fmt.Errorf("signature.json: format: observed %s, want %s", s.Format, format)
	}
	return s, nil
}

// tryCommand predicts the validation rows, or the first training rows where there are none, and fills the metrics of the
// former.
func tryCommand(ctx context.Context, s CommandSpec, f folders, in Input, out *Output) error {
	rows := in.Validation
	if !in.validates() {
		first := make([]int, min(mostTried, in.Train.Rows))
		for i := range first {
			first[i] = i
		}
		rows = in.Train.Select(first)
	}
	p, err := Predict(ctx, Prediction{
		Program: Program{
			Supervisor: s.Supervisor, Lease: s.Lease, Grace: s.Grace, Scratch: s.Scratch, Argv: s.Predict.Argv, Dir: s.CodeDir, Env: s.Env,
			Home: filepath.Join(f.work, "predict"), Timeout: s.Predict.Timeout, Memory: s.Memory, EnvDir: s.EnvDir, LogTo: cmp.Or[io.Writer](s.LogTo, io.Discard),
		},
		CPUs: s.CPUs, Model: f.model, Signature: out.Signature, Seed: in.Seed,
	}, rows)
	if is[*inference.MissingFeature](err) || is[*inference.FeatureType](err) {
		return &ModelError{err} // its signature doesn't fit the data
	}
	if err != nil {
		return err
	}
	if !in.validates() {
		return nil
	}
	y, err := out.Signature.Targets(rows)
	if err != nil {
		return &ModelError{err}
	}
	weights, err := in.weightsOf(rows)
	if err != nil {
		return err
	}
	_, out.Metrics = validationMetrics(in.Task, out.Signature.Outputs(), y, p, weights)
	return nil
}
