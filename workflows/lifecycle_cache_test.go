package workflows_test

import (
	"testing"

	"github.com/leanloop/leanloop/activities"
)

const earlier = "lifecycle/flights/3"

func TestACachedTrainingTakesTheStageForNothing(t *testing.T) {
	s := newLifecycle(t)
	s.world.snapshot.answers(activities.SnapshotOutput{
		Digest: "5a450000", Train: 2000, TrainKey: "k", Cached: &activities.TrainOutput{Prefix: "runs/flights/3/", TrainRows: 2400, Cached: earlier},
	})
	s.world.evaluate.refuses(activities.ErrorData, "enough")
	r, _ := s.lifecycle(theRun())
	if n := len(s.world.train.calls()); n != 0 {
		t.Errorf("it was trained %d times", n)
	}
	if r.Cached != earlier || r.Trained || r.Cost != 0 {
		t.Errorf("observed cached %q, trained %v, cost %v", r.Cached, r.Trained, r.Cost)
	}
	if got := detailOf(r, "train"); got != "2400 rows, cached from "+earlier {
		t.Errorf("observed %q", got)
	}
	asked := s.world.snapshot.calls()[0]
	judged := s.world.evaluate.calls()[0]
	if !asked.Cache || !judged.Cache || judged.TrainKey != "k" || judged.Train.Prefix != "runs/flights/3/" {
		t.Errorf("observed %+v and %+v", asked, judged)
	}
}

func TestWhoForcesARunOrWantsNoCacheHasItTrained(t *testing.T) {
	for name, change := range map[string]func(*activities.LifecycleInput){
		"--force":    func(in *activities.LifecycleInput) { in.Force = true },
		"--no-cache": func(in *activities.LifecycleInput) { in.NoCache = true },
	} {
		t.Run(name, func(t *testing.T) {
			s := newLifecycle(t)
			s.world.evaluate.refuses(activities.ErrorData, "enough")
			in := theRun()
			change(&in)
			r, _ := s.lifecycle(in)
			if s.world.snapshot.calls()[0].Cache || s.world.evaluate.calls()[0].Cache || len(s.world.train.calls()) != 1 || !r.Trained || r.Cached != "" {
				t.Errorf("observed %+v", r)
			}
		})
	}
}

func detailOf(r activities.LifecycleResult, stage string) string {
	for _, s := range r.Stages {
		if s.Name == stage {
			return s.Detail
		}
	}
	return ""
}
