package temporalx_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/mocks"

	"github.com/leanloop/leanloop/internal/temporalx"
)

var silent = slog.New(slog.DiscardHandler)

// isolated keeps the machine's own configuration out of a test.
func isolated(t *testing.T) {
	t.Helper()
	t.Setenv("TEMPORAL_CONFIG_FILE", filepath.Join(t.TempDir(), "absent.toml"))
	for _, name := range []string{"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_PROFILE", "TEMPORAL_API_KEY"} {
		t.Setenv(name, "") // restores it
		require.NoError(t, os.Unsetenv(name))
	}
}

func TestFlagsGoBeforeTheEnvironmentAndThatBeforeTheProfile(t *testing.T) {
	isolated(t)
	path := filepath.Join(t.TempDir(), "temporal.toml")
	require.NoError(t, os.WriteFile(path, []byte("[profile.default]\naddress = \"file:7233\"\nnamespace = \"of-file\"\n[profile.other]\naddress = \"other:7233\"\n"), 0o600))
	t.Setenv("TEMPORAL_CONFIG_FILE", path)
	o, err := temporalx.Options(temporalx.Connection{}, silent)
	require.NoError(t, err)
	require.Equal(t, "file:7233", o.HostPort)
	require.Equal(t, "of-file", o.Namespace)
	o, err = temporalx.Options(temporalx.Connection{Profile: "other"}, silent)
	require.NoError(t, err)
	require.Equal(t, "other:7233", o.HostPort)

	t.Setenv("TEMPORAL_ADDRESS", "env:7233")
	o, err = temporalx.Options(temporalx.Connection{}, silent)
	require.NoError(t, err)
	require.Equal(t, "env:7233", o.HostPort)
	require.Equal(t, "of-file", o.Namespace)

	o, err = temporalx.Options(temporalx.Connection{Address: "flag:7233", Namespace: "of-flag", Identity: "me"}, silent)
	require.NoError(t, err)
	require.Equal(t, "flag:7233", o.HostPort)
	require.Equal(t, "of-flag", o.Namespace)
	require.Equal(t, "me", o.Identity)
	require.NotNil(t, o.Logger)
}

func TestAServerThatIsAwayIsNamed(t *testing.T) {
	isolated(t)
	_, err := temporalx.Dial(t.Context(), temporalx.Connection{Address: "127.0.0.1:1"}, silent)
	require.ErrorContains(t, err, "temporal at 127.0.0.1:1 doesn't answer")
}

func TestAWorkflowRunsWhileItIsOpen(t *testing.T) {
	described := func(status enumspb.WorkflowExecutionStatus) *workflowservice.DescribeWorkflowExecutionResponse {
		return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{Status: status}}
	}
	for _, c := range []struct {
		name    string
		answer  *workflowservice.DescribeWorkflowExecutionResponse
		err     error
		running bool
		fails   bool
	}{
		{name: "one that runs", answer: described(enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING), running: true},
		{name: "one that was terminated", answer: described(enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED)},
		{name: "one that completed", answer: described(enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)},
		{name: "one that was never started, or is forgotten", err: serviceerror.NewNotFound("no such workflow")},
		{name: "a server that is away says nothing", err: serviceerror.NewUnavailable("away"), fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &mocks.Client{}
			client.On("DescribeWorkflowExecution", mock.Anything, "lifecycle/flights/1", "").Return(c.answer, c.err)
			running, err := temporalx.Executions{Client: client}.Running(t.Context(), "lifecycle/flights/1")
			require.Equal(t, c.fails, err != nil)
			require.Equal(t, c.running, running)
		})
	}
}

func TestWorkerOptionsBoundWhatRunsAtOnce(t *testing.T) {
	told := error(nil)
	o := temporalx.WorkerOptions(3, time.Minute, func(err error) { told = err })
	require.Equal(t, 3, o.MaxConcurrentActivityExecutionSize)
	require.Equal(t, time.Minute, o.WorkerStopTimeout)
	o.OnFatalError(errors.New("gone"))
	require.EqualError(t, told, "gone")
}
