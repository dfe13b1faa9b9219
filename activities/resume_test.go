package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/registry"
)

// failed is a world whose first run got to its registration and was then cancelled.
func failed(t *testing.T) (w *world, kept Kept) {
	w = newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	must(t, w.runs().Claim, LifecycleInput{Model: theModel, Number: 1, Spec: w.spec})
	s, trained, judged := w.evaluate()
	v := must(t, (&Registrar{Lake: w.lake}).Register, RegisterInput{
		Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), Number: w.run, Snapshot: s, Train: trained, Evaluate: judged,
	})
	kept = Kept{AsOf: t0, Round: 1, Snapshot: &s, Train: &trained, Evaluate: &judged, Register: &v}
	must(t, w.runs().Close, LifecycleResult{ID: w.lifecycle(), Model: theModel, Number: 1, Outcome: Cancelled, Kept: &kept})
	return w, kept
}

func (w *world) restore(from string) RestoreInput {
	return RestoreInput{Model: theModel, Spec: w.spec, Resume: Resume{Number: 1, From: from}}
}

func TestARunIsRestoredUpToTheStageThatRunsAgain(t *testing.T) {
	w, kept := failed(t)
	a := &Snapshots{Lake: w.lake}
	for from, want := range map[string]Kept{
		StageTrain:    {AsOf: t0, Round: 1, Snapshot: kept.Snapshot},
		StageEvaluate: {AsOf: t0, Round: 1, Snapshot: kept.Snapshot, Train: kept.Train},
		StageRegister: {AsOf: t0, Round: 1, Snapshot: kept.Snapshot, Train: kept.Train, Evaluate: kept.Evaluate},
		StageApprove:  kept,
	} {
		got := must(t, a.Restore, w.restore(from))
		require.Equal(t, want.Train, got.Train, from)
		require.Equal(t, want.Evaluate == nil, got.Evaluate == nil, from)
		require.Equal(t, want.Register, got.Register, from)
		require.Equal(t, kept.Snapshot.Digest, got.Snapshot.Digest)
		require.True(t, got.AsOf.Equal(t0))
	}
}

func TestWhatWasAlteredOrMovedOnIsNotGoneOnWith(t *testing.T) {
	for _, c := range []struct {
		name, from, kind, says string
		change                 func(*world, Kept)
	}{
		{"a model whose bytes changed", StageEvaluate, ErrorCorrupt, "model.json", func(w *world, k Kept) {
			_, err := w.store.Put(w.t.Context(), k.Train.Prefix+fileModel, strings.NewReader("{}"), 2)
			require.NoError(w.t, err)
		}},
		{"an evaluation that is gone", StageRegister, ErrorCorrupt, "", func(w *world, k Kept) {
			w.store.Remove(k.Evaluate.Prefix + k.Evaluate.Files[fileMetrics].SHA256 + ".json")
		}},
		{"another spec is applied", StageTrain, ErrorConflict, "is applied by now: starter submit flights", func(w *world, _ Kept) { w.apply("accuracy: {min: 0.6}", "accuracy: {min: 0.7}") }},
		{"the version was rejected", StageApprove, ErrorConflict, "version 1 is rejected by now", func(w *world, k Kept) {
			w.do(registry.Command{Kind: registry.KindRejected, Rejected: &registry.Decided{Version: 1, Evidence: k.Register.Evidence.Digest, Reason: "no"}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, kept := failed(t)
			c.change(w, kept)
			_, err := try(t, (&Snapshots{Lake: w.lake}).Restore, w.restore(c.from))
			requireType(t, c.kind, err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestOnlyARunThatBrokeOffGoesOn(t *testing.T) {
	snapshot := &Kept{Snapshot: &SnapshotOutput{}}
	ended := func(outcome string, k *Kept) *LifecycleResult { return &LifecycleResult{Outcome: outcome, Kept: k} }
	for _, c := range []struct {
		name, from, says string
		record           Record
	}{
		{"one that runs", StageTrain, "it hasn't ended", Record{}},
		{"one that was promoted", StageTrain, "it ended promoted", Record{Result: ended(Promoted, snapshot)}},
		{"one that people rejected", StageApprove, "it ended rejected", Record{Result: ended(Rejected, snapshot)}},
		{"one whose gates decided", StageEvaluate, "it ended gate_failed", Record{Result: ended(GateFailed, snapshot)}},
		{"a stage that isn't one", "canary", "want one of train, evaluate, register, approve", Record{Result: ended(Failed, snapshot)}},
		{"no snapshot", StageTrain, "it didn't get through its stage snapshot", Record{Result: ended(Failed, nil)}},
		{"no model", StageEvaluate, "it didn't get through its stage train: --from train, or earlier", Record{Result: ended(Failed, snapshot)}},
		{"no version", StageApprove, "it didn't get through its stage train", Record{Result: ended(Failed, snapshot)}},
		{"an imported model", StageTrain, "import it again", Record{Input: LifecycleInput{Import: &Import{}}, Result: ended(Failed, snapshot)}},
		{"one that can", StageTrain, "", Record{Result: ended(TimedOut, snapshot)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckResume(c.record, c.from, "")
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestAResumedRunIsARunOfItsOwn(t *testing.T) {
	w, _ := failed(t)
	resumed := Trigger{Kind: TriggerPerson, Key: "k", Actor: "cli:ben", Resume: &Resume{Number: 1, From: StageEvaluate}, At: t0}
	out := must(t, (&Planner{Lake: w.lake}).Plan, PlanInput{Model: theModel, Triggers: []Trigger{{Kind: TriggerCron, Key: "c", At: t0}, resumed}})
	require.Equal(t, resumed.Resume, out.Run.Resume)
	require.Equal(t, "cli:ben resumed run 1 from evaluate", out.Run.Why)
	require.Equal(t, "cli:ben", out.Run.RequestedBy)
	require.Len(t, out.Later, 1)
}

func TestAResumedTrainingGoesOnFromTheOldRunsCheckpoint(t *testing.T) {
	w, _ := command(t, "#!/bin/sh\nset -e\nif test -e \"$LEANLOOP_CHECKPOINT_DIR/step-7\"; then cp model.json \"$SM_MODEL_DIR/model.json\"; exit 0; fi\n"+
		"echo state > \"$LEANLOOP_CHECKPOINT_DIR/step-7\"\ntrap 'exit 1' TERM\nexit 1\n")
	s := w.snapshot()
	trainer := withSecret(w)
	trainer.CheckpointEvery = 1 << 20
	in := w.trainInput(s)
	_, err := try(t, trainer.Train, in)
	requireType(t, ErrorScript, err)
	w.run, in.Continues = 2, 1
	in.Number, in.Lifecycle, in.Token = 2, w.lifecycle(), "001-fedcba09"
	_, err = try(t, trainer.Train, in)
	require.NoError(t, err)
	require.Contains(t, string(w.read("runs/flights/000000000002/attempts/001-fedcba09/log.txt")), "leanloop: continued from step 7, a checkpoint of attempt 001-abcdef01")
}
