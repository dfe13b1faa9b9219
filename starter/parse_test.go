package main

import (
	"context"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// parse runs a constructor's command with a run function that only takes the options.
func parse[O any](t *testing.T, build func(*app, func(context.Context, *O) error) *cobra.Command, args ...string) (*O, error) {
	t.Helper()
	var got *O
	cmd := build(newSession(t).app, func(_ context.Context, o *O) error { got = o; return nil })
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	usageErrors(cmd)
	return got, cmd.ExecuteContext(t.Context())
}

func TestParseSubmit(t *testing.T) {
	o, err := parse(t, newSubmit, "-f", "model.yaml", "--data", "jan.csv", "--wait", "--timeout", "5m", "--force", "--reason", "new month")
	require.NoError(t, err)
	require.Equal(t, []any{"model.yaml", "", "jan.csv", true, true, 5 * time.Minute, "new month"},
		[]any{o.file, o.model, o.data, o.wait, o.force, o.timeout, o.reason})
	o, err = parse(t, newSubmit, "churn")
	require.NoError(t, err)
	require.Equal(t, "churn", o.model)
}

func TestParseDecisions(t *testing.T) {
	o, err := parse(t, newApprove, "churn", "--evidence", "5f2a", "-y")
	require.NoError(t, err)
	require.Equal(t, []any{"approve", "churn", "5f2a", true}, []any{o.kind, o.arg, o.evidence, o.yes})
	o, err = parse(t, newReject, "lifecycle/churn/3", "--reason", "too slow")
	require.NoError(t, err)
	require.Equal(t, []any{"reject", "lifecycle/churn/3", "too slow"}, []any{o.kind, o.arg, o.reason})
}

func TestParseRollback(t *testing.T) {
	o, err := parse(t, newRollback, "churn", "--to", "2", "--reason", "wrong unit", "--wait", "5s")
	require.NoError(t, err)
	require.Equal(t, []any{"churn", 2, "wrong unit", 5 * time.Second}, []any{o.model, o.to, o.reason, o.wait})
}

func TestParseInit(t *testing.T) {
	o, err := parse(t, newInit, "sales.csv", "--name", "sales", "--prefix", "s3://lake/sales/", "--task", "binary", "--target", "sold")
	require.NoError(t, err)
	require.Equal(t, "sales.csv", o.data)
	require.Equal(t, []any{"sales", "s3://lake/sales/", "sold", "binary"}, []any{o.input.Name, o.input.Prefix, o.input.Target, string(o.input.Task)})
}

func TestParseCommandsAboutData(t *testing.T) {
	d, err := parse(t, newDrift, "--reference", "a.csv", "--current", "b.csv", "--method", "ks", "--columns", "x,y", "--max-share", "0.3",
		"--psi", "0", "--correction", "bh", "-f", "model.yaml")
	require.NoError(t, err)
	require.Equal(t, []any{"a.csv", "b.csv", "ks", []string{"x", "y"}, 0.3, 0.0, "bh", "model.yaml", 2, 1},
		[]any{d.reference, d.current, d.compare.Method, d.columns, d.compare.MaxShare, d.compare.PSI, d.compare.Correction, d.file, d.compare.MaxDrifted, d.compare.MinRows})
	require.True(t, d.given("psi"))
	require.False(t, d.given("max-drifted"))
	d, err = parse(t, newDrift, "--reference", "a.csv", "--current", "b.csv")
	require.NoError(t, err)
	require.Equal(t, "", d.compare.Method, "auto is each column's default")
	p, err := parse(t, newProfile, "sales.csv", "--contract", "model.yaml", "--format", "csv")
	require.NoError(t, err)
	require.Equal(t, []any{"sales.csv", "model.yaml", "csv"}, []any{p.data, p.contract, p.input})
	v, err := parse(t, newValidate, "--suite", "suite.json", "--data", "sales.csv", "--contract-only", "--failed-rows", "bad.csv")
	require.NoError(t, err)
	require.Equal(t, []any{"", "suite.json", "sales.csv", true, "bad.csv"}, []any{v.file, v.suite, v.data, v.contractOnly, v.failedRows})
}

func TestUsageErrorsExitWith2AndSayWhatToDo(t *testing.T) {
	cases := []struct {
		name string
		args []string
		says string
	}{
		{"unknown command", []string{"submti"}, "did you mean submit"},
		{"unknown command of a group", []string{"schedules", "aply"}, "did you mean apply"},
		{"unknown flag", []string{"list", "--nope"}, "starter list --help"},
		{"unknown format", []string{"list", "-o", "xml"}, "want table, json or yaml"},
		{"--dev with another server", []string{"list", "--dev", "d", "--temporal", "h:1"}, "goes with neither"},
		{"apply without a spec", []string{"apply"}, "-f model.yaml"},
		{"validate without a spec", []string{"validate"}, "-f model.yaml"},
		{"a spec that isn't there", []string{"validate", "-f", "none.yaml"}, "none.yaml"},
		{"submit without a model", []string{"submit"}, "which model?"},
		{"submit with two", []string{"submit", "churn", "-f", "model.yaml"}, "not both"},
		{"approve without a model", []string{"approve"}, "accepts 1 arg"},
		{"reject without a reason", []string{"reject", "churn"}, "--reason"},
		{"cancel without a reason", []string{"cancel", "churn"}, "--reason"},
		{"rollback without a reason", []string{"rollback", "churn"}, "--reason"},
		{"verify without a model", []string{"verify"}, "--all"},
		{"verify of one and all", []string{"verify", "churn", "--all"}, "--all"},
		{"a head that is none", []string{"verify", "churn", "--head", "x"}, "SEQ:HASH"},
		{"a model that can't be one", []string{"history", "No Such"}, "No Such"},
		{"a name that can't be one", []string{"rollback", "churn", "--reason", "x", "--as", "a b"}, "cli:NAME"},
		{"a schedule of nothing", []string{"schedules", "pause", "nope/churn"}, "drift/churn"},
		{"init of nothing", []string{"init", "none.csv"}, "none.csv"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newSession(t)
			require.Equal(t, exitUsage, w.starter(c.args...), w.stderr.String())
			require.Contains(t, w.stderr.String(), c.says)
			require.Empty(t, w.stdout.String())
		})
	}
}

func TestHelpAndVersionAndCompletion(t *testing.T) {
	w := newSession(t)
	require.Zero(t, w.starter())
	require.Contains(t, w.stdout.String(), "Exit codes:")
	require.Zero(t, w.starter("version", "-o", "json"))
	require.Contains(t, w.stdout.String(), `"go":`)
	require.Zero(t, w.starter("completion", "bash"))
	require.NotEmpty(t, w.stdout.String())
}

func TestCompletionOffersModels(t *testing.T) {
	w := newSession(t)
	w.champion("churn", 1)
	w.champion("fraud", 1)
	require.Zero(t, w.starter("__complete", "history", "f"))
	require.Contains(t, w.stdout.String(), "fraud")
	require.NotContains(t, w.stdout.String(), "churn")
}

func TestSchema(t *testing.T) {
	w := newSession(t)
	require.Zero(t, w.starter("schema"))
	require.Contains(t, w.stdout.String(), "$schema")
}
