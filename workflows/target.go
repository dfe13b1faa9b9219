package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// drivenTarget is what serves where gateways don't: a program drives it. Its zero value is gateways.
type drivenTarget struct {
	verb    time.Duration  // timeout of the program; 0: gateways serve
	ids     map[int]string // the target's own names of versions
	problem string         // why it may not serve by the weights that were set
	settled bool           // it read back the weight that was set last
}

func (t *drivenTarget) driven() bool { return t.verb > 0 }

// unsettled says why the weight that was set last may not be served; "": it is, or gateways serve.
func (t *drivenTarget) unsettled() string {
	if t.driven() && !t.settled && t.problem == "" {
		return "the target is on its way there"
	}
	return t.problem
}

// within is how long a weight may take to be confirmed before the canary looks without it; 0 for gateways.
func (t *drivenTarget) within(interval time.Duration) time.Duration {
	if !t.driven() {
		return 0
	}
	return max(interval, t.verb+targetSlack)
}

// confirm waits until traffic is as an entry says: gateways for a moment, a target until it is brought there.
func (t *drivenTarget) confirm(ctx workflow.Context, model, spec string, seq int64) (activities.ConfirmOutput, error) {
	in := activities.ConfirmInput{Model: model, Seq: seq, Within: confirmWithin}
	if !t.driven() {
		return call(ctx, confirming(in.Within), traffic.Confirm, in)
	}
	in.Spec, in.Insist, in.Within = spec, true, max(returnWithin, 2*(t.verb+targetSlack))
	return call(ctx, driving(in.Within), traffic.Confirm, in)
}

// follow brings a target to the weight that was set, as far as that can be done in time. One that can't be reached doesn't
// blind the canary: it looks on, and nothing that it sees lets the challenger go on. A program that refuses ends it.
// Somebody who steers meanwhile isn't kept waiting.
func (c *canaryRun) follow(ctx workflow.Context) error {
	if !c.target.driven() || c.state.Over() {
		return nil
	}
	within := c.target.within(c.interval)
	following, cancel := workflow.WithCancel(ctx)
	defer cancel()
	confirming := begin(following, driving(within), traffic.Confirm, activities.ConfirmInput{Model: c.in.Model, Spec: c.in.Spec, Within: within})
	if err := workflow.Await(ctx, func() bool { return confirming.IsReady() || c.nudged }); err != nil {
		return err
	}
	cancel()
	out, err := confirming.wait(ctx)
	switch {
	case temporal.IsCanceledError(err) && ctx.Err() == nil:
		c.target.problem = "somebody steered before the target confirmed its weights"
	case lost(ctx, err):
		c.target.problem = "no worker confirmed the target's weights in time"
	case err != nil:
		return err
	case out.Refused:
		return temporal.NewNonRetryableApplicationError(strings.Join(out.Missing, "; "), activities.ErrorTarget, nil)
	case !out.Confirmed:
		c.target.problem = behind(out)
	default:
		c.target.problem, c.target.settled, c.target.ids = "", true, out.Target.IDs()
	}
	c.describe(ctx)
	return nil
}

// behind says why a target isn't confirmed.
func behind(out activities.ConfirmOutput) string {
	return "the target doesn't confirm its weights: " + strings.Join(out.Missing, "; ")
}

// deploy makes the version ready in a target, before any request goes there.
func (l *lifecycle) deploy(ctx workflow.Context) error {
	if !l.settings.Driven() {
		return nil
	}
	within := 2 * (l.settings.VerbTimeout + targetSlack) // read, deploy, read
	_, err := call(ctx, deploying(within), traffic.Deploy, activities.DeployInput{
		Model: l.in.Model, Spec: l.in.Spec, Version: l.version.Version, Within: within,
	})
	if err != nil && ctx.Err() == nil {
		return end(activities.Failed, "deployment of version %d: %s", l.version.Version, reason(err))
	}
	return err
}

// noteTarget says that a target isn't known to serve by the ledger, where people see it.
func (l *lifecycle) noteTarget(seen activities.ConfirmOutput, err error, stands string) {
	problem := ""
	switch {
	case err != nil:
		problem = "the target isn't confirmed: " + reason(err)
	case !seen.Confirmed:
		problem = behind(seen)
	default:
		return
	}
	l.note("%s; %s", stands, problem)
	l.unconfirmed = problem
}

// TargetCheck compares a model's target with its ledger and repairs it, by schedule: a target has no lease that ends a
// challenger's traffic by itself. It tells people of a target that can't be brought there at the second look, and of one
// that served otherwise without anything having been decided; once each. People start it as well, and are answered.
func TargetCheck(ctx workflow.Context, in activities.TargetCheckInput) (activities.TargetCheck, error) {
	out := activities.TargetCheck{}
	last, err := lastResult[activities.TargetCheck](ctx)
	if err != nil {
		return out, err
	}
	out.TargetView, err = call(ctx, checking(), traffic.Check, activities.TargetInput{Model: in.Model, ReadOnly: in.ReadOnly, Within: checkWithin})
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if err != nil {
		out.TargetView = activities.TargetView{Model: in.Model, Driven: true, At: workflow.Now(ctx).UTC(), Problem: reason(err)}
	}
	workflow.SetCurrentDetails(ctx, renderTarget(out.TargetView))
	if in.Asked || !out.Driven {
		return out, nil
	}
	tell := func(message, text string) bool {
		return alarm{kind: activities.MonitorTarget, model: in.Model, champion: out.Want.Champion, at: out.At, why: text}.tell(ctx, message)
	}
	switch {
	case out.Problem != "":
		out.Failures, out.Told = last.Failures+1, last.Told
		if out.Failures >= 2 && !out.Told {
			out.Told = tell(activities.MessageAlert, out.Problem)
		}
	case last.Told:
		out.Told = !tell(activities.MessageCalm, fmt.Sprintf("it reads back %s", out.Want)) // else the next check says so
	case out.Moved && out.At.Sub(out.Decided) > undecided:
		tell(activities.MessageRepaired, strings.Join(out.Did, "; "))
	}
	return out, nil
}

// checking is one check, with the next one due soon.
func checking() workflow.ActivityOptions {
	o := driving(checkWithin)
	o.ScheduleToCloseTimeout = checkWithin + time.Minute
	return o
}

// renderTarget is the check for the UI.
func renderTarget(v activities.TargetView) string {
	switch {
	case !v.Driven:
		return "Gateways serve: they follow the ledger by themselves."
	case v.Problem != "":
		return fmt.Sprintf("**Not as decided** (entry %d: %s)\n\n%s", v.Entry, v.Want, escape(v.Problem))
	}
	text := fmt.Sprintf("As decided in entry %d: %s.", v.Entry, v.Want)
	for _, did := range v.Did {
		text += "\n- " + escape(did)
	}
	for _, left := range v.Left {
		text += "\n- not removed: " + escape(left)
	}
	return text
}
