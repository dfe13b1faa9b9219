package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
)

func TestSpecDiffNamesEachField(t *testing.T) {
	parse := func(text string) *spec.Model {
		m, err := spec.Parse("model.yaml", []byte(text))
		require.NoError(t, err)
		return m
	}
	contract := func(columns string) string {
		return strings.Replace(modelYAML, "window:", "contract: {columns: ["+columns+"]}, window:", 1)
	}
	const id, left = "{name: id, type: text}", "{name: left, type: integer}"
	before := parse(contract(id + ", " + left))
	cases := []struct {
		name  string
		after string
		want  []fieldChange
	}{
		{"the same", contract(id + ", " + left), nil},
		{"one column more is one column", contract("{name: age, type: number}, " + id + ", " + left),
			[]fieldChange{{"data.contract.columns[age].name", "", "age"}, {"data.contract.columns[age].type", "", "number"}}},
		{"a plain list is a value", strings.Replace(contract(id+", "+left), "[cli:ana, cli:ben]", "[cli:ana]", 1),
			[]fieldChange{{"approval.approvers", `["cli:ana","cli:ben"]`, `["cli:ana"]`}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := specDiff(before, parse(c.after))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestApplyPacksTheFolderOfAModelsOwnProgram(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", modelYAML+"train: {command: [python3, train.py]}\n")
	w.file(dir, "train.py", "print('hello')\n")
	w.file(dir, "data/jan.csv", churnCSV)
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"), w.stderr.String())
	head, err := w.head(t.Context(), "churn")
	require.NoError(t, err)
	m, err := w.appliedSpec(t.Context(), "churn", head.State.Spec.Digest)
	require.NoError(t, err)
	require.NotEmpty(t, m.Train.Code)
	body, _, err := w.bucket.Get(t.Context(), training.CodeKey(m.Train.Code))
	require.NoError(t, err)
	into := t.TempDir() + "/code"
	require.NoError(t, training.Unpack(body, m.Train.Code, into))
	require.FileExists(t, into+"/train.py")
	require.NoFileExists(t, into+"/data/jan.csv")

	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"))
	require.Contains(t, w.stdout.String(), "is the current one already")
	w.file(dir, "train.py", "print('hello again')\n")
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"))
	require.Contains(t, w.stdout.String(), "train.code")
}

func TestApplyThatIsCutOffIsFinishedByTheNext(t *testing.T) {
	w := newSession(t)
	dir := w.inFolder()
	w.file(dir, "model.yaml", modelYAML)
	for op := range 40 {
		calls := 0
		faulty := objectstore.NewFaulty(w.bucket, func(string, string) objectstore.Fault {
			if calls++; calls == op+1 {
				return objectstore.FailAfter
			}
			return objectstore.NoFault
		})
		w.buckets = func(context.Context) (objectstore.Buckets, error) { return oneBucket{faulty}, nil }
		w.starter("apply", "-f", "model.yaml")
	}
	w.buckets = func(context.Context) (objectstore.Buckets, error) { return oneBucket{w.bucket}, nil }
	require.Equal(t, exitOK, w.starter("apply", "-f", "model.yaml"))
	head, err := w.head(t.Context(), "churn")
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Seq, "however often it was tried, it was applied once")
	require.Len(t, w.service.IDs(), 3)
}

// oneBucket is a store under every name.
type oneBucket struct{ store objectstore.Store }

func (b oneBucket) Bucket(string) objectstore.Store { return b.store }

func TestApplyChangesNothingWhereTemporalIsGone(t *testing.T) {
	w := newSession(t)
	w.file(w.inFolder(), "model.yaml", modelYAML)
	w.scheduler = func(context.Context) (client.ScheduleClient, error) {
		return nil, errors.New("temporal doesn't answer")
	}
	require.Equal(t, exitFailure, w.starter("apply", "-f", "model.yaml"))
	models, err := registry.Models(t.Context(), w.bucket)
	require.NoError(t, err)
	require.Empty(t, models)
}

func TestVerifyFindsWhatIsGone(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.champion("churn", 2)
	require.Equal(t, exitOK, w.starter("verify", "churn", "--head", "9"))
	require.Equal(t, exitFailure, w.starter("verify", "churn", "--head", "10"), "an end that somebody saw")
	require.Equal(t, exitFailure, w.starter("verify", "churn", "--head", "9:"+hex64(1)))
	require.Equal(t, exitFailure, w.starter("verify", "churn", "--artifacts"), "artifacts that nobody stored")
	require.Contains(t, w.stdout.String(), "it is missing")
	w.heartbeat("g1", 12)
	require.Equal(t, exitFailure, w.starter("verify", "--all"), "a gateway has seen more than there is")
	require.Contains(t, w.stderr.String(), "not verified: churn")
}
