package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

// cacheVersion is a part of every key of the run cache: another one forgets all of it. It goes up with a change of what a
// key leaves out, or of what a stage makes of the same inputs.
const cacheVersion = 1

// trainIdentity is all that training depends on, but the values of secrets and what a program fetches by itself. Trainings
// of equal identity make models that are worth the same, so the second isn't made.
type trainIdentity struct {
	Version  int            `json:"version"`
	Model    string         `json:"model"`
	Snapshot string         `json:"snapshot"`
	Rows     string         `json:"rows"` // digest of the keys of training and validation rows: labels.delay counts from the run's time
	Parts    [3]int         `json:"parts"`
	Contract *spec.Contract `json:"contract"` // by which files were read: the spec's, or the data set's
	Task     spec.Task      `json:"task"`
	Data     spec.Data      `json:"data"`
	Split    spec.Split     `json:"split"`
	Train    spec.Train     `json:"train"`
	Predict  spec.Predict   `json:"predict"`
	Unknown  string         `json:"unknown"` // the signature's policy on unknown categories
	// Build is the worker's, where its own code trains or searches.
	Build string `json:"build,omitempty"`
}

// trainKey is the digest of a training's identity.
func (l *Lake) trainKey(ctx context.Context, m *spec.Model, snapshot string, rows *snapshotRows) (string, error) {
	contract, err := l.contract(ctx, m)
	if err != nil {
		return "", err
	}
	keys, err := dataset.TrainedKeys(rows.Prepared, rows.Parts).MarshalBinary()
	if err != nil {
		return "", err
	}
	id := trainIdentity{
		Version: cacheVersion, Model: m.Metadata.Name, Snapshot: snapshot, Rows: digestOf(keys).SHA256, Contract: contract,
		Parts: [3]int{len(rows.Parts.Train), len(rows.Parts.Validation), len(rows.Parts.Test)},
		Task:  m.Task, Data: m.Data, Split: m.Split, Train: m.Train, Predict: m.Predict,
	}
	// What says how long, how often and where it may run says nothing of what it makes.
	id.Train.Timeout, id.Train.Retries, id.Train.Priority, id.Train.Resources.Labels, id.Train.Setup.Timeout, id.Predict.Timeout = 0, spec.Retries{}, 0, nil, 0, 0
	for _, feature := range rows.Features {
		id.Unknown += feature + "=" + m.Serving.UnknownPolicy(feature) + ";"
	}
	if len(m.Train.Command) == 0 || m.Train.Search != nil {
		id.Build = l.Build
	}
	return keyOf(id)
}

func keyOf(identity any) (string, error) {
	raw, err := json.Marshal(identity)
	if err != nil {
		return "", err
	}
	return digestOf(raw).SHA256, nil
}

// cachedTraining is what the run cache keeps of a training.
type cachedTraining struct {
	Lifecycle string      `json:"lifecycle"`
	At        time.Time   `json:"at"`
	Train     TrainOutput `json:"train"`
}

// cachedEvaluation is what it keeps of an evaluation.
type cachedEvaluation struct {
	Lifecycle string         `json:"lifecycle"`
	At        time.Time      `json:"at"`
	Evaluate  EvaluateOutput `json:"evaluate"`
}

func trainCacheKey(model, key string) string {
	return "runs/" + model + "/cache/train/" + key + ".json"
}

func evaluateCacheKey(model, key string) string {
	return "runs/" + model + "/cache/evaluate/" + key + ".json"
}

// keepTraining remembers a training that a run goes on with. That it fails costs a later run time, and this one nothing.
func (l *Lake) keepTraining(ctx context.Context, model, key, lifecycle string, t TrainOutput) {
	if key == "" || t.Cached != "" || t.Imported != nil {
		return
	}
	l.remember(ctx, trainCacheKey(model, key), cachedTraining{Lifecycle: lifecycle, At: l.Now().UTC(), Train: t})
}

func (l *Lake) remember(ctx context.Context, key string, v any) {
	raw, err := json.Marshal(v)
	if err == nil {
		_, err = l.Store.Put(ctx, key, bytes.NewReader(raw), int64(len(raw)))
	}
	if err != nil {
		activity.GetLogger(ctx).Warn("not remembered for later runs", "key", key, "error", err)
	}
}

