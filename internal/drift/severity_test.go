package drift

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTheWorstColumnComesFirst(t *testing.T) {
	distance := func(name string, statistic, psi float64) ColumnResult {
		c := ColumnResult{Name: name, PSI: psi, Missing: MissingTest{Method: MethodJS, Threshold: DistanceLimit}}
		c.byDistance(MethodWasserstein, statistic, DistanceLimit)
		return c
	}
	pValue := func(name string, p float64) ColumnResult {
		c := ColumnResult{Name: name, Missing: MissingTest{Method: MethodJS, Threshold: DistanceLimit}}
		c.byPValue(MethodKS, 0.5, p)
		return c
	}
	gone := ColumnResult{Name: "gone", Missing: MissingTest{Method: MethodJS, Statistic: 0.83, Threshold: DistanceLimit, Drifted: true}}
	in := []ColumnResult{
		distance("calm", 0.01, 0), distance("same, higher psi", 0.05, 0.1), distance("same, lower psi", 0.05, 0.05),
		distance("moved", 0.2, 0.3), gone, pValue("certain", 0), pValue("likely", 0.04), pValue("unlikely", 0.5),
	}
	var names []string
	for _, c := range WorstFirst(in) {
		names = append(names, c.Name)
	}
	assert.Equal(t, []string{"certain", "gone", "moved", "likely", "same, higher psi", "same, lower psi", "unlikely", "calm"}, names)
	assert.Equal(t, "calm", in[0].Name, "the caller's slice keeps its order")
}
