package activities

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/checkpoint"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/slots"
)

const (
	// checkpointFolder is what checkpoints are stored below, in an attempt's own folder.
	checkpointFolder = "checkpoints/"
	// lastWrites is how long an attempt that has ended may store its last checkpoint, and as long again its log: with the
	// grace before, within the minute that an activity has beyond the trainer's own limit.
	lastWrites = 24 * time.Second
	// hastyWrites is the same where the worker stops, and waits no longer.
	hastyWrites = 6 * time.Second
)

// lastWords is the context in which an attempt that has ended stores what it leaves, whatever ended it.
func lastWords(ctx context.Context) (context.Context, context.CancelFunc) {
	within := lastWrites
	if stopped(activity.GetWorkerStopChannel(ctx)) {
		within = hastyWrites
	}
	return context.WithTimeout(context.WithoutCancel(ctx), within)
}

// trainAttempt is what one attempt works with.
type trainAttempt struct {
	TrainInput
	spec   *spec.Model
	rows   training.Input
	dir    string // private, removed at its end
	prefix string // of what it stores
	limit  time.Duration
	heart  *heart
	lease  *slots.Lease // what it runs on
	usage  gpu.Usage

	mu        sync.Mutex
	progress  training.Progress
	continued *CheckpointRef
	saver     *checkpoint.Saver // nil: a built-in trainer
	judge     *trialJudge       // nil: it is no trial of a search
}

// report takes a step that the trainer told of.
func (a *trainAttempt) report(p training.Progress) {
	if a.saver != nil {
		a.saver.Report(p.Step)
	}
	a.mu.Lock()
	a.progress = p
	a.mu.Unlock()
	a.note()
	if a.judge != nil {
		a.judge.report(p)
	}
}

// note tells by the next heartbeats where the attempt is.
func (a *trainAttempt) note() {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := TrainProgress{Step: a.progress.Step, Total: a.progress.Total, Metrics: finite(a.progress.Metrics), Continued: a.continued}
	if a.saver != nil {
		p.Checkpoint = refOf(a.saver.Newest())
	}
	p.Note = a.usage.Low()
	a.heart.note(p)
}

// others says whether a token is that of another attempt at the same training: of a search's trials, each goes on from
// its own checkpoints.
func (a *trainAttempt) others(token string) bool {
	return token != a.Token && trialOf(token) == trialOf(a.Token)
}

func refOf(m *checkpoint.Manifest) *CheckpointRef {
	if m == nil {
		return nil
	}
	return &CheckpointRef{Token: m.Token, Sequence: m.Sequence, Step: m.Step}
}

// run trains with the built-in trainer or the model owner's command.
func (t *Trainer) run(ctx context.Context, a *trainAttempt) (*training.Output, error) {
	if len(a.spec.Train.Command) == 0 {
		return training.Builtin(ctx, a.spec.Train.Builtin, a.rows, a.report)
	}
	env, err := secretsOf(t.Secrets, a.spec.Train.Secrets)
	if err != nil {
		return nil, err
	}
	if got, want := len(a.lease.Devices), a.spec.Train.Resources.GPUs; got != want {
		return nil, fmt.Errorf("train.resources.gpus: %d, and this worker gives %d to what comes by queue %s", want, got, activity.GetInfo(ctx).TaskQueue)
	}
	code, err := t.Lake.code(ctx, a.spec.Train.Code, a.dir)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(a.dir, logFile))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	live, enough := context.WithCancel(ctx)
	var uploading sync.WaitGroup
	uploading.Go(func() {
		(&liveLog{store: t.Lake.Store, prefix: a.prefix, path: log.Name(), every: t.LogEvery}).run(live)
	})
	out, runErr := t.prepared(ctx, a, training.CommandSpec{
		Supervisor: t.Supervisor, Scratch: a.dir, Argv: a.spec.Train.Command, CodeDir: code, Env: env, WorkDir: filepath.Join(a.dir, "work"),
		Params: a.spec.Train.Params, Timeout: a.limit, Grace: t.Grace, CPUs: a.spec.Train.Resources.CPUs,
		GPUs: gpu.IDs(a.lease.Devices), Locks: a.lease.Locks, Memory: int64(a.spec.Train.Resources.Memory), Disk: int64(a.spec.Train.Resources.Disk), LogTo: log, Loader: t.Lake.Loader,
		Predict: predictCommand(a.spec),
	})
	enough()
	uploading.Wait()
	for _, note := range a.notes() {
		_, _ = fmt.Fprintln(log, "leanloop:", note)
	}
	keep, cancel := lastWords(ctx)
	defer cancel()
	if err := upload(keep, t.Lake.Store, a.prefix+logFile, log.Name()); err != nil && runErr == nil {
		return nil, err
	}
	return out, runErr
}

