package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// validateOptions are starter validate's.
type validateOptions struct {
	*app
	file string
	data string
}

func newValidate(a *app, run func(context.Context, *validateOptions) error) *cobra.Command {
	o := &validateOptions{app: a}
	cmd := &cobra.Command{
		Use: "validate -f model.yaml [--data FILE]", Short: "Check a spec, and a data file against it, offline", Args: cobra.NoArgs,
		Long: `Check a spec, and with --data a file against its contract, without any server.

Exit code 2: the spec is invalid. 3: the file breaks the contract, or can't be trained on.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.file == "" {
				return usagef("which spec? -f model.yaml")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "the spec")
	cmd.Flags().StringVar(&o.data, "data", "", "a data file to hold against the contract")
	return cmd
}

// validated is the result.
type validated struct {
	File     string         `json:"file"`
	Valid    bool           `json:"valid"`
	Model    string         `json:"model,omitempty"`
	Digest   string         `json:"digest,omitempty"`
	Problems []spec.Problem `json:"problems,omitempty"`
	Warnings []string       `json:"warnings,omitempty"`
	Data     *checkedData   `json:"data,omitempty"`
}

// checkedData is what was found in a data file.
type checkedData struct {
	File     string            `json:"file"`
	OK       bool              `json:"ok"`
	SHA256   string            `json:"sha256,omitempty"`
	Rows     int               `json:"rows"`
	Ignored  []string          `json:"ignored_columns,omitempty"` // that the contract doesn't list
	Failures []dataset.Failure `json:"failures,omitempty"`
}

func runValidate(ctx context.Context, o *validateOptions) error {
	out := validated{File: o.file}
	m, err := spec.Load(o.file)
	if invalid, ok := errors.AsType[*spec.Invalid](err); ok && o.flags.format != formatTable {
		out.Problems = invalid.Problems
		return errors.Join(err, o.print(out, nil))
	}
	if err != nil {
		return err
	}
	out.Valid, out.Model, out.Warnings = true, m.Metadata.Name, m.Warnings()
	if out.Digest, err = m.Digest(); err != nil {
		return err
	}
	if o.flags.format == formatTable {
		o.warn(out.Warnings)
	}
	if o.data != "" {
		if out.Data, err = o.check(ctx, m); err != nil {
			return err
		}
	}
	if err := o.print(out, func(p *page) { validatedTable(p, out) }); err != nil {
		return err
	}
	if out.Data != nil && !out.Data.OK {
		return &checkError{name: o.data, failures: len(out.Data.Failures)}
	}
	return nil
}

// warn says what is allowed but may not be meant.
func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		a.say("%s %s", a.styleOf(a.errOut).paint(toneWarn, "warning:"), w)
	}
}

// check reads the file as an ingest would, and prepares its rows as training would.
func (o *validateOptions) check(ctx context.Context, m *spec.Model) (*checkedData, error) {
	f, err := os.Open(o.data)
	if err != nil {
		return nil, usagef("--data: %w", err)
	}
	defer func() { _ = f.Close() }()
	table, info, report, err := dataset.Read(ctx, f, dataset.ReadOptions{Name: o.data, Format: m.Data.Format, Contract: m.Data.Contract})
	out := &checkedData{File: o.data, SHA256: info.SHA256, Rows: info.Rows, Ignored: info.Ignored}
	if broken, ok := errors.AsType[*dataset.FormatError](err); ok {
		if report != nil {
			out.Failures = report.Failures
		}
		out.Failures = append(out.Failures, formatFailure(broken))
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o.data, err)
	}
	contract := spec.Contract{}
	if m.Data.Contract != nil {
		contract = *m.Data.Contract
	}
	report.Merge(dataset.Check(table, contract, m.Data.Expectations, o.now(), m.Data.Time))
	out.Failures, out.OK = report.Failures, report.OK()
	if !out.OK {
		return out, nil
	}
	if err := usable(o.app, table, m.Data); err != nil {
		out.OK = false
		out.Failures = append(out.Failures, usableFailure(err))
	}
	return out, nil
}

// usable says what keeps rows that keep the contract from being trained on.
func usable(a *app, t *dataset.Table, d spec.Data) error {
	if _, err := dataset.FeatureColumns(t, d); err != nil {
		return err
	}
	_, err := dataset.Prepare(t, d, a.now())
	return err
}

func validatedTable(p *page, v validated) {
	p.line("%s: model %s is valid, digest %s", v.File, v.Model, short(v.Digest))
	if v.Data == nil {
		return
	}
	if len(v.Data.Ignored) > 0 && v.Data.OK { // a strict contract fails them, below
		p.line("columns that the contract doesn't list, and are ignored: %s", oneLine(strings.Join(v.Data.Ignored, ", ")))
	}
	if v.Data.OK {
		p.line("%s: %d rows keep the contract, sha256 %s", v.Data.File, v.Data.Rows, short(v.Data.SHA256))
	}
	failuresTable(p, v.Data.Failures)
}

// failuresTable draws what is wrong with a file.
func failuresTable(p *page, failures []dataset.Failure) {
	if len(failures) == 0 {
		return
	}
	t := newTable("COLUMN", "RULE", "OBSERVED", "WANT", "ROWS", "FIRST ROWS").alignRight(4)
	for _, f := range failures {
		rows, firstRows := "-", make([]string, len(f.First))
		if f.Rows > 0 {
			rows = fmt.Sprint(f.Rows)
		}
		for i, r := range f.First {
			firstRows[i] = fmt.Sprint(r)
		}
		t.add(first(f.Column, "-"), f.Rule, cell{text: clip(f.Observed, 60), tone: toneBad}, clip(f.Limit, 60), rows, strings.Join(firstRows, " "))
	}
	p.table(t)
}

// formatFailure is a file that isn't a table, as one more failed check.
func formatFailure(e *dataset.FormatError) dataset.Failure {
	f := dataset.Failure{Column: e.Column, Rule: e.Rule, Observed: e.Observed, Limit: e.Limit, Severity: dataset.SeverityBlock}
	if e.Line > 0 {
		f.Observed = fmt.Sprintf("line %d: %s", e.Line, e.Observed)
	}
	return f
}

// usableFailure is rows that can't be used as the spec asks, as one more failed check.
func usableFailure(err error) dataset.Failure {
	f := dataset.Failure{Rule: "usable", Observed: err.Error(), Limit: "rows that can be trained on", Severity: dataset.SeverityBlock}
	if bad, ok := errors.AsType[*dataset.DataError](err); ok {
		f.Column, f.Rule, f.Observed, f.Limit = bad.Column, bad.Rule, bad.Observed, bad.Limit
	}
	return f
}
