package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/registry"
)

// rollbackOptions are starter rollback's.
type rollbackOptions struct {
	*app
	model  string
	to     int
	reason string
	wait   time.Duration

	breakGlass bool
	gateways   []string // URLs of admin listeners
	tokenFile  string
}

func newRollback(a *app, run func(context.Context, *rollbackOptions) error) *cobra.Command {
	o := &rollbackOptions{app: a}
	cmd := &cobra.Command{
		Use: "rollback MODEL [--to VERSION] --reason TEXT", Short: "Take a challenger, or the champion, out of traffic", Args: cobra.ExactArgs(1),
		Long: `While a canary runs: abort it, all traffic goes back to the champion. Else, or with --to: make a former champion the
champion again (without --to the one before). Then wait until every live gateway serves so,
or the target of serving.command.
It needs S3 alone: where Temporal doesn't answer, the ledger is written directly, and a canary that still runs ends by
itself when it finds that the ledger moved.

With --break-glass every live gateway is told to do it by itself, for when S3 doesn't answer either: one that reaches the
ledger writes it there, one that doesn't serves so from its own disk until it does. Without --to the champion stays and
the challenger loses its traffic. It needs the gateways' admin token: LEANLOOP_ADMIN_TOKEN, or LEANLOOP_ADMIN_TOKEN_FILE
or --token-file. The gateways are found by their heartbeats; where S3 is away, name their admin listeners by --gateway.`,
		Example: `  starter rollback flight-delay --reason "complaints since noon"
  starter rollback flight-delay --break-glass --gateway http://10.0.0.5:9090 --gateway http://10.0.0.6:9090 --reason "S3 is down"`,
		ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.model = args[0]
			switch {
			case strings.TrimSpace(o.reason) == "":
				return usagef("why? --reason TEXT; it is kept in the ledger")
			case o.to < 0:
				return usagef("--to %d: want a version", o.to)
			case !o.breakGlass && (len(o.gateways) > 0 || o.tokenFile != ""):
				return usagef("--gateway and --token-file go with --break-glass")
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.to, "to", 0, "former champion to return to")
	f.StringVar(&o.reason, "reason", "", "why; it is kept in the ledger")
	f.BoolVar(&o.breakGlass, "break-glass", false, "tell the gateways themselves: needs neither Temporal nor S3")
	f.StringArrayVar(&o.gateways, "gateway", nil, "URL of a gateway's admin listener, for each; default: those of the live heartbeats")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the gateways' admin token (LEANLOOP_ADMIN_TOKEN_FILE, or the token in LEANLOOP_ADMIN_TOKEN)")
	f.DurationVar(&o.wait, "wait", 30*time.Second, "how long gateways may take to confirm")
	return cmd
}

// rolledBack is the result.
type rolledBack struct {
	Model      string   `json:"model"`
	Actor      string   `json:"actor"`
	Challenger int      `json:"challenger,omitempty"` // that lost its traffic
	From       int      `json:"from"`                 // champion before
	Champion   int      `json:"champion"`
	Seq        int64    `json:"seq"`
	Epoch      int64    `json:"epoch"`
	Gateways   int      `json:"gateways"` // live ones
	Confirmed  bool     `json:"confirmed"`
	Missing    []string `json:"missing,omitempty"` // live gateways that don't serve so yet

	Target *activities.TargetCheck `json:"target,omitempty"` // where serving.command drives what serves
}

func runRollback(ctx context.Context, o *rollbackOptions) error {
	actor, err := o.actor()
	if err != nil {
		return err
	}
	if o.breakGlass {
		return o.breakTheGlass(ctx, actor)
	}
	head, err := o.head(ctx, o.model)
	if err != nil {
		return err
	}
	out := rolledBack{Model: o.model, Actor: actor, Challenger: head.State.Challenger, From: head.State.Champion}
	after, err := o.rollBack(ctx, head, actor)
	if isA[*registry.Conflict](err) || isA[*registry.Refused](err) {
		o.recordRefusal(ctx, o.model, registry.RefusedDecision{Actor: actor, Via: "cli", Decision: "rollback", Version: o.to, Given: o.reason, Reason: err.Error()})
	}
	if r, ok := errors.AsType[*registry.Refused](err); ok {
		return &refusedError{what: "rollback of " + o.model, why: r.Reason}
	}
	if err != nil {
		return err
	}
	out.Seq, out.Epoch, out.Champion = after.Seq, after.State.Epoch, after.State.Champion
	confirm := o.confirm
	if o.driven(ctx, o.model, after.State) {
		confirm = o.followTarget
	}
	if err := confirm(ctx, &out); err != nil {
		return err
	}
	return o.print(out, func(p *page) { rolledBackTable(p, out) })
}

// rollBack aborts the canary where one runs and nothing else is asked for; else it writes the ledger.
func (o *rollbackOptions) rollBack(ctx context.Context, head registry.Entry, actor string) (registry.Entry, error) {
	if head.State.Challenger != 0 && o.to == 0 {
		aborted, err := o.abort(ctx, head.State.Challenger, actor)
		if aborted || err != nil {
			return o.settled(ctx, head, err)
		}
	}
	to := o.to
	if head.State.Challenger == 0 && to == 0 {
		to = formerChampion(head.State)
		if to == 0 {
			return registry.Entry{}, &refusedError{what: "rollback of " + o.model, why: "no canary runs, and there is no former champion that wasn't rolled back (--to returns to one that was)"}
		}
	}
	if to != 0 && to == head.State.Champion && head.State.Challenger == 0 {
		return registry.Entry{}, &refusedError{what: "rollback of " + o.model, why: fmt.Sprintf("version %d is the champion", to)}
	}
	ledger, err := o.ledger(ctx, o.model)
	if err != nil {
		return registry.Entry{}, err
	}
	at := head.State
	order := registry.RollBack(at.Epoch, at.Champion, at.Challenger, to, o.reason)
	order.Actor, order.Via, order.Time = actor, "cli", o.now().UTC()
	return ledger.Do(ctx, order)
}

// abort asks the running canary to end. It is false where no canary, or no Temporal, answers.
func (o *rollbackOptions) abort(ctx context.Context, challenger int, actor string) (bool, error) {
	engine, err := o.engine(ctx)
	if err != nil {
		o.say("Temporal doesn't answer; the ledger is written directly: %v", err)
		return false, ctx.Err()
	}
	steer := steerOptions{app: o.app, action: "abort", model: o.model, reason: o.reason}
	_, err = steer.steer(ctx, engine, actor)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	}
	o.say("the canary of version %d can't be asked; the ledger is written directly: %v", challenger, err)
	return false, nil
}

