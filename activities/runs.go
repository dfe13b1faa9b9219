package activities

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
)

// Executions tells whether a workflow still runs. The main package implements it by a Temporal client.
type Executions interface {
	// Running reports whether a workflow with this id is open; one that was never started isn't.
	Running(ctx context.Context, workflowID string) (bool, error)
}

// Runs keeps the record of runs in the bucket: which numbers are taken, and how each run ended. Temporal forgets a run
// after its retention, the bucket doesn't.
type Runs struct {
	Lake       *Lake
	Executions Executions
	Traffic    *Traffic
}

// SettingsInput names a run's spec.
type SettingsInput struct {
	Model string `json:"model"`
	Spec  string `json:"spec"`
}

// RunSettings is what workflows need of a spec to wait and to count.
type RunSettings struct {
	Retries      spec.Retries  `json:"retries"`
	TrainTimeout time.Duration `json:"train_timeout"` // of an attempt, with train.setup, made here after another failed to, and the trial of its model by predict.command
	Approval     spec.Approval `json:"approval"`
	Canary       spec.Canary   `json:"canary"`
	// Placement is where training runs; nil in runs from before there was a choice.
	Placement *Placement `json:"placement,omitempty"`
	// Search is what the run looks for hyperparameters by; nil: one training.
	Search *spec.Search `json:"search,omitempty"`
	// VerbTimeout is that of the program which drives what serves; 0: gateways serve.
	VerbTimeout time.Duration `json:"verb_timeout,omitempty"`
}

// Placement is which workers may train, and whose turn it is.
type Placement struct {
	Resources spec.Resources `json:"resources"`
	Priority  int            `json:"priority"` // 1, the first, to 5
}

// Driven reports whether a program drives what serves.
func (s RunSettings) Driven() bool { return s.VerbTimeout > 0 }

// Settings reads them.
func (r *Runs) Settings(ctx context.Context, in SettingsInput) (RunSettings, error) {
	m, err := r.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return RunSettings{}, err
	}
	out := RunSettings{
		Retries: m.Train.Retries, TrainTimeout: trainLimit(m) + m.Predict.Timeout.D() + 2*m.Train.Setup.Timeout.D(), Approval: m.Approval, Canary: m.Canary,
		Placement: &Placement{Resources: m.Train.Resources, Priority: cmp.Or(m.Train.Priority, spec.DefaultPriority)},
		Search:    m.Train.Search,
	}
	if m.Serving.Driven() {
		out.VerbTimeout = m.Serving.Timeout.D()
	}
	return out, nil
}

// trainLimit is how long one attempt may take: the spec's timeout, or as long as its budget for a run lasts.
func trainLimit(m *spec.Model) time.Duration {
	limit := m.Train.Timeout.D()
	if m.Budget.PerRun.Amount > 0 && m.HourlyCost() > 0 {
		limit = min(limit, time.Duration(m.Budget.PerRun.Amount/m.HourlyCost()*float64(time.Hour)))
	}
	return limit
}

// Claimed is the number that a run got.
type Claimed struct {
	Number int `json:"number"`
}

// Claim takes the first free number from in.Number on by creating the run's record. The same input gets the same
// number again.
func (r *Runs) Claim(ctx context.Context, in LifecycleInput) (Claimed, error) {
	for n := max(1, in.Number); ; n++ {
		in.Number = n
		raw, err := json.Marshal(in)
		if err != nil {
			return Claimed{}, err
		}
		key := runPrefix(in.Model, n) + "run.json"
		_, err = r.Lake.Store.Create(ctx, key, bytes.NewReader(raw), int64(len(raw)))
		if err == nil {
			return Claimed{Number: n}, nil
		}
		if !errors.Is(err, objectstore.ErrExists) {
			return Claimed{}, err
		}
		old, _, err := objectstore.ReadAll(ctx, r.Lake.Store, key, maxJSON)
		if err != nil {
			return Claimed{}, err
		}
		if string(old) == string(raw) {
			return Claimed{Number: n}, nil
		}
	}
}

// Close stores how a run ended, once, with what all its attempts at training cost. It returns what is stored: a run that
// was closed before keeps its first end.
func (r *Runs) Close(ctx context.Context, in LifecycleResult) (LifecycleResult, error) {
	in.Reason = clip(in.Reason, maxText)
	booked, err := spent(ctx, r.Lake.Store, in.Model, in.Number)
	if err != nil {
		return in, err
	}
	in.Cost = max(in.Cost, booked) // the result's own is of the attempt that made a model
	if head, err := r.Lake.Ledger(in.Model).Head(ctx); err == nil {
		in.Champion = head.State.Champion
		if head.Seq > in.HeadSeq {
			in.HeadSeq, in.HeadHash = head.Seq, head.Hash
		}
	}
	raw, err := json.Marshal(in)
	if err != nil {
		return in, err
	}
	key := runPrefix(in.Model, in.Number) + "result.json"
	_, err = r.Lake.Store.Create(ctx, key, bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, objectstore.ErrExists) {
		var stored LifecycleResult
		return stored, lost(getJSON(ctx, r.Lake.Store, key, &stored))
	}
	return in, err
}

// StatusInput names a run.
type StatusInput struct {
	Model  string `json:"model"`
	Number int    `json:"number"`
}

// StatusOutput says how it ended, if it did.
type StatusOutput struct {
	Closed bool            `json:"closed"`
	Result LifecycleResult `json:"result"`
}

