package serving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/leanloop/leanloop/internal/registry"
)

// standing is what a rollback is decided upon. Whatever else moves in a ledger (weights, leases, specs) voids none.
type standing struct {
	epoch                int64
	champion, challenger int
}

func (s routingState) standing() standing {
	return standing{s.Epoch, s.Champion.Number, s.Challenger.Number}
}

// override is a break-glass rollback that wins over the ledger's newest known entry until the ledger has it, or has
// moved on by another decision. It is immutable; its JSON is what the state folder keeps.
type override struct {
	Base   routingState `json:"base"`        // what it was decided upon
	To     versionRef   `json:"to,omitzero"` // the former champion to return to; zero: the champion stays
	Actor  string       `json:"actor"`
	Reason string       `json:"reason"`
	Time   time.Time    `json:"time"`
	// Refused is why the ledger can't have it any more. It isn't served by then, and waits for its note in audit/.
	Refused string `json:"refused,omitempty"`

	version  *version // To, loaded; nil: none, or it comes with the ledger's entry
	appended bool     // the ledger has it: it only bridges the time until that is read
	asking   bool     // the ledger is being asked: it only bridges the time until that is known
}

// command is the entry that the ledger should have. Its key is the same for all gateways and the CLI.
func (o *override) command() registry.Command {
	at := o.Base.standing()
	c := registry.RollBack(at.epoch, at.champion, at.challenger, o.To.Number, o.Reason)
	c.Actor, c.Via, c.Time = o.Actor, viaGateway, o.Time
	return c
}

const viaGateway = "gateway"

// wins says whether it is served in place of a route of the ledger.
func (o *override) wins(r *route) bool {
	return o != nil && r != nil && o.Refused == "" && r.of == o.Base.standing()
}

// stored says whether it waits for the ledger.
func (o *override) stored() bool {
	return o != nil && o.Refused == "" && !o.appended && !o.asking
}

// over is the route that is served while o wins: what was answered by the challenger is the champion's, or all of it is
// the former champion's. It claims no entry that it doesn't serve: not the one that it was decided upon either.
func (s *Server) over(o *override, r *route) *route {
	served := *r
	if o.version != nil {
		served = *newRoute(r.model, o.version, nil, r.settings)
		served.ignored, served.fresh, served.of, served.epoch = r.ignored, r.fresh, r.of, r.epoch
		s.count(&served)
	}
	served.challenger, served.weight, served.leaseUntil, served.leaseEnds = nil, 0, time.Time{}, time.Time{}
	served.seq, served.override = min(r.seq, o.Base.Seq-1), o
	return &served
}

// setOverride makes o win at once, and for as long as the state folder lasts. The error says that it won't survive a
// restart.
func (f *follower) setOverride(o *override) error {
	f.overriding.Lock()
	defer f.overriding.Unlock()
	f.override.Store(o)
	f.republish()
	if o.appended {
		return f.server.disk.removeOverride(f.model)
	}
	return f.server.disk.saveOverride(f.model, o)
}

// withdrawWhileAsking takes the challenger out at once: whatever the ledger answers, and however long that takes, nobody
// wants its answers meanwhile. end brings it back, unless something took the place of that.
func (f *follower) withdrawWhileAsking(order RollbackOrder) (end func()) {
	base := f.last.Load()
	if base == nil || base.Challenger.Number == 0 {
		return func() {}
	}
	o := &override{Base: *base, Actor: order.Actor, Reason: order.Reason, Time: f.server.ports.Clock().UTC(), asking: true}
	f.overriding.Lock()
	defer f.overriding.Unlock()
	if !f.override.CompareAndSwap(nil, o) {
		return func() {} // it is out already
	}
	f.republish()
	return func() {
		f.overriding.Lock()
		defer f.overriding.Unlock()
		if f.override.CompareAndSwap(o, nil) {
			f.republish()
		}
	}
}

// bridge leaves the challenger out until the ledger is read, which has been found without it. Where what is served knows
// of none, there is nothing to leave out.
func (f *follower) bridge() {
	f.overriding.Lock()
	defer f.overriding.Unlock()
	if o := f.override.Load(); o != nil && o.asking {
		kept := *o
		kept.asking, kept.appended = false, true
		f.override.Store(&kept)
		f.republish()
	}
	f.wakeUp()
}

// replaceOverride puts one in another's place, unless a newer order did so meanwhile.
func (f *follower) replaceOverride(o, by *override) (bool, error) {
	f.overriding.Lock()
	defer f.overriding.Unlock()
	if !f.override.CompareAndSwap(o, by) {
		return false, nil
	}
	f.republish()
	return true, f.server.disk.saveOverride(f.model, by)
}

// dropOverride ends one, unless another took its place meanwhile.
func (f *follower) dropOverride(o *override) error {
	f.overriding.Lock()
	defer f.overriding.Unlock()
	if !f.override.CompareAndSwap(o, nil) {
		return nil
	}
	f.republish()
	return f.server.disk.removeOverride(f.model)
}

