package training

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// The built-in trainers.
const (
	Trees  = "trees"
	Linear = "linear"
)

// Input is what a trainer learns from.
type Input struct {
	Train      *dataset.Table
	Validation *dataset.Table // nil or no rows: nothing is validated, nothing stops early
	Features   []string
	Target     string
	Positive   string // binary: the positive value; "": true, 1 or the larger of two numbers
	Weight     string // column of how much a row counts, training or validating; "": all alike
	Task       spec.Task
	Params     map[string]any
	Seed       uint64
	Threads    int // of the built-in trees where Params don't say; 0: as many as there are CPUs
}

// Output is a trained model.
type Output struct {
	Model     []byte       // the version's model file, which inference.ModelFileOf names by the signature's format
	Command   *CommandFile // what Model is where a program predicts; nil: none does
	Folder    string       // of the files that Command names, below the run's own
	Signature inference.Signature
	Metrics   map[string]float64 // on the validation rows; empty without any
	Rounds    int                // boosting rounds kept, or iterations
	Ignored   []string           // features that can't be learned from: text, or nothing but nulls
}

// Progress is one report of a trainer. Step counts from 1; Total is 0 where it isn't known. A metric may be NaN.
type Progress struct {
	Step, Total int
	Metrics     map[string]float64
}

// CommandSpec is one run of a model owner's program.
type CommandSpec struct {
	// Supervisor is the program, with arguments, that calls Supervise: in general this one, run again.
	Supervisor []string
	// Lease is how long this process may be stopped before the program is ended; 0: 8 s.
	Lease time.Duration
	// Scratch is a folder that is removed if this process dies before the program; "": none.
	Scratch string

	Argv    []string          // run as it is, without a shell
	CodeDir string            // the program's working directory: the folder beside model.yaml; "": WorkDir
	Env     map[string]string // declared secrets, resolved by the caller
	EnvDir  string            // what train.setup made, which the program finds by PATH and LEANLOOP_ENV_DIR; "": nothing
	WorkDir string            // private to this run, and its HOME; made if absent, left to the caller to remove
	Params  map[string]any    // hyperparameters: SM_HPS, and --key value
	Timeout time.Duration     // 0: none
	Grace   time.Duration     // between SIGTERM and SIGKILL; 0: 10 s
	CPUs    int               // threads that numeric libraries are told to use; 0: nothing is said, they use all
	Loader  *inference.Loader // tries the model that the program leaves; nil: of the formats that are scored in Go
	GPUs    []string          // what CUDA_VISIBLE_DEVICES lists; none: no GPU is visible
	// Locks are open files that the supervisor and the program inherit, so that what is locked by them stays so until the
	// last process of the program is gone. They are closed here as soon as the supervisor has them.
	Locks  []*os.File
	Disk   int64     // bytes that Scratch, or else WorkDir, may take; 0: DefaultDisk
	Memory int64     // bytes of private writable memory of each process, on Linux only; 0: unbounded
	LogTo  io.Writer // what the program prints that isn't progress; nil: dropped. It is written from one goroutine at a time

	// Predict, where it isn't nil, is the program that predicts by what this one leaves: any files.
	Predict *PredictCommand

	input string // file that the program reads as its standard input; "": it has none
}

// Builtin trains with the built-in trainer of that name. report may be nil; it is called from the same goroutine.
// It ends with ctx's error soon after ctx ends.
func Builtin(ctx context.Context, name string, in Input, report func(Progress)) (*Output, error) {
	if report == nil {
		report = func(Progress) {}
	}
	switch name {
	case Trees:
		return trainTrees(ctx, in, report)
	case Linear:
		return trainLinear(ctx, in, report)
	}
	return nil, &UnknownName{"built-in trainer", name, []string{Linear, Trees}}
}
