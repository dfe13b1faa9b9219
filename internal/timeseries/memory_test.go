package timeseries_test

import (
	"testing"
	"time"

	"github.com/leanloop/leanloop/internal/timeseries"
	"github.com/leanloop/leanloop/internal/timeseries/timeseriestest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	timeseriestest.Run(t, time.Now(), func(*testing.T) timeseries.Store { return timeseries.NewMemory() })
}
