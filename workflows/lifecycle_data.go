package workflows

import (
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
)

// ingest reads each landed object once: hash, parse, check, store.
func (l *lifecycle) ingest(ctx workflow.Context) error {
	if len(l.in.Objects) == 0 {
		l.skip("no new file")
		return nil
	}
	pending := make([]workflow.Future, len(l.in.Objects))
	for i, o := range l.in.Objects {
		pending[i] = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, dataScan()), ingester.Ingest, activities.IngestInput{
			Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Object: o,
		})
	}
	rows := 0
	for _, f := range pending {
		var out activities.IngestOutput
		if err := f.Get(ctx, &out); err != nil {
			return err
		}
		l.files = append(l.files, out)
		rows += out.Rows
	}
	l.result.Rows, l.state.Rows = rows, rows
	l.detail("%d file(s), %d rows", len(l.files), rows)
	return nil
}

// validate lets files that keep their contract into the data set's index, in the order they landed. The run goes on
// while one did; a run that was asked for without a file (by a person, a monitor, the clock) goes on with the data there
// is.
func (l *lifecycle) validate(ctx workflow.Context) error {
	if len(l.files) == 0 {
		l.skip("no new file")
		return nil
	}
	var refused, told []string
	for _, f := range l.files {
		out, err := l.admit(ctx, f)
		if err != nil {
			return err
		}
		if !out.Accepted {
			refused, told = append(refused, out.Reason), append(told, withPage(out.Reason, f.Page))
			l.result.Refused = append(l.result.Refused, f.SHA256)
			continue
		}
		for _, w := range f.Warnings {
			l.note("warning: %s: %s", f.Object.URL(), w)
		}
		l.result.Files = append(l.result.Files, f.SHA256)
	}
	for _, r := range told {
		l.note("refused: %s", r)
	}
	if len(refused) > 0 {
		l.tell(ctx, activities.MessageRefused, strings.Join(told, "\n"), nil)
	}
	if len(l.result.Files) == 0 && !l.wanted() {
		return end(activities.ValidationFailed, "%s", strings.Join(refused, "; "))
	}
	l.detail("%d accepted, %d refused", len(l.result.Files), len(refused))
	return nil
}

// withPage is a reason with where to read more.
func withPage(reason, page string) string {
	if page == "" {
		return reason
	}
	return reason + " (report: " + page + ")"
}

// wanted says that something beside the files themselves asked for this run: who submits a file that is refused is told
// so, and not that nothing changed.
func (l *lifecycle) wanted() bool {
	return slices.ContainsFunc(l.in.Triggers, func(t activities.Trigger) bool { return t.Object == nil })
}

// admit asks the data set's index to take a file. One that was read before another file pinned the contract is read
// again, once: then it is held to that contract.
func (l *lifecycle) admit(ctx workflow.Context, f activities.IngestOutput) (activities.ValidateOutput, error) {
	in := activities.ValidateInput{Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, File: f}
	out, err := call(ctx, quick(), ingester.Validate, in)
	if err != nil || !out.Again {
		return out, err
	}
	in.File, err = call(ctx, dataScan(), ingester.Ingest, activities.IngestInput{
		Model: l.in.Model, Spec: l.in.Spec, Lifecycle: l.result.ID, Object: f.Object,
	})
	if err != nil {
		return out, err
	}
	return call(ctx, quick(), ingester.Validate, in)
}
