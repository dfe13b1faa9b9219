package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/registry"
)

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
	// Of a weight that a person or a failed look caused; Action is one of the registry's.
	Action   string    `json:"action,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
	Actor    string    `json:"actor,omitempty"` // "": the canary itself
	Via      string    `json:"via,omitempty"`
	Reason   string    `json:"reason,omitempty"`
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

// ConfirmInput waits until every live gateway serves by entry Seq or a later one. Where a program drives what serves, by
// Spec, it is brought there.
type ConfirmInput struct {
	Model  string        `json:"model"`
	Seq    int64         `json:"seq"`
	Within time.Duration `json:"within"`
	Spec   string        `json:"spec,omitempty"`   // "": gateways
	Insist bool          `json:"insist,omitempty"` // a program that refuses is asked again until the time is over
}

// ConfirmOutput says who does.
type ConfirmOutput struct {
	Confirmed bool     `json:"confirmed"`
	Gateways  int      `json:"gateways"`
	Missing   []string `json:"missing,omitempty"`

	Target  *TargetView `json:"target,omitempty"`  // where a program drives what serves
	Refused bool        `json:"refused,omitempty"` // by it: asking again can't help
}

// rollbackLooks bounds how often a rollback looks again within one attempt after somebody else moved the ledger.
const rollbackLooks = 5

// Traffic decides which version serves, by entries in the ledger that every gateway follows, and that Confirm brings about
// where something else serves.
type Traffic struct {
	Lake   *Lake
	Driver *Driver
}

// Set gives the challenger its weight until the lease, and renews it.
//
// A step that is asked again with another weight or lease, since nobody knew whether it was written, may find that it
// was: as it was asked then, with a weight that a person has paused since, or a lease that is over by now. Then what is
// asked now is set by an entry behind it.
func (t *Traffic) Set(ctx context.Context, in TrafficInput) (LedgerOutput, error) {
	c := registry.Command{
		Key: in.Key, Kind: registry.KindCanaryWeight, Actor: cmp.Or(in.Actor, "leanloop:"+in.Run), Via: cmp.Or(in.Via, "canary"),
		Reason: clip(in.Reason, maxText), Time: t.Lake.Now().UTC(),
		Guard: registry.Guard{Epoch: &in.Epoch},
		Canary: &registry.CanaryWeight{Version: in.Version, Weight: in.Weight, LeaseUntil: in.Lease, Run: in.Run,
			Action: in.Action, Deadline: in.Deadline},
	}
	if in.Start {
		c.Kind = registry.KindCanaryStarted
	}
	e, err := t.Lake.Ledger(in.Model).Do(ctx, c)
	if err != nil {
		return LedgerOutput{}, ledgerError(err)
	}
	if was := e.Command.Canary; e.Replayed && (was.Weight != in.Weight || !was.LeaseUntil.Equal(in.Lease) || was.Action != in.Action) {
		c.Key, c.Kind = fmt.Sprintf("%s/%d", in.Key, in.Lease.UnixNano()), registry.KindCanaryWeight
		return t.do(ctx, in.Model, c)
	}
	return LedgerOutput{Seq: e.Seq, Hash: e.Hash, Epoch: e.State.Epoch}, nil
}

// Promote makes the version the champion.
func (t *Traffic) Promote(ctx context.Context, in PromoteInput) (LedgerOutput, error) {
	return t.do(ctx, in.Model, registry.Command{
		Key: in.Lifecycle + "/promote", Kind: registry.KindPromoted, Actor: in.Actor, Via: in.Via, Reason: clip(in.Reason, maxText),
		Time:     t.Lake.Now().UTC(),
		Guard:    registry.Guard{Champion: &in.Champion, Epoch: &in.Epoch},
		Promoted: &registry.Promoted{Version: in.Version},
	})
}

// Rollback takes a challenger's traffic away. A version that isn't the challenger (any more) needs nothing.
func (t *Traffic) Rollback(ctx context.Context, in RollbackInput) (LedgerOutput, error) {
	ledger := t.Lake.Ledger(in.Model)
	var moved error
	for range rollbackLooks {
		head, err := ledger.Head(ctx)
		if err != nil {
			return LedgerOutput{}, ledgerError(err)
		}
		if head.State.Challenger == 0 || head.State.Challenger != in.Version {
			return LedgerOutput{Seq: head.Seq, Hash: head.Hash, Epoch: head.State.Epoch}, nil
		}
		e, err := ledger.Do(ctx, registry.Command{
			// By epoch: a repetition finds its entry, which raised the epoch; a later challenge of the same version is another step.
			Key:  fmt.Sprintf("%s/rollback/%d", in.Lifecycle, head.State.Epoch),
			Kind: registry.KindRolledBack, Actor: in.Actor, Via: in.Via, Reason: clip(in.Reason, maxText),
			Time:       t.Lake.Now().UTC(),
			Guard:      registry.Guard{Challenger: &in.Version, Epoch: &head.State.Epoch},
			RolledBack: &registry.RolledBack{Version: in.Version},
		})
		if _, conflict := errors.AsType[*registry.Conflict](err); conflict {
			moved = err // somebody else moved it: look again
			continue
		}
		if err != nil {
			return LedgerOutput{}, ledgerError(err)
		}
		return LedgerOutput{Seq: e.Seq, Hash: e.Hash, Epoch: e.State.Epoch}, nil
	}
	return LedgerOutput{}, fmt.Errorf("the ledger moved at each of %d looks: %w", rollbackLooks, moved) // retried: it must happen
}

func (t *Traffic) do(ctx context.Context, model string, c registry.Command) (LedgerOutput, error) {
	e, err := t.Lake.Ledger(model).Do(ctx, c)
	if err != nil {
		return LedgerOutput{}, ledgerError(err)
	}
	return LedgerOutput{Seq: e.Seq, Hash: e.Hash, Epoch: e.State.Epoch}, nil
}

// Confirm waits until every gateway with an unexpired heartbeat serves by the entry, or the time is over. No gateway at
// all confirms nothing and is no error: a model may be promoted before anything serves it. Where a program drives what
// serves, it is run until the target reads back what the ledger says.
func (t *Traffic) Confirm(ctx context.Context, in ConfirmInput) (ConfirmOutput, error) {
	if in.Spec != "" {
		m, err := t.Lake.Spec(ctx, in.Model, in.Spec)
		if err != nil {
			return ConfirmOutput{}, err
		}
		if m.Serving.Driven() {
			return t.drive(ctx, in, m)
		}
	}
	deadline := time.NewTimer(in.Within)
	defer deadline.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var out ConfirmOutput
	var lastErr error
	for {
		beats, err := registry.Heartbeats(ctx, t.Lake.Store)
		lastErr = err
		if err == nil {
			out.Confirmed, out.Missing = registry.Confirmed(beats, in.Model, in.Seq, t.Lake.Now())
			out.Gateways = len(registry.Live(beats, t.Lake.Now()))
			if out.Confirmed && out.Gateways > 0 {
				return out, nil
			}
		}
		activity.RecordHeartbeat(ctx, out)
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-deadline.C:
			if lastErr != nil {
				return out, fmt.Errorf("gateways' heartbeats: %w", lastErr)
			}
			if out.Gateways == 0 {
				out.Confirmed, out.Missing = false, []string{"no gateway is alive"}
			}
			return out, nil
		case <-tick.C:
		}
	}
}
