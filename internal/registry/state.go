package registry

import (
	"fmt"
	"slices"
	"time"
)

// maxKeys is how many of the newest keys a state remembers. A step that asks again after that many other entries is
// no longer recognised, and is judged by the rules like a new one.
const maxKeys = 256

// State is a model after an entry. The newest entry's state is all that a reader needs.
type State struct {
	Model string  `json:"model"`
	Seq   int64   `json:"seq"` // of the entry that made it; 0: nothing was decided yet
	Spec  SpecRef `json:"spec,omitzero"`

	Champion      int       `json:"champion"` // version, 0 = none
	ChampionSince time.Time `json:"champion_since,omitzero"`
	ChampionSeq   int64     `json:"champion_seq,omitempty"` // entry that made it the champion
	Challenger    int       `json:"challenger"`             // version, 0 = none
	Weight        float64   `json:"weight"`                 // challenger's share of traffic while the lease lasts
	Lease         *Lease    `json:"lease,omitempty"`        // present as long as there is a challenger
	Epoch         int64     `json:"epoch"`                  // raised by each promotion and rollback

	Versions []Version `json:"versions,omitempty"` // number n at index n-1
	Keys     []KeySeq  `json:"keys,omitempty"`     // of the last 256 entries, oldest first
}

// SpecRef is the applied spec.
type SpecRef struct {
	Digest    string    `json:"digest"`
	AppliedBy string    `json:"applied_by"`
	At        time.Time `json:"at"`
}

// Lease bounds a challenger's share of traffic: past Until every gateway serves the champion alone.
type Lease struct {
	Until time.Time `json:"expires_at"`
	Run   string    `json:"run"`
}

// KeySeq says which entry a key made.
type KeySeq struct {
	Key string `json:"key"`
	Seq int64  `json:"seq"`
}

// Status is where a version stands.
type Status = string

// The statuses.
const (
	StatusRegistered Status = "registered"
	StatusApproved   Status = "approved"
	StatusRejected   Status = "rejected"
	StatusCanary     Status = "canary"
	StatusChampion   Status = "champion"
	StatusRetired    Status = "retired" // was the champion, was succeeded
	StatusRolledBack Status = "rolled_back"
)

// Version is one registered artifact.
type Version struct {
	Number       int                `json:"number"`
	Artifact     string             `json:"artifact"`
	Snapshot     string             `json:"snapshot"`
	Spec         string             `json:"spec"`
	Lifecycle    string             `json:"lifecycle"`
	Evidence     string             `json:"evidence"`
	Verdict      string             `json:"verdict"`
	Status       Status             `json:"status"`
	Metrics      map[string]float64 `json:"metrics,omitempty"`
	TrainedRows  int                `json:"trained_rows,omitempty"`
	NewestEvent  time.Time          `json:"newest_event,omitzero"`
	Imported     *Imported          `json:"imported,omitempty"`
	TrainedIn    string             `json:"trained_in,omitempty"`
	RegisteredAt time.Time          `json:"registered_at"`
	PromotedAt   time.Time          `json:"promoted_at,omitzero"` // last time; zero: never the champion
	Approval     *Approval          `json:"approval,omitempty"`
}

// Approval is who let a version through, and what they saw. It is void once champion or epoch moved.
type Approval struct {
	Approvers   []string  `json:"approvers"`
	RequestedBy string    `json:"requested_by,omitempty"`
	At          time.Time `json:"at"`
	Evidence    string    `json:"evidence"`
	Champion    int       `json:"champion"`
	Epoch       int64     `json:"epoch"`
}

// Version finds a version by its number.
func (s State) Version(n int) (Version, bool) {
	if n < 1 || n > len(s.Versions) {
		return Version{}, false
	}
	return s.Versions[n-1], true
}

// ByArtifact finds the version that holds an artifact.
func (s State) ByArtifact(digest string) (Version, bool) {
	i := slices.IndexFunc(s.Versions, func(v Version) bool { return v.Artifact == digest })
	if i < 0 {
		return Version{}, false
	}
	return s.Versions[i], true
}

// KeySeq finds the entry that a key made, among the last 256.
func (s State) KeySeq(key string) (seq int64, ok bool) { return findKey(s.Keys, key) }

func findKey(keys []KeySeq, key string) (seq int64, ok bool) {
	i := slices.IndexFunc(keys, func(k KeySeq) bool { return k.Key == key })
	if i < 0 {
		return 0, false
	}
	return keys[i].Seq, true
}

// addKey gives a new slice, so that the state before keeps its own.
func addKey(keys []KeySeq, key string, seq int64) []KeySeq {
	if drop := len(keys) - (maxKeys - 1); drop > 0 {
		keys = keys[drop:]
	}
	return append(slices.Clone(keys), KeySeq{Key: key, Seq: seq})
}

// check says what is impossible about a state: what no sequence of commands can have made.
func (s State) check() error {
	champions, challengers := 0, 0
	for i, v := range s.Versions {
		if v.Number != i+1 {
			return fmt.Errorf("version at place %d has number %d", i+1, v.Number)
		}
		switch v.Status {
		case StatusChampion:
			champions++
		case StatusCanary:
			challengers++
		case StatusRegistered, StatusApproved, StatusRejected, StatusRetired, StatusRolledBack:
		default:
			return fmt.Errorf("version %d has status %q", v.Number, v.Status)
		}
	}
	if err := s.checkSlot("champion", s.Champion, StatusChampion, champions); err != nil {
		return err
	}
	if err := s.checkSlot("challenger", s.Challenger, StatusCanary, challengers); err != nil {
		return err
	}
	if (s.Lease != nil) != (s.Challenger != 0) {
		return fmt.Errorf("challenger %d and lease %v: one without the other", s.Challenger, s.Lease)
	}
	if s.Weight < 0 || s.Weight > 1 || (s.Weight != 0 && s.Challenger == 0) {
		return fmt.Errorf("weight %v for challenger %d", s.Weight, s.Challenger)
	}
	if s.Epoch < 0 || s.Seq < 0 || len(s.Keys) > maxKeys {
		return fmt.Errorf("epoch %d, sequence %d, %d keys", s.Epoch, s.Seq, len(s.Keys))
	}
	return nil
}

// checkSlot holds a slot and the versions' statuses to each other.
func (s State) checkSlot(slot string, number int, status Status, count int) error {
	if number == 0 {
		if count != 0 {
			return fmt.Errorf("no %s, and %d versions with status %s", slot, count, status)
		}
		return nil
	}
	v, ok := s.Version(number)
	if !ok || v.Status != status || count != 1 {
		return fmt.Errorf("%s is version %d with status %q, and %d versions have status %s", slot, number, v.Status, count, status)
	}
	return nil
}
