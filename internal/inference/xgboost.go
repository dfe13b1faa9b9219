package inference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// xgbLearner is the part of XGBoost's JSON model that scoring needs, as versions 1.0 to 3.x write it
// (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html). Lists whose elements cost more memory than
// text stay raw until their length is known to be within a limit.
type xgbLearner struct {
	FeatureNames    json.RawMessage `json:"feature_names"`
	FeatureTypes    json.RawMessage `json:"feature_types"`
	GradientBooster struct {
		Name       string          `json:"name"`
		Model      *xgbModel       `json:"model"`
		GBTree     *xgbNested      `json:"gbtree"`      // dart
		WeightDrop json.RawMessage `json:"weight_drop"` // dart
	} `json:"gradient_booster"`
	ModelParam struct {
		BaseScore  json.RawMessage `json:"base_score"`
		NumClass   string          `json:"num_class"`
		NumFeature string          `json:"num_feature"`
		NumTarget  string          `json:"num_target"`
	} `json:"learner_model_param"`
	Objective struct {
		Name string `json:"name"`
	} `json:"objective"`
}

// The boosters, as XGBoost names them.
const (
	boosterTrees  = "gbtree"
	boosterDart   = "dart"
	boosterLinear = "gblinear"
)

type xgbNested struct {
	Model *xgbModel `json:"model"`
}

type xgbModel struct {
	Weights    json.RawMessage `json:"weights"` // gblinear
	TreeInfo   []int32         `json:"tree_info"`
	Trees      json.RawMessage `json:"trees"`
	Categories xgbCategories   `json:"cats"` // 3.1 and newer
}

// xgbCategories are the categories of a data frame that the model was trained on, by feature.
type xgbCategories struct {
	Enc json.RawMessage `json:"enc"`
}

// readXGBoost builds a scorer from the "learner" object.
func readXGBoost(raw json.RawMessage, lim Limits) (*File, error) {
	var l xgbLearner
	if err := json.Unmarshal(raw, &l); err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	o, err := objectiveByName(l.Objective.Name)
	if err != nil {
		return nil, err
	}
	groups, features, err := l.shape(o, lim)
	if err != nil {
		return nil, err
	}
	base, err := baseMargins(l.ModelParam.BaseScore, groups, o.link)
	if err != nil {
		return nil, err
	}
	file := &File{Format: FormatXGBoost, Objective: l.Objective.Name, Task: o.task, Inputs: features}
	var model *xgbModel
	if l.GradientBooster.Name == boosterLinear {
		file.native, err = l.readBoostedLinear(o, base, features, lim)
		model = l.GradientBooster.Model
	} else {
		file.native, model, err = l.readForest(o, base, features, lim)
	}
	if err != nil {
		return nil, err
	}
	file.Scorer = file.native
	if file.Features, err = decodeStrings(l.FeatureNames, "feature_names", features); err != nil {
		return nil, err
	}
	if file.Types, err = decodeStrings(l.FeatureTypes, "feature_types", features); err != nil {
		return nil, err
	}
	if file.Categories, err = model.Categories.decode(features, lim); err != nil {
		return nil, err
	}
	return file, nil
}

// readForest builds the trees of gbtree and dart.
func (l *xgbLearner) readForest(o objective, base []float32, features int, lim Limits) (*forest, *xgbModel, error) {
	model, weights, err := l.trees(lim)
	if err != nil {
		return nil, nil, err
	}
	f := &forest{features: features, base: base, link: link{o.link}}
	if err := newForestBuilder(f, lim, weights, model.TreeInfo).read(model.Trees); err != nil {
		return nil, nil, err
	}
	f.ready()
	return f, model, nil
}

// trees gives the trees, and dart's weights of them.
func (l *xgbLearner) trees(lim Limits) (*xgbModel, []float32, error) {
	g := &l.GradientBooster
	switch g.Name {
	case boosterTrees:
		if g.Model == nil {
			return nil, nil, errors.New("gradient_booster: no model")
		}
		return g.Model, nil, nil
	case boosterDart:
		if g.GBTree == nil || g.GBTree.Model == nil {
			return nil, nil, errors.New("gradient_booster: dart without gbtree.model")
		}
		var weights []float32
		if err := decodeEach(g.WeightDrop, "weight_drop", lim.MaxTrees, func(_ int, w *float32) error {
			weights = append(weights, *w)
			return nil
		}); err != nil {
			return nil, nil, err
		}
		return g.GBTree.Model, weights, nil
	}
	return nil, nil, fmt.Errorf("booster: observed %q, which can't be scored; known are %s, %s and %s", g.Name, boosterTrees, boosterDart, boosterLinear)
}

// shape gives the number of margins and of columns.
func (l *xgbLearner) shape(o objective, lim Limits) (groups, features int, err error) {
	if features, err = parseCount("num_feature", l.ModelParam.NumFeature, lim.MaxFeatures); err != nil {
		return 0, 0, err
	}
	if features == 0 {
		return 0, 0, errors.New("num_feature: observed 0, want at least 1")
	}
	if groups, err = parseCount("num_class", l.ModelParam.NumClass, lim.MaxOutputs); err != nil {
		return 0, 0, err
	}
	targets, err := parseCount("num_target", l.ModelParam.NumTarget, lim.MaxOutputs)
	if err != nil {
		return 0, 0, err
	}
	if targets > 1 {
		return 0, 0, fmt.Errorf("num_target: observed %d: models of several targets can't be scored", targets)
	}
	groups = max(groups, 1)
	if several := o.link == linkSoftmax || o.link == linkArgmax; several != (groups > 1) {
		return 0, 0, fmt.Errorf("num_class: observed %d, which objective %s can't have", groups, l.Objective.Name)
	}
	return groups, features, nil
}

