package activities

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/registry"
)

// Traffic decides which version serves, by entries in the ledger that every gateway follows.
type Traffic struct {
	Lake *Lake
}

// Set gives the challenger its weight until the lease, and renews it.
func (t *Traffic) Set(ctx context.Context, in TrafficInput) (LedgerOutput, error) {
	kind := registry.KindCanaryWeight
	if in.Start {
		kind = registry.KindCanaryStarted
	}
	return t.do(ctx, in.Model, registry.Command{
		Key: in.Key, Kind: kind, Actor: "leanloop:" + in.Run, Via: "canary", Time: t.Lake.Now().UTC(),
		Guard:  registry.Guard{Epoch: &in.Epoch},
		Canary: &registry.CanaryWeight{Version: in.Version, Weight: in.Weight, LeaseUntil: in.Lease, Run: in.Run},
	})
}

// Promote makes the version the champion.
func (t *Traffic) Promote(ctx context.Context, in PromoteInput) (LedgerOutput, error) {
	return t.do(ctx, in.Model, registry.Command{
		Key: in.Lifecycle + "/promote", Kind: registry.KindPromoted, Actor: in.Actor, Via: in.Via, Reason: in.Reason,
		Time:     t.Lake.Now().UTC(),
		Guard:    registry.Guard{Champion: &in.Champion, Epoch: &in.Epoch},
		Promoted: &registry.Promoted{Version: in.Version},
	})
}

// Rollback takes a challenger's traffic away. A version that isn't the challenger (any more) needs nothing.
func (t *Traffic) Rollback(ctx context.Context, in RollbackInput) (LedgerOutput, error) {
	ledger := t.Lake.Ledger(in.Model)
	for {
		head, err := ledger.Head(ctx)
		if err != nil {
			return LedgerOutput{}, ledgerError(err)
		}
		if head.State.Challenger != in.Version {
			return LedgerOutput{Seq: head.Seq, Hash: head.Hash, Epoch: head.State.Epoch}, nil
		}
		e, err := ledger.Do(ctx, registry.Command{
			Key: in.Lifecycle + "/rollback", Kind: registry.KindRolledBack, Actor: in.Actor, Via: in.Via, Reason: in.Reason,
			Time:       t.Lake.Now().UTC(),
			Guard:      registry.Guard{Challenger: &in.Version},
			RolledBack: &registry.RolledBack{Version: in.Version},
		})
		if _, moved := errors.AsType[*registry.Conflict](err); moved {
			continue // somebody else moved it: look again
		}
		if err != nil {
			return LedgerOutput{}, ledgerError(err)
		}
		return LedgerOutput{Seq: e.Seq, Hash: e.Hash, Epoch: e.State.Epoch}, nil
	}
}

func (t *Traffic) do(ctx context.Context, model string, c registry.Command) (LedgerOutput, error) {
	e, err := t.Lake.Ledger(model).Do(ctx, c)
	if err != nil {
		return LedgerOutput{}, ledgerError(err)
	}
	return LedgerOutput{Seq: e.Seq, Hash: e.Hash, Epoch: e.State.Epoch}, nil
}

// Confirm waits until every gateway with an unexpired heartbeat serves by the entry, or the time is over. No gateway at
// all confirms nothing and is no error: a model may be promoted before anything serves it.
func (t *Traffic) Confirm(ctx context.Context, in ConfirmInput) (ConfirmOutput, error) {
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
			out.Gateways = live(beats, t.Lake.Now())
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

func live(beats []registry.Heartbeat, now time.Time) int {
	n := 0
	for _, b := range beats {
		if now.Before(b.ExpiresAt) {
			n++
		}
	}
	return n
}
