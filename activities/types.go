package activities

import (
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/evaluation"
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

// Kinds of triggers.
const (
	TriggerData    = "new_data"
	TriggerDrift   = "drift"
	TriggerQuality = "quality"
	TriggerCron    = "cron"
	TriggerPerson  = "person"
)

// Object names one version of one object in a bucket.
type Object struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	ETag      string    `json:"etag,omitempty"`
	VersionID string    `json:"version_id,omitempty"`
	Size      int64     `json:"size,omitempty"`
	Modified  time.Time `json:"modified"`
}

// URL is the object's s3:// address.
func (o Object) URL() string { return "s3://" + o.Bucket + "/" + o.Key }

// Identity deduplicates events about the object: the same bytes at the same place are one event, however often told.
func (o Object) Identity() string {
	if o.VersionID != "" {
		return fmt.Sprintf("%s/%s?version=%s", o.Bucket, o.Key, o.VersionID)
	}
	return fmt.Sprintf("%s/%s#%s", o.Bucket, o.Key, o.ETag)
}

// Trigger is one reason to run a lifecycle. Key deduplicates: a second trigger with a key that was taken is dropped.
type Trigger struct {
	Kind   string  `json:"kind"`
	Key    string  `json:"key"`
	Object *Object `json:"object,omitempty"` // new_data
	Actor  string  `json:"actor,omitempty"`  // person
	Via    string  `json:"via,omitempty"`
	Reason string  `json:"reason,omitempty"`
	Force  bool    `json:"force,omitempty"` // run even where snapshot and spec are unchanged
	// Champion is the version that a monitor watched; once it isn't the champion any more, the trigger says nothing.
	Champion int       `json:"champion,omitempty"`
	At       time.Time `json:"at"`
}

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
	Cost     float64       `json:"cost,omitempty"`
	Stages   []StageResult `json:"stages"`
	HeadSeq  int64         `json:"head_seq,omitempty"`
	HeadHash string        `json:"head_hash,omitempty"`
	Started  time.Time     `json:"started"`
	Ended    time.Time     `json:"ended"`
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

// PlanInput asks what to do about triggers.
type PlanInput struct {
	Model     string    `json:"model"`
	Triggers  []Trigger `json:"triggers"`
	Muted     []string  `json:"muted,omitempty"`
	LastTrain time.Time `json:"last_train"`
	Spent     float64   `json:"spent"` // this month, in the budget's currency
}

// PlanOutput is the answer. At most one run is started; Later is kept until Until.
type PlanOutput struct {
	Run     *LifecycleInput `json:"run,omitempty"`
	Dropped string          `json:"dropped,omitempty"` // why triggers led to nothing; people are told
	Later   []Trigger       `json:"later,omitempty"`
	Until   time.Time       `json:"until"`
	Month   string          `json:"month"` // 2006-01 of the decision: what a run's cost is booked on
}

// IngestInput reads one landed object.
type IngestInput struct {
	Model     string `json:"model"`
	Spec      string `json:"spec"`
	Lifecycle string `json:"lifecycle"`
	Object    Object `json:"object"`
}

// IngestOutput is what was found in it. The bytes are stored below datasets/<model>/<SHA256>/.
type IngestOutput struct {
	Object   Object            `json:"object"`
	SHA256   string            `json:"sha256"`
	Bytes    int64             `json:"bytes"`
	Rows     int               `json:"rows"`
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	Failures []dataset.Failure `json:"failures,omitempty"` // the first of each kind, bounded
	Problem  string            `json:"problem,omitempty"`  // the file can't be read at all
	Contract string            `json:"contract,omitempty"` // key of the inferred contract, where the spec has none
}

// ValidateInput decides over one ingested file.
type ValidateInput struct {
	Model     string       `json:"model"`
	Spec      string       `json:"spec"`
	Lifecycle string       `json:"lifecycle"`
	File      IngestOutput `json:"file"`
}

// ValidateOutput says whether it entered the data set's index.
type ValidateOutput struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"`
	Seq      int64  `json:"seq"`
}

// SnapshotInput fixes what is trained on. AsOf is the time that the labels' delay counts back from.
type SnapshotInput struct {
	Model     string    `json:"model"`
	Spec      string    `json:"spec"`
	Lifecycle string    `json:"lifecycle"`
	AsOf      time.Time `json:"as_of"`
	Force     bool      `json:"force,omitempty"`
}

