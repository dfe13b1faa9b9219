package instant_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/instant"
)

func TestWhatIsATime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2013-01-02":                          time.Date(2013, 1, 2, 0, 0, 0, 0, time.UTC),
		"2013-01-02 03:04:05":                 time.Date(2013, 1, 2, 3, 4, 5, 0, time.UTC),
		"2013-01-02T03:04:05Z":                time.Date(2013, 1, 2, 3, 4, 5, 0, time.UTC),
		"2013-01-02T03:04:05.123456789+02:00": time.Date(2013, 1, 2, 1, 4, 5, 123456789, time.UTC),
		"2012-02-29":                          time.Date(2012, 2, 29, 0, 0, 0, 0, time.UTC),
	} {
		got, ok := instant.Parse(text)
		require.True(t, ok, text)
		require.Equal(t, want, time.Unix(0, got).UTC(), text)
	}
	for _, text := range []string{"", "2013", "2013-1-2", "2013-02-29", "02/01/2013", "2013-01-02T03:04", "2013-01-02T25:00:00", "2013-01-02T03:04:60",
		"2013-01-02T03:04:05,5", "2013-01-02T03:04:05.1234567890", "2013-01-02T03:04:05+0200", "2013-01-02X03:04:05", "1500-01-01", "2300-01-01", "now"} {
		_, ok := instant.Parse(text)
		require.False(t, ok, text)
	}
}

func TestTextIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64Range(-1<<62, 1<<62).Draw(t, "nanoseconds")
		got, ok := instant.Parse(instant.Text(at))
		if !ok || got != at {
			t.Fatalf("%s: %d, %v", instant.Text(at), got, ok)
		}
	})
}
