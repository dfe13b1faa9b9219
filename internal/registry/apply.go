package registry

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a command may carry, so that no entry outgrows what its readers accept.
const (
	maxKeyLen  = 512
	maxText    = 2000 // bytes of a reason
	maxMetrics = 256
	maxNames   = 64
)

// Apply is the whole rule book: the state after a command, or why there is none. It is pure: time comes with the
// command, and s is never changed. Its errors are *Conflict, when the state isn't what the one who asks believes
// or what an approval was given for, and *Refused, when no state would allow it; neither is worth a retry.
//
// What it guarantees over any sequence of commands: at most one champion and one challenger; no version becomes
// either without a verdict that isn't "fail" and an approval bound to its evidence and to the champion and epoch as
// compared; the epoch rises with each promotion and rollback and never falls; a key is applied once.
func Apply(s State, c Command) (State, error) {
	c = c.normal()
	if err := checkCommand(s, c); err != nil {
		return State{}, err
	}
	if err := c.Guard.check(s, c.Key); err != nil {
		return State{}, err
	}
	next := s
	next.Seq++
	next.Keys = addKey(s.Keys, c.Key, next.Seq)
	next.Versions = slices.Clone(s.Versions) // a changed Version is replaced; its map and pointer are never written to
	var err error
	switch c.Kind {
	case KindSpecApplied:
		err = next.applySpec(c)
	case KindRegistered:
		err = next.register(c)
	case KindApproved:
		err = next.approve(c)
	case KindRejected:
		err = next.reject(c)
	case KindCanaryStarted:
		err = next.startCanary(c)
	case KindCanaryWeight:
		err = next.setWeight(c)
	case KindPromoted:
		err = next.promote(c)
	case KindRolledBack:
		err = next.rollBack(c)
	}
	if err != nil {
		return State{}, err
	}
	return next, nil
}

