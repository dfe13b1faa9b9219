package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/optimize"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// linearParams are the hyperparameters of the built-in linear models.
type linearParams struct {
	l2              float64 // penalty of half the squared weights, beside the summed loss; default 1
	maxIterations   int     // of L-BFGS; default 200
	tolerance       float64 // greatest entry of the gradient of the mean loss at the end; default 1e-7
	minCategoryRows int     // rarer categories share the weight of unknown ones; default 10
}

// maxWeights bounds a linear model; L-BFGS keeps some thirty vectors of that length.
const maxWeights = 2_000_000

func readLinearParams(values map[string]any) (linearParams, error) {
	p := newParams(values)
	l := linearParams{
		l2:              p.number("l2", 1, 0, math.MaxFloat64),
		maxIterations:   p.count("max_iterations", 200, 1, 100_000),
		tolerance:       p.number("tolerance", 1e-7, 1e-14, 1),
		minCategoryRows: p.count("min_category_rows", 10, 1, math.MaxInt32),
	}
	return l, p.done(Linear)
}

// linearProblem is the mean loss of a design plus the penalty, as a function of the intercepts and then the weights of
// each group. Regression's target is standardised, so that one tolerance fits every unit.
type linearProblem struct {
	task    spec.Task
	d       *design
	y       []float64
	weights []float64 // how much rows count; nil: one
	total   float64   // of the weights
	groups  int
	l2      float64
	margins []float64 // scratch: rows x groups
	slopes  []float64 // scratch: derivative by each margin
}

func newLinearProblem(task spec.Task, d *design, l *labels, l2 float64) *linearProblem {
	p := &linearProblem{task: task, d: d, y: l.train, weights: l.weights, groups: 1, l2: l2}
	if task == spec.Multiclass {
		p.groups = len(l.classes)
	}
	for row := range d.rows {
		p.total += weightOf(l.weights, row)
	}
	return p
}

// trainLinear fits a logistic, softmax or ridge regression by L-BFGS. Numbers are standardised, nulls take the mean
// and an indicator, categories are one-hot with a bucket for unknown ones. The intercept isn't penalised.
func trainLinear(ctx context.Context, in Input, report func(Progress)) (*Output, error) {
	p, err := readLinearParams(in.Params)
	if err != nil {
		return nil, err
	}
	l, err := readLabels(in)
	if err != nil {
		return nil, err
	}
	sources, ignored, err := readFeatures(in)
	if err != nil {
		return nil, err
	}
	features, err := learnDesign(sources, l.weights, p.minCategoryRows)
	if err != nil {
		return nil, err
	}
	d, err := fillDesign(features, sources, in.Train.Rows, func(s source) *dataset.Column { return s.train })
	if err != nil {
		return nil, err
	}
	problem := newLinearProblem(in.Task, d, l, p.l2)
	if err := checkWidth(d, problem.groups, maxWeights); err != nil {
		return nil, err
	}
	mean, scale := 0.0, 1.0
	if in.Task == spec.Regression {
		mean, scale = meanAndScale(l.train, l.weights)
		problem.y = standardised(l.train, mean, scale)
	}
	x, iterations, err := problem.minimise(ctx, p, report)
	if err != nil {
		return nil, err
	}
	for i := range x {
		x[i] *= scale
	}
	intercepts, weights := x[:problem.groups], x[problem.groups:]
	if in.Task == spec.Regression {
		intercepts[0] += mean
	}
	out := &Output{Metrics: map[string]float64{}, Rounds: iterations, Ignored: ignored}
	if in.validates() {
		v, err := fillDesign(features, sources, in.Validation.Rows, func(s source) *dataset.Column { return s.validation })
		if err != nil {
			return nil, err
		}
		margins := make([]float64, v.rows*problem.groups)
		v.margins(intercepts, weights, margins)
		problem.link(margins)
		_, out.Metrics = validationMetrics(in.Task, problem.groups, l.validation, margins, l.weighing)
	}
	return out, out.describeLinear(in, features, l.classes, intercepts, weights, d.weights)
}

func standardised(values []float64, mean, scale float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = (v - mean) / scale
	}
	return out
}

// describeLinear fills the model file and the signature.
func (o *Output) describeLinear(in Input, features []linearFeature, classes []string, intercepts, weights []float64, width int) error {
	link := inference.LinkIdentity
	o.Signature = inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatLinear, Task: in.Task, Classes: classes, Output: in.Target}
	switch in.Task {
	case spec.Binary:
		link, o.Signature.Threshold = inference.LinkSigmoid, 0.5
	case spec.Multiclass:
		link = inference.LinkSoftmax
	}
	for i := range features {
		o.Signature.Inputs = append(o.Signature.Inputs, features[i].input)
	}
	data, err := json.Marshal(linearFile(features, link, classes, intercepts, weights, width))
	if err != nil {
		return fmt.Errorf("built-in linear: encode the model: %w", err)
	}
	o.Model = append(data, '\n')
	return nil
}

