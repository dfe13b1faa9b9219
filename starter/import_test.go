package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/workflows"
)

const (
	churnSignature = `{"version":1,"format":"leanloop-linear","task":"binary","output":"left","classes":["0","1"],"inputs":[{"name":"age","kind":"number"}]}`
	churnModel     = `{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[1],"features":[{"name":"age","kind":"number","weights":[0.1]}]}`
)

// importing is submitting with a model that was trained elsewhere, in a folder and as files.
func importing(t *testing.T, answers ...workflows.Submitted) *session {
	w := submitting(t, answers...)
	w.file(".", "elsewhere/model.json", churnModel)
	w.file(".", "elsewhere/signature.json", churnSignature)
	return w
}

func TestImportStoresTheFilesByDigestAndAsksForARun(t *testing.T) {
	w := importing(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
	for _, args := range [][]string{{"--artifact", "elsewhere"}, {"--artifact", "elsewhere/model.json", "--signature", "elsewhere/signature.json"}} {
		require.Equal(t, exitOK, w.starter(append([]string{"import", "-f", "model.yaml", "--reason", "the old one"}, args...)...), w.stderr.String())
	}
	require.Contains(t, w.stdout.String(), "lifecycle/churn/1 started")
	trigger := w.fake.triggers[0]
	require.Equal(t, trigger.Key, w.fake.triggers[1].Key, "the same files for the same spec")
	require.Equal(t, []any{activities.TriggerPerson, "cli:ana", "cli", "the old one", false}, []any{trigger.Kind, trigger.Actor, trigger.Via, trigger.Reason, trigger.Force})
	require.True(t, trigger.Import.TrainedUntil.IsZero())
	want := activities.NewImport(map[string][]byte{"model.json": []byte(churnModel), "signature.json": []byte(churnSignature)}, time.Time{})
	require.Equal(t, &want, trigger.Import)
	for name, content := range map[string]string{"model.json": churnModel, "signature.json": churnSignature} {
		raw, _, err := objectstore.ReadAll(t.Context(), w.bucket, "runs/churn/import/"+want.Digest+"/"+name, 1<<20)
		require.NoError(t, err)
		require.Equal(t, content, string(raw))
	}
	require.Equal(t, []string{"churn"}, w.fake.started[:1], "the spec is applied")
}

func TestImportWaitsAndPrintsAsJSON(t *testing.T) {
	w := importing(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
	w.ends(activities.GateFailed, "gate f1.min: observed 0.1 < 0.7")
	require.Equal(t, exitGate, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere", "--wait", "-o", "json"))
	require.Contains(t, w.stdout.String(), `"import": "`)
	require.Contains(t, w.stdout.String(), `"outcome": "gate_failed"`)

	w = importing(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1", Duplicate: true})
	require.Equal(t, exitOK, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere"))
	require.Contains(t, w.stdout.String(), "has this model (--force asks for another run)")
}

func TestImportTakesADayToItsEnd(t *testing.T) {
	w := importing(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
	require.Equal(t, exitUsage, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere", "--trained-until", "2013-09-30"))
	require.Contains(t, w.stderr.String(), "--trained-until needs data.time")
	w.file(".", "model.yaml", strings.Replace(modelYAML, "id: id,", "id: id, time: at,", 1))
	require.Equal(t, exitUsage, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere", "--trained-until", "30.9.2013"))
	require.Contains(t, w.stderr.String(), "want a time such as")
	require.Equal(t, exitOK, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere", "--trained-until", "2013-09-30"), w.stderr.String())
	require.Equal(t, time.Date(2013, 9, 30, 23, 59, 59, 999_999_999, time.UTC), w.fake.triggers[0].Import.TrainedUntil)
	require.Equal(t, exitOK, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere", "--trained-until", "2013-09-30T12:00:00Z"))
	require.Equal(t, time.Date(2013, 9, 30, 12, 0, 0, 0, time.UTC), w.fake.triggers[1].Import.TrainedUntil)
}

// formatted is the signature in another format.
func formatted(format string) string {
	return strings.Replace(churnSignature, "leanloop-linear", format, 1)
}

// inferenceFile is one of the models that internal/inference is tested with.
func inferenceFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../internal/inference/testdata", name))
	require.NoError(t, err)
	return string(raw)
}

func TestImportTakesWhatIsScoredElsewhereByWhatItsFilesSay(t *testing.T) {
	for format, files := range map[string]map[string]string{
		"onnx":   {"elsewhere/model.onnx": inferenceFile(t, "onnx/wide.onnx")},
		"remote": {"elsewhere/remote.json": `{"url":"http://nobody.invalid:8000","model":"churn"}`},
	} {
		t.Run(format, func(t *testing.T) {
			w := importing(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
			files["elsewhere/signature.json"] = formatted(format)
			for name, content := range files {
				w.file(".", name, content)
			}
			require.Equal(t, exitOK, w.starter("import", "-f", "model.yaml", "--artifact", "elsewhere"), w.stderr.String())
			require.Len(t, w.fake.triggers[0].Import.Files, 2)
		})
	}
}

func TestImportRefusesWhatCantServeBeforeAnythingIsStored(t *testing.T) {
	for _, c := range []struct {
		name, says string
		files      map[string]string
		args       []string
	}{
		{"no model named", "which model? --artifact FILE", nil, []string{}},
		{"no signature named", "what are its inputs? --signature", nil, []string{"--artifact", "elsewhere/model.json"}},
		{"a model that isn't there", "--artifact: open nowhere.json", nil, []string{"--artifact", "nowhere.json", "--signature", "elsewhere/signature.json"}},
		{"a signature that can't be read", `--signature: signature.json: json: unknown field "outptu"`,
			map[string]string{"elsewhere/signature.json": strings.Replace(churnSignature, "output", "outptu", 1)}, []string{"--artifact", "elsewhere"}},
		{"a model for something else", `it predicts binary of "stayed", the spec wants binary of "left"`,
			map[string]string{"elsewhere/signature.json": strings.Replace(churnSignature, "left", "stayed", 1)}, []string{"--artifact", "elsewhere"}},
		{"a model that isn't its signature's", "doesn't fit its signature",
			map[string]string{"elsewhere/model.json": strings.Replace(churnModel, "age", "height", 1)}, []string{"--artifact", "elsewhere"}},
		{"a model that reads what it predicts", `"left" is one of its inputs`,
			map[string]string{"elsewhere/signature.json": strings.Replace(churnSignature, "age", "left", 1)}, []string{"--artifact", "elsewhere"}},
		{"a file that isn't ONNX", "model.onnx",
			map[string]string{"elsewhere/signature.json": formatted("onnx"), "elsewhere/model.onnx": "no"}, []string{"--artifact", "elsewhere"}},
		{"an ONNX model of other inputs", "doesn't fit its signature: model.onnx",
			map[string]string{"elsewhere/signature.json": formatted("onnx"), "elsewhere/model.onnx": inferenceFile(t, "onnx/sigmoid.onnx")}, []string{"--artifact", "elsewhere"}},
		{"a server's address with a password in it", "remote.json: url: holds a user or password",
			map[string]string{"elsewhere/signature.json": formatted("remote"), "elsewhere/remote.json": `{"url":"http://u:p@host","model":"m"}`}, []string{"--artifact", "elsewhere"}},
		{"a program", "which comes with training",
			map[string]string{"elsewhere/signature.json": formatted("command"), "elsewhere/command.json": "{}"}, []string{"--artifact", "elsewhere"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := importing(t, workflows.Submitted{Lifecycle: "lifecycle/churn/1"})
			for name, content := range c.files {
				w.file(".", name, content)
			}
			require.Equal(t, exitUsage, w.starter(append([]string{"import", "-f", "model.yaml"}, c.args...)...))
			require.Contains(t, w.stderr.String(), c.says)
			require.Empty(t, w.fake.triggers)
			require.Empty(t, w.fake.started)
		})
	}
}
