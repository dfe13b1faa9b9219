package training

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// RunCommand trains by the model owner's program under the trainer contract (docs/trainer-contract.md) and returns
// the model that it left. report may be nil; it is called from one goroutine at a time, and never after RunCommand
// returned. No process that the program started is left either way (Linux; elsewhere none of its group).
//
// Errors: *ParamError and *DataError for what can't be run; *ScriptError when the program can't be started or fails;
// *TimeoutError; *LimitError where it wrote too much; *StoppedError when ctx ended it; *NoModelError and *ModelError for what it left, and those of Predict where
// predict.command can't use it. Any other is of this machine.
func RunCommand(ctx context.Context, s CommandSpec, in Input, report func(Progress)) (*Output, error) {
	argv, err := arguments(s)
	if err != nil {
		return nil, err
	}
	if s.WorkDir == "" {
		return nil, &ParamError{"working folder", s.WorkDir, "a folder of its own for the run"}
	}
	l, err := readLabels(in)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(in, l.classes)
	if err != nil {
		return nil, err
	}
	f := layOutFolders(s.WorkDir)
	env, err := environment(s, f, os.Getenv("PATH"), in.validates())
	if err != nil {
		return nil, err
	}
	if err := f.make(); err != nil {
		return nil, err
	}
	if err := f.write(in, schema); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, &StoppedError{Argv: argv, Orderly: true, Err: err}
	}
	dir := s.CodeDir
	if dir == "" {
		dir = s.WorkDir
	}
	log := newProgramLog(s.LogTo, s.Env, report)
	if err := outcome(ctx, s, argv, env, dir, log); err != nil {
		return nil, err
	}
	var out *Output
	switch {
	case s.Predict != nil:
		out, err = collectFiles(ctx, s, f, in, schema, log.lines())
	case isRemote(f.model):
		out, err = collectRemote(ctx, s.Loader, f.model, in, schema)
	default:
		out, err = collect(ctx, s.Loader, f.model, in, schema, log.lines())
	}
	if err != nil {
		return nil, err
	}
	out.Rounds = log.steps()
	return out, nil
}

// outcome runs the program and says what its end was; nil for exit code 0.
func outcome(ctx context.Context, s CommandSpec, argv, env []string, dir string, log *programLog) error {
	mark := checkpointVariable + "=" + layOutFolders(s.WorkDir).checkpoints
	end, err := runProcess(ctx, s, argv, env, dir, mark, printed{
		out: func(r io.Reader) { log.read(r, true) },
		err: func(r io.Reader) { log.read(r, false) },
	})
	failure, unstarted := errors.AsType[*startFailure](err)
	switch {
	case end.full != nil:
		return fmt.Errorf("trainer %q: %w", s.Argv[0], withTail(end.full, log.lines()))
	case unstarted:
		return &ScriptError{Argv: argv, Code: -1, Start: failure}
	case end.stopped != nil:
		return &StoppedError{Argv: argv, Orderly: err == nil && end.orderly(), Err: end.stopped}
	case err != nil:
		return fmt.Errorf("trainer %q: %w", s.Argv[0], err)
	case end.timedOut:
		return &TimeoutError{Argv: argv, Limit: s.Timeout, Orderly: end.orderly(), Tail: log.lines()}
	case end.report.Lost:
		return fmt.Errorf("trainer %q: ended by its supervisor, to which this worker was silent for longer than its lease", s.Argv[0])
	}
	return scriptError(argv, end.report, log.lines())
}
