package search

import "math"

// normal is a normal distribution cut off at both ends. Its mean lies within them.
type normal struct {
	mean, deviation float64
	low, high       float64

	below float64 // of the whole distribution, what lies below low
	mass  float64 // and what lies between the ends
	scale float64 // logarithm of what divides its density
}

// measure computes what the other methods need.
func (n *normal) measure() {
	n.below = phi((n.low - n.mean) / n.deviation)
	n.mass = phi((n.high-n.mean)/n.deviation) - n.below
	n.scale = math.Log(n.deviation) + 0.5*math.Log(2*math.Pi) + math.Log(n.mass)
}

// quantile is where a share u of the distribution, within 0 and 1, lies below.
func (n *normal) quantile(u float64) float64 {
	p := n.below + u*n.mass
	at := n.mean + n.deviation*math.Sqrt2*math.Erfinv(2*p-1)
	if math.IsNaN(at) {
		return n.mean
	}
	return min(max(at, n.low), n.high)
}

// logDensity is the logarithm of the density at a place between the ends.
func (n *normal) logDensity(at float64) float64 {
	z := (at - n.mean) / n.deviation
	return -0.5*z*z - n.scale
}

// logMass is the logarithm of the share between two places; -Inf where it is too small to tell.
func (n *normal) logMass(from, to float64) float64 {
	a, b := (max(from, n.low)-n.mean)/n.deviation, (min(to, n.high)-n.mean)/n.deviation
	if a > 0 { // the lower tail is the exact one
		a, b = -b, -a
	}
	return math.Log(max(phi(b)-phi(a), 0)) - math.Log(n.mass)
}

// phi is the share of the standard normal distribution below z.
func phi(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }
