package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/internal/timeseries"
)

const trainerSteps = 100

// A worker is killed five times while its trainer makes a hundred steps. Beside it another trains the same undisturbed.
func TestAKilledWorkersTrainingIsThatOfAnUndisturbedOne(t *testing.T) {
	s := shared(t)
	disturbed, quiet := newMachine(t, s, "killed", 1), newMachine(t, s, "quiet", 1)
	worker := disturbed.start(t, "a")
	quiet.start(t, "b")
	random := rand.New(rand.NewPCG(3, 5))
	m := newModel(t, s, "killed", func(m *spec.Model) { bySteps(t, disturbed.folder, disturbed.pool, trainerSteps, 30)(m); hopeless(m) })
	other := newModel(t, s, "undisturbed", func(m *spec.Model) { bySteps(t, quiet.folder, quiet.pool, trainerSteps, 120)(m); hopeless(m) })
	for _, m := range []*model{m, other} {
		m.apply(t)
		m.submit(t, "01.csv", csv(flights(1, fileRows)))
	}
	stored, done := 0, 0
	for kill := range 5 {
		at := done + 5 + random.IntN(10)
		testkit.Until(t, fmt.Sprintf("step %d before kill %d", at, kill+1), stageLimit, func() (bool, any) {
			starts, steps := traced(disturbed.folder, m.name)
			stored = max(stored, newestCheckpoint(t, m))
			return len(starts) == kill+1 && len(steps) > 0 && steps[len(steps)-1] >= at, []any{starts, len(steps), stored}
		})
		worker.killed(t)
		stored = max(stored, newestCheckpoint(t, m))
		testkit.Until(t, fmt.Sprintf("attempt %d", kill+2), stageLimit, func() (bool, any) {
			starts, _ := traced(disturbed.folder, m.name)
			if len(starts) < kill+2 {
				return false, starts
			}
			done = starts[kill+1]
			return true, nil
		})
		require.GreaterOrEqual(t, done, stored, "no step that was stored is made again")
	}
	m.ends(t, 1, activities.GateFailed)
	other.ends(t, 1, activities.GateFailed)
	made, failed := attempts(t, m)
	require.NotNil(t, made)
	require.Len(t, failed, 5)
	require.Equal(t, trained(t, other).Files["model.json"], made.Files["model.json"], "the model of an undisturbed training")

	// Its GPU was measured meanwhile.
	now := time.Now()
	testkit.Until(t, "samples of the GPU", stageLimit, func() (bool, any) {
		rows, err := s.Series.Sum(t.Context(), timeseries.Query{
			Measurement: "gpu", Tags: map[string]string{"model": other.name}, GroupBy: []string{"gpu"}, Start: now.Add(-time.Hour), Stop: now.Add(time.Minute),
		})
		return err == nil && len(rows) == 1 && rows[0].Fields["samples"] >= 1 && rows[0].Fields["utilisation"] == 30*rows[0].Fields["samples"], []any{rows, err}
	})
}

