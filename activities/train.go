package activities

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/internal/training/slots"
)

// Names of the files that an attempt writes and an artifact holds.
const (
	fileModel       = inference.ModelFile // of the formats that it is for: inference.ModelFileOf
	fileSignature   = inference.SignatureFile
	fileTrained     = "trained.keys" // keys of the rows it was trained on, validation included
	fileProfile     = "profile.json" // what drift compares with: a reference
	fileMetrics     = "metrics.json"
	fileCalibration = "calibration.json" // what makes probabilities of scores
	fileCard        = "card.md"
)

// TrainInput is one attempt. Token names the only folder it may write to.
type TrainInput struct {
	Model     string    `json:"model"`
	Spec      string    `json:"spec"`
	Lifecycle string    `json:"lifecycle"`
	Number    int       `json:"number"`
	Snapshot  string    `json:"snapshot"`
	AsOf      time.Time `json:"as_of"`
	Attempt   int       `json:"attempt"`
	Token     string    `json:"token"`

	// Continues is the number of the run whose checkpoints are gone on from, until this run has some; 0: none.
	Continues int `json:"continues,omitempty"`

	// Trial is the number of a search's trial; 0: none. Params are what the search chose, beside the spec's own.
	Trial  int            `json:"trial,omitempty"`
	Params map[string]any `json:"params,omitempty"`
}

// TrainOutput is the attempt's commit: what isn't named here doesn't exist.
type TrainOutput struct {
	Prefix      string                `json:"prefix"`
	Files       map[string]FileDigest `json:"files"`
	Metrics     map[string]float64    `json:"metrics,omitempty"` // on validation rows
	Rounds      int                   `json:"rounds,omitempty"`
	TrainRows   int                   `json:"train_rows"`
	NewestEvent time.Time             `json:"newest_event"` // of the rows it was trained on, validation included
	Seconds     float64               `json:"seconds"`
	Cost        float64               `json:"cost,omitempty"`
	GPU         *gpu.Use              `json:"gpu,omitempty"`   // nil: none was used, or measured
	Notes       []string              `json:"notes,omitempty"` // for people

	// Trial and Params are those of the search that chose the model; 0 and none where there was none.
	Trial  int            `json:"trial,omitempty"`
	Params map[string]any `json:"params,omitempty"`

	Imported *registry.Imported `json:"imported,omitempty"` // it was trained elsewhere
	Cached   string             `json:"cached,omitempty"`   // the run that trained it; "": this one
}

