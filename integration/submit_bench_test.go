package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/leanloop/leanloop/internal/testkit"
	"github.com/leanloop/leanloop/workflows"
)

// noteStart is a trainer whose first instruction notes the time, in nanoseconds; it makes no model.
const noteStart = "#!/bin/sh\ndate +%%s%%N > %s.tmp && mv %s.tmp %s\nexit 1\n"

// BenchmarkSubmitToTrainer submits one small file after the other by the starter, to a worker that has run everything
// before, and reports medians, in ms: from the start of the command to the trainer's first instruction; of that, until
// the run has started, and from there to the end of each stage before the trainer, and to the trainer itself.
func BenchmarkSubmitToTrainer(b *testing.B) {
	if stack == nil {
		b.Skip(testkit.ShortReason)
	}
	name, dir := stack.Name("submit-bench"), b.TempDir()
	mark := filepath.Join(dir, "mark")
	write := func(file, text string, mode os.FileMode) string {
		path := filepath.Join(dir, file)
		require.NoError(b, os.WriteFile(path, []byte(text), mode))
		return path
	}
	code := filepath.Join(dir, "code")
	require.NoError(b, os.Mkdir(code, 0o700))
	write("code/train.sh", fmt.Sprintf(noteStart, mark, mark, mark), 0o700)
	text := bytes.Replace(fmt.Appendf(nil, specText, name), []byte("train: {builtin: linear}"), []byte("train: {command: [./train.sh], retries: {script: 0}}"), 1)
	file := write("code/model.yaml", string(text), 0o600)
	stack.Starter(b, "ana", "apply", "-f", file).Want(b, 0)

	took := map[string][]float64{}
	n := 0
	once := func() map[string]time.Duration {
		n++
		data := write(fmt.Sprintf("%04d.csv", n), string(csv(flights(n, 300))), 0o600)
		_ = os.Remove(mark)
		began := time.Now()
		stack.Starter(b, "ana", "submit", name, "--data", data).Want(b, 0)
		answered := time.Now()
		var first time.Time
		testkit.Until(b, "the trainer", stageLimit, func() (bool, any) {
			raw, err := os.ReadFile(mark)
			if err != nil {
				return false, err
			}
			ns, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64)
			first = time.Unix(0, ns)
			return err == nil, err
		})
		split := map[string]time.Duration{"all": first.Sub(began), "command": answered.Sub(began)}
		last := began
		for _, e := range untilTrainer(b, workflows.LifecycleID(name, n)) {
			split[e.name] += e.at.Sub(last)
			last = e.at
		}
		split["trainer"] = first.Sub(last)
		return split
	}
	once() // the first makes folders and caches
	for b.Loop() {
		for part, d := range once() {
			took[part] = append(took[part], d.Seconds()*1000)
		}
	}
	for part, ms := range took {
		slices.Sort(ms)
		b.ReportMetric(ms[len(ms)/2], part+"-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// moment is when something was over.
type moment struct {
	name string
	at   time.Time
}

// untilTrainer waits for the end of a run, and reads from its history when it began, and when each of its activities
// before the training ended.
func untilTrainer(b *testing.B, id string) (found []moment) {
	b.Helper()
	require.Error(b, stack.Temporal.GetWorkflow(b.Context(), id, "").Get(b.Context(), nil), "its trainer makes no model")
	names := map[int64]string{}
	events := stack.Temporal.GetWorkflowHistory(b.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		require.NoError(b, err)
		at := e.GetEventTime().AsTime()
		if e.GetWorkflowExecutionStartedEventAttributes() != nil {
			found = append(found, moment{"started", at})
		}
		if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
			names[e.GetEventId()] = a.GetActivityType().GetName()
		}
		if a := e.GetActivityTaskStartedEventAttributes(); a != nil && names[a.GetScheduledEventId()] == "Train" {
			return append(found, moment{"train-task", at})
		}
		if a := e.GetActivityTaskCompletedEventAttributes(); a != nil {
			found = append(found, moment{names[a.GetScheduledEventId()], at})
		}
	}
	b.Fatalf("%s has no training", id)
	return nil
}
