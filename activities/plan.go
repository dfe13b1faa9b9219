package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Bounds of a plan.
const (
	maxObjects = 100 // files of one run; more wait for the next one
	maxWhy     = 300 // bytes as JSON: it becomes a workflow's summary, of which Temporal takes 400 with its envelope
	shownWhy   = 3   // reasons told of many
)

// PlanInput asks what to do about triggers.
type PlanInput struct {
	Model     string    `json:"model"`
	Triggers  []Trigger `json:"triggers"`
	Muted     []string  `json:"muted,omitempty"`
	LastTrain time.Time `json:"last_train"`
	Spent     float64   `json:"spent"` // this month, in the budget's currency
}

// PlanOutput is the answer. At most one run is started; Later is kept until Until, or until that run has ended.
type PlanOutput struct {
	Run     *LifecycleInput `json:"run,omitempty"`
	Dropped string          `json:"dropped,omitempty"` // why triggers led to nothing; people are told
	Later   []Trigger       `json:"later,omitempty"`
	Until   time.Time       `json:"until"`
	Month   string          `json:"month"` // 2006-01 of the decision: what a run's cost is booked on
}

// Planner decides what triggers lead to: a run that trains, a run that only takes files in, nothing, or waiting.
type Planner struct {
	Lake *Lake
}

// Plan decides by the spec that is applied now, the data set's index and the ledger.
//
// A model that a person imports has a run of its own, in which nothing is trained, and so has a run that is to go on; what
// else waits comes after it.
//
// Files are always taken in at once, so that a bad one is known at once. What trains: a person always; new data where
// retrain.on names it; cron; drift and quality where retrain.on names them, they aren't muted, and min_new_rows rows
// newer than the champion's are there. Cooldown and the month's budget hold for all but people; new data that falls
// into either waits for its end, a monitor will ask again by itself.
func (p *Planner) Plan(ctx context.Context, in PlanInput) (PlanOutput, error) {
	now := p.Lake.Now().UTC()
	out := PlanOutput{Month: now.Format(monthName)}
	head, err := p.Lake.Ledger(in.Model).Head(ctx)
	if err != nil {
		return out, ledgerError(err)
	}
	if head.State.Spec.Digest == "" {
		out.Dropped = "no spec is applied: starter apply -f model.yaml"
		return out, nil
	}
	m, err := p.Lake.Spec(ctx, in.Model, head.State.Spec.Digest)
	if err != nil {
		return out, err
	}
	index, err := p.Lake.Index(in.Model).Head(ctx)
	if err != nil {
		return out, ledgerError(err)
	}
	if i := slices.IndexFunc(in.Triggers, func(t Trigger) bool { return t.Import != nil || t.Resume != nil }); i >= 0 {
		t := in.Triggers[i]
		out.Later = slices.Delete(slices.Clone(in.Triggers), i, i+1) // they ask for other runs
		out.Run = &LifecycleInput{
			Model: in.Model, Spec: head.State.Spec.Digest, Team: m.Metadata.Team, Triggers: []Trigger{t}, Train: true, Why: describe(t),
			Force: true, RequestedBy: t.Actor, Import: t.Import, Resume: t.Resume, NoCache: t.NoCache,
		}
		return out, nil
	}
	c := considered{spec: m, state: head.State, index: index.State, in: in, now: now}
	c.consider()
	out.Dropped, out.Later, out.Until = listed(c.dropped, shownWhy), c.later, c.until
	if len(c.objects) == 0 && len(c.reasons) == 0 {
		return out, nil
	}
	out.Run = &LifecycleInput{
		Model: in.Model, Spec: head.State.Spec.Digest, Team: m.Metadata.Team, Triggers: c.taken, Objects: c.objects,
		Train: len(c.reasons) > 0, Why: c.why(), Force: c.force, RequestedBy: c.person, NoCache: c.anew,
	}
	return out, nil
}

// monthName is how a month is written where costs are booked.
const monthName = "2006-01"

// considered is one decision in the making.
type considered struct {
	spec  *spec.Model
	state registry.State
	index registry.IndexState
	in    PlanInput
	now   time.Time

	taken   []Trigger
	objects []Object
	reasons []string // to train; empty: don't
	held    []string // why there is no training
	dropped []string
	later   []Trigger // behind this run
	until   time.Time // of new data whose training waits; zero: none does
	person  string    // the first who asked: another one who approves makes four eyes
	force   bool
	anew    bool // a person wants no stage from an earlier run
}