// TrainProgress is the heartbeat of a training attempt.
type TrainProgress struct {
	Step    int                `json:"step"`
	Total   int                `json:"total,omitempty"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// Continued is where an earlier attempt had come to, and Checkpoint what this one has stored.
	Continued  *CheckpointRef `json:"continued,omitempty"`
	Checkpoint *CheckpointRef `json:"checkpoint,omitempty"`
	Note       string         `json:"note,omitempty"` // for people
}

// CheckpointRef names a stored checkpoint.
type CheckpointRef struct {
	Token    string `json:"token"` // of the attempt that stored it
	Sequence int    `json:"sequence"`
	Step     int    `json:"step"`
}

// Trainer runs one training attempt at a time for each slot of its worker.
type Trainer struct {
	Lake *Lake
	// Secrets resolves a name that the spec declares; values never leave the worker.
	Secrets func(name string) (string, bool)
	// Supervisor is the program, with arguments, that looks after a model owner's command: training.CommandSpec.
	Supervisor []string
	// Grace is what a command has between SIGTERM and SIGKILL; 0: 10 s.
	Grace time.Duration
	// Courses are what is known of searches' trials on this worker; the zero value is ready.
	Courses TrialCourses
	// CheckpointEvery is the time between two looks at a command's checkpoints; 0: 1 s.
	CheckpointEvery time.Duration
	// LogEvery is how long a line of a command's log waits until it is stored; 0: 2 s, and up to 30 s in long attempts.
	LogEvery time.Duration
	// Slots gives an attempt what its worker has reserved for a task of that queue; nil where nothing is free. Without it
	// attempts are as many as come, and none has a GPU.
	Slots func(queue string) *slots.Lease
	// GPUs measures those that an attempt uses; the zero value measures none.
	GPUs GPUMeter
}

// Train reads the snapshot, gives the trainer training and validation rows, never test rows, and commits what it made
// by naming it in the result. Errors are typed by the budget that an attempt is counted on.
func (t *Trainer) Train(ctx context.Context, in TrainInput) (TrainOutput, error) {
	lease, err := t.claim(ctx)
	if err != nil {
		return TrainOutput{}, err
	}
	defer lease.Release()
	h := keepBeating(ctx)
	defer h.stop()
	out, err := t.train(ctx, in, lease, h)
	if err != nil {
		return TrainOutput{}, trainingError(ctx, err)
	}
	return out, nil
}

func (t *Trainer) train(ctx context.Context, in TrainInput, lease *slots.Lease, h *heart) (out TrainOutput, err error) {
	started := t.Lake.Now()
	err = t.attempt(ctx, in, lease, h, func(a *trainAttempt, rows *snapshotRows) error {
		made, err := t.run(ctx, a)
		if err != nil {
			return err
		}
		if made.Signature, err = made.Signature.WithPolicy(a.spec.Serving); err != nil {
			return permanent(ErrorTrainInput, err)
		}
		out = TrainOutput{
			GPU: a.usage.Use(), Notes: a.notes(),
			Prefix: a.prefix + "output/", Metrics: finite(made.Metrics), Rounds: made.Rounds, TrainRows: a.rows.Train.Rows,
			NewestEvent: newestEvent(a.spec, rows), Files: map[string]FileDigest{}, Trial: in.Trial, Params: in.Params,
		}
		if err := t.commit(ctx, rows, a.rows, made, &out); err != nil {
			return err
		}
		out.Seconds = t.Lake.Now().Sub(started).Seconds()
		out.Cost = out.Seconds / 3600 * a.spec.HourlyCost()
		return nil
	})
	return out, err
}

// attempt gives do what an attempt works with, books what it takes, and cleans up behind it.
func (t *Trainer) attempt(ctx context.Context, in TrainInput, lease *slots.Lease, h *heart, do func(*trainAttempt, *snapshotRows) error) (err error) {
	h.note(TrainProgress{})
	m, err := t.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return err
	}
	m = withParams(m, in.Params)
	limit, err := t.limit(ctx, m, in)
	if err != nil {
		return err
	}
	prefix := attemptsPrefix(in.Model, in.Number) + in.Token + "/"
	stop := startMeter(ctx, t.Lake, m, in, prefix)
	defer func() { stop(err) }()
	rows, err := t.Lake.rowsOf(ctx, m, in.Snapshot, in.Spec, in.AsOf, func(any) {})
	if err != nil {
		return err
	}
	dir, remove, err := t.Lake.scratch("train")
	if err != nil {
		return err
	}
	defer remove()
	input, err := trainingInput(m, rows)
	if err != nil {
		return permanent(ErrorTrainInput, err)
	}
	return do(&trainAttempt{TrainInput: in, spec: m, rows: input, dir: dir, prefix: prefix, limit: limit, heart: h, lease: lease}, rows)
}

// limit is how long an attempt may take. What the run has spent so far is read only where there is a budget.
func (t *Trainer) limit(ctx context.Context, m *spec.Model, in TrainInput) (time.Duration, error) {
	if m.Budget.PerRun.Amount <= 0 || m.HourlyCost() <= 0 {
		return trainLimit(m), nil
	}
	before, err := spent(ctx, t.Lake.Store, in.Model, in.Number)
	if err != nil {
		return 0, err
	}
	atOnce := 1
	if s := m.Train.Search; s != nil && trialOf(in.Token) > 0 {
		atOnce = s.Parallel // what is left is for all of them
	}
	return attemptLimit(m, before, atOnce)
}

// withParams is a spec with parameters that a search chose.
func withParams(m *spec.Model, chosen map[string]any) *spec.Model {
	if len(chosen) == 0 {
		return m
	}
	copied := *m
	copied.Train.Params = maps.Clone(m.Train.Params)
	if copied.Train.Params == nil {
		copied.Train.Params = map[string]any{}
	}
	maps.Copy(copied.Train.Params, chosen)
	return &copied
}

// trainingInput is the rows that a trainer may see: features, target and weight of the training and validation parts.
func trainingInput(m *spec.Model, rows *snapshotRows) (training.Input, error) {
	columns := append(slices.Clone(rows.Features), m.Data.Target)
	if m.Data.Weight != "" {
		columns = append(columns, m.Data.Weight)
	}
	visible, err := rows.Prepared.Table.Project(columns)
	if err != nil {
		return training.Input{}, err
	}
	return training.Input{
		Train: visible.Select(rows.Parts.Train), Validation: visible.Select(rows.Parts.Validation), Features: rows.Features,
		Target: m.Data.Target, Positive: m.Data.Positive, Weight: m.Data.Weight, Task: m.Task, Params: m.Train.Params, Seed: m.Split.Seed,
		Threads: m.Train.Resources.CPUs,
	}, nil
}

// code unpacks, below dir, the folder that lay beside model.yaml when a spec was applied; "": there is none.
func (l *Lake) code(ctx context.Context, digest, dir string) (string, error) {
	if digest == "" {
		return "", nil
	}
	body, _, err := l.Store.Get(ctx, training.CodeKey(digest))
	if err != nil {
		return "", lost(err)
	}
	defer func() { _ = body.Close() }()
	into := filepath.Join(dir, "code")
	if err := training.Unpack(body, digest, into); err != nil {
		return "", permanent(ErrorCorrupt, err)
	}
	return into, nil
}

// commit uploads what the attempt made, below its own token.
func (t *Trainer) commit(ctx context.Context, rows *snapshotRows, in training.Input, made *training.Output, out *TrainOutput) error {
	if err := commitModel(ctx, t.Lake.Store, made, out.Prefix, out.Files); err != nil {
		return err
	}
	return commitRows(ctx, t.Lake.Store, dataset.TrainedKeys(rows.Prepared, rows.Parts), in, out)
}

// commitModel uploads what a training made.
func commitModel(ctx context.Context, store objectstore.Putter, made *training.Output, prefix string, files map[string]FileDigest) error {
	signature, err := made.Signature.Marshal()
	if err != nil {
		return err
	}
	err = commitFiles(ctx, store, prefix, files, map[string][]byte{inference.ModelFileOf(made.Signature.Format): made.Model, fileSignature: signature})
	if err != nil || made.Command == nil {
		return err
	}
	for name := range made.Command.Files {
		if err := upload(ctx, store, prefix+training.ModelFolder+name, filepath.Join(made.Folder, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	return nil
}

// commitRows uploads what is kept of the rows that a model was trained on.
func commitRows(ctx context.Context, store objectstore.Putter, trained dataset.KeySet, in training.Input, out *TrainOutput) error {
	keys, err := trained.MarshalBinary()
	if err != nil {
		return err
	}
	profile, err := trainingProfile(in)
	if err != nil {
		return permanent(ErrorTrainInput, err)
	}
	return commitFiles(ctx, store, out.Prefix, out.Files, map[string][]byte{fileTrained: keys, fileProfile: profile})
}

func commitFiles(ctx context.Context, store objectstore.Putter, prefix string, files map[string]FileDigest, content map[string][]byte) error {
	for name, raw := range content {
		if err := create(ctx, store, prefix+name, raw); err != nil {
			return err
		}
		files[name] = digestOf(raw)
	}
	return nil
}

func newestEvent(m *spec.Model, rows *snapshotRows) time.Time {
	c, ok := rows.Prepared.Table.Column(m.Data.Time)
	if !ok {
		return time.Time{}
	}
	newest := dataset.NullTime
	for _, part := range [][]int{rows.Parts.Train, rows.Parts.Validation} {
		for _, r := range part {
			newest = max(newest, c.Times[r])
		}
	}
	if newest == dataset.NullTime {
		return time.Time{}
	}
	return time.Unix(0, newest).UTC()
}
