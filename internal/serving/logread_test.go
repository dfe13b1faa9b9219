package serving_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/predictions"
	"github.com/leanloop/leanloop/internal/spec"
)

// Whatever a client may send and a version can read, the log is read back, as many rows as were answered, with the
// numbers that were scored.
func TestPredictionLogIsReadableWhateverWasSent(t *testing.T) {
	kinds := []string{inference.KindNumber, inference.KindInteger, inference.KindBoolean, inference.KindTimestamp, inference.KindCategory}
	m := linearModel{task: spec.Regression, intercept: []float64{0}}
	var features predictions.Features
	for _, kind := range kinds {
		f := inference.LinearFeature{Name: kind, Kind: kind, Weights: []float64{0}}
		if kind == inference.KindCategory {
			f.Weights, f.Categories, f.CategoryWeights = nil, []string{"a"}, [][]float64{{0}}
		}
		m.features = append(m.features, f)
		features = append(features, spec.ColumnRule{Name: kind, Type: kind, Nullable: true})
	}
	w := newWorld(t)
	w.applySpec("{log: {sample: 1.0}}")
	w.promote(w.register(m))
	w.sync()
	rapid.Check(t, func(r *rapid.T) {
		w.clock.advance(2 * time.Hour)
		var want []float64
		for range rapid.IntRange(1, 5).Draw(r, "rows") {
			row := map[string]any{}
			for _, kind := range kinds {
				row[kind] = value(r, kind)
			}
			row["flight_key"] = rapid.String().Draw(r, "id")
			body, err := json.Marshal(row)
			require.NoError(r, err)
			a := w.predict(string(body))
			if a.status == http.StatusOK {
				number := math.NaN()
				if raw, ok := row[inference.KindNumber].(json.RawMessage); ok && string(raw) != "null" {
					require.NoError(r, json.Unmarshal(raw, &number))
				}
				want = append(want, number)
			}
		}
		w.sync()
		window, err := predictions.Read(context.Background(), w.store, predictions.Query{
			Model: modelName, Version: 1, Features: features, From: w.clock.Now().Add(-time.Minute), To: w.clock.Now().Add(time.Minute),
		})
		require.NoError(r, err)
		require.Equal(r, len(want), window.Rows)
		if len(want) == 0 {
			return
		}
		column, ok := window.Features.Column(inference.KindNumber)
		require.True(r, ok)
		for i := range want {
			require.Equal(r, math.IsNaN(want[i]), math.IsNaN(column.Floats[i]))
			if !math.IsNaN(want[i]) {
				require.InDelta(r, want[i], column.Floats[i], 0)
			}
		}
	})
}

// value is something that JSON has and a feature of the kind takes, more or less.
func value(r *rapid.T, kind string) json.RawMessage {
	fixed := map[string][]string{
		inference.KindNumber:    {"null", "-0", "1e3", "1E-300", "123456789012345678901234567890", "0.1"},
		inference.KindInteger:   {"null", "1e3", "2.0", "-7", "0", "9007199254740993", "1e300"},
		inference.KindBoolean:   {"null", "true", "false", "1", "0", "1.0", "0e5"},
		inference.KindTimestamp: {"null", "0", "1e18", "1772359200.25", `"2026-03-01T10:00:00+02:00"`, `"0001-01-01T00:00:00Z"`},
		inference.KindCategory:  {"null", "1", "true", `"a"`, `""`, `" a"`, `"a\"b,\nc\r"`, `"\u0000"`, `"NA"`},
	}[kind]
	if kind == inference.KindCategory && rapid.Bool().Draw(r, "any text") {
		text, err := json.Marshal(rapid.StringN(0, -1, 3000).Draw(r, kind))
		require.NoError(r, err)
		return text
	}
	return json.RawMessage(rapid.SampledFrom(fixed).Draw(r, kind))
}
