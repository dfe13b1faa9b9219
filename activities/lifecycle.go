package activities

import (
	"time"

	"github.com/leanloop/leanloop/internal/approval"
)

// Outcomes of a lifecycle.
const (
	Promoted         = "promoted"
	Unchanged        = "unchanged"
	ValidationFailed = "validation_failed"
	GateFailed       = "gate_failed"
	Rejected         = "rejected"
	RolledBack       = "rolled_back"
	TimedOut         = "timed_out"
	Cancelled        = "cancelled"
	Superseded       = "superseded"
	Failed           = "failed"
)

// StageResult is one step of a run as people see it.
type StageResult struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"` // running | done | failed | skipped | waiting
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail,omitempty"`
}

// LifecycleInput starts one run. Everything that was decided before it (which files, whether to train) is in it.
type LifecycleInput struct {
	Model       string    `json:"model"`
	Number      int       `json:"number"`
	Triggers    []Trigger `json:"triggers"`
	Objects     []Object  `json:"objects,omitempty"`
	Train       bool      `json:"train"`
	Why         string    `json:"why"`
	Spec        string    `json:"spec"` // digest; the run is pinned to it
	Team        string    `json:"team,omitempty"`
	Force       bool      `json:"force,omitempty"`
	RequestedBy string    `json:"requested_by,omitempty"`
	Import      *Import   `json:"import,omitempty"`   // takes the place of training
	Resume      *Resume   `json:"resume,omitempty"`   // it goes on where another run ended
	NoCache     bool      `json:"no_cache,omitempty"` // no stage is taken from an earlier run
}

// LifecycleResult is how a run ended. Head is the ledger's newest entry that the run saw.
type LifecycleResult struct {
	ID       string        `json:"id"`
	Model    string        `json:"model"`
	Number   int           `json:"number"`
	Trigger  string        `json:"trigger"`
	Outcome  string        `json:"outcome"`
	Reason   string        `json:"reason"`
	Version  int           `json:"version,omitempty"`
	Champion int           `json:"champion,omitempty"` // at the end of the run
	Snapshot string        `json:"snapshot,omitempty"`
	Files    []string      `json:"files,omitempty"`   // digests of the files this run accepted
	Refused  []string      `json:"refused,omitempty"` // digests of those it refused
	Rows     int           `json:"rows"`
	Trained  bool          `json:"trained"`
	Cached   string        `json:"cached,omitempty"` // the run that trained its model, where this one didn't
	Cost     float64       `json:"cost,omitempty"`
	Stages   []StageResult `json:"stages"`
	HeadSeq  int64         `json:"head_seq,omitempty"`
	HeadHash string        `json:"head_hash,omitempty"`
	Started  time.Time     `json:"started"`
	Ended    time.Time     `json:"ended"`

	Resumed string `json:"resumed,omitempty"` // the run that it went on with
	Kept    *Kept  `json:"kept,omitempty"`    // in the bucket alone
}

// FileDigest is one file that an activity wrote, checked by whoever reads it.
type FileDigest struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Evidence is what an approval of a version binds to: if any part of Of moves, the approval is void.
type Evidence struct {
	Version int               `json:"version"`
	Of      approval.Evidence `json:"of"`
	Digest  string            `json:"digest"` // Of.Digest()
}