// Status looks after a run. One whose workflow is gone without a result (it was terminated, or failed before it could
// write one) is closed as failed, and its challenger loses its traffic.
func (r *Runs) Status(ctx context.Context, in StatusInput) (StatusOutput, error) {
	result, closed, err := r.result(ctx, in.Model, in.Number)
	if err != nil || closed {
		return StatusOutput{Closed: closed, Result: result}, err
	}
	id := fmt.Sprintf("lifecycle/%s/%d", in.Model, in.Number)
	running, err := r.Executions.Running(ctx, id)
	if err != nil || running {
		return StatusOutput{}, err
	}
	// The workflow may have written its result between the two looks.
	if result, closed, err = r.result(ctx, in.Model, in.Number); err != nil || closed {
		return StatusOutput{Closed: closed, Result: result}, err
	}
	return r.abandoned(ctx, in, id)
}

func (r *Runs) abandoned(ctx context.Context, in StatusInput, id string) (StatusOutput, error) {
	var run LifecycleInput
	if err := getJSON(ctx, r.Lake.Store, runPrefix(in.Model, in.Number)+"run.json", &run); err != nil {
		return StatusOutput{}, lost(err)
	}
	const why = "the run's workflow ended without a result: it was terminated"
	head, err := r.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return StatusOutput{}, ledgerError(err)
	}
	now := r.Lake.Now().UTC()
	result := LifecycleResult{
		ID: id, Model: in.Model, Number: in.Number, Outcome: Failed, Reason: why, Trigger: TriggerData, Started: now, Ended: now,
	}
	if len(run.Triggers) > 0 {
		result.Trigger, result.Started = run.Triggers[0].Kind, run.Triggers[0].At
	}
	for _, v := range head.State.Versions {
		if v.Lifecycle != id {
			continue
		}
		result.Version, result.Snapshot, result.Trained = v.Number, v.Snapshot, true
		if !v.PromotedAt.IsZero() {
			result.Outcome, result.Reason = Promoted, "promoted before the run's workflow was terminated"
		}
	}
	if result.Version > 0 && head.State.Challenger == result.Version {
		result.Outcome, result.Reason = RolledBack, why
		_, err := r.Traffic.Rollback(ctx, RollbackInput{
			Model: in.Model, Version: result.Version, Lifecycle: id, Actor: "leanloop:model/" + in.Model, Via: "model", Reason: why,
		})
		if err != nil {
			return StatusOutput{}, err
		}
	}
	stored, err := r.Close(ctx, result)
	return StatusOutput{Closed: err == nil, Result: stored}, err
}

func (r *Runs) result(ctx context.Context, model string, n int) (LifecycleResult, bool, error) {
	var out LifecycleResult
	err := getJSON(ctx, r.Lake.Store, runPrefix(model, n)+"result.json", &out)
	if errors.Is(err, objectstore.ErrNotFound) {
		return out, false, nil
	}
	return out, err == nil, err
}

// RecoverInput names a model.
type RecoverInput struct {
	Model string `json:"model"`
}

// Recovered is what the bucket knows of its runs.
type Recovered struct {
	Last      int       `json:"last"`            // the highest number taken
	Open      int       `json:"open,omitempty"`  // the run that still runs; 0: none
	LastTrain time.Time `json:"last_train"`      // end of the newest run that trained, among those looked at
	Spent     float64   `json:"spent,omitempty"` // this month, by the runs looked at
	Month     string    `json:"month"`           // 2006-01: what Spent is of
}

// maxRecovered bounds how many runs a recovery reads: those of this month, and back to one that trained.
const maxRecovered = 200

// Recover finds the last run by doubling and bisecting, says whether it is open, and reads back what cooldown and budget
// need. A run that is gone is closed.
func (r *Runs) Recover(ctx context.Context, in RecoverInput) (Recovered, error) {
	now := r.Lake.Now().UTC()
	out := Recovered{Month: now.Format(monthName)}
	last, err := lastRun(ctx, r.Lake.Store, in.Model)
	if err != nil || last == 0 {
		return out, err
	}
	out.Last = last
	status, err := r.Status(ctx, StatusInput{Model: in.Model, Number: last})
	if err != nil {
		return out, err
	}
	if !status.Closed {
		out.Open = last
	}
	for n := last; n > max(0, last-maxRecovered); n-- {
		result, closed, err := r.result(ctx, in.Model, n)
		if err != nil {
			return out, err
		}
		if !closed {
			continue
		}
		thisMonth := result.Started.UTC().Format(monthName) == out.Month
		if thisMonth {
			out.Spent += result.Cost
		}
		if result.Trained && out.LastTrain.IsZero() {
			out.LastTrain = result.Ended
		}
		if !thisMonth && !out.LastTrain.IsZero() {
			break
		}
	}
	return out, nil
}

// lastRun is the highest number whose record exists; numbers have no gaps.
func lastRun(ctx context.Context, store objectstore.Getter, model string) (int, error) {
	exists := func(n int) (bool, error) {
		_, err := store.Stat(ctx, runPrefix(model, n)+"run.json")
		if errors.Is(err, objectstore.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	low, high := 0, 1
	for {
		found, err := exists(high)
		if err != nil {
			return 0, err
		}
		if !found {
			break
		}
		low, high = high, high*2
	}
	for high-low > 1 {
		mid := (low + high) / 2
		found, err := exists(mid)
		if err != nil {
			return 0, err
		}
		if found {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}
