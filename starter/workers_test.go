package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/training/fleet"
	"github.com/leanloop/leanloop/internal/training/gpu"
)

func TestWorkersThatAreLiveAreListedWithWhatTheyOffer(t *testing.T) {
	w := newSession(t)
	require.Zero(t, w.starter("workers"))
	require.Contains(t, w.stdout.String(), "no worker is live")

	for _, b := range []fleet.Beat{
		{ID: "light-1", Time: t0.Add(-3 * time.Second), Roles: []string{"lifecycle", "data"}, Queues: []string{"leanloop-lifecycle", "leanloop-data"}},
		{ID: "gpu-1", Time: t0.Add(-5 * time.Second), Roles: []string{"train"}, Queues: []string{"leanloop-train"}, GPUsUsed: 1, Offer: fleet.Offer{
			CPUs: 1, GPUs: []gpu.Device{{ID: "a", Memory: 80 << 30}, {ID: "b", Memory: 80 << 30}}, Sets: []string{"spot"},
		}},
		{ID: "gone", Time: t0.Add(-time.Hour), Roles: []string{"train"}, Offer: fleet.Offer{CPUs: 1}},
	} {
		b.ExpiresAt = b.Time.Add(fleet.BeatTTL)
		require.NoError(t, fleet.Put(t.Context(), w.bucket, b))
	}
	require.Zero(t, w.starter("workers"))
	require.Equal(t, `WORKER   ROLES           SEEN      GPUS  OTHER SLOTS  TRAINS ON
gpu-1    train           5.0s ago   1/2          0/1  2 GPUs of 80Gi, 1 slot without GPU; labels spot
light-1  data,lifecycle  3.0s ago     -            -  -
`, w.stdout.String())
	require.Zero(t, w.starter("workers", "--all", "-o", "json"))
	var views []workerView
	require.NoError(t, json.Unmarshal(w.stdout.Bytes(), &views))
	require.Len(t, views, 3)
	require.Equal(t, "gone", views[0].ID)
	require.False(t, views[0].Live)
	require.Equal(t, []string{"leanloop-train"}, views[1].Queues)
	require.Equal(t, exitUsage, w.starter("workers", "gpu-1"))
}
