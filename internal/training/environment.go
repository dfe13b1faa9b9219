package training

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// folders are where a program finds its input and leaves its output, all below one working folder. Their layout is
// that of /opt/ml in a SageMaker training container.
type folders struct {
	work, train, validation, config, model, output, checkpoints, temporary string
}

// checkpointVariable names the folder of a run's checkpoints. No other run has the same, so it also tells a run's
// processes from all others.
const checkpointVariable = "LEANLOOP_CHECKPOINT_DIR"

// CheckpointFolder is where a run in that working folder finds the checkpoints of earlier attempts, and writes its own.
func CheckpointFolder(work string) string { return layOutFolders(work).checkpoints }

func layOutFolders(work string) folders {
	return folders{
		work:        work,
		train:       filepath.Join(work, "input", "data", "train"),
		validation:  filepath.Join(work, "input", "data", "validation"),
		config:      filepath.Join(work, "input", "config"),
		model:       filepath.Join(work, "model"),
		output:      filepath.Join(work, "output", "data"),
		checkpoints: filepath.Join(work, "checkpoints"),
		temporary:   filepath.Join(work, "tmp"),
	}
}

func (f folders) make() error {
	for _, dir := range []string{f.work, f.train, f.validation, f.config, f.model, f.output, f.checkpoints, f.temporary} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("trainer folder: %w", err)
		}
	}
	return nil
}

// Schema is what the file that LEANLOOP_SCHEMA names holds: what the columns of the CSV files mean.
type Schema struct {
	Version  int                 `json:"version"` // 1
	Task     spec.Task           `json:"task"`
	Target   string              `json:"target"`
	Weight   string              `json:"weight,omitempty"`  // column of how much a row counts; "": there is none
	Classes  []string            `json:"classes,omitempty"` // in the order that a model's classes must have
	Features []inference.Feature `json:"features"`          // categories in the order of the codes that a derived signature takes
	Seed     uint64              `json:"seed"`
}

// schemaOf describes the columns that a program is given: features that aren't text.
func schemaOf(in Input, classes []string) (Schema, error) {
	s := Schema{Version: 1, Task: in.Task, Target: in.Target, Weight: in.Weight, Classes: classes, Seed: in.Seed}
	for _, name := range in.Features {
		c, ok := in.Train.Column(name)
		if !ok {
			return Schema{}, &DataError{NoColumn, fmt.Sprintf("feature %q is none of the table's columns", name), ""}
		}
		if c.Kind == dataset.Text {
			continue
		}
		f, err := inference.InputOf(c)
		if err != nil {
			return Schema{}, err
		}
		s.Features = append(s.Features, f)
	}
	if len(s.Features) == 0 {
		return Schema{}, &DataError{NoFeatures, some(in.Features), "at least one that isn't text"}
	}
	return s, nil
}

// write puts the rows and their description where the program finds them: the features, in order, then the target, then
// the weight where there is one.
func (f folders) write(in Input, s Schema) error {
	var names []string
	for _, feature := range s.Features {
		names = append(names, feature.Name)
	}
	names = append(names, in.Target)
	if in.Weight != "" {
		names = append(names, in.Weight)
	}
	if err := writeTable(filepath.Join(f.train, "train.csv"), in.Train, names); err != nil {
		return err
	}
	if in.validates() {
		if err := writeTable(filepath.Join(f.validation, "validation.csv"), in.Validation, names); err != nil {
			return err
		}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("trainer schema: %w", err)
	}
	if err := os.WriteFile(f.schemaFile(), data, 0o600); err != nil {
		return fmt.Errorf("trainer schema: %w", err)
	}
	return nil
}

func (f folders) schemaFile() string { return filepath.Join(f.config, "schema.json") }

func writeTable(path string, t *dataset.Table, names []string) (err error) {
	part, err := t.Project(names)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("trainer input: %w", err)
	}
	defer func() {
		if closing := file.Close(); err == nil && closing != nil {
			err = fmt.Errorf("trainer input: %w", closing)
		}
	}()
	if err := dataset.WriteCSV(file, part); err != nil {
		return fmt.Errorf("trainer input %s: %w", filepath.Base(path), err)
	}
	return nil
}

// nameOf reports whether a name is made of letters, digits, underscores and the given others; none of the others may
// start it.
func nameOf(name, others string) bool {
	for i, r := range name {
		plain := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !plain && (i == 0 || !strings.ContainsRune(others, r)) {
			return false
		}
	}
	return name != ""
}

