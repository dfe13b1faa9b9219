package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// Planner decides what triggers lead to: a run that trains, a run that only takes files in, nothing, or waiting.
type Planner struct {
	Lake *Lake
}

// Plan decides by the spec that is applied now, the data set's index and the ledger.
//
// Files are always taken in at once, so that a bad one is known at once. What trains: a person always; new data where
// retrain.on names it; cron; drift and quality where retrain.on names them, they aren't muted, and min_new_rows rows
// newer than the champion's are there. Cooldown and the month's budget hold for all but people; new data that falls
// into a cooldown waits for its end, a monitor will ask again by itself.
func (p *Planner) Plan(ctx context.Context, in PlanInput) (PlanOutput, error) {
	now := p.Lake.Now().UTC()
	out := PlanOutput{Month: now.Format("2006-01")}
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
	c := considered{spec: m, state: head.State, index: index.State, in: in, now: now}
	c.consider()
	out.Dropped, out.Later, out.Until = strings.Join(c.dropped, "; "), c.later, c.until
	if len(c.objects) == 0 && len(c.reasons) == 0 {
		return out, nil
	}
	out.Run = &LifecycleInput{
		Model: in.Model, Spec: head.State.Spec.Digest, Team: m.Metadata.Team, Triggers: c.taken, Objects: c.objects,
		Train: len(c.reasons) > 0, Why: c.why(), Force: c.force, RequestedBy: c.person,
	}
	return out, nil
}

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
	later   []Trigger
	until   time.Time
	person  string
	force   bool
}

func (c *considered) consider() {
	for _, t := range c.in.Triggers {
		if t.Object != nil {
			if c.index.Seen(t.Object.URL(), t.Object.ETag, t.Object.VersionID) {
				if t.Kind == TriggerData {
					continue // told twice: nothing to say
				}
			} else {
				c.objects = append(c.objects, *t.Object)
			}
		}
		if t.Kind == TriggerPerson {
			c.person, c.force = t.Actor, c.force || t.Force
		}
		c.judge(t)
	}
	slices.SortStableFunc(c.objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
}

// judge adds one trigger to what is done about it.
func (c *considered) judge(t Trigger) {
	why, wait := c.against(t)
	switch {
	case why == "":
		c.taken = append(c.taken, t)
		c.reasons = append(c.reasons, describe(t))
	case !wait.IsZero() && t.Kind == TriggerData:
		// The file is taken in now; the training it asks for comes when the cooldown is over.
		c.taken = append(c.taken, t)
		c.held = append(c.held, why)
		c.later = []Trigger{{Kind: TriggerData, Key: "deferred/" + wait.Format(time.RFC3339), Reason: "new data in a cooldown", At: t.At}}
		c.until = wait
	case t.Object != nil:
		c.taken = append(c.taken, t)
		c.held = append(c.held, why)
	default:
		c.dropped = append(c.dropped, fmt.Sprintf("%s: %s", t.Kind, why))
	}
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
	if t.Champion != 0 && t.Champion != c.state.Champion {
		return fmt.Sprintf("it is about version %d, and the champion is %d by now", t.Champion, c.state.Champion), time.Time{}
	}
	if r.MuteIfNoGain && slices.Contains(c.in.Muted, t.Kind) {
		return "muted: its last retrain didn't beat the champion; waits for another accepted file", time.Time{}
	}
	if limit := c.spec.Budget.PerMonth.Amount; limit > 0 && c.in.Spent >= limit {
		return fmt.Sprintf("budget.per_month: spent %.2f >= %.2f %s", c.in.Spent, limit, c.spec.Budget.PerMonth.Currency), time.Time{}
	}
	if end := c.in.LastTrain.Add(r.Cooldown.D()); !c.in.LastTrain.IsZero() && c.now.Before(end) {
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

func (c *considered) why() string {
	if len(c.reasons) > 0 {
		return strings.Join(c.reasons, "; ")
	}
	return strings.Join(slices.Compact(c.held), "; ")
}

func describe(t Trigger) string {
	switch {
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
