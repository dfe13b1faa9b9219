package registry

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"time"
)

// Kind is what a command does.
type Kind string

// The kinds.
const (
	KindSpecApplied   Kind = "spec_applied"
	KindRegistered    Kind = "registered"
	KindApproved      Kind = "approved"
	KindRejected      Kind = "rejected"
	KindCanaryStarted Kind = "canary_started"
	KindCanaryWeight  Kind = "canary_weight"
	KindPromoted      Kind = "promoted"
	KindRolledBack    Kind = "rolled_back"
)

// Command is one change that somebody asks for. Exactly the arguments that belong to its kind are set.
type Command struct {
	// Key names the step that asks: <lifecycle id>/<stage>/<step>. The same step asking again, after a time-out or
	// a restart, finds the entry that it made.
	Key    string    `json:"key,omitempty"`
	Kind   Kind      `json:"kind"`
	Actor  string    `json:"actor,omitempty"` // who: cli:ana, slack:U012AB, lifecycle/flight-delay/7
	Via    string    `json:"via,omitempty"`   // through what: slack, cli, workflow, gateway
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	Guard  Guard     `json:"guard,omitzero"`

	Spec       *SpecApplied  `json:"spec,omitempty"`
	Registered *Registered   `json:"registered,omitempty"`
	Approved   *Decided      `json:"approved,omitempty"`
	Rejected   *Decided      `json:"rejected,omitempty"`
	Canary     *CanaryWeight `json:"canary,omitempty"` // of canary_started and canary_weight
	Promoted   *Promoted     `json:"promoted,omitempty"`
	RolledBack *RolledBack   `json:"rolled_back,omitempty"`
}

// Guard is what the one who asks believes the state to be. A field that is nil isn't checked; version 0 is none.
type Guard struct {
	Champion   *int   `json:"champion,omitempty"`
	Challenger *int   `json:"challenger,omitempty"`
	Epoch      *int64 `json:"epoch,omitempty"`
}

// GuardOf is the guard that holds a state as it is.
func GuardOf(s State) Guard {
	return Guard{Champion: new(s.Champion), Challenger: new(s.Challenger), Epoch: new(s.Epoch)}
}

// SpecApplied makes a stored spec the model's current one.
type SpecApplied struct {
	Digest    string `json:"digest"` // sha256 of the stored YAML
	AppliedBy string `json:"applied_by"`
}

// Registered records an evaluated artifact and asks for its version number.
type Registered struct {
	Artifact    string             `json:"artifact"`          // manifest's sha256
	Snapshot    string             `json:"snapshot"`          // what it was trained and judged on
	Spec        string             `json:"spec"`              // by which spec
	Lifecycle   string             `json:"lifecycle"`         // in which run
	Verdict     string             `json:"verdict"`           // pass | inconclusive | fail
	Evidence    string             `json:"evidence"`          // digest of all that an approval binds to
	Metrics     map[string]float64 `json:"metrics,omitempty"` // on the test rows; those without a finite value are left out
	TrainedRows int                `json:"trained_rows,omitempty"`
	NewestEvent time.Time          `json:"newest_event,omitzero"`
	Imported    *Imported          `json:"imported,omitempty"`   // nil: it was trained here
	TrainedIn   string             `json:"trained_in,omitempty"` // an earlier run, whose training it is; "": in Lifecycle
}

// Imported says where a version came from that was trained elsewhere.
type Imported struct {
	Digest       string    `json:"digest"`                 // of the files that were given
	By           string    `json:"by"`                     // who gave them
	TrainedUntil time.Time `json:"trained_until,omitzero"` // the newest event it may have been trained on, as they said; zero: unknown
}

