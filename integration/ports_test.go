package integration

import (
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/objectstore/objectstoretest"
	"github.com/leanloop/leanloop/internal/registry/registrytest"
	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/timeseries/timeseriestest"
)

func TestS3KeepsTheObjectStoresPromises(t *testing.T) {
	bucket := shared(t).NewBucket(t, "contract")
	objectstoretest.Run(t, func(*testing.T) objectstore.Store { return bucket })
}

func TestInfluxDBKeepsTheTimeSeriesPromises(t *testing.T) {
	series := shared(t).Series
	timeseriestest.Run(t, time.Now(), func(*testing.T) timeseries.Store { return series })
}

// Eight promoters, somebody who rolls back and two readers, each with lost answers of its own, on a real store.
func TestOneChampionStandsAtEveryReadWhenPromotersRaceOnS3(t *testing.T) {
	bucket := shared(t).NewBucket(t, "race")
	o := registrytest.DefaultOptions()
	o.Rounds = 3
	registrytest.RacePromoters(t, bucket, o)
}
