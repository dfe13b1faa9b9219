package activities

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// costing is a world where each look at the clock takes a second, which costs one; its trainer fails.
func costing(t *testing.T, budget string) (*world, TrainInput) {
	t.Helper()
	command, err := json.Marshal([]string{os.Args[0], "-no-such-flag"})
	require.NoError(t, err)
	w := newWorld(t, "train: {builtin: linear}", "train: {command: "+string(command)+", timeout: 20s}", "notify:", "budget: {cost_per_hour: 3600"+budget+"}\nnotify:")
	w.accept("2013-01.csv", flights(january, 400, 1))
	in := w.trainInput(w.snapshot())
	w.lake.Now = func() time.Time { w.now = w.now.Add(time.Second); return w.now }
	return w, in
}

func TestFailedAttemptsAreBookedOnTheirRun(t *testing.T) {
	w, in := costing(t, "")
	total := 0.0
	for i, token := range []string{"001-abcdef01", "002-abcdef01"} {
		in.Attempt, in.Token = i+1, token
		_, err := try(t, w.trainer().Train, in)
		requireType(t, ErrorScript, err)
		var c AttemptCost
		require.NoError(t, json.Unmarshal(w.read("runs/flights/000000000001/attempts/"+token+"/spent.json"), &c))
		require.Equal(t, i+1, c.Attempt)
		require.Positive(t, c.Cost)
		require.InDelta(t, c.Seconds, c.Cost, 1e-9)
		require.Contains(t, c.Ended, "exit code 2")
		total += c.Cost
	}
	closed := must(t, w.runs().Close, LifecycleResult{Model: theModel, Number: 1, Outcome: Failed, Started: w.now})
	require.InDelta(t, total, closed.Cost, 1e-9)
	w.claim(1, Trigger{Kind: TriggerCron, Key: "1"})
	require.InDelta(t, total, must(t, w.runs().Recover, RecoverInput{Model: theModel}).Spent, 1e-9, "and so on the month's budget")
}

func TestAnAttemptEndsWithItsRunsBudget(t *testing.T) {
	w, in := costing(t, ", per_run: 3 USD")
	_, err := try(t, w.trainer().Train, in)
	requireType(t, ErrorScript, err)
	for range 3 {
		if in.Attempt++; err == nil {
			break
		}
		in.Token = "00" + string(rune('0'+in.Attempt)) + "-abcdef01"
		_, err = try(t, w.trainer().Train, in)
	}
	requireType(t, ErrorTrainInput, err)
	require.Contains(t, err.Error(), "budget.per_run: its attempts have spent")
}

func TestAStoreThatTakesNoBookingStopsNoTraining(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 400, 1))
	in := w.trainInput(w.snapshot())
	w.lake.Store = objectstore.NewFaulty(w.store, func(op, _ string) objectstore.Fault {
		if op == "put" {
			return objectstore.FailBefore
		}
		return objectstore.NoFault
	})
	must(t, w.trainer().Train, in)
}
