package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/inference"
)

// importedModel is a folder with a model that nobody here trained: late where the delay is over 10.
func importedModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		inference.SignatureFile: `{"version":1,"format":"leanloop-linear","task":"binary","output":"late","classes":["false","true"],"inputs":[{"name":"delay","kind":"number"}]}`,
		inference.ModelFile:     `{"format":"leanloop-linear","version":1,"link":"sigmoid","intercept":[-5],"features":[{"name":"delay","kind":"number","weights":[0.5]}]}`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestAModelThatWasTrainedElsewhereIsApprovedAndServed(t *testing.T) {
	m := newModel(t, shared(t), "imported", nil)
	elsewhere := importedModel(t)
	// Without data there is nothing to judge it on.
	var out waited
	m.Starter(t, "ana", "import", "-f", m.file(), "--artifact", elsewhere, "--wait", "-o", "json").Want(t, 3).Decode(t, &out)
	require.Equal(t, activities.ValidationFailed, out.Result.Outcome)
	require.Contains(t, out.Result.Reason, "data has to be landed first")

	m.submit(t, "01.csv", csv(flights(1, fileRows)))
	m.stage(t, m.lifecycle(2), "approve")
	m.Starter(t, "ben", "reject", m.name, "--reason", "we have one").Want(t, 0)
	m.Starter(t, "ana", "import", "-f", m.file(), "--artifact", elsewhere, "--force").Want(t, 0)
	m.stage(t, m.lifecycle(3), "approve")
	m.Starter(t, "ben", "approve", m.name).Want(t, 0)
	m.ends(t, 3, activities.Promoted)
	v, ok := m.head(t).Version(2)
	require.True(t, ok)
	require.Equal(t, "cli:ana", v.Imported.By)
	require.Equal(t, "inconclusive", v.Verdict)
	m.serves(t, 2)
	servesWhatIsRegistered(t, m, 2, featuresOf(flights(9, 20)))
	m.verified(t)
}
