package workflows_test

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/workflows"
)

// start is when tests begin: in the middle of a month, so that an hour more is the same one.
var start = time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC)

// stage is a time-skipping environment with a world around it. What people do is put at moments after the start, all
// of it before the workflow is executed.
type stage struct {
	*testsuite.TestWorkflowEnvironment
	t     *testing.T
	world *world
	told  []workflows.Finished // what Model was told
	asked []activities.Trigger // triggers that Model was sent
}

func newStage(t *testing.T, id string) *stage {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	s := &stage{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t, world: newWorld()}
	s.world.wire(s)
	s.SetStartTime(start)
	s.SetTestTimeout(20 * time.Second)
	s.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: workflows.QueueLifecycle})
	return s
}

// hearModel stands for the model's entity beside the workflow that is tested.
func (s *stage) hearModel() {
	s.OnSignalExternalWorkflow(mock.Anything, workflows.ModelID(theModel), mock.Anything, mock.Anything, mock.Anything).Return(
		func(_, _, _, _ string, arg any) error {
			switch a := arg.(type) {
			case workflows.Finished:
				s.told = append(s.told, a)
			case activities.Trigger:
				s.asked = append(s.asked, a)
			}
			return nil
		}).Maybe()
}

func (s *stage) after(d time.Duration, do func()) { s.RegisterDelayedCallback(do, d) }

// answer is what an update came to.
type answer struct {
	result   any
	err      error // of the handler
	rejected error // by the validator
	done     bool
}

func (a *answer) callbacks() *testsuite.TestUpdateCallback {
	return &testsuite.TestUpdateCallback{
		OnAccept:   func() {},
		OnReject:   func(err error) { a.rejected, a.done = err, true },
		OnComplete: func(result any, err error) { a.result, a.err, a.done = result, err, true },
	}
}

// refusal is the error of either, of which a client sees no difference.
func (a *answer) refusal() error { return errors.Join(a.rejected, a.err) }

// update sends an update at a moment; the answer is filled in when the workflow has run.
func (s *stage) update(d time.Duration, name, id string, arg any) *answer {
	a := &answer{}
	s.after(d, func() { s.UpdateWorkflow(name, id, a.callbacks(), arg) })
	return a
}

// updateChild is update for a child workflow.
func (s *stage) updateChild(d time.Duration, child, name, id string, arg any) *answer {
	a := &answer{}
	s.after(d, func() {
		if err := s.UpdateWorkflowByID(child, name, id, a.callbacks(), arg); err != nil {
			a.err, a.done = err, true
		}
	})
	return a
}

// decides lets a person decide over a lifecycle's n-th evaluation.
func (s *stage) decides(d time.Duration, kind, actor string, n int) *answer {
	in := decision(kind, actor, n)
	return s.update(d, workflows.UpdateDecide, in.ID, in)
}

func (s *stage) signalDecision(d time.Duration, in approval.Decision) {
	s.after(d, func() { s.SignalWorkflow(workflows.SignalDecision, in) })
}

// query decodes a workflow's state.
func query[T any](s *stage) T {
	s.t.Helper()
	var out T
	v, err := s.QueryWorkflow(workflows.QueryState)
	if err == nil {
		err = v.Get(&out)
	}
	if err != nil {
		s.t.Fatalf("query: %v", err)
	}
	return out
}

// kinds are the kinds of the messages that were sent, sorted: messages don't wait for one another.
func (s *stage) kinds() []string {
	var out []string
	for _, m := range s.world.send.calls() {
		out = append(out, m.Kind)
	}
	slices.Sort(out)
	return out
}

// message is the only one of its kind.
func (s *stage) message(kind string) activities.MessageInput {
	s.t.Helper()
	var found []activities.MessageInput
	for _, m := range s.world.send.calls() {
		if m.Kind == kind {
			found = append(found, m)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("%d messages of kind %s, want one", len(found), kind)
	}
	return found[0]
}

func (s *stage) wantTime(what string, got, want, tolerance time.Duration) {
	s.t.Helper()
	if got < want-tolerance || got > want+tolerance {
		s.t.Errorf("%s after %s, want %s within %s", what, got, want, tolerance)
	}
}

// wantError checks that an error is an application error of the type, and says something.
func wantError(t *testing.T, err error, kind, says string) {
	t.Helper()
	var app *temporal.ApplicationError
	if !errors.As(err, &app) || app.Type() != kind || !strings.Contains(app.Message(), says) {
		t.Errorf("error %v, want one of type %s that says %q", err, kind, says)
	}
}

func wantText(t *testing.T, what, got, says string) {
	t.Helper()
	if !strings.Contains(got, says) {
		t.Errorf("%s %q, want %q in it", what, got, says)
	}
}

func want[T comparable](t *testing.T, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: %v, want %v", what, got, wanted)
	}
}

func wantAll[T comparable](t *testing.T, what string, got []T, wanted ...T) {
	t.Helper()
	if !slices.Equal(got, wanted) {
		t.Errorf("%s: %v, want %v", what, got, wanted)
	}
}

// decodeInput reads what a workflow carries over when it continues as new.
func decodeInput[T any](t *testing.T, err *workflow.ContinueAsNewError, in *T) {
	t.Helper()
	if e := converter.GetDefaultDataConverter().FromPayloads(err.Input, in); e != nil {
		t.Fatal(e)
	}
}