// SnapshotOutput names the snapshot and says how its rows were split.
type SnapshotOutput struct {
	Digest     string    `json:"digest"`
	Files      int       `json:"files"`
	Rows       int       `json:"rows"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	Train      int       `json:"train"`
	Validation int       `json:"validation"`
	Test       int       `json:"test"`
	Dropped    string    `json:"dropped,omitempty"`   // what was left out, counted
	Unchanged  int       `json:"unchanged,omitempty"` // version that was made from the same snapshot and spec
	Problem    string    `json:"problem,omitempty"`   // why nothing can be trained from it
}

// TrainInput is one attempt. Token names the only folder it may write to.
type TrainInput struct {
	Model     string    `json:"model"`
	Spec      string    `json:"spec"`
	Lifecycle string    `json:"lifecycle"`
	Number    int       `json:"number"`
	Snapshot  string    `json:"snapshot"`
	AsOf      time.Time `json:"as_of"`
	Attempt   int       `json:"attempt"`
	Token     string    `json:"token"`
}

// TrainOutput is the attempt's commit: what isn't named here doesn't exist.
type TrainOutput struct {
	Prefix      string                `json:"prefix"`
	Files       map[string]FileDigest `json:"files"`
	Metrics     map[string]float64    `json:"metrics,omitempty"` // on validation rows
	Rounds      int                   `json:"rounds,omitempty"`
	TrainRows   int                   `json:"train_rows"`
	NewestEvent time.Time             `json:"newest_event"` // of the rows it was trained on, validation included
	Seconds     float64               `json:"seconds"`
	Cost        float64               `json:"cost,omitempty"`
}

// TrainProgress is the heartbeat of a training attempt.
type TrainProgress struct {
	Step    int                `json:"step"`
	Total   int                `json:"total,omitempty"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
}

// EvaluateInput judges a trained model on the snapshot's test rows, beside the champion.
type EvaluateInput struct {
	Model     string      `json:"model"`
	Spec      string      `json:"spec"`
	Lifecycle string      `json:"lifecycle"`
	Number    int         `json:"number"`
	Round     int         `json:"round"` // evaluation of this run, from 1: one that a moved champion made void is repeated
	Snapshot  string      `json:"snapshot"`
	AsOf      time.Time   `json:"as_of"`
	Train     TrainOutput `json:"train"`
}

// EvaluateSummary is what people decide by.
type EvaluateSummary struct {
	Verdict    evaluation.Verdict          `json:"verdict"`
	Metrics    evaluation.Values           `json:"metrics"`
	Comparison *evaluation.Comparison      `json:"comparison,omitempty"`
	Disparity  *evaluation.DisparityResult `json:"disparity,omitempty"`
	JudgedRows int                         `json:"judged_rows"`
	LeftOut    int                         `json:"left_out"` // test rows that the champion or the challenger was trained on
	Champion   int                         `json:"champion"`
	Epoch      int64                       `json:"epoch"`
	Unscorable string                      `json:"unscorable,omitempty"` // why the champion couldn't score the rows
	Previous   evaluation.Values           `json:"previous,omitempty"`   // the champion's metrics on the same rows
}

// EvaluateOutput is the summary and where its files are.
type EvaluateOutput struct {
	Summary EvaluateSummary       `json:"summary"`
	Prefix  string                `json:"prefix"`
	Files   map[string]FileDigest `json:"files"`
}

// RegisterInput makes an immutable artifact of the judged model and enters it in the ledger.
type RegisterInput struct {
	Model     string         `json:"model"`
	Spec      string         `json:"spec"`
	Lifecycle string         `json:"lifecycle"`
	Number    int            `json:"number"`
	Snapshot  SnapshotOutput `json:"snapshot"`
	Train     TrainOutput    `json:"train"`
	Evaluate  EvaluateOutput `json:"evaluate"`
}

// RegisterOutput is the version that the ledger granted.
type RegisterOutput struct {
	Version  int      `json:"version"`
	Evidence Evidence `json:"evidence"`
	Seq      int64    `json:"seq"`
}

