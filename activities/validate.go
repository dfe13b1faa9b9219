package activities

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/spec"
)

// ValidateInput decides over one ingested file.
type ValidateInput struct {
	Model     string       `json:"model"`
	Spec      string       `json:"spec"`
	Lifecycle string       `json:"lifecycle"`
	File      IngestOutput `json:"file"`
}

// ValidateOutput says whether it entered the data set's index.
type ValidateOutput struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"`
	Seq      int64  `json:"seq,omitempty"` // entry of the index; 0: nothing was decided
	// Again says that another file pinned the data set's contract since this one was read, so that it was held to its
	// own: ingest it again, then it is held to the other's.
	Again bool `json:"again,omitempty"`
}

// Validate lets a file into the index or refuses it there, so that it is never asked about again.
func (i *Ingester) Validate(ctx context.Context, in ValidateInput) (ValidateOutput, error) {
	m, err := i.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return ValidateOutput{}, err
	}
	f := in.File
	if f.Gone {
		return ValidateOutput{Reason: f.Problem}, nil
	}
	index, key := i.Lake.Index(in.Model), validateKey(in.Lifecycle, f.Object)
	why := f.Problem
	if why == "" && len(f.Failures) > 0 {
		why = failureText(f.Failures, f.Unlisted)
	}
	if why == "" {
		out, err := i.accept(ctx, m, index, key, f)
		if refused, ok := errors.AsType[*registry.Refused](err); ok {
			why = strings.TrimPrefix(refused.Reason, f.Object.URL()+" ") // the object is named before it
		} else {
			return out, ledgerError(err)
		}
	}
	e, err := index.Refuse(ctx, key+"/refused", registry.Refusal{
		Source: f.Object.URL(), ETag: f.Object.ETag, VersionID: f.Object.VersionID, SHA256: f.SHA256, Reason: why, At: i.Lake.Now().UTC(),
	})
	if err != nil {
		return ValidateOutput{}, ledgerError(err)
	}
	return ValidateOutput{Reason: clip(f.Object.URL()+": "+why, maxText), Seq: e.Seq}, nil
}

// validateKey names the decision of a run over an object: short, however long the object's key is.
func validateKey(lifecycle string, o Object) string {
	return lifecycle + "/validate/" + digestOf([]byte(o.Identity())).SHA256[:16]
}

// accept enters the file; a *registry.Refused says why the index won't have it.
func (i *Ingester) accept(ctx context.Context, m *spec.Model, index *registry.Index, key string, f IngestOutput) (ValidateOutput, error) {
	var inferred *spec.Contract
	if f.Contract != "" {
		inferred = &spec.Contract{}
		if err := getJSON(ctx, i.Lake.Store, f.Contract, inferred); err != nil {
			return ValidateOutput{}, lost(err)
		}
	}
	e, err := index.Accept(ctx, key, registry.FileRef{
		SHA256: f.SHA256, Source: f.Object.URL(), ETag: f.Object.ETag, VersionID: f.Object.VersionID,
		Rows: f.Rows, Bytes: f.Bytes, From: f.From, To: f.To, AcceptedAt: i.Lake.Now().UTC(),
	}, m.Data.OnRedelivery, inferred)
	if _, moved := errors.AsType[*registry.Conflict](err); moved && inferred != nil {
		return ValidateOutput{Again: true, Reason: "another file pinned the contract"}, nil
	}
	if err != nil {
		return ValidateOutput{}, err
	}
	return ValidateOutput{Accepted: true, Seq: e.Seq}, nil
}

// failureText is the first failures in words, and how many more there are, of which so many aren't listed; the manifest has
// them all.
func failureText(failures []dataset.Failure, unlisted int) string {
	const shown = 5
	s := ""
	for n, f := range failures {
		if n == shown {
			return fmt.Sprintf("%s; and %d more", s, len(failures)-shown+unlisted)
		}
		if n > 0 {
			s += "; "
		}
		s += f.String()
	}
	return s
}
