package integration

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
)

// A stack of its own, as `starter dev --data D` starts it, loses one program after the other, and at last all at once.
func TestRunsAndServingOutliveKills(t *testing.T) {
	s, dir := shared(t), t.TempDir()
	dev := testkit.StartDev(t, s, dir)
	m := newModel(t, dev.Stack, "survivor", func(m *spec.Model) {
		m.Canary.Steps[0].Hold, m.Canary.Deadline = spec.Duration(6*time.Second), spec.Duration(2*time.Minute)
	})
	m.champion(t)

	t.Run("the gateway serves without any server, and comes back from its folder", func(t *testing.T) {
		servesWithoutServers(t, dev, m)
	})
	t.Run("a worker that is killed while it trains is replaced", func(t *testing.T) {
		trainsAfterAKill(t, dev, m)
	})
	t.Run("a canary ends by itself after everything was killed", func(t *testing.T) {
		watch := m.Begin(t, "ben", "watch", m.name) // a terminal that somebody leaves open through all of it
		m.approved(t, 2)
		before := m.exposed(t)
		dev.KillAll(t)
		dev = testkit.StartDev(t, s, dir)
		m.Stack = dev.Stack
		m.asks(t, flights(3, 500))
		endsByItself(t, m, before.Seq)
		watch().Want(t, 0)
	})
}

// servesWithoutServers stops Temporal, S3 and InfluxDB as they stand, asks the gateway, kills it and asks the next.
func servesWithoutServers(t *testing.T, dev *testkit.Dev, m *model) {
	row := flights(3, 1)[0]
	before, err := m.predict(t.Context(), row)
	require.NoError(t, err)
	dev.Signal(t, "devstack", syscall.SIGSTOP)
	defer dev.Signal(t, "devstack", syscall.SIGCONT)
	for range 50 {
		p, err := m.predict(t.Context(), row)
		require.NoError(t, err)
		require.Equal(t, before.Score, p.Score)
	}
	old := dev.Process(t, "gateway")
	dev.Signal(t, "gateway", syscall.SIGKILL)
	testkit.Until(t, "another gateway that serves from its folder", stageLimit, func() (bool, any) {
		p, err := m.predict(t.Context(), row)
		if err != nil {
			return false, err
		}
		require.Equal(t, before.Score, p.Score)
		require.Equal(t, before.Version, p.Version)
		return true, nil
	})
	require.NotEqual(t, old, dev.Process(t, "gateway"))
}

// trainsAfterAKill starts a training of some seconds, kills its worker in the middle and waits for the run to come to
// its approval by another one.
func trainsAfterAKill(t *testing.T, dev *testkit.Dev, m *model) {
	m.change(t, func(m *spec.Model) {
		m.Train.Builtin, m.Train.Params = "trees", map[string]any{"rounds": 2000.0, "max_depth": 8.0, "eta": 0.001, "early_stopping_rounds": 0.0}
		m.Train.Retries.Script = 0
	})
	id := m.submit(t, "02.csv", csv(flights(2, 6000)))
	m.stage(t, id, "train")
	testkit.Until(t, "progress in training", stageLimit, func() (bool, any) {
		d, err := m.Temporal.DescribeWorkflowExecution(t.Context(), id, "")
		if err != nil {
			return false, err
		}
		for _, a := range d.GetPendingActivities() {
			if a.GetActivityType().GetName() == "Train" && a.GetHeartbeatDetails() != nil {
				return true, nil
			}
		}
		return false, d.GetPendingActivities()
	})
	old := dev.Process(t, "worker")
	dev.Signal(t, "worker", syscall.SIGKILL)
	s := m.stage(t, id, "approve")
	require.NotEqual(t, old, dev.Process(t, "worker"))
	for _, stage := range s.Stages {
		if stage.Name == "train" {
			require.Contains(t, stage.Detail, "attempt 2")
		}
	}
}

// endsByItself waits for the end of a canary whose workers and servers were killed, and holds the ledger to one
// champion at every entry.
func endsByItself(t *testing.T, m *model, before int64) {
	m.ends(t, 2, activities.Promoted)
	m.serves(t, 2)
	require.Equal(t, 2, m.head(t).Champion)
	champions, promotions := map[int]bool{}, 0
	require.NoError(t, m.ledger().History(t.Context(), 1, func(e registry.Entry) error {
		champions[e.State.Champion] = true
		if e.Command.Kind == registry.KindPromoted {
			promotions++
		}
		return nil
	}))
	require.Equal(t, map[int]bool{0: true, 1: true, 2: true}, champions)
	require.Equal(t, 2, promotions, "each promotion is written once")
	head, err := m.ledger().Head(t.Context())
	require.NoError(t, err)
	require.Greater(t, head.Seq, before)
	m.Starter(t, "ana", "verify", m.name, "--artifacts").Want(t, 0)
}
