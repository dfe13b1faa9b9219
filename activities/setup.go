package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/setup"
)

// environment gives what a train.setup makes of the code, and says in the log what it did; nil where s is.
func (l *Lake) environment(ctx context.Context, s *training.SetupFile, p setup.Plan) (*setup.Environment, error) {
	if s == nil {
		return nil, nil
	}
	if l.Environments == nil {
		return nil, errors.New("train.setup: this worker has no folder for environments")
	}
	log := p.Log
	if log == nil {
		log = io.Discard
	}
	p.Command, p.Files, p.Timeout = s.Command, s.Files, s.Limit()
	env, err := l.Environments.Acquire(ctx, p)
	if err != nil {
		_, _ = fmt.Fprintln(log, "leanloop: train.setup failed")
		return nil, err
	}
	took := env.Took.Round(10 * time.Millisecond)
	if env.Cached {
		_, _ = fmt.Fprintf(log, "leanloop: train.setup: its environment was there, made in %s\n", took)
	} else {
		_, _ = fmt.Fprintf(log, "leanloop: train.setup: made an environment of %d bytes in %s\n", env.Bytes, took)
	}
	return env, nil
}

// prepare makes what an attempt's program needs. A worker that stops ends it, as it ends the program.
func (t *Trainer) prepare(ctx context.Context, a *trainAttempt, code string, secrets map[string]string, log io.Writer) (*setup.Environment, error) {
	s := setupFile(a.spec)
	if s == nil {
		return nil, nil
	}
	a.heart.note(TrainProgress{Note: "train.setup makes its environment"})
	stopping, stop := untilWorkerStops(ctx)
	defer stop()
	env, err := t.Lake.environment(stopping, s, setup.Plan{Code: code, Secrets: secrets, Supervisor: t.Supervisor, Grace: t.Grace, Log: log})
	if err != nil && stopped(activity.GetWorkerStopChannel(ctx)) {
		return nil, permanent(ErrorPreempted, fmt.Errorf("the worker was stopped: %w", err))
	}
	return env, err
}

// setupFile is a spec's train.setup as a version remembers it; nil: there is none.
func setupFile(m *spec.Model) *training.SetupFile {
	s := m.Train.Setup
	if len(s.Command) == 0 {
		return nil
	}
	return &training.SetupFile{Command: s.Command, Files: s.Files, Timeout: s.Timeout.D().Seconds()}
}

// untilWorkerStops is a context that ends with the worker too. stop ends it and waits for what watches.
func untilWorkerStops(ctx context.Context) (_ context.Context, stop func()) {
	stopping, cancel := context.WithCancel(ctx)
	watching := make(chan struct{})
	worker := activity.GetWorkerStopChannel(ctx)
	go func() {
		defer close(watching)
		select {
		case <-worker:
			cancel()
		case <-stopping.Done():
		}
	}()
	return stopping, func() {
		cancel()
		<-watching
	}
}