func (c *considered) consider() {
	var first time.Time // of the new data that waits
	for _, t := range c.in.Triggers {
		if t.Object != nil {
			fresh := c.undecided(t)
			switch {
			case !fresh && t.Kind == TriggerData:
				continue // told twice: nothing to say
			case fresh && len(c.objects) == maxObjects:
				c.later = append(c.later, t)
				continue
			case fresh:
				c.objects = append(c.objects, *t.Object)
			}
		}
		if t.Kind == TriggerPerson {
			if c.person == "" {
				c.person = t.Actor
			}
			c.force, c.anew = c.force || t.Force, c.anew || t.NoCache
		}
		if wait := c.judge(t); !wait.IsZero() && (first.IsZero() || t.At.Before(first)) {
			first = t.At
		}
	}
	slices.SortStableFunc(c.objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	switch {
	case len(c.reasons) > 0:
		c.until = time.Time{} // the run trains on these files too
	case !c.until.IsZero():
		c.later = append(c.later, Trigger{
			Kind: TriggerData, Key: "deferred/" + c.until.Format(time.RFC3339), Reason: "new data waited for its turn", At: first,
		})
	}
}

// undecided says that a trigger's object is to be read: nobody has decided on it, or a person asks again about one that
// was refused. One object may be told of in several ways.
func (c *considered) undecided(t Trigger) bool {
	o := *t.Object
	if slices.ContainsFunc(c.objects, func(other Object) bool { return other.Identity() == o.Identity() }) {
		return false
	}
	if !c.index.Seen(o.URL(), o.ETag, o.VersionID) {
		return true
	}
	return t.Kind == TriggerPerson && slices.ContainsFunc(c.index.Refused, func(r registry.Refusal) bool {
		return r.Source == o.URL() && r.ETag == o.ETag && r.VersionID == o.VersionID
	})
}

// judge adds one trigger to what is done about it, and says until when its training waits.
func (c *considered) judge(t Trigger) (wait time.Time) {
	why, until := c.against(t)
	switch {
	case why == "":
		c.taken = append(c.taken, t)
		c.reasons = append(c.reasons, describe(t))
	case !until.IsZero() && t.Kind == TriggerData:
		// The file is taken in now; the training it asks for comes when the wait is over.
		c.taken = append(c.taken, t)
		c.held = append(c.held, why)
		c.until = until
		return until
	case t.Object != nil:
		c.taken = append(c.taken, t)
		c.held = append(c.held, why)
	default:
		c.dropped = append(c.dropped, fmt.Sprintf("%s: %s", t.Kind, why))
	}
	return time.Time{}
}

// against says what speaks against training for a trigger, and until when where time alone cures it.
func (c *considered) against(t Trigger) (why string, until time.Time) {
	r := c.spec.Retrain
	if t.Kind == TriggerPerson {
		return "", time.Time{}
	}
	if !slices.Contains(r.On, t.Kind) {
		return fmt.Sprintf("retrain.on %v doesn't name %s", r.On, t.Kind), time.Time{}
	}
	if r.MuteIfNoGain && slices.Contains(c.in.Muted, t.Kind) {
		return "muted: its last retrain didn't beat the champion; waits for another accepted file", time.Time{}
	}
	if limit := c.spec.Budget.PerMonth.Amount; limit > 0 && c.in.Spent >= limit {
		year, month, _ := c.now.Date()
		next := time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		return fmt.Sprintf("budget.per_month: spent %.2f of %.2f %s", c.in.Spent, limit, c.spec.Budget.PerMonth.Currency), next
	}
	if end := c.in.LastTrain.Add(r.Cooldown.D()).UTC(); !c.in.LastTrain.IsZero() && c.now.Before(end) {
		return fmt.Sprintf("retrain.cooldown %s until %s", r.Cooldown.D(), end.Format(time.RFC3339)), end
	}
	if t.Kind == TriggerDrift || t.Kind == TriggerQuality {
		if rows := c.newRows(); rows < r.MinNewRows {
			return fmt.Sprintf("retrain.min_new_rows: %d rows newer than the champion's < %d", rows, r.MinNewRows), time.Time{}
		}
	}
	return "", time.Time{}
}

// newRows counts the rows of accepted files that lie wholly after what the champion was trained on. Without event times
// it counts the files accepted after the champion was registered.
func (c *considered) newRows() int {
	champion, _ := c.state.Version(c.state.Champion)
	rows := 0
	for _, f := range c.index.Files {
		switch {
		case !f.From.IsZero() && f.From.After(champion.NewestEvent),
			f.From.IsZero() && f.AcceptedAt.After(champion.RegisteredAt):
			rows += f.Rows
		}
	}
	return rows
}

// why is the run in words, short enough for a workflow's summary.
func (c *considered) why() string {
	reasons := c.reasons
	if len(reasons) == 0 {
		reasons = c.held
	}
	for s := listed(reasons, shownWhy); ; s = clip(s, len(s)*3/4) {
		if raw, err := json.Marshal(s); err == nil && len(raw) <= maxWhy {
			return s
		}
	}
}

func describe(t Trigger) string {
	switch {
	case t.Import != nil:
		return fmt.Sprintf("%s imported model %.12s", t.Actor, t.Import.Digest)
	case t.Resume != nil:
		return fmt.Sprintf("%s resumed run %d from %s", t.Actor, t.Resume.Number, t.Resume.From)
	case t.Kind == TriggerPerson && t.Object != nil:
		return fmt.Sprintf("%s submitted %s", t.Actor, t.Object.URL())
	case t.Kind == TriggerPerson:
		return "asked for by " + t.Actor
	case t.Object != nil:
		return "landed: " + t.Object.URL()
	case t.Reason != "":
		return t.Kind + ": " + t.Reason
	default:
		return t.Kind
	}
}
