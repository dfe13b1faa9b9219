package activities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/setup"
)

// Programs is what a worker runs a version's predict.command with.
type Programs struct {
	// Secrets resolves a name that the version's spec declared; values never leave the worker.
	Secrets func(name string) (string, bool)
	// Supervisor is the program, with arguments, that looks after a model owner's command: training.CommandSpec.
	Supervisor []string
	// Grace is what a command has between SIGTERM and SIGKILL; 0: 10 s.
	Grace time.Duration
}

// fetcher streams a version's file, one of its trainer's, to w and refuses other bytes than it must have.
type fetcher func(ctx context.Context, name string, want training.ModelFile, w io.Writer) error

// model is a version that its own program predicts: by the command, the code and the files that it was registered with.
func (p Programs) model(lake *Lake, files map[string][]byte, fetch fetcher) (*inference.Model, error) {
	s, err := inference.ParseSignature(files[inference.SignatureFile])
	if err != nil {
		return nil, err
	}
	c, err := training.ParseCommandFile(files[inference.CommandFile])
	if err != nil {
		return nil, err
	}
	return inference.NewFileModel(s, func(ctx context.Context, t *dataset.Table) ([]float64, error) {
		scores, err := p.predict(ctx, lake, s, c, fetch, t)
		if err != nil {
			return nil, predictionError(ctx, err)
		}
		return scores, nil
	})
}

// predict lays the version's files and code out in a folder of their own and runs the program there.
func (p Programs) predict(ctx context.Context, lake *Lake, s inference.Signature, c training.CommandFile, fetch fetcher, t *dataset.Table) ([]float64, error) {
	secrets, err := secretsOf(p.Secrets, c.Secrets)
	if err != nil {
		return nil, err
	}
	dir, remove, err := lake.scratch("predict")
	if err != nil {
		return nil, err
	}
	defer remove()
	code, err := lake.code(ctx, c.Code, dir)
	if err != nil {
		return nil, err
	}
	env, err := lake.environment(ctx, c.Setup, setup.Plan{Code: code, Secrets: secrets, Supervisor: p.Supervisor, Grace: p.Grace})
	if err != nil {
		return nil, err
	}
	defer env.Close()
	model := filepath.Join(dir, "model")
	for name, want := range c.Files {
		if err := fetchFile(ctx, filepath.Join(model, filepath.FromSlash(name)), func(w io.Writer) error { return fetch(ctx, name, want, w) }); err != nil {
			return nil, err
		}
	}
	run := training.Prediction{
		Program: training.Program{
			Supervisor: p.Supervisor, Grace: p.Grace, Scratch: dir, Argv: c.Command, Dir: code, Env: secrets, Home: filepath.Join(dir, "home"),
			Timeout: c.Limit(), Memory: c.Memory,
		},
		CPUs: c.CPUs, Model: model, Signature: s, Seed: c.Seed,
	}
	if env != nil {
		run.EnvDir = env.Dir
		if run.Locks, err = env.Locks(); err != nil {
			return nil, err
		}
	}
	return training.Predict(ctx, run, t)
}

// fetchFile writes a new file that nobody writes to afterwards.
func fetchFile(ctx context.Context, path string, fill func(io.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return err
	}
	err = fill(f) // as it is: it may be typed
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// fromAttempt fetches what a training attempt committed.
func fromAttempt(lake *Lake, prefix string) fetcher {
	return func(ctx context.Context, name string, want training.ModelFile, w io.Writer) error {
		return copyVerified(ctx, lake, prefix+training.ModelFolder+name, FileDigest(want), w)
	}
}

// fromArtifact fetches what a version was registered with.
func fromArtifact(lake *Lake, model, artifact string) fetcher {
	return func(ctx context.Context, name string, want training.ModelFile, w io.Writer) error {
		return ledgerError(lost(registry.CopyArtifactFile(ctx, lake.Store, model, artifact, training.ModelFolder+name, registry.File(want), w)))
	}
}

// copyVerified streams an object and refuses bytes that aren't the ones that were written.
func copyVerified(ctx context.Context, lake *Lake, key string, want FileDigest, w io.Writer) error {
	body, _, err := lake.Store.Get(ctx, key)
	if err != nil {
		return lost(err)
	}
	defer func() { _ = body.Close() }()
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), io.LimitReader(body, want.Size+1))
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != want.Size || got != want.SHA256 {
		return permanent(ErrorCorrupt, fmt.Errorf("%s: digest %.12s of %d bytes, want %.12s of %d", key, got, n, want.SHA256, want.Size))
	}
	return nil
}

// secretsOf are the values of the names that a spec declares.
func secretsOf(lookup func(string) (string, bool), names []string) (map[string]string, error) {
	values := map[string]string{}
	for _, name := range names {
		value, ok := "", false
		if lookup != nil {
			value, ok = lookup(name)
		}
		if !ok {
			return nil, &training.InputError{What: "train.secrets", Observed: name + " isn't set on this worker", Limit: "set in the worker's environment, and none of its own settings"}
		}
		values[name] = value
	}
	return values, nil
}

// predictionError types what a prediction ended with: what the program or the rows are to blame for is permanent, this
// machine and the store aren't.
func predictionError(ctx context.Context, err error) error {
	switch cause := training.Classify(err); {
	case ctx.Err() != nil:
		return ctx.Err()
	case isPermanent(err):
		return err
	case isType[*inference.MissingFeature](err) || isType[*inference.FeatureType](err) || cause == training.CauseInput:
		return permanent(ErrorData, err)
	case cause == training.CauseScript || cause == training.CauseTimeout:
		return permanent(ErrorScript, err)
	}
	return &inference.PassingError{Err: err}
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
