package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// metricsWithin is how long a monitor waits for the metrics store.
const metricsWithin = 10 * time.Second

// MonitorInput starts a Drift, Quality or RetrainCheck workflow.
type MonitorInput struct {
	Model string `json:"model"`
}

// Monitors compares what production sees with what the champion was made from.
type Monitors struct {
	Lake    *Lake
	Metrics timeseries.Writer // nil: none is configured
	Bucket  string            // Lake.Store's name, for the addresses of reports; "": they are told as keys
	// ShardBytes is how many stored bytes of the prediction log one activity profiles; 0: 32 MiB, a few million predictions
	// and a few seconds of a core.
	ShardBytes int64
	// WindowRows is how many predictions a quality check has in memory, a sample of the window where there are more; 0: half
	// a million, or four times min_rows.
	WindowRows int
}

// watched is a champion and what is needed to read its predictions.
type watched struct {
	model     string
	spec      *spec.Model
	state     registry.State
	version   registry.Version
	signature inference.Signature
	// labelsAfter bounds the files that are looked through for labels: accepted after it. Zero: after the version was
	// registered.
	labelsAfter time.Time
	landed      bool // files that landed since then count too, accepted or not
}

// champion loads them; why says that there is nothing to watch yet.
func (m *Monitors) champion(ctx context.Context, model string) (w watched, why string, err error) {
	head, err := m.Lake.Ledger(model).Head(ctx)
	if err != nil {
		return w, "", ledgerError(err)
	}
	if head.State.Champion == 0 {
		return w, "no version is the champion yet", nil
	}
	w, err = m.watch(ctx, model, head.State, head.State.Champion, head.State.Spec.Digest)
	return w, "", err
}

// watch loads a version and a spec.
func (m *Monitors) watch(ctx context.Context, model string, state registry.State, version int, digest string) (w watched, err error) {
	v, ok := state.Version(version)
	if !ok {
		return w, permanent(ErrorCorrupt, fmt.Errorf("ledger of %s: no version %d", model, version))
	}
	w.model, w.state, w.version = model, state, v
	if w.spec, err = m.Lake.Spec(ctx, model, digest); err != nil {
		return w, err
	}
	raw, err := m.artifact(ctx, w, fileSignature)
	if err != nil {
		return w, err
	}
	if w.signature, err = inference.ParseSignature(raw); err != nil {
		return w, permanent(ErrorCorrupt, err)
	}
	return w, nil
}

// artifact reads a file of the champion's.
func (m *Monitors) artifact(ctx context.Context, w watched, name string) ([]byte, error) {
	raw, err := registry.ReadArtifactFile(ctx, m.Lake.Store, w.model, w.version.Artifact, name, maxModel)
	return raw, ledgerError(lost(err))
}

// since is where a window starts: no window spans a promotion.
func (w watched) since(end time.Time, window time.Duration) time.Time {
	from := end.Add(-window)
	if from.Before(w.state.ChampionSince) {
		from = w.state.ChampionSince
	}
	return from.UTC()
}

func (w watched) features() (rules predictions.Features, names []string) {
	for _, f := range w.signature.Inputs {
		rules = append(rules, spec.ColumnRule{Name: f.Name, Type: f.Kind, Nullable: true})
		names = append(names, f.Name)
	}
	return rules, names
}

// predictions reads what the champion answered.
func (m *Monitors) predictions(ctx context.Context, w watched, from, to time.Time, note func(any)) (predictions.Window, error) {
	q := w.query(from, to)
	q.Answer, q.Progress = predictions.Answer{}, func(rows int) { note(reading{Rows: rows}) }
	q.MaxRows = cmp.Or(m.WindowRows, q.MaxRows)
	window, err := predictions.Read(ctx, m.Lake.Store, q)
	return window, logError(err)
}

// minRows is the most that a monitor asks for.
func (w watched) minRows() int {
	return max(w.spec.Monitor.Drift.MinRows, w.spec.Monitor.Quality.MinRows)
}

// write stores points where a store is configured. The result stands without them: a store that is away holds up no
// alert.
func (m *Monitors) write(ctx context.Context, points []timeseries.Point) {
	if m.Metrics == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, metricsWithin)
	defer cancel()
	if err := m.Metrics.Write(ctx, points); err != nil {
		activity.GetLogger(ctx).Warn("monitor's points not stored", "points", len(points), "error", err)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
