package training

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// constantly trains nothing, and predicts a number that it wrote into a file, for each row.
const constantly = `mkdir "$SM_MODEL_DIR/weights"; printf 0.25 > "$SM_MODEL_DIR/weights/layer.bin"; printf x > "$SM_MODEL_DIR/vocabulary"` + "\n"

const answerConstantly = `awk -v p="$(cat "$SM_MODEL_DIR/weights/layer.bin")" 'NR == 1 {print "prediction"; next} {print p}' "$LEANLOOP_ROWS" > "$LEANLOOP_PREDICTIONS"` + "\n"

// predicting is a trainer with a program beside it that predicts.
func predicting(t *testing.T, train, predict string) (CommandSpec, Input) {
	t.Helper()
	s, in := program(t, train)
	if err := os.WriteFile(filepath.Join(s.CodeDir, "predict.sh"), []byte("set -eu\n"+predict), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Predict = &PredictCommand{Argv: []string{"sh", "predict.sh"}, Timeout: time.Minute}
	return s, in
}

func TestAnyFilesAreAModelWhereAProgramPredicts(t *testing.T) {
	s, in := predicting(t, constantly, answerConstantly)
	s.CPUs, s.Memory = 2, 1<<30
	out, err := RunCommand(context.Background(), s, in, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := out.Command
	if c == nil || len(c.Files) != 2 || c.Files["weights/layer.bin"].Size != 4 || c.CPUs != 2 || c.Limit() != time.Minute {
		t.Fatalf("observed %+v", out)
	}
	if out.Signature.Format != inference.FormatCommand || len(out.Signature.Inputs) != len(in.Features) || out.Signature.Threshold != 0.5 {
		t.Errorf("observed %+v", out.Signature)
	}
	if _, tried := out.Metrics["log_loss"]; !tried {
		t.Errorf("the model wasn't tried: %v", out.Metrics)
	}
	back, err := ParseCommandFile(out.Model)
	if err != nil || back.Files["vocabulary"] != c.Files["vocabulary"] || back.Memory != 1<<30 {
		t.Errorf("observed %+v, %v", back, err)
	}
	raw, err := os.ReadFile(filepath.Join(out.Folder, "weights", "layer.bin"))
	if err != nil || string(raw) != "0.25" {
		t.Errorf("observed %q, %v", raw, err)
	}
}

func TestAPredictionSeesItsContractAndNothingElse(t *testing.T) {
	s, in := predicting(t, constantly, `env | sort; echo "length=${#WEATHER_API_KEY}"; pwd; head -1 "$LEANLOOP_ROWS"; cat "$LEANLOOP_SCHEMA"; echo "args=$*"; find "$HOME" -type f`+"\n"+answerConstantly)
	t.Setenv("LEANLOOP_TEST_OF_THE_WORKER", "its own")
	s.Env, s.Params = map[string]string{"WEATHER_API_KEY": "secret"}, map[string]any{"eta": 0.1}
	s.CPUs = 3
	var log bytes.Buffer
	s.LogTo = &log
	if _, err := RunCommand(context.Background(), s, in, nil); err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(s.WorkDir, "predict")
	for _, want := range []string{
		"WEATHER_API_KEY=***\n", "length=6\n", "HOME=" + home, "SM_MODEL_DIR=" + filepath.Join(s.WorkDir, "model"), "OMP_NUM_THREADS=3", "CUDA_VISIBLE_DEVICES=\n",
		"LEANLOOP_ROWS=" + filepath.Join(home, "rows.csv"), "LEANLOOP_PREDICTIONS=" + filepath.Join(home, "predictions"),
		"\nn0,n1,n2,c3,c40\n", `"target": "target"`, "\n" + s.CodeDir + "\n", "args=\n",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("observed no %q in\n%s", want, log.String())
		}
	}
	for _, hidden := range []string{"LEANLOOP_TEST_OF_THE_WORKER", "SM_CHANNEL"} {
		if strings.Contains(log.String(), hidden) {
			t.Errorf("observed %s in\n%s", hidden, log.String())
		}
	}
}

func TestAPredictionThatFailsSaysWhyAndIsTheScripts(t *testing.T) {
	for _, c := range []struct {
		name, train, predict, says string
		cause                      Cause
	}{
		{"an exit code", constantly, "echo no such layer; exit 3", "predict.command: program \"sh predict.sh\": exit code 3; its last lines: no such layer", CauseScript},
		{"no predictions", constantly, "true", "wrote no such file", CauseScript},
		{"predictions that are none", constantly, `echo prediction > "$LEANLOOP_PREDICTIONS"`, "observed 0 rows", CauseScript},
		{"predictions behind a link", constantly, `ln -s "$LEANLOOP_ROWS" "$LEANLOOP_PREDICTIONS"`, "not a regular file", CauseScript},
		{"endless predictions", constantly, `head -c 3000000 /dev/zero > "$LEANLOOP_PREDICTIONS"`, "size: observed 3000000 > limit", CauseScript},
		{"a program that hangs", constantly, "sleep 60", "still running after its timeout of 300ms", CauseTimeout},
		{"a program that writes to the model", constantly, "chmod u+w \"$SM_MODEL_DIR/vocabulary\"; printf y >> \"$SM_MODEL_DIR/vocabulary\"\n" + answerConstantly, "predict.command changed the files of SM_MODEL_DIR", CauseScript},
		{"no files", "true", answerConstantly, "trainer wrote no model: want files that predict.command reads", CauseScript},
		{"a folder that is gone", `rmdir "$SM_MODEL_DIR"`, answerConstantly, "trainer wrote no model", CauseScript},
		{"a link out of the folder", `ln -s /etc/passwd "$SM_MODEL_DIR/passwd"`, answerConstantly, `"passwd" in SM_MODEL_DIR is a link, want regular files`, CauseScript},
		{"a pipe that nobody writes", `mkfifo "$SM_MODEL_DIR/pipe"`, answerConstantly, `"pipe" in SM_MODEL_DIR is a pipe`, CauseScript},
		{"a folder that is a link", `rmdir "$SM_MODEL_DIR"; ln -s /etc "$SM_MODEL_DIR"`, answerConstantly, "in SM_MODEL_DIR is a link", CauseScript},
		{"a name that no store keeps", `: > "$SM_MODEL_DIR/a:b"`, answerConstantly, "without control characters, backslashes and colons", CauseScript},
		{"too many files", `i=0; while [ $i -le 1000 ]; do : > "$SM_MODEL_DIR/$i"; i=$((i+1)); done`, answerConstantly, "more than 1000 files", CauseScript},
		{"more bytes than are kept", `truncate -s 11G "$SM_MODEL_DIR/sparse"`, answerConstantly, "SM_MODEL_DIR holds 11811160064 bytes or more > limit 10737418240", CauseScript},
		{"a signature of another format", constantly + `printf '{"version":1,"format":"leanloop-linear","task":"binary","output":"target","classes":["0","1"],"inputs":[{"name":"n0","kind":"number"}]}' > "$SM_MODEL_DIR/signature.json"`,
			answerConstantly, "signature.json: format: observed leanloop-linear, want command", CauseScript},
		{"a signature that doesn't fit the data", constantly + `printf '{"version":1,"format":"command","task":"binary","output":"target","classes":["0","1"],"inputs":[{"name":"n0","kind":"timestamp"}]}' > "$SM_MODEL_DIR/signature.json"`,
			answerConstantly, `feature "n0": observed a column of kind number, want timestamp`, CauseScript},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, in := predicting(t, c.train, c.predict)
			if c.cause == CauseTimeout {
				s.Predict.Timeout = 300 * time.Millisecond
			}
			_, err := RunCommand(context.Background(), s, in, nil)
			if err == nil || !strings.Contains(err.Error(), c.says) || Classify(err) != c.cause {
				t.Fatalf("observed cause %d: %v\nwant %s", Classify(err), err, c.says)
			}
			if !EndedInOrder(err) {
				t.Error("the trainer itself ended in order")
			}
		})
	}
}

