package schedules_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/schedules"
	"github.com/leanloop/leanloop/schedules/schedulestest"
	"github.com/leanloop/leanloop/workflows"
)

func model(change func(*spec.Model)) *spec.Model {
	m := spec.Defaults()
	m.Metadata = spec.Metadata{Name: "churn", Team: "ops"}
	m.Monitor.Drift.Every = spec.Duration(time.Hour)
	m.Monitor.Quality.Every = spec.Duration(7 * 24 * time.Hour)
	m.Retrain.On, m.Retrain.Cron = []string{"new_data", "cron"}, "0 3 * * MON"
	if change != nil {
		change(m)
	}
	return m
}

func ids(list []schedules.Schedule) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, s.ID)
	}
	return out
}

func TestDesiredFollowsTheSpec(t *testing.T) {
	cases := []struct {
		name   string
		change func(*spec.Model)
		want   []string
	}{
		{"drift, quality and cron", nil, []string{"drift/churn", "quality/churn", "retrain/churn"}},
		{"an interval of zero is off", func(m *spec.Model) { m.Monitor.Drift.Every, m.Monitor.Quality.Every = 0, 0 }, []string{"retrain/churn"}},
		{"a cron line that retrain.on doesn't name is off", func(m *spec.Model) { m.Retrain.On = []string{"new_data"} }, []string{"drift/churn", "quality/churn"}},
		{"no cron line", func(m *spec.Model) { m.Retrain.Cron = "" }, []string{"drift/churn", "quality/churn"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, ids(schedules.Desired(model(c.change))))
		})
	}
}

func TestDesiredSettings(t *testing.T) {
	list := schedules.Desired(model(nil))
	drift, retrain := list[0], list[2]
	require.Equal(t, workflows.TypeDrift, drift.Workflow)
	require.Equal(t, workflows.QueueLifecycle, drift.TaskQueue)
	require.Equal(t, "skip", drift.Overlap)
	require.True(t, drift.PauseOnErr)
	require.Equal(t, time.Hour, drift.CatchUp.D(), "after an outage one missed check is made up for, not all")
	require.Equal(t, workflows.TypeRetrainCheck, retrain.Workflow)
	require.Equal(t, "0 3 * * MON", retrain.Cron)
	require.Zero(t, retrain.Every)
	require.Equal(t, 24*time.Hour, retrain.CatchUp.D())
}

func TestOffsetsSpreadModelsAndNeverMove(t *testing.T) {
	seen := map[spec.Duration]bool{}
	for _, name := range []string{"aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"} {
		m := model(func(m *spec.Model) { m.Metadata.Name = name })
		offset := schedules.Desired(m)[0].Offset
		require.Equal(t, offset, schedules.Desired(m)[0].Offset)
		seen[offset] = true
	}
	require.Greater(t, len(seen), 6)
	rapid.Check(t, func(t *rapid.T) {
		every := spec.Duration(rapid.Int64Range(1, int64(30*24*time.Hour)).Draw(t, "every"))
		name := rapid.StringMatching(`[a-z][a-z0-9-]{1,20}`).Draw(t, "name")
		m := model(func(m *spec.Model) { m.Metadata.Name, m.Monitor.Drift.Every = name, every })
		if o := schedules.Desired(m)[0].Offset; o < 0 || (o != 0 && o >= every) {
			t.Fatalf("offset %s of %s", o, every)
		}
	})
}

func TestDiffNamesWhatDiffers(t *testing.T) {
	want := schedules.Desired(model(nil))
	paused := schedules.Current{Schedule: want[0], Paused: true, Note: "holidays"}
	paused.Every = spec.Duration(2 * time.Hour)
	gone := schedules.Current{Schedule: schedules.Schedule{ID: "retrain/churn"}}
	changes := schedules.Diff([]schedules.Current{paused, {Schedule: want[1]}, gone}, want[:2])
	require.Len(t, changes, 3)
	require.Equal(t, "update drift/churn: every 2h -> 1h (stays paused)", changes[0].String())
	require.Equal(t, "keep quality/churn", changes[1].String())
	require.Equal(t, "delete retrain/churn", changes[2].String())
	require.Len(t, schedules.Changes(changes), 2)
}

