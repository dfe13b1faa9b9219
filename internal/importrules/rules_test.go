package importrules_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/importrules"
)

const (
	module = "github.com/leanloop/leanloop"
	root   = "../.."
)

func TestThisModuleKeepsItsImportRules(t *testing.T) {
	found, err := importrules.Check(os.DirFS(root), module)
	require.NoError(t, err)
	for _, v := range found {
		t.Error(v)
	}
}

// The development stack's servers are dependencies of its own module; the product's must not know them.
func TestTheProductDoesNotRequireTheServersItIsTestedWith(t *testing.T) {
	mod, err := os.ReadFile(root + "/go.mod")
	require.NoError(t, err)
	for _, server := range []string{"go.temporal.io/server", "github.com/temporalio/ui-server", "github.com/versity/versitygw", "github.com/influxdata/influxdb "} {
		require.NotContains(t, string(mod), server, "go.mod: it belongs in devstack/go.mod")
	}
}

// source is a module that keeps every rule, small, with one provider in each port.
func source() map[string]string {
	return map[string]string{
		"workers/main.go": `package main
			import ("m/activities"; "m/internal/objectstore"; "m/internal/temporalx"; "m/workflows")
			var _, _, _, _ = activities.A{}, objectstore.NewS3, temporalx.Dial, workflows.W`,
		"workflows/w.go": `package workflows
			import ("time"; "go.temporal.io/sdk/workflow"; "m/activities"; "m/internal/canary")
			func W(ctx workflow.Context, a activities.A, c canary.State) time.Duration { return 0 }`,
		"activities/a.go": `package activities
			import ("os"; "go.temporal.io/sdk/activity"; "m/internal/objectstore")
			type A struct { Store objectstore.Store }
			var _ = os.Open; var _ = activity.GetInfo`,
		"internal/temporalx/dial.go": `package temporalx
			import "go.temporal.io/sdk/client"
			var Dial = client.Dial`,
		"internal/canary/canary.go": `package canary
			import ("math/rand/v2"; "time"; "m/internal/spec")
			type State struct { At time.Time; Of spec.Canary }
			func draw(seed uint64) float64 { return rand.New(rand.NewPCG(seed, 1)).Float64() }`,
		"internal/spec/spec.go":         `package spec; import "os"; type Canary struct{}; var _ = os.Open`,
		"internal/registry/apply.go":    `package registry; func Apply() {}`,
		"internal/registry/ledger.go":   `package registry; import "time"; var _ = time.Now`,
		"internal/objectstore/store.go": `package objectstore; type Store interface{}; type Info struct{}`,
		"internal/objectstore/s3.go": `package objectstore
			import "github.com/aws/aws-sdk-go-v2/service/s3"
			type S3 struct{ c *s3.Client }
			type S3Config struct{}
			func NewS3(S3Config) *S3 { return nil }`,
		"internal/objectstore/objectstoretest/suite.go": `package objectstoretest
			import "m/internal/objectstore"
			var _ = objectstore.NewS3`,
		"internal/devstack/start.go":        `package devstack; func Start() {}`,
		"internal/local/up.go":              `package local; import "m/internal/devstack"; var Up = devstack.Start`,
		"internal/testkit/dev.go":           `package testkit; import "m/internal/local"; var _ = local.Up`,
		"starter/dev.go":                    `package main; import ("m/internal/devstack"; "m/internal/local"); var _, _ = local.Up, devstack.Start`,
		"workers/main_test.go":              `package main; import "m/internal/local"; var _ = local.Up`,
		"internal/canary/canary_test.go":    `package canary; import "os"; var _ = os.Open`,
		"internal/canary/testdata/x/x.go":   `package x; import "os"; var _ = os.Open`,
		"devstack/go.mod":                   `module m/devstack`,
		"devstack/internal/spec/server.go":  `package spec; import "go.temporal.io/server/temporal"; var _ = temporal.NewServer`,
		"internal/temporalx/dial_linux.go":  "//go:build linux\n\npackage temporalx",
		"internal/objectstore/key_other.go": "//go:build plan9\n\npackage objectstore",
	}
}

func check(t *testing.T, files map[string]string) []importrules.Violation {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	found, err := importrules.Check(fsys, "m")
	require.NoError(t, err)
	return found
}

func TestSourceThatKeepsTheRulesIsFoundClean(t *testing.T) {
	require.Empty(t, check(t, source()))
}

