package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/training"
)

// Import names a model that was trained elsewhere: its files lie below ImportPrefix, each once and for ever.
type Import struct {
	Digest string                `json:"digest"` // of Files and TrainedUntil
	Files  map[string]FileDigest `json:"files"`
	// TrainedUntil is the newest event that it may have been trained on, as whoever imports it says; zero: nobody knows
	// what it was trained on.
	TrainedUntil time.Time `json:"trained_until,omitzero"`
}

// NewImport names the files of a model.
func NewImport(files map[string][]byte, trainedUntil time.Time) Import {
	i := Import{Files: map[string]FileDigest{}, TrainedUntil: trainedUntil.UTC()}
	for name, raw := range files {
		i.Files[name] = digestOf(raw)
	}
	i.Digest = i.digest()
	return i
}

func (i Import) digest() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(i.Files)) {
		fmt.Fprintf(&b, "%s %s %d\n", name, i.Files[name].SHA256, i.Files[name].Size)
	}
	if !i.TrainedUntil.IsZero() {
		fmt.Fprintf(&b, "trained until %s\n", i.TrainedUntil.Format(time.RFC3339Nano))
	}
	return digestOf([]byte(b.String())).SHA256
}

// ImportPrefix is where an imported model's files lie.
func ImportPrefix(model, digest string) string { return "runs/" + model + "/import/" + digest + "/" }

// AdoptInput takes an imported model for what training would have made.
type AdoptInput struct {
	Model     string    `json:"model"`
	Spec      string    `json:"spec"`
	Lifecycle string    `json:"lifecycle"`
	Number    int       `json:"number"`
	Snapshot  string    `json:"snapshot"`
	AsOf      time.Time `json:"as_of"`
	Import    Import    `json:"import"`
	By        string    `json:"by"`
}

// Adopt verifies an imported model's digests, loads it, holds it to the data and tries it on the validation rows, as a
// trainer's model is. It commits the same files as training does. What it can't know is what the model was trained on:
// the keys of those rows are unknown, or none where a time is given, which Evaluate goes by; and drift is compared with
// the rows that training would have had.
func (e *Evaluator) Adopt(ctx context.Context, in AdoptInput) (TrainOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
	started := e.Lake.Now()
	m, err := e.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return TrainOutput{}, err
	}
	rows, err := e.Lake.rowsOf(ctx, m, in.Snapshot, in.Spec, in.AsOf, h.note)
	if err != nil {
		return TrainOutput{}, err
	}
	if !in.Import.TrainedUntil.IsZero() && m.Data.Time == "" {
		return TrainOutput{}, permanent(ErrorTrainInput, errors.New("trained until: data.time names no column, so no row is known to be younger"))
	}
	files, err := e.staged(ctx, in)
	if err != nil {
		return TrainOutput{}, err
	}
	input, err := trainingInput(m, rows)
	if err != nil {
		return TrainOutput{}, permanent(ErrorTrainInput, err)
	}
	made, err := training.Adopt(ctx, e.Lake.Loader, files, input)
	if err == nil {
		made.Signature, err = made.Signature.WithPolicy(m.Serving)
	}
	if err != nil {
		if ctx.Err() != nil || isType[*inference.PassingError](err) {
			return TrainOutput{}, err
		}
		return TrainOutput{}, permanent(ErrorTrainInput, err)
	}
	keys := dataset.UnknownKeys()
	if !in.Import.TrainedUntil.IsZero() {
		keys = dataset.NewKeySet(rows.Prepared.Scheme, nil)
	}
	out := TrainOutput{
		Prefix: attemptsPrefix(in.Model, in.Number) + "import/output/", Metrics: finite(made.Metrics), NewestEvent: in.Import.TrainedUntil, Files: map[string]FileDigest{},
		Imported: &registry.Imported{Digest: in.Import.Digest, By: in.By, TrainedUntil: in.Import.TrainedUntil},
	}
	if err := commitModel(ctx, e.Lake.Store, made, out.Prefix, out.Files); err != nil {
		return TrainOutput{}, err
	}
	if err := commitRows(ctx, e.Lake.Store, keys, input, &out); err != nil {
		return TrainOutput{}, err
	}
	out.Seconds = e.Lake.Now().Sub(started).Seconds()
	return out, nil
}

// staged reads what was imported. Files that aren't those that were asked about are refused for good.
func (e *Evaluator) staged(ctx context.Context, in AdoptInput) (map[string][]byte, error) {
	if got := in.Import.digest(); got != in.Import.Digest {
		return nil, permanent(ErrorTrainInput, fmt.Errorf("import %.12s: its files have digest %.12s", in.Import.Digest, got))
	}
	return inference.ReadFiles(func(name string) ([]byte, error) {
		want, ok := in.Import.Files[name]
		if !ok {
			return nil, permanent(ErrorTrainInput, fmt.Errorf("import %.12s has no %s, but %v", in.Import.Digest, name, slices.Sorted(maps.Keys(in.Import.Files))))
		}
		return getVerified(ctx, e.Lake.Store, ImportPrefix(in.Model, in.Import.Digest)+name, want)
	})
}

// unknownTraining says which of two versions was trained on nobody knows what; "": neither.
func unknownTraining(challenger dataset.KeySet, champion dataset.KeySet, number int) string {
	switch {
	case challenger.Unknown():
		return "the version was imported, and nobody said what it was trained on"
	case champion.Unknown():
		return fmt.Sprintf("the champion, version %d, was imported, and nobody said what it was trained on", number)
	}
	return ""
}

// younger keeps the rows whose event is after a time; a zero time keeps all.
func younger(rows *snapshotRows, timeColumn string, of []int, than time.Time) []int {
	c, ok := rows.Prepared.Table.Column(timeColumn)
	if than.IsZero() || !ok {
		return of
	}
	kept := make([]int, 0, len(of))
	for _, row := range of {
		if at := c.Times[row]; at != dataset.NullTime && at > than.UnixNano() {
			kept = append(kept, row)
		}
	}
	return kept
}

func importedUntil(i *registry.Imported) time.Time {
	if i == nil {
		return time.Time{}
	}
	return i.TrainedUntil
}

// championOf is the champion; the zero Version: there is none.
func championOf(s registry.State) registry.Version {
	v, _ := s.Version(s.Champion)
	return v
}
