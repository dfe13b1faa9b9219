// Package workflows is what happens, in which order: the lifecycle of a model as durable workflows.
//
// Workflow code is deterministic and imports only the types of activities and of pure packages; everything that
// reads, writes or decides runs in an activity, so that it is recorded. This file holds every name that crosses a
// process: task queues, workflow ids, signals, updates, queries, search attributes and their payloads.
package workflows

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
)

// Task queues, one per worker role. Workflows and light activities run on QueueLifecycle, activities that read whole
// data sets on QueueData, training on QueueTrain.
const (
	QueueLifecycle = "leanloop-lifecycle"
	QueueData      = "leanloop-data"
	QueueTrain     = "leanloop-train"
)

// TrainQueue is the task queue of training runs that need these resources: QueueTrain for those without GPU and labels, else
// that name with how many GPUs, of which class of memory, and for which set of labels, such as
// leanloop-train.gpu2.40Gi@eu+spot. Workers poll those that they can serve.
func TrainQueue(r spec.Resources) string {
	name := QueueTrain
	if r.GPUs > 0 {
		name += fmt.Sprintf(".gpu%d", r.GPUs)
	}
	if class := r.MemoryClass(); class > 0 {
		name += "." + class.String()
	}
	if set := r.LabelSet(); set != "" {
		name += "@" + set
	}
	return name
}

// Workflow type names as registered.
const (
	TypeModel        = "Model"
	TypeLifecycle    = "Lifecycle"
	TypeCanary       = "Canary"
	TypeSearch       = "Search"
	TypeDrift        = "Drift"
	TypeQuality      = "Quality"
	TypeRetrainCheck = "RetrainCheck"
	TypeTargetCheck  = "TargetCheck"
)

// ModelID is the workflow id of a model's entity workflow.
func ModelID(model string) string { return "model/" + model }

// LifecycleID is the workflow id of a model's n-th run.
func LifecycleID(model string, n int) string { return fmt.Sprintf("lifecycle/%s/%d", model, n) }

// CanaryID is the workflow id of a model's canary: one at a time, so it carries no number.
func CanaryID(model string) string { return "canary/" + model }

// TargetID is the workflow id of a check of a model's target that a person asked for. One that only looks and one that
// repairs may run at the same time.
func TargetID(model string, readOnly bool) string {
	if readOnly {
		return "target-status/" + model
	}
	return "target-sync/" + model
}

// SearchID is the workflow id of the search of a model's n-th run.
func SearchID(model string, n int) string { return fmt.Sprintf("search/%s/%d", model, n) }

// Search attributes, all typed; SearchAttributes names them for servers that must be told. Stage names the stages that
// last: a run that validates still says ingest, one that registers says evaluate. Its current details are to the moment.
var (
	AttributeModel    = temporal.NewSearchAttributeKeyKeyword("Model")
	AttributeStage    = temporal.NewSearchAttributeKeyKeyword("Stage")
	AttributeOutcome  = temporal.NewSearchAttributeKeyKeyword("Outcome")
	AttributeTeam     = temporal.NewSearchAttributeKeyKeyword("Team")
	AttributeSnapshot = temporal.NewSearchAttributeKeyKeyword("SnapshotDigest")
)

// SearchAttributes maps each search attribute to its Temporal type.
func SearchAttributes() map[string]string {
	return map[string]string{
		AttributeModel.GetName():    "Keyword",
		AttributeStage.GetName():    "Keyword",
		AttributeOutcome.GetName():  "Keyword",
		AttributeTeam.GetName():     "Keyword",
		AttributeSnapshot.GetName(): "Keyword",
	}
}

// Signals, updates and queries.
const (
	SignalTrigger  = "trigger"  // to Model: activities.Trigger
	SignalFinished = "finished" // to Model, from a Lifecycle: Finished
	SignalDecision = "decision" // to Lifecycle: approval.Decision, judged like UpdateDecide
	SignalStop     = "stop"     // to Lifecycle: Stop, judged like UpdateStop
	SignalCanary   = "steer"    // to Canary: Steer, judged like UpdateSteer

	UpdateSubmit = "submit" // to Model: activities.Trigger -> Submitted
	UpdateDecide = "decide" // to Lifecycle: approval.Decision -> approval.Status
	UpdateStop   = "stop"   // to Lifecycle: Stop -> bool
	UpdateSteer  = "steer"  // to Canary: Steer -> canary.State

	QueryState = "state" // Model -> ModelState, Lifecycle -> LifecycleState, Canary -> CanaryState, Search -> SearchState
)

// Errors of validators carry one of these types, so that a client may tell them apart.
const (
	ErrorRefused = "Refused" // a decision that the policy or the state doesn't allow
	ErrorInvalid = "Invalid" // a payload that says nothing sensible
)

// Submitted answers UpdateSubmit.
type Submitted struct {
	// Lifecycle is the id of the run that will serve the trigger; empty while it waits behind an open run.
	Lifecycle string `json:"lifecycle,omitempty"`
	// Queued is how many triggers wait, this one included.
	Queued int `json:"queued"`
	// Duplicate says that a trigger with the same key was taken before.
	Duplicate bool `json:"duplicate,omitempty"`
	// Note says why no run serves it, where that is known.
	Note string `json:"note,omitempty"`
}

// Finished tells Model that a run it may not be the parent of has ended.
type Finished struct {
	Number int                        `json:"number"`
	Result activities.LifecycleResult `json:"result"`
}

