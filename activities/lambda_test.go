package activities

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/pythontest"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training"
)

const lambdaExample = "../examples/lambda-alias"

// aliased is a world whose target is a Lambda alias, driven by the example, with a champion, version 1, and an approved
// version 2. Its clock is the machine's: the program has deadlines.
func aliased(t *testing.T) (*world, RegisterOutput, *Traffic, *lambdaFake) {
	t.Helper()
	python := pythontest.Interpreter(t, "the standard library", "-c", "import urllib.request, zipfile")
	l := newLambda(t, "flight-delay")
	pkg, code, err := training.Pack(lambdaExample)
	require.NoError(t, err)
	w := newWorld(t, "{builtin: linear}", "{builtin: trees, params: {rounds: 5}, code: "+code+"}", "gates: {accuracy: {min: 0.6}}", "gates: {accuracy: {min: 0.6}, champion: {max_loss: 0.5}}", "notify:", fmt.Sprintf(`canary:
  steps: [{weight: 10%%, hold: 5m, min_requests: 100}, {weight: 50%%, hold: 5m, min_requests: 100}]
  interval: 5m
  deadline: 2h
serving:
  target: command
  command: [%s, target.py, --function, flight-delay, --region, %s, --endpoint, %q]
  timeout: 30s
  secrets: [TARGET_AWS_ACCESS_KEY_ID, TARGET_AWS_SECRET_ACCESS_KEY]
  metrics: {prometheus: "http://prometheus:9090", requests: 'r %s[$window]', errors: 'e %s[$window]', latency_p99: 'p %s[$window]'}
notify:`, python, lambdaRegion, l.url, "$id", "$id", "$id"))
	_, err = w.store.Create(t.Context(), training.CodeKey(code), bytes.NewReader(pkg), int64(len(pkg)))
	require.NoError(t, err)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	v := w.approve()
	w.lake.Now = time.Now
	values := map[string]string{"TARGET_AWS_ACCESS_KEY_ID": lambdaKey, "TARGET_AWS_SECRET_ACCESS_KEY": lambdaSecret}
	return w, v, &Traffic{Lake: w.lake, Driver: &Driver{
		Lake: w.lake, Supervisor: superviseInTest(), Pause: 10 * time.Millisecond,
		Secrets: func(name string) (string, bool) { value, ok := values[name]; return value, ok },
	}}, l
}

// invoked is what CloudWatch has of an alias: a thousand requests a minute, split by the weights that the alias had.
type invoked struct {
	l        *lambdaFake
	requests map[string]float64
	failures map[string]float64 // share of a version's requests
}

// minutes lets time pass under the weights of now.
func (i *invoked) minutes(n float64) {
	for version, share := range i.l.routed() {
		i.requests[version] += 1000 * n * share
	}
}

func (i *invoked) At(_ context.Context, expression string, _ time.Time) ([]timeseries.Sample, error) {
	kind, version, _ := strings.Cut(strings.Split(expression, "[")[0], " ")
	n, ok := i.requests[version]
	if !ok {
		return nil, nil
	}
	value := map[string]float64{"r": n, "e": n * i.failures[version], "p": 0.05}[kind]
	return []timeseries.Sample{{Value: value}}, nil
}

// runCanary does by activities alone what the workflow does, and says how it ended. during is called in each tick.
func runCanary(t *testing.T, w *world, v RegisterOutput, a *Traffic, metrics *invoked, during func(tick int)) canary.State {
	t.Helper()
	m := &Measurer{Lake: w.lake, Targets: func(spec.ServingMetrics) (timeseries.Instant, error) { return metrics, nil }}
	settings := must(t, (&Runs{Lake: w.lake}).Settings, SettingsInput{Model: theModel, Spec: w.spec})
	must(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	now := time.Now()
	state := canary.New(settings.Canary, now)
	for tick := 1; !state.Over() && tick < 40; tick++ {
		during(tick)
		in := w.traffic(v)
		in.Weight, in.Lease, in.Start, in.Key = state.Weight(), time.Now().Add(time.Hour), tick == 1, fmt.Sprintf("%s/canary/%d", w.lifecycle(), tick)
		entry := must(t, a.Set, in)
		confirm := w.confirm(entry.Seq)
		confirm.Within = 4 * time.Second
		out := must(t, a.Confirm, confirm)
		require.False(t, out.Refused, out.Missing)
		look := MeasureInput{Model: theModel, Version: v.Version, Champion: 1, Spec: w.spec, State: state, IDs: out.Target.IDs()}
		if !out.Confirmed {
			look.Unconfirmed = out.Missing[0]
		}
		metrics.minutes(5)
		now = now.Add(5 * time.Minute)
		look.Now = now
		before := state.Step
		state = must(t, m.Measure, look).State
		if state.Step != before {
			clear(metrics.requests) // a step's window begins anew
		}
	}
	if state.Outcome == canary.Promoted {
		must(t, a.Promote, w.promotion(v))
	} else {
		must(t, a.Rollback, w.rollback(v.Version, state.Reason))
	}
	last := w.confirm(0)
	last.Insist = true
	require.True(t, must(t, a.Confirm, last).Confirmed)
	return state
}

func TestALambdaAliasThroughACanary(t *testing.T) {
	for name, c := range map[string]struct {
		failures map[string]float64
		during   func(*lambdaFake) func(tick int)
		outcome  canary.Outcome
		routed   map[string]float64
		versions int // that are deployed at the end
		says     string
	}{
		"a good challenger is promoted": {outcome: canary.Promoted, routed: map[string]float64{"17": 1}, versions: 2},
		"a bad one is rolled back":      {failures: map[string]float64{"17": 0.3}, outcome: canary.RolledBack, routed: map[string]float64{"16": 1}, versions: 1, says: "error rate"},
		"an API that throttles and is away for a while costs time alone": {during: func(l *lambdaFake) func(int) {
			return func(tick int) {
				seen := 0
				switch tick {
				case 2:
					l.fails(func(string, string) (int, string) { return 503, "ServiceException" })
				case 3:
					l.fails(func(string, string) (int, string) {
						if seen++; seen%3 == 0 {
							return 429, "TooManyRequestsException"
						}
						return 0, ""
					})
				case 5:
					l.fails(nil)
				}
			}
		}, outcome: canary.Promoted, routed: map[string]float64{"17": 1}, versions: 2},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.outcome == canary.Promoted {
				t.Skip("dozens of Python processes: without -short")
			}
			w, v, a, l := aliased(t)
			require.True(t, must(t, a.Confirm, w.confirm(0)).Confirmed) // the champion moves to the alias
			require.Equal(t, map[string]float64{"16": 1}, l.routed())
			during := func(int) {}
			if c.during != nil {
				during = c.during(l)
			}
			state := runCanary(t, w, v, a, &invoked{l: l, requests: map[string]float64{}, failures: c.failures}, during)
			require.Equal(t, c.outcome, state.Outcome, state.Reason)
			require.Contains(t, state.Reason, c.says)
			require.Equal(t, c.routed, l.routed())
			require.Len(t, l.versions, c.versions)
			require.True(t, must(t, a.Check, TargetInput{Model: theModel, ReadOnly: true, Within: 20 * time.Second}).Agrees)
		})
	}
}

