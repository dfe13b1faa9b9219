package drift

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// chanceLimit is how often two samples of one distribution may be taken for different ones by byChance.
const chanceLimit = 0.001

// byChance reports whether two samples of n and m values, with these shares of the same bins, differ no more than two
// samples of one distribution often do. PSI and the Jensen-Shannon distance grow with the number of bins and shrink with
// the number of values: 500 categories in 1,000 rows have a PSI of 0.5 where nothing drifted.
//
// The statistic is Pearson's. Its null distribution is the gamma distribution with its exact mean and variance given the
// margins (J. B. S. Haldane, "The mean and variance of the moments of chi-squared, when used as a test of homogeneity,
// when expectations are small", Biometrika 31, 1940; R. B. Dawson, Biometrika 41, 1954), which is the usual chi-square
// distribution where bins are full, and holds where most categories occur once.
func byChance(p, q []float64, n, m int64) bool {
	a, b := float64(n), float64(m)
	all := a + b
	bins, statistic, spread := 0.0, 0.0, 0.0
	for i := range p {
		x, y := p[i]*a, q[i]*b
		if x+y == 0 {
			continue
		}
		bins++
		spread += all / (x + y)
		expected := (x + y) * a / all
		statistic += (x - expected) * (x - expected) * (1/expected + 1/(x+y-expected))
	}
	if bins < 2 || all < 4 {
		return true
	}
	mean := all * (bins - 1) / (all - 1)
	freeRows, freeBins := (all-2)/(all-1), (bins-1)*(all-bins)/(all-1)
	skewRows, skewBins := (all/a+all/b-4)/(all-2), (spread-bins*bins)/(all-2)
	variance := 2*all/(all-3)*(freeRows-skewRows)*(freeBins-skewBins) + all*all/(all-1)*skewRows*skewBins
	if !(variance > 0) {
		return math.Abs(statistic-mean) <= 1e-9*mean // every table of these margins has this statistic
	}
	return distuv.Gamma{Alpha: mean * mean / variance, Beta: mean / variance}.Survival(statistic) >= chanceLimit
}
