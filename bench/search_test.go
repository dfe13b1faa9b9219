package bench

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/devstack"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry"
	"github.com/leanloop/leanloop/internal/temporalx"
	"github.com/leanloop/leanloop/workflows"
)

const (
	searchSeeds  = 30
	searchTrials = 50
)

// BenchmarkSearchValues compares the best value after 50 trials, one after the other, with that of Optuna's TPE sampler
// with its defaults, over 30 seeds of each function. better/NAME is the chance that ours is the lower one of two drawn at
// random, half of ties; where it is under a half, the log has the probability of that by chance (Mann-Whitney, one-sided).
func BenchmarkSearchValues(b *testing.B) {
	p := newPeer(b, 1)
	for range b.N {
		for _, f := range searchedFunctions() {
			var ours []float64
			seeds := make([]int, searchSeeds)
			for i := range seeds {
				seeds[i] = i + 1
				best, err := f.minimise(uint64(i+1), searchTrials)
				require.NoError(b, err)
				ours = append(ours, best)
			}
			parameters := []map[string]any{}
			for i := range len(f.space) {
				if d := f.space[fmt.Sprintf("x%d", i)]; d.Float != nil {
					parameters = append(parameters, map[string]any{"name": fmt.Sprintf("x%d", i), "range": d.Float})
				}
			}
			got, ok := p.do(b, "optuna_search", map[string]any{"function": f.name, "space": parameters, "seeds": seeds, "trials": searchTrials})
			if !ok {
				continue
			}
			better, chance := compared(ours, got.Found)
			b.ReportMetric(better, "better/"+f.name)
			b.Logf("%-11s median %.4g, Optuna %s %.4g; better in %.2f of pairs; p(worse by chance) %.3f",
				f.name, median(ours), got.Version, median(got.Found), better, chance)
		}
	}
	b.ReportMetric(0, "ns/op") // says nothing
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// compared gives the share of pairs in which ours is the lower one, and the one-sided p-value of ours being greater:
// Mann-Whitney's normal approximation with the correction for ties.
func compared(ours, theirs []float64) (better, p float64) {
	n, m := float64(len(ours)), float64(len(theirs))
	wins, ties := 0.0, map[float64]float64{}
	for _, x := range ours {
		for _, y := range theirs {
			if x < y {
				wins++
			} else if x == y {
				wins += 0.5
			}
		}
	}
	for _, v := range slices.Concat(ours, theirs) {
		ties[v]++
	}
	tied := 0.0
	for _, t := range ties {
		tied += t*t*t - t
	}
	deviation := math.Sqrt(n * m / 12 * (n + m + 1 - tied/((n+m)*(n+m-1))))
	if deviation == 0 {
		return wins / (n * m), 1
	}
	return wins / (n * m), 0.5 * math.Erfc(-(wins-n*m/2)/deviation/math.Sqrt2)
}

// noopTrials and noopParallel are the size of a search whose trials do next to nothing.
const (
	noopTrials   = 64
	noopParallel = 8
)

// BenchmarkSearchOverhead runs a search of 64 trials, 8 at once, on a real Temporal server and a real S3 server, with the
// worker's own activities: each trial fits a linear model by one iteration to 200 rows, which takes a millisecond, and
// leaves its model and its record. Against it stands a workflow that calls as many activities that do nothing, 8 at once.
func BenchmarkSearchOverhead(b *testing.B) {
	s := newSearchWorld(b)
	var ours, bare []time.Duration
	for n := 1; b.Loop(); n++ {
		began := time.Now()
		run, err := s.client.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{ID: workflows.SearchID(modelName, n), TaskQueue: workflows.QueueLifecycle},
			workflows.TypeSearch, s.input(b, n))
		require.NoError(b, err)
		var out activities.SearchResult
		require.NoError(b, run.Get(b.Context(), &out))
		ours = append(ours, time.Since(began))
		require.Equal(b, noopTrials, out.Trials, "%+v", out)
		require.Zero(b, out.Failed)
		require.NotNil(b, out.Model)

		began = time.Now()
		run, err = s.client.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{ID: fmt.Sprintf("bare-search/%d", n), TaskQueue: workflows.QueueLifecycle}, bareSearch)
		require.NoError(b, err)
		require.NoError(b, run.Get(b.Context(), nil))
		bare = append(bare, time.Since(began))
	}
	perTrial := func(took []time.Duration) float64 {
		slices.Sort(took)
		return quantile(took, 0.5) / 1000 / noopTrials
	}
	b.ReportMetric(perTrial(ours), "ms/trial")
	b.ReportMetric(perTrial(bare), "bare-ms/trial")
	b.ReportMetric(0, "ns/op")
}

// bareSearch calls activities that do nothing on the training queue, as a search does and without what it is for.
func bareSearch(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: workflows.QueueTrain, StartToCloseTimeout: 30 * time.Second})
	next, lanes := 0, noopParallel
	for range noopParallel {
		workflow.Go(ctx, func(ctx workflow.Context) {
			for next < noopTrials {
				next++
				_ = workflow.ExecuteActivity(ctx, "noop").Get(ctx, nil)
			}
			lanes--
		})
	}
	return workflow.Await(ctx, func() bool { return lanes == 0 })
}

// searchWorld is Temporal, S3 and workers, and a snapshot to train on.
type searchWorld struct {
	client   client.Client
	lake     *activities.Lake
	spec     string
	snapshot string
	asOf     time.Time
}

