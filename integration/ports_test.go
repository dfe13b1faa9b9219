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
	s := shared(t)
	// The suite's points are written around a time of their own each time that it is run.
	base := time.Now()
	for s.Name(base.Format(time.DateOnly)) != base.Format(time.DateOnly) {
		base = base.AddDate(0, 0, -1)
	}
	timeseriestest.Run(t, base, func(*testing.T) timeseries.Store { return s.Series })
}

// Eight promoters, somebody who rolls back and two readers, each with lost answers of its own, on a real store.
func TestOneChampionStandsAtEveryReadWhenPromotersRaceOnS3(t *testing.T) {
	bucket := shared(t).NewBucket(t, "race")
	o := registrytest.DefaultOptions()
	o.Rounds = 3
	registrytest.RacePromoters(t, bucket, o)
}
