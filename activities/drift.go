package activities

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/leanloop/leanloop/internal/drift"
	"github.com/leanloop/leanloop/internal/predictions"
)

// Bounds of what a drift result carries through history; the stored result has everything.
const (
	maxTop     = 12 // columns with their numbers
	maxDrifted = 50 // names of drifted columns
	maxNotes   = 10 // each some hundred bytes
)

// How a window is cut into shards, each profiled by an activity of its own.
const (
	shardBytes = 32 << 20
	maxShards  = 256 // a larger window has larger shards
)

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
	Model        string    `json:"model"`
	Champion     int       `json:"champion"`
	From         time.Time `json:"from"`
	End          time.Time `json:"end"`
	Rows         int       `json:"rows"` // predictions in the window
	Inconclusive string    `json:"inconclusive,omitempty"`
	Drifted      []string  `json:"drifted,omitempty"` // the first 50; the result has them all
	MaxPSI       float64   `json:"max_psi"`           // of a feature
	Window       bool      `json:"window"`            // this window is over a limit
	Alert        bool      `json:"alert"`             // k of n windows are
	Reason       string    `json:"reason,omitempty"`
	Recent       []bool    `json:"recent,omitempty"`
	// Told is whether people know of an alert of this champion that hasn't ended; Untold that they couldn't be told of this
	// one. The workflow sets them.
	Told   bool   `json:"told,omitempty"`
	Untold bool   `json:"untold,omitempty"`
	Report string `json:"report,omitempty"` // key of the full result
	// Page is where the report for people is: an s3:// address, or a key of the bucket where its name isn't known.
	Page  string               `json:"page,omitempty"`
	Top   []drift.ColumnResult `json:"top,omitempty"`   // worst first, bounded
	Extra []drift.ColumnResult `json:"extra,omitempty"` // prediction, target and excluded features, which aren't counted; bounded
	Notes []string             `json:"notes,omitempty"` // what couldn't be compared, and why
}

// DriftPlan is a window cut into shards. It pins champion and spec, so that all that is read of the window is compared
// by one rule with one version, whatever is promoted or applied meanwhile.
type DriftPlan struct {
	Model    string    `json:"model"`
	Champion int       `json:"champion"`
	Since    time.Time `json:"since"` // of its promotion
	Spec     string    `json:"spec"`
	From     time.Time `json:"from"`
	End      time.Time `json:"end"`
	// Key is where the shards' parts are listed; "" where there is none.
	Key          string     `json:"key,omitempty"`
	List         FileDigest `json:"list"`
	Shards       int        `json:"shards"`
	Parts        int        `json:"parts"`
	Bytes        int64      `json:"bytes"`
	Inconclusive string     `json:"inconclusive,omitempty"` // there is nothing to compare
}

// DriftShard names one shard of a plan.
type DriftShard struct {
	Plan  DriftPlan `json:"plan"`
	Shard int       `json:"shard"` // from 0
}

// DriftProfiled is where the profile of some of a window's rows is.
type DriftProfiled struct {
	Key  string     `json:"key,omitempty"` // "": no row, and so no profile
	File FileDigest `json:"file"`
	Rows int64      `json:"rows"`
	Gone int        `json:"gone,omitempty"` // parts that retention removed after they were listed
	Note string     `json:"note,omitempty"` // why there is no profile
}

// DriftJudgement is what a verdict is made of.
type DriftJudgement struct {
	Plan     DriftPlan       `json:"plan"`
	Shards   []DriftProfiled `json:"shards"`
	Target   DriftProfiled   `json:"target"`
	Recent   []bool          `json:"recent,omitempty"`   // as DriftInput has it
	Champion int             `json:"champion,omitempty"` // that Recent is of
}

// Drift does all of it in one activity, for workflows that began before windows were cut into shards.
func (m *Monitors) Drift(ctx context.Context, in DriftInput) (DriftOutput, error) {
	plan, err := m.DriftPlan(ctx, in)
	if err != nil {
		return DriftOutput{}, err
	}
	judgement := DriftJudgement{Plan: plan, Recent: in.Recent, Champion: in.Champion}
	for i := range plan.Shards {
		p, err := m.DriftShard(ctx, DriftShard{Plan: plan, Shard: i})
		if err != nil {
			return DriftOutput{}, err
		}
		judgement.Shards = append(judgement.Shards, p)
	}
	if plan.Shards > 0 {
		if judgement.Target, err = m.DriftTarget(ctx, plan); err != nil {
			return DriftOutput{}, err
		}
	}
	return m.DriftJudge(ctx, judgement)
}

// DriftPlan lists the champion's predictions of the window and groups them by size.
func (m *Monitors) DriftPlan(ctx context.Context, in DriftInput) (DriftPlan, error) {
	h := keepBeating(ctx)
	defer h.stop()
	out := DriftPlan{Model: in.Model, End: in.End}
	w, why, err := m.champion(ctx, in.Model)
	if err != nil || why != "" {
		out.Inconclusive = why
		return out, err
	}
	out.Champion, out.Since, out.Spec = w.version.Number, w.state.ChampionSince, w.state.Spec.Digest
	out.From = w.since(in.End, w.spec.Monitor.Drift.Window.D())
	if _, out.Inconclusive, err = m.reference(ctx, w); err != nil || out.Inconclusive != "" {
		return out, err
	}
	parts, err := predictions.Parts(ctx, m.Lake.Store, w.query(out.From, out.End))
	if err != nil {
		return out, err
	}
	shards := predictions.Shards(parts, cmp.Or(m.ShardBytes, shardBytes), maxShards)
	if out.Shards, out.Parts = len(shards), len(parts); out.Shards == 0 {
		return out, nil
	}
	for _, p := range parts {
		out.Bytes += p.Bytes
	}
	out.Key, out.List, err = putJSON(ctx, m.Lake.Store, driftWork(in.Model, in.End)+"plan-", shards)
	return out, err
}

// driftWork is where a window's profiles are until they are judged, some days later at most, since each activity waits up
// to a day for infrastructure. Nothing needs them after that: a lifecycle rule may remove what is older than a week.
func driftWork(model string, end time.Time) string {
	return fmt.Sprintf("work/drift/%s/%s/", model, stamp(end))
}

// stamp is a time in keys.
func stamp(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// pinned is the champion of a plan, by the plan's spec. moved says that it isn't the champion any more, or is again.
func (m *Monitors) pinned(ctx context.Context, plan DriftPlan) (w watched, moved string, err error) {
	head, err := m.Lake.Ledger(plan.Model).Head(ctx)
	if err != nil {
		return w, "", ledgerError(err)
	}
	if now := head.State.Champion; now != plan.Champion || !head.State.ChampionSince.Equal(plan.Since) {
		moved = fmt.Sprintf("version %d became the champion while the predictions of version %d were read", now, plan.Champion)
	}
	w, err = m.watch(ctx, plan.Model, head.State, plan.Champion, plan.Spec)
	return w, moved, err
}
