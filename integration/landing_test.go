package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/activities"
	"github.com/leanloop/leanloop/internal/spec"
)

// unattended is a model whose runs end at a gate, without a person.
func unattended(m *spec.Model) { m.Gates.Metrics["roc_auc"] = spec.Bound{Min: new(0.9999)} }

func TestALandedFileIsOneRunHoweverOftenItIsTold(t *testing.T) {
	m := newModel(t, shared(t), "landed", unattended)
	m.apply(t)
	content := csv(flights(1, fileRows))
	m.land(t, "01.csv", content)
	first := m.ends(t, 1, activities.GateFailed)
	require.Equal(t, activities.TriggerData, first.Trigger)
	require.Len(t, first.Files, 1)

	for range 3 {
		event(t, m, "01.csv")
		m.land(t, "01.csv", content) // the same bytes again: the same object
	}
	// What came twice would have come before, or together with, what comes now.
	m.land(t, "02.csv", csv(flights(2, fileRows)))
	second := m.ends(t, 2, activities.GateFailed)
	require.Len(t, second.Files, 1)
	last, err := activities.LastRun(t.Context(), m.Store, m.name)
	require.NoError(t, err)
	require.Equal(t, 2, last)
}

func TestFilesThatLandTogetherAreOneRun(t *testing.T) {
	m := newModel(t, shared(t), "together", unattended)
	m.apply(t)
	m.land(t, "01.csv", csv(flights(1, fileRows)))
	m.land(t, "02.csv", csv(flights(2, fileRows)))
	r := m.ends(t, 1, activities.GateFailed)
	require.Len(t, r.Files, 2)
	require.Equal(t, 2*fileRows, r.Rows)
}

// event tells the worker once more of an object, as S3 servers do.
func event(t *testing.T, m *model, name string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(m.Dir, "addresses.json"))
	require.NoError(t, err)
	var own struct{ Worker string }
	require.NoError(t, json.Unmarshal(raw, &own))
	body := fmt.Sprintf(`{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"leanloop"},"object":{"key":"landing/%s/%s"}}}]}`, m.name, name)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+own.Worker+"/events/s3", bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNoContent, res.StatusCode)
}
