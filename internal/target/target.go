// Package target keeps what serves a model as its ledger says, where that isn't this project's gateways: a model owner's
// program drives it by four verbs (docs/serving-targets.md).
//
// The ledger stays the truth of what was decided. A target has no lease of its own and doesn't follow the ledger, so it is
// brought to what the ledger says: read, compare, change, read again. Sync may be called by anyone at any time, also by
// two at once; it never decides.
package target

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// Version is one version in a target, as it reads back.
type Version struct {
	Version int     `json:"version"`
	Weight  float64 `json:"weight"`       // share of the requests, of one
	ID      string  `json:"id,omitempty"` // the target's own name of it
}

// Weights is a target's whole routing: the challenger gets Weight, the champion the rest. Challenger 0 is none.
type Weights struct {
	Champion   int     `json:"champion"`
	Challenger int     `json:"challenger,omitempty"`
	Weight     float64 `json:"weight"`
}

// Deployment is a version to be deployed. Artifact is the digest that its files are stored under.
type Deployment struct {
	Version  int
	Artifact string
}

// Port is one target. Every method is idempotent, and is told the ledger's entry that it acts for: what belongs to an
// earlier entry than that which stands may be refused by the target, since two may act at once.
type Port interface {
	// Deploy makes a version ready to serve, with weight 0. One that is there is left as it is.
	Deploy(ctx context.Context, d Deployment, entry int64) error
	// SetWeights routes requests. The target may take its time: it counts when it reads back.
	SetWeights(ctx context.Context, w Weights, entry int64) error
	// Read gives every version that is deployed, those with weight 0 too.
	Read(ctx context.Context, entry int64) ([]Version, error)
	// Remove takes a version that has no weight away; one that isn't there is no error.
	Remove(ctx context.Context, version int, entry int64) error
}

// Refused says that no retry can help: the program said so, can't be run, or answers what can't be understood.
type Refused struct {
	Verb string
	Err  error
}

func (e *Refused) Error() string { return fmt.Sprintf("target: %s refused: %v", e.Verb, e.Err) }

// Unwrap gives the cause.
func (e *Refused) Unwrap() error { return e.Err }

// Unconfirmed says that a target doesn't read back what was set, in the time that it had.
type Unconfirmed struct {
	Want Weights
	Read []Version
	Err  error // what ended the wait
}

func (e *Unconfirmed) Error() string {
	return fmt.Sprintf("target: reads back %s, want %s: %v", Text(e.Read), e.Want, e.Err)
}

// Unwrap gives what ended the wait.
func (e *Unconfirmed) Unwrap() error { return e.Err }

// String is the routing for a person.
func (w Weights) String() string {
	switch {
	case w.Champion == 0:
		return "nothing"
	case w.Challenger == 0 || w.Weight == 0:
		return fmt.Sprintf("version %d 100 %%", w.Champion)
	}
	return fmt.Sprintf("version %d %.4g %%, version %d %.4g %%", w.Champion, 100*(1-w.Weight), w.Challenger, 100*w.Weight)
}

// Text is what a target reads back, for a person.
func Text(versions []Version) string {
	if len(versions) == 0 {
		return "nothing"
	}
	var parts []string
	for _, v := range versions {
		parts = append(parts, fmt.Sprintf("version %d %.4g %%", v.Version, 100*v.Weight))
	}
	return strings.Join(parts, ", ")
}

// tolerance is how far a share may read back from what was set: some targets take whole percents alone.
const tolerance = 0.01

// of is the share that a version should have.
func (w Weights) of(version int) float64 {
	share := 0.0
	if version == w.Challenger && version != 0 {
		share += w.Weight
	}
	if version == w.Champion {
		share += 1 - w.Weight
	}
	return share
}

// met reports whether a target routes so. All and nothing are meant exactly: a canary that has ended leaves no request
// behind, and one that runs has a share.
func (w Weights) met(have []Version) bool {
	if w.Champion == 0 {
		return true // nothing was decided, so nothing is asked of it
	}
	shares := map[int]float64{w.Champion: 0}
	if w.Weight > 0 {
		shares[w.Challenger] = 0
	}
	for _, v := range have {
		shares[v.Version] += v.Weight
	}
	for version, share := range shares {
		want := w.of(version)
		whole := want == 0 || want == 1
		if whole && share != want || !whole && (math.Abs(share-want) > tolerance || share <= 0 || share >= 1) {
			return false
		}
	}
	return true
}
