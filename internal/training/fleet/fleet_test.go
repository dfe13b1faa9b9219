package fleet

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/training/gpu"
)

func gpus(gib ...int64) []gpu.Device {
	var out []gpu.Device
	for i, g := range gib {
		out = append(out, gpu.Device{ID: string(rune('a' + i)), Memory: g << 30})
	}
	return out
}

func TestWhoCanServeARun(t *testing.T) {
	two := Offer{CPUs: 1, GPUs: gpus(16, 80)}
	spot := Offer{CPUs: 1, GPUs: gpus(16), Sets: []string{"eu+spot", "spot"}, Only: true}
	for _, c := range []struct {
		name  string
		offer Offer
		run   spec.Resources
		can   bool
	}{
		{"a run without GPU needs a slot without one", two, spec.Resources{}, true},
		{"a worker of GPUs alone has none", Offer{GPUs: gpus(16)}, spec.Resources{}, false},
		{"two GPUs of one machine", two, spec.Resources{GPUs: 2}, true},
		{"three are more than it has", two, spec.Resources{GPUs: 3}, false},
		{"one of them is large enough", two, spec.Resources{GPUs: 1, GPUMemory: 40 << 30}, true},
		{"both aren't", two, spec.Resources{GPUs: 2, GPUMemory: 40 << 30}, false},
		{"labels that nobody told it", two, spec.Resources{Labels: []string{"spot"}}, false},
		{"a set that it serves, in any order", spot, spec.Resources{GPUs: 1, Labels: []string{"spot", "eu"}}, true},
		{"a part of a set is another set", spot, spec.Resources{Labels: []string{"eu"}}, false},
		{"runs without labels, where only labels are served", spot, spec.Resources{}, false},
		{"a GPU of which nothing is known", Offer{GPUs: gpus(0)}, spec.Resources{GPUs: 1}, true},
		{"and its memory isn't promised", Offer{GPUs: gpus(0)}, spec.Resources{GPUs: 1, GPUMemory: 1 << 30}, false},
	} {
		require.Equal(t, c.can, c.offer.Can(c.run), c.name)
	}
}

// A worker polls for a run exactly if it says that it can serve it.
func TestWhatIsPolledIsWhatCanBeServed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Offer{
			CPUs: rapid.IntRange(0, 2).Draw(t, "cpus"), GPUs: gpus(rapid.SliceOfN(rapid.SampledFrom([]int64{0, 11, 16, 24, 80}), 0, 4).Draw(t, "gpus")...),
			Sets: rapid.SampledFrom([][]string{nil, {"spot"}, {"a+b", "spot"}}).Draw(t, "sets"), Only: rapid.Bool().Draw(t, "only"),
		}
		r := spec.Resources{
			GPUs: rapid.IntRange(0, 5).Draw(t, "wanted"), Labels: rapid.SampledFrom([][]string{nil, {"spot"}, {"b", "a"}, {"a"}}).Draw(t, "labels"),
		}
		if r.GPUs > 0 {
			r.GPUMemory = spec.Bytes(rapid.Int64Range(0, 100<<30).Draw(t, "memory"))
		}
		polled := false
		for _, k := range o.Serves() {
			polled = polled || k.GPUs == r.GPUs && k.MemoryClass() == r.MemoryClass() && k.LabelSet() == r.LabelSet()
		}
		if polled != o.Can(r) {
			t.Fatalf("offer %+v, run %+v: polled %v, can %v", o, r, polled, o.Can(r))
		}
	})
}

func TestLabelSetsAreReadAndRefused(t *testing.T) {
	sets, err := ParseSets([]string{"spot", "eu+a100"})
	require.NoError(t, err)
	require.Equal(t, []string{"spot", "a100+eu"}, sets)
	for _, texts := range [][]string{{""}, {"a+"}, {"A"}, {"a+b", "b+a"}, {"a+b+c+d+e"}, {"a b"}} {
		_, err := ParseSets(texts)
		require.Error(t, err, texts)
	}
}

func TestOffersThatServeNothingAreRefused(t *testing.T) {
	require.NoError(t, Offer{CPUs: 1}.Validate())
	require.NoError(t, Offer{GPUs: gpus(80, 80, 80, 80, 80, 80, 80, 80), CPUs: 1, Sets: []string{"a", "b", "c"}}.Validate(), "a large machine in three pools")
	require.ErrorContains(t, Offer{}.Validate(), "neither a GPU nor a slot without one")
	require.ErrorContains(t, Offer{CPUs: 1, Only: true}.Validate(), "no set of labels")
	require.ErrorContains(t, Offer{GPUs: gpus(make([]int64, 60)...), Sets: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z", "a1", "b1", "c1", "d1", "e1", "f1"}}.Validate(), "kinds of runs > 512")
}

func TestOffersAreSaidInWords(t *testing.T) {
	for want, o := range map[string]Offer{
		"1 slot without GPU": {CPUs: 1},
		"2 GPUs of 16Gi, 1 GPU of 80Gi, 2 slots without GPU; labels eu+spot only": {CPUs: 2, GPUs: gpus(16, 16, 80), Sets: []string{"eu+spot"}, Only: true},
		"1 GPU": {GPUs: gpus(0)},
	} {
		require.Equal(t, want, o.String())
	}
}

func TestWorkersAreKnownByTheirHeartbeats(t *testing.T) {
	store, now := objectstore.NewMemory(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	beat := func(id string, age time.Duration, o Offer) Beat {
		return Beat{ID: id, Time: now.Add(-age), ExpiresAt: now.Add(BeatTTL - age), Roles: []string{"train"}, Offer: o}
	}
	live, dead := beat("gpu-1.example-7400", 5*time.Second, Offer{GPUs: gpus(16)}), beat("cpu-1", time.Minute, Offer{CPUs: 1})
	other := beat("light", 0, Offer{})
	for _, b := range []Beat{live, dead, other} {
		require.NoError(t, Put(t.Context(), store, b))
	}
	_, err := store.Put(t.Context(), "workers/broken.json", bytes.NewReader([]byte("{")), 1)
	require.NoError(t, err)
	all, broken, err := Beats(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, []Beat{dead, live, other}, all)
	require.Equal(t, []string{"workers/broken.json"}, broken)
	require.Equal(t, []Beat{live}, Trainers(all, now))

	require.True(t, Served(spec.Resources{GPUs: 1}, all, nil, now))
	require.False(t, Served(spec.Resources{}, all, nil, now), "who could is gone")
	require.False(t, Served(spec.Resources{}, all, []Poller{{ID: "cpu-1", Last: now}}, now), "it asked just before it went")
	require.True(t, Served(spec.Resources{}, all, []Poller{{ID: "7@old", Last: now.Add(-time.Minute)}}, now), "a worker without heartbeat")
	require.False(t, Served(spec.Resources{}, all, []Poller{{ID: "7@old", Last: now.Add(-2 * time.Minute)}}, now))
	require.Error(t, Put(t.Context(), store, Beat{ID: "a/b"}))
}
