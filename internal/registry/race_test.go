package registry_test

import (
	"testing"

	"github.com/leanloop/leanloop/internal/objectstore"
	"github.com/leanloop/leanloop/internal/registry/registrytest"
)

func TestEightPromotersAndLostAnswersLeaveOneChampionAtEveryRead(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		o := registrytest.DefaultOptions()
		o.Seed = seed
		registrytest.RacePromoters(t, objectstore.NewMemory(), o)
	}
}
