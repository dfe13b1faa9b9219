package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/canary"
	"github.com/leanloop/leanloop/internal/spec"
	"github.com/leanloop/leanloop/internal/target"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/training"
)

// keeper is a program whose target is a folder: a file for each version, with its weight in it. It fails with the code in
// the file fail, where there is one.
const keeper = `d=$TARGET_STATE
r=$(cat)
if [ -f $d/fail ]; then echo no luck >&2; exit $(cat $d/fail); fi
num() { printf %s "$r" | sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"; }
case $1 in
deploy)
	v=$(num version) f=$(printf %s "$r" | sed 's/.*"folder":"\([^"]*\)".*/\1/')
	test -s $f/model.json; test -s $f/signature.json; test ! -e $f/trained.keys
	[ -f $d/v$v ] || echo 0 >$d/v$v
	echo "{\"deployed\":{\"version\":$v}}";;
weight)
	c=$(num champion) h=$(num challenger) w=$(num weight)
	for f in $d/v*; do echo 0 >$f; done
	awk "BEGIN{print 1-$w}" >$d/v$c
	[ -z "$h" ] || echo $w >$d/v$h
	echo '{"set":{}}';;
read)
	s=
	printf '{"versions":['
	for f in $d/v*; do
		[ -f $f ] || continue
		printf '%s{"version":%s,"weight":%s,"id":"f%s"}' "$s" ${f##*/v} $(cat $f) ${f##*/v}
		s=,
	done
	echo ']}';;
remove)
	v=$(num version)
	rm -f $d/v$v
	echo "{\"removed\":{\"version\":$v}}";;
esac
`

// kept is a world whose target keeper keeps, with a champion, version 1, and an approved version 2.
func kept(t *testing.T) (w *world, v RegisterOutput, a *Traffic, dir string) {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "keeper.sh"), []byte(keeper), 0o600))
	pkg, code, err := training.Pack(folder)
	require.NoError(t, err)
	w = newWorld(t, "{builtin: linear}", "{builtin: linear, code: "+code+"}", "notify:", `serving:
  target: command
  command: [sh, -eu, keeper.sh]
  timeout: 30s
  secrets: [TARGET_STATE]
  metrics: {prometheus: "http://prometheus:9090", requests: 'r{v="$id"}[$window]', errors: 'e{v="$id"}[$window]', latency_p99: 'p{v="$id"}[$window]'}
notify:`)
	_, err = w.store.Create(t.Context(), training.CodeKey(code), bytes.NewReader(pkg), int64(len(pkg)))
	require.NoError(t, err)
	w.accept("2013-01.csv", flights(january, 400, 1))
	w.promote()
	w.accept("2013-02.csv", flights(january.AddDate(0, 1, 0), 400, 2))
	v = w.approve()
	dir = t.TempDir()
	a = &Traffic{Lake: w.lake, Driver: &Driver{
		Lake: w.lake, Supervisor: superviseInTest(), Pause: 10 * time.Millisecond,
		Secrets: func(name string) (string, bool) { return dir, name == "TARGET_STATE" },
	}}
	return w, v, a, dir
}

// holds wants a folder with these weights, and no other.
func holds(t *testing.T, dir string, want map[int]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "v*"))
	require.NoError(t, err)
	require.Len(t, files, len(want))
	for version, weight := range want {
		raw, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("v", version)))
		require.NoError(t, err)
		require.Equal(t, weight, strings.TrimSpace(string(raw)), "version %d", version)
	}
}

func (w *world) confirm(seq int64) ConfirmInput {
	return ConfirmInput{Model: theModel, Spec: w.spec, Seq: seq, Within: 20 * time.Second}
}

