package activities

import (
	"context"
	"errors"

	"github.com/leanloop/leanloop/internal/objectstore"
)

// Record is one run as the bucket keeps it, for as long as the bucket lasts.
type Record struct {
	Input  LifecycleInput   `json:"input"`
	Result *LifecycleResult `json:"result,omitempty"` // nil: it runs, or was ended by force and nobody looked after it yet
}

// ReadRecord reads a model's n-th run; objectstore.ErrNotFound if there is none.
func ReadRecord(ctx context.Context, store objectstore.Getter, model string, n int) (Record, error) {
	var r Record
	if err := getJSON(ctx, store, runPrefix(model, n)+"run.json", &r.Input); err != nil {
		return r, err
	}
	var result LifecycleResult
	err := getJSON(ctx, store, runPrefix(model, n)+"result.json", &result)
	if errors.Is(err, objectstore.ErrNotFound) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Result = &result
	return r, nil
}

// LastRun is the number of a model's newest run; 0: it had none.
func LastRun(ctx context.Context, store objectstore.Getter, model string) (int, error) {
	return lastRun(ctx, store, model)
}