// checkCommand refuses what is malformed in any state.
func checkCommand(s State, c Command) error {
	refuse := func(format string, args ...any) error {
		return &Refused{Subject: s.Model, Key: c.Key, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case c.Key == "" || len(c.Key) > maxKeyLen:
		return refuse("key of %d bytes, want 1 to %d", len(c.Key), maxKeyLen)
	case c.Actor == "":
		return refuse("no actor: every entry says who")
	case c.Time.IsZero():
		return refuse("no time")
	case len(c.Reason) > maxText || len(c.Actor) > maxKeyLen || len(c.Via) > maxKeyLen:
		return refuse("reason of %d bytes, actor of %d, via of %d: want at most %d, %d, %d",
			len(c.Reason), len(c.Actor), len(c.Via), maxText, maxKeyLen, maxKeyLen)
	}
	if have := c.arguments(); len(have) != 1 || have[0] != c.Kind {
		return refuse("kind %q with arguments of %v", c.Kind, have)
	}
	if seq, ok := s.KeySeq(c.Key); ok {
		return refuse("the key was applied already, as entry %d", seq)
	}
	return nil
}

// check compares a guard with the state.
func (g Guard) check(s State, key string) error {
	if g.Champion != nil && *g.Champion != s.Champion {
		return conflict(s, key, "champion", versionName(s.Champion), versionName(*g.Champion))
	}
	if g.Challenger != nil && *g.Challenger != s.Challenger {
		return conflict(s, key, "challenger", versionName(s.Challenger), versionName(*g.Challenger))
	}
	if g.Epoch != nil && *g.Epoch != s.Epoch {
		return conflict(s, key, "epoch", strconv.FormatInt(s.Epoch, 10), strconv.FormatInt(*g.Epoch, 10))
	}
	return nil
}

func (s *State) applySpec(c Command) error {
	if err := checkDigest("spec", c.Spec.Digest); err != nil {
		return s.refuse(c, "%v", err)
	}
	s.Spec = SpecRef{Digest: c.Spec.Digest, AppliedBy: c.Spec.AppliedBy, At: c.Time}
	return nil
}

// register grants the next number, or finds the number that the artifact has. A new evaluation of an artifact
// replaces the old one and voids its approval, since that was for other evidence.
func (s *State) register(c Command) error {
	r := c.Registered
	if err := checkDigest("artifact", r.Artifact); err != nil {
		return s.refuse(c, "%v", err)
	}
	if i := r.Imported; i != nil && (i.Digest == "" || i.By == "" || len(i.Digest) > maxKeyLen || len(i.By) > maxKeyLen) {
		return s.refuse(c, "imported: digest of %d bytes by %d bytes, want both, within %d", len(i.Digest), len(i.By), maxKeyLen)
	}
	if r.Evidence == "" {
		return s.refuse(c, "no evidence: an approval would bind to nothing")
	}
	if longest := max(len(r.Evidence), len(r.Snapshot), len(r.Spec), len(r.Lifecycle), len(r.TrainedIn)); longest > maxKeyLen {
		return s.refuse(c, "evidence, snapshot, spec or lifecycle of %d bytes > limit %d", longest, maxKeyLen)
	}
	if r.Verdict != VerdictPass && r.Verdict != VerdictInconclusive && r.Verdict != VerdictFail {
		return s.refuse(c, "verdict %q: want %s, %s or %s", r.Verdict, VerdictPass, VerdictInconclusive, VerdictFail)
	}
	if len(r.Metrics) > maxMetrics {
		return s.refuse(c, "%d metrics > limit %d", len(r.Metrics), maxMetrics)
	}
	v, known := s.ByArtifact(r.Artifact)
	switch {
	case !known:
		v = Version{Number: len(s.Versions) + 1, Artifact: r.Artifact, RegisteredAt: c.Time}
	case v.Status == StatusChampion, v.Evidence == r.Evidence && v.Verdict == r.Verdict:
		return nil // nothing to judge anew: the entry only binds the key to the number
	case v.Status == StatusCanary:
		return s.conflict(c, "challenger", versionName(v.Number), "none while version "+strconv.Itoa(v.Number)+" is evaluated anew")
	}
	v.Snapshot, v.Spec, v.Lifecycle = r.Snapshot, r.Spec, r.Lifecycle
	v.Verdict, v.Evidence, v.Metrics = r.Verdict, r.Evidence, r.Metrics
	v.TrainedRows, v.NewestEvent, v.Imported, v.TrainedIn = r.TrainedRows, r.NewestEvent, r.Imported, r.TrainedIn
	v.Status, v.Approval = StatusRegistered, nil
	s.set(v)
	return nil
}

// approve lets a version through, for this evidence, this champion and this epoch only.
func (s *State) approve(c Command) error {
	d := c.Approved
	v, err := s.undecided(c, d)
	if err != nil {
		return err
	}
	if v.Verdict == VerdictFail {
		return s.refuse(c, "version %d failed its gates: no approval can replace them", v.Number)
	}
	approvers := slices.Compact(slices.Sorted(slices.Values(d.Approvers)))
	if len(approvers) == 0 || len(approvers) > maxNames || slices.Contains(approvers, "") {
		return s.refuse(c, "approvers %q: want 1 to %d, each named", d.Approvers, maxNames)
	}
	if d.Comparison.Champion != s.Champion {
		return s.conflict(c, "champion", versionName(s.Champion), versionName(d.Comparison.Champion)+" as compared")
	}
	if d.Comparison.Epoch != s.Epoch {
		return s.conflict(c, "epoch", fmt.Sprint(s.Epoch), fmt.Sprint(d.Comparison.Epoch, " as compared"))
	}
	v.Status = StatusApproved
	v.Approval = &Approval{
		Approvers: approvers, RequestedBy: d.RequestedBy, At: c.Time,
		Evidence: d.Evidence, Champion: s.Champion, Epoch: s.Epoch,
	}
	s.set(v)
	return nil
}

func (s *State) reject(c Command) error {
	v, err := s.undecided(c, c.Rejected)
	if err != nil {
		return err
	}
	v.Status = StatusRejected
	s.set(v)
	return nil
}

// undecided finds the version that a decision is about: the first decision on an evaluation wins.
func (s *State) undecided(c Command, d *Decided) (Version, error) {
	v, ok := s.Version(d.Version)
	if !ok {
		return Version{}, s.refuse(c, "no version %d, the newest is %d", d.Version, len(s.Versions))
	}
	if len(d.Reason) > maxText {
		return Version{}, s.refuse(c, "reason of %d bytes > limit %d", len(d.Reason), maxText)
	}
	if d.Evidence != v.Evidence {
		return Version{}, s.conflict(c, "evidence", v.Evidence, d.Evidence)
	}
	if v.Status != StatusRegistered {
		return Version{}, s.refuse(c, "version %d is decided already: %s", v.Number, v.Status)
	}
	return v, nil
}

// startCanary gives an approved version its first share of traffic beside the champion. A challenger whose lease is
// over has no traffic and nobody who renews it (its first entry can have reached the store after its own run gave up):
// it gives way.
func (s *State) startCanary(c Command) error {
	w := c.Canary
	v, err := s.approvedVersion(c, w.Version)
	if err != nil {
		return err
	}
	if s.Champion == 0 {
		return s.refuse(c, "there is no champion to compare version %d with: promote it", v.Number)
	}
	if s.Challenger == v.Number || s.Challenger != 0 && c.Time.Before(s.Lease.Until) {
		return s.conflict(c, "challenger", versionName(s.Challenger), versionName(0))
	}
	if v.Status != StatusApproved {
		return s.refuse(c, "version %d is %s, want %s", v.Number, v.Status, StatusApproved)
	}
	if left, ok := s.Version(s.Challenger); ok {
		left.Status = StatusRolledBack
		s.set(left)
	}
	if err := s.lease(c); err != nil {
		return err
	}
	s.Challenger = v.Number
	v.Status = StatusCanary
	s.set(v)
	return nil
}

// setWeight changes the share, or renews the lease. A canary of an older run or epoch finds its lease gone or held
// by another.
func (s *State) setWeight(c Command) error {
	w := c.Canary
	if s.Challenger != w.Version || s.Challenger == 0 {
		return s.conflict(c, "challenger", versionName(s.Challenger), versionName(w.Version))
	}
	if s.Lease.Run != w.Run {
		return s.conflict(c, "run of the lease", s.Lease.Run, w.Run)
	}
	if _, err := s.approvedVersion(c, w.Version); err != nil {
		return err
	}
	return s.lease(c)
}

// lease sets weight and lease from a command.
func (s *State) lease(c Command) error {
	w := c.Canary
	switch {
	case math.IsNaN(w.Weight) || w.Weight < 0 || w.Weight > 1:
		return s.refuse(c, "weight %v: want 0 to 1", w.Weight)
	case w.Run == "" || len(w.Run) > maxKeyLen:
		return s.refuse(c, "run of %d bytes, want 1 to %d", len(w.Run), maxKeyLen)
	case !w.LeaseUntil.After(c.Time):
		return s.refuse(c, "lease until %s isn't after %s", stamp(w.LeaseUntil), stamp(c.Time))
	}
	if err := s.checkAction(c); err != nil {
		return err
	}
	s.Weight = w.Weight
	s.Lease = &Lease{Until: w.LeaseUntil, Run: w.Run}
	return nil
}

// checkAction holds what a person or a failure did to a canary to what a reader of the ledger must know about it.
func (s *State) checkAction(c Command) error {
	w := c.Canary
	switch {
	case w.Action == "":
		if !w.Deadline.IsZero() {
			return s.refuse(c, "deadline %s without the action %s", stamp(w.Deadline), CanaryExtended)
		}
		return nil
	case !slices.Contains(canaryActions(), w.Action):
		return s.refuse(c, "action %q: want one of %s", w.Action, strings.Join(canaryActions(), ", "))
	case c.Kind != KindCanaryWeight:
		return s.refuse(c, "action %s with %s: want %s", w.Action, c.Kind, KindCanaryWeight)
	case c.Reason == "":
		return s.refuse(c, "action %s without a reason", w.Action)
	case w.Action == CanaryWithdrawn && w.Weight != 0:
		return s.refuse(c, "action %s with weight %v: want 0", w.Action, w.Weight)
	case (w.Action == CanaryExtended) != !w.Deadline.IsZero():
		return s.refuse(c, "action %s with deadline %s: %s has one, and no other", w.Action, stamp(w.Deadline), CanaryExtended)
	}
	return nil
}

// promote makes the challenger the champion; without any champion, an approved version.
func (s *State) promote(c Command) error {
	number := c.Promoted.Version
	if number != s.Challenger && (s.Champion != 0 || s.Challenger != 0) {
		return s.conflict(c, "challenger", versionName(s.Challenger), versionName(number))
	}
	v, err := s.approvedVersion(c, number)
	if err != nil {
		return err
	}
	if old, ok := s.Version(s.Champion); ok {
		old.Status = StatusRetired
		s.set(old)
	}
	s.crown(v, c.Time)
	s.clearChallenger()
	return nil
}

// rollBack takes the challenger out of traffic, or returns to a former champion, or both. It needs no approval: it
// must work for whoever is on duty, and leads only to what was let through before.
func (s *State) rollBack(c Command) error {
	r := c.RolledBack
	if len(r.Reason) > maxText {
		return s.refuse(c, "reason of %d bytes > limit %d", len(r.Reason), maxText)
	}
	if r.Version != 0 && r.Version != s.Challenger && (r.To == 0 || r.Version != s.Champion) {
		return s.conflict(c, "challenger", versionName(s.Challenger), versionName(r.Version))
	}
	returns := r.To != 0 && r.To != s.Champion
	if s.Challenger == 0 && !returns {
		return s.conflict(c, "challenger", versionName(0), "one to roll back")
	}
	to, known := s.Version(r.To)
	if returns && (!known || to.PromotedAt.IsZero()) {
		return s.refuse(c, "version %d was never the champion", r.To)
	}
	if challenger, ok := s.Version(s.Challenger); ok {
		challenger.Status = StatusRolledBack
		s.set(challenger)
	}
	s.clearChallenger()
	if !returns {
		s.Epoch++
		return nil
	}
	if old, ok := s.Version(s.Champion); ok {
		old.Status = StatusRolledBack
		s.set(old)
	}
	s.crown(to, c.Time)
	return nil
}

// approvedVersion finds a version whose gates and approval let it into traffic now.
func (s *State) approvedVersion(c Command, number int) (Version, error) {
	v, ok := s.Version(number)
	if !ok {
		return Version{}, s.refuse(c, "no version %d, the newest is %d", number, len(s.Versions))
	}
	if v.Verdict == VerdictFail {
		return Version{}, s.refuse(c, "version %d failed its gates", number)
	}
	if v.Status != StatusApproved && v.Status != StatusCanary {
		return Version{}, s.refuse(c, "version %d is %s, not approved", number, v.Status)
	}
	a := v.Approval
	if a == nil {
		return Version{}, s.refuse(c, "version %d has no approval", number)
	}
	switch {
	case a.Evidence != v.Evidence:
		return Version{}, s.conflict(c, "evidence", v.Evidence, a.Evidence+" as approved")
	case a.Champion != s.Champion:
		return Version{}, s.conflict(c, "champion", versionName(s.Champion), versionName(a.Champion)+" as approved")
	case a.Epoch != s.Epoch:
		return Version{}, s.conflict(c, "epoch", fmt.Sprint(s.Epoch), fmt.Sprint(a.Epoch, " as approved"))
	}
	return v, nil
}

// crown makes a version the champion and raises the epoch, which voids every approval and lease of before.
func (s *State) crown(v Version, at time.Time) {
	v.Status, v.PromotedAt = StatusChampion, at
	s.set(v)
	s.Champion, s.ChampionSince, s.ChampionSeq = v.Number, at, s.Seq
	s.Epoch++
}

func (s *State) clearChallenger() { s.Challenger, s.Weight, s.Lease = 0, 0, nil }

// set stores a version in its place. The slice is this state's own: Apply cloned it.
func (s *State) set(v Version) {
	if v.Number == len(s.Versions)+1 {
		s.Versions = append(s.Versions, v)
		return
	}
	s.Versions[v.Number-1] = v
}

func (s *State) refuse(c Command, format string, args ...any) error {
	return &Refused{Subject: s.Model, Key: c.Key, Reason: fmt.Sprintf(format, args...)}
}

func (s *State) conflict(c Command, what, observed, expected string) error {
	return conflict(*s, c.Key, what, observed, expected)
}

func conflict(s State, key, what, observed, expected string) error {
	return &Conflict{Model: s.Model, Key: key, What: what, Observed: observed, Expected: expected}
}

// versionName is how errors call a version.
func versionName(n int) string {
	if n == 0 {
		return "none"
	}
	return "version " + strconv.Itoa(n)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
