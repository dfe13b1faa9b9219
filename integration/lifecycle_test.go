package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
)

// waited is what `submit --wait -o json` prints of the run that it followed.
type waited struct {
	Lifecycle string
	Duplicate bool
	Result    struct {
		Outcome string
		Reason  string
		Version int
	}
}

func TestAFileBecomesAServedModelByTheStartersCommands(t *testing.T) {
	m := newModel(t, shared(t), "by-commands", nil)
	data := dataFile(t, "01.csv", csv(flights(1, fileRows)))

	m.Starter(t, "ana", "validate", "-f", m.file(), "--data", data).Want(t, 0)
	m.apply(t)
	m.Starter(t, "ana", "submit", "-f", m.file(), "--data", data).Want(t, 0)
	m.stage(t, m.lifecycle(1), "approve")
	var status struct {
		Champion int
		Run      struct {
			Stage    string
			Approval struct{ Evidence activities.Evidence }
		}
	}
	m.Starter(t, "ana", "-o", "json", "status", m.name).Want(t, 0).Decode(t, &status)
	require.Zero(t, status.Champion)
	require.Equal(t, "approve", status.Run.Stage)
	require.NotEmpty(t, status.Run.Approval.Evidence.Digest)

	follow := m.Begin(t, "ben", "watch", m.name)
	m.Starter(t, "ana", "approve", m.name, "--evidence", status.Run.Approval.Evidence.Digest[:12]).Want(t, 0)
	follow().Want(t, 0)
	m.serves(t, 1)
	servesWhatIsRegistered(t, m, 1, featuresOf(flights(9, 20)))
	history(t, m, registry.KindSpecApplied, registry.KindRegistered, registry.KindApproved, registry.KindPromoted)
	m.verified(t)
	// The run is found by what it is, in the Temporal UI as here.
	query := fmt.Sprintf("WorkflowType = 'Lifecycle' AND Model = '%s' AND Outcome = 'promoted' AND Team = 'tests'", m.name)
	testkit.Until(t, "the run, by its search attributes", stageLimit, func() (bool, any) {
		found, err := m.Temporal.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		return err == nil && found.GetCount() == 1, err
	})
}

// servesWhatIsRegistered asks the gateway about rows and compares with the artifact, read from the bucket and scored
// here.
func servesWhatIsRegistered(t *testing.T, m *model, version int, rows []map[string]any) {
	t.Helper()
	artifact := m.artifact(t, m.head(t), version)
	x, scores := make([]float64, len(artifact.Signature.Inputs)), make([]float64, artifact.Signature.Outputs())
	ids := map[string]bool{}
	for _, features := range rows {
		require.NoError(t, artifact.Encode(features, x))
		require.NoError(t, artifact.Scorer.Score(x, 1, scores))
		p, err := m.predictFrom(t.Context(), features)
		require.NoError(t, err)
		_, score := artifact.Decision(scores)
		require.Equal(t, score, p.Score)
		if len(scores) > 1 {
			require.Len(t, p.Scores, len(scores))
			for k, class := range artifact.Signature.Classes {
				require.Equal(t, scores[k], p.Scores[class], class)
			}
		}
		require.Equal(t, version, p.Version)
		require.Equal(t, m.name, p.Model)
		ids[p.ID] = true
	}
	require.Len(t, ids, len(rows), "each prediction has an id of its own")
}

// artifact is the model of a version, read from the bucket.
func (m *model) artifact(t *testing.T, head registry.State, version int) *inference.Model {
	t.Helper()
	v, ok := head.Version(version)
	require.True(t, ok)
	files := map[string][]byte{}
	for _, name := range []string{inference.ModelFile, inference.SignatureFile} {
		raw, err := registry.ReadArtifactFile(t.Context(), m.Store, m.name, v.Artifact, name, 16<<20)
		require.NoError(t, err)
		files[name] = raw
	}
	artifact, err := inference.Load(files, inference.DefaultLimits())
	require.NoError(t, err)
	return artifact
}

// history holds `starter history` to these kinds of entries, in order.
func history(t *testing.T, m *model, kinds ...registry.Kind) {
	t.Helper()
	var entries []struct{ Kind registry.Kind }
	m.Starter(t, "ana", "-o", "json", "history", m.name, "--limit", "0").Want(t, 0).Decode(t, &entries)
	var found []registry.Kind
	for _, e := range entries {
		if e.Kind != registry.KindCanaryWeight || found[len(found)-1] != e.Kind { // renewals of a lease are one
			found = append(found, e.Kind)
		}
	}
	require.Equal(t, kinds, found)
}

func TestTheSameDataAgainIsUnchanged(t *testing.T) {
	m := newModel(t, shared(t), "again", nil)
	m.champion(t)
	content := csv(flights(1, fileRows))
	for _, c := range []struct {
		rule    string
		args    []string
		outcome string
		run     string
		known   bool
	}{
		{"the same file is the run that took it", []string{"--data", dataFile(t, "01.csv", content)}, activities.Promoted, m.lifecycle(1), true},
		{"its bytes under another name change nothing", []string{"--data", dataFile(t, "copy.csv", content)}, activities.Unchanged, m.lifecycle(2), false},
		{"no file at all changes nothing", nil, activities.Unchanged, m.lifecycle(3), false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var out waited
			m.Starter(t, "ana", append([]string{"-o", "json", "submit", m.name, "--wait"}, c.args...)...).Want(t, 0).Decode(t, &out)
			require.Equal(t, c.outcome, out.Result.Outcome, out.Result.Reason)
			require.Equal(t, c.run, out.Lifecycle)
			require.Equal(t, c.known, out.Duplicate)
		})
	}
	require.Len(t, m.head(t).Versions, 1)
}

