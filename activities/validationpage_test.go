package activities

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
)

func TestEveryFileThatWasReadHasAPage(t *testing.T) {
	w := newWorld(t)
	ingester := &Ingester{Lake: w.lake, Bucket: "leanloop"}
	for name, c := range map[string]struct{ content, says string }{
		"good.csv": {flights(january, 60, 1), "60"},
		"late.csv": {"id,at,delay,carrier,late\n1,,2,AA,0\n2,,3,AA,1\n", "Refused: 1 rule broken"},
		"cut.csv":  {strings.TrimSuffix(flights(january, 60, 1), "\n") + ",\"", "a quote that is never closed"},
	} {
		o := w.land(name, c.content)
		out := must(t, ingester.Ingest, w.ingestInput(o))
		key, ok := strings.CutPrefix(out.Page, "s3://leanloop/")
		require.True(t, ok, "%s: page %q", name, out.Page)
		page, _, err := objectstore.ReadAll(t.Context(), w.store, key, 1<<20)
		require.NoError(t, err, name)
		require.True(t, strings.Contains(string(page), "<!DOCTYPE html>"), name)
		require.True(t, strings.Contains(string(page), c.says), name)
		again := must(t, ingester.Ingest, w.ingestInput(o))
		require.Equal(t, out.Page, again.Page, "an attempt that is repeated writes the same page")
	}
}
