package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// maxAudit bounds one refused decision in bytes.
const maxAudit = 64 << 10

// RefusedDecision is a decision that didn't stand: who wanted what, and why not. It is kept beside the ledger, since
// the ledger holds only what was decided.
type RefusedDecision struct {
	Time     time.Time `json:"time"`
	Actor    string    `json:"actor"`
	Via      string    `json:"via,omitempty"`
	Decision string    `json:"decision"` // what was wanted: approve, reject, promote, rollback, ...
	Key      string    `json:"key,omitempty"`
	Version  int       `json:"version,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Given    string    `json:"given,omitempty"` // the reason that came with the decision
	Reason   string    `json:"reason"`          // why it was refused
}

// RecordRefusal writes a refused decision, once, under audit/<model>/. The same one again changes nothing.
func RecordRefusal(ctx context.Context, store objectstore.Store, model string, r RefusedDecision) error {
	if err := CheckName("model", model); err != nil {
		return err
	}
	if r.Time.IsZero() || r.Actor == "" || r.Reason == "" {
		return fmt.Errorf("refused decision on %s: time %v, actor %q, reason %q: each is needed", model, r.Time, r.Actor, r.Reason)
	}
	r.Time = r.Time.Round(0).UTC()
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("refused decision on %s: %w", model, err)
	}
	if len(raw) > maxAudit {
		return fmt.Errorf("refused decision on %s: %d bytes > limit %d", model, len(raw), maxAudit)
	}
	key := fmt.Sprintf("%s%s/%s-%.16s.json", auditPrefix, model, r.Time.Format("20060102T150405Z"), hashOf(raw))
	if err := createBytes(ctx, store, key, raw); err != nil {
		return fmt.Errorf("refused decision on %s: %w", model, err)
	}
	return nil
}

// RefusedDecisions calls each for every refused decision on a model, oldest first.
func RefusedDecisions(ctx context.Context, store objectstore.Store, model string, each func(RefusedDecision) error) error {
	if err := CheckName("model", model); err != nil {
		return err
	}
	err := store.List(ctx, auditPrefix+model+"/", func(info objectstore.Info) error {
		if !strings.HasSuffix(info.Key, ".json") {
			return nil
		}
		raw, _, err := objectstore.ReadAll(ctx, store, info.Key, maxAudit)
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil // an audit's own retention may run beside us
		}
		if err != nil {
			return err
		}
		var r RefusedDecision
		if err := json.Unmarshal(raw, &r); err != nil {
			return &Broken{Object: info.Key, Problem: err.Error()}
		}
		return each(r)
	})
	if err != nil {
		return fmt.Errorf("refused decisions on %s: %w", model, err)
	}
	return nil
}
