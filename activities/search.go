package activities

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training"
	"github.com/leanloop/leanloop/internal/training/slots"
)

// SearchInput starts the search of one run. Done is what an earlier execution carried over: every trial before Next.
type SearchInput struct {
	Model     string         `json:"model"`
	Spec      string         `json:"spec"`
	Lifecycle string         `json:"lifecycle"`
	Number    int            `json:"number"`
	Team      string         `json:"team,omitempty"`
	Snapshot  string         `json:"snapshot"`
	AsOf      time.Time      `json:"as_of"`
	Search    spec.Search    `json:"search"`
	Retries   spec.Retries   `json:"retries"`
	Limit     time.Duration  `json:"limit"` // of one training
	Placement *Placement     `json:"placement,omitempty"`
	Deadline  time.Time      `json:"deadline,omitzero"`
	Done      []search.Trial `json:"done,omitempty"`
	Cost      float64        `json:"cost,omitempty"` // of Done
	// TrialsPerExecution continues as new after so many trials; 0: the default. Tests set it.
	TrialsPerExecution int `json:"trials_per_execution,omitempty"`
}

// SearchResult is how a search ended: with the best trial, or with Failure.
type SearchResult struct {
	Best    *search.Trial `json:"best,omitempty"`
	Model   *TrainOutput  `json:"model,omitempty"` // of the best trial, where it is reused
	Trials  int           `json:"trials"`
	Pruned  int           `json:"pruned,omitempty"`
	Failed  int           `json:"failed,omitempty"`
	Cost    float64       `json:"cost,omitempty"`
	Stopped string        `json:"stopped,omitempty"` // why it ended before its last trial
	Failure string        `json:"failure,omitempty"` // why there is no best trial
}

// TrialOutput is what a workflow keeps of a trial that ended.
type TrialOutput struct {
	State  search.State `json:"state"`
	Value  float64      `json:"value,omitempty"`
	Step   int          `json:"step,omitempty"`
	Reason string       `json:"reason,omitempty"`
	Cost   float64      `json:"cost,omitempty"`
	// Budget says, where it isn't empty, that the run's budget is used up: nothing was trained, there is no record.
	Budget string `json:"budget,omitempty"`
}

// TrialRecord is a trial that ended, as the bucket keeps it: create-once, by its number. The first attempt to write it
// is the one that counts.
type TrialRecord struct {
	search.Trial
	Reason  string                `json:"reason,omitempty"` // why it was pruned or failed
	Metrics map[string]float64    `json:"metrics,omitempty"`
	Reports []search.Report       `json:"reports,omitempty"` // of the search's metric; at most search.MaxReports
	Token   string                `json:"token"`             // of its last attempt
	Attempt int                   `json:"attempt"`
	Started time.Time             `json:"started"`
	Seconds float64               `json:"seconds"` // of its last attempt
	Cost    float64               `json:"cost,omitempty"`
	Prefix  string                `json:"prefix,omitempty"` // of its model's files
	Files   map[string]FileDigest `json:"files,omitempty"`

	Rounds int `json:"rounds,omitempty"`
}

func (r *TrialRecord) output() TrialOutput {
	return TrialOutput{State: r.State, Value: r.Value, Step: r.Step, Reason: clip(r.Reason, maxCell), Cost: r.Cost}
}

// TrialToken names an attempt at a trial: its number, the attempt's, and the workflow execution's.
func TrialToken(trial, attempt int, execution string) string {
	return fmt.Sprintf("t%04d-%03d-%.8s", trial, attempt, execution)
}

var trialForm = regexp.MustCompile(`^t([0-9]{4,})-`)

// trialOf is the trial of a token; 0: it is no trial's.
func trialOf(token string) int {
	n := 0
	if parts := trialForm.FindStringSubmatch(token); parts != nil {
		n, _ = strconv.Atoi(parts[1]) // digits alone; too many for an int are no trial's either
	}
	return n
}

func trialsPrefix(model string, n int) string { return runPrefix(model, n) + "trials/" }

func trialKey(model string, n, trial int) string {
	return fmt.Sprintf("%sresult/%06d.json", trialsPrefix(model, n), trial)
}

func trialCourseKey(model string, n, trial int) string {
	return fmt.Sprintf("%sprogress/%06d.json", trialsPrefix(model, n), trial)
}