// minimise runs L-BFGS from the constant zero.
func (p *linearProblem) minimise(ctx context.Context, params linearParams, report func(Progress)) (x []float64, iterations int, err error) {
	p.margins = make([]float64, p.d.rows*p.groups)
	p.slopes = make([]float64, p.d.rows*p.groups)
	problem := optimize.Problem{
		Func: func(x []float64) float64 { return p.evaluate(x, nil) },
		Grad: func(grad, x []float64) { p.evaluate(x, grad) },
	}
	watch := &recorder{ctx: ctx, total: params.maxIterations, report: report}
	result, err := optimize.Minimize(problem, make([]float64, p.groups*(1+p.d.weights)), &optimize.Settings{
		MajorIterations:   params.maxIterations,
		GradientThreshold: params.tolerance,
		Converger:         &optimize.FunctionConverge{Relative: 1e-12, Iterations: 10},
		Recorder:          watch,
	}, &optimize.LBFGS{})
	if stop := ctx.Err(); stop != nil {
		return nil, 0, fmt.Errorf("built-in linear: stopped at iteration %d: %w", watch.step, stop)
	}
	// A line search that can't improve on rounding ends with an error at what is an optimum for every purpose.
	if result == nil || (err != nil && !errors.Is(err, optimize.ErrLinesearcherFailure) && !errors.Is(err, optimize.ErrNoProgress) && !errors.Is(err, optimize.ErrNonDescentDirection)) {
		return nil, 0, &DataError{NotFitted, fmt.Sprintf("L-BFGS: %v", err), "features of a finite scale"}
	}
	for _, v := range result.X {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, 0, &DataError{NotFinite, "a weight of the fitted model", "features of a finite scale"}
		}
	}
	return result.X, result.Stats.MajorIterations, nil
}

// evaluate gives the objective, and its gradient where grad isn't nil.
func (p *linearProblem) evaluate(x, grad []float64) float64 {
	intercepts, weights := x[:p.groups], x[p.groups:]
	p.d.margins(intercepts, weights, p.margins)
	n := p.total
	loss := p.losses() / n
	for _, w := range weights {
		loss += p.l2 / (2 * n) * w * w
	}
	if grad == nil {
		return loss
	}
	clear(grad)
	for row := range p.d.rows {
		index := p.d.index[row*p.d.features : (row+1)*p.d.features]
		value := p.d.value[row*p.d.features : (row+1)*p.d.features]
		for k := range p.groups {
			slope := p.slopes[row*p.groups+k] / n
			grad[k] += slope
			g := grad[p.groups+k*p.d.weights : p.groups+(k+1)*p.d.weights]
			for j, at := range index {
				g[at] += slope * value[j]
			}
		}
	}
	for i, w := range weights {
		grad[p.groups+i] += p.l2 / n * w
	}
	return loss
}

// losses sums the rows' losses at the margins, and fills the slopes.
func (p *linearProblem) losses() float64 {
	total := 0.0
	switch p.task {
	case spec.Binary:
		for i, m := range p.margins {
			e := math.Exp(-math.Abs(m)) // at most 1: neither the loss nor the probability overflows
			w := weightOf(p.weights, i)
			total += w * (max(m, 0) - m*p.y[i] + math.Log(1+e))
			probability := 1 / (1 + e)
			if m < 0 {
				probability = e / (1 + e)
			}
			p.slopes[i] = w * (probability - p.y[i])
		}
	case spec.Multiclass:
		for row := range p.d.rows {
			s := p.slopes[row*p.groups : (row+1)*p.groups]
			m := p.margins[row*p.groups : (row+1)*p.groups]
			w := weightOf(p.weights, row)
			total += w * (softmaxLog(m, s) - m[int(p.y[row])])
			s[int(p.y[row])]--
			for k := range s {
				s[k] *= w
			}
		}
	default:
		for i, m := range p.margins {
			w, off := weightOf(p.weights, i), m-p.y[i]
			p.slopes[i] = w * off
			total += w * off * off / 2
		}
	}
	return total
}

// softmaxLog fills the probabilities of margins and gives the log of the sum of their exponentials.
func softmaxLog(margins, p []float64) float64 {
	highest := margins[0]
	for _, m := range margins[1:] {
		highest = max(highest, m)
	}
	total := 0.0
	for k, m := range margins {
		p[k] = math.Exp(m - highest)
		total += p[k]
	}
	for k := range p {
		p[k] /= total
	}
	return highest + math.Log(total)
}

// link turns margins into what a scorer answers, in place.
func (p *linearProblem) link(margins []float64) {
	switch p.task {
	case spec.Binary:
		for i, m := range margins {
			margins[i] = 1 / (1 + math.Exp(-m))
		}
	case spec.Multiclass:
		for i := 0; i < len(margins); i += p.groups {
			softmaxLog(margins[i:i+p.groups], margins[i:i+p.groups])
		}
	}
}

// recorder reports iterations, and stops the search when the context ends.
type recorder struct {
	ctx    context.Context
	step   int
	total  int
	report func(Progress)
}

// Init implements optimize.Recorder.
func (r *recorder) Init() error { return r.ctx.Err() }

// Record implements optimize.Recorder.
func (r *recorder) Record(at *optimize.Location, op optimize.Operation, _ *optimize.Stats) error {
	if op == optimize.MajorIteration {
		r.step++
		r.report(Progress{Step: r.step, Total: r.total, Metrics: map[string]float64{"train_loss": at.F}})
	}
	return r.ctx.Err()
}