const searchSpec = `
apiVersion: leanloop/v1
kind: Model
metadata: {name: ` + modelName + `}
task: binary
data: {prefix: s3://lake/flights/, id: id, target: late, window: {min_rows: 50}}
split: {test: {min_rows: 20}}
train:
  builtin: linear
  params: {max_iterations: 1}
  search: {space: {l2: {log: [0.001, 1000]}}, trials: 64, parallel: 8}
`

func newSearchWorld(b *testing.B) *searchWorld {
	b.Helper()
	stack, err := devstack.Start(b.Context(), devstack.Options{
		DataDir: b.TempDir(), SearchAttributes: workflows.SearchAttributes(), NoUI: true, NoInflux: true, Log: b.Output(),
	})
	require.NoError(b, err)
	b.Cleanup(func() { _ = stack.Stop(b.Context()) })
	addresses := stack.Addresses()
	c, err := temporalx.Dial(b.Context(), temporalx.Connection{Address: addresses.Temporal.Address, Namespace: addresses.Temporal.Namespace}, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(c.Close)
	s3, err := objectstore.NewS3(b.Context(), objectstore.S3Config{
		Endpoint: addresses.S3.Endpoint, Region: addresses.S3.Region, AccessKey: addresses.S3.AccessKey, SecretKey: addresses.S3.SecretKey,
	})
	require.NoError(b, err)
	landing := objectstore.NewMemoryBuckets()
	w := &searchWorld{client: c, asOf: time.Now().UTC(), lake: &activities.Lake{
		Store: s3.Bucket(addresses.S3.Buckets[0]), Landing: landing, Scratch: b.TempDir(), Now: time.Now,
	}}
	w.prepare(b, landing)
	w.work(b)
	return w
}

// prepare applies the spec and brings rows to a snapshot.
func (w *searchWorld) prepare(b *testing.B, landing objectstore.Buckets) {
	b.Helper()
	var err error
	w.spec, err = registry.PutSpec(b.Context(), w.lake.Store, modelName, []byte(searchSpec))
	require.NoError(b, err)
	var rows strings.Builder
	rows.WriteString("id,x,y,late\n")
	for i := range 300 {
		fmt.Fprintf(&rows, "%d,%d,%d,%d\n", i, i%17, (i*7)%11, (i*i+i/3)%2)
	}
	info, err := landing.Bucket("lake").Put(b.Context(), "flights/1.csv", strings.NewReader(rows.String()), int64(rows.Len()))
	require.NoError(b, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	do := func(f, in, out any) {
		env.RegisterActivity(f)
		v, err := env.ExecuteActivity(f, in)
		require.NoError(b, err)
		require.NoError(b, v.Get(out))
	}
	ingester := &activities.Ingester{Lake: w.lake}
	var file activities.IngestOutput
	do(ingester.Ingest, activities.IngestInput{Model: modelName, Spec: w.spec, Lifecycle: "bench", Object: activities.Object{
		Bucket: "lake", Key: info.Key, ETag: info.ETag, Size: info.Size, Modified: w.asOf,
	}}, &file)
	var accepted activities.ValidateOutput
	do(ingester.Validate, activities.ValidateInput{Model: modelName, Spec: w.spec, Lifecycle: "bench", File: file}, &accepted)
	require.True(b, accepted.Accepted, accepted.Reason)
	var snapshot activities.SnapshotOutput
	do((&activities.Snapshots{Lake: w.lake}).Take, activities.SnapshotInput{Model: modelName, Spec: w.spec, Lifecycle: "bench", AsOf: w.asOf, Force: true}, &snapshot)
	require.Empty(b, snapshot.Problem)
	w.snapshot = snapshot.Digest
}

func (w *searchWorld) work(b *testing.B) {
	b.Helper()
	searches := &activities.Searches{Lake: w.lake}
	for _, queue := range []string{workflows.QueueLifecycle, workflows.QueueData, workflows.QueueTrain} {
		o := worker.Options{DisableWorkflowWorker: queue != workflows.QueueLifecycle}
		if queue == workflows.QueueTrain {
			o.MaxConcurrentActivityExecutionSize = noopParallel
		}
		worker := worker.New(w.client, queue, o)
		switch queue {
		case workflows.QueueLifecycle:
			workflows.Register(worker)
			worker.RegisterWorkflow(bareSearch)
			worker.RegisterActivity(searches)
		case workflows.QueueData:
			worker.RegisterActivity(searches)
		default:
			worker.RegisterActivity(&activities.Trainer{Lake: w.lake})
			worker.RegisterActivityWithOptions(noStages(w.client)["noop"], activity.RegisterOptions{Name: "noop"})
		}
		require.NoError(b, worker.Start())
		b.Cleanup(worker.Stop)
	}
}

func (w *searchWorld) input(b *testing.B, n int) activities.SearchInput {
	b.Helper()
	m, err := w.lake.Spec(b.Context(), modelName, w.spec)
	require.NoError(b, err)
	return activities.SearchInput{
		Model: modelName, Spec: w.spec, Lifecycle: workflows.LifecycleID(modelName, n), Number: n, Snapshot: w.snapshot, AsOf: w.asOf,
		Search: *m.Train.Search, Retries: m.Train.Retries, Limit: time.Minute,
	}
}