// Stop ends a run before its own end: Outcome is cancelled or superseded.
type Stop struct {
	Outcome string `json:"outcome"`
	Actor   string `json:"actor"`
	Via     string `json:"via"`
	Reason  string `json:"reason"`
}

// Steer is a person's hand on a running canary: promote, abort, pause, resume or extend.
type Steer struct {
	Action string `json:"action"`
	Actor  string `json:"actor"`
	Via    string `json:"via"`
	Reason string `json:"reason"`
	// Of extend: how much later the deadline is, and how much longer the step is held.
	Deadline time.Duration `json:"deadline,omitempty"`
	Hold     time.Duration `json:"hold,omitempty"`
}

// ModelState answers QueryState on Model; it is also all that the entity carries when it continues as new.
type ModelState struct {
	Model      string                      `json:"model"`
	NextRun    int                         `json:"next_run"`
	Open       *OpenRun                    `json:"open,omitempty"`
	Pending    []activities.Trigger        `json:"pending,omitempty"`
	Taken      []Taken                     `json:"taken,omitempty"` // the last 1,000 triggers that a run or a refusal answered
	Muted      []string                    `json:"muted,omitempty"` // trigger kinds that wait for another accepted file
	LastTrain  time.Time                   `json:"last_train"`      // end of the last run that trained
	Spent      map[string]float64          `json:"spent,omitempty"` // cost by month (2006-01), in the budget's currency
	Note       string                      `json:"note,omitempty"`  // why the last triggers led to no run
	DeferUntil time.Time                   `json:"defer_until"`     // pending triggers wait until then
	LastResult *activities.LifecycleResult `json:"last_result,omitempty"`
}

// Taken is a trigger that was answered: by a run, or by nothing where Lifecycle is empty.
type Taken struct {
	Key       string `json:"key"`
	Lifecycle string `json:"lifecycle,omitempty"`
}

// ModelInput starts a model's entity workflow. State is what an earlier execution carried over.
type ModelInput struct {
	Model string      `json:"model"`
	State *ModelState `json:"state,omitempty"`
	// RunsPerExecution continues as new after so many runs; 0: the default. Tests set it.
	RunsPerExecution int `json:"runs_per_execution,omitempty"`
}

// OpenRun is the lifecycle that runs now.
type OpenRun struct {
	Number  int       `json:"number"`
	ID      string    `json:"id"`
	Since   time.Time `json:"since"`
	Adopted bool      `json:"adopted,omitempty"` // looked after by asking the store: this execution isn't told of its end
}

// LifecycleState answers QueryState on Lifecycle.
type LifecycleState struct {
	ID       string                   `json:"id"`
	Model    string                   `json:"model"`
	Stage    string                   `json:"stage"`
	Stages   []activities.StageResult `json:"stages"`
	Outcome  string                   `json:"outcome,omitempty"`
	Reason   string                   `json:"reason,omitempty"`
	Version  int                      `json:"version,omitempty"`
	Champion int                      `json:"champion,omitempty"`
	Snapshot string                   `json:"snapshot,omitempty"`
	Rows     int                      `json:"rows,omitempty"`
	Cached   string                   `json:"cached,omitempty"`  // the run that trained its model, where it didn't
	Resumed  string                   `json:"resumed,omitempty"` // the run that it goes on with
	Search   string                   `json:"search,omitempty"`  // workflow id of the run's search, once it has one
	Approval *ApprovalState           `json:"approval,omitempty"`
	Notes    []string                 `json:"notes,omitempty"`
}

// ApprovalState is what a person must know to decide.
type ApprovalState struct {
	Request  approval.Request           `json:"request"`
	Status   approval.Status            `json:"status"`
	Evidence activities.Evidence        `json:"evidence"`
	Summary  activities.EvaluateSummary `json:"summary"`
}

// CanaryState answers QueryState on Canary.
type CanaryState struct {
	Model    string       `json:"model"`
	Version  int          `json:"version"`
	Champion int          `json:"champion"`
	Weight   float64      `json:"weight"`
	Lease    time.Time    `json:"lease"`
	State    canary.State `json:"state"`
	Last     *canary.Look `json:"last,omitempty"`   // with every check, and both arms' numbers
	Driven   bool         `json:"driven,omitempty"` // a program drives what serves, no gateway
	Target   string       `json:"target,omitempty"` // why that may not serve by Weight; "": it reads it back
}

// SearchState answers QueryState on Search.
type SearchState struct {
	Model   string         `json:"model"`
	Number  int            `json:"number"`
	Metric  string         `json:"metric"`
	Goal    search.Goal    `json:"goal"`
	Trials  int            `json:"trials"` // at most
	Ended   int            `json:"ended"`
	Pruned  int            `json:"pruned,omitempty"`
	Failed  int            `json:"failed,omitempty"`
	Running []search.Trial `json:"running,omitempty"`
	Best    *search.Trial  `json:"best,omitempty"`
	Cost    float64        `json:"cost,omitempty"`
	Stopped string         `json:"stopped,omitempty"`
	Waits   string         `json:"waits,omitempty"` // for a worker
	Notes   []string       `json:"notes,omitempty"`
}

// ModelOptions start a model's entity, or find the one that runs.
func ModelOptions(model string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       ModelID(model),
		TaskQueue:                QueueLifecycle,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "the lifecycle of " + model,
		TypedSearchAttributes:    temporal.NewSearchAttributes(AttributeModel.ValueSet(model)),
	}
}
