package training

import (
	"math"

	"github.com/leanloop/leanloop/internal/spec"
)

// boostLoss is the loss that trees descend. Margins are float32, and added in the trees' order, so that they are bit
// for bit what a scorer of the written model adds up.
type boostLoss struct {
	task   spec.Task
	groups int
}

// minHessian keeps a confident row from dividing by nothing, as XGBoost does.
const minHessian = 1e-16

// baseScore is the constant model, in the space of predictions. weights may be nil.
func (l boostLoss) baseScore(y, weights []float64) float32 {
	if l.task == spec.Multiclass {
		return 0.5
	}
	mean, total := 0.0, 0.0
	for i, v := range y {
		if w := weightOf(weights, i); w > 0 {
			total += w
			mean += w * (v - mean) / total
		}
	}
	return float32(mean)
}

// baseMargin is the margin of a base score.
func (l boostLoss) baseMargin(score float32) float32 {
	if l.task == spec.Binary {
		return float32(-math.Log(1/float64(score) - 1))
	}
	return score
}

// gradients fills the gradients of rows from to to for each group: group k's are at out[k].
func (l boostLoss) gradients(y []float64, margins []float32, out [][]gradient, from, to int) {
	switch l.task {
	case spec.Binary:
		for i := from; i < to; i++ {
			p := 1 / (1 + math.Exp(-float64(margins[i])))
			out[0][i] = gradient{float32(p - y[i]), float32(max(p*(1-p), minHessian))}
		}
	case spec.Multiclass:
		p := make([]float64, l.groups)
		for i := from; i < to; i++ {
			softmax32(margins[i*l.groups:(i+1)*l.groups], p)
			for k := range p {
				g := p[k]
				if int(y[i]) == k {
					g--
				}
				out[k][i] = gradient{float32(g), float32(max(2*p[k]*(1-p[k]), minHessian))}
			}
		}
	default:
		for i := from; i < to; i++ {
			out[0][i] = gradient{float32(float64(margins[i]) - y[i]), 1}
		}
	}
}

// weigh multiplies the gradients of rows from to to by how much they count.
func weigh(out [][]gradient, weights []float64, from, to int) {
	for _, gradients := range out {
		for i := from; i < to; i++ {
			gradients[i].g *= float32(weights[i])
			gradients[i].h *= float32(weights[i])
		}
	}
}

// softmax32 writes the probabilities of margins.
func softmax32(margins []float32, p []float64) {
	highest := margins[0]
	for _, m := range margins[1:] {
		highest = max(highest, m)
	}
	total := 0.0
	for k, m := range margins {
		p[k] = math.Exp(float64(m) - float64(highest))
		total += p[k]
	}
	for k := range p {
		p[k] /= total
	}
}

// predictions turns margins into what a scorer answers.
func (l boostLoss) predictions(margins []float32) []float64 {
	out := make([]float64, len(margins))
	for i, m := range margins {
		out[i] = float64(m)
		if l.task == spec.Binary {
			out[i] = 1 / (1 + math.Exp(-float64(m)))
		}
	}
	if l.task == spec.Multiclass {
		for i := 0; i < len(margins); i += l.groups {
			softmax32(margins[i:i+l.groups], out[i:i+l.groups])
		}
	}
	return out
}

// validationMetrics judges predictions of a trainer's own validation rows: log_loss and accuracy of classes, rmse and
// mae of values. weights may be nil. The first result is the one that early stopping watches; smaller is better.
func validationMetrics(task spec.Task, outputs int, y, p, weights []float64) (float64, map[string]float64) {
	n := 0.0
	for i := range y {
		n += weightOf(weights, i)
	}
	if task == spec.Regression {
		squares, absolute := 0.0, 0.0
		for i, v := range y {
			w := weightOf(weights, i)
			squares += w * (p[i] - v) * (p[i] - v)
			absolute += w * math.Abs(p[i]-v)
		}
		rmse := math.Sqrt(squares / n)
		return rmse, map[string]float64{"rmse": rmse, "mae": absolute / n}
	}
	loss, correct := 0.0, 0.0
	for i, v := range y {
		likelihood, right := 0.0, false
		if task == spec.Binary {
			likelihood, right = p[i], (p[i] >= 0.5) == (v == 1)
			if v != 1 {
				likelihood = 1 - p[i]
			}
		} else {
			row := p[i*outputs : (i+1)*outputs]
			best := 0
			for k := range row {
				if row[k] > row[best] {
					best = k
				}
			}
			likelihood, right = row[int(v)], best == int(v)
		}
		w := weightOf(weights, i)
		loss -= w * math.Log(max(likelihood, 1e-15))
		if right {
			correct += w
		}
	}
	return loss / n, map[string]float64{"log_loss": loss / n, "accuracy": correct / n}
}
