package serving

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/timeseries"
)

// What a request makes the gateway hold is in proportion to the request.
func TestShortRowsTakeNoMemory(t *testing.T) {
	r := everyKind(t)
	for name, c := range map[string]struct{ body, says string }{
		"empty rows":       {`{"instances": [{}` + strings.Repeat(",{}", 9998) + `, {"number": 1}]}`, `row 1 of 10000: feature "number" is missing`},
		"after a good row": {`{"instances": [{"number":1,"integer":1,"boolean":true,"time":null,"category":"a"},{"number":1}` + strings.Repeat(`,{}`, 98) + `]}`, `row 2 of 100: feature "integer" is missing`},
		"an unknown name":  {`{"instances": [{"nmber": 1}` + strings.Repeat(",{}", 9) + `]}`, `no feature "nmber"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := &work{body: []byte(c.body)}
			_, p := w.decodePredict(r, 10_000)
			require.NotNil(t, p)
			require.Contains(t, p.Message, c.says)
			require.LessOrEqual(t, w.rows, 2)
		})
	}
	_, p := (&work{body: []byte(`{"instances": [{}` + strings.Repeat(",{}", 20) + `]}`)}).decodePredict(r, 10)
	require.Equal(t, 413, p.Status)
}

func TestShapesWithoutValuesTakeNoMemory(t *testing.T) {
	r := everyKind(t)
	all := ""
	for _, name := range []string{"number", "integer", "boolean", "time", "category"} {
		all += fmt.Sprintf(`,{"name": %q, "shape": [10000], "datatype": "FP64", "data": []}`, name)
	}
	for name, c := range map[string]struct{ inputs, says string }{
		"few tensors":    {`{"name": "number", "shape": [10000], "datatype": "FP64", "data": []}`, `feature "integer" is missing`},
		"no values":      {all[1:], "fewer values than the shape's 10000 rows"},
		"an unknown one": {`{"name": "nmber", "shape": [10000], "datatype": "FP64", "data": []}`, `no feature "nmber"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := &work{body: []byte(`{"inputs": [` + c.inputs + `]}`)}
			_, p := w.decodeInfer(r, 10_000)
			require.NotNil(t, p)
			require.Contains(t, p.Message, c.says)
			require.Zero(t, w.rows)
		})
	}
}

// endless is a store whose objects are larger than any artifact.
type endless struct {
	objectstore.Store
	size int64
}

func (e endless) Get(_ context.Context, key string) (io.ReadCloser, objectstore.Info, error) {
	return io.NopCloser(strings.NewReader("x")), objectstore.Info{Key: key, Size: e.size}, nil
}

func TestObjectLargerThanAnyArtifactIsNotRead(t *testing.T) {
	d, err := openDisk(t.TempDir())
	require.NoError(t, err)
	_, _, err = d.over(endless{size: maxObject + 1}, false).Get(t.Context(), "models/m/artifacts/x/model.json")
	var large *objectstore.TooLarge
	require.ErrorAs(t, err, &large)
}

// patient answers each call with an error that asks for a pause.
type patient struct{ calls chan int }

func (p patient) Write(_ context.Context, points []timeseries.Point) error {
	p.calls <- len(points)
	return &timeseries.Error{Op: "write", Status: 503, RetryAfter: time.Hour}
}

func TestPointsAreTakenEachIntervalWhileTheStoreWantsAPause(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := patient{make(chan int, 100)}
	q := newPointQueue(store, 1000)
	take := func() []timeseries.Point {
		return []timeseries.Point{{Measurement: "m", Fields: map[string]float64{"n": 1}, Time: time.Now()}}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.run(ctx, time.Millisecond, take, newTroubles(slog.New(slog.DiscardHandler), time.Now))
	}()
	require.Eventually(t, func() bool { return q.left() >= 5 }, 5*time.Second, time.Millisecond)
	cancel()
	<-done
	require.Len(t, store.calls, 1, "the pause is kept")
}
