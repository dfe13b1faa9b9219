package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

func TestRegisteringTwiceGrantsOneNumber(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s, trained, judged := w.evaluate()
	in := RegisterInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged,
	}
	a := &Registrar{Lake: w.lake}
	first := must(t, a.Register, in)
	require.Equal(t, 1, first.Version)
	require.Equal(t, first, must(t, a.Register, in))
	require.Len(t, w.head().State.Versions, 1)

	v, _ := w.head().State.Version(1)
	require.Equal(t, first.Evidence.Digest, v.Evidence)
	require.Equal(t, trained.NewestEvent, v.NewestEvent)
	require.Equal(t, s.Digest, v.Snapshot)
	m, err := registry.OpenArtifact(t.Context(), w.store, theModel, v.Artifact)
	require.NoError(t, err)
	for _, name := range []string{fileModel, fileSignature, fileTrained, fileProfile, fileMetrics, fileCalibration, fileCard} {
		require.Contains(t, m.Files, name)
	}
}

func TestEvidenceBindsEverythingThatWasJudged(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s, trained, judged := w.evaluate()
	register := func(change func(in *RegisterInput)) Evidence {
		in := RegisterInput{
			Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged,
		}
		change(&in)
		return must(t, (&Registrar{Lake: w.lake}).Register, in).Evidence
	}
	base := register(func(*RegisterInput) {})
	require.Equal(t, base.Digest, base.Of.Digest())
	for name, change := range map[string]func(in *RegisterInput){
		"the champion that it was compared with": func(in *RegisterInput) { in.Evaluate.Summary.Champion = 3 },
		"the champion's epoch":                   func(in *RegisterInput) { in.Evaluate.Summary.Epoch = 9 },
		"the snapshot":                           func(in *RegisterInput) { in.Snapshot.Digest = strings.Repeat("0", 64) },
		"the gates' report":                      func(in *RegisterInput) { in.Evaluate.Summary.Verdict.Outcome = "inconclusive" },
	} {
		require.NotEqual(t, base.Digest, register(change).Digest, name)
	}
}

func TestAnApprovalOfEvidenceThatMovedIsVoid(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	v := w.register()
	require.Equal(t, 1, v.Evidence.Of.Champion)
	// Meanwhile another version is promoted from elsewhere.
	w.run++
	w.accept("2013-03.csv", flights(january.AddDate(0, 2, 0), 400, 3))
	other := w.promote()
	w.run -= 2

	a := &Registrar{Lake: w.lake}
	out := must(t, a.Decide, w.decision(v))
	require.Contains(t, out.Void, "champion")
	after, _ := w.head().State.Version(v.Version)
	require.Equal(t, registry.StatusRegistered, after.Status, "a void approval approves nothing")
	require.Equal(t, other, w.head().State.Champion)
}

func TestTheFirstDecisionStands(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	v := w.register()
	a := &Registrar{Lake: w.lake}
	no := w.decision(v)
	no.Approved, no.Reason = false, "too good to be true"
	out := must(t, a.Decide, no)
	require.Empty(t, out.Void)
	require.Equal(t, out, must(t, a.Decide, no), "asked again, it is the same entry")

	late := w.decision(v)
	late.Round = 2
	_, err := try(t, a.Decide, late)
	requireType(t, ErrorLedgerRule, err)
	require.Contains(t, err.Error(), "decided already: rejected")
}

func TestALongReasonIsNoReasonToRefuseADecision(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	in := w.decision(w.register())
	in.Reason = strings.Repeat("because é ", 1000)
	require.Positive(t, must(t, (&Registrar{Lake: w.lake}).Decide, in).Seq)
}

func TestFilesThatChangedAreNotRegistered(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	s, trained, judged := w.evaluate()
	in := RegisterInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged,
	}
	for _, key := range []string{trained.Prefix + fileModel, judged.Prefix + judged.Files[fileMetrics].SHA256 + ".json"} {
		kept := w.read(key)
		_, err := w.store.Put(t.Context(), key, strings.NewReader("{}"), 2)
		require.NoError(t, err)
		_, err = try(t, (&Registrar{Lake: w.lake}).Register, in)
		requireType(t, ErrorCorrupt, err)
		_, err = w.store.Put(t.Context(), key, strings.NewReader(string(kept)), int64(len(kept)))
		require.NoError(t, err)
	}
	require.Empty(t, w.head().State.Versions)
}
