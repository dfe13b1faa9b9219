package serving_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leanloop/leanloop/internal/inference"
)

// sink is a ResponseWriter that keeps nothing.
type sink struct{ header http.Header }

func (s sink) Header() http.Header         { return s.header }
func (s sink) Write(b []byte) (int, error) { return len(b), nil }
func (s sink) WriteHeader(int)             {}

// BenchmarkPredict is the handler alone: decoding twenty features, routing, a linear model, counting, the answer.
func BenchmarkPredict(b *testing.B) {
	for _, c := range []struct {
		name, spec string
	}{{"without a log", "{log: {sample: 0}}"}, {"with a log", "{log: {sample: 1.0}, sticky_by: flight_key}"}} {
		b.Run(c.name, func(b *testing.B) {
			m, row := flights(0), []string{`"flight_key": "UA-123"`, `"dep_delay": 20.5`, `"carrier": "UA"`}
			for i := range 18 {
				name := fmt.Sprintf("feature_%02d", i)
				m.features = append(m.features, inference.LinearFeature{Name: name, Kind: inference.KindNumber, Weights: []float64{0.01}})
				row = append(row, fmt.Sprintf("%q: %d.%d", name, i*7, i))
			}
			w := newWorld(b)
			w.applySpec(c.spec)
			w.promote(w.register(m))
			w.sync()
			body := `{"features": {` + strings.Join(row, ", ") + `}}`
			require.Equal(b, http.StatusOK, w.request(http.MethodPost, "/predict/flight-delay", body).status)
			handler, reader := w.server.Handler(), strings.NewReader(body)
			req := httptest.NewRequest(http.MethodPost, "/predict/flight-delay", reader)
			out := sink{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				reader.Reset(body)
				req.Body = io.NopCloser(reader)
				handler.ServeHTTP(out, req)
			}
		})
	}
}
