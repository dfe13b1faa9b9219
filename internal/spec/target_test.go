package spec

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const driven = `serving:
  target: command
  command: [python3, target.py]
  secrets: [TARGET_TOKEN]
  metrics:
    prometheus: http://prometheus:9090
    requests: sum(increase(requests_total{version="$version"}[$window]))
    errors: sum(increase(errors_total{version="$version"}[$window]))
    latency: sum by (le) (increase(seconds_bucket{version="$version"}[$window]))
`

func TestACommandTargetHasDefaultsOfItsOwn(t *testing.T) {
	m, err := Parse("x", withField(driven))
	require.NoError(t, err)
	require.True(t, m.Serving.Driven())
	require.True(t, m.RunsCode())
	require.Equal(t, Duration(2*time.Minute), m.Serving.Timeout)
	require.Equal(t, Duration(5*time.Minute), m.Serving.Metrics.StaleAfter)
	require.NoError(t, bySchema(compiled(t), withField(driven)))
}

// A spec that was applied before there were targets keeps its digest, and so its runs stay "unchanged".
func TestASpecWithoutATargetIsAsItWas(t *testing.T) {
	m, err := Parse("x", withField("serving: {log: {sample: 50%}}\n"))
	require.NoError(t, err)
	canonical, err := m.Canonical()
	require.NoError(t, err)
	for _, field := range []string{"target", "timeout", "metrics", "secrets"} {
		_, serving, _ := strings.Cut(string(canonical), "\nserving:")
		serving, _, _ = strings.Cut(serving, "\ncanary:")
		require.NotContains(t, serving, field)
	}
}

func TestTargetsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown target":                 {"target: command", "target: comand", `serving.target: "comand" is unknown`},
		"a command that nothing runs":       {"target: command", "target: gateway", "serving.command: has no effect: gateways serve"},
		"no command":                        {"  command: [python3, target.py]\n", "", "serving.command: is required"},
		"no program's name":                 {"[python3, target.py]", `[""]`, "serving.command[0]: the program's name is empty"},
		"the worker's own secrets":          {"TARGET_TOKEN", "AWS_SECRET_ACCESS_KEY", "serving.secrets[0]: AWS_SECRET_ACCESS_KEY is kept by the worker"},
		"a secret that is set":              {"TARGET_TOKEN", "HOME", "serving.secrets[0]: HOME is set for every program"},
		"a secret twice":                    {"[TARGET_TOKEN]", "[A, A]", "serving.secrets[1]: A is listed twice"},
		"a timeout of hours":                {"  secrets:", "  timeout: 2h\n  secrets:", "serving.timeout: 2h isn't within 1s and 15m"},
		"what only gateways do":             {"  secrets:", "  mirror: 10%\n  secrets:", "serving.mirror: has no effect"},
		"a field to split by":               {"  secrets:", "  sticky_by: user\n  secrets:", "serving.sticky_by: has no effect"},
		"no server":                         {"http://prometheus:9090", `""`, "serving.metrics.prometheus: is required"},
		"not a server":                      {"http://prometheus:9090", "prometheus:9090", "serving.metrics.prometheus: \"prometheus:9090\" isn't a server's URL"},
		"a password":                        {"http://prometheus:9090", "http://a:b@prometheus:9090", "serving.metrics.prometheus: carries a password"},
		"both arms alike":                   {`requests_total{version="$version"}`, "requests_total", "serving.metrics.requests: doesn't tell the arms apart"},
		"all of time":                       {"requests_total{version=\"$version\"}[$window]", "requests_total{version=\"$version\"}[5m]", "serving.metrics.requests: doesn't say of which time"},
		"an unknown variable":               {`errors_total{version="$version"}`, `errors_total{version="$versoin"}`, "serving.metrics.errors: $versoin is unknown"},
		"no latency":                        {`    latency: sum by (le) (increase(seconds_bucket{version="$version"}[$window]))` + "\n", "", "serving.metrics: neither latency nor latency_p99"},
		"predictions that nothing measures": {"serving:", "canary: {max_psi: 0.2}\nserving:", "canary.max_psi: 0.2: predictions are counted by gateways alone"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, driven, c.old)
			_, err := Parse("x", withField(strings.Replace(driven, c.old, c.new, 1)))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestATargetThatNothingMeasuresIsWarnedOf(t *testing.T) {
	m, err := Parse("x", withField("serving: {target: command, command: [./target]}\n"))
	require.NoError(t, err)
	require.Contains(t, strings.Join(m.Warnings(), "\n"), "serving.metrics isn't set")
}
