package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func (w *world) snapshotInput() SnapshotInput {
	return SnapshotInput{Model: theModel, Spec: w.spec, Lifecycle: w.lifecycle(), AsOf: t0}
}

func TestASnapshotIsTheAcceptedFilesOfTheWindow(t *testing.T) {
	w := newWorld(t)
	a := &Snapshots{Lake: w.lake}
	require.Contains(t, must(t, a.Take, w.snapshotInput()).Problem, "no accepted file")
	w.accept("2013-01.csv", flights(january, 300, 1))
	one := must(t, a.Take, w.snapshotInput())
	require.Empty(t, one.Problem)
	require.Equal(t, 1, one.Files)
	require.Equal(t, 300, one.Rows)
	require.Equal(t, 300, one.Train+one.Validation+one.Test)
	require.Equal(t, "nothing left out", one.Dropped)
	require.Equal(t, one, must(t, a.Take, w.snapshotInput()), "taken twice is the same")

	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 300, 2))
	two := must(t, a.Take, w.snapshotInput())
	require.Equal(t, 600, two.Rows)
	require.NotEqual(t, one.Digest, two.Digest)

	w.apply("  window: {min_rows: 50}", "  window: {min_rows: 50, last: 20d}")
	last := must(t, a.Take, w.snapshotInput())
	require.Equal(t, 1, last.Files, "January lies before the window")
	require.Equal(t, 300, last.Rows)
}

func TestTheSameSnapshotAndSpecIsUnchangedUnlessForced(t *testing.T) {
	w := newWorld(t)
	w.accept("2013-01.csv", flights(january, 300, 1))
	w.promote()
	a := &Snapshots{Lake: w.lake}
	out := must(t, a.Take, w.snapshotInput())
	require.Equal(t, 1, out.Unchanged)
	require.Zero(t, out.Train, "nothing is read for nothing")

	in := w.snapshotInput()
	in.Force = true
	require.Zero(t, must(t, a.Take, in).Unchanged)

	w.apply("{builtin: linear}", "{builtin: linear, params: {l2: 2}}")
	require.Zero(t, must(t, a.Take, w.snapshotInput()).Unchanged, "another spec is another model")
}

func TestWhatCantBeTrainedOnIsSaidBeforeTraining(t *testing.T) {
	for _, c := range []struct{ name, content, says string }{
		{"too few rows", flights(january, 60, 1), "42 training rows < data.window.min_rows 50 (of 60 rows; nothing left out)"},
		{"one class only", strings.NewReplacer(",1\n", ",0\n").Replace(flights(january, 300, 1)), `only "0" in 300 rows`},
		{"no label at all", strings.NewReplacer(",1\n", ",\n", ",0\n", ",\n").Replace(flights(january, 300, 1)), "null target 300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.accept("2013-01.csv", c.content)
			out := must(t, (&Snapshots{Lake: w.lake}).Take, w.snapshotInput())
			require.Contains(t, out.Problem, c.says)
		})
	}
}

func TestWhatIsLeftOutIsCounted(t *testing.T) {
	w := newWorld(t, "  window: {min_rows: 50}", "  window: {min_rows: 50}\n  labels: {delay: 2d}")
	rows := flights(t0.AddDate(0, 0, -20), 480, 1) // an hour each: the last 48 are younger than the delay
	lines := strings.SplitAfter(rows, "\n")
	lines = append(lines[:481], lines[1])                                      // an id again
	lines[5] = strings.TrimSuffix(lines[5], lines[5][len(lines[5])-2:]) + "\n" // no label
	w.accept("2013-05.csv", strings.Join(lines, ""))
	out := must(t, (&Snapshots{Lake: w.lake}).Take, w.snapshotInput())
	require.Empty(t, out.Problem)
	require.Equal(t, 481, out.Rows)
	require.Equal(t, "left out 1 without a target, 47 younger than labels.delay, 1 with an id seen before", out.Dropped)
	require.Equal(t, 481-1-47-1, out.Train+out.Validation+out.Test)
}
