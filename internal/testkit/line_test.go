package testkit

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestACutLineSwallowsAndAMendedOneCarriesAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer server.Close()
	line := NewLine(t, server.Listener.Addr().String())
	client := &http.Client{Transport: &http.Transport{}}
	ask := func(limit time.Duration) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+line.Address(), nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		raw, err := io.ReadAll(res.Body)
		return string(raw), err
	}
	for range 2 {
		answer, err := ask(time.Minute)
		require.NoError(t, err)
		require.Equal(t, "here", answer)
		line.Cut()
		for range 2 { // the connection that is kept, and a new one
			_, err = ask(50 * time.Millisecond)
			require.ErrorIs(t, err, context.DeadlineExceeded, "it hangs: nobody refuses")
		}
		line.Mend()
	}
}
