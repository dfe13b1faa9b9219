package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/workflows"
)

// submitOptions are starter submit's.
type submitOptions struct {
	*app
	file    string
	model   string
	data    string
	force   bool
	noCache bool
	wait    bool
	reason  string
	timeout time.Duration
}

func newSubmit(a *app, run func(context.Context, *submitOptions) error) *cobra.Command {
	o := &submitOptions{app: a}
	cmd := &cobra.Command{
		Use: "submit (-f model.yaml | MODEL) [--data FILE]", Short: "Land a data file, or ask for a run, and see its run started",
		Long: `Apply the spec where -f is given and it changed, upload the file of --data below the model's landing prefix, and ask
for a run. The run's id is printed. With --wait the run is followed to its end, and its outcome is the exit code.
Without --data the run trains from the data there is; a run whose data and spec are those of a version is "unchanged",
unless --force. A stage that an earlier run did with the same inputs isn't done again, and says "cached from" which run,
unless --no-cache or --force.

  starter submit flights --no-cache --reason "the weather service was down" --wait`,
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.completeModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) == (o.file != "") {
				return usagef("which model? MODEL, or -f model.yaml, and not both")
			}
			if len(args) == 1 {
				o.model = args[0]
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.file, "file", "f", "", "the spec; it is applied where it changed")
	f.StringVar(&o.data, "data", "", "a data file to land")
	f.BoolVar(&o.force, "force", false, "train even where data and spec are those of a version")
	f.BoolVar(&o.noCache, "no-cache", false, "run every stage, also one that an earlier run did with the same inputs")
	f.BoolVar(&o.wait, "wait", false, "follow the run to its end")
	f.StringVar(&o.reason, "reason", "", "why, for those who decide")
	f.DurationVar(&o.timeout, "timeout", 0, "with --wait: how long (0: until the run ends)")
	return cmd
}

// submitted is the result.
type submitted struct {
	Model     string             `json:"model"`
	Applied   *applied           `json:"applied,omitempty"`
	Object    *activities.Object `json:"object,omitempty"`
	Import    string             `json:"import,omitempty"`    // digest of the model that was imported
	Lifecycle string             `json:"lifecycle,omitempty"` // empty while it waits behind an open run
	Queued    int                `json:"queued"`
	Duplicate bool               `json:"duplicate,omitempty"` // the file was submitted, or noticed, before
	URL       string             `json:"url,omitempty"`
	Result    *runView           `json:"result,omitempty"` // with --wait
}

func runSubmit(ctx context.Context, o *submitOptions) error {
	var out submitted
	if o.data != "" { // before anything is changed
		f, _, err := openData(o.data)
		if err != nil {
			return err
		}
		_ = f.Close()
	}
	m, err := o.prepare(ctx, &out)
	if err != nil {
		return err
	}
	if _, err := o.engine(ctx); err != nil { // before anything is landed
		return err
	}
	trigger, err := o.trigger(ctx, m, &out)
	if err != nil {
		return err
	}
	return o.ask(ctx, trigger, &out)
}

// ask hands over the trigger, finds the run that takes it and, with --wait, follows it to its end.
func (o *submitOptions) ask(ctx context.Context, trigger activities.Trigger, out *submitted) error {
	engine, err := o.engine(ctx)
	if err != nil {
		return err
	}
	answer, err := engine.Submit(ctx, out.Model, trigger)
	if err != nil {
		return err
	}
	if answer.Duplicate && o.force && trigger.Import == nil {
		// The file is known, so it starts nothing; the person still wants a run.
		trigger.Object, trigger.Key = nil, o.key(trigger.Actor)
		if answer, err = engine.Submit(ctx, out.Model, trigger); err != nil {
			return err
		}
	}
	out.Lifecycle, out.Queued, out.Duplicate = answer.Lifecycle, answer.Queued, answer.Duplicate
	if out.Lifecycle == "" {
		limit := settle
		if o.wait {
			limit = o.timeout
		}
		if out.Lifecycle, err = o.lifecycleOf(ctx, out.Model, trigger, limit); err != nil {
			return err
		}
	}
	if out.Lifecycle == "" && o.wait {
		return &waitError{what: "a run of " + out.Model, limit: o.timeout.String()}
	}
	if out.Lifecycle != "" {
		out.URL = o.link(out.Lifecycle)
	}
	if !o.wait {
		return o.print(out, func(p *page) { submittedTable(p, *out) })
	}
	o.say("%s%s", submittedLine(*out), after(out.URL))
	end, err := follow(ctx, o.app, out.Lifecycle, o.timeout)
	if err != nil {
		return err
	}
	out.Result = &end
	if err := o.print(out, func(p *page) { runTable(p, end) }); err != nil {
		return err
	}
	return outcomeOf(end.ID, end.Outcome, end.Reason)
}

