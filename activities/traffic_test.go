package activities

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// challenger is a world with a champion, version 1, and an approved version 2.
func challenger(t *testing.T) (*world, RegisterOutput) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	return w, w.approve()
}

func (w *world) rollback(version int, reason string) RollbackInput {
	return RollbackInput{Model: theModel, Version: version, Lifecycle: w.lifecycle(), Actor: "leanloop:" + w.lifecycle(), Via: "canary", Reason: reason}
}

func TestAWeightIsALease(t *testing.T) {
	w, v := challenger(t)
	a := &Traffic{Lake: w.lake}
	in := w.traffic(v)
	out := must(t, a.Set, in)
	state := w.head().State
	require.Equal(t, v.Version, state.Challenger)
	require.InDelta(t, 0.1, state.Weight, 0)
	require.Equal(t, in.Lease, state.Lease.Until)
	require.Equal(t, out, must(t, a.Set, in), "the same step asked again is the same entry")

	w.now = w.now.Add(30 * time.Minute)
	renewed := in
	renewed.Start, renewed.Key, renewed.Weight, renewed.Lease = false, w.lifecycle()+"/canary/2", 0.5, w.now.Add(time.Hour)
	must(t, a.Set, renewed)
	require.Equal(t, renewed.Lease, w.head().State.Lease.Until)

	late := renewed
	late.Key, late.Lease = w.lifecycle()+"/canary/3", w.now.Add(-time.Second)
	_, err := try(t, a.Set, late)
	requireType(t, ErrorLedgerRule, err)
}

func TestAWeightAskedAgainDifferentlyIsSetAsAskedNow(t *testing.T) {
	w, v := challenger(t)
	a := &Traffic{Lake: w.lake}
	first := w.traffic(v)
	must(t, a.Set, first) // and its answer is lost

	w.now = w.now.Add(10 * time.Minute)
	again := first
	again.Weight, again.Lease = 0, w.now.Add(time.Hour) // paused meanwhile
	out := must(t, a.Set, again)
	state := w.head().State
	require.Zero(t, state.Weight)
	require.Equal(t, again.Lease, state.Lease.Until)
	require.Equal(t, state.Seq, out.Seq)
	require.Equal(t, out, must(t, a.Set, again), "asked the same way again it is the same entry")
}

func TestWhatAPersonDoesIsAnEntryInTheirName(t *testing.T) {
	w, v := challenger(t)
	a := &Traffic{Lake: w.lake}
	must(t, a.Set, w.traffic(v))
	paused := w.traffic(v)
	paused.Start, paused.Key = false, w.lifecycle()+"/canary/2"
	must(t, a.Set, paused) // the same step, asked before the person came, and its answer is lost
	paused.Action, paused.Actor, paused.Via, paused.Reason = registry.CanaryPaused, "cli:ben", "cli", "a storm"
	out := must(t, a.Set, paused)
	head := w.head()
	require.Equal(t, registry.KindCanaryWeight, head.Command.Kind)
	require.Equal(t, registry.CanaryPaused, head.Command.Canary.Action)
	require.Equal(t, []string{"cli:ben", "cli", "a storm"}, []string{head.Command.Actor, head.Command.Via, head.Command.Reason})
	require.Equal(t, out, must(t, a.Set, paused), "asked again it is the same entry")
	require.Equal(t, head.Seq, w.head().Seq)
}

func TestAWeightOfAnotherEpochIsAConflict(t *testing.T) {
	w, v := challenger(t)
	in := w.traffic(v)
	in.Epoch++
	_, err := try(t, (&Traffic{Lake: w.lake}).Set, in)
	requireType(t, ErrorConflict, err)
}

func TestPromotionRaisesTheEpochAndIsDoneOnce(t *testing.T) {
	w, v := challenger(t)
	w.challenge(v)
	a := &Traffic{Lake: w.lake}
	out := must(t, a.Promote, w.promotion(v))
	require.Equal(t, v.Version, w.head().State.Champion)
	require.Greater(t, out.Epoch, v.Evidence.Of.Epoch)
	require.Equal(t, out, must(t, a.Promote, w.promotion(v)))
	require.Equal(t, out.Hash, w.head().Hash)
}

func TestNoPromotionOverARollback(t *testing.T) {
	w, v := challenger(t)
	w.challenge(v)
	a := &Traffic{Lake: w.lake}
	must(t, a.Rollback, w.rollback(v.Version, "slow"))
	_, err := try(t, a.Promote, w.promotion(v))
	requireType(t, ErrorConflict, err)
	require.Equal(t, 1, w.head().State.Champion)
}

