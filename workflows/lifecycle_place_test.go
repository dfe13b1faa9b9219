package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

func TestQueuesOfTrainingSayWhatARunNeeds(t *testing.T) {
	for queue, r := range map[string]spec.Resources{
		"leanloop-train":                    {CPUs: 8},
		"leanloop-train.gpu1":               {GPUs: 1},
		"leanloop-train.gpu2.40Gi":          {GPUs: 2, GPUMemory: 33 << 30},
		"leanloop-train@spot":               {Labels: []string{"spot"}},
		"leanloop-train.gpu2.8Gi@eu-1+spot": {GPUs: 2, GPUMemory: 1, Labels: []string{"spot", "eu-1"}},
	} {
		want(t, "queue", workflows.TrainQueue(r), queue)
	}
}

// placed is a run whose training asks for resources, on a stage where a training takes as long as a worker needs.
func placed(t *testing.T, r spec.Resources) *stage {
	t.Helper()
	s := newLifecycle(t)
	settings := usual()
	settings.Placement = &activities.Placement{Resources: r, Priority: 1}
	s.world.settings.answers(settings)
	return s
}

// takes makes the training last: until a worker would have taken and done it.
func (s *stage) takes(d time.Duration) {
	s.world.train.do = func(activities.TrainInput) (activities.TrainOutput, error) {
		return activities.TrainOutput{TrainRows: 2400, Notes: []string{"the GPU idles"}}, nil
	}
	s.OnActivity("Train", mock.Anything, mock.Anything).After(d).Return(s.world.train.call)
}

func TestATrainingGoesToWhoCanRunIt(t *testing.T) {
	s := placed(t, spec.Resources{GPUs: 2, Labels: []string{"spot"}})
	var queue string
	s.world.train.takes = func(ctx context.Context) error {
		queue = activity.GetInfo(ctx).TaskQueue
		return nil
	}
	s.decides(time.Hour, approval.Reject, ana, 1)
	s.lifecycle(theRun())
	want(t, "queue", queue, "leanloop-train.gpu2@spot")
}

func TestARunThatNoWorkerCanServeSaysSoWithinAMinute(t *testing.T) {
	s := placed(t, spec.Resources{GPUs: 2})
	s.takes(3 * time.Hour)
	s.world.look.answers(activities.LookOutput{Needs: "2 GPUs", Live: []string{"w1 (1 slot without GPU)"}, Others: 1})
	var at workflows.LifecycleState
	s.after(time.Minute, func() { at = query[workflows.LifecycleState](s) })
	s.decides(4*time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	const says = "no live worker can serve 2 GPUs; live are w1 (1 slot without GPU) and 1 more"
	last := at.Stages[len(at.Stages)-1]
	want(t, "stage", last.Name+" "+last.Status, "train waiting")
	want(t, "detail", last.Detail, says)
	wantText(t, "notes", strings.Join(at.Notes, "; "), says)
	want(t, "message", s.message(activities.MessageNoWorker).Text, says) // once, however often it was looked
	want(t, "trained", r.Trained, true)                                  // a worker came
	want(t, "asked for", s.world.look.calls()[0].Queue, "leanloop-train.gpu2")
}

func TestARunThatNoWorkerEverServesFails(t *testing.T) {
	s := placed(t, spec.Resources{GPUs: 2})
	s.takes(1000 * time.Hour)
	s.world.look.answers(activities.LookOutput{Needs: "2 GPUs"})
	r, err := s.lifecycle(theRun())
	if err == nil {
		t.Error("the run ended well")
	}
	want(t, "outcome", r.Outcome, activities.Failed)
	wantText(t, "reason", r.Reason, "no live worker can serve 2 GPUs; no training worker is live, for 24h")
	s.wantTime("it failed", r.Ended.Sub(r.Started), 24*time.Hour, 10*time.Minute)
}

func TestATrainingThatWaitsItsTurnSaysWhatFor(t *testing.T) {
	s := placed(t, spec.Resources{})
	s.takes(30 * time.Hour)
	s.world.look.answers(activities.LookOutput{Served: true, Needs: "a slot without GPU"})
	var at workflows.LifecycleState
	s.after(29*time.Hour, func() { at = query[workflows.LifecycleState](s) })
	s.decides(31*time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	want(t, "detail", at.Stages[len(at.Stages)-1].Detail, "for a worker that is free: it needs a slot without GPU")
	want(t, "trained", r.Trained, true)
	wantText(t, "notes", strings.Join(query[workflows.LifecycleState](s).Notes, "; "), "training: the GPU idles")
	if looks := len(s.world.look.calls()); looks > 400 {
		t.Errorf("looked %d times", looks)
	}
}

func TestATrainingThatAWorkerHasIsLeftAlone(t *testing.T) {
	s := placed(t, spec.Resources{})
	s.takes(50 * time.Minute)
	s.decides(time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	want(t, "trained", r.Trained, true)
	want(t, "looks", len(s.world.look.calls()), 1)
}

// A task that came to a worker whose last slot was just taken goes back: nothing was tried, so it costs no retry.
func TestNoFreeSlotCostsNoRetry(t *testing.T) {
	taken := temporal.NewNonRetryableApplicationError("no slot is free", activities.ErrorNoSlot, nil)
	s := newLifecycle(t)
	s.world.train.fails(50, taken)
	s.decides(2*time.Hour, approval.Reject, ana, 1)
	r, _ := s.lifecycle(theRun())
	want(t, "attempts", len(s.world.train.calls()), 51)
	want(t, "trained", r.Trained, true)

	s = newLifecycle(t)
	s.world.train.fails(100_000, taken)
	r, _ = s.lifecycle(theRun())
	want(t, "outcome", r.Outcome, activities.Failed)
	want(t, "attempts", len(s.world.train.calls()), 300)
	wantText(t, "reason", r.Reason, "no infrastructure retries left")
}