// restoreOverride reads what an earlier process kept.
func (f *follower) restoreOverride(ctx context.Context) {
	o, err := f.server.disk.loadOverride(f.model)
	if err == nil && o != nil && o.To.Number != 0 && o.Refused == "" {
		loading, cancel := context.WithTimeout(ctx, f.server.cfg.LoadTimeout)
		defer cancel()
		o.version, err = f.server.loadVersion(loading, offline{f.server.ports.Store}, f.model, o.To)
	}
	f.troubles.note("break-glass file", err)
	// Without its version the challenger is out at least. An order that came since the start is newer than the file.
	if o != nil {
		defer o.version.letGo(f.server.troubles)
		f.overriding.Lock()
		restored := f.override.CompareAndSwap(nil, o)
		f.overriding.Unlock()
		f.republish()
		if restored && o.Refused == "" {
			f.noteOverride(nil)
		}
	}
}

// appendOverride brings the override to the ledger. The error is why the ledger won't ever have it; nil otherwise.
func (f *follower) appendOverride(ctx context.Context) (o *override, refused error) {
	o = f.override.Load()
	if !o.stored() {
		return o, nil
	}
	asking, cancel := context.WithTimeout(ctx, f.server.cfg.ReadTimeout)
	defer cancel()
	e, err := f.writer.Do(asking, o.command())
	switch {
	case err == nil:
		kept := *o
		kept.appended = true
		replaced, err := f.replaceOverride(o, &kept)
		if !replaced {
			return nil, nil
		}
		f.troubles.note("break-glass file", err)
		f.server.metrics.breakGlass.WithLabelValues(f.model, outcomeAppended).Inc()
		f.server.log().Warn("the break-glass rollback is in the ledger", "model", f.model, "seq", e.Seq, "replayed", e.Replayed)
		return &kept, nil
	case isDecided(err):
		return o, err
	}
	f.noteOverride(err)
	var broken *registry.Broken
	if errors.As(err, &broken) {
		return o, err // unless the follower, who is more lenient, still finds it standing
	}
	return o, nil
}

// isDecided tells a ledger that says no from one that can't be asked.
func isDecided(err error) bool {
	var conflict *registry.Conflict
	var refused *registry.Refused
	return errors.As(err, &conflict) || errors.As(err, &refused)
}

// endOverride drops the override once a successful look showed that the ledger has it or has moved on.
func (f *follower) endOverride(ctx context.Context, o *override, refused error) {
	if o == nil || o.asking || f.override.Load() != o {
		return
	}
	stands := f.last.Load() != nil && f.last.Load().standing() == o.Base.standing()
	switch {
	case o.appended && stands:
		return // the look was from before
	case o.Refused == "" && !o.appended && (refused == nil || stands && !isDecided(refused)):
		return // the store is to be asked again
	case o.Refused == "" && !o.appended:
		kept := *o
		kept.Refused, kept.version = refused.Error(), nil
		f.server.metrics.breakGlass.WithLabelValues(f.model, outcomeConflict).Inc()
		f.server.log().Warn("the break-glass rollback is dropped", "model", f.model, "why", kept.Refused)
		replaced, err := f.replaceOverride(o, &kept)
		f.troubles.note("break-glass file", err)
		if !replaced {
			return
		}
		o = &kept
	}
	if o.Refused != "" {
		if err := f.audit(ctx, o); err != nil {
			f.troubles.note("audit of a break-glass rollback", err)
			return
		}
		f.troubles.note("audit of a break-glass rollback", nil)
	}
	f.troubles.note("break-glass file", f.dropOverride(o))
	f.troubles.note(troubleOverride, nil)
}

// audit keeps a decision that didn't stand.
func (f *follower) audit(ctx context.Context, o *override) error {
	writing, cancel := context.WithTimeout(ctx, f.server.cfg.ReadTimeout)
	defer cancel()
	return registry.RecordRefusal(writing, f.server.ports.Store, f.model, registry.RefusedDecision{
		Time: o.Time, Actor: o.Actor, Via: viaGateway, Decision: "rollback", Key: o.command().Key, Version: o.To.Number,
		Given: o.Reason, Reason: o.Refused,
	})
}

const troubleOverride = "break-glass"

// noteOverride makes the override a trouble, since somebody has to look after it.
func (f *follower) noteOverride(err error) {
	o := f.override.Load()
	if o == nil {
		return
	}
	if err == nil {
		err = errors.New("not in the ledger yet")
	}
	f.troubles.note(troubleOverride, fmt.Errorf("rolled back on this gateway by %s: %w", o.Actor, err))
}

// The state folder keeps an override in overrides/<model>.json.

func (d *disk) overrides() string { return filepath.Join(d.dir, "overrides") }

func (d *disk) saveOverride(model string, o *override) error {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("override of %s: %w", model, err)
	}
	if err := writeFile(filepath.Join(d.overrides(), model+".json"), data); err != nil {
		return err
	}
	return syncFolder(d.overrides())
}

// loadOverride gives nil where there is none.
func (d *disk) loadOverride(model string) (*override, error) {
	data, err := os.ReadFile(filepath.Join(d.overrides(), model+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("override of %s: %w", model, err)
	}
	var o override
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("override of %s: %w", model, err)
	}
	if o.Base.Model != model || o.Base.Seq < 1 || o.Actor == "" || o.Time.IsZero() {
		return nil, fmt.Errorf("override of %s: holds model %q at entry %d, by %q", model, o.Base.Model, o.Base.Seq, o.Actor)
	}
	return &o, nil
}

func (d *disk) removeOverride(model string) error {
	err := os.Remove(filepath.Join(d.overrides(), model+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("override of %s: %w", model, err)
	}
	return syncFolder(d.overrides())
}

// syncFolder makes a folder's list of names last.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync %s: %w", filepath.Base(path), err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
