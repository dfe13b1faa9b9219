package workflows_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/mock"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

func newMonitor(t *testing.T) *stage {
	s := newStage(t, "a schedule's run")
	workflows.Register(s)
	return s
}

var watched = activities.MonitorInput{Model: theModel}

func TestDriftCarriesItsWindowsFromRunToRun(t *testing.T) {
	var last *activities.DriftOutput
	for window, over := range []bool{false, true, true, true} {
		s := newMonitor(t)
		s.hearModel()
		if last != nil {
			s.SetLastCompletionResult(*last)
		}
		s.world.drift.do = func(in activities.DriftInput) (activities.DriftOutput, error) {
			recent := append(in.Recent, over)
			return activities.DriftOutput{Model: in.Model, Champion: 3, End: in.End, Recent: recent, Window: over, Alert: strings.Count(marks(recent), "t") >= 2}, nil
		}
		s.ExecuteWorkflow(workflows.Drift, watched)
		var out activities.DriftOutput
		if err := s.GetWorkflowResult(&out); err != nil {
			t.Fatal(err)
		}
		in := s.world.drift.calls()[0]
		want(t, "windows carried", len(in.Recent), window)
		want(t, "end of the window", in.End, start)
		if last != nil {
			want(t, "their champion", in.Champion, 3)
		}
		want(t, "triggers", len(s.asked), map[bool]int{true: 1}[out.Alert])
		// People are told of one cause once.
		want(t, "messages", len(s.kinds()), map[bool]int{true: 1}[window == 2])
		last = &out
	}
}

func marks(recent []bool) string {
	var b strings.Builder
	for _, r := range recent {
		b.WriteString(map[bool]string{true: "t", false: "f"}[r])
	}
	return b.String()
}

// alarm runs a monitor whose window is over its limit, or inconclusive.
func (s *stage) alarm(monitor any, alert bool) error {
	inconclusive := ""
	if !alert {
		inconclusive = "12 rows < min_rows 1000"
	}
	s.world.drift.answers(activities.DriftOutput{Champion: 1, End: start, Alert: alert, Inconclusive: inconclusive, Reason: "PSI 0.31 > 0.2"})
	s.world.quality.answers(activities.QualityOutput{Champion: 1, End: start, Alert: alert, Inconclusive: inconclusive, Reason: "f1 0.61 < 0.66"})
	s.ExecuteWorkflow(monitor, watched)
	return s.GetWorkflowError()
}

func TestMonitors(t *testing.T) {
	for _, c := range []struct {
		name    string
		monitor any
		kind    string
		says    string
	}{
		{"drift", workflows.Drift, activities.TriggerDrift, "PSI 0.31 > 0.2"},
		{"quality", workflows.Quality, activities.TriggerQuality, "f1 0.61 < 0.66"},
	} {
		t.Run(c.name+" over its limit asks the model for a run and tells people", func(t *testing.T) {
			s := newMonitor(t)
			s.hearModel()
			want(t, "error", s.alarm(c.monitor, true), nil)
			want(t, "triggers", len(s.asked), 1)
			want(t, "kind", s.asked[0].Kind, c.kind)
			want(t, "reason", s.asked[0].Reason, c.says)
			wantText(t, "key", s.asked[0].Key, c.kind+"/2026-03-15T08:00:00")
			wantAll(t, "messages", s.kinds(), activities.MessageAlert)
			wantText(t, "message", s.world.send.calls()[0].Text, c.says)
		})
		t.Run(c.name+" that can't tell asks nobody", func(t *testing.T) {
			s := newMonitor(t)
			s.hearModel()
			want(t, "error", s.alarm(c.monitor, false), nil)
			want(t, "triggers", len(s.asked), 0)
			want(t, "messages", len(s.kinds()), 0)
		})
		t.Run(c.name+" doesn't wait for a chat that is down", func(t *testing.T) {
			s := newMonitor(t)
			asked := 0
			s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(
				func(_, _, _, _ string, _ any) error {
					asked++
					want(t, "messages before the model was asked", len(s.kinds()), 0)
					return nil
				})
			s.world.send.do = func(activities.MessageInput) (activities.MessageOutput, error) {
				return activities.MessageOutput{}, errAway
			}
			want(t, "error", s.alarm(c.monitor, true), nil)
			want(t, "asked", asked, 1)
		})
		t.Run(c.name+" of a model that isn't applied fails and says so, and people are told all the same", func(t *testing.T) {
			s := newMonitor(t)
			s.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(errors.New("workflow not found"))
			err := s.alarm(c.monitor, true)
			if err == nil {
				t.Fatal("no error")
			}
			wantText(t, "error", err.Error(), "is the model applied?")
			wantAll(t, "messages", s.kinds(), activities.MessageAlert)
		})
	}
}

func TestRetrainCheckAsksForARun(t *testing.T) {
	s := newMonitor(t)
	s.hearModel()
	s.ExecuteWorkflow(workflows.RetrainCheck, watched)
	want(t, "error", s.GetWorkflowError(), nil)
	want(t, "kind", s.asked[0].Kind, activities.TriggerCron)
	want(t, "key", s.asked[0].Key, "cron/2026-03-15T08:00:00Z")
}
