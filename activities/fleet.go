package activities

import (
	"context"
	"fmt"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training/fleet"
)

// Queues tells who asks for tasks. The main package implements it by a Temporal client.
type Queues interface {
	// Pollers are those who asked for activities of a task queue in the last minutes.
	Pollers(ctx context.Context, queue string) ([]fleet.Poller, error)
	// Waits reports whether an activity of this type waits for a worker in an open workflow.
	Waits(ctx context.Context, workflowID, activity string) (bool, error)
}

// Fleet says whether any worker can run what waits.
type Fleet struct {
	Lake   *Lake
	Queues Queues
}

// LookInput names a training attempt that may be waiting.
type LookInput struct {
	Lifecycle string         `json:"lifecycle"`
	Activity  string         `json:"activity"` // its type
	Queue     string         `json:"queue"`
	Resources spec.Resources `json:"resources"`
}

// LookOutput is what became of it.
type LookOutput struct {
	Taken  bool     `json:"taken,omitempty"`  // a worker has it: it waits no more
	Served bool     `json:"served,omitempty"` // a live worker can run it, once it is free
	Needs  string   `json:"needs"`            // in words
	Live   []string `json:"live,omitempty"`   // training workers and what they offer, the first of them
	Others int      `json:"others,omitempty"` // how many more there are
}

// shownWorkers bounds what is said of a fleet.
const shownWorkers = 5

// Look looks after an attempt that was given to a task queue: whether it waits, and who could take it.
func (f *Fleet) Look(ctx context.Context, in LookInput) (LookOutput, error) {
	out := LookOutput{Needs: in.Resources.Needs()}
	waits, err := f.Queues.Waits(ctx, in.Lifecycle, in.Activity)
	if err != nil || !waits {
		out.Taken = err == nil
		return out, err
	}
	beats, _, err := fleet.Beats(ctx, f.Lake.Store)
	if err != nil {
		return out, err
	}
	pollers, err := f.Queues.Pollers(ctx, in.Queue)
	if err != nil {
		return out, err
	}
	now := f.Lake.Now()
	out.Served = fleet.Served(in.Resources, beats, pollers, now)
	for _, b := range fleet.Trainers(beats, now) {
		if len(out.Live) == shownWorkers {
			out.Others++
			continue
		}
		out.Live = append(out.Live, clip(fmt.Sprintf("%s (%s)", b.ID, b.Offer), maxText))
	}
	return out, nil
}
