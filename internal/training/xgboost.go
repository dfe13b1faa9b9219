package training

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/leanloop/leanloop/internal/inference"
	"github.com/leanloop/leanloop/internal/spec"
)

// writtenVersion is the version of XGBoost whose JSON is written: 1.7, which every later one reads too.
func writtenVersion() [3]int { return [3]int{1, 7, 6} }

// The JSON of a model; names and types are XGBoost's own
// (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html).
type (
	xgbFile struct {
		Learner xgbLearner `json:"learner"`
		Version [3]int     `json:"version"`
	}
	xgbLearner struct {
		Attributes      struct{}     `json:"attributes"`
		FeatureNames    []string     `json:"feature_names"`
		FeatureTypes    []string     `json:"feature_types"`
		GradientBooster xgbBooster   `json:"gradient_booster"`
		ModelParam      xgbParam     `json:"learner_model_param"`
		Objective       xgbObjective `json:"objective"`
	}
	xgbBooster struct {
		Model xgbModel `json:"model"`
		Name  string   `json:"name"`
	}
	xgbModel struct {
		Param    map[string]string `json:"gbtree_model_param"`
		TreeInfo []int             `json:"tree_info"`
		Trees    []xgbTree         `json:"trees"`
	}
	xgbParam struct {
		BaseScore        string `json:"base_score"`
		BoostFromAverage string `json:"boost_from_average"`
		NumClass         string `json:"num_class"`
		NumFeature       string `json:"num_feature"`
		NumTarget        string `json:"num_target"`
	}
	xgbObjective struct {
		Name    string            `json:"name"`
		Loss    map[string]string `json:"reg_loss_param,omitempty"`
		Softmax map[string]string `json:"softmax_multiclass_param,omitempty"`
	}
	xgbTree struct {
		BaseWeights xgbFloats         `json:"base_weights"`
		Categories  []int             `json:"categories"`
		Nodes       []int             `json:"categories_nodes"`
		Segments    []int             `json:"categories_segments"`
		Sizes       []int             `json:"categories_sizes"`
		DefaultLeft []int             `json:"default_left"`
		ID          int               `json:"id"`
		Left        []int32           `json:"left_children"`
		LossChanges xgbFloats         `json:"loss_changes"`
		Parents     []int32           `json:"parents"`
		Right       []int32           `json:"right_children"`
		Conditions  xgbFloats         `json:"split_conditions"`
		Indices     []int             `json:"split_indices"`
		SplitType   []int             `json:"split_type"`
		Hessians    xgbFloats         `json:"sum_hessian"`
		Param       map[string]string `json:"tree_param"`
	}
)

// xgbFloats are numbers that keep an exponent: XGBoost refuses an integer where it wants a float.
type xgbFloats []float32

// MarshalJSON implements json.Marshaler.
func (f xgbFloats) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 12*len(f)+2)
	out = append(out, '[')
	for i, v := range f {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("number %d of a tree is %v", i, v)
		}
		out = strconv.AppendFloat(out, float64(v), 'E', -1, 32)
	}
	return append(out, ']'), nil
}

// noParent is what XGBoost writes as the root's parent.
const noParent = math.MaxInt32

// writeXGBoost writes trees as an XGBoost JSON model. Equal trees give equal bytes.
func writeXGBoost(features []binFeature, trees []*grownTree, l boostLoss, base float32) ([]byte, error) {
	count := strconv.Itoa(len(features))
	f := xgbFile{Version: writtenVersion(), Learner: xgbLearner{
		GradientBooster: xgbBooster{Name: "gbtree", Model: xgbModel{
			Param:    map[string]string{"num_parallel_tree": "1", "num_trees": strconv.Itoa(len(trees)), "size_leaf_vector": "0"},
			TreeInfo: []int{}, Trees: []xgbTree{},
		}},
		ModelParam: xgbParam{BaseScore: strconv.FormatFloat(float64(base), 'E', -1, 32), BoostFromAverage: "1",
			NumClass: "0", NumFeature: count, NumTarget: "1"},
	}}
	switch l.task {
	case spec.Binary:
		f.Learner.Objective = xgbObjective{Name: "binary:logistic", Loss: map[string]string{"scale_pos_weight": "1"}}
	case spec.Multiclass:
		classes := strconv.Itoa(l.groups)
		f.Learner.ModelParam.NumClass = classes
		f.Learner.Objective = xgbObjective{Name: "multi:softprob", Softmax: map[string]string{"num_class": classes}}
	default:
		f.Learner.Objective = xgbObjective{Name: "reg:squarederror", Loss: map[string]string{"scale_pos_weight": "1"}}
	}
	for i := range features {
		f.Learner.FeatureNames = append(f.Learner.FeatureNames, features[i].input.Name)
		f.Learner.FeatureTypes = append(f.Learner.FeatureTypes, xgbType(features[i].input.Kind))
	}
	model := &f.Learner.GradientBooster.Model
	for i, t := range trees {
		model.TreeInfo = append(model.TreeInfo, i%l.groups)
		model.Trees = append(model.Trees, t.write(i, features))
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode the model: %w", err)
	}
	return append(data, '\n'), nil
}

// xgbType is XGBoost's name of a feature's type.
func xgbType(kind string) string {
	switch kind {
	case inference.KindCategory:
		return "c"
	case inference.KindInteger:
		return "int"
	case inference.KindBoolean:
		return "i"
	}
	return "float"
}

// write gives a tree in XGBoost's lists.
func (t *grownTree) write(id int, features []binFeature) xgbTree {
	n := len(t.nodes)
	out := xgbTree{
		ID: id, Categories: []int{}, Nodes: []int{}, Segments: []int{}, Sizes: []int{},
		BaseWeights: make(xgbFloats, n), DefaultLeft: make([]int, n), Left: make([]int32, n), LossChanges: make(xgbFloats, n),
		Parents: make([]int32, n), Right: make([]int32, n), Conditions: make(xgbFloats, n), Indices: make([]int, n),
		SplitType: make([]int, n), Hessians: make(xgbFloats, n),
		Param: map[string]string{"num_deleted": "0", "num_feature": strconv.Itoa(len(features)), "num_nodes": strconv.Itoa(n), "size_leaf_vector": "0"},
	}
	out.Parents[0] = noParent
	for i := range t.nodes {
		node := &t.nodes[i]
		out.BaseWeights[i], out.Hessians[i] = node.weight, float32(node.sum.h)
		out.Left[i], out.Right[i] = node.left, node.right
		if node.left < 0 {
			out.Conditions[i] = node.value
			continue
		}
		out.Parents[node.left], out.Parents[node.right] = int32(i), int32(i)
		out.writeSplit(i, &node.split, &features[node.split.feature])
	}
	return out
}

func (x *xgbTree) writeSplit(i int, s *split, f *binFeature) {
	x.Indices[i], x.LossChanges[i] = s.feature, float32(s.gain)
	if s.missingLeft {
		x.DefaultLeft[i] = 1
	}
	if !f.isCategory() {
		x.Conditions[i] = math.MaxFloat32 // parts what is present from what is missing
		if s.cut <= len(f.cuts) {
			x.Conditions[i] = f.cuts[s.cut-1]
		}
		return
	}
	x.SplitType[i] = 1
	x.Nodes, x.Segments = append(x.Nodes, i), append(x.Segments, len(x.Categories))
	for bin := range f.bins {
		if s.left.has(uint8(bin)) == 0 { // the set is of those that go right
			x.Categories = append(x.Categories, bin)
		}
	}
	x.Sizes = append(x.Sizes, len(x.Categories)-x.Segments[len(x.Segments)-1])
}
