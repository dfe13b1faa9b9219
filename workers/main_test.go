package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/mocks"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/intake"
	"github.com/leanloop/leanloop/internal/local"
	"github.com/leanloop/leanloop/internal/notify"
	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/training/gpu"
	"github.com/leanloop/leanloop/workflows"
)

var silent = slog.New(slog.DiscardHandler)

// runWorker runs a command line to its end.
func runWorker(t *testing.T, args ...string) error {
	t.Helper()
	cmd := command()
	cmd.SetArgs(args)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return cmd.ExecuteContext(t.Context())
}

func TestHealthAsksTheWorkerAtListen(t *testing.T) {
	ready := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" || !ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	address := strings.TrimPrefix(s.URL, "http://")
	require.NoError(t, runWorker(t, "health", "--listen", address))
	t.Setenv("LEANLOOP_LISTEN", address)
	require.NoError(t, runWorker(t, "health"), "where the environment says")
	ready = false
	require.ErrorContains(t, runWorker(t, "health"), address+" answers 503")
	s.Close()
	require.Error(t, runWorker(t, "health"), "nobody is there")
}

func TestABadCommandLineEndsBeforeAnythingIsAsked(t *testing.T) {
	require.ErrorContains(t, runWorker(t, "--roles", "cook"), `"cook" is unknown`)
	require.Error(t, runWorker(t, "--colour", "blue"))
	require.Error(t, runWorker(t, "dance"))
	require.Error(t, runWorker(t, "health", "now"))
}

func TestTheSupervisorIsASubcommandThatNobodySees(t *testing.T) {
	supervisor, err := supervisorCommand()
	require.NoError(t, err)
	found, _, err := command().Find(supervisor[1:])
	require.NoError(t, err)
	require.Equal(t, superviseName, found.Name())
	require.True(t, found.Hidden)
	require.FileExists(t, supervisor[0])
}

func TestWithoutTemporalTheErrorSaysWhereItWasLookedFor(t *testing.T) {
	address, err := local.FreeAddress()
	require.NoError(t, err)
	t.Setenv("TEMPORAL_ADDRESS", address)
	err = runWorker(t)
	require.ErrorContains(t, err, "temporal at "+address+" doesn't answer")
	require.ErrorContains(t, err, "starter dev")
}

func TestHealthIsReadiness(t *testing.T) {
	address, err := local.FreeAddress()
	require.NoError(t, err)
	var ready atomic.Bool
	s, err := listen(address, &ready, nil, nil, silent)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.ErrorContains(t, askHealth(t.Context(), address), "503")
	ready.Store(true)
	require.NoError(t, askHealth(t.Context(), address))

	res, err := http.Post("http://"+address+"/events/s3", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNotFound, res.StatusCode, "a worker that looks for no files takes no events")

	_, err = listen(address, &ready, nil, nil, silent)
	require.ErrorContains(t, err, "listen for health and events")
}

func TestEventsAreTakenByTheRoleThatLooksForFiles(t *testing.T) {
	address, err := local.FreeAddress()
	require.NoError(t, err)
	store := objectstore.NewMemory()
	sweeper := intake.New(store, objectstore.NewMemoryBuckets(), nil, intake.Config{}, silent)
	s, err := listen(address, &atomic.Bool{}, sweeper, nil, silent)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	res, err := http.Post("http://"+address+"/events/s3", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNoContent, res.StatusCode)
}

func TestRolesChooseTheQueues(t *testing.T) {
	lazy, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(silent)})
	require.NoError(t, err)
	defer lazy.Close()
	h, err := newActivities(parse(t, nil), objectstore.NewMemory(), objectstore.NewMemoryBuckets(), lazy, silent)
	require.NoError(t, err)
	require.NoError(t, h.train(t.Context(), parse(t, nil, "--gpus", "none"), gpu.SMI{}, silent))
	for roles, want := range map[string]int{"lifecycle": 1, "data": 1, "train": 1, "data,train": 2, "lifecycle,data,train": 3} {
		workers, queues, err := h.workers(parse(t, nil, "--roles", roles), lazy, nil)
		require.NoError(t, err)
		require.Len(t, workers, want, roles)
		require.Len(t, queues, want, roles)
	}
}

func TestMetricsAreWhereInfluxDBIs(t *testing.T) {
	store := objectstore.NewMemory()
	h, err := newActivities(parse(t, nil), store, objectstore.NewMemoryBuckets(), nil, silent)
	require.NoError(t, err)
	require.Nil(t, h.measurer.Metrics, "without InfluxDB nothing is measured")
	require.Nil(t, h.monitors.Metrics)
	h, err = newActivities(parse(t, nil, "--influx", "http://127.0.0.1:1"), store, objectstore.NewMemoryBuckets(), nil, silent)
	require.NoError(t, err)
	require.NotNil(t, h.ingester.Metrics)
	require.NotNil(t, h.measurer.Metrics)
	require.NotNil(t, h.monitors.Metrics)
	_, err = newActivities(parse(t, nil, "--influx", "::"), store, objectstore.NewMemoryBuckets(), nil, silent)
	require.Error(t, err)
}

func TestALandedFileIsATriggerOfItsModel(t *testing.T) {
	temporal := &mocks.Client{}
	temporal.On("SignalWithStartWorkflow", mock.Anything, "model/flights", workflows.SignalTrigger, mock.MatchedBy(func(t activities.Trigger) bool {
		return t.Kind == activities.TriggerData && t.Object.URL() == "s3://lake/flights/a.csv" && t.Key == t.Object.Identity() && t.Via == "landing"
	}), workflows.ModelOptions("flights"), workflows.TypeModel, workflows.ModelInput{Model: "flights"}).Return(nil, nil).Once()
	err := sender(temporal)(t.Context(), intake.Landed{Model: "flights", Bucket: "lake", Object: objectstore.Info{Key: "flights/a.csv", ETag: "e", Size: 3}})
	require.NoError(t, err)
	temporal.AssertExpectations(t)
}

func TestPeopleAreToldInTheLogAndWhereATokenIsInSlack(t *testing.T) {
	var out bytes.Buffer
	store := objectstore.NewMemory()
	n, none, err := newNotifier(parse(t, nil), store, slog.New(slog.NewTextHandler(&out, nil)))
	require.NoError(t, err)
	_, err = n.Notify(t.Context(), notify.Message{Key: "k", Title: "a run ended"})
	require.NoError(t, err)
	require.Contains(t, out.String(), "a run ended")
	require.Nil(t, none)

	n, outbox, err := newNotifier(parse(t, map[string]string{"SLACK_BOT_TOKEN": "xoxb-1"}), store, silent)
	require.NoError(t, err)
	require.NotNil(t, outbox)
	require.IsType(t, &notify.Multi{}, n)
}

func TestQueuesOfActivitiesCarryNoWorkflows(t *testing.T) {
	o := dataOptions(2, time.Second, nil)
	require.True(t, o.DisableWorkflowWorker)
	require.Equal(t, 2, o.MaxConcurrentActivityExecutionSize)
	require.Equal(t, time.Second, o.WorkerStopTimeout)
}