// environment is everything that the program sees: the contract's variables and the declared secrets, and of the
// worker's own only PATH. A secret can't replace a variable of the contract.
func environment(s CommandSpec, f folders, path string, validates bool) ([]string, error) {
	hps, err := json.Marshal(nonNil(s.Params))
	if err != nil {
		return nil, &ParamError{"params", s.Params, "values that JSON can hold"}
	}
	channels, cpus := `["train"]`, s.CPUs
	if cpus == 0 {
		cpus = runtime.NumCPU()
	}
	vars := map[string]string{
		"PATH": path, "HOME": f.work, "LANG": "C.UTF-8", "TMPDIR": f.temporary,
		"SM_CHANNEL_TRAIN": f.train, "SM_MODEL_DIR": f.model,
		"SM_OUTPUT_DATA_DIR": f.output, "SM_OUTPUT_DIR": filepath.Dir(f.output),
		"SM_INPUT_DIR": filepath.Dir(f.config), "SM_INPUT_CONFIG_DIR": f.config,
		"SM_HPS": string(hps), "SM_NUM_GPUS": strconv.Itoa(len(s.GPUs)), "SM_NUM_CPUS": strconv.Itoa(cpus),
		"SM_CURRENT_HOST": "algo-1", "SM_HOSTS": `["algo-1"]`,
		checkpointVariable: f.checkpoints, "LEANLOOP_SCHEMA": f.schemaFile(),
	}
	addSetup(vars, s.EnvDir)
	if validates {
		vars["SM_CHANNEL_VALIDATION"] = f.validation
		vars["SM_CHANNEL_TEST"] = f.validation // many scripts of SageMaker's call it so; what judges a version isn't here
		channels = `["train","validation"]`
	}
	vars["SM_CHANNELS"] = channels
	if s.CPUs > 0 {
		for _, name := range threadVariables() {
			vars[name] = strconv.Itoa(s.CPUs)
		}
	}
	vars["CUDA_VISIBLE_DEVICES"] = strings.Join(s.GPUs, ",") // a GPU of the machine belongs to whoever asked for it
	for name, value := range s.Env {
		if _, taken := vars[name]; taken || strings.HasPrefix(name, "SM_") || strings.HasPrefix(name, "LEANLOOP_") || !nameOf(name, "") || name[0] <= '9' {
			return nil, &ParamError{"secrets", name, "a name of letters, digits and underscores that the trainer contract doesn't use"}
		}
		vars[name] = value
	}
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		if strings.ContainsRune(value, 0) {
			return nil, &ParamError{"environment", name, "a value without NUL bytes"}
		}
		env = append(env, name+"="+value)
	}
	sort.Strings(env)
	return env, nil
}

// addSetup makes what train.setup put into a folder findable: its programs by PATH, and the libraries that pip --target
// python, or npm, puts there. "" is no folder.
func addSetup(vars map[string]string, dir string) {
	if dir == "" {
		return
	}
	vars["LEANLOOP_ENV_DIR"] = dir
	vars["PATH"] = strings.Join([]string{filepath.Join(dir, "bin"), filepath.Join(dir, "node_modules", ".bin"), vars["PATH"]}, string(os.PathListSeparator))
	vars["PYTHONPATH"], vars["NODE_PATH"] = filepath.Join(dir, "python"), filepath.Join(dir, "node_modules")
}

// threadVariables are read by the numeric libraries that would otherwise start a thread for each CPU of the machine:
// OpenMP (XGBoost, LightGBM, scikit-learn, PyTorch), OpenBLAS (NumPy) and MKL.
func threadVariables() []string {
	return []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
}

func nonNil(params map[string]any) map[string]any {
	if params == nil {
		return map[string]any{}
	}
	return params
}

// arguments are argv with each hyperparameter as --key value, sorted by key. Text stays as it is, anything else is
// written as JSON.
func arguments(s CommandSpec) ([]string, error) {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return nil, &ParamError{"command", s.Argv, "a program and its arguments"}
	}
	argv := append([]string(nil), s.Argv...)
	keys := make([]string, 0, len(s.Params))
	for key := range s.Params {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		if !nameOf(key, ".-") {
			return nil, &ParamError{"params", key, "names of letters, digits, dots, dashes and underscores"}
		}
		value, ok := s.Params[key].(string)
		if !ok {
			data, err := json.Marshal(s.Params[key])
			if err != nil {
				return nil, &ParamError{"params." + key, s.Params[key], "a value that JSON can hold"}
			}
			value = string(data)
		}
		argv = append(argv, "--"+key, value)
	}
	for _, arg := range argv {
		if strings.ContainsRune(arg, 0) {
			return nil, &ParamError{"command", arg, "arguments without NUL bytes"}
		}
	}
	return argv, nil
}