// settled waits until the aborted canary has given the traffic back, and does it in its place where it hasn't in time.
func (o *rollbackOptions) settled(ctx context.Context, before registry.Entry, err error) (registry.Entry, error) {
	if err != nil {
		return registry.Entry{}, err
	}
	ledger, err := o.ledger(ctx, o.model)
	if err != nil {
		return registry.Entry{}, err
	}
	var head registry.Entry
	err = poll(ctx, "the canary's end", min(o.pollEvery, 250*time.Millisecond), o.wait, func(ctx context.Context) (bool, error) {
		head, err = ledger.Head(ctx)
		return err == nil && head.State.Challenger != before.State.Challenger, err
	})
	if isA[*waitError](err) {
		return head, fmt.Errorf("the canary was told to end and hasn't given the traffic back; its lease ends %s: %w", ago(o.now(), leaseEnd(head.State)), err)
	}
	return head, err
}

func leaseEnd(s registry.State) time.Time {
	if s.Lease == nil {
		return time.Time{}
	}
	return s.Lease.Until
}

// formerChampion is the version that was the champion before this one, and wasn't rolled back; 0: none.
func formerChampion(s registry.State) int {
	former := slices.DeleteFunc(slices.Clone(s.Versions), func(v registry.Version) bool { return v.Status != registry.StatusRetired })
	if len(former) == 0 {
		return 0
	}
	return slices.MaxFunc(former, func(a, b registry.Version) int { return a.PromotedAt.Compare(b.PromotedAt) }).Number
}

// confirm waits until every live gateway serves by the entry. One that doesn't in time undoes nothing: it serves the
// champion alone once it is cut off from the ledger for longer than its lease.
func (o *rollbackOptions) confirm(ctx context.Context, out *rolledBack) error {
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	err = poll(ctx, "gateways", min(o.pollEvery, 250*time.Millisecond), o.wait, func(ctx context.Context) (bool, error) {
		beats, err := registry.Heartbeats(ctx, store)
		if err != nil {
			return false, err
		}
		out.Gateways = len(registry.Live(beats, o.now()))
		out.Confirmed, out.Missing = registry.Confirmed(beats, o.model, out.Seq, o.now())
		return out.Confirmed, nil
	})
	if isA[*waitError](err) {
		return nil // what is missing is in the result
	}
	return err
}

func rolledBackTable(p *page, r rolledBack) {
	if r.Challenger > 0 {
		p.line("%s: version %d has no traffic any more", r.Model, r.Challenger)
	}
	if r.From != r.Champion {
		p.line("%s: version %d is the champion again, version %d is rolled back", r.Model, r.Champion, r.From)
	}
	switch {
	case r.Target != nil && r.Confirmed:
		p.line("entry %d, read back by the target", r.Seq)
	case r.Gateways == 0 && len(r.Missing) > 0:
		p.line("entry %d stands; %s: %s", r.Seq, p.style.paint(toneWarn, "not confirmed yet by"), strings.Join(r.Missing, ", "))
	case r.Gateways == 0:
		p.line("entry %d; no gateway is alive", r.Seq)
	case r.Confirmed:
		p.line("entry %d, confirmed by %d gateway(s)", r.Seq, r.Gateways)
	default:
		p.line("entry %d stands; %s: %s", r.Seq, p.style.paint(toneWarn, "not confirmed yet by"), strings.Join(r.Missing, ", "))
	}
}
