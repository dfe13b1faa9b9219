package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// treeParams are the hyperparameters of the built-in trees. Names, meanings and most defaults are XGBoost's.
type treeParams struct {
	rounds         int     // boosting rounds at most; default 200
	eta            float64 // shrinkage; default 0.1
	maxDepth       int     // default 6
	minChildWeight float64 // least sum of second derivatives in a child; default 1
	lambda         float64 // L2 penalty of leaf values; default 1
	gamma          float64 // gain that a split must exceed; default 0
	subsample      float64 // share of rows per tree; default 1
	colsample      float64 // share of features per tree; default 1
	maxBins        int     // bins per feature; default 255
	earlyStopping  int     // rounds without a better validation loss that end training; default 20; 0: never
	maxCatToOneHot int     // up to so many categories are tried one by one; default 4

	maxCatThreshold int     // categories on the smaller side of a sorted split at most; default 64
	catSmooth       float64 // weight added to a category before sorting; default 10, as LightGBM
	catL2           float64 // added to lambda for sorted splits, which overfit; default 10, as LightGBM

	threads int // goroutines; default Input.Threads, else GOMAXPROCS; changes nothing but the time
}

func readTreeParams(values map[string]any, threads int) (treeParams, error) {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := newParams(values)
	t := treeParams{
		rounds:          p.count("rounds", 200, 1, 100_000),
		eta:             p.number("eta", 0.1, 1e-6, 1),
		maxDepth:        p.count("max_depth", 6, 1, 16),
		minChildWeight:  p.number("min_child_weight", 1, 0, math.MaxFloat64),
		lambda:          p.number("lambda", 1, 0, math.MaxFloat64),
		gamma:           p.number("gamma", 0, 0, math.MaxFloat64),
		subsample:       p.number("subsample", 1, 0.01, 1),
		colsample:       p.number("colsample", 1, 0.01, 1),
		maxBins:         p.count("max_bins", maxValueBins, 2, maxValueBins+1),
		earlyStopping:   p.count("early_stopping_rounds", 20, 0, 100_000),
		maxCatToOneHot:  p.count("max_cat_to_onehot", 4, 0, maxValueBins),
		maxCatThreshold: p.count("max_cat_threshold", 64, 1, maxValueBins),
		catSmooth:       p.number("cat_smooth", 10, 0, math.MaxFloat64),
		catL2:           p.number("cat_l2", 10, 0, math.MaxFloat64),
		threads:         p.count("threads", threads, 1, 1024),
	}
	t.maxBins = min(t.maxBins, maxValueBins) // 256, XGBoost's default, counts the bin of missing values
	return t, p.done(Trees)
}

// booster is one training run of the built-in trees.
type booster struct {
	p        treeParams
	loss     boostLoss
	labels   *labels
	features []binFeature
	train    *binned
	valid    *binned // nil: nothing is validated
	rng      *rand.Rand

	base             float32 // score
	margins, validOn []float32
	trees            []*grownTree // by round, then group
}

// trainTrees trains gradient-boosted trees by histograms, depth first.
func trainTrees(ctx context.Context, in Input, report func(Progress)) (*Output, error) {
	p, err := readTreeParams(in.Params, in.Threads)
	if err != nil {
		return nil, err
	}
	b, ignored, err := newBooster(in, p)
	if err != nil {
		return nil, err
	}
	rounds, metrics, err := b.boost(ctx, report)
	if err != nil {
		return nil, err
	}
	signature := b.signature(in)
	model, err := writeXGBoost(b.features, b.trees[:rounds*b.loss.groups], b.loss, b.base)
	if err != nil {
		return nil, &DataError{NotFitted, fmt.Sprintf("the trees can't be written: %v", err), "a target and features of a finite scale"}
	}
	return &Output{Model: model, Signature: signature, Metrics: metrics, Rounds: rounds, Ignored: ignored}, nil
}

func newBooster(in Input, p treeParams) (*booster, []string, error) {
	l, err := readLabels(in)
	if err != nil {
		return nil, nil, err
	}
	sources, ignored, err := readFeatures(in)
	if err != nil {
		return nil, nil, err
	}
	b := &booster{p: p, labels: l, loss: boostLoss{in.Task, 1}, rng: rand.New(rand.NewPCG(in.Seed, 0x74726565))}
	if in.Task == spec.Multiclass {
		b.loss.groups = len(l.classes)
	}
	if b.features, err = learnBins(sources, p.maxBins); err != nil {
		return nil, nil, err
	}
	if b.train, err = fill(b.features, sources, in.Train.Rows, func(s source) *dataset.Column { return s.train }); err != nil {
		return nil, nil, err
	}
	b.base = b.loss.baseScore(l.train, l.weights)
	if in.Task == spec.Binary && (b.base <= 0 || b.base >= 1) {
		return nil, nil, &DataError{OneClass, fmt.Sprintf("target %q has a mean of %v over the rows that count", in.Target, b.base), "two classes of comparable weight"}
	}
	b.margins = b.constant(in.Train.Rows)
	if in.validates() {
		if b.valid, err = fill(b.features, sources, in.Validation.Rows, func(s source) *dataset.Column { return s.validation }); err != nil {
			return nil, nil, err
		}
		b.validOn = b.constant(in.Validation.Rows)
	}
	return b, ignored, nil
}

