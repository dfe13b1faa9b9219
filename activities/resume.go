package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
)

// Stages that a run can be gone on with from.
const (
	StageTrain    = "train"
	StageEvaluate = "evaluate"
	StageRegister = "register"
	StageApprove  = "approve"
)

// ResumeStages lists them, in the order of a run.
func ResumeStages() []string { return []string{StageTrain, StageEvaluate, StageRegister, StageApprove} }

// Resume asks for a run that goes on where another one of the model ended.
type Resume struct {
	Number int    `json:"number"` // of that run
	From   string `json:"from"`   // the first stage that runs; those before are that run's
}

// Kept is what the stages of a run came to, as far as it got: what another one may go on with.
type Kept struct {
	AsOf     time.Time       `json:"as_of"`
	Snapshot *SnapshotOutput `json:"snapshot,omitempty"`
	Train    *TrainOutput    `json:"train,omitempty"`
	Evaluate *EvaluateOutput `json:"evaluate,omitempty"`
	Register *RegisterOutput `json:"register,omitempty"`
	Round    int             `json:"round,omitempty"`
}

// CheckResume says why a run can't be gone on with from a stage, and what to do instead; nil: it can. spec is the digest of
// the one that is applied now.
func CheckResume(r Record, from, spec string) error {
	submit := "starter submit " + r.Input.Model
	at := slices.Index(ResumeStages(), from)
	switch {
	case at < 0:
		return fmt.Errorf("stage %q: want one of %s", from, strings.Join(ResumeStages(), ", "))
	case r.Result == nil:
		return errors.New("it hasn't ended: starter watch follows it, starter cancel ends it")
	case !slices.Contains([]string{Failed, Cancelled, TimedOut, Superseded}, r.Result.Outcome):
		return fmt.Errorf("it ended %s: only a run that failed, was cancelled or superseded, or timed out, can go on; %s starts another", r.Result.Outcome, submit)
	case r.Input.Spec != spec:
		return fmt.Errorf("its spec is %.12s and %.12s is applied by now: %s, which takes from the cache what didn't change", r.Input.Spec, spec, submit)
	case r.Input.Import != nil && from == StageTrain:
		return errors.New("its model was imported: import it again")
	}
	kept := r.Result.Kept
	if kept == nil {
		kept = &Kept{}
	}
	has := []bool{kept.Snapshot != nil, kept.Train != nil, kept.Evaluate != nil, kept.Register != nil}
	for i, needs := range []string{"snapshot", StageTrain, StageEvaluate, StageRegister} {
		if i <= at && !has[i] {
			if i == 0 {
				return fmt.Errorf("it didn't get through its stage snapshot: %s", submit)
			}
			return fmt.Errorf("it didn't get through its stage %s: --from %s, or earlier", needs, ResumeStages()[i-1])
		}
	}
	return nil
}

// RestoreInput names what a run goes on with.
type RestoreInput struct {
	Model  string `json:"model"`
	Spec   string `json:"spec"`
	Resume Resume `json:"resume"`
}

// Restore reads what the stages of an ended run came to, up to the one that is run again, and verifies every file of it.
func (s *Snapshots) Restore(ctx context.Context, in RestoreInput) (Kept, error) {
	h := keepBeating(ctx)
	defer h.stop()
	name := fmt.Sprintf("lifecycle/%s/%d", in.Model, in.Resume.Number)
	r, err := ReadRecord(ctx, s.Lake.Store, in.Model, in.Resume.Number)
	if errors.Is(err, objectstore.ErrNotFound) {
		return Kept{}, permanent(ErrorConflict, fmt.Errorf("resume %s: there is no such run", name))
	}
	if err != nil {
		return Kept{}, err
	}
	head, err := s.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return Kept{}, ledgerError(err)
	}
	if err := CheckResume(r, in.Resume.From, head.State.Spec.Digest); err != nil {
		return Kept{}, permanent(ErrorConflict, fmt.Errorf("resume %s: %w", name, err))
	}
	kept := *r.Result.Kept
	if err := s.verify(ctx, in, kept, head.State); err != nil {
		return Kept{}, err
	}
	switch in.Resume.From { // what is run again is of no use
	case StageTrain:
		kept.Train, kept.Evaluate, kept.Register = nil, nil, nil
	case StageEvaluate:
		kept.Evaluate, kept.Register = nil, nil
	case StageRegister:
		kept.Register = nil
	}
	return kept, nil
}

// verify compares all that is taken over with its digests, and the version with the ledger.
func (s *Snapshots) verify(ctx context.Context, in RestoreInput, k Kept, state registry.State) error {
	at := slices.Index(ResumeStages(), in.Resume.From)
	if at >= 1 {
		if err := s.Lake.verifyTraining(ctx, *k.Train); err != nil {
			return lost(err)
		}
	}
	if at >= 2 {
		for _, name := range slices.Sorted(maps.Keys(k.Evaluate.Files)) {
			want := k.Evaluate.Files[name]
			if err := copyVerified(ctx, s.Lake, k.Evaluate.Prefix+want.SHA256+".json", want, io.Discard); err != nil {
				return lost(err)
			}
		}
	}
	if at >= 3 {
		v, ok := state.Version(k.Register.Version)
		if !ok || v.Status != registry.StatusRegistered || v.Evidence != k.Register.Evidence.Digest {
			return permanent(ErrorConflict, fmt.Errorf("resume: version %d is %s by now, or was judged again: --from evaluate", k.Register.Version, v.Status))
		}
	}
	return nil
}
