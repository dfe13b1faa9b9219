package drift

import "math"

// durbin is P(D_n <= d), exactly: Durbin's matrix (J. Durbin 1968, "The probability that the sample distribution
// function lies between two parallel straight lines") raised to the n-th power as G. Marsaglia, W. W. Tsang & J. Wang
// do it ("Evaluating Kolmogorov's distribution", Journal of Statistical Software 8(18), 2003). The matrix has about
// 2nd rows, so it is for small n*d.
func durbin(n int, d float64) float64 {
	t := float64(n) * d
	k := int(math.Ceil(t))
	base := durbinMatrix(k, float64(k)-t)
	power := scaled{matrix: identity(base.size)}
	for exponent := n; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			power = power.times(base, k-1)
		}
		if exponent > 1 {
			base = base.times(base, k-1)
		}
	}
	p, scale := power.at(k-1, k-1), power.scale
	for i := 1; i <= n; i++ {
		p *= float64(i) / float64(n)
		if p < 0x1p-512 {
			p, scale = p*0x1p512, scale-512
		}
	}
	return min(max(math.Ldexp(p, scale), 0), 1)
}

// durbinMatrix is H of Marsaglia, Tsang & Wang for d = (k-h)/n.
func durbinMatrix(k int, h float64) scaled {
	m := matrix{size: 2*k - 1}
	m.cells = make([]float64, m.size*m.size)
	factorial := make([]float64, m.size+1) // 1/i!
	factorial[0] = 1
	for i := 1; i <= m.size; i++ {
		factorial[i] = factorial[i-1] / float64(i)
	}
	for i := range m.size {
		for j := 0; j <= min(i+1, m.size-1); j++ {
			m.set(i, j, factorial[i-j+1])
		}
	}
	for i := range m.size {
		edge := (1 - math.Pow(h, float64(i+1))) * factorial[i+1]
		m.set(i, 0, edge)
		m.set(m.size-1, m.size-1-i, edge)
	}
	corner := 1 - 2*math.Pow(h, float64(m.size)) + math.Pow(max(0, 2*h-1), float64(m.size))
	m.set(m.size-1, 0, corner*factorial[m.size])
	return scaled{matrix: m}
}

// matrix is a square matrix, row by row.
type matrix struct {
	size  int
	cells []float64
}

func identity(size int) matrix {
	m := matrix{size, make([]float64, size*size)}
	for i := range size {
		m.set(i, i, 1)
	}
	return m
}

func (m matrix) at(i, j int) float64     { return m.cells[i*m.size+j] }
func (m matrix) set(i, j int, x float64) { m.cells[i*m.size+j] = x }

// scaled is a matrix times 2^scale.
type scaled struct {
	matrix
	scale int
}

// times is the product, scaled down where its cell (watch,watch) has grown large.
func (a scaled) times(b scaled, watch int) scaled {
	n := a.size
	out := scaled{matrix{n, make([]float64, n*n)}, a.scale + b.scale}
	for i := range n {
		row := out.cells[i*n : (i+1)*n]
		for k, x := range a.cells[i*n : (i+1)*n] {
			if x == 0 {
				continue
			}
			for j, y := range b.cells[k*n : (k+1)*n] {
				row[j] += x * y
			}
		}
	}
	if out.at(watch, watch) > 0x1p256 {
		for i := range out.cells {
			out.cells[i] *= 0x1p-256
		}
		out.scale += 256
	}
	return out
}
