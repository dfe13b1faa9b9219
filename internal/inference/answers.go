package inference

import (
	"fmt"
	"math"
	"strconv"

	"github.com/leanloop/leanloop/internal/dataset"
	"github.com/leanloop/leanloop/internal/spec"
)

// probabilityTolerance is how far the probabilities of a row may be from 1 together: what 32-bit numbers, or six written
// digits, of a thousand classes add up to.
const probabilityTolerance = 1e-3

// ScoreError says that an answer of another program or server is none that a model of this signature gives.
type ScoreError struct {
	Row      int    // from 1
	Class    string // "": of the whole row, or the only score there is
	Observed float64
	Want     string
}

func (e *ScoreError) Error() string {
	what := ""
	if e.Class != "" {
		what = fmt.Sprintf("class %q: ", e.Class)
	}
	return fmt.Sprintf("row %d: %sobserved %s, want %s", e.Row, what, strconv.FormatFloat(e.Observed, 'g', 6, 64), e.Want)
}

// CheckScores holds scores that came from outside, Outputs() for each row, to what they mean: finite numbers, for classes
// probabilities of 0 to 1, of several classes 1 together within 0.001. The first row is number first. The error is a
// *ScoreError.
func (s Signature) CheckScores(scores []float64, first int) error {
	width := s.Outputs()
	for start := 0; start+width <= len(scores); start += width {
		row, sum := first+start/width, 0.0
		for k, v := range scores[start : start+width] {
			class := ""
			if width > 1 {
				class = s.Classes[k]
			}
			switch {
			case math.IsNaN(v) || math.IsInf(v, 0):
				return &ScoreError{row, class, v, "a finite number"}
			case s.Task != spec.Regression && (v < 0 || v > 1):
				return &ScoreError{row, class, v, "a probability of 0 to 1"}
			}
			sum += v
		}
		if width > 1 && math.Abs(sum-1) > probabilityTolerance {
			return &ScoreError{row, "", sum, fmt.Sprintf("probabilities that add up to 1 within %g", probabilityTolerance)}
		}
	}
	return nil
}

// CheckColumns says whether a table has what the signature reads: the error is a *MissingFeature or a *FeatureType, as
// EncodeTable gives them, without anything being encoded.
func (s Signature) CheckColumns(t *dataset.Table) error {
	for _, in := range s.Inputs {
		c, ok := t.Column(in.Name)
		if !ok {
			return &MissingFeature{in.Name}
		}
		if !holds(in.Kind, c.Kind) {
			return &FeatureType{in.Name, in.Kind, "a column of kind " + c.Kind.String()}
		}
	}
	return nil
}

// holds says whether a column of one kind can be a feature of another.
func holds(feature string, column dataset.Kind) bool {
	switch column {
	case dataset.Category, dataset.Text:
		return feature == KindCategory
	case dataset.Timestamp:
		return feature == KindTimestamp
	}
	return feature != KindTimestamp && feature != KindCategory
}