// A worker is stopped until its attempt is given up, and comes back: the model that it then hands in is refused.
func TestAWorkerThatComesBackTooLateCantCommit(t *testing.T) {
	s := shared(t)
	machine := newMachine(t, s, "zombie", 1)
	zombie := machine.start(t, "zombie", "--train-slots", "1")
	m := newModel(t, s, "zombie", func(m *spec.Model) {
		// It trains within the worker itself: so it ends its work when it goes on, instead of finding its trainer ended.
		m.Train.Builtin, m.Train.Params = "trees", map[string]any{"rounds": 2500.0, "max_depth": 8.0, "eta": 0.001, "early_stopping_rounds": 0.0}
		m.Train.Resources.Labels = []string{machine.pool}
		hopeless(m)
	})
	m.apply(t)
	id := m.submit(t, "01.csv", csv(flights(1, 6000)))
	m.stage(t, id, "train")
	testkit.Until(t, "the training to run", stageLimit, func() (bool, any) {
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
	require.NoError(t, syscall.Kill(zombie.process.Pid(), syscall.SIGSTOP))
	testkit.Until(t, "the attempt to be given up", stageLimit, func() (bool, any) {
		_, failed := attempts(t, m)
		return len(failed) == 1, failed
	})
	machine.start(t, "other", "--train-slots", "1", "--slots", filepath.Join(machine.folder, "of-another-machine"))
	testkit.Until(t, "the next attempt", stageLimit, func() (bool, any) {
		d, err := m.Temporal.DescribeWorkflowExecution(t.Context(), id, "")
		if err == nil {
			for _, a := range d.GetPendingActivities() {
				if a.GetLastWorkerIdentity() == machine.pool+"-other" {
					return true, nil
				}
			}
		}
		return false, d.GetPendingActivities()
	})
	require.NoError(t, syscall.Kill(zombie.process.Pid(), syscall.SIGCONT))
	m.ends(t, 1, activities.GateFailed)
	made, failed := attempts(t, m)
	require.Equal(t, []enumspb.EventType{enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT}, failed)
	require.Contains(t, made.Prefix, "/attempts/002-", "the model is the second attempt's")
	// What the zombie then reported was refused; and it made no second model of the run.
	testkit.Until(t, "the zombie's end", stageLimit, func() (bool, any) {
		log, err := os.ReadFile(zombie.log())
		return err == nil && refused(string(log)), string(log)
	})
}

// refused says that a worker's log shows the server's refusal of an attempt's end: of whatever it was that it reported,
// since a heartbeat before that may have told it already.
func refused(log string) bool {
	const why = `Error="invalid activityID or activity already timed out or invoking workflow is completed"`
	for line := range strings.Lines(log) {
		if strings.Contains(line, `msg="Task processing failed with error"`) && strings.Contains(line, "WorkerType=ActivityWorker") && strings.Contains(line, why) {
			return true
		}
	}
	return false
}

// Twenty runs at once share three GPUs of a machine, whose three workers are killed at random. Each trainer holds locks
// of its own for the GPUs that it was given.
func TestTwoTrainersNeverShareAGPU(t *testing.T) {
	s := shared(t)
	const runs, kills = 20, 6
	machine := newMachine(t, s, "share", 3)
	workers := []*worker{machine.start(t, "a"), machine.start(t, "b"), machine.start(t, "c")}
	models := make([]*model, runs)
	var submitting sync.WaitGroup
	lanes := make(chan struct{}, 4)
	for i := range models {
		models[i] = newModel(t, s, fmt.Sprintf("share-%02d", i), func(m *spec.Model) {
			bySteps(t, machine.folder, machine.pool, 15, 60)(m)
			hopeless(m)
			m.Data.Window.MinRows = 50
		})
		submitting.Go(func() {
			lanes <- struct{}{}
			defer func() { <-lanes }()
			models[i].land(t, "01.csv", csv(flights(1, 400)))
			models[i].apply(t)
		})
	}
	random := rand.New(rand.NewPCG(7, 11))
	submitting.Wait()
	done := func() int {
		n := 0
		for _, m := range models {
			if _, steps := traced(machine.folder, m.name); len(steps) > 0 && steps[len(steps)-1] == 15 {
				n++
			}
		}
		return n
	}
	for kill := range kills {
		testkit.Until(t, fmt.Sprintf("progress before kill %d", kill+1), stageLimit, func() (bool, any) { n := done(); return n >= 2*kill+1, n })
		workers[random.IntN(len(workers))].killed(t)
	}
	for _, m := range models {
		m.ends(t, 1, activities.GateFailed)
	}
	shared, err := os.ReadFile(filepath.Join(machine.folder, "shared"))
	require.ErrorIs(t, err, os.ErrNotExist, "%s", shared)
	held, err := filepath.Glob(filepath.Join(machine.folder, "held-GPU-*"))
	require.NoError(t, err)
	require.Len(t, held, 3, "every GPU was used")
}

// Runs wait for one GPU: the urgent one is first, and a team that has one is not behind all of a team that has four.
func TestTeamsTakeTurnsAndTheUrgentGoFirst(t *testing.T) {
	s := shared(t)
	machine := newMachine(t, s, "turns", 1)
	var models []*model
	for _, c := range []struct {
		name, team string
		priority   int
	}{{"many-1", "many", 3}, {"many-2", "many", 3}, {"many-3", "many", 3}, {"many-4", "many", 3}, {"few", "few", 3}, {"urgent", "many", 1}} {
		m := newModel(t, s, c.name, func(m *spec.Model) {
			bySteps(t, machine.folder, machine.pool, 2, 1)(m)
			m.Metadata.Team, m.Train.Priority = c.team, c.priority
			hopeless(m)
		})
		models = append(models, m)
		m.apply(t)
		m.submit(t, "01.csv", csv(flights(1, 400)))
		m.stage(t, m.lifecycle(1), "train")
	}
	machine.start(t, "a")
	for _, m := range models {
		m.ends(t, 1, activities.GateFailed)
	}
	raw, err := os.ReadFile(filepath.Join(machine.folder, "turns"))
	require.NoError(t, err)
	turns := strings.Fields(string(raw))
	require.Len(t, turns, len(models))
	few, urgent := models[4].name, models[5].name
	require.Equal(t, urgent, turns[0], turns)
	require.LessOrEqual(t, slices.Index(turns, few), 2, turns)
}

// A run that asks for what no worker has says so within a minute, and goes on when one comes.
func TestARunThatNobodyCanServeSaysSoAndGoesOnWhenSomebodyCan(t *testing.T) {
	s := shared(t)
	machine := newMachine(t, s, "later", 1)
	m := newModel(t, s, "later", func(m *spec.Model) {
		bySteps(t, machine.folder, machine.pool, 3, 1)(m)
		m.Train.Priority = 2
		hopeless(m)
	})
	m.apply(t)
	id := m.submit(t, "01.csv", csv(flights(1, fileRows)))
	m.stage(t, id, "train")
	testkit.Until(t, "the run to say that nobody can serve it", time.Minute, func() (bool, any) {
		st, _ := m.state(t, id)
		if len(st.Stages) == 0 {
			return false, st
		}
		train := st.Stages[len(st.Stages)-1]
		return train.Status == "waiting" && strings.HasPrefix(train.Detail, "no live worker can serve 1 GPU, labels "+machine.pool+"; live are "), st
	})
	machine.start(t, "a")
	var listed []struct {
		ID     string
		Live   bool
		Queues []string
		Offer  struct{ GPUs []struct{ ID string } }
	}
	testkit.Until(t, "the worker to be listed", stageLimit, func() (bool, any) {
		m.Starter(t, "ana", "-o", "json", "workers").Want(t, 0).Decode(t, &listed)
		for _, w := range listed {
			if w.ID == machine.pool+"-a" && w.Live && len(w.Offer.GPUs) == 1 {
				require.Contains(t, w.Queues, "leanloop-train.gpu1@"+machine.pool)
				return true, nil
			}
		}
		return false, listed
	})
	m.ends(t, 1, activities.GateFailed)
	for _, e := range history1(t, m) {
		if a := e.GetActivityTaskScheduledEventAttributes(); a.GetActivityType().GetName() == "Train" {
			require.Equal(t, "leanloop-train.gpu1@"+machine.pool, a.GetTaskQueue().GetName())
			require.EqualValues(t, 2, a.GetPriority().GetPriorityKey())
			require.Equal(t, "tests", a.GetPriority().GetFairnessKey())
		}
	}
}
