package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/spec"
)

// checkData reads the file as an ingest does, and prepares the rows that keep the contract as training does.
func (o *validateOptions) checkData(ctx context.Context, m *spec.Model, override *suite.Suite) (*checkedData, error) {
	f, err := o.dataFile(ctx, "--data", o.data, cmp.Or(o.input, m.Data.Format))
	if err != nil {
		return nil, err
	}
	defer f.close()
	expectations := m.Data.Expectations
	if override != nil {
		expectations.Suite = override
	}
	s := &scanned{options: dataset.CheckOptions{
		Contract: m.Data.Contract, Expectations: expectations, Landed: o.now(), Time: m.Data.Time, ID: m.Data.ID,
	}}
	if o.failedRows != "" {
		s.options.Keep = failedKeep
	}
	if err := s.scan(ctx, o, f); err != nil {
		return nil, err
	}
	if s.broken == nil && s.report.OK() && o.file != "" && !o.contractOnly {
		if err := s.train(ctx, o, f, m.Data); err != nil {
			return nil, err
		}
	}
	if err := o.export(ctx, f, s); err != nil {
		return nil, err
	}
	out := &checkedData{
		File: f.name, OK: s.report.OK(), SHA256: s.info.SHA256, Rows: s.info.Rows, Ignored: s.info.Ignored,
		Suite: s.report.Suite, kept: o.kept(m.Data.Contract, expectations), gx: s.gx(),
	}
	for i, failure := range s.report.Failures {
		s.report.Failures[i].First = failure.First[:min(len(failure.First), dataset.DefaultKeep)]
	}
	out.Failures = s.report.Failures
	return out, writePage(o.html, func(w io.Writer) error {
		page := report.ValidationPage{
			Title: m.Metadata.Name, Subject: f.name, At: o.now(), Info: s.info, Err: s.broken, Report: s.report,
			Contract: m.Data.Contract, Expectations: expectations, Profile: s.profile,
		}
		if s.report.Suite != nil {
			page.Suites = []*suite.Result{s.report.Suite}
		}
		return report.Validation(w, page)
	})
}

// kept says what rows did that nothing is wrong with.
func (o *validateOptions) kept(c *spec.Contract, e spec.Expectations) string {
	switch asked := e.Suite != nil || e.Freshness > 0; {
	case c != nil:
		return "keep the contract"
	case asked:
		return "are as expected"
	case o.contractOnly:
		return "were read, and held to nothing: the spec has no contract and no suite"
	}
	return "can be trained on; the spec has no contract and no suite to hold them to"
}

// scanned is what one pass over a file found.
type scanned struct {
	options dataset.CheckOptions
	info    dataset.Info
	report  *dataset.Report
	profile *profile.Profile // nil: nobody asked for a report to draw it in
	broken  error            // why the file is no table; in the report, too
}

// fail notes a failure that no rule asked about.
func (s *scanned) fail(f dataset.Failure) { s.report.Failures = append(s.report.Failures, f) }

// gx is the report in the shape of Great Expectations.
func (s *scanned) gx() *suite.Result {
	r := s.report.SuiteResult(s.options)
	if s.broken != nil { // what was never looked at was never met
		r.Results = slices.DeleteFunc(r.Results, func(o suite.Outcome) bool { return o.Success })
	}
	return suite.NewResult(r.SuiteName, r.Meta.Rows, r.Results)
}

// scan holds the rows to the rules. An error is none of the file's.
func (s *scanned) scan(ctx context.Context, o *validateOptions, f *dataFile) (err error) {
	checker := dataset.NewChecker(s.options)
	defer func() { err = errors.Join(err, checker.Close()) }()
	visitor := dataset.Visitor(checker)
	var builder *profile.Builder
	if o.html != "" {
		builder = profile.NewBuilder(profile.Options{})
		visitor = dataset.Visitors(checker, builder)
	}
	watched := o.reading()
	s.info, s.report, err = dataset.Scan(ctx, f.source, dataset.ReadOptions{
		Name: f.name, Format: f.format, Contract: s.options.Contract, Keep: s.options.Keep, Progress: watched.of(f),
	}, visitor)
	watched.end()
	if format, ok := errors.AsType[*dataset.FormatError](err); ok {
		if s.broken = err; s.report == nil {
			s.report = &dataset.Report{Name: f.name}
		}
		s.fail(formatFailure(format))
		return nil
	}
	if err != nil {
		return err
	}
	checker.Header(s.info.Header)
	found, err := checker.Report()
	if err != nil {
		return fmt.Errorf("check %s: %w", f.name, err)
	}
	s.report.Merge(found)
	if builder != nil {
		s.profile, err = builder.Profile()
	}
	return err
}

// train prepares the rows, all in memory, and adds to the report what keeps them from being trained on.
func (s *scanned) train(ctx context.Context, o *validateOptions, f *dataFile, d spec.Data) error {
	watched := o.reading()
	table, _, _, err := dataset.ReadSource(ctx, f.source, dataset.ReadOptions{Name: f.name, Format: f.format, Contract: d.Contract, Progress: watched.of(f)})
	watched.end()
	if err != nil {
		return err
	}
	if err := usable(o.app, table, d); err != nil {
		s.fail(usableFailure(err))
	}
	return nil
}

// usable says what keeps rows that keep the contract from being trained on.
func usable(a *app, t *dataset.Table, d spec.Data) error {
	if _, err := dataset.FeatureColumns(t, d); err != nil {
		return err
	}
	_, err := dataset.Prepare(t, d, a.now())
	return err
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
