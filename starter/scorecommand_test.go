package main

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/training"
)

// asSupervisor is the word by which this test binary looks after a program.
const asSupervisor = "be-a-supervisor"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asSupervisor {
		os.Exit(training.Supervise())
	}
	os.Exit(m.Run())
}

const bySignature = `{"version":1,"format":"command","task":"binary","output":"late","classes":["no","yes"],"threshold":0.5,"inputs":[{"name":"delay","kind":"number"}]}`

// halves predicts a half of what stands in the model, whatever the row.
const halves = `set -eu
echo "predicts by $(cat "$SM_MODEL_DIR/weight")" >&2
awk -v w="$(cat "$SM_MODEL_DIR/weight")" 'NR == 1 {print "prediction"; next} {print w / 2}' "$LEANLOOP_ROWS" > "$LEANLOOP_PREDICTIONS"
`

// owned is a folder of a model's owner: spec, program, a version's artifact as it lies in the bucket, and rows.
func owned(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("awk"); err != nil {
		t.Skip("no awk")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"model.yaml": "metadata: {name: churn}\ndata: {prefix: s3://lake/churn/, target: late}\ntrain: {command: [sh, train.sh], secrets: [API_KEY]}\n" +
			"predict: {command: [sh, predict.sh]}\ncanary: {steps: []}\n",
		"predict.sh": halves, "artifact/signature.json": bySignature, "artifact/command.json": "{}", "artifact/model/weight": "0.5",
		"rows.csv": "delay,note\n1,a\n,b\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func TestScoreRunsTheProgramThatTheSpecNames(t *testing.T) {
	dir := owned(t)
	w := newSession(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	args := []string{"score", "--artifact", at("artifact"), "--data", at("rows.csv"), "-f", at("model.yaml"), "-o", "json"}
	require.Equal(t, exitUsage, w.starter(args...))
	require.Contains(t, w.stderr.String(), "API_KEY isn't set")
	w.variables["API_KEY"] = "x"
	require.Equal(t, exitOK, w.starter(args...), w.stderr.String())
	require.JSONEq(t, `{"predictions":[0.25,0.25],"rows":2,"classes":["no","yes"],"ignored_columns":["note"]}`, w.stdout.String())
	require.Contains(t, w.stderr.String(), "predicts by 0.5", "what it prints is shown, and not in the document")
}

func TestScoreRunsTheProgramThatTheCommandLineNames(t *testing.T) {
	dir := owned(t)
	w := newSession(t)
	t.Chdir(dir)
	weight := filepath.Join(dir, "artifact", "model", "weight")
	require.Equal(t, exitOK, w.starter("score", "--artifact", weight, "--signature", "artifact/signature.json", "--data", "rows.csv", "-o", "json",
		"--predict", "sh", "predict.sh"), w.stderr.String())
	var got struct{ Predictions []float64 }
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &got))
	require.Equal(t, []float64{0.25, 0.25}, got.Predictions)
	require.Equal(t, exitFailure, w.starter("score", "--artifact", weight, "--signature", "artifact/signature.json", "--data", "rows.csv",
		"--predict", "sh", "--", "-c", "echo out of beer >&2; exit 4"))
	require.Contains(t, w.stderr.String(), "exit code 4; its last lines: out of beer")
}

func TestScoreSaysWhatOfAProgramIsMissing(t *testing.T) {
	dir := owned(t)
	t.Chdir(dir)
	w := newSession(t)
	for says, args := range map[string][]string{
		"is scored by a program of its own: say which by -f model.yaml": {"--artifact", "artifact"},
		"give one":                         {"--artifact", "artifact", "-f", "model.yaml", "--predict", "sh"},
		"arguments are those of --predict": {"--artifact", "artifact", "predict.sh"},
		"by --signature signature.json":    {"--artifact", "artifact/model", "--predict", "sh", "predict.sh"},
		"no such file":                     {"--artifact", "nowhere", "--predict", "sh", "predict.sh"},
	} {
		require.Equal(t, exitUsage, w.starter(append([]string{"score", "--data", "rows.csv"}, args...)...), says)
		require.Contains(t, w.stderr.String(), says)
	}
}

func TestScoreAsksNoServerThatTheCommandLineDoesntAllow(t *testing.T) {
	server := httptest.NewServer(nil)
	defer server.Close()
	dir := owned(t)
	signature := filepath.Join(dir, "artifact", "signature.json")
	require.NoError(t, os.WriteFile(signature, []byte(`{"version":1,"format":"remote","task":"regression","output":"late","inputs":[{"name":"delay","kind":"number"}]}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "artifact", "remote.json"), []byte(`{"url":"`+server.URL+`","model":"m"}`), 0o600))
	w := newSession(t)
	args := []string{"score", "--artifact", filepath.Join(dir, "artifact"), "--data", filepath.Join(dir, "rows.csv")}
	require.Equal(t, exitFailure, w.starter(args...))
	require.Contains(t, w.stderr.String(), "isn't allowed to score here")
	require.Equal(t, exitFailure, w.starter(append(args, "--remote-hosts", "127.0.0.1")...))
	require.Contains(t, w.stderr.String(), "model isn't ready")
}