func TestDiffOfTheSameIsNothing(t *testing.T) {
	want := schedules.Desired(model(nil))
	var have []schedules.Current
	for _, s := range want {
		have = append(have, schedules.Current{Schedule: s})
	}
	require.Empty(t, schedules.Changes(schedules.Diff(have, want)))
}

func TestApplyConverges(t *testing.T) {
	ctx, c := t.Context(), schedulestest.New()
	m := model(nil)
	changes, err := schedules.Apply(ctx, c, "churn", schedules.Desired(m))
	require.NoError(t, err)
	require.Len(t, changes, 3)
	require.Equal(t, []string{"drift/churn", "quality/churn", "retrain/churn"}, c.IDs())

	changes, err = schedules.Apply(ctx, c, "churn", schedules.Desired(m))
	require.NoError(t, err)
	require.Empty(t, schedules.Changes(changes), "what was read back is what was asked for")

	m.Monitor.Drift.Every, m.Retrain.Cron = spec.Duration(30*time.Minute), ""
	c.Calls = nil
	_, err = schedules.Apply(ctx, c, "churn", schedules.Desired(m))
	require.NoError(t, err)
	require.Equal(t, []string{"update drift/churn", "delete retrain/churn"}, c.Calls,
		"a schedule that is still asked for is updated: its last result must survive")
}

func TestApplyKeepsAPause(t *testing.T) {
	ctx, c := t.Context(), schedulestest.New()
	m := model(nil)
	_, err := schedules.Apply(ctx, c, "churn", schedules.Desired(m))
	require.NoError(t, err)
	require.NoError(t, c.GetHandle(ctx, "drift/churn").Pause(ctx, client.SchedulePauseOptions{Note: "holidays"}))

	m.Monitor.Drift.Every = spec.Duration(2 * time.Hour)
	changes, err := schedules.Apply(ctx, c, "churn", schedules.Desired(m))
	require.NoError(t, err)
	require.True(t, changes[0].Paused)
	s, _ := c.Schedule("drift/churn")
	require.Equal(t, &client.ScheduleState{Paused: true, Note: "holidays"}, s.State)
	require.Equal(t, 2*time.Hour, s.Spec.Intervals[0].Every)
}

func TestApplyByTwoAtOnceEndsTheSame(t *testing.T) {
	ctx, c := t.Context(), schedulestest.New()
	m := model(func(m *spec.Model) { m.Monitor.Quality.Every, m.Retrain.Cron = 0, "" })
	c.BeforeCreate = func(string) {
		other := model(func(m *spec.Model) {
			m.Monitor.Drift.Every, m.Monitor.Quality.Every, m.Retrain.Cron = spec.Duration(9*time.Hour), 0, ""
		})
		_, err := schedules.Apply(ctx, c, "churn", schedules.Desired(other))
		require.NoError(t, err)
	}
	_, err := schedules.Apply(ctx, c, "churn", schedules.Desired(m))
	require.NoError(t, err)
	require.Equal(t, []string{"create drift/churn", "update drift/churn"}, c.Calls)
}

func TestWhatSomebodyAddedByHandIsADifference(t *testing.T) {
	ctx, c := t.Context(), schedulestest.New()
	want := schedules.Desired(model(nil))
	_, err := schedules.Apply(ctx, c, "churn", want)
	require.NoError(t, err)
	s, _ := c.Schedule("drift/churn")
	s.Spec.Intervals = append(s.Spec.Intervals, client.ScheduleIntervalSpec{Every: time.Minute})
	s.Policy.Overlap = enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
	changes, err := schedules.Plan(ctx, c, "churn", want)
	require.NoError(t, err)
	require.Equal(t, schedules.ActionUpdate, changes[0].Action)
	require.Contains(t, changes[0].String(), "2 intervals")
	require.Contains(t, changes[0].String(), "overlap")
}