// prepare applies the spec, or reads the one that is applied.
func (o *submitOptions) prepare(ctx context.Context, out *submitted) (*spec.Model, error) {
	if o.file == "" {
		out.Model = o.model
		head, err := o.head(ctx, o.model)
		if err != nil {
			return nil, err
		}
		if head.State.Spec.Digest == "" {
			return nil, notFound("a spec of "+o.model, "starter apply -f model.yaml")
		}
		return o.appliedSpec(ctx, o.model, head.State.Spec.Digest)
	}
	m, code, err := loadSpec(o.file)
	if err != nil {
		return nil, err
	}
	out.Model = m.Metadata.Name
	done, err := applySpec(ctx, o.app, m, code, false)
	if err != nil {
		return nil, err
	}
	if done.Changed && o.flags.format == formatTable {
		o.warn(done.Warnings)
		o.say("spec %s applied to model %s", short(done.Digest), done.Model)
	}
	out.Applied = &done
	return m, nil
}

// trigger lands the file and says who asks for what.
func (o *submitOptions) trigger(ctx context.Context, m *spec.Model, out *submitted) (activities.Trigger, error) {
	actor, err := o.actor()
	if err != nil {
		return activities.Trigger{}, err
	}
	t := activities.Trigger{
		Kind: activities.TriggerPerson, Key: o.key(actor), Actor: actor, Via: "cli", Reason: o.reason, Force: o.force, NoCache: o.noCache, At: o.now().UTC(),
	}
	if o.data == "" {
		return t, nil
	}
	object, err := o.upload(ctx, m, o.data)
	if err != nil {
		return t, err
	}
	out.Object, t.Object, t.Key = &object, &object, object.Identity()
	return t, nil
}

// key makes each asking one of its own.
func (o *submitOptions) key(actor string) string {
	return fmt.Sprintf("person/%s/%s", actor, o.now().UTC().Format(time.RFC3339Nano))
}

// settle is how long a submission that isn't answered at once is looked after before it counts as queued. A run takes
// its trigger a moment after it became the open one.
const settle = 3 * time.Second

// lifecycleOf finds the run that takes a trigger; "" if that is still open when the limit is over, 0 being none. A
// trigger that led to no run is refused.
func (o *submitOptions) lifecycleOf(ctx context.Context, model string, t activities.Trigger, limit time.Duration) (string, error) {
	engine, err := o.engine(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	err = poll(ctx, "a run of "+model, o.pollEvery, limit, func(ctx context.Context) (bool, error) {
		state, err := engine.Model(ctx, model)
		if isA[*silentWorkerError](err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(state.Taken, func(k workflows.Taken) bool { return k.Key == t.Key })
		if i < 0 {
			return false, nil
		}
		if found = state.Taken[i].Lifecycle; found == "" {
			return false, &refusedError{what: "run of " + model, why: first(state.Note, "nothing to do")}
		}
		return true, nil
	})
	if isA[*waitError](err) {
		return "", nil
	}
	return found, err
}

func submittedLine(s submitted) string {
	switch {
	case s.Lifecycle == "":
		return fmt.Sprintf("waits behind the open run of %s, %d in line: starter watch %s", s.Model, s.Queued, s.Model)
	case s.Duplicate:
		if s.Import != "" {
			return s.Lifecycle + " has this model (--force asks for another run)"
		}
		return s.Lifecycle + " has this file" // whether it was new, or the landing prefix was looked at before we asked
	}
	return s.Lifecycle + " started"
}

func submittedTable(p *page, s submitted) {
	if s.Object != nil {
		p.line("landed %s (%s)", s.Object.URL(), size(s.Object.Size))
	}
	if s.Import != "" {
		p.line("stored model %s", short(s.Import))
	}
	p.line("%s", submittedLine(s))
	if s.URL != "" {
		p.line("%s", p.style.paint(toneDim, s.URL))
	}
}

// after sets a second part of a line apart, where there is one.
func after(s string) string {
	if s == "" {
		return ""
	}
	return "  " + s
}
