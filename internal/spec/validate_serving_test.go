package spec

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownCategoriesAreMissingOrRefusedBySpec(t *testing.T) {
	const contract = "  contract: {strict: true, columns: [{name: y, type: boolean}, {name: carrier, type: category}, {name: delay, type: number}]}\n"
	for _, c := range []struct{ name, data, serving, want string }{
		{"all", "", "{unknown_categories: refuse}", ""},
		{"some", contract, "{unknown_categories_of: {carrier: refuse}}", ""},
		{"the default, spelt out", "", "{unknown_categories: missing}", ""},
		{"a word that is none", "", "{unknown_categories: refused}", `serving.unknown_categories: "refused" is unknown (did you mean "refuse"?`},
		{"a word that is none, of a feature", "", "{unknown_categories_of: {a: mising}}", `serving.unknown_categories_of.a: "mising" is unknown (did you mean "missing"?`},
		{"a number", contract, "{unknown_categories_of: {delay: refuse}}", "serving.unknown_categories_of.delay: the column's type is number, which has no categories"},
		{"a column that isn't there", contract, "{unknown_categories_of: {carier: refuse}}", "serving.unknown_categories_of.carier: no such column in the strict contract"},
		{"a column that no model sees", "  features: {exclude: [a]}\n", "{unknown_categories_of: {a: refuse}}", "the column is left out by data.features"},
		{"a column that isn't included", "  features: {include: [b]}\n", "{unknown_categories_of: {a: refuse}}", "the column is left out by data.features"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Parse("x", []byte("apiVersion: leanloop/v1\nkind: Model\nmetadata: {name: churn}\ntask: binary\ndata:\n  prefix: s3://lake/a/\n  target: y\n"+c.data+"serving: "+c.serving+"\n"))
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, UnknownMissing, Serving{}.UnknownPolicy("carrier"))
			require.Contains(t, []string{UnknownMissing, UnknownRefuse}, m.Serving.UnknownPolicy("carrier"))
		})
	}
}
