package target

import (
	"slices"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
)

// want is what a ledger asks of a target at a moment.
type want struct {
	entry    int64
	weights  Weights
	deployed []Deployment // that must be there
	obsolete []int        // that should be removed where they are
}

// wantOf reads a state as a gateway does: a challenger whose lease is over has no share.
//
// Champion and challenger are deployed, and the champion before stays deployed: a rollback to it needs no deployment. What
// was rolled back, rejected or succeeded before that is removed, and so is what was approved against a champion that has
// changed since: its run has ended, or has to deploy it again. A version that waits for its decision is left alone, and so
// is what the ledger doesn't know.
func wantOf(s registry.State, now time.Time) want {
	w := want{entry: s.Seq, weights: Weights{Champion: s.Champion}}
	if s.Challenger != 0 && s.Lease != nil && now.Before(s.Lease.Until) && s.Weight > 0 {
		w.weights.Challenger, w.weights.Weight = s.Challenger, s.Weight
	}
	keep := []int{s.Champion, s.Challenger, former(s)}
	for _, v := range s.Versions {
		switch {
		case v.Number == s.Champion, v.Number == s.Challenger:
			w.deployed = append(w.deployed, Deployment{Version: v.Number, Artifact: v.Artifact})
		case slices.Contains(keep, v.Number):
		case v.Status == registry.StatusApproved && v.Approval != nil && v.Approval.Epoch != s.Epoch,
			v.Status == registry.StatusRolledBack, v.Status == registry.StatusRejected, v.Status == registry.StatusRetired:
			w.obsolete = append(w.obsolete, v.Number)
		}
	}
	return w
}

// former is the champion before this one, if it wasn't rolled back; 0: none.
func former(s registry.State) int {
	newest := registry.Version{}
	for _, v := range s.Versions {
		if v.Status == registry.StatusRetired && v.PromotedAt.After(newest.PromotedAt) {
			newest = v
		}
	}
	return newest.Number
}

// missing are the deployments that a target lacks.
func (w want) missing(have []Version) []Deployment {
	return slices.DeleteFunc(slices.Clone(w.deployed), func(d Deployment) bool { return slices.ContainsFunc(have, is(d.Version)) })
}

// leftover are the versions that a target should lose: those that are obsolete and have no share.
func (w want) leftover(have []Version) []int {
	return slices.DeleteFunc(slices.Clone(w.obsolete), func(n int) bool {
		i := slices.IndexFunc(have, is(n))
		return i < 0 || have[i].Weight != 0
	})
}

func is(version int) func(Version) bool { return func(v Version) bool { return v.Version == version } }