// prepared runs the program with what train.setup makes for it.
func (t *Trainer) prepared(ctx context.Context, a *trainAttempt, s training.CommandSpec) (*training.Output, error) {
	env, err := t.prepare(ctx, a, s.CodeDir, s.Env, s.LogTo)
	if err != nil {
		return nil, err
	}
	defer env.Close()
	if env != nil {
		locks, err := env.Locks()
		if err != nil {
			return nil, err
		}
		s.EnvDir, s.Locks = env.Dir, append(slices.Clone(s.Locks), locks...)
	}
	return t.command(ctx, a, s)
}

// command runs the program from where an earlier attempt had come to, and keeps its checkpoints. A worker that stops, as
// before its machine is taken away, ends it with its grace, and what it then wrote is kept too.
func (t *Trainer) command(ctx context.Context, a *trainAttempt, s training.CommandSpec) (*training.Output, error) {
	if err := t.resume(ctx, a, s); err != nil {
		return nil, err
	}
	stopping, stop := untilWorkerStops(ctx)
	defer stop()
	var background sync.WaitGroup
	looking, enough := context.WithCancel(ctx)
	background.Go(func() { a.saver.Run(looking) })
	background.Go(func() { t.GPUs.watch(looking, a) })
	out, err := training.RunCommand(stopping, s, a.rows, a.report)
	stop()
	enough()
	background.Wait()
	if err != nil {
		keep, cancel := lastWords(ctx)
		defer cancel()
		if err := a.saver.Last(keep, training.EndedInOrder(err)); err != nil {
			activity.GetLogger(ctx).Warn("last checkpoint not kept", "attempt", a.Token, "error", err)
		}
		a.note()
		if stopped(activity.GetWorkerStopChannel(ctx)) {
			err = permanent(ErrorPreempted, fmt.Errorf("the worker was stopped: %w", err))
		}
	}
	return out, err
}

// resume fills the checkpoint folder with the newest complete checkpoint of the run's other attempts, and says so.
func (t *Trainer) resume(ctx context.Context, a *trainAttempt, s training.CommandSpec) error {
	of := checkpoint.Origin{Run: a.Lifecycle, Snapshot: a.Snapshot, Spec: a.Spec}
	folder := training.CheckpointFolder(s.WorkDir)
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return err
	}
	from, err := checkpoint.Restore(ctx, t.Lake.Store, attemptsPrefix(a.Model, a.Number), checkpointFolder, a.others, of, folder)
	if err != nil {
		return err
	}
	if from.Manifest == nil && a.Continues > 0 {
		of := of
		of.Run = fmt.Sprintf("lifecycle/%s/%d", a.Model, a.Continues)
		if from, err = checkpoint.Restore(ctx, t.Lake.Store, attemptsPrefix(a.Model, a.Continues), checkpointFolder, a.others, of, folder); err != nil {
			return err
		}
	}
	logger := activity.GetLogger(ctx)
	for _, why := range from.Skipped {
		logger.Warn("checkpoint skipped", "attempt", a.Token, "reason", why)
		_, _ = fmt.Fprintln(s.LogTo, "leanloop: skipped a", why)
	}
	a.saver = &checkpoint.Saver{
		Store: t.Lake.Store, Prefix: a.prefix + checkpointFolder, Dir: folder, Staging: filepath.Join(a.dir, "staging"), Origin: of,
		Attempt: a.Attempt, Token: a.Token, Every: cmp.Or(t.CheckpointEvery, time.Second), Now: time.Now, // files' times are the machine's
		Kept: a.note,
		Trouble: func(err error) {
			logger.Warn("checkpoint not kept", "attempt", a.Token, "error", err)
		},
	}
	step := 0
	if m := from.Manifest; m != nil {
		step = m.Step
		a.continued = refOf(m)
		_, _ = fmt.Fprintf(s.LogTo, "leanloop: continued from step %d, a checkpoint of attempt %s\n", m.Step, m.Token)
		a.progress.Step = m.Step
	}
	a.note()
	return a.saver.Start(step)
}

// predictCommand is what predicts by whatever the trainer leaves; nil: Go does, or a server.
func predictCommand(m *spec.Model) *training.PredictCommand {
	if len(m.Predict.Command) == 0 {
		return nil
	}
	return &training.PredictCommand{Argv: m.Predict.Command, Code: m.Train.Code, Timeout: m.Predict.Timeout.D(), Secrets: m.Train.Secrets, Setup: setupFile(m)}
}