// parseCount reads a count that XGBoost writes as text; absent is 0.
func parseCount(what, text string, limit int) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: observed %q, want a count", what, text)
	}
	return n, within(what, n, limit)
}

// baseMargins reads base_score and takes it through the objective's inverse link. Its forms: text of a number (1.x to
// 3.0), text of a list of numbers, one or one per class (3.1 and newer), or the same as a JSON number or list.
func baseMargins(raw json.RawMessage, groups int, k linkKind) ([]float32, error) {
	scores := []float64{0.5}
	if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		var err error
		if scores, err = parseBaseScore(raw, groups); err != nil {
			return nil, err
		}
	}
	if len(scores) != 1 && len(scores) != groups {
		return nil, fmt.Errorf("base_score: observed %d numbers, want 1 or %d", len(scores), groups)
	}
	margins := make([]float32, groups)
	for i := range margins {
		// Rounded first: XGBoost keeps the score as float32.
		margin, err := k.margin(float64(float32(scores[min(i, len(scores)-1)])))
		if err != nil {
			return nil, err
		}
		margins[i] = margin
	}
	return margins, nil
}

func parseBaseScore(raw json.RawMessage, groups int) ([]float64, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	text = strings.TrimSpace(text)
	parts := []string{text}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || strings.Count(inner, ",") >= max(groups, 1) {
			return nil, fmt.Errorf("base_score: observed %.60q, want a number or a list of 1 or %d", text, groups)
		}
		parts = strings.Split(inner, ",")
	}
	scores := make([]float64, len(parts))
	for i, part := range parts {
		score, err := strconv.ParseFloat(strings.Trim(strings.TrimSpace(part), `"`), 64)
		if err != nil {
			return nil, fmt.Errorf("base_score: observed %.60q, want a number", part)
		}
		scores[i] = score
	}
	return scores, nil
}

// decode gives the category names by feature; nil when the model holds none. The codes of a split are positions here.
func (c xgbCategories) decode(features int, lim Limits) ([][]string, error) {
	type encoded struct {
		Offsets []int64       `json:"offsets"`
		Values  []json.Number `json:"values"`
	}
	var all [][]string
	any := false
	err := decodeEach(c.Enc, "cats.enc", features, func(i int, e *encoded) error {
		names, err := categoryNames(e.Offsets, e.Values, lim.MaxCategories)
		if err != nil {
			return fmt.Errorf("cats.enc[%d]: %w", i, err)
		}
		any = any || names != nil
		all = append(all, names)
		return nil
	})
	if err != nil || !any {
		return nil, err
	}
	if len(all) != features {
		return nil, fmt.Errorf("cats.enc: observed %d features, want %d", len(all), features)
	}
	return all, nil
}

// categoryNames reads one feature's categories: text as bytes between offsets, or numbers.
func categoryNames(offsets []int64, values []json.Number, limit int) ([]string, error) {
	if len(offsets) == 0 {
		if err := within("categories", len(values), limit); err != nil || len(values) == 0 {
			return nil, err
		}
		names := make([]string, len(values))
		for i, v := range values {
			names[i] = v.String()
		}
		return names, nil
	}
	if err := within("categories", len(offsets)-1, limit); err != nil {
		return nil, err
	}
	text := make([]byte, len(values))
	for i, v := range values {
		b, err := strconv.ParseInt(v.String(), 10, 16)
		if err != nil || b < -128 || b > 255 {
			return nil, fmt.Errorf("observed byte %q", v)
		}
		text[i] = byte(b)
	}
	names := make([]string, len(offsets)-1)
	for i := range names {
		from, to := offsets[i], offsets[i+1]
		if from < 0 || to < from || to > int64(len(text)) {
			return nil, fmt.Errorf("offsets: observed %d to %d of %d bytes", from, to, len(text))
		}
		names[i] = string(text[from:to])
	}
	return names, nil
}

// decodeStrings reads a list that is absent, empty or of the wanted length.
func decodeStrings(raw json.RawMessage, what string, want int) ([]string, error) {
	var list []string
	if err := decodeEach(raw, what, want, func(_ int, s *string) error {
		list = append(list, *s)
		return nil
	}); err != nil {
		return nil, err
	}
	if len(list) != 0 && len(list) != want {
		return nil, fmt.Errorf("%s: observed %d names, want %d", what, len(list), want)
	}
	return list, nil
}

// decodeEach reads a JSON list element by element, so that its memory is bounded before it is used. Absent or null is
// an empty list. Every element starts from a zero value.
func decodeEach[T any](raw json.RawMessage, what string, limit int, each func(i int, v *T) error) error {
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return fmt.Errorf("%s: not a list", what)
	}
	for i := 0; dec.More(); i++ {
		if i >= limit {
			return fmt.Errorf("%s: more than the limit of %d", what, limit)
		}
		var v T
		if err := dec.Decode(&v); err != nil {
			return fmt.Errorf("%s[%d]: %w", what, i, err)
		}
		if err := each(i, &v); err != nil {
			return err
		}
	}
	return nil
}
