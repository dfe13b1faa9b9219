package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
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
	Failures []dataset.Failure `json:"failures,omitempty"` // the first of each kind, bounded
	Problem  string            `json:"problem,omitempty"`  // the file can't be read at all
	Gone     bool              `json:"gone,omitempty"`     // the object isn't there any more, as Problem says: there is nothing to decide on
	Contract string            `json:"contract,omitempty"` // key of the inferred contract, where the spec has none
}

// Ingester takes landed objects into the data set.
type Ingester struct {
	Lake *Lake
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
}

// Ingest streams the object once: hash, parse, check, and a copy below its digest. What is wrong with the file is in the
// result, not in the error: it is refused, not retried.
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
	spool, err := os.Create(filepath.Join(dir, "data"))
	if err != nil {
		return IngestOutput{}, err
	}
	defer func() { _ = spool.Close() }()

	file := ingested{spec: m, contract: contract, out: IngestOutput{Object: in.Object}}
	if err := i.read(ctx, &file, spool, h.note); err != nil {
		return IngestOutput{}, err
	}
	if file.out.Problem == "" {
		if err := i.store(ctx, &file, spool); err != nil {
			return IngestOutput{}, err
		}
	}
	return file.bounded(), nil
}

// ingested is one file on its way in.
type ingested struct {
	spec     *spec.Model
	contract *spec.Contract // nil: the file will be the first, and is held to what the spec names
	table    *dataset.Table
	failures []dataset.Failure
	out      IngestOutput
}

// read parses the object while it is spooled, and checks it.
func (i *Ingester) read(ctx context.Context, f *ingested, spool io.Writer, note func(any)) error {
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
	table, read, report, err := dataset.Read(ctx, io.TeeReader(body, spool), dataset.ReadOptions{
		Name: o.Key, Format: f.spec.Data.Format, Contract: f.contract,
		Progress: func(rows int, _ int64) { note(reading{File: o.Key, Rows: rows}) },
	})
	f.out.SHA256, f.out.Bytes, f.out.Rows = read.SHA256, read.Bytes, read.Rows
	if bad, ok := errors.AsType[*dataset.FormatError](err); ok {
		f.out.Problem = bad.Error()
		return nil
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", o.URL(), err)
	}
	f.table = table
	landed := o.Modified
	if landed.IsZero() {
		landed = info.Modified
	}
	f.check(report, landed)
	return nil
}

// check holds the rows to the contract and to what the spec needs of them.
func (f *ingested) check(report *dataset.Report, landed time.Time) {
	contract := spec.Contract{}
	if f.contract != nil {
		contract = *f.contract
	}
	report.Merge(dataset.Check(f.table, contract, f.spec.Data.Expectations, landed, f.spec.Data.Time))
	if f.contract == nil {
		report.Merge(&dataset.Report{Failures: missingRoles(f.table, f.spec)})
	}
	for _, failure := range report.Failures {
		if failure.Severity == dataset.SeverityBlock {
			f.failures = append(f.failures, failure)
		}
	}
	column := f.spec.Data.Time
	if column == "" || len(f.failures) > 0 {
		return
	}
	from, to, err := dataset.EventRange(f.table, column)
	switch {
	case err != nil:
		f.out.Problem = err.Error()
	case from.IsZero():
		f.out.Problem = fmt.Sprintf("column %s: none of %d rows has an event time", column, f.table.Rows)
	default:
		f.out.From, f.out.To = from, to
	}
}

// missingRoles are the columns that the spec names and the table lacks. A data set without a contract is held to its
// first file's columns for ever: without its target among them, nothing could ever be trained.
func missingRoles(t *dataset.Table, m *spec.Model) []dataset.Failure {
	roles := []struct{ field, column string }{
		{"data.id", m.Data.ID}, {"data.time", m.Data.Time}, {"data.target", m.Data.Target}, {"data.group", m.Data.Group},
	}
	for _, name := range slices.Concat(m.Data.Features.Include, m.Data.Features.Exclude) {
		roles = append(roles, struct{ field, column string }{"data.features", name})
	}
	if m.Gates.Disparity != nil {
		roles = append(roles, struct{ field, column string }{"gates.disparity.by", m.Gates.Disparity.By})
	}
	var failures []dataset.Failure
	for _, r := range roles {
		if _, ok := t.Column(r.column); r.column != "" && !ok {
			failures = append(failures, dataset.Failure{
				Column: r.column, Rule: dataset.RuleMissing, Severity: dataset.SeverityBlock,
				Observed: "columns " + strings.Join(t.Names(), ", "), Limit: "a column " + r.column + ", since " + r.field + " names it",
			})
		}
	}
	return failures
}

// bounded is the result, small enough for history whatever is in the file.
func (f *ingested) bounded() IngestOutput {
	out := f.out
	out.Problem = clip(out.Problem, maxText)
	for _, failure := range f.failures[:min(len(f.failures), maxFailures)] {
		failure.Column, failure.Observed, failure.Limit = clip(failure.Column, maxCell), clip(failure.Observed, maxCell), clip(failure.Limit, maxCell)
		out.Failures = append(out.Failures, failure)
	}
	return out
}

// store keeps the bytes, their profile and their manifest; the manifest comes last.
func (i *Ingester) store(ctx context.Context, f *ingested, spool io.ReadSeeker) error {
	prefix := datasetPrefix(f.spec.Metadata.Name, f.out.SHA256)
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := i.Lake.Store.Create(ctx, prefix+"data", spool, f.out.Bytes)
	if err != nil && !errors.Is(err, objectstore.ErrExists) {
		return err
	}
	if len(f.failures) == 0 {
		if err := i.describe(ctx, f, prefix); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(fileManifest{
		SHA256: f.out.SHA256, Bytes: f.out.Bytes, Rows: f.out.Rows, From: f.out.From, To: f.out.To, Source: f.out.Object.URL(),
		Failures: f.failures,
	})
	if err != nil {
		return err
	}
	return create(ctx, i.Lake.Store, prefix+"manifest.json", raw)
}

// describe keeps the profile of a file that passed, and the contract that it would pin.
func (i *Ingester) describe(ctx context.Context, f *ingested, prefix string) error {
	profile, err := json.Marshal(dataset.NewProfile(f.table, dataset.ProfileOptions{}))
	if err != nil {
		return err
	}
	if err := create(ctx, i.Lake.Store, prefix+"profile.json", profile); err != nil {
		return err
	}
	if f.contract != nil {
		return nil
	}
	f.out.Contract, _, err = putJSON(ctx, i.Lake.Store, prefix+"contract-", dataset.InferContract(f.table))
	return err
}
