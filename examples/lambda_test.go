package examples_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/spec"
)

func TestTheLambdaExamplesServingIsASpecs(t *testing.T) {
	serving, err := os.ReadFile("lambda-alias/serving.yaml")
	require.NoError(t, err)
	m, err := spec.Parse("model.yaml", append([]byte("metadata: {name: flight-delay}\ndata: {prefix: s3://lake/flights/, target: late_15}\n"), serving...))
	require.NoError(t, err)
	require.True(t, m.Serving.Driven())
	for _, file := range []string{m.Serving.Command[1], "handler/app.py"} {
		require.FileExists(t, "lambda-alias/"+file)
	}
}