// Each case adds one file to the clean module: proof that each rule can fail, and says why it is there.
func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	for name, c := range map[string]struct{ file, text, rule, what string }{
		"1 a pure package that imports the SDK": {
			"internal/spec/more.go", `package spec; import "go.temporal.io/sdk/workflow"; var _ workflow.Context`,
			"1", `imports "go.temporal.io/sdk/workflow"`},
		"1 the API counts as Temporal too": {
			"internal/serving/x.go", `package serving; import e "go.temporal.io/api/enums/v1"; var _ = e.X`,
			"1", `imports "go.temporal.io/api/enums/v1"`},
		"1 also in a file for another system": {
			"internal/serving/x_plan9.go", "//go:build plan9\n\npackage serving\nimport _ \"go.temporal.io/sdk/client\"",
			"1", `imports "go.temporal.io/sdk/client"`},
		"2 a file is read": {
			"internal/canary/read.go", `package canary; import "os"; var _ = os.Open`,
			"2", `imports "os"`},
		"2 a clock is read": {
			"internal/canary/clock.go", `package canary; import "time"; func now() time.Time { return time.Now() }`,
			"2", "uses time.Now"},
		"2 a clock is read under another name": {
			"internal/canary/clock.go", `package canary; import t "time"; var age = t.Since`,
			"2", "uses time.Since"},
		"2 the process's random source is drawn from": {
			"internal/drift/draw.go", `package drift; import "math/rand/v2"; func f() int { return rand.IntN(3) }`,
			"2", "uses rand.IntN"},
		"2 the old random source": {
			"internal/drift/draw.go", `package drift; import "math/rand"; func f() int { return rand.Intn(3) }`,
			"2", `imports "math/rand"`},
		"2 the registry's rule book": {
			"internal/registry/index_apply.go", `package registry; import "time"; func applyIndex() time.Time { return time.Now() }`,
			"2", "uses time.Now"},
		"2 what does I/O is used through another package": {
			"internal/evaluation/x.go", `package evaluation; import "m/internal/objectstore"; var _ objectstore.Info`,
			"2", `imports "m/internal/objectstore"`},
		"2 names are hidden by a dot": {
			"internal/approval/x.go", `package approval; import . "time"; var now = Now`,
			"2", `imports . "time"`},
		"3 a workflow reads the environment": {
			"workflows/x.go", `package workflows; import "os"; var _ = os.Getenv`,
			"3", `imports "os"`},
		"3 a workflow calls a server": {
			"workflows/x.go", `package workflows; import "net/http"; var _ = http.Get`,
			"3", `imports "net/http"`},
		"3 a workflow uses the registry itself": {
			"workflows/x.go", `package workflows; import "m/internal/registry"; var _ = registry.Apply`,
			"3", `imports "m/internal/registry"`},
		"4 an activity makes its own store": {
			"activities/x.go", `package activities; import "m/internal/objectstore"; var s = objectstore.NewS3(objectstore.S3Config{})`,
			"4", "uses objectstore.NewS3 of the provider in internal/objectstore/s3.go"},
		"4 an activity names a provider's type": {
			"activities/x.go", `package activities; import store "m/internal/objectstore"; var s *store.S3`,
			"4", "uses objectstore.S3 of the provider"},
		"4 an activity knows workflows": {
			"activities/x.go", `package activities; import "m/workflows"; var _ = workflows.W`,
			"4", `imports "m/workflows"`},
		"5 a package makes a provider": {
			"internal/registry/open.go", `package registry; import "m/internal/objectstore"; var _ = objectstore.NewS3`,
			"5", "uses objectstore.NewS3"},
		"5 a program is imported": {
			"schedules/x.go", `package schedules; import _ "m/workers"`,
			"5", `imports "m/workers"`},
		"6 a program of production runs programs": {
			"gateway/main.go", `package main; import "m/internal/local"; var _ = local.Up`,
			"6", `imports "m/internal/local"`},
		"6 a program of production builds servers": {
			"workers/build.go", `package main; import _ "m/internal/devstack"`,
			"6", `imports "m/internal/devstack"`},
		"6 an activity, too": {
			"activities/x.go", `package activities; import _ "m/internal/devstack"`,
			"6", `imports "m/internal/devstack"`},
		"7 a program of production loads a library": {
			"gateway/x.go", `package main; import _ "m/internal/onnx/ort"`,
			"7", `imports "m/internal/onnx/ort"`},
		"7 and by another way": {
			"internal/serving/x.go", `package serving; import _ "github.com/ebitengine/purego"`,
			"7", `imports "github.com/ebitengine/purego"`},
	} {
		t.Run(name, func(t *testing.T) {
			files := source()
			files[c.file] = c.text
			found := check(t, files)
			require.NotEmpty(t, found, "the rule didn't see it")
			for _, v := range found {
				require.Equal(t, c.file, v.File)
				require.True(t, strings.HasPrefix(v.Rule, c.rule+": "), v.Rule)
				require.Contains(t, v.String(), "because ")
			}
			require.Contains(t, found[0].What, c.what)
		})
	}
}

func TestSourceThatDoesNotParseIsAnError(t *testing.T) {
	_, err := importrules.Check(fstest.MapFS{"x.go": {Data: []byte("package")}}, "m")
	require.ErrorContains(t, err, "x.go")
}
