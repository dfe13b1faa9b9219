package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden is a case whose answers are XGBoost's.
const goldenModels = "../internal/inference/testdata/golden"

func TestScoreAnswersAsXGBoostDoes(t *testing.T) {
	for _, name := range []string{"binary", "multiclass"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(goldenModels, name)
			w := newSession(t)
			require.Equal(t, exitOK, w.starter("score", "--artifact", filepath.Join(dir, "model.json"), "--data", filepath.Join(dir, "rows.csv"), "-o", "json"), w.stderr.String())
			var got, want struct {
				Predictions any `json:"predictions"`
			}
			require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got))
			raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, &want))
			requireNear(t, want.Predictions, got.Predictions)
		})
	}
}

// requireNear compares numbers, or lists of them, to 1e-6.
func requireNear(t *testing.T, want, got any) {
	t.Helper()
	if list, ok := want.([]any); ok {
		require.IsType(t, list, got)
		require.Len(t, got, len(list))
		for i := range list {
			requireNear(t, list[i], got.([]any)[i])
		}
		return
	}
	require.InDelta(t, want, got, 1e-6*math.Max(1, math.Abs(want.(float64))))
}

func TestScoreFindsColumnsByName(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("model.json", `{"learner":{"feature_names":["a","b"],"gradient_booster":{"name":"gblinear","model":{"weights":[2,10,0.5]}},`+
		`"learner_model_param":{"base_score":"0","num_class":"0","num_feature":"2"},"objective":{"name":"reg:squarederror"}}}`)
	rows := write("rows.csv", "b,note,a\n1,x,2\n,y,3\n")
	w := newSession(t)
	require.Equal(t, exitOK, w.starter("score", "--artifact", dir, "--data", rows, "-o", "json"), w.stderr.String())
	require.JSONEq(t, `{"predictions":[14.5,6.5],"rows":2,"ignored_columns":["note"]}`, w.stdout.String())

	write("signature.json", `{"version":1,"format":"xgboost-json","task":"regression","output":"y","inputs":[{"name":"a","kind":"number"},{"name":"b","kind":"number"}]}`)
	w = newSession(t)
	require.Equal(t, exitOK, w.starter("score", "--artifact", dir, "--data", rows), w.stderr.String())
	require.Contains(t, w.stdout.String(), "14.5")
}

func TestScoreRefusesCategoriesAsAGatewayDoes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"model.json":     `{"format":"leanloop-linear","version":1,"link":"identity","intercept":[0],"features":[{"name":"c","kind":"category","categories":["x"],"category_weights":[[1]],"unknown":[9]}]}`,
		"signature.json": `{"version":1,"format":"leanloop-linear","task":"regression","output":"y","inputs":[{"name":"c","kind":"category","categories":["x"],"unknown":"refuse"}]}`,
		"rows.csv":       "c\nx\nz\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	w := newSession(t)
	require.Equal(t, exitFailure, w.starter("score", "--artifact", dir, "--data", filepath.Join(dir, "rows.csv")))
	require.Contains(t, w.stderr.String(), `rows.csv: row 2: feature "c": observed text "z", want one of its 1 known categories, or null (signature.json refuses`)
}

func TestScoreSaysWhatIsMissing(t *testing.T) {
	model := filepath.Join(goldenModels, "binary", "model.json")
	short := filepath.Join(t.TempDir(), "short.csv")
	require.NoError(t, os.WriteFile(short, []byte("mean_radius\n1\n"), 0o600))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--data", short}, exitUsage, "which model? --artifact model.json"},
		{[]string{"--artifact", model}, exitUsage, "which rows? --data FILE"},
		{[]string{"--artifact", "absent.json", "--data", short}, exitUsage, "--artifact: open absent.json"},
		{[]string{"--artifact", model, "--signature", "absent.json", "--data", short}, exitUsage, "--signature: open absent.json"},
		{[]string{"--artifact", model, "--data", short}, exitGate, "column mean_texture: missing"},
	} {
		w := newSession(t)
		require.Equal(t, c.code, w.starter(append([]string{"score"}, c.args...)...), c.args)
		require.Contains(t, w.stderr.String(), c.want)
	}
}
