package spec

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDriftMethodsAreHeldToTheContract(t *testing.T) {
	data := "data:\n  prefix: s3://lake/a/\n  target: y\n  features: {exclude: [note]}\n  contract:\n    strict: %s\n    columns:\n" +
		"      - {name: y, type: number}\n      - {name: carrier, type: category}\n      - {name: note, type: text}\n"
	for _, c := range []struct{ name, strict, methods, want string }{
		{"a number takes any", "true", "{y: ks}", ""},
		{"a category takes tests of counts", "true", "{carrier: chi2}", ""},
		{"a category has no distribution function", "true", "{carrier: ks}",
			"monitor.drift.methods.carrier: ks compares numbers, and the column's type is category (chi2, ztest, js or psi)"},
		{"a category has no distances", "true", "{carrier: wasserstein}", "wasserstein compares numbers"},
		{"an unknown method", "true", "{y: kss}", `monitor.drift.methods.y: "kss" is unknown (did you mean "ks"?`},
		{"all is no method of a column", "true", "{y: all}", `"all" is unknown`},
		{"a column that a strict contract doesn't have", "true", "{z: ks}", "monitor.drift.methods.z: no such column in the strict contract"},
		{"a column that an open contract doesn't list", "false", "{z: ks}", ""},
		{"a column that is excluded", "false", "{note: js}", "monitor.drift.methods.note: the column is excluded by data.features.exclude: nothing compares it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := "metadata: {name: churn}\n" + fmt.Sprintf(data, c.strict) + "monitor: {drift: {methods: " + c.methods + "}}\n"
			m, err := Parse("x", []byte(src))
			if c.want == "" {
				require.NoError(t, err)
				require.NotEmpty(t, m.Monitor.Drift.Methods)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestColumnsExcludedFromTheAlertAreHeldToTheContract(t *testing.T) {
	data := "data:\n  prefix: s3://lake/a/\n  target: y\n  features: {exclude: [note]}\n  contract:\n    strict: %s\n    columns:\n" +
		"      - {name: y, type: number}\n      - {name: temp, type: number}\n      - {name: target, type: number}\n      - {name: note, type: text}\n"
	for _, c := range []struct{ name, strict, drift, want string }{
		{"a feature", "true", "{exclude: [temp]}", ""},
		{"prediction and target are compared too", "true", "{exclude: [prediction, target]}", ""},
		{"a feature that is called as one of them", "true", "{exclude: [feature.target], methods: {feature.target: ks}}", ""},
		{"a method for the prediction", "true", "{methods: {prediction: ks}}", ""},
		{"a column twice", "true", "{exclude: [temp, temp]}", `monitor.drift.exclude[1]: "temp" is listed twice`},
		{"a column that a strict contract doesn't have", "true", "{exclude: [wind]}", "monitor.drift.exclude[0]: no such column in the strict contract"},
		{"a column that an open contract doesn't list", "false", "{exclude: [wind]}", ""},
		{"a column that is no feature", "false", "{exclude: [note]}", "monitor.drift.exclude[0]: the column is excluded by data.features.exclude: nothing compares it"},
		{"no name", "false", `{exclude: [""]}`, "monitor.drift.exclude[0]: the column has no name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("x", []byte("metadata: {name: churn}\n"+fmt.Sprintf(data, c.strict)+"monitor: {drift: "+c.drift+"}\n"))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDriftLimitsHaveRanges(t *testing.T) {
	for src, want := range map[string]string{
		"{max_share: 150%}":        "monitor.drift.max_share: ",
		"{correction: bonferroni}": `monitor.drift.correction: "bonferroni" is unknown (bh, or leave it out)`,
		"{methods: [ks]}":          "monitor.drift.methods: expected a mapping of names to texts, found a list",
		"{methods: {x: [ks]}}":     "monitor.drift.methods.x: expected a text, found a list",
		"{psi: 0}":                 "monitor.drift.psi: 0 must be over 0",
		"{alert_after: 4 of 3}":    "monitor.drift.alert_after: 4 of 3 isn't",
		"{max_drifted: -1}":        "monitor.drift.max_drifted: expected a whole number",
	} {
		_, err := Parse("x", withField("monitor: {drift: "+src+"}\n"))
		require.ErrorContains(t, err, want)
	}
}