// cachedTraining gives what an earlier run trained under a key, every file of it verified; nil where there is none, or not
// all of it any more.
func (l *Lake) cachedTraining(ctx context.Context, model, key string) (*TrainOutput, error) {
	var c cachedTraining
	err := getJSON(ctx, l.Store, trainCacheKey(model, key), &c)
	if err == nil {
		err = l.verifyTraining(ctx, c.Train)
	}
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return nil, nil
	case isPermanent(err):
		activity.GetLogger(ctx).Warn("a training of an earlier run can't be used again", "lifecycle", c.Lifecycle, "error", err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	c.Train.Cached, c.Train.Cost, c.Train.Seconds, c.Train.GPU, c.Train.Notes = c.Lifecycle, 0, 0, nil, nil
	return &c.Train, nil
}

// verifyTraining reads every file of a training and compares its digest.
func (l *Lake) verifyTraining(ctx context.Context, t TrainOutput) error {
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		if err := copyVerified(ctx, l, t.Prefix+name, t.Files[name], io.Discard); err != nil {
			return err
		}
	}
	if _, byFile := t.Files[inference.CommandFile]; !byFile {
		return nil
	}
	raw, err := getVerified(ctx, l.Store, t.Prefix+inference.CommandFile, t.Files[inference.CommandFile])
	if err != nil {
		return err
	}
	c, err := training.ParseCommandFile(raw)
	if err != nil {
		return permanent(ErrorCorrupt, err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Files)) {
		if err := copyVerified(ctx, l, t.Prefix+training.ModelFolder+name, FileDigest(c.Files[name]), io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// evaluateIdentity is all that an evaluation depends on.
type evaluateIdentity struct {
	Version  int                   `json:"version"`
	Build    string                `json:"build"`
	Model    string                `json:"model"`
	Snapshot string                `json:"snapshot"`
	Rows     string                `json:"rows"` // digest of the keys of all test rows
	Files    map[string]FileDigest `json:"files"`
	Champion int                   `json:"champion"`
	Artifact string                `json:"artifact"` // the champion's
	Epoch    int64                 `json:"epoch"`
	Task     spec.Task             `json:"task"`
	Data     spec.Data             `json:"data"`
	Split    spec.Split            `json:"split"`
	Gates    spec.Gates            `json:"gates"`
}

// evaluateKey is the digest of an evaluation's identity; "" where the evaluation depends on more than that: on a server
// elsewhere, or on how fast this machine is.
func (l *Lake) evaluateKey(in EvaluateInput, m *spec.Model, rows *snapshotRows, champion registry.Version, epoch int64, models ...*inference.Model) (string, error) {
	elsewhere := func(m *inference.Model) bool { return m != nil && m.Signature.Format == inference.FormatRemote }
	if slices.ContainsFunc(models, elsewhere) || slices.ContainsFunc(m.Gates.Names(), spec.IsLatency) || in.Train.Imported != nil {
		return "", nil
	}
	var test []uint64
	for _, r := range rows.Parts.Test {
		test = append(test, rows.Prepared.Keys[r])
	}
	raw, err := dataset.NewKeySet(rows.Prepared.Scheme, test).MarshalBinary()
	if err != nil {
		return "", err
	}
	return keyOf(evaluateIdentity{
		Version: cacheVersion, Build: l.Build, Model: in.Model, Snapshot: in.Snapshot, Rows: digestOf(raw).SHA256, Files: in.Train.Files,
		Champion: champion.Number, Artifact: champion.Artifact, Epoch: epoch, Task: m.Task, Data: m.Data, Split: m.Split, Gates: m.Gates,
	})
}

// cachedEvaluation gives what an earlier run judged under a key, every file of it verified; nil where there is none, or not
// all of it any more.
func (l *Lake) cachedEvaluation(ctx context.Context, model, key string) (*EvaluateOutput, error) {
	var c cachedEvaluation
	err := getJSON(ctx, l.Store, evaluateCacheKey(model, key), &c)
	for _, name := range slices.Sorted(maps.Keys(c.Evaluate.Files)) {
		if want := c.Evaluate.Files[name]; err == nil {
			err = copyVerified(ctx, l, c.Evaluate.Prefix+want.SHA256+".json", want, io.Discard)
		}
	}
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return nil, nil
	case isPermanent(err):
		activity.GetLogger(ctx).Warn("an evaluation of an earlier run can't be used again", "lifecycle", c.Lifecycle, "error", err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	c.Evaluate.Cached = c.Lifecycle
	return &c.Evaluate, nil
}

func (l *Lake) keepEvaluation(ctx context.Context, in EvaluateInput, key string, out EvaluateOutput) {
	if key != "" {
		l.remember(ctx, evaluateCacheKey(in.Model, key), cachedEvaluation{Lifecycle: in.Lifecycle, At: l.Now().UTC(), Evaluate: out})
	}
}
