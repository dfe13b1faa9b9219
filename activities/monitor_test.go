package activities

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
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
	var csv strings.Builder
	for i, c := range predictions.Columns() {
		if i > 0 {
			csv.WriteByte(',')
		}
		csv.WriteString(c.Name)
	}
	csv.WriteString(",delay,carrier\n")
	for i, a := range rows {
		score := scores[min(i, len(scores)-1)]
		fmt.Fprintf(&csv, "%s-%d,%s,%d,champion,%s,%g,%.0f,120,%s,%s\n", name, i, a.at.UTC().Format("2006-01-02T15:04:05.000Z"), version, a.id, score, math.Round(score), a.delay, a.carrier)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(csv.String()))
	require.NoError(w.t, err)
	require.NoError(w.t, z.Close())
	key := predictions.Key(theModel, rows[0].at, version, "gw", name)
	_, err = w.store.Create(w.t.Context(), key, bytes.NewReader(packed.Bytes()), int64(packed.Len()))
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
