package serving

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTroubleIsLoggedWhenItBeginsAndEndsAndSeldomBetween(t *testing.T) {
	var log bytes.Buffer
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ts := newTroubles(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	lines := func() int { return strings.Count(log.String(), "\n") }

	ts.note("ledger", nil)
	require.Zero(t, lines(), "nothing was wrong")
	for i := range 30 { // an address and a request id differ each time
		ts.note("ledger", fmt.Errorf("read 127.0.0.1:%d: connection reset, request %x", 40000+i, i))
		now = now.Add(time.Second)
	}
	require.Equal(t, 1, lines())
	require.Equal(t, []string{"ledger: read 127.0.0.1:40029: connection reset, request 1d"}, ts.current())
	now = now.Add(time.Minute)
	ts.note("ledger", errors.New("another"))
	require.Equal(t, 2, lines())
	require.Contains(t, log.String(), "unlogged=29")
	now = now.Add(time.Hour)
	ts.note("ledger", errors.New("another"))
	require.Equal(t, 2, lines(), "the same text again says nothing new")
	ts.note("ledger", nil)
	require.Equal(t, 3, lines())
	require.Empty(t, ts.current())

	ts.noteRequest("champion", errors.New("no number"))
	now = now.Add(quietFor - 1)
	require.Len(t, ts.current(), 1)
	now = now.Add(1)
	require.Empty(t, ts.current(), "requests don't say that they went well")
}
