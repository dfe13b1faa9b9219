package activities

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/predictions"
)

// answer is one logged prediction.
type answer struct {
	id      string // of the data's row
	at      time.Time
	delay   string
	carrier string
}

// answers are the gateway's for flights, all at one time.
func answers(rows []flight, at time.Time) []answer {
	out := make([]answer, len(rows))
	for i, f := range rows {
		out[i] = answer{id: f.id, at: at, delay: strconv.FormatFloat(f.delay, 'f', -1, 64), carrier: f.carrier}
	}
	return out
}

// log writes a part of the prediction log, as a gateway does.
func (w *world) log(version int, name string, rows []answer) {
	w.t.Helper()
	w.logScored(version, name, rows, w.scores(version, rows)...)
}

// logScored is log with other scores than the version's; the last one is of all further rows.
func (w *world) logScored(version int, name string, rows []answer, scores ...float64) {
	w.t.Helper()
	key := predictions.Key(theModel, rows[0].at, version, "gw", name)
	var out bytes.Buffer
	part, err := predictions.NewWriter(&out, theModel, version, predictions.Features{{Name: "delay", Type: "number", Nullable: true}, {Name: "carrier", Type: "category", Nullable: true}})
	require.NoError(w.t, err)
	for i, a := range rows {
		score := scores[min(i, len(scores)-1)]
		delay, err := strconv.ParseFloat(a.delay, 64)
		require.NoError(w.t, err)
		require.NoError(w.t, part.Add(&predictions.Row{
			ID: fmt.Appendf(nil, "%s-%d", name, i), Time: a.at, Arm: []byte("champion"), RowID: []byte(a.id), Score: score,
			Label: fmt.Appendf(nil, "%.0f", math.Round(score)), Latency: 120 * time.Microsecond,
			Features: []predictions.Cell{{Set: true, Number: delay}, {Set: a.carrier != "", Text: []byte(a.carrier)}},
		}))
	}
	require.NoError(w.t, part.Close())
	_, err = w.store.Create(w.t.Context(), key, bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(w.t, err)
}

// scores are what a version answers, 0.5 where it isn't the champion or can't read the row.
func (w *world) scores(version int, rows []answer) []float64 {
	w.t.Helper()
	out := make([]float64, len(rows))
	t := &dataset.Table{Rows: len(rows), Columns: []dataset.Column{{Name: "delay", Kind: dataset.Number}, {Name: "carrier", Kind: dataset.Category}}}
	for i, a := range rows {
		out[i] = 0.5
		delay, err := strconv.ParseFloat(a.delay, 64)
		if err != nil {
			delay = math.NaN()
		}
		c := &t.Columns[1]
		code := slices.Index(c.Dict, a.carrier)
		if code < 0 {
			code = len(c.Dict)
			c.Dict = append(c.Dict, a.carrier)
		}
		t.Columns[0].Floats, c.Codes = append(t.Columns[0].Floats, delay), append(c.Codes, int32(code))
	}
	if w.head().State.Champion != version {
		return out
	}
	m := w.monitors()
	watched, _, err := m.champion(w.t.Context(), theModel)
	require.NoError(w.t, err)
	scorer, err := m.scorer(w.t.Context(), watched)
	require.NoError(w.t, err)
	out, err = scorer.PredictTable(w.t.Context(), t)
	require.NoError(w.t, err)
	return out
}

func (w *world) monitors() *Monitors { return &Monitors{Lake: w.lake, Metrics: w.metrics} }
