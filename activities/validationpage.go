package activities

import (
	"bytes"
	"context"
	"fmt"

	"github.com/leanloop/leanloop/internal/dataset/suite"
	"github.com/leanloop/leanloop/internal/report"
)

// page keeps what there is to say of the file as a page for people, whether it passed, was refused or couldn't be read. Its
// time is the file's, so that an attempt that is repeated writes the same page.
func (i *Ingester) page(ctx context.Context, f *ingested) error {
	if f.out.Gone || f.out.SHA256 == "" {
		return nil
	}
	p := report.ValidationPage{
		Title: f.spec.Metadata.Name, Subject: f.out.Object.URL(), At: f.landed.UTC(), Info: f.info,
		Report: f.report, Contract: f.contract, Expectations: f.spec.Data.Expectations, Profile: f.profile,
	}
	if f.format != nil {
		p.Err, p.Profile = f.format, nil
	}
	if f.report != nil && f.report.Suite != nil {
		p.Suites = []*suite.Result{f.report.Suite}
	}
	var page bytes.Buffer
	if err := report.Validation(&page, p); err != nil {
		return permanent(ErrorData, fmt.Errorf("page of %s: %w", f.out.Object.URL(), err))
	}
	key := datasetPrefix(f.spec.Metadata.Name, f.out.SHA256) + "validation-" + digestOf(page.Bytes()).SHA256 + ".html"
	if err := create(ctx, i.Lake.Store, key, page.Bytes()); err != nil {
		return err
	}
	f.out.Page = key
	if i.Bucket != "" {
		f.out.Page = "s3://" + i.Bucket + "/" + key
	}
	return nil
}