// constant gives the margins of the constant model.
func (b *booster) constant(rows int) []float32 {
	margins := make([]float32, rows*b.loss.groups)
	for i := range margins {
		margins[i] = b.loss.baseMargin(b.base)
	}
	return margins
}

// boost runs the rounds and gives how many to keep, and the validation metrics of those.
func (b *booster) boost(ctx context.Context, report func(Progress)) (int, map[string]float64, error) {
	g := newGrower(b.p, b.features, b.train)
	perGroup := make([][]gradient, b.loss.groups)
	for k := range perGroup {
		perGroup[k] = make([]gradient, b.train.rows)
	}
	rows := make([]int32, 0, b.train.rows)
	best, kept, keptMetrics := math.Inf(1), b.p.rounds, map[string]float64{}
	for round := range b.p.rounds {
		if err := ctx.Err(); err != nil {
			return 0, nil, fmt.Errorf("built-in trees: stopped before round %d of %d: %w", round+1, b.p.rounds, err)
		}
		b.computeGradients(perGroup)
		sample, used := b.sampleRows(), b.sampleFeatures()
		for k := range perGroup {
			g.gradients = perGroup[k]
			t := g.grow(append(rows[:0], sample...), used)
			b.trees = append(b.trees, t)
			b.update(g, t, k)
		}
		if b.valid == nil {
			report(Progress{Step: round + 1, Total: b.p.rounds})
			continue
		}
		loss, metrics := validationMetrics(b.loss.task, b.loss.groups, b.labels.validation, b.loss.predictions(b.validOn), b.labels.weighing)
		report(Progress{Step: round + 1, Total: b.p.rounds, Metrics: metrics})
		if loss < best || round == 0 {
			best, kept, keptMetrics = loss, round+1, metrics
		} else if b.p.earlyStopping > 0 && round+1-kept >= b.p.earlyStopping {
			return kept, keptMetrics, nil
		} else if b.p.earlyStopping == 0 {
			kept, keptMetrics = round+1, metrics
		}
	}
	return kept, keptMetrics, nil
}

// chunkRows is how many rows a goroutine takes at a time where rows are independent.
const chunkRows = 1 << 14

func (b *booster) inChunks(rows int, task func(from, to int)) {
	chunks := (rows + chunkRows - 1) / chunkRows
	parallel(chunks, b.p.threads, func(i int) { task(i*chunkRows, min((i+1)*chunkRows, rows)) })
}

func (b *booster) computeGradients(out [][]gradient) {
	b.inChunks(b.train.rows, func(from, to int) {
		b.loss.gradients(b.labels.train, b.margins, out, from, to)
		if b.labels.weights != nil {
			weigh(out, b.labels.weights, from, to)
		}
	})
}

// update adds a tree to the margins of every row. Rows that grew it are known by leaf; others are walked.
func (b *booster) update(g *grower, t *grownTree, group int) {
	if len(g.rows) < b.train.rows {
		b.walk(t, group, b.train, b.margins)
	} else {
		groups := b.loss.groups
		parallel(len(g.leaves), b.p.threads, func(i int) {
			leaf := g.leaves[i]
			value := t.nodes[leaf.node].value
			for _, row := range g.rows[leaf.from:leaf.to] {
				b.margins[int(row)*groups+group] += value
			}
		})
	}
	if b.valid != nil {
		b.walk(t, group, b.valid, b.validOn)
	}
}

func (b *booster) walk(t *grownTree, group int, data *binned, margins []float32) {
	b.inChunks(data.rows, func(from, to int) {
		for row := from; row < to; row++ {
			margins[row*b.loss.groups+group] += t.leaf(data, row).value
		}
	})
}

// sampleRows gives the rows of a round's trees, rising.
func (b *booster) sampleRows() []int32 {
	rows := make([]int32, 0, b.train.rows)
	for row := range int32(b.train.rows) {
		if b.p.subsample == 1 || b.rng.Float64() < b.p.subsample {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		rows = append(rows, int32(b.rng.IntN(b.train.rows)))
	}
	return rows
}

// sampleFeatures says which features a round's trees may use: at least one.
func (b *booster) sampleFeatures() []bool {
	used := make([]bool, len(b.features))
	n := max(1, int(math.Round(b.p.colsample*float64(len(used)))))
	for _, i := range b.rng.Perm(len(used))[:n] {
		used[i] = true
	}
	return used
}

func (b *booster) signature(in Input) inference.Signature {
	s := inference.Signature{Version: inference.SignatureVersion, Format: inference.FormatXGBoost, Task: in.Task,
		Classes: slices.Clone(b.labels.classes), Output: in.Target}
	if in.Task == spec.Binary {
		s.Threshold = 0.5
	}
	for i := range b.features {
		s.Inputs = append(s.Inputs, b.features[i].input)
	}
	return s
}
