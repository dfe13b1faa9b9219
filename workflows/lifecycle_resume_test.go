package workflows_test

import (
	"testing"

	"github.com/leanloop/leanloop/activities"
)

func TestAResumedRunBeginsWithItsStage(t *testing.T) {
	snapshot := &activities.SnapshotOutput{Digest: "5a450000", Rows: 3000}
	train := &activities.TrainOutput{Prefix: "runs/old/", TrainRows: 2400}
	for _, c := range []struct {
		from     string
		kept     activities.Kept
		trained  int
		cached   string
		untilEnd string
	}{
		{activities.StageTrain, activities.Kept{AsOf: start, Snapshot: snapshot}, 1, "", "restore done, train done, evaluate failed"},
		{activities.StageEvaluate, activities.Kept{AsOf: start, Snapshot: snapshot, Train: train}, 0, "lifecycle/flight-delay/5", "restore done, evaluate failed"},
	} {
		t.Run(c.from, func(t *testing.T) {
			s := newLifecycle(t)
			s.world.restore.answers(c.kept)
			s.world.evaluate.refuses(activities.ErrorData, "enough")
			in := theRun()
			in.Resume = &activities.Resume{Number: 5, From: c.from}
			r, _ := s.lifecycle(in)
			if got := line(r.Stages); got != c.untilEnd {
				t.Errorf("observed %s", got)
			}
			if len(s.world.train.calls()) != c.trained || r.Resumed != "lifecycle/flight-delay/5" || r.Cached != c.cached || r.Snapshot != "5a450000" {
				t.Errorf("observed %+v", r)
			}
			judged := s.world.evaluate.calls()[0]
			if !judged.AsOf.Equal(start) || judged.Snapshot != "5a450000" {
				t.Errorf("judged on %+v", judged)
			}
			if c.trained > 0 && s.world.train.calls()[0].Continues != 5 {
				t.Error("the training doesn't go on from the old run's checkpoints")
			}
			closed := s.world.closing.calls()[0]
			if closed.Kept == nil || closed.Kept.Train == nil || r.Kept != nil {
				t.Errorf("kept %+v for the next, and %+v in the result", closed.Kept, r.Kept)
			}
		})
	}
}

func TestARunThatCannotGoOnSaysWhy(t *testing.T) {
	s := newLifecycle(t)
	s.world.restore.refuses(activities.ErrorConflict, "resume lifecycle/flight-delay/5: its spec moved")
	in := theRun()
	in.Resume = &activities.Resume{Number: 5, From: activities.StageApprove}
	r, err := s.lifecycle(in)
	if err == nil || r.Outcome != activities.Failed || r.Reason != "resume lifecycle/flight-delay/5: its spec moved" || r.Version != 0 {
		t.Errorf("observed %+v, %v", r, err)
	}
}
