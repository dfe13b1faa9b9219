package activities

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training/fleet"
	"github.com/leanloop/leanloop/internal/training/gpu"
)

// queues answers as Temporal would.
type queues struct {
	pollers []fleet.Poller
	waits   bool
	err     error
}

func (q queues) Pollers(context.Context, string) ([]fleet.Poller, error) { return q.pollers, q.err }
func (q queues) Waits(context.Context, string, string) (bool, error)     { return q.waits, q.err }

func TestAnAttemptThatNobodyCanRunIsToldFromOneThatWaitsItsTurn(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		require.NoError(t, fleet.Put(t.Context(), w.store, fleet.Beat{
			ID: fmt.Sprintf("w%d", i), ExpiresAt: w.now.Add(time.Second), Offer: fleet.Offer{CPUs: 1, GPUs: []gpu.Device{{ID: "a", Memory: 16 << 30}}},
		}))
	}
	require.NoError(t, fleet.Put(t.Context(), w.store, fleet.Beat{ID: "gone", ExpiresAt: w.now, Offer: fleet.Offer{GPUs: make([]gpu.Device, 8)}}))
	look := func(q queues, r spec.Resources) LookOutput {
		return must(t, (&Fleet{Lake: w.lake, Queues: q}).Look, LookInput{Lifecycle: "lifecycle/a/1", Activity: "Train", Queue: "q", Resources: r})
	}
	require.True(t, look(queues{}, spec.Resources{GPUs: 8}).Taken, "a worker has it")
	one := look(queues{waits: true}, spec.Resources{GPUs: 1})
	require.True(t, one.Served)
	require.Len(t, one.Live, 5)
	require.Equal(t, 2, one.Others)
	require.Equal(t, "w0 (1 GPU of 16Gi, 1 slot without GPU)", one.Live[0])
	two := look(queues{waits: true}, spec.Resources{GPUs: 2})
	require.False(t, two.Served || two.Taken)
	require.Equal(t, "2 GPUs", two.Needs)
	require.True(t, look(queues{waits: true, pollers: []fleet.Poller{{ID: "old", Last: w.now}}}, spec.Resources{GPUs: 2}).Served)
	_, err := try(t, (&Fleet{Lake: w.lake, Queues: queues{err: errors.New("away")}}).Look, LookInput{})
	requireType(t, "", err)
}