// DecisionInput records what people decided about a version.
type DecisionInput struct {
	Model       string   `json:"model"`
	Lifecycle   string   `json:"lifecycle"`
	Round       int      `json:"round"`
	Approved    bool     `json:"approved"`
	Evidence    Evidence `json:"evidence"`
	Approvers   []string `json:"approvers,omitempty"`
	Via         string   `json:"via"`
	RequestedBy string   `json:"requested_by,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// LedgerOutput is the entry that a command made, or found made.
type LedgerOutput struct {
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	Epoch int64  `json:"epoch"`
	// Void says that the evidence an approval bound to has moved: evaluate again.
	Void string `json:"void,omitempty"`
}

// TrafficInput sets a challenger's weight until Lease. Key is the step's name within the run.
type TrafficInput struct {
	Model   string    `json:"model"`
	Version int       `json:"version"`
	Weight  float64   `json:"weight"`
	Lease   time.Time `json:"lease"`
	Run     string    `json:"run"`
	Epoch   int64     `json:"epoch"`
	Key     string    `json:"key"`
	Start   bool      `json:"start,omitempty"`
}

// PromoteInput makes a challenger the champion.
type PromoteInput struct {
	Model     string `json:"model"`
	Version   int    `json:"version"`
	Champion  int    `json:"champion"`
	Epoch     int64  `json:"epoch"`
	Lifecycle string `json:"lifecycle"`
	Actor     string `json:"actor"`
	Via       string `json:"via"`
	Reason    string `json:"reason,omitempty"`
}

// RollbackInput takes a challenger's traffic away. It changes nothing where that version isn't the challenger.
type RollbackInput struct {
	Model     string `json:"model"`
	Version   int    `json:"version"`
	Lifecycle string `json:"lifecycle"`
	Actor     string `json:"actor"`
	Via       string `json:"via"`
	Reason    string `json:"reason"`
}

// ConfirmInput waits until every live gateway serves by entry Seq or a later one.
type ConfirmInput struct {
	Model  string        `json:"model"`
	Seq    int64         `json:"seq"`
	Within time.Duration `json:"within"`
}

// ConfirmOutput says who does.
type ConfirmOutput struct {
	Confirmed bool     `json:"confirmed"`
	Gateways  int      `json:"gateways"`
	Missing   []string `json:"missing,omitempty"`
}

// CanaryInput starts a canary. State is nil at first, and what was reached after a continue-as-new.
type CanaryInput struct {
	Model     string        `json:"model"`
	Version   int           `json:"version"`
	Champion  int           `json:"champion"`
	Epoch     int64         `json:"epoch"`
	Lifecycle string        `json:"lifecycle"`
	Spec      string        `json:"spec"`
	Team      string        `json:"team,omitempty"`
	State     *canary.State `json:"state,omitempty"`
	Tick      int           `json:"tick"`
}

// CanaryResult is how it ended: Outcome is promoted (the weights are the lifecycle's to set) or rolled_back.
type CanaryResult struct {
	Outcome string             `json:"outcome"`
	Reason  string             `json:"reason"`
	Actor   string             `json:"actor,omitempty"` // a person who ended it
	Via     string             `json:"via,omitempty"`
	Last    []canary.Judgement `json:"last,omitempty"`
}

// MeasureInput judges one window of real traffic.
type MeasureInput struct {
	Model    string       `json:"model"`
	Version  int          `json:"version"`
	Champion int          `json:"champion"`
	Spec     string       `json:"spec"`
	State    canary.State `json:"state"`
	Now      time.Time    `json:"now"` // the window is the state's, up to a moment before
}

// MeasureOutput is the state after it and what to do.
type MeasureOutput struct {
	State     canary.State     `json:"state"`
	Action    canary.Action    `json:"action"`
	Judgement canary.Judgement `json:"judgement"`
}

// DriftInput compares the window that ends at End with the champion's training rows.
type DriftInput struct {
	Model string    `json:"model"`
	End   time.Time `json:"end"`
	// Recent are the verdicts of earlier windows of the same champion, oldest first.
	Recent   []bool `json:"recent,omitempty"`
	Champion int    `json:"champion,omitempty"`
}

// DriftOutput is one window's result. Recent has the window's own verdict as its last.
type DriftOutput struct {
	Model        string               `json:"model"`
	Champion     int                  `json:"champion"`
	From         time.Time            `json:"from"`
	End          time.Time            `json:"end"`
	Rows         int                  `json:"rows"`
	Inconclusive string               `json:"inconclusive,omitempty"`
	Drifted      []string             `json:"drifted,omitempty"`
	MaxPSI       float64              `json:"max_psi"`
	Window       bool                 `json:"window"` // this window is over a limit
	Alert        bool                 `json:"alert"`  // k of n windows are
	Reason       string               `json:"reason,omitempty"`
	Recent       []bool               `json:"recent,omitempty"`
	Report       string               `json:"report,omitempty"` // key of the full result
	Top          []drift.ColumnResult `json:"top,omitempty"`    // worst first, bounded
}

// QualityInput compares labelled predictions of the window that ends at End with the champion's test metrics.
type QualityInput struct {
	Model string    `json:"model"`
	End   time.Time `json:"end"`
}

// QualityOutput is one window's result.
type QualityOutput struct {
	Model        string    `json:"model"`
	Champion     int       `json:"champion"`
	From         time.Time `json:"from"`
	End          time.Time `json:"end"`
	Metric       string    `json:"metric"`
	Predictions  int       `json:"predictions"`
	Labelled     int       `json:"labelled"`
	Observed     float64   `json:"observed"`
	Baseline     float64   `json:"baseline"`
	Limit        float64   `json:"limit"`
	Inconclusive string    `json:"inconclusive,omitempty"`
	Alert        bool      `json:"alert"`
	Reason       string    `json:"reason,omitempty"`
}

// MonitorInput starts a Drift, Quality or RetrainCheck workflow.
type MonitorInput struct {
	Model string `json:"model"`
}