func TestARollbackTakesTheChallengersTrafficAndNothingElse(t *testing.T) {
	w, v := challenger(t)
	w.challenge(v)
	a := &Traffic{Lake: w.lake}
	require.Equal(t, w.head().Seq, must(t, a.Rollback, w.rollback(1, "not the challenger")).Seq, "another version's rollback changes nothing")
	require.Equal(t, w.head().Seq, must(t, a.Rollback, w.rollback(0, "no version")).Seq)
	require.Equal(t, v.Version, w.head().State.Challenger)

	out := must(t, a.Rollback, w.rollback(v.Version, "slow"))
	state := w.head().State
	require.Zero(t, state.Challenger)
	require.Zero(t, state.Weight)
	require.Equal(t, 1, state.Champion)
	require.Equal(t, out, must(t, a.Rollback, w.rollback(v.Version, "again")), "nothing is left to do")
}

func TestARollbackIsRecordedHoweverLongItsReason(t *testing.T) {
	w, v := challenger(t)
	w.challenge(v)
	must(t, (&Traffic{Lake: w.lake}).Rollback, w.rollback(v.Version, strings.Repeat("because ", 1000)))
	require.Zero(t, w.head().State.Challenger)
}

func TestARollbackWhoseAnswerIsLostIsFoundDone(t *testing.T) {
	w, v := challenger(t)
	w.challenge(v)
	before := w.head().Seq
	lost := true
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" && lost {
			lost = false
			return objectstore.FailAfter
		}
		return objectstore.NoFault
	})
	lake := &Lake{Store: w.lake.Store, Now: w.lake.Now}
	a := &Traffic{Lake: lake}
	_, err := try(t, a.Rollback, w.rollback(v.Version, "slow"))
	if err != nil {
		requireType(t, "", err)
	}
	must(t, a.Rollback, w.rollback(v.Version, "slow"))
	require.Equal(t, before+1, w.head().Seq)
}

func TestARollbackThatSomebodyElseMakesFirstIsDone(t *testing.T) {
	w, v := challenger(t)
	w.challenge(v)
	raced := false
	w.lake = &Lake{Now: w.lake.Now, Store: objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault {
		if op == "create" && !raced {
			raced = true
			w.do(registry.Command{Kind: registry.KindRolledBack, Reason: "break glass", RolledBack: &registry.RolledBack{Version: v.Version}})
		}
		return objectstore.NoFault
	})}
	out := must(t, (&Traffic{Lake: w.lake}).Rollback, w.rollback(v.Version, "slow"))
	require.True(t, raced)
	require.Equal(t, w.head().Seq, out.Seq)
	require.Equal(t, "break glass", w.head().Command.Reason)
}

func TestConfirmationWaitsForEveryLiveGateway(t *testing.T) {
	w := newWorld(t)
	beat := func(id string, seq int64, expires time.Time) {
		require.NoError(t, registry.PutHeartbeat(t.Context(), w.store, registry.Heartbeat{
			ID: id, ExpiresAt: expires, Models: map[string]registry.Serve{theModel: {Seq: seq}},
		}))
	}
	a := &Traffic{Lake: w.lake}
	in := ConfirmInput{Model: theModel, Seq: 7, Within: 20 * time.Millisecond}
	out := must(t, a.Confirm, in)
	require.False(t, out.Confirmed, "no gateway confirms nothing")
	require.Equal(t, []string{"no gateway is alive"}, out.Missing)

	beat("one", 7, w.now.Add(time.Minute))
	beat("two", 6, w.now.Add(time.Minute))
	beat("gone", 1, w.now.Add(-time.Second))
	out = must(t, a.Confirm, in)
	require.False(t, out.Confirmed)
	require.Equal(t, 2, out.Gateways)
	require.Equal(t, []string{"two"}, out.Missing, "one that is gone serves nothing")

	beat("two", 8, w.now.Add(time.Minute))
	require.True(t, must(t, a.Confirm, in).Confirmed)

	w.lake.Store = objectstore.NewFaulty(w.store, func(op, key string) objectstore.Fault { return objectstore.FailBefore })
	_, err := try(t, a.Confirm, in)
	requireType(t, "", err)
	require.False(t, errors.Is(err, objectstore.ErrNotFound))
}
