package workflows_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/workflows"
)

// histories are real ones, recorded on a Temporal server by TestRecordHistories. Runs that were started with the code
// of then go on with the code of now, so each of them must replay.
const histories = "testdata/histories"

// maxHistory bounds one file, in bytes.
const maxHistory = 100_000

// recorded gives every history by its file's name.
func recorded(t *testing.T) map[string]*historypb.History {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(histories, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*historypb.History{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		h, err := client.HistoryFromJSON(f, client.HistoryJSONOptions{})
		info, statErr := f.Stat()
		_ = f.Close()
		if err != nil || statErr != nil {
			t.Fatalf("%s: %v %v", file, err, statErr)
		}
		if info.Size() > maxHistory {
			t.Errorf("%s: %d bytes > limit %d", file, info.Size(), maxHistory)
		}
		out[strings.TrimSuffix(filepath.Base(file), ".json")] = h
	}
	return out
}

// typeOf is the workflow type of a history.
func typeOf(h *historypb.History) string {
	return h.GetEvents()[0].GetWorkflowExecutionStartedEventAttributes().GetWorkflowType().GetName()
}

// schedules says whether an activity of this type is in a history.
func schedules(h *historypb.History, activity string) bool {
	for _, e := range h.GetEvents() {
		if e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == activity {
			return true
		}
	}
	return false
}

var quiet = sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))

func newReplayer(t *testing.T, interceptors ...interceptor.WorkerInterceptor) worker.WorkflowReplayer {
	t.Helper()
	r, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{Interceptors: interceptors})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordedHistoriesReplay(t *testing.T) {
	all := recorded(t)
	for name, h := range all {
		t.Run(name, func(t *testing.T) {
			r := newReplayer(t)
			workflows.Register(r)
			if err := r.ReplayWorkflowHistory(quiet, h); err != nil {
				t.Errorf("%v\n\na change of workflow code that a running workflow can't follow needs workflow.GetVersion", err)
			}
		})
	}
	t.Run("there is one of every workflow and of every way that matters", func(t *testing.T) {
		types := map[string]bool{}
		for _, h := range all {
			types[typeOf(h)] = true
		}
		for _, name := range []string{
			workflows.TypeModel, workflows.TypeLifecycle, workflows.TypeCanary, workflows.TypeSearch, workflows.TypeDrift, workflows.TypeQuality, workflows.TypeRetrainCheck,
			workflows.TypeTargetCheck,
		} {
			if !types[name] {
				t.Errorf("no history of %s", name)
			}
		}
		for _, s := range scenarios() {
			for _, name := range s.files {
				if all[name] == nil {
					t.Errorf("no history %s: record it", name)
				}
			}
		}
	})
}

// The replay can fail: workflows that were changed carelessly are refused for the same histories.
func TestABrokenWorkflowDoesntReplay(t *testing.T) {
	for name, h := range recorded(t) {
		t.Run("a timer more/"+name, func(t *testing.T) {
			r := newReplayer(t)
			registerSlow(r)
			wantRefused(t, r, h)
		})
		swapped := schedules(h, "Evaluate") && schedules(h, "Register") || schedules(h, "Set") && schedules(h, "Rollback")
		if !swapped {
			continue
		}
		t.Run("stages swapped/"+name, func(t *testing.T) {
			r := newReplayer(t, &swaps{names: map[string]string{
				"Evaluate": "Register", "Register": "Evaluate", "Set": "Rollback", "Rollback": "Set",
			}})
			workflows.Register(r)
			wantRefused(t, r, h)
		})
	}
}

func wantRefused(t *testing.T, r worker.WorkflowReplayer, h *historypb.History) {
	t.Helper()
	err := r.ReplayWorkflowHistory(quiet, h)
	if err == nil {
		t.Fatal("a broken workflow replays")
	}
	wantText(t, "error", err.Error(), "TMPRL1100") // non-determinism, and no other mishap
}

// registerSlow registers every workflow with a second's sleep before it.
func registerSlow(r worker.WorkflowRegistry) {
	register := func(name string, w any) {
		r.RegisterWorkflowWithOptions(w, workflow.RegisterOptions{Name: name})
	}
	register(workflows.TypeModel, func(ctx workflow.Context, in workflows.ModelInput) error {
		_ = workflow.Sleep(ctx, time.Second)
		return workflows.Model(ctx, in)
	})
	register(workflows.TypeLifecycle, slow(workflows.Lifecycle))
	register(workflows.TypeCanary, slow(workflows.Canary))
	register(workflows.TypeSearch, slow(workflows.Search))
	register(workflows.TypeDrift, slow(workflows.Drift))
	register(workflows.TypeQuality, slow(workflows.Quality))
	register(workflows.TypeTargetCheck, slow(workflows.TargetCheck))
	register(workflows.TypeRetrainCheck, func(ctx workflow.Context, in activities.MonitorInput) error {
		_ = workflow.Sleep(ctx, time.Second)
		return workflows.RetrainCheck(ctx, in)
	})
}

func slow[In, Out any](w func(workflow.Context, In) (Out, error)) func(workflow.Context, In) (Out, error) {
	return func(ctx workflow.Context, in In) (Out, error) {
		_ = workflow.Sleep(ctx, time.Second)
		return w(ctx, in)
	}
}

// swaps lets workflows call other activities than they mean, as if somebody had put their stages in another order.
type swaps struct {
	interceptor.WorkerInterceptorBase
	names map[string]string
}

func (s *swaps) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &swapsInbound{names: s.names}
	in.Next = next
	return in
}

type swapsInbound struct {
	interceptor.WorkflowInboundInterceptorBase
	names map[string]string
}

func (s *swapsInbound) Init(next interceptor.WorkflowOutboundInterceptor) error {
	out := &swapsOutbound{names: s.names}
	out.Next = next
	return s.Next.Init(out)
}

type swapsOutbound struct {
	interceptor.WorkflowOutboundInterceptorBase
	names map[string]string
}

func (s *swapsOutbound) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	if other, ok := s.names[name]; ok {
		name = other
	}
	return s.Next.ExecuteActivity(ctx, name, args...)
}
