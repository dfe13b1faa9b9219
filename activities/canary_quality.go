package activities

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// What one reading of a canary's labels takes in at most, of each arm: the parts of the log and the rows of them. A
// larger step is sampled; more rows would change no verdict.
const (
	canaryLogBytes = 128 << 20 // as stored
	canaryLogRows  = 200_000
)

// leastProbability bounds the loss of one row: a model that was certain, and wrong.
const leastProbability = 1e-6

// CanaryQualityInput asks what labels say of both arms' answers in [From, To).
type CanaryQualityInput struct {
	Model    string             `json:"model"`
	Version  int                `json:"version"`
	Champion int                `json:"champion"`
	Spec     string             `json:"spec"`
	From     time.Time          `json:"from"`
	To       time.Time          `json:"to"`
	Quality  spec.CanaryQuality `json:"quality"`
}

// CanaryQuality finds the labels that have reached a canary's answers, by files that landed or were accepted meanwhile. Of
// each request, and of each id, one row counts: rows of one request and answers about one thing resemble each other, and
// would be taken for more than they are. Labels of a class that a version doesn't know make the reading a problem, not an
// error.
func (m *Monitors) CanaryQuality(ctx context.Context, in CanaryQualityInput) (canary.Quality, error) {
	h := keepBeating(ctx)
	defer h.stop()
	out := canary.Quality{From: in.From, At: in.To, Metric: in.Quality.Metric}
	head, err := m.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return out, ledgerError(err)
	}
	for _, arm := range []struct {
		version int
		to      *canary.Labelled
	}{{in.Champion, &out.Champion}, {in.Version, &out.Challenger}} {
		w, err := m.watch(ctx, in.Model, head.State, arm.version, in.Spec)
		if err != nil {
			return out, err
		}
		w.labelsAfter, w.landed = in.From, true
		labelled, err := m.labelledArm(ctx, w, in, h.note)
		if unknown, ok := errors.AsType[*inference.UnknownClass](err); ok {
			out.Problem = clip(fmt.Sprintf("labels that version %d can't predict: %v", arm.version, unknown), maxText)
			return out, nil
		}
		if err != nil {
			return out, err
		}
		*arm.to = labelled
	}
	return out, nil
}

// labelledArm sums up one version's loss.
func (m *Monitors) labelledArm(ctx context.Context, w watched, in CanaryQualityInput, note func(any)) (canary.Labelled, error) {
	var sum canary.Labelled
	logged, err := predictions.Read(ctx, m.Lake.Store, predictions.Query{
		Model: in.Model, Version: w.version.Number, From: in.From, To: in.To, MaxRows: canaryLogRows, MaxBytes: canaryLogBytes,
		Progress: func(rows int) { note(reading{Rows: rows}) },
	})
	if err != nil || logged.Rows == 0 {
		return sum, logError(err)
	}
	rows, y, err := m.join(ctx, w, logged, note)
	if err != nil {
		return sum, err
	}
	loss, err := w.lossOf(logged.Log, in.Quality.Metric)
	if err != nil {
		return sum, err
	}
	once := onceEach(logged.Log, !w.matchesPredictions())
	for i, row := range rows {
		if !once(row) {
			continue
		}
		if l := loss(row, y[i]); !math.IsNaN(l) && !math.IsInf(l, 0) {
			sum.Add(l)
		}
	}
	return sum, nil
}

// onceEach says for each row whether it is the first one of its request, and of its id where byID is set. A request is
// known by the time and the gateway in its predictions' ids.
func onceEach(log *dataset.Table, byID bool) func(row int) bool {
	const request = len("0199f3c2a1b4-7f3a9c21")
	ids, _ := log.Column(predictions.ColumnID)
	names, _ := log.Column(predictions.ColumnRow)
	requests, seen := map[string]bool{}, map[string]bool{}
	return func(row int) bool {
		id := textOf(ids, row)
		if len(id) >= request {
			if requests[id[:request]] {
				return false
			}
			requests[id[:request]] = true
		}
		if name := textOf(names, row); byID && name != "" {
			if seen[name] {
				return false
			}
			seen[name] = true
		}
		return true
	}
}

// textOf is a text cell; "" where it is null.
func textOf(c *dataset.Column, row int) string {
	if c == nil || c.Codes == nil || c.Codes[row] < 0 {
		return ""
	}
	return c.Dict[c.Codes[row]]
}

// lossOf is a row's loss from its logged answer and its label, as the version's signature counts classes.
func (w watched) lossOf(log *dataset.Table, metric string) (func(row int, y float64) float64, error) {
	score, hasScore := log.Column(predictions.ColumnScore)
	label, hasLabel := log.Column(predictions.ColumnLabel)
	if !hasScore || !hasLabel {
		return nil, permanent(ErrorData, fmt.Errorf("prediction log of %s: no column %s or %s", w.model, predictions.ColumnScore, predictions.ColumnLabel))
	}
	wrong := func(differs bool) float64 { return number(differs) }
	switch {
	case metric == "accuracy" && w.signature.Task == spec.Binary:
		return func(row int, y float64) float64 {
			return wrong((score.Floats[row] >= w.signature.Threshold) != (y == 1))
		}, nil
	case metric == "accuracy":
		return func(row int, y float64) float64 {
			return wrong(slices.Index(w.signature.Classes, textOf(label, row)) != int(y))
		}, nil
	case metric == "log_loss" && w.signature.Task == spec.Binary:
		return func(row int, y float64) float64 {
			p := score.Floats[row]
			if y != 1 {
				p = 1 - p
			}
			return -math.Log(max(p, leastProbability))
		}, nil
	case metric == "mae":
		return func(row int, y float64) float64 { return math.Abs(score.Floats[row] - y) }, nil
	case metric == "rmse":
		return func(row int, y float64) float64 { return (score.Floats[row] - y) * (score.Floats[row] - y) }, nil
	}
	return nil, permanent(ErrorSpec, fmt.Errorf("canary.quality.metric %s: not one of %s's", metric, w.signature.Task))
}