// Trial is one attempt at one trial of a search: a training with the parameters that the search chose. A trial that has
// ended already, by an attempt that was taken for lost, isn't run again: what it left is returned. A trial that is pruned
// or has no value is a result; what breaks an attempt is an error, typed by the budget that it is counted on.
func (t *Trainer) Trial(ctx context.Context, in TrainInput) (TrialOutput, error) {
	lease, err := t.claim(ctx)
	if err != nil {
		return TrialOutput{}, err
	}
	defer lease.Release()
	h := keepBeating(ctx)
	defer h.stop()
	out, err := t.trial(ctx, in, lease, h)
	if over, ok := errors.AsType[*overBudget](err); ok {
		return TrialOutput{Budget: over.Error()}, nil
	}
	if err != nil {
		return TrialOutput{}, trainingError(ctx, err)
	}
	return out, nil
}

func (t *Trainer) trial(ctx context.Context, in TrainInput, lease *slots.Lease, h *heart) (TrialOutput, error) {
	before, err := readTrial(ctx, t.Lake.Store, in.Model, in.Number, in.Trial)
	if err == nil {
		return before.output(), nil
	}
	if !errors.Is(err, objectstore.ErrNotFound) {
		return TrialOutput{}, err
	}
	started := t.Lake.Now()
	record := TrialRecord{
		Trial: search.Trial{Number: in.Trial, Params: in.Params}, Token: in.Token, Attempt: in.Attempt, Started: started.UTC(),
	}
	err = t.attempt(ctx, in, lease, h, func(a *trainAttempt, _ *snapshotRows) error {
		if a.spec.Train.Search == nil {
			return permanent(ErrorTrainInput, fmt.Errorf("spec %.12s has no train.search", in.Spec))
		}
		running, end := context.WithCancelCause(ctx)
		defer end(nil)
		a.judge = newTrialJudge(running, t, in, a.spec.Train.Search, end)
		made, err := t.run(running, a)
		var pruned *prunedError
		switch {
		case err == nil:
			err = t.keepTrial(ctx, a, made, &record)
		case ctx.Err() == nil && errors.As(context.Cause(running), &pruned):
			err = nil
			last := a.judge.last()
			record.State, record.Value, record.Step, record.Reason = search.Pruned, last.Value, last.Step, pruned.why
		}
		if err != nil {
			return budgetEnd(a, err)
		}
		record.Reports = a.judge.finiteReports()
		record.Seconds = t.Lake.Now().Sub(started).Seconds()
		record.Cost = record.Seconds / 3600 * a.spec.HourlyCost()
		return nil
	})
	if err != nil {
		return TrialOutput{}, err
	}
	return storeTrial(ctx, t.Lake.Store, in.Model, in.Number, &record)
}

// budgetEnd says that a trial which ran out of time ran out of budget, where that was what it was given less time for.
func budgetEnd(a *trainAttempt, err error) error {
	if _, late := errors.AsType[*training.TimeoutError](err); late && a.limit < a.spec.Train.Timeout.D() {
		return permanent(ErrorTrainInput, &overBudget{spent: a.spec.Budget.PerRun.Amount, budget: a.spec.Budget.PerRun})
	}
	return err
}

// keepTrial stores a trial's model and fills in what it came to. The metric is the one that was computed here of the
// model that the trial left, or else the last that its trainer reported.
func (t *Trainer) keepTrial(ctx context.Context, a *trainAttempt, made *training.Output, r *TrialRecord) error {
	name := a.spec.Train.Search.Metric.Name
	last := a.judge.last()
	value, measured := made.Metrics[name]
	if !measured {
		value = last.Value
	}
	r.Metrics, r.Rounds, r.Step = finite(made.Metrics), made.Rounds, cmp.Or(last.Step, made.Rounds)
	if !measured && len(a.judge.course.Reports) == 0 {
		r.State, r.Reason = search.Failed, fmt.Sprintf("metric %s: the trainer reported none, and it isn't one that is computed", name)
		return nil
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		r.State, r.Reason = search.Failed, fmt.Sprintf("metric %s: %v isn't a finite number", name, value)
		return nil
	}
	r.State, r.Value, r.Prefix, r.Files = search.Complete, value, a.prefix+"output/", map[string]FileDigest{}
	var err error
	if made.Signature, err = made.Signature.WithPolicy(a.spec.Serving); err != nil {
		return permanent(ErrorTrainInput, err)
	}
	return commitModel(ctx, t.Lake.Store, made, r.Prefix, r.Files)
}

