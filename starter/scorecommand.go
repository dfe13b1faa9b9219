package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/setup"
)

// superviseName is the subcommand by which the starter runs itself again for a program of a model's owner.
const superviseName = "supervise-program"

// newSupervise is the hidden subcommand; only the starter starts it.
func newSupervise() *cobra.Command {
	return &cobra.Command{
		Use: superviseName, Short: "Look after one program for the starter that started this", Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if code := training.Supervise(); code != 0 {
				return fmt.Errorf("supervisor ended with code %d", code)
			}
			return nil
		},
	}
}

// supervisorCommand is this program as a supervisor.
func supervisorCommand() ([]string, error) {
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe", superviseName}, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("supervisor of programs: %w", err)
	}
	return []string{self, superviseName}, nil
}

// byCommand has a program score the rows, as an evaluation does.
func (o *scoreOptions) byCommand(ctx context.Context, out *scored) ([]float64, error) {
	dir, err := os.MkdirTemp("", "leanloop-score-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p, err := o.program()
	if err != nil {
		return nil, err
	}
	env, err := o.environment(ctx, &p)
	if err != nil {
		return nil, err
	}
	defer env.Close()
	var signature string
	if p.Model, signature, err = o.modelFolder(dir); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(signature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s: no such file: a program is told which columns its model reads, and what it answers, by --signature signature.json", signature)
	}
	if err != nil {
		return nil, usagef("--signature: %w", err)
	}
	if p.Signature, err = inference.ParseSignature(raw); err != nil {
		return nil, err
	}
	table, err := o.rows(ctx, columnRules(p.Signature), out)
	if err != nil {
		return nil, err
	}
	p.Home, p.Scratch, p.LogTo = filepath.Join(dir, "home"), dir, o.errOut
	out.Classes = p.Signature.Classes
	return training.Predict(ctx, p, table)
}

// program is what predicts: by the spec, in its folder, or as the command line says, here.
func (o *scoreOptions) program() (p training.Prediction, err error) {
	if p.Supervisor, err = o.supervisor(); err != nil {
		return p, err
	}
	if o.file == "" {
		p.Argv = append([]string{o.predict}, o.arguments...)
		p.Dir, err = os.Getwd()
		return p, err
	}
	m, err := spec.Load(o.file)
	if err != nil {
		return p, err
	}
	if len(m.Predict.Command) == 0 {
		return p, usagef("%s has no predict.command: its versions are scored without a program, so leave -f out", o.file)
	}
	p.Argv, p.Timeout, p.Seed = m.Predict.Command, m.Predict.Timeout.D(), m.Split.Seed
	p.CPUs, p.Memory, p.Env = m.Train.Resources.CPUs, int64(m.Train.Resources.Memory), map[string]string{}
	for _, name := range m.Train.Secrets {
		if p.Env[name] = o.env(name); p.Env[name] == "" {
			return p, usagef("train.secrets: %s isn't set: the program needs it in your environment", name)
		}
	}
	p.Dir, err = filepath.Abs(filepath.Dir(o.file))
	return p, err
}

// environment is what train.setup of a spec makes, kept in this user's cache; nil: the spec has none.
func (o *scoreOptions) environment(ctx context.Context, p *training.Prediction) (*setup.Environment, error) {
	if o.file == "" {
		return nil, nil
	}
	m, err := spec.Load(o.file)
	if err != nil || len(m.Train.Setup.Command) == 0 {
		return nil, err
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	cache := &setup.Cache{Folder: filepath.Join(folder, "leanloop", "environments")}
	env, err := cache.Acquire(ctx, setup.Plan{
		Command: m.Train.Setup.Command, Files: m.Train.Setup.Files, Code: p.Dir, Timeout: m.Train.Setup.Timeout.D(), Secrets: p.Env, Supervisor: p.Supervisor, Log: o.errOut,
	})
	if err != nil {
		return nil, err
	}
	p.EnvDir = env.Dir
	return env, nil
}

// modelFolder is the folder with the model's files, and where its signature is. A file alone gets a folder of its own.
func (o *scoreOptions) modelFolder(dir string) (model, signature string, err error) {
	info, err := os.Stat(o.artifact)
	if err != nil {
		return "", "", usagef("--artifact: %w", err)
	}
	if model, err = filepath.Abs(o.artifact); err != nil {
		return "", "", err
	}
	beside := model
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(model, inference.CommandFile)); err == nil { // as it lies in the bucket
			model = filepath.Join(model, filepath.FromSlash(training.ModelFolder))
		}
	} else {
		beside = filepath.Dir(model)
		if model, err = alone(model, filepath.Join(dir, "model")); err != nil {
			return "", "", err
		}
	}
	if o.signature != "" {
		return model, o.signature, nil
	}
	return model, filepath.Join(beside, inference.SignatureFile), nil
}

// alone copies a file into a new folder.
func alone(path, folder string) (string, error) {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	from, err := os.Open(path)
	if err != nil {
		return "", usagef("--artifact: %w", err)
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(filepath.Join(folder, filepath.Base(path)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o400)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	return folder, errors.Join(err, to.Close())
}

// columnRules are the columns that a signature reads.
func columnRules(s inference.Signature) []spec.ColumnRule {
	rules := make([]spec.ColumnRule, len(s.Inputs))
	for i, in := range s.Inputs {
		rules[i] = spec.ColumnRule{Name: in.Name, Type: in.Kind, Nullable: true}
	}
	return rules
}

// checkProgram says what of a command line that names a program doesn't fit.
func (o *scoreOptions) checkProgram() error {
	switch {
	case o.predict != "" && o.file != "":
		return usagef("--predict and -f both say what predicts: give one")
	case o.predict == "" && len(o.arguments) > 0:
		return usagef("unexpected argument %q: arguments are those of --predict", o.arguments[0])
	case slices.Contains(o.arguments, ""):
		return usagef("--predict: an empty argument")
	}
	return nil
}
