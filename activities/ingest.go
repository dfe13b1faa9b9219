package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// maxFailures bounds what an ingest carries through history; the manifest has them all.
const maxFailures = 20

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
	Problem  string            `json:"problem,omitempty"`
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

	out := IngestOutput{Object: in.Object}
	table, report, err := i.read(ctx, m, contract, in.Object, spool, &out)
	if err != nil {
		return out, err
	}
	if out.Problem != "" {
		return out, nil
	}
	for _, f := range report.Failures {
		if f.Severity == dataset.SeverityBlock {
			out.Failures = append(out.Failures, f)
		}
	}
	if m.Data.Time != "" && report.OK() {
		if out.From, out.To, err = dataset.EventRange(table, m.Data.Time); err != nil {
			out.Problem = err.Error()
			return out, nil
		}
	}
	err = i.store(ctx, m, &out, spool, table, contract)
	out.Failures = out.Failures[:min(len(out.Failures), maxFailures)]
	return out, err
}

// read parses the object while it is spooled.
func (i *Ingester) read(ctx context.Context, m *spec.Model, contract *spec.Contract, o Object, spool io.Writer, out *IngestOutput) (*dataset.Table, *dataset.Report, error) {
	body, info, err := i.Lake.Landing.Bucket(o.Bucket).Get(ctx, o.Key)
	if errors.Is(err, objectstore.ErrNotFound) {
		out.Problem = fmt.Sprintf("%s is gone", o.URL())
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = body.Close() }()
	if o.ETag != "" && info.ETag != "" && info.ETag != o.ETag {
		out.Problem = fmt.Sprintf("%s was overwritten since it landed (%s, now %s); the newer one is a trigger of its own", o.URL(), o.ETag, info.ETag)
		return nil, nil, nil
	}
	tee := io.TeeReader(body, spool)
	table, read, report, err := dataset.Read(ctx, tee, dataset.ReadOptions{
		Name: o.Key, Format: formatOf(m, o.Key), Contract: contract,
		Progress: func(rows int, bytes int64) {
			activity.RecordHeartbeat(ctx, map[string]any{"rows": rows, "bytes": bytes})
		},
	})
	out.SHA256, out.Bytes, out.Rows = read.SHA256, read.Bytes, read.Rows
	if bad, ok := errors.AsType[*dataset.FormatError](err); ok {
		out.Problem = bad.Error()
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", o.URL(), err)
	}
	if report == nil {
		report = &dataset.Report{}
	}
	check := spec.Contract{}
	if contract != nil {
		check = *contract
	}
	landed := o.Modified
	if landed.IsZero() {
		landed = info.Modified
	}
	report.Merge(dataset.Check(table, check, m.Data.Expectations, landed, m.Data.Time))
	return table, report, nil
}

// store keeps the bytes, their profile and their manifest; the manifest comes last.
func (i *Ingester) store(ctx context.Context, m *spec.Model, out *IngestOutput, spool *os.File, table *dataset.Table, contract *spec.Contract) error {
	prefix := datasetPrefix(m.Metadata.Name, out.SHA256)
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := i.Lake.Store.Create(ctx, prefix+"data", spool, out.Bytes)
	if err != nil && !errors.Is(err, objectstore.ErrExists) {
		return err
	}
	if len(out.Failures) == 0 {
		profile, err := json.Marshal(dataset.NewProfile(table, dataset.ProfileOptions{}))
		if err != nil {
			return err
		}
		if err := create(ctx, i.Lake.Store, prefix+"profile.json", profile); err != nil {
			return err
		}
		if contract == nil {
			key, _, err := putJSON(ctx, i.Lake.Store, prefix+"contract-", dataset.InferContract(table))
			if err != nil {
				return err
			}
			out.Contract = key
		}
	}
	raw, err := json.Marshal(fileManifest{
		SHA256: out.SHA256, Bytes: out.Bytes, Rows: out.Rows, From: out.From, To: out.To, Source: out.Object.URL(),
		Failures: out.Failures, Problem: out.Problem,
	})
	if err != nil {
		return err
	}
	return create(ctx, i.Lake.Store, prefix+"manifest.json", raw)
}

// Validate lets a file into the index or refuses it there, so that it is never asked about again.
func (i *Ingester) Validate(ctx context.Context, in ValidateInput) (ValidateOutput, error) {
	m, err := i.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return ValidateOutput{}, err
	}
	index, f := i.Lake.Index(in.Model), in.File
	key := in.Lifecycle + "/validate/" + f.Object.Identity()
	why := f.Problem
	if why == "" && len(f.Failures) > 0 {
		why = failureText(f.Failures)
	}
	if why == "" {
		accepted, refusal, err := i.accept(ctx, m, index, key, f)
		if _, moved := errors.AsType[*registry.Conflict](err); moved && f.Contract != "" {
			// Another file pinned the inferred contract first: this one must keep that contract, not its own.
			if in.File, err = i.Ingest(ctx, IngestInput{Model: in.Model, Spec: in.Spec, Lifecycle: in.Lifecycle, Object: f.Object}); err == nil {
				return i.Validate(ctx, in)
			}
		}
		if err != nil {
			return accepted, ledgerError(err)
		}
		if refusal == "" {
			return accepted, nil
		}
		why = refusal
	}
	e, err := index.Refuse(ctx, key+"/refused", registry.Refusal{
		Source: f.Object.URL(), ETag: f.Object.ETag, VersionID: f.Object.VersionID, SHA256: f.SHA256, Reason: why, At: i.Lake.Now().UTC(),
	})
	if err != nil {
		return ValidateOutput{}, ledgerError(err)
	}
	return ValidateOutput{Reason: fmt.Sprintf("%s: %s", f.Object.URL(), why), Seq: e.Seq}, nil
}

// accept enters the file; refusal says why the index won't have it.
func (i *Ingester) accept(ctx context.Context, m *spec.Model, index *registry.Index, key string, f IngestOutput) (out ValidateOutput, refusal string, err error) {
	var inferred *spec.Contract
	if f.Contract != "" {
		inferred = &spec.Contract{}
		if err := getJSON(ctx, i.Lake.Store, f.Contract, inferred); err != nil {
			return out, "", err
		}
	}
	e, err := index.Accept(ctx, key, registry.FileRef{
		SHA256: f.SHA256, Source: f.Object.URL(), ETag: f.Object.ETag, VersionID: f.Object.VersionID,
		Rows: f.Rows, Bytes: f.Bytes, From: f.From, To: f.To, AcceptedAt: i.Lake.Now().UTC(),
	}, m.Data.OnRedelivery, inferred)
	if refused, ok := errors.AsType[*registry.Refused](err); ok {
		return out, refused.Error(), nil
	}
	if err != nil {
		return out, "", err
	}
	return ValidateOutput{Accepted: true, Seq: e.Seq}, "", nil
}

// failureText is the first failures in words; the manifest has them all.
func failureText(failures []dataset.Failure) string {
	const shown = 5
	s := ""
	for n, f := range failures {
		if n == shown {
			return fmt.Sprintf("%s; and %d more", s, len(failures)-shown)
		}
		if n > 0 {
			s += "; "
		}
		s += f.String()
	}
	return s
}