// Decided is a person's decision on a version: the arguments of approved and rejected.
type Decided struct {
	Version     int        `json:"version"`
	Evidence    string     `json:"evidence"` // the digest that was shown
	Approvers   []string   `json:"approvers,omitempty"`
	RequestedBy string     `json:"requested_by,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Comparison  Comparison `json:"comparison,omitzero"`
}

// Comparison is the champion that a version was judged against.
type Comparison struct {
	Champion int   `json:"champion"` // 0: there was none
	Epoch    int64 `json:"epoch"`
}

// CanaryWeight gives a challenger a share of traffic until a time: the arguments of canary_started and canary_weight.
type CanaryWeight struct {
	Version    int       `json:"version"`
	Weight     float64   `json:"weight"` // share of one
	LeaseUntil time.Time `json:"lease_until"`
	Run        string    `json:"run"` // which canary holds the lease; unique to one execution
	// Action says what a person, or a failed look, did to the canary; the command's actor and reason say who and why. ""
	// where its own timetable sets the weight.
	Action   string    `json:"action,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"` // of an extend: when the canary ends now
}

// Actions of a canary's weights. A promotion and an abort have kinds of their own.
const (
	CanaryPaused    = "pause"
	CanaryResumed   = "resume"
	CanaryExtended  = "extend"
	CanaryWithdrawn = "withdraw" // it failed: weight 0 until a person says how to go on
	CanaryAsks      = "ask"      // it failed: a person is asked how to go on
)

// canaryActions are those that an entry may name.
func canaryActions() []string {
	return []string{CanaryPaused, CanaryResumed, CanaryExtended, CanaryWithdrawn, CanaryAsks}
}

// Promoted makes the challenger, or the first approved version, the champion.
type Promoted struct {
	Version int `json:"version"`
}

// RolledBack takes a challenger, or a champion, out of traffic.
type RolledBack struct {
	Version int    `json:"version"` // the challenger (or, with To, the champion) to roll back; 0: whichever it is
	To      int    `json:"to"`      // the former champion to return to; 0: the champion stays
	Reason  string `json:"reason,omitempty"`
}

// Verdicts of an evaluation.
const (
	VerdictPass         = "pass"
	VerdictInconclusive = "inconclusive"
	VerdictFail         = "fail"
)

// normal is the command as it is stored: times in UTC without a monotonic part, and no metric that JSON can't carry.
func (c Command) normal() Command {
	c.Time = c.Time.Round(0).UTC()
	if c.Registered != nil {
		r := *c.Registered
		r.NewestEvent = r.NewestEvent.Round(0).UTC()
		r.Metrics = maps.Clone(r.Metrics)
		maps.DeleteFunc(r.Metrics, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
		c.Registered = &r
	}
	if c.Canary != nil {
		w := *c.Canary
		w.LeaseUntil, w.Deadline = w.LeaseUntil.Round(0).UTC(), w.Deadline.Round(0).UTC()
		c.Canary = &w
	}
	return c
}

// version is the version that a command is about, 0 for none.
func (c Command) version() int {
	switch {
	case c.Approved != nil:
		return c.Approved.Version
	case c.Rejected != nil:
		return c.Rejected.Version
	case c.Canary != nil:
		return c.Canary.Version
	case c.Promoted != nil:
		return c.Promoted.Version
	case c.RolledBack != nil:
		return c.RolledBack.Version
	}
	return 0
}

// sameIntent tells a step that asks again from two steps that share a key by mistake. What a repetition may change
// (times, leases, reasons) isn't compared.
func (c Command) sameIntent(other Command) bool {
	if c.Kind != other.Kind || c.version() != other.version() {
		return false
	}
	switch {
	case c.Registered != nil:
		return c.Registered.Artifact == other.Registered.Artifact && c.Registered.Evidence == other.Registered.Evidence
	case c.Approved != nil:
		return c.Approved.Evidence == other.Approved.Evidence
	case c.Rejected != nil:
		return c.Rejected.Evidence == other.Rejected.Evidence
	case c.RolledBack != nil:
		return c.RolledBack.To == other.RolledBack.To
	case c.Spec != nil:
		return c.Spec.Digest == other.Spec.Digest
	}
	return true
}

// arguments are the kinds whose arguments are present; a well-formed command has one.
func (c Command) arguments() []Kind {
	present := map[Kind]bool{
		KindSpecApplied: c.Spec != nil,
		KindRegistered:  c.Registered != nil,
		KindApproved:    c.Approved != nil,
		KindRejected:    c.Rejected != nil,
		KindPromoted:    c.Promoted != nil,
		KindRolledBack:  c.RolledBack != nil,
	}
	if c.Canary != nil {
		if c.Kind == KindCanaryWeight {
			present[KindCanaryWeight] = true
		} else {
			present[KindCanaryStarted] = true
		}
	}
	maps.DeleteFunc(present, func(_ Kind, set bool) bool { return !set })
	return slices.Sorted(maps.Keys(present))
}

// String is the command in one line, for errors and logs.
func (c Command) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		return string(c.Kind) + " " + c.Key
	}
	return string(b)
}
