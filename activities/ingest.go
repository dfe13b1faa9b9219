package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/dataset/profile"
	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// maxFailures bounds what an ingest carries through history; the manifest has them all.
const maxFailures = 20

// IngestInput reads one landed object.
type IngestInput struct {
	Model     string `json:"model"`
	Spec      string `json:"spec"`
	Lifecycle string `json:"lifecycle"`
	Object    Object `json:"object"`
}

// IngestOutput is what was found in it. The bytes are stored below datasets/<model>/<SHA256>/.
type IngestOutput struct {
	Object   Object            `json:"object"`
	SHA256   string            `json:"sha256"`
	Bytes    int64             `json:"bytes"`
	Rows     int               `json:"rows"`
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	Failures []dataset.Failure `json:"failures,omitempty"` // that refuse it: the first of each kind, bounded
	Warnings []dataset.Failure `json:"warnings,omitempty"` // that are only noted, bounded
	// Unlisted is how many failures that refuse it aren't in Failures.
	Unlisted int `json:"unlisted,omitempty"`
	// Validation is the key of what each rule found, in the shape of Great Expectations.
	Validation string `json:"validation,omitempty"`
	// Page is where the same is written for people: an address, or a key where the bucket's name isn't known.
	Page     string `json:"page,omitempty"`
	Problem  string `json:"problem,omitempty"`  // the file can't be read at all
	Gone     bool   `json:"gone,omitempty"`     // the object isn't there any more, as Problem says: there is nothing to decide on
	Contract string `json:"contract,omitempty"` // key of the inferred contract, where the spec has none
}

// Ingester takes landed objects into the data set.
type Ingester struct {
	Lake    *Lake
	Bucket  string            // Lake.Store's name, for the addresses of pages; "": they are told as keys
	Metrics timeseries.Writer // nil: none is configured
}

// fileManifest describes a stored file: datasets/<dataset>/<sha256>/manifest.json.
type fileManifest struct {
	SHA256   string            `json:"sha256"`
	Bytes    int64             `json:"bytes"`
	Rows     int               `json:"rows"`
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	Source   string            `json:"source"`
	Failures []dataset.Failure `json:"failures,omitempty"`
	Warnings []dataset.Failure `json:"warnings,omitempty"`
}

// Ingest streams the object once, whatever its size: copy, hash, parse, check and profile; then the copy is stored below
// its digest. What is wrong with the file is in the result, not in the error: it is refused, not retried.
func (i *Ingester) Ingest(ctx context.Context, in IngestInput) (IngestOutput, error) {
	m, err := i.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return IngestOutput{}, err
	}
	contract, err := i.Lake.contract(ctx, m)
	if err != nil {
		return IngestOutput{}, err
	}
	h := keepBeating(ctx)
	defer h.stop()
	dir, remove, err := i.Lake.scratch("ingest")
	if err != nil {
		return IngestOutput{}, err
	}
	defer remove()

	file := ingested{spec: m, contract: contract, dir: dir, out: IngestOutput{Object: in.Object}}
	defer file.close()
	if err := i.read(ctx, &file, h.note); err != nil {
		return IngestOutput{}, err
	}
	if file.out.Problem == "" {
		if err := i.store(ctx, &file); err != nil {
			return IngestOutput{}, err
		}
	}
	if err := i.page(ctx, &file); err != nil {
		return IngestOutput{}, err
	}
	if !file.out.Gone {
		writePoints(ctx, i.Metrics, file.points(in.Model))
	}
	return file.bounded(), nil
}

// ingested is one file on its way in.
type ingested struct {
	spec     *spec.Model
	contract *spec.Contract // nil: the file will be the first, and is held to what the spec names
	dir      string         // for temporary files
	copy     *dataset.Spool // nil: nothing was read
	landed   time.Time

	info     dataset.Info
	columns  []spec.ColumnRule
	profile  *profile.Profile
	report   *dataset.Report
	result   *suite.Result
	format   *dataset.FormatError // nil: it is a table
	failures []dataset.Failure
	warnings []dataset.Failure
	out      IngestOutput
}

// close removes the copy.
func (f *ingested) close() {
	if f.copy != nil {
		_ = f.copy.Close()
	}
}

