package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/workflows"
)

// decideOptions are starter approve's and reject's.
type decideOptions struct {
	*app
	kind     string
	arg      string
	evidence string
	reason   string
	yes      bool
}

func newApprove(a *app, run func(context.Context, *decideOptions) error) *cobra.Command {
	cmd := newDecision(a, approval.Approve, run)
	cmd.Use, cmd.Short = "approve MODEL|LIFECYCLE", "Let a version through that waits for a decision"
	cmd.Long = `Show what a version was judged by, and approve it. The approval binds to that evidence: if the data, the model, the
metrics, the spec or the champion move, it is void. On a terminal you are asked first.
Exit code 7: nothing waits, or the decision was refused; the reason is printed, and kept in the audit folder.`
	return cmd
}

func newReject(a *app, run func(context.Context, *decideOptions) error) *cobra.Command {
	cmd := newDecision(a, approval.Reject, run)
	cmd.Use, cmd.Short = "reject MODEL|LIFECYCLE --reason TEXT", "Refuse a version that waits for a decision"
	return cmd
}

func newDecision(a *app, kind string, run func(context.Context, *decideOptions) error) *cobra.Command {
	o := &decideOptions{app: a, kind: kind}
	cmd := &cobra.Command{
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.arg = args[0]
			if o.kind == approval.Reject && strings.TrimSpace(o.reason) == "" {
				return usagef("why? --reason TEXT, for whoever made it")
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.evidence, "evidence", "", "decide only if the evidence's digest starts with this")
	f.StringVar(&o.reason, "reason", "", "why; it is kept in the ledger")
	f.BoolVarP(&o.yes, "yes", "y", false, "don't ask")
	return cmd
}

// decided is the result.
type decided struct {
	Lifecycle string          `json:"lifecycle"`
	Version   int             `json:"version"`
	Decision  string          `json:"decision"`
	Actor     string          `json:"actor"`
	Evidence  string          `json:"evidence"`
	Outcome   string          `json:"outcome"` // open while the quorum isn't reached
	Missing   int             `json:"missing_approvals,omitempty"`
	Status    approval.Status `json:"status"`
}

func runDecide(ctx context.Context, o *decideOptions) error {
	actor, err := o.actor()
	if err != nil {
		return err
	}
	ref, _, err := o.findRun(ctx, o.arg)
	if err != nil {
		return err
	}
	engine, err := o.engine(ctx)
	if err != nil {
		return err
	}
	state, err := o.waiting(ctx, engine, ref, actor)
	if err != nil {
		return err
	}
	d := o.decision(actor, ref, state.Evidence.Digest)
	if err := o.refuseOther(ctx, ref, *state, d); err != nil {
		return err
	}
	if o.flags.format == formatTable {
		p := o.page()
		evidenceTable(p, ref.id(), *state)
		if _, err := io.WriteString(o.out, p.String()); err != nil {
			return err
		}
	}
	if !o.confirmed(fmt.Sprintf("%s version %d as %s?", o.kind, state.Evidence.Version, actor)) {
		return errors.New("not confirmed: nothing was decided")
	}
	status, err := engine.Decide(ctx, ref.id(), d)
	if err != nil {
		return o.refused(ctx, engine, ref, state.Evidence.Version, d, err)
	}
	out := decided{
		Lifecycle: ref.id(), Version: state.Evidence.Version, Decision: o.kind, Actor: actor, Evidence: d.Evidence,
		Outcome: status.Outcome, Missing: status.Missing(state.Request.Policy), Status: status,
	}
	return o.print(out, func(p *page) { decidedTable(p, out, ref.model) })
}

// decision is made of what is decided alone, so that the same command again is the same decision: after a time-out it
// finds its first answer.
func (o *decideOptions) decision(actor string, ref runRef, evidence string) approval.Decision {
	sum := sha256.Sum256([]byte(strings.Join([]string{ref.id(), o.kind, actor, evidence}, "\n")))
	return approval.Decision{
		ID: "cli-" + hex.EncodeToString(sum[:12]), Kind: o.kind, Actor: actor, Via: "cli", Evidence: evidence,
		Reason: o.reason, At: o.now().UTC(),
	}
}

// waiting is what the run asks people; a run that asks nothing is refused with where it stands.
func (o *decideOptions) waiting(ctx context.Context, engine observer, ref runRef, actor string) (*workflows.ApprovalState, error) {
	s, err := engine.Lifecycle(ctx, ref.id())
	if err != nil && !isA[*notFoundError](err) {
		return nil, err
	}
	if err == nil && s.Approval != nil && s.Outcome == "" && s.Approval.Status.IsOpen() {
		return s.Approval, nil
	}
	v, err := o.view(ctx, ref)
	if err != nil {
		return nil, err
	}
	why := fmt.Sprintf("no version waits for a decision: %s is in stage %s", ref.id(), first(v.Stage, "start"))
	if v.Outcome != "" {
		why = fmt.Sprintf("no version waits for a decision: %s is %s: %s", ref.id(), v.Outcome, v.Reason)
	}
	if s.Approval != nil && !s.Approval.Status.IsOpen() { // who was first is what a late one wants to know
		why = alreadyDecided(s.Approval.Status)
	}
	return nil, o.record(ctx, ref, approval.Decision{Kind: o.kind, Actor: actor, Via: "cli", Reason: o.reason}, v.Version, why)
}

// refuseOther refuses to decide on other evidence than the caller named.
func (o *decideOptions) refuseOther(ctx context.Context, ref runRef, a workflows.ApprovalState, d approval.Decision) error {
	if strings.HasPrefix(a.Evidence.Digest, strings.ToLower(o.evidence)) {
		return nil
	}
	d.Evidence = o.evidence
	return o.record(ctx, ref, d, a.Evidence.Version, fmt.Sprintf("the evidence is %s, --evidence is %s: look again", short(a.Evidence.Digest), o.evidence))
}

// confirmed asks a person at a terminal. Where nobody can answer, the command itself is the decision.
func (o *decideOptions) confirmed(question string) bool {
	if o.yes || o.flags.format != formatTable || !o.terminal(o.in) {
		return true
	}
	fmt.Fprintf(o.errOut, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(o.in).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// refused says why a decision didn't count. A run that was decided meanwhile says who was first.
func (o *decideOptions) refused(ctx context.Context, engine observer, ref runRef, version int, d approval.Decision, err error) error {
	why := ""
	if r, ok := asRefused(err); ok {
		why = r.why
	} else if !isA[*notFoundError](err) {
		return err
	}
	if s, err := engine.Lifecycle(ctx, ref.id()); err == nil && s.Approval != nil && !s.Approval.Status.IsOpen() {
		why = alreadyDecided(s.Approval.Status)
	} else if why == "" {
		why = fmt.Sprintf("%s has ended", ref.id())
		if v, err := o.view(ctx, ref); err == nil && v.Outcome != "" {
			why = fmt.Sprintf("%s is %s: %s", ref.id(), v.Outcome, v.Reason)
		}
	}
	return o.record(ctx, ref, d, version, why)
}

// record keeps a refused decision in the audit folder, as well as it can, and returns the refusal.
func (o *decideOptions) record(ctx context.Context, ref runRef, d approval.Decision, version int, why string) error {
	o.recordRefusal(ctx, ref.model, registry.RefusedDecision{
		Actor: d.Actor, Via: d.Via, Decision: d.Kind, Key: ref.id(), Version: version, Evidence: d.Evidence, Given: d.Reason, Reason: why,
	})
	return &refusedError{what: fmt.Sprintf("%s by %s", d.Kind, d.Actor), why: why}
}

// alreadyDecided says who decided first.
func alreadyDecided(s approval.Status) string {
	switch {
	case s.Rejection != nil:
		return fmt.Sprintf("already rejected by %s: %s", s.Rejection.Actor, s.Rejection.Reason)
	case len(s.Approvals) > 0:
		return fmt.Sprintf("already %s by %s", s.Outcome, strings.Join(s.Approvers(), ", "))
	}
	return "already " + s.Outcome
}

func decidedTable(p *page, d decided, model string) {
	done := map[string]string{approval.Approve: "approved", approval.Reject: "rejected"}[d.Decision]
	p.line("\n%s version %d of %s as %s, evidence %s", p.style.paint(toneOf(done), done), d.Version, model, d.Actor, short(d.Evidence))
	if d.Missing > 0 {
		p.line("%d more approval(s) needed", d.Missing)
		return
	}
	p.line("follow it: starter watch %s", model)
}
