package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/internal/dataset"
)

// SnapshotInput fixes what is trained on. AsOf is the time that the labels' delay counts back from.
type SnapshotInput struct {
	Model     string    `json:"model"`
	Spec      string    `json:"spec"`
	Lifecycle string    `json:"lifecycle"`
	AsOf      time.Time `json:"as_of"`
	Force     bool      `json:"force,omitempty"`
	Cache     bool      `json:"cache,omitempty"` // a training of an earlier run will do
}

// SnapshotOutput names the snapshot and says how its rows were split.
type SnapshotOutput struct {
	Digest     string    `json:"digest"`
	Files      int       `json:"files"`
	Rows       int       `json:"rows"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Train      int       `json:"train"`
	Validation int       `json:"validation"`
	Test       int       `json:"test"`
	Dropped    string    `json:"dropped,omitempty"`   // what was left out, counted
	Unchanged  int       `json:"unchanged,omitempty"` // version that was made from the same snapshot and spec
	Problem    string    `json:"problem,omitempty"`   // why nothing can be trained from it

	// TrainKey is what a training by this snapshot and spec is found by later, and Cached one that an earlier run made.
	TrainKey string       `json:"train_key,omitempty"`
	Cached   *TrainOutput `json:"cached,omitempty"`
}

// Snapshots fixes what a run trains on.
type Snapshots struct {
	Lake *Lake
}

// Take selects the accepted files of the window, stores the snapshot by its digest, and reads and splits its rows, so
// that what can't be trained on is said before anything is trained.
func (s *Snapshots) Take(ctx context.Context, in SnapshotInput) (SnapshotOutput, error) {
	m, err := s.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return SnapshotOutput{}, err
	}
	index, err := s.Lake.Index(in.Model).Head(ctx)
	if err != nil {
		return SnapshotOutput{}, ledgerError(err)
	}
	files := make([]dataset.SnapshotFile, len(index.State.Files))
	for i, f := range index.State.Files {
		files[i] = dataset.SnapshotFile{SHA256: f.SHA256, Source: f.Source, Rows: f.Rows, Bytes: f.Bytes, From: f.From, To: f.To}
	}
	files = dataset.SelectWindow(files, m.Data.Window)
	if len(files) == 0 {
		return SnapshotOutput{Problem: "the data set has no accepted file"}, nil
	}
	snapshot := dataset.NewSnapshot(in.Model, files, in.AsOf)
	out := SnapshotOutput{Digest: snapshot.Digest(), Files: len(files), Rows: snapshot.Rows, From: snapshot.From, To: snapshot.To}
	raw, err := json.Marshal(snapshot)
	if err != nil {
		return out, err
	}
	if err := create(ctx, s.Lake.Store, snapshotKey(in.Model, out.Digest), raw); err != nil {
		return out, err
	}
	if !in.Force {
		head, err := s.Lake.Ledger(in.Model).Head(ctx)
		if err != nil {
			return out, ledgerError(err)
		}
		for _, v := range head.State.Versions {
			if v.Snapshot == out.Digest && v.Spec == in.Spec && v.Imported == nil { // an imported one was made of neither
				out.Unchanged = v.Number
			}
		}
		if out.Unchanged > 0 {
			return out, nil
		}
	}
	return s.split(ctx, in, out)
}

// split reads the rows and counts the parts.
func (s *Snapshots) split(ctx context.Context, in SnapshotInput, out SnapshotOutput) (SnapshotOutput, error) {
	m, err := s.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return out, err
	}
	h := keepBeating(ctx)
	defer h.stop()
	rows, err := s.Lake.rowsOf(ctx, m, out.Digest, in.Spec, in.AsOf, h.note)
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok && app.Type() == ErrorData {
		out.Problem = app.Message()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	p := rows.Prepared
	out.Train, out.Validation, out.Test = len(rows.Parts.Train), len(rows.Parts.Validation), len(rows.Parts.Test)
	out.Dropped = dropped(p, rows.Parts)
	if out.Train < m.Data.Window.MinRows {
		out.Problem = fmt.Sprintf("snapshot %.12s: %d training rows < data.window.min_rows %d (of %d rows; %s)",
			out.Digest, out.Train, m.Data.Window.MinRows, p.Input, out.Dropped)
		return out, nil
	}
	if out.TrainKey, err = s.Lake.trainKey(ctx, m, out.Digest, rows); err != nil || !in.Cache {
		return out, err
	}
	out.Cached, err = s.Lake.cachedTraining(ctx, in.Model, out.TrainKey)
	return out, err
}

func dropped(p *dataset.Prepared, parts *dataset.Parts) string {
	var words []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{p.DroppedNullTarget, "without a target"}, {p.DroppedNullID, "without an id"}, {p.DroppedNullTime, "without a time"},
		{p.DroppedYoung, "younger than labels.delay"}, {p.DroppedDuplicates, "with an id seen before"},
		{parts.DroppedNulls, "training rows with nulls"},
	} {
		if c.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(words) == 0 {
		return "nothing left out"
	}
	return "left out " + strings.Join(words, ", ")
}