func TestALambdaAliasRefusesALateWriter(t *testing.T) {
	if testing.Short() {
		t.Skip("waits out its time: without -short")
	}
	w, _, a, l := aliased(t)
	require.True(t, must(t, a.Confirm, w.confirm(0)).Confirmed)
	l.alias.Description = "leanloop flights entry 999"
	l.versions = append(l.versions, lambdaVersion{Version: "30", Description: "somebody's own"})
	l.alias.FunctionVersion = "30"
	in := w.confirm(0)
	in.Within = 2 * time.Second
	out := must(t, a.Confirm, in)
	require.False(t, out.Confirmed)
	require.False(t, out.Refused)
	require.Contains(t, out.Missing[0], "the alias is by entry 999")
	require.Equal(t, map[string]float64{"30": 1}, l.routed())
}

func TestALambdaAliasNeedsItsFunctionAndItsKeys(t *testing.T) {
	w, v, a, l := aliased(t)
	l.function = "another"
	_, err := try(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	requireType(t, ErrorTarget, err)
	require.ErrorContains(t, err, "ResourceNotFoundException")
	l.function = "flight-delay"
	a.Driver.Secrets = func(string) (string, bool) { return "wrong", true }
	_, err = try(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	requireType(t, ErrorTarget, err)
	require.ErrorContains(t, err, "InvalidSignatureException")
}

// What a published version answers is what gateways would have.
func TestTheLambdaExampleScoresAsGatewaysDo(t *testing.T) {
	w, v, a, l := aliased(t)
	must(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	archive, err := zip.NewReader(bytes.NewReader(l.code), int64(len(l.code)))
	require.NoError(t, err)
	dir := t.TempDir()
	files := map[string][]byte{}
	for _, f := range archive.File {
		in, err := f.Open()
		require.NoError(t, err)
		raw, err := io.ReadAll(in)
		require.NoError(t, errors.Join(err, in.Close()))
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, f.Name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name), raw, 0o600))
		files[strings.TrimPrefix(f.Name, "model/")] = raw
	}
	model, err := inference.Load(files, inference.DefaultLimits())
	require.NoError(t, err)
	var events []map[string]any
	for i, f := range flightRows(january.AddDate(1, 0, 0), 200, 9, 0) {
		event := map[string]any{"delay": f.delay, "carrier": f.carrier}
		if i%10 == 0 {
			event["delay"] = nil
		}
		if i%7 == 0 {
			event["carrier"] = "ZZ"
		}
		events = append(events, event)
	}
	raw, err := json.Marshal(events)
	require.NoError(t, err)
	python := exec.Command(pythontest.Interpreter(t, "the standard library", "-c", ""), "-c",
		"import json, sys, app; print(json.dumps([app.handler(e, None) for e in json.load(sys.stdin)]))")
	python.Dir, python.Stdin, python.Stderr = dir, bytes.NewReader(raw), os.Stderr
	out, err := python.Output()
	require.NoError(t, err)
	var answers []struct {
		Version    int
		Prediction float64
	}
	require.NoError(t, json.Unmarshal(out, &answers))
	require.Len(t, answers, len(events))
	x, want := make([]float64, len(model.Signature.Inputs)), make([]float64, 1)
	for i, event := range events {
		require.NoError(t, model.Encode(event, x))
		require.NoError(t, model.Score(t.Context(), x, 1, want))
		require.InDelta(t, want[0], answers[i].Prediction, 1e-6, "%v", event)
		require.Equal(t, v.Version, answers[i].Version)
	}
}