func TestABetterChallengerIsCanariedOnTrafficAndPromoted(t *testing.T) {
	m := newModel(t, shared(t), "challenged", nil)
	m.champion(t)
	asked := m.asks(t, flights(3, 500))
	m.challenger(t)
	m.ends(t, 2, activities.Promoted)
	m.serves(t, 2)
	asked.stop()
	require.NoError(t, asked.trouble())
	require.Equal(t, 2, m.head(t).Champion)
	history(t, m,
		registry.KindSpecApplied, registry.KindRegistered, registry.KindApproved, registry.KindPromoted,
		registry.KindRegistered, registry.KindApproved, registry.KindCanaryStarted, registry.KindCanaryWeight, registry.KindPromoted)
	// The former champion can come back, and who wants that needs no workflow. It is confirmed when the command ends.
	m.Starter(t, "ben", "rollback", m.name, "--reason", "customers complain").Want(t, 0)
	p, err := m.predict(t.Context(), flights(3, 1)[0])
	require.NoError(t, err)
	require.Equal(t, 1, p.Version)
	m.verified(t)
}

func TestARunsOutcomeIsTheExitCode(t *testing.T) {
	s := shared(t)
	for _, c := range []struct {
		rule   string
		change func(*spec.Model)
		act    func(t *testing.T, m *model)
		code   int
		says   string
	}{
		{rule: "3 a gate fails", code: 3, says: "roc_auc",
			change: func(m *spec.Model) { m.Gates.Metrics["roc_auc"] = spec.Bound{Min: new(0.9999)} }},
		{rule: "4 a person rejects", code: 4, says: "not on a friday", act: func(t *testing.T, m *model) {
			m.stage(t, m.lifecycle(1), "approve")
			m.Starter(t, "ben", "reject", m.name, "--reason", "not on a friday").Want(t, 0)
		}},
		{rule: "6 nobody decides in time", code: 6, says: "no decision within",
			change: func(m *spec.Model) { m.Approval.Timeout = spec.Duration(2 * time.Second) }},
		{rule: "1 a person cancels", code: 1, says: "wrong month", act: func(t *testing.T, m *model) {
			m.stage(t, m.lifecycle(1), "approve")
			m.Starter(t, "ben", "cancel", m.name, "--reason", "wrong month").Want(t, 0)
		}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			m := newModel(t, s, "code-"+c.rule[:1]+"-"+strings.ReplaceAll(c.rule[2:], " ", "-"), c.change)
			data := dataFile(t, "01.csv", csv(flights(1, fileRows)))
			run := m.Begin(t, "ana", "submit", "-f", m.file(), "--data", data, "--wait")
			if c.act != nil {
				c.act(t, m)
			}
			a := run().Want(t, c.code)
			require.Contains(t, a.Out+a.Err, c.says)
			require.Zero(t, m.head(t).Champion)
			m.closed(t, m.lifecycle(1))
			m.verified(t)
		})
	}
}

func TestAnAbortedCanaryIsARunThatIsRolledBack(t *testing.T) {
	m := newModel(t, shared(t), "aborted", slowCanary)
	m.champion(t)
	data := dataFile(t, "02.csv", csv(flights(2, fileRows)))
	run := m.Begin(t, "ana", "submit", m.name, "--data", data, "--wait")
	testkit.Until(t, "run 2", stageLimit, func() (bool, any) { return m.open(t, m.lifecycle(2)), nil })
	m.approved(t, 2)
	m.exposed(t)
	m.Starter(t, "ben", "canary", "abort", m.name, "--reason", "seen enough").Want(t, 0)
	a := run().Want(t, 5)
	require.Contains(t, a.Out+a.Err, "seen enough")
	m.serves(t, 1)
	m.verified(t)
}

func TestWhatIsNotThereIsSevenAndWhatIsWrongIsTwo(t *testing.T) {
	m := newModel(t, shared(t), "nothing-yet", nil)
	for _, args := range [][]string{
		{"status", "no-such-model"}, {"history", "no-such-model"}, {"verify", "no-such-model"}, {"submit", "no-such-model"},
		{"approve", "no-such-model"}, {"rollback", "no-such-model", "--reason", "x"},
	} {
		a := m.Starter(t, "ana", args...).Want(t, 7)
		require.Contains(t, a.Err, "no-such-model")
	}
	m.apply(t)
	a := m.Starter(t, "ana", "approve", m.name).Want(t, 7)
	require.Contains(t, a.Err, m.name)
	m.Starter(t, "ana", "canary", "abort", m.name, "--reason", "x").Want(t, 7)

	m.Starter(t, "ana", "apply", "-f", filepath.Join(m.dir, "missing.yaml")).Want(t, 2)
	raw, err := os.ReadFile(m.file())
	require.NoError(t, err)
	wrong := filepath.Join(m.dir, "wrong.yaml")
	require.NoError(t, os.WriteFile(wrong, bytes.Replace(raw, []byte("quorum:"), []byte("quorun:"), 1), 0o600))
	a = m.Starter(t, "ana", "validate", "-f", wrong).Want(t, 2)
	require.Contains(t, a.Err, "quorun")
	require.Contains(t, a.Err, "quorum")
}
