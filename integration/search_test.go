package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/search"
	"github.com/leanloop/leanloop/internal/search/space"
	"github.com/leanloop/leanloop/internal/spec"
)

// A search of the built-in trees, two trials at once, ends with its best trial's model in front of requests.
func TestASearchsBestTrialIsServed(t *testing.T) {
	m := newModel(t, shared(t), "searched", func(s *spec.Model) {
		s.Train.Builtin = "trees"
		s.Train.Search = &spec.Search{
			Space:   space.Space{"eta": {Log: []float64{0.01, 0.5}}, "max_depth": {Int: []float64{2, 6}}, "rounds": {LogInt: []float64{5, 60}}},
			Sampler: search.TPE, Trials: 8, Parallel: 2, Metric: spec.SearchMetric{Name: "log_loss", Goal: "minimize"},
			Pruner:  spec.SearchPruner{Kind: search.PruneMedian, MinTrials: 3, Warmup: 4, Every: 1, MinSteps: 1, Factor: 3},
			Timeout: spec.Duration(5 * time.Minute), Seed: 42, Best: spec.BestReuse,
		}
	})
	m.apply(t)
	m.submit(t, "01.csv", csv(flights(1, fileRows)))
	m.approved(t, 1)
	m.serves(t, 1)
	servesWhatIsRegistered(t, m, 1, featuresOf(flights(9, 20)))
	m.verified(t)

	var found struct {
		Best   int
		Trials []activities.TrialRecord
	}
	m.Starter(t, "ana", "trials", m.name+"/1", "-o", "json").Want(t, 0).Decode(t, &found)
	require.Len(t, found.Trials, 8)
	values := map[int]float64{}
	for i, trial := range found.Trials {
		require.Equal(t, i+1, trial.Number)
		require.NotEqual(t, search.Failed, trial.State, trial.Reason)
		if trial.State == search.Complete {
			values[trial.Number] = trial.Value
		}
	}
	for number, value := range values {
		require.GreaterOrEqual(t, value, values[found.Best], "trial %d", number)
	}
	best := found.Trials[found.Best-1]
	version, ok := m.head(t).Version(1)
	require.True(t, ok)
	served, err := registry.ReadArtifactFile(t.Context(), m.Store, m.name, version.Artifact, inference.ModelFile, 16<<20)
	require.NoError(t, err)
	left, _, err := objectstore.ReadAll(t.Context(), m.Store, best.Prefix+inference.ModelFile, 16<<20)
	require.NoError(t, err)
	require.Equal(t, left, served, "what is served is what the best trial left")
	require.Contains(t, m.result(t, 1).Stages[3].Detail, "of 8, log_loss ")
}