func TestAPredictionNeedsTheSignaturesColumns(t *testing.T) {
	p := Prediction{Program: Program{Supervisor: superviseInTest(), Argv: []string{"true"}, Home: filepath.Join(t.TempDir(), "home")}, Signature: answers(spec.Binary)}
	table := func(c ...dataset.Column) *dataset.Table { return &dataset.Table{Rows: c[0].Len(), Columns: c} }
	_, err := Predict(context.Background(), p, table(dataset.Column{Name: "z", Kind: dataset.Number, Floats: []float64{1}}))
	if _, ok := errors.AsType[*inference.MissingFeature](err); !ok {
		t.Errorf("observed %v", err)
	}
	_, err = Predict(context.Background(), p, table(dataset.Column{Name: "x", Kind: dataset.Timestamp, Times: []int64{1}}))
	if _, ok := errors.AsType[*inference.FeatureType](err); !ok {
		t.Errorf("observed %v", err)
	}
	scores, err := Predict(context.Background(), p, table(dataset.Column{Name: "x", Kind: dataset.Number, Floats: []float64{}}))
	if err != nil || len(scores) != 0 {
		t.Errorf("observed %v, %v of no rows", scores, err)
	}
}

func TestACommandFileHasNothingThatLeadsElsewhere(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	good := CommandFile{Version: 1, Command: []string{"sh"}, Timeout: 60, Files: map[string]ModelFile{"a/b": {SHA256: digest, Size: 1}}}
	if _, err := good.Marshal(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*CommandFile){
		"another version":   func(c *CommandFile) { c.Version = 2 },
		"no program":        func(c *CommandFile) { c.Command = nil },
		"a code that isn't": func(c *CommandFile) { c.Code = "../../secrets" },
		"no time":           func(c *CommandFile) { c.Timeout = 0 },
		"no files":          func(c *CommandFile) { c.Files = nil },
		"a way up":          func(c *CommandFile) { c.Files = map[string]ModelFile{"../b": {SHA256: digest}} },
		"an absolute path":  func(c *CommandFile) { c.Files = map[string]ModelFile{"/etc/passwd": {SHA256: digest}} },
		"the folder":        func(c *CommandFile) { c.Files = map[string]ModelFile{".": {SHA256: digest}} },
		"no digest":         func(c *CommandFile) { c.Files = map[string]ModelFile{"a": {}} },
		"too many bytes": func(c *CommandFile) {
			c.Files = map[string]ModelFile{"a": {SHA256: digest, Size: MaxModelBytes}, "b": {SHA256: digest, Size: 1}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := c.Marshal(); err == nil {
				t.Error("it was written")
			}
		})
	}
	for _, raw := range []string{`{`, `{"version":1,"comand":[]}`, `{} {}`, strings.Repeat(" ", 2<<20)} {
		if _, err := ParseCommandFile([]byte(raw)); err == nil {
			t.Errorf("%.30s was read", raw)
		}
	}
}
