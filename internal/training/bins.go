package training

import (
	"math"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/inference"
)

const (
	maxValueBins  = 255 // a bin is a byte, and missing values need one of their own
	blockFeatures = 8   // features whose bins share a 64-bit word
	everyByte     = 0x0101010101010101
)

// binFeature is how a feature's values become bins 0 to bins-1; bins itself is the bin of missing values.
type binFeature struct {
	input      inference.Feature
	categories []string  // of a category, by bin; nil otherwise
	cuts       []float32 // of a number: bin i holds cuts[i-1] <= x < cuts[i]
	bins       int
}

func (f *binFeature) isCategory() bool { return f.input.Kind == inference.KindCategory }

// binned is a table as bins. Eight features share a word, so that one load serves eight histograms; word i of block b
// holds row i's bins of features 8b to 8b+7, the first in the lowest byte.
type binned struct {
	rows   int
	blocks [][]uint64
}

// bin is the bin of a feature in a row.
func (b *binned) bin(row, feature int) uint8 {
	return uint8(b.blocks[feature/blockFeatures][row] >> (feature % blockFeatures * 8))
}

// learnBins decides the bins from the training rows.
func learnBins(sources []source, maxBins int) ([]binFeature, error) {
	features := make([]binFeature, len(sources))
	for i, s := range sources {
		f := binFeature{input: inference.Feature{Name: s.train.Name, Kind: s.train.Kind.String(), Nullable: s.train.Nulls() > 0}}
		if f.isCategory() {
			f.categories = keptCategories(s.train, 1, maxBins)
			f.input.Categories, f.bins = f.categories, len(f.categories)
		} else {
			values, err := valuesOf(s.train)
			if err != nil {
				return nil, err
			}
			f.cuts = cutPoints(values, maxBins)
			f.bins = len(f.cuts) + 1
		}
		features[i] = f
	}
	return features, nil
}

// quantileSample is how many values decide a feature's cuts: evenly spaced rows of a larger table do as well.
const quantileSample = 1 << 18

// cutPoints are at most maxBins-1 rising thresholds between the values' quantiles, halfway between neighbours. Values
// are compared as float32, as a scorer does.
func cutPoints(values []float64, maxBins int) []float32 {
	stride := max(1, len(values)/quantileSample)
	keys := make([]uint32, 0, len(values)/stride+1)
	for i := 0; i < len(values); i += stride {
		if v := float32(values[i]); v == v {
			keys = append(keys, keyOf(v))
		}
	}
	sortKeys(keys, make([]uint32, len(keys)))
	unique := 0
	for i := range keys {
		if i == 0 || keys[i] != keys[i-1] {
			unique++
		}
	}
	var cuts []float32
	inBin, left := 0, len(keys)
	for i := 1; i < len(keys); i++ {
		inBin++
		if keys[i] == keys[i-1] {
			continue
		}
		if unique > maxBins && inBin*(maxBins-len(cuts)) < left {
			continue // the bin has less than its share of what is left
		}
		if len(cuts) == maxBins-1 {
			break
		}
		if cut := halfway(valueOf(keys[i-1]), valueOf(keys[i])); !math.IsInf(float64(cut), 0) {
			cuts = append(cuts, cut)
		}
		left -= inBin
		inBin = 0
	}
	return cuts
}

// halfway is a float32 over low and at most high.
func halfway(low, high float32) float32 {
	if mid := float32((float64(low) + float64(high)) / 2); mid > low && mid <= high {
		return mid
	}
	return high
}

// fill bins one table; column picks each feature's column of it.
func fill(features []binFeature, sources []source, rows int, column func(source) *dataset.Column) (*binned, error) {
	b := &binned{rows: rows, blocks: make([][]uint64, (len(features)+blockFeatures-1)/blockFeatures)}
	for i := range b.blocks {
		b.blocks[i] = make([]uint64, rows)
	}
	if rest := len(features) % blockFeatures; rest > 0 {
		// Bytes that no feature has are counted too, which costs less than leaving them out: by turns in all bins, since
		// rows that follow each other in one bin wait for each other.
		last := b.blocks[len(b.blocks)-1]
		for row := range last {
			last[row] = uint64(uint8(row)) * everyByte &^ (1<<(rest*8) - 1)
		}
	}
	for i := range features {
		words, shift := b.blocks[i/blockFeatures], i%blockFeatures*8
		if err := features[i].fill(column(sources[i]), words, shift); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (f *binFeature) fill(c *dataset.Column, words []uint64, shift int) error {
	missing := uint64(f.bins)
	if f.isCategory() {
		codes, err := codesOf(c, f.categories)
		if err != nil {
			return err
		}
		for row, code := range codes {
			bin := missing
			if code >= 0 {
				bin = uint64(code)
			}
			words[row] |= bin << shift
		}
		return nil
	}
	values, err := valuesOf(c)
	if err != nil {
		return err
	}
	table := newCutTable(f.cuts)
	for row, v := range values {
		bin := missing
		if v == v {
			bin = uint64(table.bin(float32(v)))
		}
		words[row] |= bin << shift
	}
	return nil
}
