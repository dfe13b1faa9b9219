package predictions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leanloop/leanloop/internal/predictions"
)

func TestAPartLiesInTheHourOfItsRowsInUTC(t *testing.T) {
	east := time.FixedZone("east", 2*3600)
	at := time.Date(2013, 7, 1, 1, 30, 0, 0, east)
	require.Equal(t, "predictions/flights/dt=2013-06-30/hh=23/", predictions.HourPrefix("flights", at))
	key := predictions.Key("flights", at, 12, "gw-a", "20130630T233000-00000001")
	require.Equal(t, "predictions/flights/dt=2013-06-30/hh=23/12-gw-a-20130630T233000-00000001.parquet", key)
	version, ok := predictions.VersionOf(key)
	require.True(t, ok)
	require.Equal(t, 12, version)
	version, ok = predictions.VersionOf(strings.ReplaceAll(key, ".parquet", ".csv.gz"))
	require.True(t, ok, "of a gateway of before")
	require.Equal(t, 12, version)
}

func TestWhatIsNoPartHasNoVersion(t *testing.T) {
	for _, key := range []string{"", "12.csv.gz", "twelve-gw.csv.gz", "0-gw.csv.gz", "-1-gw.csv.gz", "12-gw.csv", "12-gw.csv.gz.tmp", "12-gw.parquet.tmp", "12.parquet"} {
		_, ok := predictions.VersionOf("predictions/flights/dt=2013-06-30/hh=23/" + key)
		require.False(t, ok, key)
	}
}

func TestNoTwoColumnsShareAName(t *testing.T) {
	require.Equal(t, "delay", predictions.FeatureColumn("delay"))
	require.Equal(t, "feature.score", predictions.FeatureColumn("score"))
	require.Equal(t, "feature.feature.score", predictions.FeatureColumn("feature.score"))
	require.Equal(t, "feature.model", predictions.FeatureColumn("model"))
	own := map[string]bool{predictions.ColumnModel: true}
	for _, c := range predictions.Columns() {
		own[c.Name] = true
	}
	names := rapid.SampledFrom([]string{"score", "feature.score", "feature.feature.score", "time", "log.time", "feature.", "model", "feature.model", "x", "feature.x", ""})
	rapid.Check(t, func(r *rapid.T) {
		a, b := names.Draw(r, "a"), names.Draw(r, "b")
		if a != b && predictions.FeatureColumn(a) == predictions.FeatureColumn(b) {
			r.Fatalf("%q and %q are both %q", a, b, predictions.FeatureColumn(a))
		}
		if own[predictions.FeatureColumn(a)] {
			r.Fatalf("%q is one of the log's own", predictions.FeatureColumn(a))
		}
	})
}