func TestATargetIsBroughtThroughACanary(t *testing.T) {
	w, v, a, dir := kept(t)
	// The champion was made before there was a target: the first confirmation brings it there.
	out := must(t, a.Confirm, w.confirm(0))
	require.True(t, out.Confirmed)
	holds(t, dir, map[int]string{1: "1"})

	must(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	holds(t, dir, map[int]string{1: "1", 2: "0"})
	entry := must(t, a.Set, w.traffic(v))
	out = must(t, a.Confirm, w.confirm(entry.Seq))
	require.True(t, out.Confirmed)
	require.Equal(t, map[int]string{1: "f1", 2: "f2"}, out.Target.IDs())
	holds(t, dir, map[int]string{1: "0.9", 2: "0.1"})

	t.Run("promoted", func(t *testing.T) {
		promoted := must(t, a.Promote, w.promotion(v))
		require.True(t, must(t, a.Confirm, w.confirm(promoted.Seq)).Confirmed)
		holds(t, dir, map[int]string{1: "0", 2: "1"}) // the champion before stays deployed
	})
}

func TestATargetLosesAChallengerThatIsRolledBack(t *testing.T) {
	w, v, a, dir := kept(t)
	must(t, a.Confirm, w.confirm(must(t, a.Set, w.traffic(v)).Seq))
	holds(t, dir, map[int]string{1: "0.9", 2: "0.1"})
	back := must(t, a.Rollback, w.rollback(v.Version, "too slow"))
	require.True(t, must(t, a.Confirm, w.confirm(back.Seq)).Confirmed)
	holds(t, dir, map[int]string{1: "1"})
}

// Nobody renews the lease, nobody rolls back: the check ends the challenger's traffic.
func TestTheCheckEndsTheTrafficOfAnExpiredLease(t *testing.T) {
	w, v, a, dir := kept(t)
	must(t, a.Confirm, w.confirm(must(t, a.Set, w.traffic(v)).Seq))
	w.now = w.now.Add(2 * time.Hour)
	look := must(t, a.Check, TargetInput{Model: theModel, ReadOnly: true, Within: 20 * time.Second})
	require.False(t, look.Agrees)
	require.Equal(t, "it reads back version 1 90 %, version 2 10 %, want version 1 100 %", look.Problem)
	holds(t, dir, map[int]string{1: "0.9", 2: "0.1"})

	view := must(t, a.Check, TargetInput{Model: theModel, Within: 20 * time.Second})
	require.True(t, view.Agrees, view.Problem)
	require.True(t, view.Moved)
	holds(t, dir, map[int]string{1: "1", 2: "0"})
	view = must(t, a.Check, TargetInput{Model: theModel, Within: 20 * time.Second})
	require.False(t, view.Moved, "it is as it should be")
}

// What was decided while a check ran is no news: nobody but the ledger moved the target.
func TestTheCheckKnowsOfADecisionThatOvertakesIt(t *testing.T) {
	w, v, a, dir := kept(t)
	must(t, a.Confirm, w.confirm(0))
	w.now = w.now.Add(time.Hour)
	a.Driver.Secrets = func(string) (string, bool) { // asked for after the check has read the ledger
		must(t, a.Set, w.traffic(v))
		return dir, true
	}
	view := must(t, a.Check, TargetInput{Model: theModel, Within: 20 * time.Second})
	require.True(t, view.Moved)
	require.Equal(t, view.At, view.Decided)
}

func TestATargetThatIsAwayForAWhileIsTriedAgain(t *testing.T) {
	w, v, a, dir := kept(t)
	entry := must(t, a.Set, w.traffic(v))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fail"), []byte("1"), 0o600))
	in := w.confirm(entry.Seq)
	in.Within = 300 * time.Millisecond
	out := must(t, a.Confirm, in)
	require.False(t, out.Confirmed)
	require.False(t, out.Refused)
	require.Contains(t, out.Missing[0], "no luck")
	time.AfterFunc(200*time.Millisecond, func() { _ = os.Remove(filepath.Join(dir, "fail")) })
	require.True(t, must(t, a.Confirm, w.confirm(entry.Seq)).Confirmed)
	holds(t, dir, map[int]string{1: "0.9", 2: "0.1"})
}

func TestATargetsRefusalIsFinalUnlessSomebodyInsists(t *testing.T) {
	w, v, a, dir := kept(t)
	entry := must(t, a.Set, w.traffic(v))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fail"), []byte("2"), 0o600))
	out := must(t, a.Confirm, w.confirm(entry.Seq))
	require.True(t, out.Refused)
	_, err := try(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	requireType(t, ErrorTarget, err)

	in := w.confirm(entry.Seq)
	in.Insist = true
	time.AfterFunc(200*time.Millisecond, func() { _ = os.Remove(filepath.Join(dir, "fail")) })
	require.True(t, must(t, a.Confirm, in).Confirmed)
}

func TestATargetNeedsItsSecrets(t *testing.T) {
	w, v, a, _ := kept(t)
	a.Driver.Secrets = nil
	_, err := try(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: 20 * time.Second})
	requireType(t, ErrorSpec, err)
	require.ErrorContains(t, err, "serving.secrets: TARGET_STATE isn't set on this worker")
	view := must(t, a.Check, TargetInput{Model: theModel, Within: 20 * time.Second})
	require.Contains(t, view.Problem, "TARGET_STATE")
}

func TestGatewaysHaveNoTarget(t *testing.T) {
	w, v := challenger(t)
	a := &Traffic{Lake: w.lake}
	require.False(t, must(t, a.Check, TargetInput{Model: theModel, Within: time.Second}).Driven)
	require.False(t, must(t, a.Deploy, DeployInput{Model: theModel, Spec: w.spec, Version: v.Version, Within: time.Second}).Driven)
	require.False(t, must(t, (&Runs{Lake: w.lake}).Settings, SettingsInput{Model: theModel, Spec: w.spec}).Driven())
}

// numbers is a metrics store that gives each query's letter its numbers, by the target's name of the version.
type numbers map[string]float64

func (m numbers) At(_ context.Context, expression string, _ time.Time) ([]timeseries.Sample, error) {
	v, ok := m[strings.SplitN(expression, "[", 2)[0]]
	if !ok {
		return nil, nil
	}
	return []timeseries.Sample{{Value: v}}, nil
}

func TestATargetsArmsAreMeasuredByTheSpecsQueries(t *testing.T) {
	w, v, _, _ := kept(t)
	seen := numbers{
		`r{v="f1"}`: 9000, `e{v="f1"}`: 9, `p{v="f1"}`: 0.02,
		`r{v="f2"}`: 1000, `e{v="f2"}`: 1, `p{v="f2"}`: 0.02,
	}
	m := &Measurer{Lake: w.lake, Targets: func(spec.ServingMetrics) (timeseries.Instant, error) { return seen, nil }}
	in := stepping()
	in.Spec, in.Version, in.IDs = w.spec, v.Version, map[int]string{1: "f1", 2: "f2"}
	out := must(t, m.Measure, in)
	require.Equal(t, canary.Pass, out.Judgement.Verdict, "%+v", out.Judgement)
	require.Equal(t, canary.Advance, out.Action.Kind)
	require.Equal(t, canary.Counts{Champion: 9000, Challenger: 1000}, out.Judgement.Requests)

	in.Unconfirmed = "the target doesn't confirm its weights: 429"
	out = must(t, m.Measure, in)
	require.Equal(t, canary.Inconclusive, out.Judgement.Verdict)
	require.Contains(t, out.Judgement.Reason(), "429")
	seen[`e{v="f2"}`] = 500
	out = must(t, m.Measure, in)
	require.Equal(t, canary.Fail, out.Judgement.Verdict, "a failure counts whatever the weights are")

	for name, change := range map[string]func(*MeasureInput){
		"a series that is missing": func(*MeasureInput) { delete(seen, `r{v="f1"}`) },
		"a store that can't be asked": func(*MeasureInput) {
			m.Targets = func(spec.ServingMetrics) (timeseries.Instant, error) { return nil, errors.New("no token") }
		},
		"no store":                   func(*MeasureInput) { m.Targets = nil },
		"a step that has just begun": func(in *MeasureInput) { in.Now = t0 },
	} {
		t.Run(name, func(t *testing.T) {
			in := in
			change(&in)
			require.Equal(t, canary.Inconclusive, must(t, m.Measure, in).Judgement.Verdict)
		})
	}
}

func TestWhatIsSaidOfATarget(t *testing.T) {
	m := &Messenger{}
	alert := m.word(MessageInput{Kind: MessageAlert, Monitor: MonitorTarget, Model: theModel, Text: "target: 429"})
	require.Equal(t, "flights: its target doesn't serve what was decided", alert.Title)
	require.Contains(t, alert.Text, "starter target status flights")
	require.Contains(t, m.word(MessageInput{Kind: MessageRepaired, Monitor: MonitorTarget, Model: theModel}).Title, "was set right")
	require.Contains(t, m.word(MessageInput{Kind: MessageCalm, Monitor: MonitorTarget, Model: theModel}).Title, "serves again what was decided")
	require.Equal(t, "nothing", target.Text(nil))
}
