package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// stage is one step of a run.
type stage struct {
	name string
	do   func(workflow.Context) error
}

// resumed are the stages of a run that goes on where another ended: what that one came to is fetched and verified, and its
// stages from the given one on run.
func (l *lifecycle) resumed(all []stage) []stage {
	from := slices.IndexFunc(all, func(s stage) bool { return s.name == l.in.Resume.From })
	if from < 0 { // the activity refuses it
		from = len(all)
	}
	return append([]stage{{"restore", l.restore}}, all[from:]...)
}

func (l *lifecycle) restore(ctx workflow.Context) error {
	of := LifecycleID(l.in.Model, l.in.Resume.Number)
	l.result.Resumed, l.state.Resumed = of, of
	kept, err := call(ctx, dataScan(), snapshots.Restore, activities.RestoreInput{Model: l.in.Model, Spec: l.in.Spec, Resume: *l.in.Resume})
	if errorType(err) == activities.ErrorConflict || errorType(err) == activities.ErrorCorrupt {
		return end(activities.Failed, "%s", reason(err))
	}
	if err != nil {
		return err
	}
	l.asOf = kept.AsOf
	l.snapshot = orZero(kept.Snapshot)
	l.train, l.judged, l.version = orZero(kept.Train), orZero(kept.Evaluate), orZero(kept.Register)
	if kept.Train != nil && l.train.Cached == "" && l.train.Imported == nil {
		l.train.Cached = of
	}
	l.round = kept.Round
	l.result.Snapshot, l.result.Rows, l.result.Version, l.result.Cached = l.snapshot.Digest, l.snapshot.Rows, l.version.Version, l.train.Cached
	l.state.Snapshot, l.state.Rows, l.state.Version, l.state.Cached = l.snapshot.Digest, l.snapshot.Rows, l.version.Version, l.train.Cached
	l.state.Champion = l.judged.Summary.Champion
	l.attributes = append(l.attributes, AttributeSnapshot.ValueSet(l.snapshot.Digest))
	l.detail("goes on with %s from its stage %s", of, l.in.Resume.From)
	return nil
}

// continues is the run whose checkpoints the training goes on from; 0: none.
func (l *lifecycle) continues() int {
	if l.in.Resume == nil {
		return 0
	}
	return l.in.Resume.Number
}

// kept is what a later run may go on with.
func (l *lifecycle) kept() *activities.Kept {
	k := activities.Kept{AsOf: l.asOf, Round: l.round}
	if l.snapshot.Digest == "" || l.snapshot.Problem != "" {
		return nil
	}
	k.Snapshot = &l.snapshot
	if l.train.Prefix != "" {
		k.Train = &l.train
	}
	if l.judged.Prefix != "" {
		k.Evaluate = &l.judged
	}
	if l.version.Version > 0 {
		k.Register = &l.version
	}
	return &k
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
