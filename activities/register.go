package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/leanloop/leanloop/internal/approval"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/report"
	"github.com/leanloop/leanloop/internal/training"
)

// RegisterInput makes an immutable artifact of the judged model and enters it in the ledger.
type RegisterInput struct {
	Model     string         `json:"model"`
	Spec      string         `json:"spec"`
	Lifecycle string         `json:"lifecycle"`
	Number    int            `json:"number"`
	Snapshot  SnapshotOutput `json:"snapshot"`
	Train     TrainOutput    `json:"train"`
	Evaluate  EvaluateOutput `json:"evaluate"`
}

// RegisterOutput is the version that the ledger granted.
type RegisterOutput struct {
	Version  int      `json:"version"`
	Evidence Evidence `json:"evidence"`
	Seq      int64    `json:"seq"`
}

// DecisionInput records what people decided about a version.
type DecisionInput struct {
	Model       string   `json:"model"`
	Lifecycle   string   `json:"lifecycle"`
	Round       int      `json:"round"`
	Approved    bool     `json:"approved"`
	Evidence    Evidence `json:"evidence"`
	Approvers   []string `json:"approvers,omitempty"`
	Via         string   `json:"via"`
	RequestedBy string   `json:"requested_by,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// LedgerOutput is the entry that a command made, or found made.
type LedgerOutput struct {
	Seq   int64  `json:"seq"`
	Hash  string `json:"hash"`
	Epoch int64  `json:"epoch"`
	// Void says that the evidence an approval bound to has moved: evaluate again.
	Void string `json:"void,omitempty"`
}

// Registrar makes versions and records what people decide about them.
type Registrar struct {
	Lake *Lake
}

// Register stores the judged model as an immutable artifact and enters it in the ledger, which grants the number. The
// evidence that people decide over binds everything that was judged.
func (r *Registrar) Register(ctx context.Context, in RegisterInput) (RegisterOutput, error) {
	h := keepBeating(ctx)
	defer h.stop()
	dir, remove, err := r.Lake.scratch("register")
	if err != nil {
		return RegisterOutput{}, err
	}
	defer remove()
	files, err := r.collect(ctx, in, dir)
	if err != nil {
		return RegisterOutput{}, err
	}
	artifact, _, err := registry.PutArtifact(ctx, r.Lake.Store, in.Model, files)
	if err != nil {
		return RegisterOutput{}, err
	}
	s := in.Evaluate.Summary
	gates, err := json.Marshal(s.Verdict)
	if err != nil {
		return RegisterOutput{}, err
	}
	e := approval.Evidence{
		Model: in.Model, Snapshot: in.Snapshot.Digest, Artifact: artifact, Metrics: in.Evaluate.Files[fileMetrics].SHA256,
		Report: digestOf(gates).SHA256, Spec: in.Spec, Champion: s.Champion, Epoch: s.Epoch,
	}
	entry, err := r.Lake.Ledger(in.Model).Do(ctx, registry.Command{
		// By evidence: the same artifact judged again, after the epoch alone moved, is another step.
		Key: in.Lifecycle + "/register/" + e.Digest()[:12], Kind: registry.KindRegistered, Actor: "leanloop:" + in.Lifecycle, Via: "lifecycle",
		Time: r.Lake.Now().UTC(),
		Registered: &registry.Registered{
			Artifact: artifact, Snapshot: in.Snapshot.Digest, Spec: in.Spec, Lifecycle: in.Lifecycle, Verdict: s.Verdict.Outcome,
			Evidence: e.Digest(), Metrics: s.Metrics.Finite(), TrainedRows: in.Train.TrainRows, NewestEvent: in.Train.NewestEvent,
			Imported: in.Train.Imported, TrainedIn: in.Train.Cached,
		},
	})
	if err != nil {
		return RegisterOutput{}, ledgerError(err)
	}
	v, ok := entry.State.ByArtifact(artifact)
	if !ok {
		return RegisterOutput{}, permanent(ErrorCorrupt, fmt.Errorf("ledger of %s: entry %d doesn't hold artifact %.12s", in.Model, entry.Seq, artifact))
	}
	return RegisterOutput{Version: v.Number, Seq: entry.Seq, Evidence: Evidence{Version: v.Number, Of: e, Digest: e.Digest()}}, nil
}

// collect fetches and verifies the files that make the artifact.
func (r *Registrar) collect(ctx context.Context, in RegisterInput, dir string) (map[string]string, error) {
	content := map[string][]byte{}
	for name, want := range in.Train.Files {
		raw, err := getVerified(ctx, r.Lake.Store, in.Train.Prefix+name, want)
		if err != nil {
			return nil, err
		}
		content[name] = raw
	}
	for name, want := range in.Evaluate.Files {
		raw, err := getVerified(ctx, r.Lake.Store, in.Evaluate.Prefix+want.SHA256+".json", want)
		if err != nil {
			return nil, err
		}
		if name == fileProfile {
			if raw, err = withAnswers(content[fileProfile], raw); err != nil {
				return nil, permanent(ErrorCorrupt, fmt.Errorf("%s: %w", fileProfile, err))
			}
		}
		content[name] = raw
	}
	m, err := r.Lake.Spec(ctx, in.Model, in.Spec)
	if err != nil {
		return nil, err
	}
	s := in.Evaluate.Summary
	content[fileCard] = report.Card(report.CardInput{
		Spec: m, SpecDigest: in.Spec, Lifecycle: in.Lifecycle, Snapshot: in.Snapshot.Digest, Files: in.Snapshot.Files, Rows: in.Snapshot.Rows,
		From: in.Snapshot.From, To: in.Snapshot.To, Train: in.Snapshot.Train, Validation: in.Snapshot.Validation, Test: in.Snapshot.Test,
		Dropped: in.Snapshot.Dropped, JudgedRows: s.ScoredRows, Metrics: s.Metrics, Champion: s.Champion, Previous: s.Previous,
		Comparison: s.Comparison, Disparity: s.Disparity, Verdict: s.Verdict, Imported: in.Train.Imported,
		Trial: in.Train.Trial, Params: in.Train.Params, TrainedIn: in.Train.Cached,
	})
	files := map[string]string{}
	for name, raw := range content {
		files[name] = filepath.Join(dir, name)
		if err := os.WriteFile(files[name], raw, 0o600); err != nil {
			return nil, err
		}
	}
	return files, r.collectFiles(ctx, in.Train.Prefix, content[inference.CommandFile], dir, files)
}

// collectFiles adds the files that a version's own program predicts by, which are too large to be held.
func (r *Registrar) collectFiles(ctx context.Context, prefix string, command []byte, dir string, files map[string]string) error {
	if command == nil {
		return nil
	}
	c, err := training.ParseCommandFile(command)
	if err != nil {
		return permanent(ErrorCorrupt, err)
	}
	fetch := fromAttempt(r.Lake, prefix)
	for name, want := range c.Files {
		path := filepath.Join(dir, "model", filepath.FromSlash(name))
		if err := fetchFile(ctx, path, func(w io.Writer) error { return fetch(ctx, name, want, w) }); err != nil {
			return err
		}
		files[training.ModelFolder+name] = path
	}
	return nil
}

// Decide enters what people decided. An approval whose evidence has moved is void: the output says why, and nothing is
// recorded but the attempt.
func (r *Registrar) Decide(ctx context.Context, in DecisionInput) (LedgerOutput, error) {
	e, reason := in.Evidence, clip(in.Reason, maxText)
	decided := &registry.Decided{
		Version: e.Version, Evidence: e.Digest, Approvers: in.Approvers, RequestedBy: in.RequestedBy, Reason: reason,
		Comparison: registry.Comparison{Champion: e.Of.Champion, Epoch: e.Of.Epoch},
	}
	c := registry.Command{
		Key: fmt.Sprintf("%s/decide/%d", in.Lifecycle, in.Round), Actor: "leanloop:" + in.Lifecycle, Via: in.Via, Reason: reason,
		Time: r.Lake.Now().UTC(),
	}
	if len(in.Approvers) > 0 {
		c.Actor = in.Approvers[0]
	}
	if in.Approved {
		c.Kind, c.Approved = registry.KindApproved, decided
		c.Guard = registry.Guard{Champion: &e.Of.Champion, Epoch: &e.Of.Epoch}
	} else {
		c.Kind, c.Rejected = registry.KindRejected, decided
	}
	entry, err := r.Lake.Ledger(in.Model).Do(ctx, c)
	if conflict, ok := errors.AsType[*registry.Conflict](err); ok && in.Approved {
		return LedgerOutput{Void: conflict.Error()}, nil
	}
	if err != nil {
		return LedgerOutput{}, ledgerError(err)
	}
	return LedgerOutput{Seq: entry.Seq, Hash: entry.Hash, Epoch: entry.State.Epoch}, nil
}