// storeTrial writes a trial's record, or gives what another attempt wrote before.
func storeTrial(ctx context.Context, store objectstore.Store, model string, number int, r *TrialRecord) (TrialOutput, error) {
	r.Reason = clip(r.Reason, maxText)
	raw, err := json.Marshal(r)
	if err != nil {
		return TrialOutput{}, permanent(ErrorTrainInput, fmt.Errorf("trial %d: %w", r.Number, err))
	}
	_, err = store.Create(ctx, trialKey(model, number, r.Number), bytes.NewReader(raw), int64(len(raw)))
	if errors.Is(err, objectstore.ErrExists) {
		first, err := readTrial(ctx, store, model, number, r.Number)
		if err != nil {
			return TrialOutput{}, lost(err)
		}
		return first.output(), nil
	}
	return r.output(), err
}

func readTrial(ctx context.Context, store objectstore.Getter, model string, number, trial int) (*TrialRecord, error) {
	var r TrialRecord
	if err := getJSON(ctx, store, trialKey(model, number, trial), &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// ReadTrials are the trials of a run that ended, by number.
func ReadTrials(ctx context.Context, store objectstore.Store, model string, number int) ([]TrialRecord, error) {
	var out []TrialRecord
	err := store.List(ctx, trialsPrefix(model, number)+"result/", func(o objectstore.Info) error {
		var r TrialRecord
		if err := getJSON(ctx, store, o.Key, &r); err != nil {
			return err
		}
		out = append(out, r)
		return nil
	})
	return out, err
}

// TrialFailure is a trial of which no attempt ended well.
type TrialFailure struct {
	TrainInput
	Reason string `json:"reason"`
}

// Searches keeps what searches come to.
type Searches struct {
	Lake *Lake
}

// FailTrial records that a trial failed, unless an attempt that was taken for lost has ended it after all: then that is
// what is returned.
func (s *Searches) FailTrial(ctx context.Context, in TrialFailure) (TrialOutput, error) {
	now := s.Lake.Now().UTC()
	r := TrialRecord{
		Trial:  search.Trial{Number: in.Trial, State: search.Failed, Params: in.Params},
		Reason: in.Reason, Token: in.Token, Attempt: in.Attempt, Started: now,
	}
	var c AttemptCost
	err := getJSON(ctx, s.Lake.Store, attemptsPrefix(in.Model, in.Number)+in.Token+"/"+fileSpent, &c)
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return TrialOutput{}, err
	}
	if err == nil {
		r.Started, r.Seconds, r.Cost = c.Started, c.Seconds, c.Cost
	}
	return storeTrial(ctx, s.Lake.Store, in.Model, in.Number, &r)
}

// TakeBest makes the best trial's model the run's: beside its own files it gets those that every trial would have had
// alike, of the rows that it was trained on.
func (s *Searches) TakeBest(ctx context.Context, in TrainInput) (TrainOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
	r, err := readTrial(ctx, s.Lake.Store, in.Model, in.Number, in.Trial)
	if err != nil {
		return TrainOutput{}, lost(err)
	}
	if r.State != search.Complete {
		return TrainOutput{}, permanent(ErrorCorrupt, fmt.Errorf("trial %d is %s: it has no model", in.Trial, r.State))
	}
	m, err := s.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return TrainOutput{}, err
	}
	rows, err := s.Lake.rowsOf(ctx, m, in.Snapshot, in.Spec, in.AsOf, h.note)
	if err != nil {
		return TrainOutput{}, err
	}
	input, err := trainingInput(m, rows)
	if err != nil {
		return TrainOutput{}, permanent(ErrorTrainInput, err)
	}
	out := TrainOutput{
		Prefix: r.Prefix, Files: r.Files, Metrics: r.Metrics, Rounds: r.Rounds, TrainRows: input.Train.Rows,
		NewestEvent: newestEvent(m, rows), Seconds: r.Seconds, Trial: r.Number, Params: r.Params,
	}
	return out, commitRows(ctx, s.Lake.Store, dataset.TrainedKeys(rows.Prepared, rows.Parts), input, &out)
}
