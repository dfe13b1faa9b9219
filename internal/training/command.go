package training

import (
	"context"
	"fmt"
	"os"
)

// RunCommand trains by the model owner's program under the trainer contract (docs/trainer-contract.md) and returns
// the model that it left. report may be nil; it is called from one goroutine at a time, and never after RunCommand
// returned. No process of the program's group is left either way.
//
// Errors: *ParamError and *DataError for what can't be run; *ScriptError when the program can't be started or fails;
// *TimeoutError; the context's error when that ended it; *NoModelError and *ModelError for what it left.
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
		return nil, fmt.Errorf("trainer %q: not started: %w", s.Argv[0], err)
	}
	dir := s.CodeDir
	if dir == "" {
		dir = s.WorkDir
	}
	log := newProgramLog(s.LogTo, report)
	end, err := runProcess(ctx, s, argv, env, dir, log)
	switch {
	case err != nil:
		return nil, startError(argv, err)
	case end.stopped != nil:
		return nil, fmt.Errorf("trainer %q: stopped: %w", s.Argv[0], end.stopped)
	case end.timedOut:
		return nil, &TimeoutError{Argv: argv, Limit: s.Timeout, Tail: log.lines()}
	}
	if err := scriptError(argv, end.state, log.lines()); err != nil {
		return nil, err
	}
	out, err := collect(f.model, in, schema, log.lines())
	if err != nil {
		return nil, err
	}
	out.Rounds = log.steps()
	return out, nil
}
