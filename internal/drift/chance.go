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
	all, bins := float64(n)+float64(m), 0.0
	for i := range p {
		if p[i] > 0 || q[i] > 0 {
			bins++
		}
	}
	if bins < 2 || all < 4 {
		return true
	}
	statistic, mean, variance := chance(p, q, float64(n), float64(m), bins)
	if !(variance > 0) {
		return math.Abs(statistic-mean) <= 1e-9*mean // every table of these margins has this statistic
	}
	return distuv.Gamma{Alpha: mean * mean / variance, Beta: mean / variance}.Survival(statistic) >= chanceLimit
}

// chance is Pearson's statistic of a values with shares p against b values with shares q of so many bins that aren't
// empty, and the mean and variance that it has over all tables of the same margins.
func chance(p, q []float64, a, b, bins float64) (statistic, mean, variance float64) {
	all, spread := a+b, 0.0
	for i := range p {
		x, y := p[i]*a, q[i]*b
		if x+y == 0 {
			continue
		}
		spread += all / (x + y)
		expected := (x + y) * a / all
		statistic += (x - expected) * (x - expected) * (1/expected + 1/(x+y-expected))
	}
	mean = all * (bins - 1) / (all - 1)
	freeRows, freeBins := (all-2)/(all-1), (bins-1)*(all-bins)/(all-1)
	skewRows, skewBins := (all/a+all/b-4)/(all-2), (spread-bins*bins)/(all-2)
	variance = 2*all/(all-3)*(freeRows-skewRows)*(freeBins-skewBins) + all*all/(all-1)*skewRows*skewBins
	return statistic, mean, variance
}