// read opens the object, and reads it.
func (i *Ingester) read(ctx context.Context, f *ingested, note func(any)) error {
	o := f.out.Object
	body, info, err := i.Lake.Landing.Bucket(o.Bucket).Get(ctx, o.Key)
	if errors.Is(err, objectstore.ErrNotFound) {
		f.out.Problem, f.out.Gone = o.URL()+" is gone", true
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if o.ETag != "" && info.ETag != "" && info.ETag != o.ETag {
		f.out.Gone = true
		f.out.Problem = fmt.Sprintf("%s was overwritten since it landed (%s, now %s); the newer one is a trigger of its own", o.URL(), o.ETag, info.ETag)
		return nil
	}
	f.landed = o.Modified
	if f.landed.IsZero() {
		f.landed = info.Modified
	}
	f.copy = dataset.Spooled(body, f.dir)
	return f.scan(ctx, note)
}

// scan parses, checks and profiles the rows in one pass.
func (f *ingested) scan(ctx context.Context, note func(any)) error {
	o, d := f.out.Object, f.spec.Data
	held := dataset.CheckOptions{Contract: f.contract, Expectations: d.Expectations, Landed: f.landed, Time: d.Time, ID: d.ID, TempDir: f.dir}
	checker, builder := dataset.NewChecker(held), profile.NewBuilder(profile.Options{})
	defer func() { _ = checker.Close() }()
	read, report, err := dataset.Scan(ctx, f.copy, dataset.ReadOptions{
		Name: o.Key, Format: d.Format, Contract: f.contract, TempDir: f.dir,
		Progress: func(rows int, _ int64) { note(reading{File: o.Key, Rows: rows}) },
	}, dataset.Visitors(checker, builder))
	f.info, f.out.SHA256, f.out.Bytes, f.out.Rows = read, read.SHA256, read.Bytes, read.Rows
	if bad, ok := errors.AsType[*dataset.FormatError](err); ok {
		f.format, f.report = bad, report
		f.out.Problem = bad.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", o.URL(), err)
	}
	f.columns = read.Columns
	if f.profile, err = builder.Profile(); err != nil {
		return fmt.Errorf("profile of %s: %w", o.URL(), err)
	}
	checker.Header(read.Header)
	found, err := checker.Report()
	if err != nil {
		return fmt.Errorf("check %s: %w", o.URL(), err)
	}
	report.Merge(found)
	if f.contract == nil {
		report.Merge(&dataset.Report{Failures: missingRoles(read.Columns, f.spec)})
	}
	f.judge(report, held, checker)
	return nil
}

// judge sorts what was found by what it does, and finds when the events were.
func (f *ingested) judge(report *dataset.Report, held dataset.CheckOptions, checker *dataset.Checker) {
	f.report, f.result = report, report.SuiteResult(held)
	f.warnings = report.Warnings()
	for _, failure := range report.Failures {
		if failure.Severity == dataset.SeverityBlock {
			f.failures = append(f.failures, failure)
		}
	}
	column := f.spec.Data.Time
	if column == "" || len(f.failures) > 0 {
		return
	}
	from, to, err := checker.Events()
	if err == nil && !from.IsZero() {
		f.out.From, f.out.To = from, to
		return
	}
	refusal := dataset.Failure{Column: column, Rule: dataset.RuleNull, Severity: dataset.SeverityBlock, Rows: int64(f.out.Rows),
		Observed: "no event time in any row", Limit: "event times, since data.time names the column"}
	f.out.Problem = fmt.Sprintf("column %s: none of %d rows has an event time", column, f.out.Rows)
	if err != nil {
		f.out.Problem = err.Error()
		refusal.Rule, refusal.Observed, refusal.Limit = dataset.RuleType, err.Error(), "a timestamp, since data.time names the column"
	}
	f.report.Failures = append(f.report.Failures, refusal) // for the page
}

// missingRoles are the columns that the spec names and the file lacks. A data set without a contract is held to its
// first file's columns for ever: without its target among them, nothing could ever be trained.
func missingRoles(columns []spec.ColumnRule, m *spec.Model) []dataset.Failure {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	roles := []struct{ field, column string }{
		{"data.id", m.Data.ID}, {"data.time", m.Data.Time}, {"data.target", m.Data.Target}, {"data.group", m.Data.Group},
		{"data.weight", m.Data.Weight},
	}
	for _, name := range slices.Concat(m.Data.Features.Include, m.Data.Features.Exclude) {
		roles = append(roles, struct{ field, column string }{"data.features", name})
	}
	if m.Gates.Disparity != nil {
		roles = append(roles, struct{ field, column string }{"gates.disparity.by", m.Gates.Disparity.By})
	}
	var failures []dataset.Failure
	for _, r := range roles {
		if r.column != "" && !slices.Contains(names, r.column) {
			failures = append(failures, dataset.Failure{
				Column: r.column, Rule: dataset.RuleMissing, Severity: dataset.SeverityBlock,
				Observed: "columns " + strings.Join(names, ", "), Limit: "a column " + r.column + ", since " + r.field + " names it",
			})
		}
	}
	return failures
}

// bounded is the result, small enough for history whatever is in the file.
func (f *ingested) bounded() IngestOutput {
	out := f.out
	out.Problem = clip(out.Problem, maxText)
	out.Failures, out.Warnings = boundedFailures(f.failures), boundedFailures(f.warnings)
	out.Unlisted = len(f.failures) - len(out.Failures)
	return out
}

func boundedFailures(all []dataset.Failure) []dataset.Failure {
	var out []dataset.Failure
	for _, failure := range all[:min(len(all), maxFailures)] {
		failure.Column, failure.Observed, failure.Limit = clip(failure.Column, maxCell), clip(failure.Observed, maxCell), clip(failure.Limit, maxCell)
		out = append(out, failure)
	}
	return out
}

// store keeps the bytes, what was found in them and their manifest; the manifest comes last. Manifest and profile are those
// of the last reading: a file that was refused is read again once the spec allows it.
func (i *Ingester) store(ctx context.Context, f *ingested) error {
	prefix := datasetPrefix(f.spec.Metadata.Name, f.out.SHA256)
	stored, err := f.copy.Open()
	if err != nil {
		return err
	}
	defer func() { _ = stored.Close() }()
	seeker, ok := stored.(io.ReadSeeker)
	if !ok {
		return fmt.Errorf("copy of %s: a %T can't be read again", f.out.Object.URL(), stored)
	}
	_, err = i.Lake.Store.Create(ctx, prefix+"data", seeker, f.out.Bytes)
	if err != nil && !errors.Is(err, objectstore.ErrExists) {
		return err
	}
	if err := i.describe(ctx, f, prefix); err != nil {
		return err
	}
	raw, err := json.Marshal(fileManifest{
		SHA256: f.out.SHA256, Bytes: f.out.Bytes, Rows: f.out.Rows, From: f.out.From, To: f.out.To, Source: f.out.Object.URL(),
		Failures: f.failures, Warnings: f.warnings,
	})
	if err != nil {
		return err
	}
	return i.replace(ctx, prefix+"manifest.json", raw)
}

// describe keeps what there is to say of the file: what each rule found, and of one that passed its profile and the
// contract that it would pin.
func (i *Ingester) describe(ctx context.Context, f *ingested, prefix string) error {
	var err error
	if f.out.Validation, _, err = putJSON(ctx, i.Lake.Store, prefix+"validation-", f.result); err != nil {
		return err
	}
	if len(f.failures) > 0 {
		return nil
	}
	raw, err := json.Marshal(f.profile)
	if err != nil {
		return err
	}
	if err := i.replace(ctx, prefix+"profile.json", raw); err != nil {
		return err
	}
	if f.contract != nil {
		return nil
	}
	f.out.Contract, _, err = putJSON(ctx, i.Lake.Store, prefix+"contract-", dataset.ContractOf(f.columns))
	return err
}

// replace writes what the last reading of a file says.
func (i *Ingester) replace(ctx context.Context, key string, raw []byte) error {
	_, err := i.Lake.Store.Put(ctx, key, bytes.NewReader(raw), int64(len(raw)))
	return err
}
